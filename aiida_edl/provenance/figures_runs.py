"""The figures of a report on how good and how long runs are, on set sizes, capacitance, and the solvent dipole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from aiida_edl.provenance.figure_parts import (
    MEV,
    architecture_handles,
    architecture_markers,
    dot_handles,
    kind_handles,
    kinds_of,
    line_styles,
    marker_handles,
)
from aiida_edl.provenance.figure_style import COLOURS, ink, legend_above, logarithmic, new_figure
from aiida_edl.provenance.results import BenchmarkResults, kind_of
from aiida_edl.provenance.tables_runs import convergence_rows, size_rows, solvent_dipole_rows, survival_curve_rows

REFERENCE = 'reference'
"""Name of the reference among series and kinds of runs."""
JITTER = 0.28
"""Largest distance of a dot from its row, so that dots of one value are told apart."""


def draw_survival_of_runs(results: BenchmarkResults) -> Figure:
    """Draw the share of runs that stay physical against time, one step curve for each architecture and training set."""
    figure = new_figure(2.6)
    axes = figure.subplots()
    styles = line_styles(results)
    for item in results.survivals:
        rows = [row for row in survival_curve_rows(results) if _of(row) == (item.architecture, item.training_set)]
        end = float(item.scalars.get('longest') or 0.0) / 1000.0
        times = [*(row['time_ps'] for row in rows), end]
        shares = [*(row['surviving_fraction'] for row in rows), rows[-1]['surviving_fraction']]
        style = styles.get(item.architecture, '-')
        axes.step(times, shares, where='post', color=COLOURS[kind_of(item.training_set)], linestyle=style, alpha=0.8)
    axes.set_ylim(0.0, 1.05)
    axes.set_xlim(left=0.0)
    axes.set_xlabel('time (ps)')
    axes.set_ylabel('runs that stay physical')
    legend_above(figure, [*kind_handles(kinds_of(results)), *architecture_handles(results)], 2)
    return figure


def draw_errors_over_size(results: BenchmarkResults) -> Figure:
    """Draw errors on the test frames against the size of the training set, both scales logarithmic."""
    figure = new_figure(2.8)
    panels = figure.subplots(1, 2)
    styles = line_styles(results)
    columns = (
        ('force_rmse', 'ev_per_angstrom', 'force RMSE (meV/Å)'),
        ('energy_rmse', 'ev_per_atom', 'energy RMSE (meV/atom)'),
    )
    for axes, (quantity, unit, title) in zip(panels, columns):
        for item in results.errors_over_size:
            rows = [row for row in size_rows(results) if _of(row) == (item.architecture, item.training_set)]
            axes.errorbar(
                [row['n_training_frames'] for row in rows],
                [MEV * row[f'{quantity}_{unit}'] for row in rows],
                yerr=[MEV * (row[f'{quantity}_error_{unit}'] or 0.0) for row in rows],
                color=COLOURS[kind_of(item.training_set)],
                linestyle=styles.get(item.architecture, '-'),
                marker='o',
                markersize=4,
                elinewidth=0.9,
            )
        logarithmic(axes.xaxis)
        logarithmic(axes.yaxis)
        axes.set_xlabel('training frames')
        axes.set_title(title)
    legend_above(figure, [*kind_handles(kinds_of(results)), *architecture_handles(results)], 2)
    return figure


def has_convergence(results: BenchmarkResults) -> bool:
    """Return whether it is known of any observable how long a run would have to be."""
    return any(row['length_factor'] is not None for row in convergence_rows(results))


def draw_convergence(results: BenchmarkResults) -> Figure:
    """Draw by how much each run would have to be longer for the wanted error, one row for each observable."""
    rows = [row for row in convergence_rows(results) if row['length_factor'] is not None]
    names = list(dict.fromkeys(str(row['observable']) for row in rows))
    figure = new_figure(1.2 + 0.34 * len(names))
    axes = figure.subplots()
    axes.axvspan(min(1e-3, *(row['length_factor'] for row in rows)), 1.0, color=ink(), alpha=0.08, linewidth=0)
    for position, name in enumerate(names):
        members = [row for row in rows if row['observable'] == name]
        heights = position + JITTER * np.linspace(-1.0, 1.0, len(members)) if len(members) > 1 else [position]
        for row, height in zip(members, heights):
            colour = ink() if row['kind'] == REFERENCE else COLOURS[row['kind']]
            axes.plot(row['length_factor'], height, 'o', color=colour, markersize=3.2, alpha=0.8)
    logarithmic(axes.xaxis)
    axes.set_xlim(left=0.8 * min(row['length_factor'] for row in rows))
    axes.set_yticks(range(len(names)), [name.replace('_', ' ') for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis='y', length=0)
    axes.set_xlabel('length needed / length of the run')
    reference = Line2D([], [], color=ink(), marker='o', linestyle='', markersize=4, label=REFERENCE)
    legend_above(figure, [reference, *dot_handles(kinds_of(results))], 2)
    return figure


def capacitance_points(results: BenchmarkResults) -> list[Mapping[str, Any]]:
    """Return the charge states of all series whose potential drop is known.

    :param results: what the benchmark has found.
    """
    return [
        row for row in results.capacitance.get('points', []) if {*AXES} <= {k for k, v in row.items() if v is not None}
    ]


AXES = ('potential_drop', 'surface_charge')
"""Columns of a charge state: potential drop [V] and surface charge [µC/cm²]."""


def draw_capacitance(results: BenchmarkResults) -> Figure:
    """Draw the surface charge against the potential drop: the slope is the capacitance."""
    figure = new_figure(2.9)
    axes = figure.subplots()
    markers = architecture_markers(results)
    series: dict[str, list[Mapping[str, Any]]] = {}
    for row in capacitance_points(results):
        series.setdefault(str(row['series']), []).append(row)
    for name, rows in series.items():
        architecture, training_set = ([*name.split(', '), ''])[:2]
        is_reference = name.startswith(REFERENCE)
        colour = ink() if is_reference else COLOURS[kind_of(training_set)]
        axes.errorbar(
            [row['potential_drop'] for row in rows],
            [row['surface_charge'] for row in rows],
            xerr=[row.get('potential_drop_error') or 0.0 for row in rows],
            color=colour,
            marker=markers.get(architecture, 'o'),
            markersize=4,
            linewidth=1.6 if is_reference else 0.6,
            elinewidth=0.8,
            alpha=1.0 if is_reference else 0.7,
        )
    axes.set_xlabel('potential drop (V)')
    axes.set_ylabel('surface charge (µC/cm²)')
    reference = Line2D([], [], color=ink(), linewidth=1.6, label=REFERENCE)
    legend_above(figure, [reference, *dot_handles(kinds_of(results)), *marker_handles(results)], 2)
    return figure


def draw_solvent_dipoles(results: BenchmarkResults) -> Figure:
    """Draw how strongly the total solvent dipole of each model fluctuates over that of the reference."""
    rows = solvent_dipole_rows(results)
    groups = _groups(rows)
    figure = new_figure(1.1 + 0.26 * len(groups))
    axes = figure.subplots()
    axes.axvline(1.0, color=ink(), linewidth=0.8)
    for position, (key, members) in enumerate(groups.items()):
        offsets = 0.25 * np.linspace(-1.0, 1.0, len(members)) if len(members) > 1 else [0.0]
        for row, offset in zip(members, offsets):
            error = row['ratio_error'] or 0.0
            axes.errorbar(
                row['ratio'],
                position + offset,
                xerr=error,
                marker='o',
                markersize=3.5,
                color=COLOURS[kind_of(key[2])],
                elinewidth=0.7,
            )
    axes.set_yticks(range(len(groups)), [f'{state}: {name}, {chosen}' for state, name, chosen in groups])
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.tick_params(axis='y', length=0)
    axes.set_xlabel('variance of the solvent dipole\nover that of the reference')
    legend_above(figure, dot_handles(kinds_of(results)), 2)
    return figure


def _groups(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, str], list[Mapping[str, Any]]]:
    """Return rows by charge state, architecture and training set."""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in sorted(
        rows, key=lambda row: (row['charge_state'], row['architecture'], row['training_set'], row['seed'])
    ):
        groups.setdefault((row['charge_state'], row['architecture'], row['training_set']), []).append(row)
    return groups


def _of(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return architecture and training set of a row."""
    return str(row['architecture']), str(row['training_set'])
