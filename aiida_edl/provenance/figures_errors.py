"""The figures of a report that show errors: on test frames, of charge states, of mixed training, over training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, SymmetricalLogLocator

from aiida_edl.provenance.figure_parts import (
    MEV,
    MINIMUM_FOR_LINE,
    architecture_markers,
    dot_handles,
    is_of_largest_size,
    kind_handles,
    kinds_of,
    marker_handles,
)
from aiida_edl.provenance.figure_style import COLOURS, MARKERS, ink, legend_above, logarithmic, new_figure, zero_line
from aiida_edl.provenance.results import BenchmarkResults, kind_of

LINEAR_RANGE = 1.0
"""Up to where the scale of energy shifts is linear [meV/atom]."""
CONTRAST_COLOURS = {
    'mixed_over_single': COLOURS['mixed'],
    'pair_over_single': COLOURS['pair'],
    'left_out_over_mixed': COLOURS['without'],
    'left_out_over_single': COLOURS['other'],
}
CONTRAST_NAMES = {
    'mixed_over_single': 'mixed over single',
    'pair_over_single': 'pair over single',
    'left_out_over_mixed': 'left out over mixed',
    'left_out_over_single': 'left out over single',
}


def _over_seeds(results: BenchmarkResults) -> dict[tuple[str, str], dict[str, list[Mapping[str, Any]]]]:
    """Return the errors of all seeds, by architecture and training set, then by charge state."""
    groups: dict[tuple[str, str], dict[str, list[Mapping[str, Any]]]] = {}
    for row in results.errors:
        if row['scope'] == 'charge_state':
            of_set = groups.setdefault((row['architecture'], row['training_set']), {})
            of_set.setdefault(row['charge_state'], []).append(row)
    return groups


def _seen_states(results: BenchmarkResults) -> dict[tuple[str, str], set[str]]:
    """Return the charge states that each training set holds, by architecture and training set."""
    return {(item.architecture, item.training_set): set(item.training_charge_labels) for item in results.potentials}


def mean_over_seeds(rows: Sequence[Mapping[str, Any]], quantity: str, unit: str) -> tuple[float, float]:
    """Return the mean of an error over seeds, and its standard error; with one seed, that of the test frames.

    :param rows: rows of errors, one for each seed.
    :param quantity: e.g. ``'force_rmse'``.
    :param unit: e.g. ``'ev_per_angstrom'``.
    """
    values = np.array([row[f'{quantity}_{unit}'] for row in rows], dtype=np.float64)
    if len(values) < MINIMUM_FOR_LINE:
        return float(values[0]), float(rows[0][f'{quantity}_error_{unit}'] or 0.0)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def draw_errors(results: BenchmarkResults) -> Figure:
    """Draw errors at each charge state, means over seeds; open symbols: states that the models were not trained on."""
    groups, seen = _over_seeds(results), _seen_states(results)
    figure = new_figure(1.15 + 0.24 * len(groups))
    panels = figure.subplots(1, 2, sharey=True)
    columns = (
        ('force_rmse', 'ev_per_angstrom', 'force RMSE\n(meV/Å)'),
        ('energy_rmse', 'ev_per_atom', 'energy RMSE\n(meV/atom)'),
    )
    for axes, (quantity, unit, title) in zip(panels, columns):
        for position, (key, states) in enumerate(groups.items()):
            for label, rows in states.items():
                colour = COLOURS[kind_of(key[1])]
                value, error = mean_over_seeds(rows, quantity, unit)
                axes.errorbar(
                    MEV * value,
                    position,
                    xerr=MEV * error,
                    marker=MARKERS[results.charge_labels.index(label) % len(MARKERS)],
                    markersize=5,
                    color=colour,
                    markerfacecolor=colour if label in seen.get(key, set()) else 'none',
                    elinewidth=0.9,
                )
        logarithmic(axes.xaxis)
        axes.set_xlabel(title)
        axes.tick_params(axis='y', length=0)
        axes.grid(axis='x', color=ink(), alpha=0.12, linewidth=0.5)
    names = [f'{name}, {chosen} ({_n_seeds(states)})' for (name, chosen), states in groups.items()]
    panels[0].set_yticks(range(len(groups)), names)
    panels[0].set_ylim(len(groups) - 0.5, -0.5)
    state_handles = [
        Line2D(
            [], [], color=ink(), marker=MARKERS[i % len(MARKERS)], linestyle='', markersize=5, label=f'test: {label}'
        )
        for i, label in enumerate(results.charge_labels)
    ]
    legend_above(figure, [*dot_handles(kinds_of(results)), *state_handles], 2)
    return figure


def _n_seeds(states: Mapping[str, Sequence[Any]]) -> int:
    """Return the number of models of one training set."""
    return max(len(rows) for rows in states.values())


def draw_energy_shifts(results: BenchmarkResults) -> Figure:
    """Draw the mean signed energy error at each charge state, mean over seeds, one panel for each architecture."""
    groups, seen = _over_seeds(results), _seen_states(results)
    shown = {key: states for key, states in groups.items() if is_of_largest_size(results, key[1])}
    names = sorted({name for name, _ in shown})
    figure = new_figure(0.9 + 1.35 * len(names))
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for axes, name in zip(panels, names):
        zero_line(axes)
        sets = [(key, states) for key, states in shown.items() if key[0] == name]
        for number, (key, states) in enumerate(sets):
            shift = 0.5 * ((number + 0.5) / len(sets) - 0.5)
            for label, rows in states.items():
                colour = COLOURS[kind_of(key[1])]
                value, error = mean_over_seeds(rows, 'energy_signed_error', 'ev_per_atom')
                axes.errorbar(
                    results.charge_labels.index(label) + shift,
                    MEV * value,
                    yerr=MEV * error,
                    color=colour,
                    marker='o',
                    markersize=4,
                    markerfacecolor=colour if label in seen.get(key, set()) else 'none',
                    elinewidth=0.8,
                )
        axes.set_title(name)
        axes.set_ylabel('meV/atom')
        axes.set_yscale('symlog', linthresh=LINEAR_RANGE)
        axes.yaxis.set_major_locator(SymmetricalLogLocator(base=10.0, linthresh=LINEAR_RANGE))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
    panels[-1].set_xticks(range(len(results.charge_labels)), results.charge_labels)
    panels[-1].set_xlim(-0.5, len(results.charge_labels) - 0.5)
    panels[-1].set_xlabel('charge state of the test frames')
    legend_above(figure, dot_handles(kinds_of(results)), 2)
    return figure


def ratio_points(results: BenchmarkResults) -> list[Mapping[str, Any]]:
    """Return the ratios of force errors that are drawn: all atoms, largest sets, at each charge state and their mean.

    :param results: what the benchmark has found.
    """
    return [
        row
        for row in results.penalty.get('ratios', [])
        if row['region'] == 'all'
        and row['ratio'] is not None
        and all(is_of_largest_size(results, name) for name in row['training_set'].split(', '))
    ]


def draw_force_ratios(results: BenchmarkResults) -> Figure:
    """Draw force errors of one training over another for each architecture, with intervals over seeds."""
    rows = ratio_points(results)
    contrasts = [name for name in CONTRAST_NAMES if any(row['contrast'] == name for row in rows)]
    names = sorted({row['architecture'] for row in rows})
    labels = [label for label in (*results.charge_labels, 'all') if any(row['charge_state'] == label for row in rows)]
    places = [(name, label) for name in names for label in labels]
    figure = new_figure(1.0 + 0.24 * len(places))
    axes = figure.subplots()
    axes.axvline(1.0, color=ink(), linewidth=0.6, alpha=0.5)
    for row in rows:
        number = contrasts.index(row['contrast'])
        place = places.index((row['architecture'], row['charge_state']))
        _draw_ratio(axes, row, place + 0.6 * ((number + 0.5) / len(contrasts) - 0.5))
    names_of_places = [f'{name}, {"mean" if label == "all" else label}' for name, label in places]
    axes.set_yticks(range(len(places)), names_of_places)
    axes.set_ylim(len(places) - 0.5, -0.5)
    logarithmic(axes.xaxis)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0), numticks=6))
    axes.set_xlabel('ratio of force RMSE')
    axes.tick_params(axis='y', length=0)
    axes.grid(axis='x', color=ink(), alpha=0.12, linewidth=0.5)
    handles = [
        Line2D([], [], color=CONTRAST_COLOURS[name], marker='o', markersize=5, linestyle='', label=CONTRAST_NAMES[name])
        for name in contrasts
    ]
    legend_above(figure, handles, 2)
    return figure


def _draw_ratio(axes: Axes, row: Mapping[str, Any], position: float) -> None:
    """Draw one ratio with its interval, if it has one."""
    colour = CONTRAST_COLOURS[row['contrast']]
    bar = None
    if row['ratio_low'] is not None:
        bar = [[row['ratio'] - row['ratio_low']], [row['ratio_high'] - row['ratio']]]
    axes.errorbar(
        row['ratio'],
        position,
        xerr=bar,
        marker='D' if row['charge_state'] == 'all' else 'o',
        markersize=5,
        color=colour,
        markerfacecolor='none' if row['finding'] in ('undecided', 'too_few_seeds') else colour,
        elinewidth=0.9,
    )


def draw_receptive_fields(results: BenchmarkResults) -> Figure:
    """Draw what mixed training costs each architecture against its receptive field, one panel for each cost."""
    correlations = results.ranking.get('correlations', [])
    markers = architecture_markers(results)
    figure = new_figure(0.7 + 1.45 * len(correlations))
    panels = figure.subplots(len(correlations), 1, sharex=True, squeeze=False)[:, 0]
    for axes, correlation in zip(panels, correlations):
        zero_line(axes)
        for point in results.ranking['points']:
            if point['quantity'] == correlation['quantity']:
                axes.errorbar(
                    point['receptive_field_angstrom'],
                    point['penalty'],
                    yerr=point['penalty_error'] or 0.0,
                    color=COLOURS['mixed'],
                    marker=markers.get(point['architecture'], 'o'),
                    markersize=6,
                    elinewidth=0.9,
                )
        axes.set_title(correlation['quantity'])
        axes.set_ylabel('' if correlation['unit'] == '1' else correlation['unit'])
        tau = correlation['tau']
        note = 'no order' if tau is None else f'τ = {tau:+.2f}, {correlation["trend"].replace("_", " ")}'
        axes.annotate(note, (0.99, 0.96), xycoords='axes fraction', ha='right', va='top', fontsize=8.0)
        axes.margins(x=0.12, y=0.25)
    panels[-1].set_xlabel('receptive field (Å)')
    legend_above(figure, marker_handles(results), 3)
    return figure


def draw_learning_curves(results: BenchmarkResults) -> Figure:
    """Draw the force error on the validation frames during training, one panel for each architecture."""
    names = sorted({potential.architecture for potential, _ in results.learning_curves})
    n_columns = min(len(names), 3)
    n_rows = -(-len(names) // n_columns)
    figure = new_figure(0.8 + 1.8 * n_rows)
    panels = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False).ravel()
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
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    for axes in panels[::n_columns]:
        axes.set_ylabel('force RMSE (meV/Å)')
    legend_above(figure, kind_handles(kinds_of(results)), 2)
    return figure
