"""Time of an evaluation against the number of atoms, on logarithmic axes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator
from parts.long_range_points import LABELS, Row, evaluation_seconds, is_measured, ordered

from aiida_edl.provenance.figure_style import COLOURS, LINE_STYLES, MARKERS, ink, legend_above, new_figure, render

COLOUR_OF = dict(zip(LABELS, (COLOURS[name] for name in ('mixed', 'single', 'other', 'without', 'pair'))))
"""Colour by program."""
HEIGHTS = {'water': 3.2, 'crystals': 3.6}
"""Heights of the figures [inch]."""


def write_figures(points: Sequence[Row], folder: Path) -> None:
    """Write ``water.svg`` and ``crystals.svg``, as far as anything is measured.

    :param points: all points.
    :param folder: where they go.
    """
    for name, draw in (('water', _draw_water), ('crystals', _draw_crystals)):
        rows = [row for row in ordered(points, name == 'water') if is_measured(row)]
        if not rows:
            continue
        figure = render(f'long_range_{name}', lambda draw=draw, rows=rows: draw(rows))
        (folder / f'{name}.svg').write_text(figure.standalone_svg, encoding='utf-8')


def _draw_water(rows: Sequence[Row]) -> Figure:
    """Draw a panel with pairs given and one with pairs searched at every evaluation."""
    figure = new_figure(HEIGHTS['water'])
    panels = figure.subplots(1, 2, sharey=True)
    for axes, has_search in zip(panels, (False, True)):
        for index, program in enumerate(LABELS):
            own = [row for row in rows if row['program'] == program]
            axes.plot(
                [row['atoms'] for row in own],
                [1e3 * evaluation_seconds(row, has_search) for row in own],
                color=COLOUR_OF[program],
                linestyle=LINE_STYLES[index],
                marker=MARKERS[index],
                markersize=3.5,
                linewidth=1.2,
            )
        axes.set_title('pairs searched' if has_search else 'pairs given')
        _finish(axes, rows)
    panels[0].set_ylabel('time of an evaluation (ms)')
    legend_above(figure, [_handle(index, program) for index, program in enumerate(LABELS)], 2)
    return figure


def _draw_crystals(rows: Sequence[Row]) -> Figure:
    """Draw one panel: a mark for each crystal, open where cell vectors are oblique."""
    figure = new_figure(HEIGHTS['crystals'])
    axes = figure.subplots()
    for index, program in enumerate(LABELS):
        for is_filled in (True, False):
            own = [row for row in rows if row['program'] == program and row['is_orthorhombic'] == is_filled]
            axes.plot(
                [row['atoms'] for row in own],
                [1e3 * evaluation_seconds(row) for row in own],
                color=COLOUR_OF[program],
                linestyle='none',
                marker=MARKERS[index],
                markersize=3.5,
                markerfacecolor=COLOUR_OF[program] if is_filled else 'none',
                markeredgewidth=0.8,
            )
    _finish(axes, rows)
    axes.set_ylabel('time of an evaluation (ms)')
    handles = [_handle(index, program, has_line=False) for index, program in enumerate(LABELS)]
    legend_above(figure, handles, 2)
    return figure


def _finish(axes: Axes, rows: Sequence[Row]) -> None:
    """Make both axes logarithmic, and draw a line of times that grow as the number of atoms."""
    axes.set_xscale('log')
    axes.set_yscale('log')
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(numticks=12))
        axis.set_minor_locator(NullLocator())
    axes.set_xlabel('number of atoms')
    atoms = np.array([min(row['atoms'] for row in rows), max(row['atoms'] for row in rows)], dtype=float)
    least = min(evaluation_seconds(row) / row['atoms'] for row in rows)
    axes.plot(atoms, 0.6e3 * least * atoms, color=ink(), linewidth=0.6, alpha=0.5)
    end = (atoms[1], 0.6e3 * least * atoms[1])
    axes.annotate('∝ N', end, (0, -7), textcoords='offset points', ha='right', va='top', fontsize=8.0, alpha=0.7)


def _handle(index: int, program: str, has_line: bool = True) -> Line2D:
    """Return the entry of a program in the legend."""
    style = LINE_STYLES[index] if has_line else 'none'
    colour = COLOUR_OF[program]
    return Line2D([], [], color=colour, linestyle=style, marker=MARKERS[index], markersize=3.5, label=LABELS[program])
