r"""Does a run sample the canonical distribution: of its kinetic energy, and of the velocities of each element.

In the canonical ensemble, :math:`2K/k_BT` of ``f`` degrees of freedom is chi-square distributed with ``f`` degrees, so
the instantaneous temperature has the mean T and the variance :math:`2T^2/f`; and each component of a velocity is
normal with the variance :math:`k_BT/m`, or :math:`k_BT(1/m - 1/M)` where the total momentum of the mass M is held at
zero. Atoms that never move are left out. Correlated samples are thinned to independent ones before a Kolmogorov-
Smirnov test. Of the error of a mean from its series and the one that the canonical variance gives, the larger is
taken.

A velocity-Verlet integrator of step h shows a mode of frequency ω at the temperature :math:`T(1 - ω^2h^2/4)`, i.e. the
stretch of O-H about 2 % too cold at 0.5 fs; a tolerance on the temperature of an element should not be below 1 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from aiida_edl.science import units
from aiida_edl.science.frames import Floats
from aiida_edl.science.uncertainty import MINIMUM_SAMPLES, integrated_correlation_time, mean_with_error

MINIMUM_INDEPENDENT = 10
"""Independent samples below which a distribution is not tested."""
MOMENTUM_AT_REST = 1e-3
"""Total momentum, relative to that of a free centre of mass, up to which it counts as held at zero."""


@dataclass(frozen=True)
class DistributionTest:
    """Mean and distribution of a temperature against the canonical ones."""

    mean: float
    """Mean temperature [K]."""
    error: float
    """Its standard error [K]."""
    variance_ratio: float
    """Variance of the temperature, or fourth moment of the velocity, over the canonical value at the mean."""
    variance_ratio_error: float
    """Its standard error."""
    statistic: float
    """Largest difference of the cumulative distributions; NaN if not tested."""
    p_value: float
    """Chance of a larger difference if the run is canonical at the target; NaN if not tested."""
    n_independent: int
    """Independent samples that were tested."""


def degrees_of_freedom(temperatures: Floats, kinetic_energies: Floats) -> int:
    """Return the degrees of freedom by which an engine turned kinetic energy into temperature.

    :param temperatures: temperatures [K], shape ``(n_samples,)``.
    :param kinetic_energies: kinetic energies [eV], shape ``(n_samples,)``.
    """
    is_warm = temperatures > 0.0
    if not is_warm.any():
        return 0
    return round(float(np.median(2.0 * kinetic_energies[is_warm] / (units.BOLTZMANN * temperatures[is_warm]))))


def temperature_test(temperatures: Floats, target: float, freedom: int) -> DistributionTest:
    """Compare a series of temperatures with the canonical one.

    :param temperatures: instantaneous temperatures [K], shape ``(n_samples,)``, at least 4.
    :param target: temperature asked for [K]; 0 tests against the mean.
    :param freedom: degrees of freedom; 0 if not known, then the distribution is not tested.
    """
    estimate = mean_with_error(temperatures)
    mean, error = float(estimate.mean), float(estimate.error)
    if not freedom:
        return DistributionTest(mean, error, np.nan, np.nan, np.nan, np.nan, 0)
    spread = mean_with_error((temperatures - mean) ** 2 * freedom / (2.0 * mean**2))
    stride = _stride(float(estimate.correlation_time))
    independent = temperatures[::stride]
    error = max(error, _canonical_error(mean, freedom, len(independent)))
    statistic, p_value = _ks(independent * freedom / (target or mean), stats.chi2(freedom).cdf)
    # The mean takes one sample away from the variance.
    bias = 1.0 - 1.0 / max(float(estimate.n_effective), 2.0)
    return DistributionTest(
        mean, error, float(spread.mean) / bias, float(spread.error) / bias, statistic, p_value, len(independent)
    )


def element_velocity_test(
    velocities: Floats, mass: float, target: float, total_mass: float = np.inf
) -> DistributionTest:
    """Compare the velocities of the mobile atoms of one element with those of Maxwell and Boltzmann.

    :param velocities: velocities [Å/fs], shape ``(n_frames, n_members, 3)``, at least 4 frames.
    :param mass: mass of an atom [u].
    :param target: temperature asked for [K]; 0 tests against the mean.
    :param total_mass: mass of all mobile atoms [u] if their momentum is held at zero, infinite if it is not.
    """
    scale = mass * units.ATOMIC_MASS / (units.BOLTZMANN * (1.0 - mass / total_mass))
    squares = scale * velocities**2
    series = squares.mean(axis=(1, 2))
    estimate = mean_with_error(series)
    mean, error = float(estimate.mean), float(estimate.error)
    # Fourth moment over three times the square of the second: 1 for a normal distribution.
    fourth = mean_with_error((squares**2).mean(axis=(1, 2)) / (3.0 * max(mean, 1e-300) ** 2))
    times = integrated_correlation_time(velocities.reshape(len(velocities), -1))
    stride = _stride(max(float(estimate.correlation_time), float(np.mean(times))))
    error = max(error, _canonical_error(mean, velocities[0].size, len(velocities[::stride])))
    independent = (velocities[::stride] * np.sqrt(scale / (target or mean))).ravel() if mean > 0.0 else np.zeros(0)
    statistic, p_value = _ks(independent, stats.norm.cdf)
    return DistributionTest(mean, error, float(fourth.mean), float(fourth.error), statistic, p_value, independent.size)


def momentum_is_held(velocities: Floats, masses: Floats) -> bool:
    """Return whether the total momentum stays at zero.

    :param velocities: velocities of the mobile atoms [Å/fs], shape ``(n_frames, n_mobile, 3)``.
    :param masses: their masses [u], shape ``(n_mobile,)``.
    """
    momenta = np.einsum('fax,a->fx', velocities, masses)
    free = np.einsum('fax,a->fx', velocities**2, masses**2)
    return bool(np.sum(momenta**2) <= MOMENTUM_AT_REST**2 * np.sum(free))


def _stride(correlation_time: float) -> int:
    """Return every how many samples there is an independent one."""
    return max(1, round(2.0 * correlation_time))


def _canonical_error(mean: float, freedom: int, n_independent: int) -> float:
    """Return the standard error of a mean temperature that the canonical ensemble gives [K].

    It is a lower bound: the error from the scatter of a few samples is itself uncertain and often too small.
    """
    return mean * float(np.sqrt(2.0 / (freedom * max(n_independent, 1))))


def _ks(samples: Floats, cumulative: object) -> tuple[float, float]:
    """Return statistic and p-value of a Kolmogorov-Smirnov test; NaN for too few samples."""
    if samples.size < max(MINIMUM_INDEPENDENT, MINIMUM_SAMPLES):
        return np.nan, np.nan
    result = stats.kstest(samples, cumulative)
    return float(result.statistic), float(result.pvalue)
