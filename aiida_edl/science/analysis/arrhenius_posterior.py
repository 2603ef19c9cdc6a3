r"""Posterior of a line through few points whose errors are themselves uncertain.

A point y_i with the standard error s_i of ν_i degrees of freedom is distributed about the line as s_i times Student's t.
That is a normal distribution whose variance :math:`s_i^2/\lambda_i` has a :math:`\lambda_i` of the distribution
:math:`\chi^2_{\nu_i}/\nu_i`, with which the posterior for flat priors of both parameters is drawn by Gibbs sampling:

.. math:: \lambda_i \sim \frac{\chi^2_{\nu_i + 1}}{\nu_i + (y_i - a - b x_i)^2/s_i^2}, \qquad
          (a, b) \sim N\big((X^T W X)^{-1} X^T W y,\; (X^T W X)^{-1}\big), \quad W_{ii} = \lambda_i / s_i^2 .

Points whose errors came out too small by chance pull the less for it, and the interval is as wide as Student's t wants.
Source: J. Geweke, J. Appl. Econometrics 8, S19 (1993).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiida_edl.science.frames import Floats

STEPS_OF_CHAIN = 100
"""Samples that each chain gives; chains run side by side."""
STEPS_LEFT_OUT = 50
"""Steps at the beginning of each chain that are left out; successive ones are nearly independent."""
LARGEST_DEGREES = 1e6
"""Degrees of freedom that count as a known error."""


@dataclass(frozen=True)
class LinePosterior:
    """Samples of a line about the mean of its abscissas."""

    origin: float
    """Abscissa to which the intercepts belong."""
    intercepts: Floats
    """Shape ``(n_samples,)``."""
    slopes: Floats
    """Shape ``(n_samples,)``."""

    def at(self, abscissa: float) -> Floats:
        """Return the samples of the ordinate at an abscissa, shape ``(n_samples,)``."""
        return np.asarray(self.intercepts + self.slopes * (abscissa - self.origin), dtype=np.float64)


def line_posterior(x: Floats, y: Floats, errors: Floats, degrees: Floats, n_samples: int, seed: int) -> LinePosterior:
    """Return samples of the posterior of a line.

    :param x: abscissas, shape ``(n_points,)``, of which at least two differ.
    :param y: ordinates.
    :param errors: their standard errors, positive.
    :param degrees: degrees of freedom of the errors, at least 1.
    :param n_samples: how many samples.
    :param seed: of the random numbers.
    """
    random = np.random.default_rng(seed)
    degrees = np.minimum(degrees, LARGEST_DEGREES)
    origin = float(np.average(x, weights=errors**-2.0))
    shifted = x - origin
    n_chains = -(-n_samples // STEPS_OF_CHAIN)
    weights = np.broadcast_to(errors**-2.0, (n_chains, len(x)))
    kept = []
    for step in range(STEPS_LEFT_OUT + STEPS_OF_CHAIN):
        line = _drawn_lines(shifted, y, weights, random)
        misfit = (y - line[0][:, None] - line[1][:, None] * shifted) ** 2 / errors**2
        weights = random.chisquare(degrees + 1.0, size=misfit.shape) / (degrees + misfit) / errors**2
        if step >= STEPS_LEFT_OUT:
            kept.append(line)
    intercepts, slopes = (np.concatenate(parts)[:n_samples] for parts in zip(*kept))
    return LinePosterior(origin, intercepts, slopes)


def _drawn_lines(x: Floats, y: Floats, weights: Floats, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Return intercept and slope of each chain, drawn from the normal distribution of its weights."""
    total = weights.sum(axis=1)
    mean_x, mean_y = weights @ x / total, weights @ y / total
    spread = weights @ x**2 - total * mean_x**2
    best = (weights @ (x * y) - total * mean_x * mean_y) / spread
    slopes = best + random.normal(size=len(total)) / np.sqrt(spread)
    level = mean_y + random.normal(size=len(total)) / np.sqrt(total)
    return np.asarray(level - slopes * mean_x, dtype=np.float64), np.asarray(slopes, dtype=np.float64)


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
    low, high = interval(samples, 0.682689492137)
    return (high - low) / 2.0
