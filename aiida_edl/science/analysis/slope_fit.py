r"""Slope of a mean square displacement over the lags of a window: generalised least squares with a free constant.

The weights are the best for independent Brownian walkers that vibrate, and right for others, since any line is met
exactly; errors are not taken from them. For a walker with the variance :math:`\sigma^2 = 2 D \Delta t` of a step and
the variance :math:`\eta^2` of a white vibration, along one axis and over n frames that are many more than the lags
i ≤ j, the covariance of the MSD is :math:`2 \sigma^4 C/n` with

.. math:: C_{ij} = i^2 j - \frac{i^3 - i}{3} + 4 \zeta i + \zeta^2 (4 + 2 \delta_{ij}), \qquad
          \zeta = \eta^2/\sigma^2 .

Sources: H. Qian, M. P. Sheetz, E. L. Elson, Biophys. J. 60, 910 (1991), for i = j without vibration; X. Michalet,
Phys. Rev. E 82, 041914 (2010); J. T. Bullerjahn, S. von Bülow, G. Hummer, J. Chem. Phys. 153, 024116 (2020).
A vibration that is remembered over several frames counts for as many frames less; it is taken to be forgotten in a
quarter of the first lag.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiida_edl.science.frames import Floats

FIT_LAGS = 24
"""Lags of a fit at most: more add nothing, since they share their displacements."""
MEMORY_SHARE = 0.25
"""Share of the first lag in which vibration is forgotten."""


@dataclass(frozen=True)
class SlopeFit:
    """A sum over lags that is the slope per frame of what grows along a line."""

    lags: Floats
    """Lags [frames], shape ``(n_lags,)``."""
    weights: Floats
    """Their weights [1/frames], shape ``(n_lags,)``."""
    walker_variance: float
    """Variance of the slope of walkers along one axis, in units of 2 σ⁴/n."""

    @classmethod
    def of(cls, curve: Floats, start: int, stop: int) -> SlopeFit:
        """Return the fit in a window.

        :param curve: mean square displacement [Å²] by lag in frames, from which the share of vibration is taken.
        :param start: first lag [frames].
        :param stop: last lag [frames].
        """
        lags = np.unique(np.geomspace(start, stop, FIT_LAGS).round()).astype(np.float64)
        plain = cls.with_vibration(lags, 0.0)
        values = curve[lags.astype(np.int64)]
        slope = float(values @ plain.weights)
        constant = float(np.mean(values - slope * lags))
        if slope <= 0.0 or constant <= 0.0:
            return plain
        return cls.with_vibration(lags, constant / (2.0 * slope))

    @classmethod
    def with_vibration(cls, lags: Floats, ratio: float) -> SlopeFit:
        """Return the fit for a known vibration.

        :param lags: [frames], at least two.
        :param ratio: ζ, variance of the vibration over that of a step.
        """
        memory = max(1.0, MEMORY_SHARE * float(lags[0]))
        covariance = walker_covariance(lags, ratio, memory)
        design = np.stack([np.ones_like(lags), lags / lags[0]], axis=1)
        solved = np.linalg.solve(covariance, design)
        weights = np.linalg.solve(design.T @ solved, solved.T)[1] / lags[0]
        return cls(lags, np.asarray(weights, dtype=np.float64), float(weights @ covariance @ weights))

    def by_lag(self) -> dict[int, float]:
        """Return the weight of each lag [frames]."""
        return {int(lag): float(weight) for lag, weight in zip(self.lags, self.weights)}

    def slopes(self, curves: Floats) -> Floats:
        """Return the slope per frame of curves.

        :param curves: values by lag in frames, shape ``(..., n_lags)``.
        """
        return np.asarray(curves[..., self.lags.astype(np.int64)] @ self.weights, dtype=np.float64)


def walker_covariance(lags: Floats, ratio: float = 0.0, memory: float = 1.0) -> Floats:
    """Return the covariance C of the MSD of a walker between lags, see above.

    :param lags: [frames], shape ``(n_lags,)``.
    :param ratio: ζ, variance of the vibration over that of a step.
    :param memory: frames over which the vibration is remembered.
    """
    smaller, larger = np.minimum.outer(lags, lags), np.maximum.outer(lags, lags)
    walk = smaller**2 * larger - (smaller**3 - smaller) / 3.0
    vibration = 4.0 * ratio * smaller + ratio**2 * (4.0 + 2.0 * np.eye(len(lags)))
    return np.asarray(walk + memory * vibration, dtype=np.float64)
