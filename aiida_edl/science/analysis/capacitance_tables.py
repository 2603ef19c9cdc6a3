"""Capacitances as flat tables, and averaged over the seeds of one kind of model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aiida_edl.science.analysis.capacitance import SeriesCapacitance
from aiida_edl.science.analysis.capacitance_limits import CONFIDENCE, InverseCapacitance
from aiida_edl.science.analysis.small_samples import mean_test


@dataclass(frozen=True)
class GroupCapacitance:
    """Mean over the series of one group, e.g. over the seeds of one architecture and training set."""

    group: str
    n_series: int
    """Series that have a slope."""
    n_without: int
    """Series that have none, e.g. because their runs left physics."""
    line: InverseCapacitance
    """Mean slope, with the scatter between the series as error; of one series with its own error."""
    potential_of_zero_charge: float
    """Mean potential drop at zero charge [V]."""
    potential_of_zero_charge_error: float
    """Standard error by the scatter between the series [V]; NaN for one."""
    statement: str
    """What was found, in words."""


def group_capacitances(series: Sequence[SeriesCapacitance]) -> tuple[GroupCapacitance, ...]:
    """Return the mean over the series of each group, in the order of their names.

    :param series: what was found for each series; those without a group are left aside.
    """
    names = sorted({item.group for item in series if item.group})
    return tuple(_group(name, [item for item in series if item.group == name]) for name in names)


def _group(name: str, members: list[SeriesCapacitance]) -> GroupCapacitance:
    """Return the mean over the series of one group."""
    known = [item for item in members if np.isfinite(item.line.inverse)]
    slope = mean_test([item.line.inverse for item in known], confidence=CONFIDENCE)
    zero = mean_test([item.potential_of_zero_charge for item in known], confidence=CONFIDENCE)
    line = InverseCapacitance(slope.value, slope.error, slope.low, slope.high)
    how = f'mean over {len(known)} seeds, error by their scatter'
    if len(known) == 1:
        line, how = known[0].line, 'one seed, error that of its runs alone'
    words = f'{line.in_words()}: {how}' if known else 'no capacitance follows from any seed'
    n_without = len(members) - len(known)
    if known and n_without:
        words = f'{words}; {n_without} of {len(members)} seeds have no slope'
    return GroupCapacitance(name, len(known), n_without, line, zero.value, zero.error, words)


def point_rows(series: Sequence[SeriesCapacitance]) -> list[dict[str, Any]]:
    """Return the charge states of all series as a flat table.

    :param series: what was found for each.
    """
    return [{'series': item.series, **_row(point)} for item in series for point in item.points]


def interval_rows(series: Sequence[SeriesCapacitance]) -> list[dict[str, Any]]:
    """Return the integral capacitances of all series as a flat table.

    :param series: what was found for each.
    """
    return [{'series': item.series, **_row(interval)} for item in series for interval in item.intervals]


def series_rows(series: Sequence[SeriesCapacitance]) -> list[dict[str, Any]]:
    """Return what the line gives for each series as a flat table.

    :param series: what was found for each.
    """
    inner = ('points', 'intervals', 'excluded')
    return [{k: v for k, v in _row(item).items() if k not in inner} for item in series]


def group_rows(groups: Sequence[GroupCapacitance]) -> list[dict[str, Any]]:
    """Return the means over seeds as a flat table.

    :param groups: the means.
    """
    return [_row(item) for item in groups]


def excluded_rows(series: Sequence[SeriesCapacitance]) -> list[dict[str, Any]]:
    """Return the runs that left physics as a flat table.

    :param series: what was found for each.
    """
    return [
        {'series': item.series, 'charge_state': state, 'reason': reason}
        for item in series
        for state, reason in item.excluded
    ]


def _row(item: Any) -> dict[str, Any]:
    """Return the fields of a dataclass as JSON types, those of a line in its place; what is not finite becomes None."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(item):
        value = getattr(item, field.name)
        values |= value.row() if isinstance(value, InverseCapacitance) else {field.name: value}
    return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in values.items()}
