r"""Rates, shares and residence times of events, with their errors.

Errors are the largest of three: that of independent events, that of the scatter between blocks, and that of the scatter
between replicas. Events that come in bursts scatter more than independent ones, and replicas that do not sample alike
scatter more than their blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.stats

from aiida_edl.science.analysis.atom_groups import Integers
from aiida_edl.science.frames import Floats

UPPER_CONFIDENCE = 0.95
"""One-sided confidence of upper limits."""


@dataclass(frozen=True)
class BlockCounts:
    """Events of each replica, block and kind."""

    counts: Integers
    """Shape ``(n_replicas, n_blocks, n_kinds)``."""
    durations: Floats
    """Length of each replica [fs], shape ``(n_replicas,)``."""

    @classmethod
    def of(cls, frames: list[Integers], kinds: list[Integers], n_frames: list[int], shape: tuple[int, int],
           frame_interval: float) -> BlockCounts:  # fmt: skip
        """Return counts of events.

        :param frames: frame of each event, counted from the first of its replica, by replica.
        :param kinds: kind of each event, by replica.
        :param n_frames: frames of each replica.
        :param shape: number of blocks and of kinds.
        :param frame_interval: time between frames [fs].
        """
        n_blocks, n_kinds = shape
        counts = np.zeros((len(frames), n_blocks, n_kinds), dtype=np.int64)
        for replica, (when, kind, length) in enumerate(zip(frames, kinds, n_frames, strict=True)):
            np.add.at(counts[replica], (when * n_blocks // length, kind), 1)
        return cls(counts, np.array(n_frames, dtype=np.float64) * frame_interval)

    @property
    def totals(self) -> Integers:
        """Events of each kind, shape ``(n_kinds,)``."""
        return np.asarray(self.counts.sum(axis=(0, 1)))


def scatter_error(residuals: Floats) -> Floats:
    """Return the standard error of a sum from what parts of it deviate from their expectation.

    :param residuals: deviations, shape ``(n_replicas, n_blocks, ...)``.
    :return: the larger of the errors from blocks and from replicas, shape ``(...)``.
    """
    blocks = residuals.reshape(-1, *residuals.shape[2:])
    error: Floats = np.sqrt(np.sum(blocks**2, axis=0) * len(blocks) / (len(blocks) - 1))
    if (n_replicas := len(residuals)) > 1:
        between = np.sqrt(np.sum(residuals.sum(axis=1) ** 2, axis=0) * n_replicas / (n_replicas - 1))
        error = np.maximum(error, between)
    return error


def count_errors(blocks: BlockCounts) -> Floats:
    """Return the standard error of the number of events of each kind; NaN where there are none.

    :param blocks: events of each block.
    """
    totals = blocks.totals
    n_blocks = blocks.counts.shape[1]
    share = (blocks.durations / blocks.durations.sum() / n_blocks)[:, np.newaxis, np.newaxis]
    error = np.maximum(np.sqrt(totals), scatter_error(blocks.counts - totals * share))
    result: Floats = np.where(totals > 0, error, np.nan)
    return result


def upper_limits(totals: Integers) -> Floats:
    r"""Return the upper limits of the expected numbers of independent events, at a confidence of 95 %.

    .. math:: \mu_\mathrm{up} = \tfrac12 \chi^2_{0.95}(2n + 2),

    3.0 for none; F. Garwood, Biometrika 28, 437 (1936).

    :param totals: numbers of events.
    """
    limits: Floats = np.asarray(0.5 * scipy.stats.chi2.ppf(UPPER_CONFIDENCE, 2 * totals + 2), dtype=np.float64)
    return limits


def share_with_error(first: Integers, second: Integers) -> tuple[float, float]:
    r"""Return the share of the first of two kinds of events, p = n_1/(n_1 + n_2), and its error.

    That of independent events is the standard deviation of the posterior Beta(n_1 + 1/2, n_2 + 1/2), which does not
    vanish where one kind does not occur (H. Jeffreys, Theory of Probability, 1961); that of the scatter is linear in
    the deviations :math:`n_1 - p (n_1 + n_2)` of each block.

    :param first: events of the first kind, shape ``(n_replicas, n_blocks)``.
    :param second: events of the second kind, same shape.
    :return: share and error; NaN if there is no event of either.
    """
    n_first, n_second = int(first.sum()), int(second.sum())
    if (total := n_first + n_second) == 0:
        return np.nan, np.nan
    share = n_first / total
    independent = float(scipy.stats.beta(n_first + 0.5, n_second + 0.5).std())
    scatter = float(scatter_error(first - share * (first + second))) / total
    return share, max(independent, scatter)
