r"""Times of decay of a correlation function, and errors by leaving out groups of waters in turn.

*By integral*: the trapezoidal integral up to the first lag at which the function is at most :data:`TAIL_LEVEL`, and
beyond it the tail of an exponential, which goes on from there with the slope since the function passed 1/e. Where the
function does not fall below the level within the lags that are known, the tail begins at the last lag. *By 1/e*: the
first lag at which it has fallen to 1/e, with a straight line between the logarithms of neighbouring lags. Both are
:math:`\tau` for :math:`e^{-t/\tau}`. Neither is known where the function does not fall to 1/e: the run is too short.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aiida_edl.science.frames import Floats

TAIL_LEVEL = 0.05
"""Value of the function at which its tail begins."""
E_FOLD = float(np.exp(-1.0))


def e_folding_time(times: Floats, values: Floats) -> float:
    """Return the time at which a function has fallen to 1/e [fs]; NaN if it never does.

    :param times: lags [fs], shape ``(n_lags,)``.
    :param values: the function, 1 at the lag 0, shape ``(n_lags,)``.
    """
    below = np.flatnonzero(values <= E_FOLD)
    if not below.size or below[0] == 0:
        return float('nan')
    here = int(below[0])
    low, high = float(values[here]), float(values[here - 1])
    share = np.log(high / E_FOLD) / np.log(high / low) if low > 0.0 else (high - E_FOLD) / (high - low)
    return float(times[here - 1] + share * (times[here] - times[here - 1]))


def integral_time(times: Floats, values: Floats) -> float:
    """Return the integral of a function over time with its tail [fs]; NaN if it never falls to 1/e.

    :param times: lags [fs], shape ``(n_lags,)``.
    :param values: the function, 1 at the lag 0, shape ``(n_lags,)``.
    """
    known = np.flatnonzero(np.isfinite(values))
    times, values = times[: known.size], values[known]
    passed = e_folding_time(times, values)
    if np.isnan(passed):
        return float('nan')
    below = np.flatnonzero(values <= TAIL_LEVEL)
    end = int(below[0]) if below.size else len(values) - 1
    total = float(np.trapezoid(values[: end + 1], times[: end + 1]))
    last, elapsed = float(values[end]), float(times[end]) - passed
    if last <= 0.0 or elapsed <= 0.0 or last >= E_FOLD:
        return total
    return total + last * elapsed / float(np.log(E_FOLD / last))


def jackknife(sums: Floats, statistic: Callable[[Floats], Floats]) -> tuple[Floats, Floats]:
    r"""Return a statistic of sums over groups, and its standard error.

    .. math:: \sigma^2 = \frac{G-1}{G} \sum_g (s_{(g)} - \bar s_{(\cdot)})^2

    with the statistic :math:`s_{(g)}` of all groups but g. Source: B. Efron, The Jackknife, the Bootstrap and Other
    Resampling Plans (1982), equation 3.2.

    :param sums: sums over the waters of each group, shape ``(n_groups, ...)``.
    :param statistic: takes the sum over groups, of shape ``(...)``.
    :return: statistic and error; the error is NaN with a single group, or where a statistic without one is NaN.
    """
    total = sums.sum(axis=0)
    value = np.asarray(statistic(total), dtype=np.float64)
    if len(sums) < 2:
        return value, np.full_like(value, np.nan)
    # Two passes keep one statistic at a time; a shift by the value keeps differences of near numbers exact.
    first, second = np.zeros_like(value), np.zeros_like(value)
    for group in sums:
        deviation = np.asarray(statistic(total - group), dtype=np.float64) - value
        first += deviation
        second += deviation**2
    n_groups = len(sums)
    variance = (n_groups - 1) / n_groups * (second - first**2 / n_groups)
    return value, np.sqrt(np.maximum(variance, 0.0))
