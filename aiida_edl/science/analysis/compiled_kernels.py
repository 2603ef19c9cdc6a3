"""Inner loops that numba compiles: the search for the oxygen of each hydrogen, and sums over bins.

Imported by :func:`~aiida_edl.science.analysis.kernels.compiled_kernels` alone, when the first trajectory is analysed.
Each kernel has one signature, so it is compiled once and kept in the cache of numba; numbers are in double precision.
"""

# ruff: noqa: PLR0917  (numba passes arrays by position, and knows no dataclasses)

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

PAIR_MARGIN = 1e-9
"""Relative safety of the triangle inequality, far above rounding in double precision."""


@njit('float64(float64[:, ::1])', cache=True)
def _squared_half_height(inverse: Any) -> Any:
    """Return the square of half the smallest height of a cell [Å²]; shorter vectors are their own minimum images."""
    largest = 0.0
    for axis in range(3):
        largest = max(largest, inverse[0, axis] ** 2 + inverse[1, axis] ** 2 + inverse[2, axis] ** 2)
    return 0.25 / largest


@njit(
    'float64(float64, float64, float64, float64[:, ::1], float64[:, ::1], boolean[::1], float64, float64[::1])',
    cache=True,
)
def _minimum_image(x: Any, y: Any, z: Any, cell: Any, inverse: Any, pbc: Any, short: Any, out: Any) -> Any:
    """Write a vector folded back by whole cell vectors [Å] to ``out``, and return its squared length [Å²]."""
    out[0], out[1], out[2] = x, y, z
    squared = x * x + y * y + z * z
    if squared < short:
        return squared
    for axis in range(3):
        if pbc[axis]:
            shift = np.rint(x * inverse[0, axis] + y * inverse[1, axis] + z * inverse[2, axis])
            out[0] -= shift * cell[axis, 0]
            out[1] -= shift * cell[axis, 1]
            out[2] -= shift * cell[axis, 2]
    return out[0] * out[0] + out[1] * out[1] + out[2] * out[2]


@njit(
    'boolean(float64[:, :], int64[::1], float64[:, ::1], float64[:, ::1], boolean[::1], float64, int64[::1], '
    'float64[::1])',
    cache=True,
)
def _has_pair_within(
    positions: Any, oxygen: Any, cell: Any, inverse: Any, pbc: Any, limit: Any, order: Any, heights: Any
) -> Any:
    """Return whether two oxygen atoms are closer than a distance whose square is ``limit`` [Å²].

    Only pairs whose fractional coordinates along the third cell vector are near enough are compared; ``order`` holds
    the order of the frame before, which seldom changes much.
    """
    n_oxygen = oxygen.size
    for i in range(n_oxygen):
        atom = oxygen[i]
        height = 0.0
        for axis in range(3):
            height += positions[atom, axis] * inverse[axis, 2]
        heights[i] = height - np.floor(height) if pbc[2] else height
    for i in range(1, n_oxygen):
        moved = order[i]
        j = i
        while j > 0 and heights[order[j - 1]] > heights[moved]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = moved
    # The distance of the planes of two atoms is their difference along the third vector over |∇ of that coordinate|.
    reach = np.sqrt(limit * (inverse[0, 2] ** 2 + inverse[1, 2] ** 2 + inverse[2, 2] ** 2))
    vector, short = np.empty(3), _squared_half_height(inverse)
    for i in range(n_oxygen):
        first = oxygen[order[i]]
        for step in range(1, n_oxygen):
            j = i + step
            rise = 0.0
            if j >= n_oxygen:
                if not pbc[2]:
                    break
                j -= n_oxygen
                rise = 1.0
            if heights[order[j]] + rise - heights[order[i]] > reach:
                break
            second = oxygen[order[j]]
            squared = _minimum_image(
                positions[second, 0] - positions[first, 0],
                positions[second, 1] - positions[first, 1],
                positions[second, 2] - positions[first, 2],
                cell,
                inverse,
                pbc,
                short,
                vector,
            )
            if squared < limit:
                return True
    return False


@njit(
    'void(float64[:, :, :], int64[::1], float64[:, :, :], int64[::1], float64[:, :, ::1], float64[:, :, ::1], '
    'boolean[:, ::1], int64[:, ::1], float64[:, :, ::1], int64[:, ::1])',
    cache=True,
)
def assign(
    oxygens: Any,
    oxygen: Any,
    hydrogens: Any,
    hydrogen: Any,
    cells: Any,
    inverses: Any,
    pbc: Any,
    owners: Any,
    bonds: Any,
    counts: Any,
) -> None:
    """Find the nearest oxygen of each hydrogen in each frame.

    The owners of one frame are kept in the next if it is proved that they hold: if each bond is shorter than half the
    distance of any two oxygen atoms, no other oxygen is nearer by the triangle inequality. Else all are compared.

    :param oxygens: positions that hold the oxygen atoms [Å], shape ``(n_frames, n, 3)``.
    :param oxygen: their indices among them, shape ``(n_oxygen,)``.
    :param hydrogens: positions that hold the hydrogen atoms [Å], shape ``(n_frames, m, 3)``.
    :param hydrogen: their indices among them, shape ``(n_hydrogen,)``.
    :param cells: cell vectors as rows [Å], shape ``(n_frames, 3, 3)``.
    :param inverses: inverses of the cells [1/Å], same shape.
    :param pbc: periodicity along the cell vectors, shape ``(n_frames, 3)``.
    :param owners: result, position of the owner in the list of oxygen, shape ``(n_frames, n_hydrogen)``.
    :param bonds: result, vectors from the owner [Å], shape ``(n_frames, n_hydrogen, 3)``.
    :param counts: result, number of hydrogen of each oxygen, from zero, shape ``(n_frames, n_oxygen)``.
    """
    n_frames, n_oxygen, n_hydrogen = owners.shape[0], oxygen.size, hydrogen.size
    order, heights, vector = np.arange(n_oxygen), np.empty(n_oxygen), np.empty(3)
    for frame in range(n_frames):
        cell, inverse, periodic = cells[frame], inverses[frame], pbc[frame]
        is_settled, short = frame > 0, _squared_half_height(inverse)
        if is_settled:
            longest = 0.0
            for i in range(n_hydrogen):
                owner = owners[frame - 1, i]
                squared = _minimum_image(
                    hydrogens[frame, hydrogen[i], 0] - oxygens[frame, oxygen[owner], 0],
                    hydrogens[frame, hydrogen[i], 1] - oxygens[frame, oxygen[owner], 1],
                    hydrogens[frame, hydrogen[i], 2] - oxygens[frame, oxygen[owner], 2],
                    cell,
                    inverse,
                    periodic,
                    short,
                    bonds[frame, i],
                )
                owners[frame, i] = owner
                longest = max(longest, squared)
            limit = 4.0 * (1.0 + PAIR_MARGIN) * longest
            is_settled = not _has_pair_within(oxygens[frame], oxygen, cell, inverse, periodic, limit, order, heights)
        if not is_settled:
            for i in range(n_hydrogen):
                nearest = np.inf
                for j in range(n_oxygen):
                    squared = _minimum_image(
                        hydrogens[frame, hydrogen[i], 0] - oxygens[frame, oxygen[j], 0],
                        hydrogens[frame, hydrogen[i], 1] - oxygens[frame, oxygen[j], 1],
                        hydrogens[frame, hydrogen[i], 2] - oxygens[frame, oxygen[j], 2],
                        cell,
                        inverse,
                        periodic,
                        short,
                        vector,
                    )
                    if squared < nearest:
                        nearest = squared
                        owners[frame, i] = j
                        bonds[frame, i, 0], bonds[frame, i, 1], bonds[frame, i, 2] = vector[0], vector[1], vector[2]
        for i in range(n_hydrogen):
            counts[frame, owners[frame, i]] += 1


@njit('void(int64[:, ::1], float64[:, :, ::1], float64[:, ::1], float64[:, ::1])', cache=True)
def dipole_cosines(owners: Any, bonds: Any, normals: Any, cosines: Any) -> None:
    """Write the cosine between the sum of the bonds of each oxygen and a normal; NaN where the sum vanishes.

    :param owners: oxygen of each hydrogen, shape ``(n_frames, n_hydrogen)``.
    :param bonds: vectors from oxygen to hydrogen [Å], shape ``(n_frames, n_hydrogen, 3)``.
    :param normals: unit normals, shape ``(n_frames, 3)``.
    :param cosines: result, shape ``(n_frames, n_oxygen)``.
    """
    n_oxygen = cosines.shape[1]
    sums = np.empty((n_oxygen, 3))
    for frame in range(owners.shape[0]):
        sums[:] = 0.0
        for i in range(owners.shape[1]):
            owner = owners[frame, i]
            for axis in range(3):
                sums[owner, axis] += bonds[frame, i, axis]
        for j in range(n_oxygen):
            along = sums[j, 0] * normals[frame, 0] + sums[j, 1] * normals[frame, 1] + sums[j, 2] * normals[frame, 2]
            length = np.sqrt(sums[j, 0] ** 2 + sums[j, 1] ** 2 + sums[j, 2] ** 2)
            cosines[frame, j] = along / length if length > 0.0 else np.nan


@njit(
    'void(float64[:, :], float64, float64, int64[:], float64[:, :], boolean[:, :], float64[:, ::1])',
    cache=True,
)
def add_to_bins(values: Any, width: Any, maximum: Any, of_frame: Any, weights: Any, mask: Any, sums: Any) -> None:
    """Add weights to the bins into which values between zero and ``maximum`` fall.

    :param values: shape ``(n_frames, n_members)``.
    :param width: width of a bin.
    :param maximum: end of the last bin.
    :param of_frame: row of each frame, shape ``(n_frames,)``.
    :param weights: shape ``(n_frames, n_members)`` or ``(n_frames, 1)``.
    :param mask: which values count, shape ``(n_frames, n_members)``, or empty for all.
    :param sums: what is added to, shape ``(n_rows, n_bins)``.
    """
    n_frames, n_members = values.shape
    last, is_masked, has_own_weights = sums.shape[1] - 1, mask.size > 0, weights.shape[1] > 1
    for frame in range(n_frames):
        row = of_frame[frame]
        for member in range(n_members):
            value = values[frame, member]
            if not (0.0 <= value < maximum) or (is_masked and not mask[frame, member]):
                continue
            place = min(int(value / width), last)
            sums[row, place] += weights[frame, member] if has_own_weights else weights[frame, 0]
