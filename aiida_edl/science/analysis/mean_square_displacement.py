r"""Mean square displacement over all time origins, by Fourier transform, and its series over time origins.

.. math:: M(k) = \frac{1}{n - k} \sum_{t=0}^{n-k-1} |\mathbf r(t + k) - \mathbf r(t)|^2
          = \frac{1}{n - k} \sum_t \big( q(t) + q(t + k) \big) - \frac{2}{n - k} \sum_t \mathbf r(t)\cdot\mathbf r(t+k)

with :math:`q = |\mathbf r|^2`: the last sum is a correlation, for all lags at once by a transform of twice the length.
Source: V. Calandrini et al., École thématique de la Société Française de la Neutronique 12, 201 (2011), section 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft

from aiida_edl.science.frames import Floats

COLUMNS_AT_ONCE = 16
"""Columns that are transformed at once: what fits into the cache of a processor."""


def mean_square_displacement(paths: Floats, n_lags: int) -> Floats:
    """Return the sum over columns of the mean square displacement over all time origins.

    :param paths: coordinates [Å], shape ``(n_frames, n_columns)``, e.g. those of all atoms along all axes.
    :param n_lags: lags from 0 on, at most ``n_frames``.
    :return: sum over columns [Å²], shape ``(n_lags,)``.

    >>> mean_square_displacement(np.array([[0.0], [1.0], [2.0], [3.0]]), 3).round(12).tolist()
    [0.0, 1.0, 4.0]
    """
    n_frames, n_columns = paths.shape
    length = scipy.fft.next_fast_len(n_frames + n_lags, real=True)
    power = np.zeros(length // 2 + 1)
    squares = np.zeros(n_frames)
    for first in range(0, n_columns, COLUMNS_AT_ONCE):
        columns = np.ascontiguousarray(paths[:, first : first + COLUMNS_AT_ONCE].T)
        columns = columns - columns.mean(axis=1, keepdims=True)
        spectrum = scipy.fft.rfft(columns, n=length, axis=1)
        power += np.sum(spectrum.real**2 + spectrum.imag**2, axis=0)
        squares += np.einsum('ct,ct->t', columns, columns)
    products = scipy.fft.irfft(power, n=length)[:n_lags]
    sums = np.concatenate([[0.0], np.cumsum(squares)])
    lags = np.arange(n_lags)
    starts, ends = sums[n_frames - lags], sums[n_frames] - sums[lags]
    result = np.asarray((starts + ends - 2.0 * products) / (n_frames - lags), dtype=np.float64)
    result[0] = 0.0
    return result


class OriginSeries:
    """Square displacements at single time origins, summed over columns.

    :param paths: coordinates [Å], shape ``(n_frames, n_columns)``.
    """

    def __init__(self, paths: Floats) -> None:
        self.paths = paths
        self.squares = np.einsum('tc,tc->t', paths, paths)

    def at(self, lag: int, stop: int, stride: int) -> Floats:
        """Return the square displacement over a lag [Å²] from every ``stride``-th origin before ``stop``.

        :param lag: frames.
        :param stop: origin after the last one; at most the number of frames less the lag.
        :param stride: frames between origins.
        """
        origins, ends = slice(0, stop, stride), slice(lag, lag + stop, stride)
        products = np.einsum('tc,tc->t', self.paths[origins], self.paths[ends])
        return np.asarray(self.squares[origins] + self.squares[ends] - 2.0 * products, dtype=np.float64)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.paths)


@dataclass(frozen=True)
class Motion:
    """Displacements of one kind in all replicas: those of the atoms, or of their sum."""

    replicas: list[OriginSeries]
    """Square displacements at time origins, one for each replica."""
    curves: Floats
    """Mean square displacement of each replica [Å²], shape ``(n_replicas, n_lags)``, by lag in frames."""

    @classmethod
    def of(cls, paths: Sequence[Floats], n_lags: int) -> Motion:
        """Return the motion along paths.

        :param paths: for each replica coordinates [Å], shape ``(n_frames, n_columns)``, over which squares are summed.
        :param n_lags: lags from 0 on.
        """
        curves = np.stack([mean_square_displacement(path, n_lags) for path in paths])
        return cls([OriginSeries(path) for path in paths], curves)

    @property
    def lengths(self) -> Floats:
        """Frames of each replica, shape ``(n_replicas,)``."""
        return np.array([len(item) for item in self.replicas], dtype=np.float64)

    @property
    def curve(self) -> Floats:
        """Mean square displacement of all replicas, weighed by their length [Å²], shape ``(n_lags,)``."""
        return np.asarray(np.average(self.curves, axis=0, weights=self.lengths), dtype=np.float64)
