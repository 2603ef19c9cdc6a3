"""Strata of frames, and how many to take of each: exact numbers in given shares."""

from __future__ import annotations

from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.frame_columns import Indices, column_of
from aiida_edl.science.frames import FrameSet

MAXIMUM_STRATA = 100
"""A column of floats with more values than this is cut into bins, or refused."""


class Shares(str, Enum):
    """How a selection is shared out among strata."""

    PROPORTIONAL = 'proportional'
    """As the frames are, to within one."""
    EQUAL = 'equal'
    """Equally, to within one."""


class StrataError(ValueError):
    """Strata that cannot be made or do not hold what is asked of them; the message says what they hold."""


def strata_of(frames: FrameSet, column: str, n_bins: int | None = None) -> tuple[list[str], Indices]:
    """Return the names of the strata of a column, in order of value, and the number of the stratum of each frame.

    :param frames: the frames.
    :param column: name of the column, or what follows from the atoms, see
        :func:`~aiida_edl.science.frame_columns.column_of`.
    :param n_bins: cuts a column of numbers into as many bins of equal width; each value is a stratum without it.
    :raises StrataError: if the bins do not fit the column, or it has too many values to be strata.
    :raises ValueError: if there is no such column; the message holds the nearest.
    """
    values = column_of(frames, column)
    if n_bins is not None:
        return _bins(values, column, n_bins)
    kinds, owners = np.unique(values, return_inverse=True)
    if np.issubdtype(values.dtype, np.floating) and len(kinds) > MAXIMUM_STRATA:
        raise StrataError(f"column '{column}' has {len(kinds)} different values; give n_bins to make strata of it")
    return [str(kind) for kind in kinds.tolist()], np.asarray(owners, dtype=np.int64)


def _bins(values: NDArray[Any], column: str, n_bins: int) -> tuple[list[str], Indices]:
    """Return the bins of equal width that hold frames."""
    if n_bins < 1:
        raise StrataError(f'n_bins is {n_bins}, it must be positive')
    if not np.issubdtype(values.dtype, np.number) or not np.isfinite(values).all():
        raise StrataError(f"column '{column}' does not hold finite numbers alone, so it has no bins; leave n_bins out")
    edges = np.linspace(values.min(), values.max(), n_bins + 1)
    numbers = np.clip(np.searchsorted(edges, values, side='right') - 1, 0, n_bins - 1)
    filled, owners = np.unique(numbers, return_inverse=True)
    return [f'{edges[k]:.6g} to {edges[k + 1]:.6g}' for k in filled], np.asarray(owners, dtype=np.int64)


def allocate(sizes: ArrayLike, total: int, shares: Shares | str = Shares.PROPORTIONAL) -> Indices:
    """Return how many to take of each stratum, by largest remainder; they add up to the total.

    Each stratum gets its quota rounded down, and what is left goes to the largest remainders, of equal ones to the
    larger stratum, then to the first. Source: M. L. Balinski and H. P. Young, Fair Representation (1982), chapter 3.

    :param sizes: frames in each stratum, shape ``(n_strata,)``.
    :param total: how many to take in all, at most their sum.
    :param shares: whether the quotas are equal, or as the sizes.
    :raises StrataError: if the kind of shares is unknown.

    >>> allocate([50, 30, 20], 7).tolist(), allocate([50, 30, 20], 7, 'equal').tolist()
    ([4, 2, 1], [3, 2, 2])
    """
    known = [member.value for member in Shares]
    if shares not in known:
        raise StrataError(unknown_name_message('kind of shares', str(shares), known))
    counts = np.asarray(sizes, dtype=np.int64)
    weights = counts if Shares(shares) is Shares.PROPORTIONAL else np.ones_like(counts)
    # Whole numbers, so that no rounding decides: the quota is total * weight / sum.
    quotas, remainders = np.divmod(total * weights, weights.sum())
    order = np.lexsort((np.arange(len(counts)), -counts, -remainders))
    quotas[order[: total - int(quotas.sum())]] += 1
    return np.asarray(quotas, dtype=np.int64)


def check_quotas(column: str, names: list[str], sizes: Indices, quotas: Indices) -> None:
    """Refuse quotas that a stratum cannot fill.

    :param column: what makes the strata.
    :param names: of the strata.
    :param sizes: frames each one holds.
    :param quotas: frames asked for.
    :raises StrataError: for the first stratum that holds too few; the message says how many.
    """
    for name, size, quota in zip(names, sizes.tolist(), quotas.tolist()):
        if quota > size:
            raise StrataError(
                f"{quota} frames with {column} '{name}' are asked for, there are {size}; ask for fewer, or for "
                'proportional shares'
            )
