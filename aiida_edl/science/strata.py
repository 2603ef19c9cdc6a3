"""Strata of frames, and how many to take of each: exact numbers in given shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.frame_columns import Indices, column_of
from aiida_edl.science.frames import FrameSet

MAXIMUM_STRATA = 100
"""A column of floats with more values than this is cut into bins, or refused."""
JOINT = '+'
"""Joins the names of columns whose combinations of values are strata, and the values in the names of these."""
SUM_TOLERANCE = 1e-3
"""By how much named shares may miss one, so that three decimals do for thirds."""


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

    Columns joined by ``+`` make one stratum of each combination of values that occurs, in order of the first column,
    then of the second, named by the values in the same way: ``temperature+defect`` makes ``300.0+none``. A column that
    has a ``+`` in its own name is taken as it is.

    :param frames: the frames.
    :param column: name of the column, or what follows from the atoms, see
        :func:`~aiida_edl.science.frame_columns.column_of`; or several joined by ``+``.
    :param n_bins: cuts a column of numbers into as many bins of equal width; each value is a stratum without it. Of
        joined columns it cuts those of numbers that have more different values than that, and leaves the others.
    :raises StrataError: if the bins do not fit the column, or it has too many values to be strata.
    :raises ValueError: if there is no such column; the message holds the nearest.
    """
    columns = [column] if column in frames.columns else column.split(JOINT)
    if len(columns) == 1:
        return _strata_of_one(column_of(frames, column), column, n_bins)
    if len(set(columns)) < len(columns):
        raise StrataError(f"strata by '{column}' name a column twice; name each once")
    values = [column_of(frames, name) for name in columns]
    if n_bins is not None and not any(np.issubdtype(array.dtype, np.number) for array in values):
        raise StrataError(f"no column of '{column}' holds numbers, so there are no bins; leave n_bins out")
    parts = [
        _strata_of_one(array, name, n_bins if _has_bins(array, n_bins) else None)
        for array, name in zip(values, columns)
    ]
    kinds, owners = np.unique(np.stack([owner for _, owner in parts], axis=1), axis=0, return_inverse=True)
    names = [JOINT.join(part[0][number] for part, number in zip(parts, kind)) for kind in kinds.tolist()]
    return names, np.asarray(owners, dtype=np.int64).reshape(-1)


def _has_bins(values: NDArray[Any], n_bins: int | None) -> bool:
    """Return whether one of several columns is cut into bins."""
    return n_bins is not None and np.issubdtype(values.dtype, np.number) and len(np.unique(values)) > n_bins


def _strata_of_one(values: NDArray[Any], column: str, n_bins: int | None) -> tuple[list[str], Indices]:
    """Return the names of the strata of one column and the number of the stratum of each frame."""
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
    return _largest_remainders(weights.tolist(), counts, total)


def allocate_named(names: list[str], sizes: ArrayLike, total: int, shares: Mapping[str, float]) -> Indices:
    """Return how many to take of each stratum if their shares are given by name; they add up to the total.

    Rounding is that of :func:`allocate`. The shares are taken as written, so that 0.1 is a tenth, and
    relative to their sum.

    :param names: of the strata.
    :param sizes: frames in each stratum, shape ``(n_strata,)``.
    :param total: how many to take in all.
    :param shares: share of each stratum by its name, about one in all; nothing is taken of a stratum that is left out.
    :raises StrataError: if there is no such stratum, or the shares are negative or do not add up to one.

    >>> allocate_named(['interstitial', 'none'], [100, 900], 25, {'none': 0.4, 'interstitial': 0.6}).tolist()
    [15, 10]
    """
    for name, share in shares.items():
        if name not in names:
            raise StrataError(unknown_name_message('stratum', name, names))
        if not isinstance(share, (int, float)) or not share >= 0:
            raise StrataError(f"the share of '{name}' is {share!r}, it must be a number that is not negative")
    if abs((given := sum(shares.values())) - 1) > SUM_TOLERANCE * (1 + 1e-9):
        raise StrataError(
            f'the shares of {", ".join(shares) or "no strata"} add up to {given:.6g}, they must add up to 1'
        )
    weights = [Fraction(str(shares.get(name, 0))) for name in names]
    return _largest_remainders(weights, np.asarray(sizes, dtype=np.int64), total)


def _largest_remainders(weights: Sequence[Fraction | int], sizes: Indices, total: int) -> Indices:
    """Return quotas rounded down, and one more for the largest remainders.

    :param weights: of the strata; exact numbers, so that no rounding decides: the quota is total * weight / sum.
    :param sizes: frames in each stratum, of which the larger goes first if remainders are equal.
    :param total: sum of the quotas.
    """
    parts = [divmod(total * Fraction(weight), sum(weights)) for weight in weights]
    quotas = np.array([quota for quota, _ in parts], dtype=np.int64)
    order = sorted(range(len(parts)), key=lambda number: (-parts[number][1], -int(sizes[number]), number))
    quotas[order[: total - int(quotas.sum())]] += 1
    return quotas


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
