"""What mixed training costs each architecture, one number with its error for each kind of cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aiida_edl.science.analysis.model_spread import ALL, OBSERVABLES
from aiida_edl.science.analysis.receptive_field_ranking import RankedPoint
from aiida_edl.science.analysis.training_penalty import ALL_STATES, WHOLE, Contrast
from aiida_edl.science.analysis.training_sets import EqualFrames

SQUARED_UNITS = {'1': '1', '1/Å³': 'Å⁻⁶'}
"""Units of variances by those of the profiles."""

Series = tuple[str, str, list[RankedPoint]]
"""Name of a cost, its unit, and its points."""


def penalties_by_architecture(
    ratios: Sequence[Mapping[str, Any]], comparisons: Sequence[Mapping[str, Any]], receptive_fields: Mapping[str, float]
) -> list[Series]:
    """Return the cost of mixed training in forces and in each profile.

    In forces it is the logarithm of the ratio of force RMSE, mixed over single. In a profile it is the difference of
    the variances among seeds, averaged over the charge states that all its architectures have. Mixed models are the
    same ones at each charge state, so the errors of charge states are averaged too, as if wholly correlated.

    :param ratios: rows ``ratios`` of the training penalty.
    :param comparisons: rows ``comparisons`` of the model spread.
    :param receptive_fields: receptive field by architecture [Å].
    """
    series: list[Series] = []
    if forces := _force_points(ratios, receptive_fields):
        series.append(('log ratio of force RMSE, mixed over single', '1', forces))
    for observable, unit in OBSERVABLES.items():
        rows = [row for row in comparisons if row['observable'] == observable and row['architecture'] != ALL]
        if points := _spread_points(rows, receptive_fields):
            name = observable.replace('_', ' ')
            squared = SQUARED_UNITS[unit]
            series.append((f'variance of {name} among seeds, mixed less single', squared, points))
    return series


def _force_points(ratios: Sequence[Mapping[str, Any]], fields: Mapping[str, float]) -> list[RankedPoint]:
    """Return the mean over charge states where there is one, else the one charge state, of the largest set."""
    chosen: dict[str, Mapping[str, Any]] = {}
    for row in ratios:
        if row['contrast'] == Contrast.MIXED_OVER_SINGLE.value and row['region'] == WHOLE:
            known = chosen.get(row['architecture'])
            if known is None or _rank(row) > _rank(known):
                chosen[row['architecture']] = row
    return [
        RankedPoint(name, fields[name], row['log_ratio'], _or_nan(row['log_ratio_error']))
        for name, row in sorted(chosen.items())
        if name in fields and row['log_ratio'] is not None
    ]


def _rank(row: Mapping[str, Any]) -> tuple[int, bool]:
    return row['size'] or 0, row['charge_state'] == ALL_STATES


def _spread_points(rows: Sequence[Mapping[str, Any]], fields: Mapping[str, float]) -> list[RankedPoint]:
    """Return the mean over the charge states at which every architecture has a number."""
    known: dict[str, dict[tuple[str, str, str], Mapping[str, Any]]] = {}
    for row in rows:
        if row['equal_frames'] != EqualFrames.IN_ALL.value:
            continue
        if row['variance_difference'] is not None and row['architecture'] in fields:
            key = (row['charge_state'], row['mixed_training_set'], row['single_training_set'])
            known.setdefault(row['architecture'], {})[key] = row
    shared = set.intersection(*(set(cells) for cells in known.values())) if known else set()
    points = []
    for name, cells in sorted(known.items()):
        chosen = [cells[key] for key in sorted(shared)]
        if not chosen:
            continue
        errors = [_or_nan(row['variance_difference_error']) for row in chosen]
        value = float(np.mean([row['variance_difference'] for row in chosen]))
        points.append(RankedPoint(name, fields[name], value, float(np.mean(errors))))
    return points


def _or_nan(value: float | None) -> float:
    return float('nan') if value is None else float(value)
