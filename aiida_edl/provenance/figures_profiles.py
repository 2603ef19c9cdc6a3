"""The figures of a report that show curves for each charge state, and how far models disagree on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from aiida_edl.provenance.analysed_runs import AnalysedRun
from aiida_edl.provenance.curves import CURVE_FIGURES, PER_NM3, Curve, CurveFigure
from aiida_edl.provenance.figure_parts import (
    MINIMUM_FOR_LINE,
    architecture_handles,
    compared_kinds,
    dot_handles,
    is_of_largest_size,
    kind_handles,
    kinds_of,
    line_styles,
)
from aiida_edl.provenance.figure_style import COLOURS, ink, legend_above, new_figure, zero_line
from aiida_edl.provenance.results import BenchmarkResults, kind_of

ROW_HEIGHT = 1.3
"""Height of a row of panels [inch]."""


@dataclass(frozen=True)
class _Row:
    """One row of panels."""

    label: str
    """Charge state."""
    curve: Curve
    runs: tuple[AnalysedRun, ...]
    """Runs at the charge state that hold the curve."""


def rows_of(results: BenchmarkResults, figure: CurveFigure) -> list[_Row]:
    """Return what a figure of curves has to show, curve by curve at each charge state.

    :param results: what the benchmark has found.
    :param figure: the figure.
    """
    with_ions = {str(state['label']) for state in results.charge_states if sum(state['ions'].values())}
    rows = []
    for curve in figure.curves:
        for label in results.charge_labels:
            if curve.needs_ions and label not in with_ions:
                continue
            runs = tuple(
                run
                for run in results.runs_of(curve.analysis)
                if run.tag.charge_state == label and curve.values(run) is not None
            )
            if runs:
                rows.append(_Row(label, curve, runs))
    return rows


def draw_curves(results: BenchmarkResults, name: str) -> Figure:
    """Draw curves of all runs against the reference, one column for each kind of training.

    :param results: what the benchmark has found.
    :param name: name in :data:`~aiida_edl.provenance.curves.CURVE_FIGURES`.
    """
    kinds, figure_kind = compared_kinds(results), CURVE_FIGURES[name]
    rows = rows_of(results, figure_kind)
    figure = new_figure(0.9 + ROW_HEIGHT * len(rows))
    panels = figure.subplots(len(rows), len(kinds), sharex=True, sharey='row', squeeze=False)
    styles = line_styles(results)
    for row, axes_of_row in zip(rows, panels):
        for kind, axes in zip(kinds, axes_of_row):
            zero_line(axes)
            _draw_reference(axes, row)
            _draw_models(axes, row, _runs_of_kind(results, row, kind), styles)
        axes_of_row[0].set_title(f'charge state {row.label}')
        axes_of_row[0].set_ylabel(_label(results, row.curve))
        if row.curve.starts_at_zero:
            axes_of_row[0].set_ylim(bottom=0.0)
    for axes in panels[-1]:
        axes.set_xlabel(figure_kind.x_label)
    panels[0][0].set_xlim(*figure_kind.x_limits)
    reference = Line2D([], [], color=ink(), linewidth=1.8, label='reference ± error')
    legend_above(figure, [reference, *kind_handles(kinds), *architecture_handles(results)], 2)
    return figure


def _label(results: BenchmarkResults, curve: Curve) -> str:
    """Return what stands at the ordinate of a curve."""
    return curve.y_label.replace('{ion}', results.ion).replace('{metal}', results.metal)


def _runs_of_kind(results: BenchmarkResults, row: _Row, kind: str) -> list[AnalysedRun]:
    """Return the runs of one kind of training, of the largest training set, that count."""
    return [
        run
        for run in row.runs
        if not run.tag.is_reference
        and kind_of(run.tag.training_set) == kind
        and is_of_largest_size(results, run.tag.training_set)
        and run.tag not in results.excluded_tags
    ]


def _errors(run: AnalysedRun, curve: Curve) -> NDArray[Any]:
    """Return the standard errors of a curve; NaN where none are known."""
    errors = curve.errors(run)
    return np.full(np.shape(run.arrays[curve.x]), np.nan) if errors is None else errors


def _draw_reference(axes: Axes, row: _Row) -> None:
    """Draw one curve of the reference dynamics with its error, replicas weighted by their frames."""
    references = [run for run in row.runs if run.tag.is_reference]
    if not references:
        return
    curve = row.curve
    values = np.array([curve.values(run) for run in references])
    errors = np.array([_errors(run, curve) for run in references])
    weights = np.array([run.n_frames for run in references], dtype=np.float64)[:, None]
    weights = np.where(np.isfinite(values), weights, 0.0)
    total = np.where(weights.sum(axis=0) > 0, weights.sum(axis=0), np.nan)
    mean = np.nansum(weights * np.nan_to_num(values), axis=0) / total
    error = np.sqrt(np.nansum((weights * np.nan_to_num(errors)) ** 2, axis=0)) / total
    error = np.where(np.isfinite(errors).any(axis=0), error, np.nan)
    x = references[0].arrays[curve.x]
    low, high = curve.scale * (mean - error), curve.scale * (mean + error)
    axes.fill_between(x, low, high, color=ink(), alpha=0.2, linewidth=0)
    axes.plot(x, curve.scale * mean, color=ink(), linewidth=1.8)


def _draw_models(axes: Axes, row: _Row, runs: Sequence[AnalysedRun], lines: Mapping[str, Any]) -> None:
    """Draw one curve of all runs of one kind: each as a thin line, and the mean with the spread between them.

    Bins that only one run has visited have no spread and no band.
    """
    if not runs:
        return
    curve, colour = row.curve, COLOURS[kind_of(runs[0].tag.training_set)]
    x = runs[0].arrays[curve.x]
    values = curve.scale * np.array([curve.values(run) for run in runs])
    for run, profile in zip(runs, values):
        axes.plot(x, profile, color=colour, linestyle=lines[run.tag.architecture], linewidth=0.7, alpha=0.7)
    counts = np.isfinite(values).sum(axis=0)
    filled = np.ma.masked_invalid(values)
    mean = filled.mean(axis=0).filled(np.nan)
    axes.plot(x, mean, color=colour, linewidth=1.8)
    if len(runs) >= MINIMUM_FOR_LINE:
        spread = np.where(counts >= MINIMUM_FOR_LINE, filled.std(axis=0, ddof=1).filled(np.nan), np.nan)
        axes.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.22, linewidth=0)


def spread_groups(results: BenchmarkResults, observable: str) -> list[Mapping[str, Any]]:
    """Return the spreads over all architectures that are known, by charge state and kind of training.

    :param results: what the benchmark has found.
    :param observable: name of the profile.
    """
    order = {label: position for position, label in enumerate(results.charge_labels)}
    rows = [
        row
        for row in results.answer.get('groups', [])
        if row['observable'] == observable and row['architecture'] == 'all' and row['spread_rms'] is not None
    ]
    return sorted(
        rows,
        key=lambda row: (order.get(row['charge_state'], len(order)), kind_of(row['training_set']), row['training_set']),
    )


def spread_observables(results: BenchmarkResults) -> Mapping[str, tuple[str, float]]:
    """Return title and scale of each profile whose spread is known, by name.

    :param results: what the benchmark has found.
    """
    known = {
        'mean_cosine': (r'spread of $\langle\cos\theta\rangle$', 1.0),
        'ion_number_density': (f'spread of {results.ion} density (nm$^{{-3}}$)', PER_NM3),
        'oxygen_number_density': ('spread of O density (nm$^{-3}$)', PER_NM3),
    }
    return {name: values for name, values in known.items() if spread_groups(results, name)}


def draw_spread(results: BenchmarkResults) -> Figure:
    """Draw how far the models of each training set disagree, over what the noise of the MD would give."""
    observables = spread_observables(results)
    present = {name: spread_groups(results, name) for name in observables}
    figure = new_figure(0.8 + sum(0.55 + 0.26 * len(rows) for rows in present.values()))
    heights = [2 + len(rows) for rows in present.values()]
    panels = figure.subplots(len(present), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (name, rows) in zip(panels, present.items()):
        title, scale = observables[name]
        for position, row in enumerate(rows):
            colour = COLOURS[kind_of(row['training_set'])]
            axes.barh(position, scale * (row['noise_rms'] or 0.0), height=0.62, color=ink(), alpha=0.16)
            axes.plot(scale * row['spread_rms'], position, 'o', color=colour, markersize=6)
        names = [f'{row["charge_state"]}: {row["training_set"]} ({row["n_models"]})' for row in rows]
        axes.set_yticks(range(len(rows)), names)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(left=0.0)
        axes.set_xlabel(title)
        axes.tick_params(axis='y', length=0)
    noise = Line2D([], [], color=ink(), alpha=0.16, linewidth=7, label='noise of the MD alone')
    legend_above(figure, [noise, *dot_handles(kinds_of(results))], 2)
    return figure
