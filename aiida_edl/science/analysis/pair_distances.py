"""Distances of many pairs of atoms by minimum image, in any cell and with any periodicity.

Fractional differences folded to half a cell give the shortest image of every pair that is closer than half the smallest
distance between opposite faces of the cell along its periodic directions; beyond it they may not, so no range may
exceed it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.frames import Floats

PAIRS_AT_ONCE = 2**18
"""Pairs whose distances are held at once; keeps the work within the cache of the processor."""
FLOOR_STEP = 0.01
"""Step to which the largest range is rounded down in messages [Å]."""


def largest_range(cells: Floats, pbc: NDArray[np.bool_]) -> float:
    """Return half the smallest distance between opposite periodic faces over all frames [Å]; infinite if open.

    :param cells: cell vectors as rows [Å], shape ``(n_frames, 3, 3)``; none may vanish.
    :param pbc: periodicity along the cell vectors, shape ``(n_frames, 3)``.
    """
    first = cells[:1] if np.all(cells == cells[0]) else cells
    heights = 1.0 / np.linalg.norm(np.linalg.inv(first), axis=1)
    return float(0.5 * np.where(pbc, heights, np.inf).min())


def check_range(name: str, value: float, allowed: float) -> None:
    """Refuse a range beyond which a pair has no unique shortest image.

    :param name: what the range is called.
    :param value: the range [Å].
    :param allowed: result of :func:`largest_range`.
    :raises NotAnalysableError: if the range is larger than allowed.
    """
    if value > allowed:
        rounded = np.floor(allowed / FLOOR_STEP) * FLOOR_STEP
        raise NotAnalysableError(
            f'{name} is {value:g} Å, but the cell is so small that only distances up to {rounded:.2f} Å, half its '
            f'smallest periodic height, are unique: set {name} to at most that'
        )


def squared_distances(
    first: Floats, second: Floats, cells: Floats, pbc: NDArray[np.bool_]
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield squared minimum-image distances [Å²] for successive ranges of frames.

    They are good to 1e-5 Å in the distance, for positions are wrapped before they are rounded to single precision.

    :param first: positions [Å], shape ``(n_frames, n_first, 3)``.
    :param second: positions [Å], shape ``(n_frames, n_second, 3)``.
    :param cells: cell vectors as rows [Å], shape ``(n_frames, 3, 3)``; none may vanish.
    :param pbc: periodicity along the cell vectors, shape ``(n_frames, 3)``.
    :return: pairs of range and distances, the latter of shape ``(n_in_range, n_first, n_second)``.
    """
    at_once = max(1, PAIRS_AT_ONCE // max(1, first.shape[1] * second.shape[1]))
    for start in range(0, len(first), at_once):
        span = slice(start, min(start + at_once, len(first)))
        yield span, _squared(first[span], second[span], cells[span], pbc[span])


def _squared(first: Floats, second: Floats, cells: Floats, pbc: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the squared distances of all pairs of a few frames."""
    inverse: Floats = np.asarray(np.linalg.inv(cells), dtype=np.float64)
    metric = (cells @ cells.transpose(0, 2, 1)).astype(np.float32)[:, :, :, None, None]
    ours, theirs = _wrapped(first, inverse, pbc), _wrapped(second, inverse, pbc)
    differences = []
    for axis in range(3):
        difference = ours[..., axis][:, :, None] - theirs[..., axis][:, None, :]
        if pbc[:, axis].all():
            difference -= np.rint(difference)
        elif pbc[:, axis].any():
            difference -= np.rint(difference) * pbc[:, axis, None, None]
        differences.append(difference)
    total = np.zeros_like(differences[0])
    for i, j in ((0, 1), (0, 2), (1, 2)):
        if np.any(metric[:, i, j]):
            total += 2 * metric[:, i, j] * differences[i] * differences[j]
    for axis, squares in enumerate(differences):
        np.multiply(squares, squares, out=squares)
        np.multiply(squares, metric[:, axis, axis], out=squares)
        total += squares
    # Rounding may leave a coincident pair slightly negative.
    return np.asarray(np.maximum(total, 0.0, out=total))


def _wrapped(positions: Floats, inverse: Floats, pbc: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return fractional coordinates, within the cell along periodic directions, from the first atom along open ones."""
    fractional = positions @ inverse
    fractional -= np.where(pbc[:, None, :], np.floor(fractional), 0.0)
    return fractional.astype(np.float32)
