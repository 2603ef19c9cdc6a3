"""Sums of correlation functions by layer and by group of waters, and the functions, times and errors that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from aiida_edl.science.analysis.correlation_times import e_folding_time, integral_time, jackknife
from aiida_edl.science.analysis.layer_correlation import continuous_sums, intermittent_sums, reorientation_sums, stays
from aiida_edl.science.analysis.water_paths import WaterPaths, group_of_water
from aiida_edl.science.frames import Floats

FUNCTIONS = ('intermittent_survival', 'continuous_survival', 'reorientation_1', 'reorientation_2')
"""Names of the functions, in the order in which they are summed."""
TIMES = ('integral', 'e_folding')
"""Names of the times of each function."""
ROUNDING = 1e-7
"""Error relative to its function up to which it is that of directions in single precision."""
QUANTITIES = 7
"""Sums that are kept: C and its origins, S and its origins, P_1, P_2, and at lag 0 the waters that are known."""


@dataclass(frozen=True)
class LayerSums:
    """Sums that grow, in place, as parts of a trajectory are added."""

    bounds: Floats
    """Lower and upper bound of each layer [Å], shape ``(n_rows, 2)``."""
    values: Floats
    """Sums, shape ``(n_rows, n_replicas, n_groups, QUANTITIES, n_lags)``."""

    @classmethod
    def empty(cls, n_replicas: int, n_groups: int, bounds: Floats, n_lags: int) -> LayerSums:
        """Return sums of nothing.

        :param n_replicas: replicas.
        :param n_groups: groups of waters.
        :param bounds: lower and upper bound of each layer [Å], shape ``(n_rows, 2)``.
        :param n_lags: lags 0, 1, ... [frames].
        """
        return cls(bounds, np.zeros((len(bounds), n_replicas, n_groups, QUANTITIES, n_lags)))

    def add(self, replica: int, paths: WaterPaths) -> None:
        """Add one part of a replica.

        :param replica: which replica it belongs to.
        :param paths: paths of its waters; their number is that of all parts.
        """
        n_groups, n_lags = self.values.shape[2], min(self.values.shape[4], paths.n_frames)
        groups = group_of_water(paths.is_water.shape[0], n_groups)
        for group in range(n_groups):
            members = np.flatnonzero(groups == group)
            known, directions = paths.is_water[members], paths.directions[members]
            for heights in paths.heights[:, members]:
                for row, (low, high) in enumerate(self.bounds):
                    inside = known & (heights >= low) & (heights < high)
                    target = self.values[row, replica, group]
                    target[6, 0] += known.sum()
                    if not inside.any():
                        continue
                    found = stays(inside, known)
                    target[0:2, :n_lags] += intermittent_sums(inside, known, n_lags)
                    target[2:4, :n_lags] += continuous_sums(found, paths.n_frames, n_lags)
                    target[4:6, :n_lags] += reorientation_sums(directions, found, n_lags)


def layer_values(sums: LayerSums, lag_time: Floats, n_frames: int) -> dict[str, Any]:
    """Return functions, times, errors, counts and shares by field name.

    :param sums: the sums of the whole trajectory.
    :param lag_time: lags [fs], shape ``(n_lags,)``.
    :param n_frames: frames of all replicas, times the number of surfaces.
    """
    n_rows, n_lags = len(sums.bounds), len(lag_time)
    estimates, errors = [], []
    for row in range(n_rows):
        by_replica = sums.values[row].sum(axis=1)
        by_group = sums.values[row].reshape(-1, QUANTITIES, n_lags)

        def statistic(total: Floats) -> Floats:
            return _functions_and_times(total, lag_time)

        estimate, error = jackknife(by_group, statistic)
        if len(by_replica) > 1:
            error = np.fmax(error, jackknife(by_replica, statistic)[1])
        estimates.append(estimate)
        # What never changes when waters are left out, as a survival that is 1, has an error that is not known.
        errors.append(np.where(error > ROUNDING * np.abs(estimate), error, np.nan))
    values: dict[str, Any] = {}
    for suffix, found in (('', np.array(estimates)), ('_error', np.array(errors))):
        curves = found[:, : len(FUNCTIONS) * n_lags].reshape(n_rows, len(FUNCTIONS), n_lags)
        times = found[:, len(FUNCTIONS) * n_lags :].reshape(n_rows, len(FUNCTIONS), len(TIMES))
        for index, name in enumerate(FUNCTIONS):
            values[f'{name}{suffix}'] = curves[:, index]
            values |= {f'{name}_{kind}{suffix}': times[:, index, column] for column, kind in enumerate(TIMES)}
    total = sums.values.sum(axis=(1, 2))
    inside, known = total[:, 1, 0], total[:, 6, 0]
    return {**values, 'water_count': inside / n_frames, 'occupancy': inside / known}


def _functions_and_times(total: Floats, lag_time: Floats) -> Floats:
    """Return all functions, then all times, from sums of shape ``(QUANTITIES, n_lags)``, as one vector."""
    again, origins, stayed, at_risk, first, second, known = total
    functions = [_ratio(again, origins), _ratio(stayed, at_risk), _ratio(first, stayed), _ratio(second, stayed)]
    share = origins[0] / known[0] if known[0] else np.nan
    # A layer that holds all waters has nothing to come back to.
    decaying = (functions[0] - share) / (1.0 - share) if share < 1.0 else np.full_like(functions[0], np.nan)
    times = [
        time(lag_time, function) for function in (decaying, *functions[1:]) for time in (integral_time, e_folding_time)
    ]
    return np.concatenate([*functions, times])


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Return a ratio, NaN where nothing was counted."""
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0.0)
