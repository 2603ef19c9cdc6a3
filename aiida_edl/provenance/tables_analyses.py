"""The tables of a report on mixed training, and on what further analyses found."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from aiida_edl.provenance.analysed_runs import AnalysedRun, number, scalar_rows
from aiida_edl.provenance.curves import CURVE_FIGURES, Curve
from aiida_edl.provenance.results import BenchmarkResults
from aiida_edl.provenance.run_exclusions import tag_columns


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
            present = [curve for curve in members if curve.values(run) is not None]
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
        array, errors = curve.values(run), curve.errors(run)
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
