"""What a few seeds can tell: differences of means with intervals by Student's t, and a correction for many questions.

The models of different seeds count as independent samples of normal numbers. Two seeds leave one degree of freedom, for
which the interval at 95 % is 12.7 standard errors: that few seeds decide little is what the intervals then say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

MINIMUM_SAMPLES = 2
"""Samples without which there is no scatter."""


@dataclass(frozen=True)
class TestedMean:
    """A mean or a difference of means; NaN where too few samples hold no information on their scatter."""

    __test__ = False
    """No test case, whatever its name begins with."""

    value: float
    """In the unit of the samples."""
    error: float
    """Standard error, same unit."""
    degrees_of_freedom: float
    """Of that error; infinite if it is known otherwise than from the scatter."""
    low: float
    """Lower end of the confidence interval, same unit."""
    high: float
    """Upper end of the confidence interval, same unit."""
    p_value: float
    """Probability of a value at least this far from zero if the truth is zero."""


def mean_test(samples: ArrayLike, known_error: float = 0.0, confidence: float = 0.95) -> TestedMean:
    r"""Return a mean with its interval, and how likely it is if the truth is zero.

    The standard error :math:`\sqrt{s^2/n + \kappa^2}` holds the scatter of the samples and a part κ that all of them
    share, e.g. that of the frames they were tested on. Its degrees of freedom are those of B. L. Welch, Biometrika 34,
    28 (1947), κ being known.

    :param samples: shape ``(n_samples,)``.
    :param known_error: the part κ, in the unit of the samples.
    :param confidence: level of the interval, 0 to 1.

    >>> round(mean_test([1.0, 3.0]).high, 2)
    14.71
    """
    values = np.asarray(samples, dtype=np.float64)
    own, degrees = _scatter(values)
    variance = own + known_error**2
    total = variance**2 * degrees / own**2 if own > 0.0 else np.inf
    return _tested(_mean(values), variance, total if np.isfinite(own) else np.nan, confidence)


def difference_test(first: ArrayLike, second: ArrayLike, confidence: float = 0.95) -> TestedMean:
    """Return the difference of the means of two independent samples, their variances not taken to be equal.

    Source: B. L. Welch, Biometrika 34, 28 (1947).

    :param first: shape ``(n_first,)``.
    :param second: shape ``(n_second,)``, subtracted from the first.
    :param confidence: level of the interval, 0 to 1.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    (var_a, dof_a), (var_b, dof_b) = _scatter(a), _scatter(b)
    variance = var_a + var_b
    parts = var_a**2 / dof_a + var_b**2 / dof_b if np.isfinite(variance) else np.nan
    degrees = variance**2 / parts if parts > 0.0 else (np.inf if np.isfinite(variance) else np.nan)
    return _tested(_mean(a) - _mean(b), variance, degrees, confidence)


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """Return the p values corrected for the number of questions that were asked; NaN stays and counts as no question.

    Source: S. Holm, Scand. J. Stat. 6, 65 (1979).

    :param p_values: one for each question.

    >>> holm_adjusted([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p_values, dtype=np.float64)
    known = np.flatnonzero(np.isfinite(given))
    order = known[np.argsort(given[known], kind='stable')]
    adjusted = np.full(given.shape, np.nan)
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * factors), 1.0)
    return [float(value) for value in adjusted]


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float('nan')


def _scatter(values: np.ndarray) -> tuple[float, float]:
    """Return the squared standard error of the mean and its degrees of freedom; NaN for fewer than two samples."""
    if values.size < MINIMUM_SAMPLES:
        return float('nan'), float('nan')
    return float(values.var(ddof=1) / values.size), float(values.size - 1)


def _tested(value: float, variance: float, degrees: float, confidence: float) -> TestedMean:
    """Return value and interval; without scatter the interval is a point."""
    error = float(np.sqrt(variance))
    if not np.isfinite(error):
        nan = float('nan')
        return TestedMean(value, nan, nan, nan, nan, nan)
    if error == 0.0:
        return TestedMean(value, 0.0, float(degrees), value, value, float(value == 0.0))
    reach = float(stats.t.ppf(0.5 + confidence / 2.0, degrees)) * error
    p_value = 2.0 * float(stats.t.sf(abs(value) / error, degrees))
    return TestedMean(value, error, float(degrees), value - reach, value + reach, p_value)
