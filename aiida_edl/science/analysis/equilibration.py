"""When a series has settled, how many independent samples it holds, and how well both are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiida_edl.science.frames import Floats
from aiida_edl.science.uncertainty import MINIMUM_SAMPLES, integrated_correlation_time, mean_with_error

N_CANDIDATES = 50
"""Beginnings that are tried, evenly spread over the series."""
WINDOW_FACTOR = 5.0
"""Correlation times that the window of the integral spans, see :mod:`~aiida_edl.science.uncertainty`."""
ROUNDING = 1e-10
"""Range relative to the largest value up to which a series counts as one that never changes."""


@dataclass(frozen=True)
class SettledSeries:
    """What a series says on itself."""

    start: int
    """Sample from which on it holds the most independent samples."""
    n_independent: float
    """Independent samples from there on."""


def never_changes(series: Floats) -> bool:
    """Return whether a series is constant but for rounding.

    :param series: shape ``(n_samples,)``.
    """
    return bool(np.ptp(series) <= ROUNDING * np.abs(series).max())


def settled(series: Floats) -> SettledSeries:
    r"""Propose where equilibration ends: there the rest of the series holds the most independent samples.

    .. math:: t_0 = \arg\max_t \frac{n - t}{2 \tau(t)}

    An initial drift makes the series look strongly correlated, so that leaving it out gains samples although it takes
    frames away. Source: J. D. Chodera, J. Chem. Theory Comput. 12, 1799 (2016), equation 10.

    :param series: shape ``(n_samples,)``, at least 4.
    :raises ValueError: if the series is too short or not finite.
    """
    last = len(series) - MINIMUM_SAMPLES
    candidates = np.unique(np.linspace(0, last, min(N_CANDIDATES, last + 1)).astype(np.int64))
    counts = []
    for start in candidates:
        rest = series[start:]
        # A rest that never changes has settled, but says nothing on how often.
        counts.append(0.0 if never_changes(rest) else float(mean_with_error(rest).n_effective))
    best = int(np.argmax(counts))
    return SettledSeries(int(candidates[best]), counts[best])


def correlation_time_with_error(series: Floats) -> tuple[float, float]:
    r"""Return the integrated correlation time and its standard error [sampling intervals].

    .. math:: \sigma_\tau^2 = \frac{2(2W+1)}{n}\,\tau^2

    with the window W of the sum. Source: N. Madras, A. D. Sokal, J. Stat. Phys. 50, 109 (1988), equation 3.19.

    :param series: shape ``(n_samples,)``.
    :raises ValueError: if the series is too short or not finite.
    """
    time = float(integrated_correlation_time(series, WINDOW_FACTOR))
    window = np.ceil(WINDOW_FACTOR * time)
    return time, float(time * np.sqrt(2.0 * (2.0 * window + 1.0) / len(series)))


def drift_between_halves(replicas: list[Floats]) -> float:
    """Return the second half's mean minus the first's, in standard errors of the difference; NaN without an error.

    Halves of all replicas are taken together.

    :param replicas: the series of each replica, at least 8 samples each.
    """
    difference, variance, total = 0.0, 0.0, sum(len(series) for series in replicas)
    for series in replicas:
        middle, weight = len(series) // 2, len(series) / total
        first, second = mean_with_error(series[:middle]), mean_with_error(series[middle:])
        difference += weight * float(second.mean - first.mean)
        variance += weight**2 * float(first.error**2 + second.error**2)
    return difference / float(np.sqrt(variance)) if variance > 0.0 else float('nan')
