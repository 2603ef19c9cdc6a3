"""Errors of means of correlated series: correlation time, replicas.

Time always runs along the first axis; any further axes are columns that are treated alike, e.g. the bins of a profile.
Correlation times are in units of the sampling interval; multiply by it to obtain fs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

MINIMUM_SAMPLES = 4
"""Fewer samples than this hold no information on their own correlation."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error; all fields have the shape of one sample."""

    mean: Floats
    """Mean, in the unit of the series."""
    error: Floats
    """Standard error of the mean (one standard deviation), in the unit of the series."""
    n_effective: Floats
    """Number of independent samples the series is worth."""
    correlation_time: Floats
    """Integrated correlation time [sampling intervals]; 0.5 for independent samples."""


def _checked_series(series: ArrayLike) -> Floats:
    """Return the series as floats.

    :raises ValueError: if it is too short or holds values that are not finite.
    """
    values = np.asarray(series, dtype=np.float64)
    if values.ndim == 0 or len(values) < MINIMUM_SAMPLES:
        length = 0 if values.ndim == 0 else len(values)
        raise ValueError(f'a series of {length} samples has no error estimate; give at least {MINIMUM_SAMPLES}')
    if bad := int(np.count_nonzero(~np.isfinite(values))):
        raise ValueError(f'the series holds {bad} values that are not finite; remove them')
    return values


def autocorrelation(series: ArrayLike) -> Floats:
    r"""Return the normalised autocorrelation function of each column.

    .. math:: \rho(k) = \frac{1}{n\,c_0} \sum_{t=0}^{n-k-1} (x_t - \bar x)(x_{t+k} - \bar x),

    the estimator with the factor 1/n, whose variance stays bounded at long lags. A column that never changes has
    ``rho(0) = 1`` and zero elsewhere.

    :param series: shape ``(n_samples, ...)``.
    :return: shape ``(n_samples, ...)``; entry ``k`` belongs to the lag of ``k`` sampling intervals.
    :raises ValueError: if the series is too short or not finite.
    """
    values = _checked_series(series)
    n_samples = len(values)
    deviations = values - values.mean(axis=0)
    spectrum = scipy.fft.rfft(deviations, n=2 * n_samples, axis=0)
    covariance = scipy.fft.irfft(np.abs(spectrum) ** 2, n=2 * n_samples, axis=0)[:n_samples]
    is_constant = _is_constant(values)
    rho: Floats = covariance / np.where(is_constant, 1.0, covariance[0])
    rho[:, is_constant] = 0.0
    rho[0] = 1.0
    return rho


def _is_constant(values: Floats) -> NDArray[np.bool_]:
    """Return which columns do not change beyond rounding."""
    scale = np.abs(values).max(axis=0)
    constant: NDArray[np.bool_] = np.asarray(np.ptp(values, axis=0) <= 1e-14 * scale)
    return constant


def integrated_correlation_time(series: ArrayLike, window_factor: float = 5.0) -> Floats:
    r"""Return the integrated autocorrelation time of each column, with an automatic window.

    .. math:: \tau = \frac12 + \sum_{k=1}^{W} \rho(k), \qquad W = \min\{M : M \ge c\,\tau(M)\},

    which holds if the series is much longer than ``tau`` (50 times, say); it is too small otherwise. Source:
    A. D. Sokal, Monte Carlo Methods in Statistical Mechanics (1997), section 3;
    U. Wolff, Comput. Phys. Commun. 156, 143 (2004).

    :param series: shape ``(n_samples, ...)``.
    :param window_factor: the factor c; for exponential decay the window cuts off a part exp(-c) of the sum.
    :return: correlation time [sampling intervals], shape of one sample; never below the value that would let
        ``n_effective`` exceed ``n_samples``.
    :raises ValueError: if the series is too short or not finite.
    """
    rho = autocorrelation(series)
    times = 0.5 + np.concatenate([np.zeros_like(rho[:1]), np.cumsum(rho[1:], axis=0)])
    lags = np.arange(len(rho)).reshape(-1, *[1] * (rho.ndim - 1))
    is_beyond = lags >= window_factor * times
    is_beyond[-1] = True
    window = np.argmax(is_beyond, axis=0)
    chosen = np.take_along_axis(times, window[np.newaxis], axis=0)[0]
    result: Floats = np.maximum(chosen, 0.5)
    return result


def mean_with_error(series: ArrayLike, window_factor: float = 5.0) -> Estimate:
    r"""Return the mean of each column and its standard error, corrected for correlation.

    .. math:: \sigma^2 = \frac{2\tau}{n}\, s^2, \qquad n_\mathrm{eff} = \frac{n}{2\tau}

    with the sample variance s², enlarged by the factor 1/(1 - 1/n_eff) because the mean is taken from the same
    correlated samples.

    :param series: shape ``(n_samples, ...)``, e.g. profiles of ``(n_frames, n_bins)``.
    :param window_factor: see :func:`integrated_correlation_time`.
    :raises ValueError: if the series is too short or not finite.

    >>> float(mean_with_error([1.0, 3.0, 1.0, 3.0, 1.0, 3.0]).mean)
    2.0
    """
    values = _checked_series(series)
    n_samples = len(values)
    times = integrated_correlation_time(values, window_factor)
    n_effective = np.maximum(n_samples / (2.0 * times), 1.0)
    variance = values.var(axis=0) / (1.0 - 1.0 / np.maximum(n_effective, 2.0))
    variance = np.where(_is_constant(values), 0.0, variance)
    return Estimate(
        mean=np.asarray(values.mean(axis=0)),
        error=np.sqrt(variance / n_effective),
        n_effective=n_effective,
        correlation_time=times,
    )


def combine_replicas(estimates: Sequence[Estimate]) -> Estimate:
    r"""Return the mean over independent replicas, with the larger of the two errors they give.

    Each replica weighs as many samples as it is worth, :math:`w_r = n_r / \sum n_r`. Its own error gives
    :math:`\sqrt{\sum w_r^2 \sigma_r^2}`; the scatter between the replicas gives
    :math:`\sqrt{\sum w_r^2 (m_r - \bar m)^2 \, k/(k-1)}`, which for equal weights is the standard error of k numbers.
    The larger is taken: a scatter above the errors within is the sign that a replica is shorter than its correlation
    time. Columns that are NaN in a replica are left to the others; where the error alone is NaN, its mean counts and
    its error is left to the scatter. No error follows where no replica knows one.

    :param estimates: one per replica, all of one shape.
    :raises ValueError: if none is given or the shapes differ.
    """
    if not estimates:
        raise ValueError('no replica was given; give at least one estimate')
    shapes = {np.shape(item.mean) for item in estimates}
    if len(shapes) > 1:
        raise ValueError(f'the replicas have shapes {sorted(shapes)}; give estimates of one shape')
    means, errors, sizes, times = (
        np.stack([np.asarray(getattr(item, name), dtype=np.float64) for item in estimates])
        for name in ('mean', 'error', 'n_effective', 'correlation_time')
    )
    is_known = np.isfinite(means) & (sizes > 0.0)
    has_error = is_known & np.isfinite(errors)
    means, times = (np.where(is_known, array, 0.0) for array in (means, times))
    errors = np.where(has_error, errors, 0.0)
    sizes = np.where(is_known, sizes, 0.0)
    total, n_known = sizes.sum(axis=0), is_known.sum(axis=0)
    weights = sizes / np.where(total > 0.0, total, 1.0)
    mean = (weights * means).sum(axis=0)
    within = np.sqrt((weights**2 * errors**2).sum(axis=0))
    correction = n_known / np.maximum(n_known - 1, 1)
    between = np.sqrt((np.where(is_known, weights * (means - mean), 0.0) ** 2).sum(axis=0) * correction)
    is_empty = n_known == 0
    return Estimate(
        mean=np.where(is_empty, np.nan, mean),
        error=np.where(has_error.any(axis=0), np.maximum(within, between), np.nan),
        n_effective=total,
        correlation_time=np.where(is_empty, np.nan, (weights * times).sum(axis=0)),
    )
