r"""Total dipole of the solvent: how strongly it fluctuates, and how long it remembers.

.. math:: \mathbf M(t) = q_H \sum_H (\mathbf r_H - \mathbf r_{O(H)})

with fixed charges, O of H being its nearest O, so that a broken water counts with the hydrogens it has. Potentials that
see no farther than their cutoff let the dipoles of a film align over any distance: :math:`M_z` fluctuates too much, up
to a polarisation that would turn the solvent into a metal (I. J. Parker et al., arXiv 2603.04228). Two numbers tell:

- :math:`G_z = 3\langle\delta M_z^2\rangle / (N \mu^2)`, which is 1 for waters that do not know of each other and far
  below 1 for a film that is open along z, where each dipole feels the field of the others;
- :math:`\langle\delta M_z^2\rangle / (\epsilon_0 V k_B T)`, with a stated volume per water: the response of a film to a
  field of displacement, :math:`1 - 1/\epsilon_\perp`, which for a stable dielectric without metal cannot exceed 1
  (C. Zhang, M. Sprik, Phys. Rev. B 93, 144201 (2016)). Beside a metal, the images of the dipoles add to it; so compare
  it with the same number of the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aiida_edl.science import units
from aiida_edl.science.analysis.correlation_times import e_folding_time, integral_time
from aiida_edl.science.frames import Floats
from aiida_edl.science.uncertainty import Estimate, combine_replicas, mean_with_error

N_SEGMENTS = 5
"""Segments of each replica that are left out in turn for the error of an autocorrelation function."""
ROUNDING = 1e-10
"""Deviation relative to the dipole up to which it counts as one that never changes."""


@dataclass(frozen=True)
class DipoleSeries:
    """Total dipole of one replica."""

    total: Floats
    """Components along two directions of the surface and along its normal [e Å], shape ``(n_frames, 3)``."""
    square: Floats
    """Sum of the squared dipoles of the waters [(e Å)²], shape ``(n_frames,)``."""
    n_water: Floats
    """Number of waters, shape ``(n_frames,)``."""


def fluctuation(replicas: Sequence[Floats]) -> Estimate:
    """Return the variance of one component of the total dipole [(e Å)²], about the mean over all replicas.

    :param replicas: the component in each replica [e Å], shape ``(n_frames,)`` each.
    """
    mean = float(np.concatenate(replicas).mean())
    estimate = combine_replicas([mean_with_error((values - mean) ** 2) for values in replicas])
    # The mean comes from the same samples, which number as many as the component is worth, not its square.
    n_effective = sum(float(mean_with_error(values).n_effective) for values in replicas)
    bias = 1.0 - 1.0 / max(n_effective, 2.0)
    return Estimate(estimate.mean / bias, estimate.error / bias, estimate.n_effective, estimate.correlation_time)


def vacuum_permittivity_ratio(variance: float, volume: float, temperature: float) -> float:
    """Return a variance of a dipole over ε0 V kT; NaN without a temperature.

    :param variance: variance [(e Å)²].
    :param volume: volume [Å³].
    :param temperature: temperature [K].
    """
    if temperature <= 0.0:
        return float('nan')
    return variance / (units.VACUUM_PERMITTIVITY * volume * units.BOLTZMANN * temperature)


@dataclass(frozen=True)
class DipoleMemory:
    """Autocorrelation of the total dipole along some directions, normalised to 1 at the lag 0."""

    values: Floats
    """The function, shape ``(n_lags,)``."""
    error: Floats
    """Its standard error from leaving out segments in turn, NaN for lags beyond their length and at the lag 0."""
    integral: tuple[float, float]
    """Relaxation time by integral, and its error [fs]."""
    e_folding: tuple[float, float]
    """Relaxation time by 1/e, and its error [fs]."""


def dipole_memory(replicas: Sequence[Floats], times: Floats) -> DipoleMemory:
    """Return the autocorrelation of the total dipole.

    The times are those of the whole function, their errors are from leaving out one segment in turn.

    :param replicas: components of each replica [e Å], shape ``(n_frames, n_components)`` each.
    :param times: lags [fs], shape ``(n_lags,)``.
    """
    joined = np.concatenate(replicas)
    mean = joined.mean(axis=0)
    if np.abs(joined - mean).max() <= ROUNDING * np.abs(joined).max():
        unknown = np.full(len(times), np.nan)
        return DipoleMemory(unknown, unknown, (np.nan, np.nan), (np.nan, np.nan))
    whole = [_products(values - mean, len(times)) for values in replicas]
    values = _normalised(whole)
    segments = [
        _products(segment - mean, len(times))
        for item in replicas
        for segment in np.array_split(item, N_SEGMENTS)
        if len(segment) > 1
    ]
    shortest = min(int(counts.astype(bool).sum()) for _, counts in segments)
    left_out = np.array([_normalised([*segments[:i], *segments[i + 1 :]])[:shortest] for i in range(len(segments))])
    error = np.full(len(times), np.nan)
    error[1:shortest] = _jackknife_error(left_out)[1:]  # it is 1 at the lag 0
    results = []
    for function in (integral_time, e_folding_time):
        others = np.array([function(times[:shortest], item) for item in left_out])
        results.append((function(times, values), float(_jackknife_error(others))))
    return DipoleMemory(values, error, *results)


def _jackknife_error(left_out: Floats) -> Floats:
    """Return the standard error of a statistic from its values without each of the segments in turn."""
    n_segments = len(left_out)
    squares = np.sum((left_out - left_out.mean(axis=0)) ** 2, axis=0)
    return np.asarray(np.sqrt((n_segments - 1) / n_segments * squares))


def _products(deviations: Floats, n_lags: int) -> tuple[Floats, Floats]:
    """Return sums over times and components of products at each lag, and the number of times, both ``(n_lags,)``."""
    n_frames = len(deviations)
    spectrum = np.fft.rfft(deviations, 2 * n_frames, axis=0)
    sums = np.zeros(n_lags)
    known = min(n_lags, n_frames)
    sums[:known] = np.fft.irfft(np.abs(spectrum) ** 2, 2 * n_frames, axis=0)[:known].sum(axis=1)
    return sums, np.maximum(n_frames - np.arange(n_lags), 0).astype(np.float64)


def _normalised(parts: Sequence[tuple[Floats, Floats]]) -> Floats:
    """Return the autocorrelation function of all parts together, NaN where no part is long enough."""
    sums, counts = (np.sum([part[i] for part in parts], axis=0) for i in range(2))
    if sums[0] <= 0.0:
        return np.full(len(sums), np.nan)
    values = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return np.asarray(values / values[0])


@dataclass(frozen=True)
class FluctuationComparison:
    """Fluctuation of the total dipole against that of the reference."""

    ratio: float
    """Variance over that of the reference."""
    error: float
    """Its standard error."""
    deviation: float
    """Difference from 1 in standard errors; NaN if the error is not known."""
    sentence: str
    """In words."""


def compare_fluctuation(
    variance: float, error: float, reference: float, reference_error: float, significance: float = 3.0
) -> FluctuationComparison:
    """Compare the fluctuation of the total dipole with that of the reference: the check for false metallisation.

    :param variance: ⟨δM_z²⟩ of a model, per water or in any unit common to both.
    :param error: its standard error.
    :param reference: that of the reference.
    :param reference_error: its standard error.
    :param significance: standard errors from which on a difference counts.
    :raises ValueError: if the reference does not fluctuate.
    """
    if not reference > 0.0:
        raise ValueError(f'the variance of the reference is {reference}, it must be positive')
    ratio = variance / reference
    of_ratio = float(np.hypot(error / reference, ratio * reference_error / reference))
    deviation = (ratio - 1.0) / of_ratio if of_ratio > 0.0 else float('nan')
    if np.isnan(deviation):
        judgement = 'whose error is not known'
    elif deviation > significance:
        judgement = 'too strong: a sign of false metallisation'
    elif deviation < -significance:
        judgement = 'too weak'
    else:
        judgement = 'not told apart from the reference'
    sentence = f'the total solvent dipole fluctuates {ratio:.2f} ± {of_ratio:.2f} times as much, {judgement}'
    return FluctuationComparison(ratio, of_ratio, deviation, sentence)
