r"""Errors of what is linear in the mean square displacement, with nothing assumed of how atoms move.

A sum :math:`\sum_k w_k M(k)` over lags is the mean over time origins of the series :math:`\sum_k w_k |\mathbf r(t + k)
- \mathbf r(t)|^2`, summed over all atoms. Its error is that of the mean of a correlated series: hops that come in
bursts, and atoms that move together, are in it. With several replicas their scatter is the other estimate, and the
larger counts (:func:`~aiida_edl.science.uncertainty.combine_replicas`).

The scatter of few numbers is itself uncertain. The degrees of freedom are :math:`2 n_\mathrm{eff}/(\kappa - 1)` with
the kurtosis κ of the series, less one for each replica: few hops in a long run tell little of their own scatter. Where
replicas scatter by more than that explains (F test at one in twenty), theirs alone count, one less than replicas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from aiida_edl.science.analysis.mean_square_displacement import OriginSeries
from aiida_edl.science.frames import Floats
from aiida_edl.science.uncertainty import MINIMUM_SAMPLES, Estimate, combine_replicas, mean_with_error

ORIGINS_PER_LAG = 8
"""Time origins within the shortest lag: nearer ones are nearly the same sample."""
NORMAL_KURTOSIS = 3.0
CHANCE = 0.05
"""Probability above which a larger scatter of replicas is chance."""
ROUNDING = 1e-12
"""Relative difference of errors that is rounding."""
SCATTER_OF_REPLICAS = 'scatter of replicas'
TIME_ORIGINS = 'time origins'


@dataclass(frozen=True)
class OriginMean:
    """A mean over time origins and replicas."""

    error: float
    """Standard error, in the unit of the series; NaN where no replica is long enough for one."""
    degrees_of_freedom: float
    """Of the error; at least 1."""
    source: str
    """What the error follows from: ``'scatter of replicas'`` or ``'time origins'``."""


def origin_series(replicas: Sequence[OriginSeries], weights: Mapping[int, float]) -> list[Floats]:
    """Return the weighted sum of square displacements over lags at time origins, one series for each replica.

    :param replicas: the replicas.
    :param weights: weight of each lag [frames].
    """
    return weighted(square_displacements(replicas, list(weights)), weights)


def square_displacements(replicas: Sequence[OriginSeries], lags: Sequence[int]) -> list[dict[int, Floats]]:
    """Return the square displacements [Å²] over several lags at common time origins, by lag, for each replica.

    :param replicas: the replicas.
    :param lags: [frames].
    """
    stride = max(1, min(lags) // ORIGINS_PER_LAG)
    return [{lag: item.at(lag, len(item) - max(lags), stride) for lag in lags} for item in replicas]


def weighted(series: Sequence[Mapping[int, Floats]], weights: Mapping[int, float]) -> list[Floats]:
    """Return the weighted sum over lags for each replica.

    :param series: result of :func:`square_displacements`.
    :param weights: weight of each lag [frames].
    """
    return [np.asarray(sum(weight * item[lag] for lag, weight in weights.items())) for item in series]


def mean_of_series(series: Sequence[Floats], values: Floats | None = None) -> OriginMean:
    """Return the mean of correlated series with its error, replicas weighed by their length.

    :param series: one of shape ``(n_origins,)`` for each replica.
    :param values: what is known of the mean of each replica from further origins, shape ``(n_replicas,)``; None for
        the means of the series.
    """
    means = np.array([float(item.mean()) for item in series]) if values is None else values
    if min(len(item) for item in series) < MINIMUM_SAMPLES:
        return OriginMean(np.nan, 1.0, TIME_ORIGINS)
    known = [mean_with_error(item) for item in series]
    lengths = np.array([len(item) for item in series], dtype=np.float64)
    # One correlation time for all: weights of their own would prefer replicas that happen to scatter little.
    time = float(np.average([float(item.correlation_time) for item in known], weights=lengths))
    estimates = [
        Estimate(np.asarray(mean), item.error, np.asarray(length / (2.0 * time)), np.asarray(time))
        for mean, item, length in zip(means, known, lengths)
    ]
    joined = combine_replicas(estimates)
    shares = lengths / lengths.sum()
    within = float(np.sqrt(np.sum(shares**2 * np.array([float(item.error) for item in known]) ** 2)))
    error = float(joined.error)
    degrees = _degrees_of_freedom(series, float(np.sum(lengths) / (2.0 * time)))
    if error <= within * (1.0 + ROUNDING):
        return OriginMean(error, degrees, TIME_ORIGINS)
    between = float(len(series) - 1)
    is_chance = within > 0.0 and stats.f.sf((error / within) ** 2, between, degrees) > CHANCE
    return OriginMean(error, degrees if is_chance else between, SCATTER_OF_REPLICAS)


def _degrees_of_freedom(series: Sequence[Floats], n_effective: float) -> float:
    """Return the degrees of freedom of the scatter within series that are worth so many samples; at least 1."""
    deviations = np.concatenate([item - item.mean() for item in series])
    variance = float(np.mean(deviations**2))
    kurtosis = float(np.mean(deviations**4)) / variance**2 if variance > 0.0 else NORMAL_KURTOSIS
    return max(2.0 * n_effective / max(kurtosis - 1.0, 1.0) - len(series), 1.0)
