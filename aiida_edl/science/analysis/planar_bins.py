"""Bins along the surface normal, and sums over them in blocks of frames.

Trajectories are reduced to sums over short blocks of successive frames, at most :data:`MAX_BLOCKS` of them, while they
stream by. The memory needed is then set by the number of bins, and the correlation of the series is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis.kernels import compiled_kernels, writable
from aiida_edl.science.frames import Floats
from aiida_edl.science.uncertainty import Estimate, mean_with_error

Integers = NDArray[np.int64]

MAX_BLOCKS = 1000
"""Blocks of a trajectory: enough to resolve correlation times down to a thousandth of its length."""
GRID_TOLERANCE = 1e-6
"""Deviation from a whole number of bins that is taken for rounding."""
ROUNDING = 1e-12
"""Error relative to the largest sample up to which a series counts as one that never changes."""


@dataclass(frozen=True)
class Rows:
    """Into which row of a result each frame is summed."""

    of_frame: Integers
    """Row of each frame, shape ``(n_frames,)``."""
    count: int
    """Number of rows."""


@dataclass(frozen=True)
class PlanarBins:
    """Equal bins from the surface at 0 to ``maximum``."""

    width: float
    """Width of a bin [Å]."""
    maximum: float
    """Upper end of the last bin [Å]; a whole multiple of the width."""

    def __post_init__(self) -> None:
        """Check that a whole number of bins fits.

        :raises ValueError: if not, or if a length is not positive.
        """
        if not 0 < self.width <= self.maximum:
            raise ValueError(f'bin width {self.width} Å must be positive and at most the range of {self.maximum} Å')
        bins = self.maximum / self.width
        if abs(bins - round(bins)) > GRID_TOLERANCE * bins:
            raise ValueError(f'range {self.maximum} Å is not a whole multiple of the bin width {self.width} Å')

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return round(self.maximum / self.width)

    @property
    def centres(self) -> Floats:
        """Centres of the bins [Å], shape ``(n_bins,)``."""
        return np.asarray((np.arange(self.n_bins) + 0.5) * self.width, dtype=np.float64)

    def sums(
        self, values: Floats, rows: Rows, weights: Floats | None = None, mask: NDArray[np.bool_] | None = None
    ) -> Floats:
        """Return the weighted number of values that fall into each bin, gathered by row.

        :param values: heights [Å] (or angles), shape ``(n_frames, n_members)``; those outside the range are left out.
        :param rows: row of each frame.
        :param weights: weight of each value, shape ``(n_frames, n_members)`` or ``(n_frames, 1)``; None for 1.
        :param mask: which values count, shape ``(n_frames, n_members)``; None for all.
        :return: shape ``(rows.count, n_bins)``.
        """
        if (kernels := compiled_kernels()) is not None:
            summed = np.zeros((rows.count, self.n_bins))
            of_each = np.ones((len(values), 1)) if weights is None else weights
            chosen = np.zeros((0, 0), dtype=bool) if mask is None else mask
            if of_each.shape[1] not in (1, values.shape[1]):
                raise ValueError(f'weights of shape {of_each.shape} do not fit values of shape {values.shape}')
            places = (writable(values), self.width, self.maximum, writable(rows.of_frame))
            kernels.add_to_bins(*places, writable(of_each), writable(chosen), summed)
            return summed
        return self._sums_by_numpy(values, rows, weights, mask)

    def _sums_by_numpy(
        self, values: Floats, rows: Rows, weights: Floats | None, mask: NDArray[np.bool_] | None
    ) -> Floats:
        """Do the same without compiled code."""
        # NaN fails both comparisons, so a value that is not defined is left out.
        inside = (values >= 0.0) & (values < self.maximum)
        if mask is not None:
            inside &= mask
        # A value just below the range may be rounded up to the next bin by the division.
        bins = np.minimum((values[inside] / self.width).astype(np.int64), self.n_bins - 1)
        flat = np.broadcast_to(rows.of_frame[:, None] * self.n_bins, values.shape)[inside] + bins
        selected = None if weights is None else np.broadcast_to(weights, values.shape)[inside]
        summed = np.bincount(flat, selected, rows.count * self.n_bins)
        return summed.reshape(rows.count, self.n_bins).astype(np.float64)


def coarsened(sums: Floats, factor: int) -> Floats:
    """Return sums over ``factor`` neighbouring bins.

    :param sums: shape ``(n_rows, n_bins)``, ``n_bins`` a multiple of ``factor``.
    :param factor: number of bins to join.
    """
    return np.asarray(sums.reshape(len(sums), -1, factor).sum(axis=2))


@dataclass(frozen=True)
class FrameBlocks:
    """Blocks of successive frames; no block reaches from one replica into the next."""

    block_of_frame: Integers
    """Block of each frame, shape ``(n_frames,)``."""
    replica_of_block: Integers
    """Replica of each block, shape ``(n_blocks,)``."""
    frames_in_block: Integers
    """Frames in each block, shape ``(n_blocks,)``; only the last block of a replica may be shorter."""

    @classmethod
    def of_lengths(cls, lengths: Sequence[int], max_blocks: int = MAX_BLOCKS) -> FrameBlocks:
        """Return the blocks of replicas laid end to end.

        :param lengths: number of frames of each replica.
        :param max_blocks: most blocks in all, give or take one for each replica.
        """
        size = max(1, -(-sum(lengths) // max_blocks))
        counts = [-(-length // size) for length in lengths]
        starts = np.concatenate([[0], np.cumsum(counts)])
        blocks = [start + np.arange(length) // size for start, length in zip(starts, lengths)]
        block_of_frame = np.concatenate(blocks).astype(np.int64)
        return cls(
            block_of_frame=block_of_frame,
            replica_of_block=np.repeat(np.arange(len(lengths)), counts).astype(np.int64),
            frames_in_block=np.bincount(block_of_frame).astype(np.int64),
        )

    def __len__(self) -> int:
        """Return the number of blocks."""
        return len(self.replica_of_block)


def ratio_over_replicas(numerators: Floats, denominators: Floats, replicas: Integers) -> Estimate:
    r"""Return the ratio of two sums over all replicas, with its correlation-aware standard error.

    .. math:: R = \frac{\sum_t a_t}{\sum_t b_t}, \qquad y_t = \frac{a_t - R\,b_t}{\bar b}.

    Every sample weighs the same. The error follows from the residuals y: each replica gives its mean m and the error of
    that mean, corrected for correlation in time. With the share w of each replica of the samples, the larger of
    :math:`\sqrt{\sum w^2 \sigma^2}` and :math:`\sqrt{\sum w^2 m^2\, k/(k-1)}` is taken, the scatter between k replicas.
    Columns whose denominator is always zero are NaN. So is the error where all residuals vanish: where nothing was ever
    counted, or in one row alone, or always the same, a run says nothing on how far its mean may be off.

    :param numerators: sums by block (or frame), shape ``(n_rows, n_columns)``.
    :param denominators: shape ``(n_rows, n_columns)`` or ``(n_rows, 1)``.
    :param replicas: replica of each row, shape ``(n_rows,)``, in ascending order.
    :raises ValueError: if a replica has too few rows for an error estimate.
    """
    denominators = np.broadcast_to(denominators, numerators.shape)
    total = denominators.sum(axis=0)
    is_empty = total == 0.0
    ratio = numerators.sum(axis=0) / np.where(is_empty, 1.0, total)
    residuals = (numerators - ratio * denominators) / np.where(is_empty, 1.0, total / len(replicas))
    parts = [mean_with_error(residuals[replicas == replica]) for replica in np.unique(replicas)]
    weights = np.bincount(replicas)[np.unique(replicas)][:, None] / len(replicas)
    within = np.sqrt(np.sum((weights * np.stack([part.error for part in parts])) ** 2, axis=0))
    scatter = np.sum((weights * np.stack([part.mean for part in parts])) ** 2, axis=0)
    between = np.sqrt(scatter * len(parts) / max(len(parts) - 1, 1))
    times = np.sum(weights * np.stack([part.correlation_time for part in parts]), axis=0)
    error = np.maximum(within, between if len(parts) > 1 else 0.0)
    scale = np.abs(numerators).max(axis=0) / np.where(is_empty, 1.0, total / len(replicas))
    is_silent = is_empty | (error <= ROUNDING * scale)
    return Estimate(
        mean=np.where(is_empty, np.nan, ratio),
        error=np.where(is_silent, np.nan, error),
        n_effective=np.where(is_empty, 0.0, np.sum([part.n_effective for part in parts], axis=0)),
        correlation_time=np.where(is_empty, np.nan, times),
    )


def replica_ratios(numerators: Floats, denominators: Floats, replicas: Integers) -> Floats:
    """Return the ratio of two sums over each replica, shape ``(n_replicas, n_columns)``; NaN where nothing was counted.

    :param numerators: sums by block (or frame), shape ``(n_rows, n_columns)``.
    :param denominators: shape ``(n_rows, n_columns)`` or ``(n_rows, 1)``.
    :param replicas: replica of each row, shape ``(n_rows,)``, in ascending order.
    """
    denominators = np.broadcast_to(denominators, numerators.shape)
    members = [replicas == replica for replica in np.unique(replicas)]
    above = np.stack([numerators[rows].sum(axis=0) for rows in members])
    below = np.stack([denominators[rows].sum(axis=0) for rows in members])
    return np.asarray(np.where(below == 0.0, np.nan, above / np.where(below == 0.0, 1.0, below)))
