"""One figure of what a data set holds: a panel for each histogram."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aiida_edl.provenance.figure_style import COLOURS, new_figure, render
from aiida_edl.science.dataset_histograms import Histogram

SUFFIXES = ('.png', '.svg')
"""Kinds of files a figure can be written to."""
LINE_LENGTH = 28
"""Characters that fit below a panel."""
PANEL_HEIGHT = 1.5
"""Height of a row of panels [inch]."""


def write_dataset_figure(histograms: Sequence[Histogram], path: Path) -> None:
    """Draw histograms to a file.

    :param histograms: at least one.
    :param path: file that ends in ``.png`` or ``.svg``; replaced if it exists.
    :raises ValueError: for another ending.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"'{path.name}' is no file of a figure; let its name end in {' or '.join(SUFFIXES)}")
    figure = render('dataset', lambda: _draw(histograms))
    if path.suffix == '.png':
        path.write_bytes(figure.png)
    else:
        path.write_text(figure.standalone_svg, encoding='utf-8')


def _draw(histograms: Sequence[Histogram]) -> Figure:
    """Draw one panel for each histogram, two in a row."""
    n_rows = -(-len(histograms) // 2)
    figure = new_figure(PANEL_HEIGHT * n_rows)
    panels = figure.subplots(n_rows, 2, squeeze=False).reshape(-1)
    for axes, histogram in zip(panels, histograms):
        _draw_panel(axes, histogram)
    for axes in panels[len(histograms) :]:
        axes.remove()
    return figure


def _draw_panel(axes: Axes, histogram: Histogram) -> None:
    """Draw one histogram; a bin that is wider than the others is drawn as high as it would be if it were as wide."""
    if histogram.is_whole:
        places = np.arange(len(histogram.counts))
        axes.bar(places, histogram.counts, width=0.7, color=COLOURS['single'])
        shown = places[:: max(len(places) // 6, 1)]
        axes.set_xlim(-1.0, len(places))
        axes.set_xticks(shown, [histogram.label(int(number)) for number in shown])
    else:
        widths = np.diff(histogram.edges)
        axes.bar(
            histogram.edges[:-1],
            histogram.counts * np.median(widths) / widths,
            width=widths,
            align='edge',
            color=COLOURS['single'],
            linewidth=0,
        )
    unit = f'({histogram.unit})' if histogram.unit else ''
    separator = '\n' if len(histogram.quantity) + len(unit) > LINE_LENGTH else ' '
    axes.set_xlabel(f'{histogram.quantity}{separator}{unit}'.strip())
    axes.set_ylabel(f'{histogram.per}s')
