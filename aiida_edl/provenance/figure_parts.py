"""What the figures of a report share: which runs they show, in which colours and line styles, and their legends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from aiida_edl.provenance.figure_style import COLOURS, LINE_STYLES, MARKERS, ink
from aiida_edl.provenance.results import BenchmarkResults, kind_of
from aiida_edl.science.analysis.training_sets import TrainingSet

MEV = 1000.0
"""meV in one eV."""
PER_NM3 = 1000.0
"""1/nm³ in one 1/Å³."""
MINIMUM_FOR_LINE = 2
"""Points that make a line."""
KIND_NAMES = {
    'mixed': 'trained on all charges',
    'single': 'trained on one charge',
    'without': 'trained on all charges but one',
    'pair': 'trained on a few charges',
    'other': 'other training set',
}
"""What the kinds of training set are called in legends."""


@dataclass(frozen=True)
class FigureKind:
    """One figure: how it is drawn and which table holds its numbers."""

    draw: Callable[[BenchmarkResults], Figure]
    has_content: Callable[[BenchmarkResults], bool]
    """Whether the benchmark has what it shows."""
    table: str
    """Name in :data:`aiida_edl.provenance.tables.TABLES`."""
    title: str


def line_styles(results: BenchmarkResults) -> Mapping[str, Any]:
    """Return the line style of each architecture."""
    names = sorted({item.tag.architecture for item in results.profiles if not item.tag.is_reference})
    names = names or sorted({potential.architecture for potential in results.potentials})
    return {name: LINE_STYLES[index % len(LINE_STYLES)] for index, name in enumerate(names)}


def architecture_markers(results: BenchmarkResults) -> Mapping[str, str]:
    """Return the marker of each architecture."""
    names = sorted({potential.architecture for potential in results.potentials})
    return {name: MARKERS[index % len(MARKERS)] for index, name in enumerate(names)}


def kinds_of(results: BenchmarkResults) -> list[str]:
    """Return the kinds of training that occur."""
    found = {kind_of(potential.training_set) for potential in results.potentials}
    return [kind for kind in COLOURS if kind in found]


def compared_kinds(results: BenchmarkResults) -> list[str]:
    """Return the kinds of training that figures of profiles show side by side: mixed and single, if both occur."""
    kinds = kinds_of(results)
    return [kind for kind in kinds if kind in ('mixed', 'single')] or kinds or ['mixed']


def is_of_largest_size(results: BenchmarkResults, training_set: str) -> bool:
    """Return whether a training set is of the largest size that its name could tell; figures of profiles show these."""
    sizes = [TrainingSet.from_name(potential.training_set).size or 0 for potential in results.potentials]
    return (TrainingSet.from_name(training_set).size or 0) >= max(sizes, default=0)


def kind_handles(kinds: list[str]) -> list[Line2D]:
    """Return entries of a legend for the kinds of training."""
    return [Line2D([], [], color=COLOURS[kind], linewidth=1.8, label=KIND_NAMES[kind]) for kind in kinds]


def dot_handles(kinds: list[str]) -> list[Line2D]:
    """Return entries of a legend for the kinds of training, as dots."""
    return [
        Line2D([], [], color=COLOURS[kind], marker='o', linestyle='', markersize=5, label=KIND_NAMES[kind])
        for kind in kinds
    ]


def architecture_handles(results: BenchmarkResults) -> list[Line2D]:
    """Return entries of a legend for the architectures, if there are several."""
    styles = line_styles(results)
    if len(styles) < MINIMUM_FOR_LINE:
        return []
    return [Line2D([], [], color=ink(), linewidth=1.2, linestyle=line, label=name) for name, line in styles.items()]


def marker_handles(results: BenchmarkResults) -> list[Line2D]:
    """Return entries of a legend for the architectures, as markers, if there are several."""
    markers = architecture_markers(results)
    if len(markers) < MINIMUM_FOR_LINE:
        return []
    return [
        Line2D([], [], color=ink(), marker=marker, linestyle='', markersize=5, label=name)
        for name, marker in markers.items()
    ]
