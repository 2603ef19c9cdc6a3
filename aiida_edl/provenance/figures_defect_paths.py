"""The figure of the paths of defects: where an interstitial or a vacancy went, and by which steps.

A panel for each family and system, all to one scale; every path begins at the origin. The crystal is seen from the
direction (9, 4, 2), from which no edge or diagonal of a cube covers another or shrinks below 0.4 of its length. The
arms below the paths show where x, y and z point, and how long the same distance is along each.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from aiida_edl.provenance.figure_style import COLOURS, WIDTH, ink, legend_above, new_figure
from aiida_edl.provenance.rows import DefectPoint
from aiida_edl.science.frames import Floats

NAME = 'defect_paths'
TITLE = 'Paths of defects'
VIEW = np.array([9.0, 4.0, 2.0])
"""Direction from which the crystal is seen."""
STEPS: Mapping[str, tuple[str, str, Any, float]] = {
    'knock_off': ('knock-off', COLOURS['mixed'], '-', 1.4),
    'direct': ('direct hop', COLOURS['single'], (0, (3, 1.2)), 1.2),
    'vacancy': ('vacancy hop', COLOURS['pair'], '-', 1.2),
    'other': ('other step', COLOURS['other'], (0, (1, 1.2)), 1.2),
}
"""What steps are called, their colour, line style and width, by mechanism; ``other`` holds all that are not named."""
ARMS = (1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)
"""Lengths of the arms of the axes [Å]."""
ARM_SHARE = 0.25
"""Longest arm over the width of a panel."""
STRIP = 1.7
"""Height of the strip for the arms over their length."""
MARGIN = 1.1
"""Size of a panel over that of the paths."""
LEAST_WIDTH = 6.0
"""Width of a panel in which nothing moved [Å]."""
MOST_LINES = 3000
"""Steps above which the lines of a panel are an image in the SVG."""
MOST_COLUMNS = 2
LEGEND_HEIGHT, TITLE_HEIGHT, LINE_HEIGHT = 0.45, 0.3, 0.155
"""[inch]."""
SMALL = 7.5
"""Size of letters [point]."""
LETTERS, TITLE_LETTERS = 40, 32
"""That fit beside each other in the words and in the title of a panel."""


@dataclass(frozen=True)
class DefectPanel:
    """What one panel shows."""

    system: str
    model: str
    family: str
    temperature_kelvin: float
    points: tuple[DefectPoint, ...]

    @property
    def _all_paths(self) -> list[list[DefectPoint]]:
        """Points of each defect."""
        paths: dict[tuple[int, int], list[DefectPoint]] = {}
        for point in self.points:
            if point.carrier is not None:
                paths.setdefault((point.replica, point.carrier), []).append(point)
        return list(paths.values())

    @property
    def paths(self) -> list[list[DefectPoint]]:
        """Points of each defect that was there from the beginning."""
        return [path for path in self._all_paths if not path[0].mechanism]

    @property
    def words(self) -> str:
        """What was run, how many steps there are, of which kinds, and how far they lead."""
        paths = self.paths
        steps = Counter(step_kind(point) for path in paths for point in path[1:])
        kinds = ', '.join(_counted(steps[kind], STEPS[kind][0]) for kind in STEPS if steps[kind])
        lines = [self.model, f'{self.system}, {self.temperature_kelvin:g} K']
        lines += [f'{_counted(len(paths), "path")}, {_counted(steps.total(), "step")}']
        if kinds:
            lines.append(kinds)
        if paths:
            net = [float(np.linalg.norm(_places(path)[-1])) for path in paths]
            ends = sorted({f'{min(net):.1f}', f'{max(net):.1f}'}, key=float)
            lines.append(f'net displacement {" to ".join(ends)} Å')
        if n_others := len(self._all_paths) - len(paths):
            lines.append(f'not drawn: {_counted(n_others, "defect")} formed on the way')
        if unplaced := sum(point.carrier is None for point in self.points):
            lines.append(f'not drawn: {_counted(unplaced, "event")} without its defect')
        return '\n'.join(textwrap.fill(line, LETTERS) for line in lines)


def step_kind(point: DefectPoint) -> str:
    """Return how the step to a point is drawn, a key of :data:`STEPS`."""
    return point.mechanism if point.mechanism in STEPS else 'other'


def _counted(number: int, name: str) -> str:
    """Return a number with the name of what is counted.

    >>> _counted(2, 'step')
    '2 steps'
    """
    return f'{number} {name}' + ('' if number == 1 else 's')


def defect_panels(comparison: Mapping[str, Any], points: Iterable[DefectPoint]) -> list[DefectPanel]:
    """Return the panels of a study: for each family and system one model at one temperature.

    The model is that with most frames, then the last round, then the smallest seed; the temperature is the highest with
    a path.

    :param comparison: result of ``edl.fine_tuning_comparison``.
    :param points: result of :func:`~aiida_edl.provenance.defect_paths.defect_paths`.
    """
    groups: dict[tuple[str, str], dict[float, list[DefectPoint]]] = {}
    for point in points:
        groups.setdefault((point.system, point.model), {}).setdefault(point.temperature_kelvin, []).append(point)
    chosen: dict[tuple[str, str], tuple[str, str]] = {}
    for row in sorted(comparison['models'], key=_preference):
        model = (row['system'], row['model'])
        if model in groups:
            chosen.setdefault((row['system'], row['family']), model)
    panels = []
    for (system, family), model in sorted(chosen.items()):
        temperature = max(groups[model])
        panels.append(DefectPanel(system, model[1], family, temperature, tuple(groups[model][temperature])))
    return panels


def _preference(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what orders the models of a family, the preferred one first."""
    numbers = (-row.get(name, 0) for name in ('n_frames', 'n_replay', 'round_number'))
    return (*numbers, row.get('seed', 0), row['model'])


def projection() -> Floats:
    """Return the matrix that takes directions to the plane of the figure, shape ``(3, 2)``; z points up."""
    view = VIEW / np.linalg.norm(VIEW)
    right = np.cross([0.0, 0.0, 1.0], view)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(view, right)], axis=1)


def _places(path: Sequence[DefectPoint]) -> Floats:
    """Return the places of a path from its beginning [Å], shape ``(n_points, 3)``."""
    places = np.array([(point.x_angstrom, point.y_angstrom, point.z_angstrom) for point in path], dtype=np.float64)
    return places - places[0]


def draw_defect_paths(panels: Sequence[DefectPanel]) -> Figure:
    """Draw the paths of all panels to one scale.

    :param panels: at least one.
    """
    n_columns = min(MOST_COLUMNS, len(panels))
    drawn = [[_places(path) @ projection() for path in panel.paths] for panel in panels]
    rows = [range(first, min(first + n_columns, len(panels))) for first in range(0, len(panels), n_columns)]
    width, arm = _width_and_arm([places for paths in drawn for places in paths])
    frames = [_Frame.around([places for index in row for places in drawn[index]], width, arm) for row in rows]
    heights = [
        WIDTH / MOST_COLUMNS * (frame.high - frame.low)[1] / width
        + TITLE_HEIGHT
        + LINE_HEIGHT * max(1 + panels[index].words.count('\n') for index in row)
        for row, frame in zip(rows, frames)
    ]
    figure = new_figure(LEGEND_HEIGHT + sum(heights))
    grid = figure.subplots(len(rows), n_columns, squeeze=False, height_ratios=heights).ravel()
    for index, (axes, panel) in enumerate(zip(grid, panels)):
        frame = frames[index // n_columns]
        axes.set_title(textwrap.shorten(panel.family.replace('_', ' '), TITLE_LETTERS, placeholder='…'))
        _draw_paths(axes, panel, drawn[index])
        _draw_arms(axes, frame)
        axes.set_xlim(frame.low[0], frame.high[0])
        axes.set_ylim(frame.low[1], frame.high[1])
        axes.set_aspect('equal', anchor='NW')
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        axes.set_xlabel(panel.words, loc='left', fontsize=SMALL)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    occurring = {step_kind(point) for panel in panels for path in panel.paths for point in path[1:]}
    legend_above(figure, _handles(occurring), 3)
    return figure


@dataclass(frozen=True)
class _Frame:
    """What the panels of a row show, in the plane of the figure [Å]."""

    low: Floats
    """Lower left corner, shape ``(2,)``."""
    high: Floats
    """Upper right corner, same shape."""
    arm: float
    """Length of the arms."""

    @classmethod
    def around(cls, paths: Sequence[Floats], width: float, arm: float) -> _Frame:
        """Return a frame of a width around all paths, with a strip for the arms below."""
        low, high = _corners(paths)
        sizes = np.array([width, max(arm, MARGIN * float((high - low)[1]))])
        middle = 0.5 * (low + high)
        return cls(middle - 0.5 * sizes - [0.0, STRIP * arm], middle + 0.5 * sizes, arm)


def _corners(paths: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Return the corners of the smallest rectangle around the origin and all paths."""
    places = np.concatenate([np.zeros((1, 2)), *paths])
    return places.min(axis=0), places.max(axis=0)


def _width_and_arm(paths: Sequence[Floats]) -> tuple[float, float]:
    """Return the width of all panels and the length of the arms in them [Å]."""
    low, high = _corners(paths)
    width = max(LEAST_WIDTH, MARGIN * float((high - low)[0]), float((high - low)[1]))
    return width, max([length for length in ARMS if length <= ARM_SHARE * width], default=ARMS[0])


def _draw_paths(axes: Axes, panel: DefectPanel, paths: Sequence[Floats]) -> None:
    """Draw the steps of a panel, the sites between them, the beginning and the ends."""
    steps: dict[str, list[Floats]] = {kind: [] for kind in STEPS}
    for path, places in zip(panel.paths, paths):
        for point, (start, stop) in zip(path[1:], pairwise(places)):
            steps[step_kind(point)].append(np.stack([start, stop]))
    is_image = sum(len(lines) for lines in steps.values()) > MOST_LINES
    for kind, lines in steps.items():
        _, colour, dashes, width = STEPS[kind]
        if lines:
            collection = LineCollection(lines, colors=colour, linestyles=[dashes], linewidths=width, alpha=0.85)
            collection.set_rasterized(is_image)
            collection.set_label(kind)
            axes.add_collection(collection, autolim=False)
    look: dict[str, Any] = {'color': ink(), 'marker': 'o', 'linestyle': '', 'zorder': 4}
    for places in paths:
        axes.plot(*places[1:-1].T, markersize=1.2, rasterized=is_image, **look)
        axes.plot(*places[-1], markersize=5.5, markerfacecolor='none', **look)
    axes.plot(0.0, 0.0, markersize=4.5, **look)


def _draw_arms(axes: Axes, frame: _Frame) -> None:
    """Draw arms along x, y and z in the strip below the paths, and say how long they are."""
    arms = frame.arm * projection()
    corner = frame.low + np.array([0.75, 0.35]) * frame.arm
    for name, arm in zip('xyz', arms):
        axes.plot(*np.stack([corner, corner + arm], axis=1), color=ink(), linewidth=0.8, alpha=0.7)
        x, y = corner + arm + 0.17 * frame.arm * arm / np.linalg.norm(arm)
        axes.text(x, y, name, fontsize=SMALL, ha='center', va='center')
    x, y = corner + np.array([1.3, 0.3]) * frame.arm
    axes.text(x, y, f'{frame.arm:g} Å each', fontsize=SMALL, va='center')


def _handles(kinds: Iterable[str]) -> list[Line2D]:
    """Return the entries of the legend: steps that occur, beginning and end."""
    handles = [
        Line2D([], [], color=colour, linestyle=dashes, linewidth=width, label=name)
        for kind, (name, colour, dashes, width) in STEPS.items()
        if kind in kinds
    ]
    look: dict[str, Any] = {'color': ink(), 'marker': 'o', 'linestyle': ''}
    return [
        *handles,
        Line2D([], [], markersize=4.5, label='beginning', **look),
        Line2D([], [], markersize=5.5, markerfacecolor='none', label='end', **look),
    ]
