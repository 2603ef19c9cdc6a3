"""The figures of a report by name, each from the results of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from aiida_edl.provenance.curves import CURVE_FIGURES
from aiida_edl.provenance.figure_parts import FigureKind
from aiida_edl.provenance.figure_style import RenderedFigure, render
from aiida_edl.provenance.figures_errors import (
    draw_energy_shifts,
    draw_errors,
    draw_force_ratios,
    draw_learning_curves,
    draw_receptive_fields,
    ratio_points,
)
from aiida_edl.provenance.figures_profiles import draw_curves, draw_spread, rows_of, spread_observables
from aiida_edl.provenance.figures_runs import (
    capacitance_points,
    draw_capacitance,
    draw_convergence,
    draw_errors_over_size,
    draw_solvent_dipoles,
    draw_survival_of_runs,
    has_convergence,
)
from aiida_edl.provenance.results import BenchmarkResults

__all__ = ['FIGURES', 'FigureKind', 'render_figures']


def _has_curves(results: BenchmarkResults, name: str) -> bool:
    """Return whether there is a run with what a figure of curves shows."""
    return bool(rows_of(results, CURVE_FIGURES[name]))


FIGURES: Mapping[str, FigureKind] = {
    **{
        name: FigureKind(
            partial(draw_curves, name=name), partial(_has_curves, name=name), kind.table or name, kind.title
        )
        for name, kind in CURVE_FIGURES.items()
    },
    'spread': FigureKind(
        draw_spread, lambda results: bool(spread_observables(results)), 'spread', 'Disagreement between models'
    ),
    'errors': FigureKind(draw_errors, lambda results: bool(results.errors), 'errors', 'Errors on test frames'),
    'force_ratios': FigureKind(
        draw_force_ratios,
        lambda results: bool(ratio_points(results)),
        'force_ratios',
        'What mixed training costs in forces',
    ),
    'energy_shifts': FigureKind(
        draw_energy_shifts, lambda results: bool(results.errors), 'energy_shifts', 'Energy shift at each charge state'
    ),
    'receptive_fields': FigureKind(
        draw_receptive_fields,
        lambda results: bool(results.ranking.get('correlations')),
        'receptive_field_ranking',
        'What mixed training costs by receptive field',
    ),
    'learning_curves': FigureKind(
        draw_learning_curves, lambda results: bool(results.learning_curves), 'learning_curves', 'Learning curves'
    ),
    'errors_over_size': FigureKind(
        draw_errors_over_size,
        lambda results: bool(results.errors_over_size),
        'errors_over_size',
        'Errors against the size of the training set',
    ),
    'capacitance': FigureKind(
        draw_capacitance, lambda results: bool(capacitance_points(results)), 'capacitance_points', 'Charging curve'
    ),
    'solvent_dipoles': FigureKind(
        draw_solvent_dipoles,
        lambda results: bool(results.solvent_dipoles.get('rows')),
        'solvent_dipoles',
        'Fluctuation of the total solvent dipole',
    ),
    'convergence': FigureKind(draw_convergence, has_convergence, 'convergence', 'How long runs would have to be'),
    'survival_of_runs': FigureKind(
        draw_survival_of_runs,
        lambda results: bool(results.survivals),
        'survival_curves',
        'How long runs stay physical',
    ),
}
"""Figures by name."""


def render_figures(results: BenchmarkResults, names: tuple[str, ...] = ()) -> dict[str, RenderedFigure]:
    """Return every figure for which the benchmark has numbers, by name.

    :param results: what the benchmark has found.
    :param names: figures that are wanted; all if none is named.
    """
    return {
        name: render(name, partial(kind.draw, results))
        for name, kind in FIGURES.items()
        if (not names or name in names) and kind.has_content(results)
    }
