r"""A line through few points whose errors are themselves uncertain, with intervals by a parametric bootstrap.

The line is a weighted fit, :math:`b = \sum_i c_i y_i`. A point y_i with the standard error s_i of ν_i degrees of
freedom is drawn as :math:`y_i + s_i t_i`, with t_i of Student's distribution, and the quantiles of the line through the
drawn points are the interval: that of W. U. Behrens and R. A. Fisher, Ann. Eugenics 6, 391 (1935), for two points with
errors of their own, which is not too short for fixed weights.

Weights of errors that came out small by chance would make it too short, since such points pull the line. Weights are
therefore those of variances that are drawn to a trend,

.. math:: w_i^{-1} = \frac{\nu_i s_i^2 + \nu_0 m_i}{\nu_i + \nu_0}, \qquad \nu_0 = 4,

where ln m is a straight line in the abscissa through the logarithms of s². Weights change the efficiency of the fit,
and not the value that it is about.

In 3000 simulations of each of 48 cases (3, 5 and 7 points, errors that vary four- or fivefold or erratically, ν of 2 to
30) the interval at 95 % held the truth in 94 to 98 % for ν of 4 and above, with 1.01 to 1.47 times the width that known
errors would give; for ν = 2, of three replicas, in 97 to 99 % with about twice the width. The posterior for independent
variances, the other candidate, held it in 91 to 94 % of 5 points with ν = 2 and in 92 to 94 % with ν = 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma

from aiida_edl.science.frames import Floats

TREND_DEGREES = 4.0
"""ν_0: degrees of freedom that the trend of the errors counts for."""
LARGEST_DEGREES = 1e6
"""Degrees of freedom that count as a known error."""
ONE_SIGMA = 0.682689492137
"""Share of a normal distribution within one standard deviation."""


@dataclass(frozen=True)
class LineBootstrap:
    """A line about an abscissa, and lines through points drawn anew."""

    origin: float
    """Abscissa to which the intercepts belong."""
    intercept: float
    """Of the fit."""
    slope: float
    """Of the fit."""
    intercepts: Floats
    """Of the drawn lines, shape ``(n_samples,)``."""
    slopes: Floats
    """Of the drawn lines, shape ``(n_samples,)``."""

    def at(self, abscissa: float) -> float:
        """Return the ordinate of the fit."""
        return self.intercept + self.slope * (abscissa - self.origin)

    def samples_at(self, abscissa: float) -> Floats:
        """Return the ordinates of the drawn lines, shape ``(n_samples,)``."""
        return np.asarray(self.intercepts + self.slopes * (abscissa - self.origin), dtype=np.float64)


def line_bootstrap(
    x: Floats, y: Floats, errors: Floats, degrees: Floats, *, n_samples: int, seed: int
) -> LineBootstrap:
    """Return a line with its bootstrap.

    :param x: abscissas, shape ``(n_points,)``, of which at least two differ.
    :param y: ordinates.
    :param errors: their standard errors, positive.
    :param degrees: degrees of freedom of the errors, at least 1.
    :param n_samples: how many lines to draw.
    :param seed: of the random numbers.
    """
    degrees = np.minimum(degrees, LARGEST_DEGREES)
    weights = trend_weights(x, errors, degrees)
    origin = float(np.average(x, weights=weights))
    of_level = weights / weights.sum()
    of_slope = weights * (x - origin) / (weights @ (x - origin) ** 2)
    random = np.random.default_rng(seed)
    drawn = y + errors * random.standard_t(degrees, size=(n_samples, len(x)))
    return LineBootstrap(origin, float(of_level @ y), float(of_slope @ y), drawn @ of_level, drawn @ of_slope)


def trend_weights(x: Floats, errors: Floats, degrees: Floats) -> Floats:
    """Return weights of a fit, from variances that are drawn to their trend.

    :param x: abscissas, of which at least two differ.
    :param errors: standard errors, positive.
    :param degrees: their degrees of freedom.
    """
    # The logarithm of a variance with few degrees of freedom is too small on average, by what the digamma tells.
    logarithms = 2.0 * np.log(errors) - digamma(degrees / 2.0) - np.log(2.0 / degrees)
    # The scatter of the logarithm is about 2/degrees, and no less than what trends leave out.
    trust = 1.0 / (2.0 / degrees + 2.0 / TREND_DEGREES)
    shifted = x - np.average(x, weights=trust)
    gradient = float((trust * shifted) @ logarithms / (trust @ shifted**2))
    trend = np.exp(np.average(logarithms, weights=trust) + gradient * shifted)
    variances = (degrees * errors**2 + TREND_DEGREES * trend) / (degrees + TREND_DEGREES)
    return np.asarray(1.0 / variances, dtype=np.float64)


def interval(samples: Floats, confidence: float) -> tuple[float, float]:
    """Return the central interval of samples at a level.

    :param samples: shape ``(n_samples,)``.
    :param confidence: the level, 0 to 1.
    """
    low, high = np.quantile(samples, [0.5 - confidence / 2.0, 0.5 + confidence / 2.0])
    return float(low), float(high)


def standard_error(samples: Floats) -> float:
    """Return half the width of the central interval of 68.27 %, one standard deviation of a normal distribution.

    :param samples: shape ``(n_samples,)``.
    """
    low, high = interval(samples, ONE_SIGMA)
    return (high - low) / 2.0
