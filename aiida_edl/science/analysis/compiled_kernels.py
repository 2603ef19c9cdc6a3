"""Inner loops that numba compiles: the search for the oxygen of each hydrogen, and sums over bins.

Imported by :func:`~aiida_edl.science.analysis.kernels.compiled_kernels` alone, when the first trajectory is analysed.
Each kernel has one signature, so it is compiled once and kept in the cache of numba; numbers are in double precision.
"""

# ruff: noqa: PLR0917  (numba takes no dataclasses, and calls within inner loops cost more than the work)

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from aiida_edl.science.analysis.surface_planes import LAYER_GAP

PAIR_MARGIN = 1e-9
"""Relative safety of the triangle inequality, far above rounding in double precision."""


@njit('float64(float64[:, ::1])', cache=True)
def squared_half_height(inverse: Any) -> Any:
    """Return the square of half the smallest height of a cell [Å²]; shorter vectors are their own minimum images."""
    largest = 0.0
    for axis in range(3):
        largest = max(largest, inverse[0, axis] ** 2 + inverse[1, axis] ** 2 + inverse[2, axis] ** 2)
    return 0.25 / largest


@njit(
    'float64(float64, float64, float64, float64[:, ::1], float64[:, ::1], boolean[::1], float64, float64[::1])',
    cache=True,
)
def minimum_image(x: Any, y: Any, z: Any, cell: Any, inverse: Any, pbc: Any, short: Any, out: Any) -> Any:
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
    'int64(float64[:, :], int64[::1], float64[:, ::1], boolean[::1], float64, float64[:, ::1], int64[::1])', cache=True
)
def _sort_into_slabs(
    positions: Any, oxygen: Any, inverse: Any, pbc: Any, reach: Any, fractions: Any, starts: Any
) -> Any:
    """Write the fractional coordinates of oxygen slab by slab, and return the number of slabs.

    :param reach: least thickness of a slab along the third fractional coordinate.
    :param fractions: result, wrapped where periodic, shape ``(3, n_oxygen)``.
    :param starts: result, first oxygen of each slab and their number at the end, shape ``(n_oxygen + 1,)`` or longer.
    """
    n_oxygen = oxygen.size
    raw, slab = np.empty((3, n_oxygen)), np.empty(n_oxygen, dtype=np.int64)
    for i in range(n_oxygen):
        atom = oxygen[i]
        x, y, z = positions[atom, 0], positions[atom, 1], positions[atom, 2]
        for axis in range(3):
            fraction = x * inverse[0, axis] + y * inverse[1, axis] + z * inverse[2, axis]
            raw[axis, i] = fraction - np.floor(fraction) if pbc[axis] else fraction
    low = 0.0 if pbc[2] else raw[2].min()
    extent = 1.0 if pbc[2] else raw[2].max() - low
    n_slabs = max(1, min(n_oxygen, int(extent / reach))) if reach > 0.0 else 1
    starts[: n_slabs + 1] = 0
    for i in range(n_oxygen):
        slab[i] = min(int((raw[2, i] - low) / extent * n_slabs), n_slabs - 1) if n_slabs > 1 else 0
        starts[slab[i] + 1] += 1
    for i in range(n_slabs):
        starts[i + 1] += starts[i]
    place = starts[:n_slabs].copy()
    for i in range(n_oxygen):
        for axis in range(3):
            fractions[axis, place[slab[i]]] = raw[axis, i]
        place[slab[i]] += 1
    return n_slabs


@njit(
    'float64(float64[:, :], int64[::1], float64[:, ::1], float64[:, ::1], boolean[::1], float64, float64[:, ::1], '
    'int64[::1])',
    cache=True,
    fastmath={'nnan', 'nsz'},
)
def smallest_squared_distance(
    positions: Any, oxygen: Any, cell: Any, inverse: Any, pbc: Any, limit: Any, fractions: Any, starts: Any
) -> Any:
    """Return the smallest squared distance of two oxygen atoms [Å²], or ``limit`` if that is less.

    Only pairs in the same or in neighbouring slabs along the third cell vector are compared, which are thick enough.

    :param fractions: room for fractional coordinates, shape ``(3, n_oxygen)``.
    :param starts: room for the slabs, shape ``(n_oxygen + 2,)``.
    """
    # Two planes are as far apart as their third coordinates differ, over the length of the gradient of that coordinate.
    reach = np.sqrt(limit * (inverse[0, 2] ** 2 + inverse[1, 2] ** 2 + inverse[2, 2] ** 2))
    n_slabs = _sort_into_slabs(positions, oxygen, inverse, pbc, reach, fractions, starts)
    metric = cell @ cell.T
    aa, bb, cc = metric[0, 0], metric[1, 1], metric[2, 2]
    ab, ac, bc = 2.0 * metric[0, 1], 2.0 * metric[0, 2], 2.0 * metric[1, 2]
    half_a, half_b, half_c = (0.5 if pbc[0] else np.inf), (0.5 if pbc[1] else np.inf), (0.5 if pbc[2] else np.inf)
    smallest = limit
    for slab in range(n_slabs):
        beyond = slab + 1 if slab + 1 < n_slabs else (0 if pbc[2] and n_slabs > 1 else -1)
        for i in range(starts[slab], starts[slab + 1]):
            first_a, first_b, first_c = fractions[0, i], fractions[1, i], fractions[2, i]
            for part in range(2):
                if part == 1 and beyond < 0:
                    break
                begin, end = (i + 1, starts[slab + 1]) if part == 0 else (starts[beyond], starts[beyond + 1])
                for j in range(begin, end):
                    a, b, c = fractions[0, j] - first_a, fractions[1, j] - first_b, fractions[2, j] - first_c
                    # Wrapped coordinates differ by less than one, so the minimum image is at most one vector away.
                    a -= 1.0 if a > half_a else (-1.0 if a < -half_a else 0.0)
                    b -= 1.0 if b > half_b else (-1.0 if b < -half_b else 0.0)
                    c -= 1.0 if c > half_c else (-1.0 if c < -half_c else 0.0)
                    squared = aa * a * a + bb * b * b + cc * c * c + ab * a * b + ac * a * c + bc * b * c
                    smallest = squared if squared < smallest else smallest
    return smallest


@njit(
    'float64(float64[:, :], int64[::1], float64[:, :], int64[::1], float64[:, ::1], float64[:, ::1], boolean[::1], '
    'float64, int64[::1], int64[::1], float64[:, ::1])',
    cache=True,
)
def carry_owners(
    oxygens: Any,
    oxygen: Any,
    hydrogens: Any,
    hydrogen: Any,
    cell: Any,
    inverse: Any,
    pbc: Any,
    short: Any,
    before: Any,
    owners: Any,
    bonds: Any,
) -> Any:
    """Write the bonds of one frame to the owners of the one before, and return the longest, squared [Å²]."""
    longest = 0.0
    for i in range(hydrogen.size):
        owner = before[i]
        squared = minimum_image(
            hydrogens[hydrogen[i], 0] - oxygens[oxygen[owner], 0],
            hydrogens[hydrogen[i], 1] - oxygens[oxygen[owner], 1],
            hydrogens[hydrogen[i], 2] - oxygens[oxygen[owner], 2],
            cell,
            inverse,
            pbc,
            short,
            bonds[i],
        )
        owners[i] = owner
        longest = max(longest, squared)
    return longest


@njit(
    'void(float64[:, :], int64[::1], float64[:, :], int64[::1], float64[:, ::1], float64[:, ::1], boolean[::1], '
    'float64, int64[::1], float64[:, ::1])',
    cache=True,
)
def search_owners(
    oxygens: Any,
    oxygen: Any,
    hydrogens: Any,
    hydrogen: Any,
    cell: Any,
    inverse: Any,
    pbc: Any,
    short: Any,
    owners: Any,
    bonds: Any,
) -> None:
    """Write the nearest oxygen of each hydrogen of one frame and the bonds, by comparing all pairs."""
    vector = np.empty(3)
    for i in range(hydrogen.size):
        nearest = np.inf
        for j in range(oxygen.size):
            squared = minimum_image(
                hydrogens[hydrogen[i], 0] - oxygens[oxygen[j], 0],
                hydrogens[hydrogen[i], 1] - oxygens[oxygen[j], 1],
                hydrogens[hydrogen[i], 2] - oxygens[oxygen[j], 2],
                cell,
                inverse,
                pbc,
                short,
                vector,
            )
            if squared < nearest:
                nearest = squared
                owners[i] = j
                bonds[i, 0], bonds[i, 1], bonds[i, 2] = vector[0], vector[1], vector[2]


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
    starts, fractions = np.zeros(n_oxygen + 2, dtype=np.int64), np.empty((3, n_oxygen))
    for frame in range(n_frames):
        cell, inverse, periodic = cells[frame], inverses[frame], pbc[frame]
        places, protons, own, bond = oxygens[frame], hydrogens[frame], owners[frame], bonds[frame]
        is_settled, short = frame > 0, squared_half_height(inverse)
        if is_settled:
            before = owners[frame - 1]
            longest = carry_owners(places, oxygen, protons, hydrogen, cell, inverse, periodic, short, before, own, bond)
            limit = 4.0 * (1.0 + PAIR_MARGIN) * longest
            squared = smallest_squared_distance(places, oxygen, cell, inverse, periodic, limit, fractions, starts)
            is_settled = squared >= limit
        if not is_settled:
            search_owners(places, oxygen, protons, hydrogen, cell, inverse, periodic, short, own, bond)
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


@njit('float64(float64[::1], int64[::1], float64, boolean)', cache=True)
def plane_height(heights: Any, layer: Any, period: Any, is_periodic: Any) -> Any:
    """Return the mean height of a layer by minimum image, without members farther than the gap from its median [Å]."""
    anchor = heights[layer[0]]
    relative = np.empty(layer.size)
    for i in range(layer.size):
        relative[i] = heights[layer[i]] - anchor
        if is_periodic:
            relative[i] -= np.rint(relative[i] / period) * period
    if relative.max() - relative.min() <= LAYER_GAP:  # then all are within the gap of the median
        return anchor + relative.sum() / layer.size
    median = np.median(relative)
    total, count = 0.0, 0
    for value in relative:
        if abs(value - median) <= LAYER_GAP:
            total += value
            count += 1
    return anchor + (total / count if count else relative.sum() / layer.size)
