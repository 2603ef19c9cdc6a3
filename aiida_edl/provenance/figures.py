"""The figures of a report, each from the results of a benchmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from aiida_edl.provenance.figure_style import (
    COLOURS,
    LINE_STYLES,
    MARKERS,
    RenderedFigure,
    ink,
    legend_above,
    logarithmic,
    new_figure,
    render,
    zero_line,
)
from aiida_edl.provenance.results import BenchmarkResults, kind_of, model_name
from aiida_edl.science.analysis.model_tags import ModelProfile

MEV = 1000.0
"""meV in one eV."""
IONS_PER_NM3 = 1000.0
"""1/nm³ in one 1/Å³."""
MINIMUM_FOR_LINE = 2
"""Points that make a line."""


@dataclass(frozen=True)
class FigureKind:
    """One figure: how it is drawn and which table holds its numbers."""

    draw: Callable[[BenchmarkResults], Figure]
    has_content: Callable[[BenchmarkResults], bool]
    """Whether the benchmark has what it shows."""
    table: str
    """Name in :data:`aiida_edl.provenance.tables.TABLES`."""
    title: str


def _line_styles(results: BenchmarkResults) -> Mapping[str, Any]:
    """Return the line style of each architecture."""
    names = sorted({item.tag.architecture for item in results.profiles if not item.tag.is_reference})
    names = names or sorted({potential.architecture for potential in results.potentials})
    return {name: LINE_STYLES[index % len(LINE_STYLES)] for index, name in enumerate(names)}


def _kinds(results: BenchmarkResults) -> list[str]:
    """Return the kinds of training that occur."""
    found = {kind_of(potential.training_set) for potential in results.potentials}
    return [kind for kind in COLOURS if kind in found]


def _kind_handles(results: BenchmarkResults) -> list[Line2D]:
    """Return entries of a legend for the kinds of training."""
    names = {'mixed': 'trained on all charges', 'single': 'trained on one charge', 'other': 'other training set'}
    return [Line2D([], [], color=COLOURS[kind], linewidth=1.8, label=names[kind]) for kind in _kinds(results)]


def _architecture_handles(results: BenchmarkResults) -> list[Line2D]:
    """Return entries of a legend for the architectures, if there are several."""
    styles = _line_styles(results)
    if len(styles) < MINIMUM_FOR_LINE:
        return []
    return [Line2D([], [], color=ink(), linewidth=1.2, linestyle=line, label=name) for name, line in styles.items()]


def _combined(items: Sequence[ModelProfile], name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return mean and standard error over replicas of the reference, weighted by their frames."""
    weights = np.array([item.profiles.n_frames for item in items], dtype=np.float64)[:, None]
    values = np.array([getattr(item.profiles, f'coarse_{name}') for item in items])
    errors = np.array([getattr(item.profiles, f'coarse_{name}_error') for item in items])
    weights = np.where(np.isfinite(values), weights, 0.0)
    total = np.where(weights.sum(axis=0) > 0, weights.sum(axis=0), np.nan)
    mean = np.nansum(weights * np.nan_to_num(values), axis=0) / total
    error = np.sqrt(np.nansum((weights * np.nan_to_num(errors)) ** 2, axis=0)) / total
    return mean, np.where(np.isfinite(errors).any(axis=0), error, np.nan)


def _draw_reference(axes: Axes, results: BenchmarkResults, label: str, name: str, scale: float) -> None:
    """Draw one profile of the reference dynamics with its error."""
    references = results.of_state(label, is_reference=True)
    if references:
        z = references[0].profiles.coarse_z
        mean, error = _combined(references, name)
        axes.fill_between(z, scale * (mean - error), scale * (mean + error), color=ink(), alpha=0.2, linewidth=0)
        axes.plot(z, scale * mean, color=ink(), linewidth=1.8)


def _draw_models(axes: Axes, runs: Sequence[ModelProfile], name: str, scale: float, lines: Mapping[str, Any]) -> None:
    """Draw one profile of all runs of one kind: each as a thin line, and the mean with the spread between them.

    Bins that only one run has visited have no spread and no band.
    """
    if not runs:
        return
    colour = COLOURS[kind_of(runs[0].tag.training_set)]
    z = runs[0].profiles.coarse_z
    values = scale * np.array([getattr(run.profiles, f'coarse_{name}') for run in runs])
    for run, profile in zip(runs, values):
        axes.plot(z, profile, color=colour, linestyle=lines[run.tag.architecture], linewidth=0.7, alpha=0.7)
    counts = np.isfinite(values).sum(axis=0)
    filled = np.ma.masked_invalid(values)
    mean = filled.mean(axis=0).filled(np.nan)
    axes.plot(z, mean, color=colour, linewidth=1.8)
    if len(runs) >= MINIMUM_FOR_LINE:
        spread = np.where(counts >= MINIMUM_FOR_LINE, filled.std(axis=0, ddof=1).filled(np.nan), np.nan)
        axes.fill_between(z, mean - spread, mean + spread, color=colour, alpha=0.22, linewidth=0)


def draw_orientation(results: BenchmarkResults) -> Figure:
    """Draw orientation of water and density of ions against the reference, one column for each kind of training."""
    kinds = _kinds(results) or ['mixed']
    labels = [label for label in results.charge_labels if results.of_state(label, False)] or list(results.charge_labels)
    with_ions = [str(state['label']) for state in results.charge_states if sum(state['ions'].values())]
    rows = [(label, 'mean_cosine', 1.0, r'$\langle\cos\theta\rangle$') for label in labels]
    ion_title = f'{results.ion} (nm$^{{-3}}$)'
    rows += [(label, 'ion_number_density', IONS_PER_NM3, ion_title) for label in labels if label in with_ions]
    figure = new_figure(0.9 + 1.3 * len(rows))
    panels = figure.subplots(len(rows), len(kinds), sharex=True, sharey='row', squeeze=False)
    styles = _line_styles(results)
    for (label, name, scale, title), row in zip(rows, panels):
        for kind, axes in zip(kinds, row):
            zero_line(axes)
            _draw_reference(axes, results, label, name, scale)
            runs = [run for run in results.of_state(label, False) if kind_of(run.tag.training_set) == kind]
            _draw_models(axes, runs, name, scale, styles)
        row[0].set_title(f'charge state {label}')
        row[0].set_ylabel(title)
        if name == 'ion_number_density':
            row[0].set_ylim(bottom=0.0)
    for axes in panels[-1]:
        axes.set_xlabel('height above surface (Å)')
    panels[0][0].set_xlim(left=0.0)
    reference = Line2D([], [], color=ink(), linewidth=1.8, label='reference ± error')
    legend_above(figure, [reference, *_kind_handles(results), *_architecture_handles(results)], 2)
    return figure


def _spread_groups(results: BenchmarkResults, observable: str) -> list[Mapping[str, Any]]:
    """Return the spreads over all architectures that are known, by charge state and kind of training."""
    rows = [
        row
        for row in results.answer.get('groups', [])
        if row['observable'] == observable and row['architecture'] == 'all' and row['spread_rms'] is not None
    ]
    return sorted(rows, key=lambda row: (row['charge_state'], kind_of(row['training_set']), row['training_set']))


def draw_spread(results: BenchmarkResults) -> Figure:
    """Draw how far the models of each training set disagree, over what the noise of the MD would give."""
    observables = {'mean_cosine': (r'spread of $\langle\cos\theta\rangle$', 1.0)}
    observables['ion_number_density'] = (f'spread of {results.ion} density (nm$^{{-3}}$)', IONS_PER_NM3)
    present = {name: _spread_groups(results, name) for name in observables}
    present = {name: rows for name, rows in present.items() if rows}
    figure = new_figure(0.8 + sum(0.55 + 0.26 * len(rows) for rows in present.values()))
    heights = [2 + len(rows) for rows in present.values()]
    panels = figure.subplots(len(present), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (name, rows) in zip(panels, present.items()):
        title, scale = observables[name]
        for position, row in enumerate(rows):
            colour = COLOURS[kind_of(row['training_set'])]
            axes.barh(position, scale * row['noise_rms'], height=0.62, color=ink(), alpha=0.16)
            axes.plot(scale * row['spread_rms'], position, 'o', color=colour, markersize=6)
        names = [f'{row["charge_state"]}: {row["training_set"]} ({row["n_models"]})' for row in rows]
        axes.set_yticks(range(len(rows)), names)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(left=0.0)
        axes.set_xlabel(title)
        axes.tick_params(axis='y', length=0)
    noise = Line2D([], [], color=ink(), alpha=0.16, linewidth=7, label='noise of the MD alone')
    dots = [
        Line2D([], [], color=handle.get_color(), marker='o', linestyle='', label=handle.get_label())
        for handle in _kind_handles(results)
    ]
    legend_above(figure, [noise, *dots], 2)
    return figure


def _rows_of_models(results: BenchmarkResults) -> dict[str, list[Mapping[str, Any]]]:
    """Return the errors at each charge state by the name of the model."""
    models: dict[str, list[Mapping[str, Any]]] = {}
    for row in results.errors:
        if row['scope'] == 'charge_state':
            models.setdefault(model_name(row), []).append(row)
    return models


def _seen_states(results: BenchmarkResults) -> dict[str, set[str]]:
    """Return the charge states each model was trained on, by its name."""
    return {model_name(potential): set(potential.training_charge_labels) for potential in results.potentials}


def _state_handles(results: BenchmarkResults) -> list[Line2D]:
    """Return entries of a legend for the charge states."""
    return [
        Line2D(
            [],
            [],
            color=ink(),
            marker=MARKERS[index % len(MARKERS)],
            linestyle='',
            markersize=5,
            label=f'test: {label}',
        )
        for index, label in enumerate(results.charge_labels)
    ]


def draw_errors(results: BenchmarkResults) -> Figure:
    """Draw force and energy errors of each model at each charge state; open symbols: states it was not trained on."""
    models = _rows_of_models(results)
    seen = _seen_states(results)
    figure = new_figure(1.15 + 0.24 * len(models))
    panels = figure.subplots(1, 2, sharey=True)
    columns = (
        ('force_rmse', 'ev_per_angstrom', 'force RMSE\n(meV/Å)'),
        ('energy_rmse', 'ev_per_atom', 'energy RMSE\n(meV/atom)'),
    )
    for axes, (quantity, unit, title) in zip(panels, columns):
        for position, (name, rows) in enumerate(models.items()):
            for row in rows:
                index = results.charge_labels.index(row['charge_state'])
                colour = COLOURS[kind_of(row['training_set'])]
                axes.errorbar(
                    MEV * row[f'{quantity}_{unit}'],
                    position,
                    xerr=MEV * (row[f'{quantity}_error_{unit}'] or 0.0),
                    marker=MARKERS[index % len(MARKERS)],
                    markersize=5,
                    color=colour,
                    markerfacecolor=colour if row['charge_state'] in seen.get(name, set()) else 'none',
                    elinewidth=0.9,
                )
        logarithmic(axes.xaxis)
        axes.set_xlabel(title)
        axes.tick_params(axis='y', length=0)
        axes.grid(axis='x', color=ink(), alpha=0.12, linewidth=0.5)
    panels[0].set_yticks(range(len(models)), list(models))
    panels[0].set_ylim(len(models) - 0.5, -0.5)
    legend_above(figure, [*_kind_handles(results), *_state_handles(results)], 2)
    return figure


def draw_energy_shifts(results: BenchmarkResults) -> Figure:
    """Draw the mean signed energy error of each model at each charge state."""
    figure = new_figure(2.9)
    axes = figure.subplots()
    styles = _line_styles(results)
    zero_line(axes)
    models = _rows_of_models(results)
    seen = _seen_states(results)
    for number, (name, rows) in enumerate(models.items()):
        ordered = sorted(rows, key=lambda row: results.charge_labels.index(row['charge_state']))
        shift = 0.24 * ((number + 0.5) / len(models) - 0.5)
        positions = [results.charge_labels.index(row['charge_state']) + shift for row in ordered]
        values = [MEV * row['energy_signed_error_ev_per_atom'] for row in ordered]
        colour = COLOURS[kind_of(ordered[0]['training_set'])]
        line = styles.get(ordered[0]['architecture'], '-')
        axes.plot(positions, values, color=colour, linestyle=line, linewidth=0.8, alpha=0.6)
        for position, value, row in zip(positions, values, ordered):
            axes.errorbar(
                position,
                value,
                yerr=MEV * (row['energy_signed_error_error_ev_per_atom'] or 0.0),
                color=colour,
                marker='o',
                markersize=4,
                markerfacecolor=colour if row['charge_state'] in seen.get(name, set()) else 'none',
                elinewidth=0.8,
            )
    axes.set_xticks(range(len(results.charge_labels)), results.charge_labels)
    axes.set_xlim(-0.4, len(results.charge_labels) - 0.6)
    axes.set_xlabel('charge state of the test frames')
    axes.set_ylabel('mean energy error (meV/atom)')
    legend_above(figure, [*_kind_handles(results), *_architecture_handles(results)], 2)
    return figure


def draw_learning_curves(results: BenchmarkResults) -> Figure:
    """Draw the force error on the validation frames during training, one panel for each architecture."""
    names = sorted({potential.architecture for potential, _ in results.learning_curves})
    figure = new_figure(2.6)
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, names):
        for potential, curve in results.learning_curves:
            if potential.architecture != name:
                continue
            is_positive = curve.gradient_updates > 0
            axes.plot(
                curve.gradient_updates[is_positive],
                MEV * curve.validation_force_rmse[is_positive],
                color=COLOURS[kind_of(potential.training_set)],
                linewidth=1.0,
                alpha=0.85,
                marker='.' if is_positive.sum() < MINIMUM_FOR_LINE else '',
            )
        logarithmic(axes.xaxis)
        logarithmic(axes.yaxis)
        axes.set_title(name)
        axes.set_xlabel('gradient updates')
    panels[0].set_ylabel('force RMSE (meV/Å)')
    legend_above(figure, _kind_handles(results), 2)
    return figure


FIGURES: Mapping[str, FigureKind] = {
    'orientation': FigureKind(
        draw_orientation, lambda results: bool(results.profiles), 'profiles', 'Water orientation and ions'
    ),
    'spread': FigureKind(
        draw_spread,
        lambda results: any(_spread_groups(results, name) for name in ('mean_cosine', 'ion_number_density')),
        'spread',
        'Disagreement between models',
    ),
    'errors': FigureKind(draw_errors, lambda results: bool(results.errors), 'errors', 'Errors on test frames'),
    'energy_shifts': FigureKind(
        draw_energy_shifts, lambda results: bool(results.errors), 'energy_shifts', 'Energy shift at each charge state'
    ),
    'learning_curves': FigureKind(
        draw_learning_curves, lambda results: bool(results.learning_curves), 'learning_curves', 'Learning curves'
    ),
}
"""Figures by name, in the order of the report."""


def render_figures(results: BenchmarkResults) -> dict[str, RenderedFigure]:
    """Return every figure for which the benchmark has numbers, by name.

    :param results: what the benchmark has found.
    """
    return {
        name: render(name, lambda kind=kind: kind.draw(results))  # type: ignore[misc]
        for name, kind in FIGURES.items()
        if kind.has_content(results)
    }
