"""The figures of a fine-tuning study: learning curves, diffusion against temperature, mechanism, accuracy and cost.

Of learning curves, coefficients and shares, points whose error is not known are hollow, and lines of models that learnt
no frame are dotted; the others have error bars, and such lines a band. In the figure of the cost each point is one
model, without an error bar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from aiida_edl.provenance.figure_style import MARKERS, ink, legend_above, logarithmic, new_figure
from aiida_edl.science.units import SQUARE_CENTIMETRE_PER_SECOND

Rows = Sequence[Mapping[str, Any]]
PALETTE = ('#d9622b', '#2a86c8', '#3f9b76', '#9a6bb5', '#8c8c8c', '#c2a12b', '#b5476b', '#4a5aa8')
"""Colours of families: told apart by all, and half light, for both backgrounds."""
MEV = 1000.0
"""meV in one eV."""
PERCENT = 100.0
QUANTITIES: Mapping[str, tuple[str, float]] = {
    'test_force_rmse_ev_per_angstrom': ('force RMSE (meV/Å)', MEV),
    'holdout_force_rmse_ev_per_angstrom': ('force RMSE on\nold frames (meV/Å)', MEV),
    'physical_time_ps': ('physical until (ps)', 1.0),
    'activation_energy_ev': ('activation energy (eV)', 1.0),
    'rate_activation_energy_ev': ('activation energy\nof the rate (eV)', 1.0),
}
"""Label and factor of the quantities of the learning curves."""
OF_RUNS = ('physical_time_ps', 'activation_energy_ev', 'rate_activation_energy_ev')
"""Those that depend on the system, and are drawn on a linear axis."""


def families_of(comparison: Mapping[str, Any]) -> list[str]:
    """Return the families of a comparison, in order of name.

    :param comparison: result of ``edl.fine_tuning_comparison``.
    """
    return sorted({row['family'] for row in comparison['models']})


def _look(families: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return colour and marker of each family."""
    return {
        name: {'color': PALETTE[index % len(PALETTE)], 'marker': MARKERS[index % len(MARKERS)]}
        for index, name in enumerate(families)
    }


def _handles(families: Sequence[str]) -> list[Line2D]:
    """Return the entries of the legend."""
    return [
        Line2D([], [], markersize=5, linewidth=1.2, label=name.replace('_', ' '), **look)
        for name, look in _look(families).items()
    ]


def systems_of(comparison: Mapping[str, Any]) -> list[str]:
    """Return the systems of a comparison.

    :param comparison: result of ``edl.fine_tuning_comparison``.
    """
    return sorted({row['system'] for row in comparison['models']})


def _curves(comparison: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return which quantity of which system has a panel; errors do not depend on the system."""
    present = {(row['quantity'], row['system']) for row in comparison['learning_curves']}
    systems = systems_of(comparison)
    wished = [
        (quantity, system) for quantity in QUANTITIES for system in (systems if quantity in OF_RUNS else systems[:1])
    ]
    return [pair for pair in wished if pair in present]


def draw_learning_curves(comparison: Mapping[str, Any]) -> Figure:
    """Draw errors, and what runs say, against the number of training frames; models that learn none are lines.

    :param comparison: result of ``edl.fine_tuning_comparison``.
    """
    families, panels = families_of(comparison), _curves(comparison)
    figure = new_figure(0.6 + 1.7 * len(panels))
    all_axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (quantity, system) in zip(all_axes, panels):
        label, factor = QUANTITIES[quantity]
        axes.set_ylabel(label if len(systems_of(comparison)) == 1 else f'{label}\n{system}')
        for family, look in _look(families).items():
            rows = [
                row
                for row in comparison['learning_curves']
                if (row['quantity'], row['system'], row['family']) == (quantity, system, family)
            ]
            _draw_curve(axes, sorted(rows, key=lambda row: (row['n_frames'], row['n_replay'])), factor, look)
        logarithmic(axes.xaxis)
        if quantity not in OF_RUNS:
            logarithmic(axes.yaxis)
        axes.grid(color=ink(), alpha=0.12, linewidth=0.5)
    all_axes[-1].set_xlabel('training frames')
    legend_above(figure, _handles(families), 2)
    return figure


def _draw_curve(axes: Axes, rows: Rows, factor: float, look: Mapping[str, Any]) -> None:
    """Draw one family: points, or a line across for models that learnt no frame, dotted if its error is not known."""
    for row in rows:
        if not row['n_frames']:
            is_known = row['error'] is not None
            axes.axhline(
                factor * row['mean'],
                color=look['color'],
                linewidth=1.0,
                linestyle=(0, (4, 1.5) if is_known else (1, 2)),
            )
            if is_known:
                low, high = (factor * (row['mean'] + sign * row['error']) for sign in (-1, 1))
                axes.axhspan(low, high, color=look['color'], alpha=0.15, linewidth=0)
    for replay in sorted({row['n_replay'] for row in rows if row['n_frames']}):
        points = [row for row in rows if row['n_frames'] and row['n_replay'] == replay]
        _draw_points(
            axes,
            [row['n_frames'] for row in points],
            [factor * row['mean'] for row in points],
            [_scaled(row['error'], factor) for row in points],
            look,
        )


def _scaled(error: float | None, factor: float) -> float | None:
    """Return an error in another unit, None if it is not known."""
    return None if error is None else factor * error


def _draw_points(
    axes: Axes,
    places: Sequence[float],
    values: Sequence[float],
    errors: Sequence[float | None],
    look: Mapping[str, Any],
) -> None:
    """Draw a line through points: full ones with error bars, hollow ones where the error is not known."""
    axes.plot(places, values, color=look['color'], linewidth=1.0)
    points = list(zip(places, values, errors))
    known = [(place, value, error) for place, value, error in points if error is not None]
    unknown = [(place, value) for place, value, error in points if error is None]
    if known:
        x, y, bars = zip(*known)
        axes.errorbar(x, y, yerr=bars, linestyle='', markersize=4, elinewidth=0.9, **look)
    if unknown:
        axes.plot(*zip(*unknown), linestyle='', markersize=4, markerfacecolor='none', **look)


def _draw_models(
    comparison: Mapping[str, Any],
    rows: Rows,
    height: float,
    point: Callable[[Mapping[str, Any]], tuple[float, float, float | None]],
) -> Figure:
    """Draw a panel for each system: lines through the points of the models with the largest training sets.

    :param comparison: result of ``edl.fine_tuning_comparison``.
    :param rows: its rows that hold a point.
    :param height: of a panel [inch].
    :param point: place, value and error of a row.
    """
    families, systems = families_of(comparison), systems_of(comparison)
    figure = new_figure(0.6 + height * len(systems))
    for axes, system in zip(figure.subplots(len(systems), 1, squeeze=False)[:, 0], systems):
        axes.set_title(system)
        for family, look in _look(families).items():
            for of_model in _models_of(rows, family, system):
                places, values, errors = zip(*map(point, of_model))
                _draw_points(axes, places, values, errors, look)
        axes.grid(color=ink(), alpha=0.12, linewidth=0.5)
    legend_above(figure, _handles(families), 2)
    return figure


def draw_arrhenius(comparison: Mapping[str, Any]) -> Figure:
    """Draw tracer diffusion coefficients against the inverse temperature, those of the largest training sets.

    :param comparison: result of ``edl.fine_tuning_comparison``.
    """

    def point(row: Mapping[str, Any]) -> tuple[float, float, float | None]:
        value = row['tracer_diffusion_angstrom2_per_fs'] / SQUARE_CENTIMETRE_PER_SECOND
        error = _scaled(row['tracer_diffusion_error_angstrom2_per_fs'], 1.0 / SQUARE_CENTIMETRE_PER_SECOND)
        return 1000.0 / row['temperature_kelvin'], value, error

    figure = _draw_models(comparison, _determined(comparison), 2.4, point)
    for axes in figure.axes:
        axes.set_yscale('log')
        axes.set_xlabel('1000 K / temperature')
        axes.set_ylabel('tracer diffusion (cm²/s)')
    return figure


def _determined(comparison: Mapping[str, Any]) -> Rows:
    """Return the rows with a coefficient."""
    return [row for row in comparison['diffusion'] if row.get('tracer_diffusion_angstrom2_per_fs') is not None]


def draw_rates(comparison: Mapping[str, Any]) -> Figure:
    """Draw the rates at which defects move on against the inverse temperature, those of the largest training sets.

    :param comparison: result of ``edl.fine_tuning_comparison``.
    """

    def point(row: Mapping[str, Any]) -> tuple[float, float, float | None]:
        return 1000.0 / row['temperature_kelvin'], row['migration_rate_per_ps'], row['migration_rate_error_per_ps']

    figure = _draw_models(comparison, _with_rate(comparison), 2.4, point)
    for axes in figure.axes:
        axes.set_yscale('log')
        axes.set_xlabel('1000 K / temperature')
        axes.set_ylabel('rate of migration (1/ps)')
    return figure


def _with_rate(comparison: Mapping[str, Any]) -> Rows:
    """Return the rows with a rate that has a logarithm."""
    return [row for row in comparison['diffusion'] if row.get('migration_rate_per_ps')]


def _models_of(rows: Rows, family: str, system: str) -> list[Rows]:
    """Return the rows of each model of a family that has its largest training set or last round, by temperature.

    Models of a round differ in their frames, for not every seed finds as many.
    """
    mine = [row for row in rows if (row['family'], row['system']) == (family, system)]

    def size(row: Mapping[str, Any]) -> tuple[int, int]:
        return row['round_number'], 0 if row['round_number'] else row['n_frames']

    largest = max(map(size, mine), default=None)
    models = sorted({row['model'] for row in mine if size(row) == largest})
    return [
        sorted((row for row in mine if row['model'] == model), key=lambda row: float(row['temperature_kelvin']))
        for model in models
    ]


def draw_mechanism(comparison: Mapping[str, Any]) -> Figure:
    """Draw the share of knock-offs among knock-offs and direct hops against the temperature.

    :param comparison: result of ``edl.fine_tuning_comparison``.
    """

    def point(row: Mapping[str, Any]) -> tuple[float, float, float | None]:
        share, error = PERCENT * row['knock_off_share'], _scaled(row['knock_off_share_error'], PERCENT)
        return row['temperature_kelvin'], share, error

    figure = _draw_models(comparison, _with_mechanism(comparison), 2.0, point)
    for axes in figure.axes:
        axes.set_ylim(0.0, 105.0)
        axes.set_xlabel('temperature (K)')
        axes.set_ylabel('knock-offs (%)')
    return figure


def _with_mechanism(comparison: Mapping[str, Any]) -> Rows:
    """Return the rows with a share of knock-offs."""
    return [row for row in comparison['diffusion'] if row.get('knock_off_share') is not None]


def draw_cost(comparison: Mapping[str, Any]) -> Figure:
    """Draw the force error against all core-hours of a model: of its labels, its exploration and its training.

    Models whose labels were given are hollow: what those labels cost is not in the study.

    :param comparison: result of ``edl.fine_tuning_comparison``.
    """
    families, models = families_of(comparison), _with_cost(comparison)
    figure = new_figure(2.8)
    axes = figure.subplots()
    for family, look in _look(families).items():
        for row in models:
            if row['family'] == family:
                axes.plot(
                    row['total_core_hours'],
                    MEV * row['test_force_rmse_ev_per_angstrom'],
                    markersize=3 + np.log10(max(row['n_frames'], 1)),
                    linestyle='',
                    fillstyle='none' if row['labelling_core_hours'] is None else 'full',
                    **look,
                )
    logarithmic(axes.xaxis)
    logarithmic(axes.yaxis)
    axes.set_xlabel(
        'core-hours of labels, exploration and training\n(hollow: the labels were given, their cost is not known)'
    )
    axes.set_ylabel('force RMSE (meV/Å)')
    axes.grid(color=ink(), alpha=0.12, linewidth=0.5)
    legend_above(figure, _handles(families), 2)
    return figure


def _with_cost(comparison: Mapping[str, Any]) -> Rows:
    """Return the models that cost something and were tested, once each."""
    system = systems_of(comparison)[0]
    return [
        row
        for row in comparison['models']
        if row['system'] == system and row['total_core_hours'] and row['test_force_rmse_ev_per_angstrom']
    ]


FIGURES: Mapping[str, tuple[Callable[[Mapping[str, Any]], Figure], Callable[[Mapping[str, Any]], Any], str, str]] = {
    'learning_curves': (
        draw_learning_curves,
        _curves,
        'learning_curves',
        'Errors, and what runs say, against frames',
    ),
    'arrhenius': (draw_arrhenius, _determined, 'diffusion', 'Diffusion against temperature'),
    'rates': (draw_rates, _with_rate, 'diffusion', 'Rates at which defects move on'),
    'mechanism': (draw_mechanism, _with_mechanism, 'diffusion', 'Share of knock-offs'),
    'cost': (draw_cost, _with_cost, 'models', 'Accuracy against the cost of labels, exploration and training'),
}
"""Figures by name: how they are drawn, whether there is anything to draw, the table with their numbers, the title."""
