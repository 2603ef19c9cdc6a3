"""The tables of a report on mixed training, on the quality of runs, and on what further analyses found."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from aiida_edl.provenance.analysed_runs import ERROR_SUFFIX, QUALITY, AnalysedRun, number, scalar_rows
from aiida_edl.provenance.curves import CURVE_FIGURES, Curve
from aiida_edl.provenance.results import BenchmarkResults, kind_of
from aiida_edl.science.analysis.model_tags import ModelTag

FEMTOSECOND_PER_PICOSECOND = 1000.0


def tag_columns(tag: ModelTag) -> dict[str, Any]:
    """Return what a run was made with.

    :param tag: its tag.
    """
    return {
        'charge_state': tag.charge_state,
        'architecture': tag.architecture,
        'training_set': tag.training_set,
        'kind': 'reference' if tag.is_reference else kind_of(tag.training_set),
        'seed': tag.seed,
    }


def curve_rows(results: BenchmarkResults, name: str) -> list[dict[str, Any]]:
    """Return the curves of a figure, run by run.

    :param results: what the benchmark has found.
    :param name: name in :data:`~aiida_edl.provenance.curves.CURVE_FIGURES`.
    """
    curves = CURVE_FIGURES[name].curves
    groups: dict[tuple[str, str], list[Curve]] = {}
    for curve in curves:
        groups.setdefault((curve.analysis, curve.x), []).append(curve)
    columns = [column for curve in curves for column in (curve.column, curve.error_column)]
    rows = []
    for (analysis, x), members in groups.items():
        for run in results.runs_of(analysis):
            abscissa = run.array(x)
            present = [curve for curve in members if run.array(curve.y, curve.row) is not None]
            if abscissa is None or not present:
                continue
            for index, position in enumerate(abscissa):
                values = _values(run, present, index)
                rows.append(
                    {
                        **tag_columns(run.tag),
                        f'{"z" if x.endswith("_z") else x}_{members[0].x_unit}': round(float(position), 6),
                        **{column: values.get(column) for column in columns},
                    }
                )
    return rows


def _values(run: AnalysedRun, curves: list[Curve], index: int) -> dict[str, float | None]:
    """Return the values of curves at one point, with their errors."""
    values: dict[str, float | None] = {}
    for curve in curves:
        array, errors = run.array(curve.y, curve.row), run.array(f'{curve.y}{ERROR_SUFFIX}', curve.row)
        values[curve.column] = None if array is None else number(np.asarray(array)[index])
        values[curve.error_column] = None if errors is None else number(np.asarray(errors)[index])
    return values


def analysis_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return every number that a further analysis found in a run, with its error; units as the analysis states them.

    :param results: what the benchmark has found.
    """
    return [
        {'analysis': run.analysis, **tag_columns(run.tag), **row}
        for run in results.analyses
        for row in scalar_rows(run)
    ]


def quality_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return whether each run stayed within physics by the stated rule, and what broke it.

    :param results: what the benchmark has found.
    """
    rows = []
    for run in results.runs_of(QUALITY):
        values = run.scalars
        reasons = [str(reason['sentence']) for reason in values.get('reasons') or []]
        survival = number(values.get('survival_time'))
        rows.append(
            {
                **tag_columns(run.tag),
                'is_physical': values.get('is_physical'),
                'survival_ps': None if survival is None else survival / FEMTOSECOND_PER_PICOSECOND,
                'outlived_its_length': values.get('is_censored'),
                'temperature_kelvin': number(values.get('temperature')),
                'temperature_error_kelvin': number(values.get('temperature_error')),
                'energy_drift_mev_per_atom_and_ps': number(values.get('energy_drift')),
                'energy_drift_error_mev_per_atom_and_ps': number(values.get('energy_drift_error')),
                'outside_of_training_fraction': number(values.get('outside_fraction')),
                'reasons': '; '.join(reasons) or None,
            }
        )
    return rows


def excluded_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return the runs that do not count in the spread of models, and why.

    :param results: what the benchmark has found.
    """
    return [dict(row) for row in results.answer.get('excluded', [])]


def force_ratio_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return force errors of one training over another, for all atoms and by region, with intervals over seeds.

    :param results: what the benchmark has found.
    """
    return [_without_sentence(row) for row in results.penalty.get('ratios', [])]


def energy_shift_mean_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return the mean signed energy error of each training set at each charge state, with errors over seeds.

    :param results: what the benchmark has found.
    """
    return [dict(row) for row in results.penalty.get('shifts', [])]


def ranking_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return what mixed training costs each architecture, with the rank correlation with the receptive field.

    :param results: what the benchmark has found.
    """
    correlations = {row['quantity']: row for row in results.ranking.get('correlations', [])}
    columns = ('tau', 'tau_low', 'tau_high', 'p_falls', 'p_rises', 'smallest_p', 'trend')
    return [
        {**row, **{column: correlations[row['quantity']][column] for column in columns}}
        for row in results.ranking.get('points', [])
    ]


def nested_rows(results: BenchmarkResults, source: str, table: str) -> list[dict[str, Any]]:
    """Return one of the flat tables that a comparison made; lists within it are left to the node.

    :param results: what the benchmark has found.
    :param source: field of the results, e.g. ``'structures'``.
    :param table: name of the table within it.
    """
    rows = getattr(results, source).get(table, [])
    return [{name: value for name, value in row.items() if not isinstance(value, (list, dict, tuple))} for row in rows]


def hyperparameter_rows(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Return the hyperparameters of each architecture as they stand in the graph.

    :param results: what the benchmark has found.
    """
    return [
        {'architecture': architecture, 'hyperparameter': name, 'value': json.dumps(value, ensure_ascii=False)}
        for architecture, values in results.trainings.items()
        for name, value in values.items()
    ]


def _without_sentence(row: Any) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != 'sentence'}
