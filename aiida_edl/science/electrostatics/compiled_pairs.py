"""Search for pairs of atoms within a cutoff in a periodic cell of any shape, by bins half as wide as the cutoff."""

# ruff: noqa: PLR0917  (numba takes no dataclasses)

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiida_edl.science.electrostatics.memory_check import check_memory
from aiida_edl.science.frames import Floats

BINS_PER_CUTOFF = 2
"""Bins along a cutoff: finer ones hold fewer atoms in vain, but are more."""
MOST_BINS = 8
"""Bins for each atom, at most: an empty box needs none."""
BYTES_PER_PAIR = 28
"""Both atoms and a shift [bytes]."""
SPARE = 1.1
"""Room for pairs over their number at even density; if it does not suffice, it is doubled."""


def periodic_pairs(positions: Floats, cell: Floats, cutoff: float) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return both atoms of each pair, and the cell vectors to be added to the second, each pair once.

    :param positions: Cartesian positions [Å], shape ``(n_atoms, 3)``; they may lie outside the cell.
    :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
    :param cutoff: distance up to which pairs are listed [Å]; one longer than the cell takes in several images.
    :raises aiida_edl.science.electrostatics.charged_system.ChargedSystemError: if they do not fit into the memory.
    """
    cell = np.array(cell, dtype=np.float64, order='C')  # of a file it may be read-only
    inverse = np.linalg.inv(cell)
    heights = 1.0 / np.linalg.norm(inverse, axis=0)
    counts = BINS_PER_CUTOFF * heights / cutoff
    counts *= min(1.0, (MOST_BINS * len(positions) / np.prod(np.maximum(counts, 1.0))) ** (1.0 / 3.0))
    counts = np.maximum(np.floor(counts), 1.0).astype(np.int64)
    reach = np.ceil(cutoff * counts / heights - 1e-12).astype(np.int64)
    fractions = positions @ inverse
    home = np.floor(fractions).astype(np.int64)
    fractions -= home
    bins = np.minimum((fractions * counts).astype(np.int64), counts - 1)
    flat = (bins[:, 0] * counts[1] + bins[:, 1]) * counts[2] + bins[:, 2]
    order = np.argsort(flat, kind='stable')
    filling = np.bincount(flat, minlength=math.prod(counts))
    starts = np.concatenate([[0], np.cumsum(filling)])
    places, home = (fractions @ cell)[order], home[order]
    density = len(positions) / abs(np.linalg.det(cell)) * len(filling) / np.count_nonzero(filling)
    room = int(SPARE * len(positions) * (density * 2.1 * cutoff**3 + 60.0))
    while True:
        remedy = 'take a shorter cutoff with a finer mesh'
        check_memory(room * BYTES_PER_PAIR, f'{room} pairs within {cutoff:g} Å', remedy)
        pairs, shifts = np.empty((room, 2), dtype=np.int64), np.empty((room, 3), dtype=np.int32)
        found = list_pairs(places, order, starts, home, cell, counts, reach, cutoff, pairs, shifts)
        if found >= 0:
            return pairs[:found], shifts[:found]
        room *= 2


@njit(
    'int64(float64[:, ::1], int64[::1], int64[::1], int64[:, ::1], float64[:, ::1], int64[::1], int64[::1], float64, '
    'int64[:, ::1], int32[:, ::1])',
    cache=True,
    fastmath={'contract'},
)
def list_pairs(
    places: Any,
    order: Any,
    starts: Any,
    home: Any,
    cell: Any,
    counts: Any,
    reach: Any,
    cutoff: Any,
    pairs: Any,
    shifts: Any,
) -> Any:
    """Write all pairs, and return their number, or -1 if there may be more than there is room for.

    :param places: positions within the cell, bin by bin [Å], shape ``(n_atoms, 3)``.
    :param order: index of each of them among the atoms.
    :param starts: first place of each bin, and the number of atoms.
    :param home: cell vectors that were taken off each position, shape ``(n_atoms, 3)``.
    :param counts: bins along each cell vector.
    :param reach: bins along each cell vector that a cutoff reaches beyond a bin.
    """
    squared_cutoff = cutoff * cutoff
    n_x, n_y, n_z = counts
    found = 0
    for here in range(n_x * n_y * n_z):
        first, last = starts[here], starts[here + 1]
        if first == last:
            continue
        at_x, at_y, at_z = here // (n_y * n_z), here // n_z % n_y, here % n_z
        for dx in range(reach[0] + 1):
            a = (at_x + dx) // n_x
            for dy in range(-reach[1] if dx > 0 else 0, reach[1] + 1):
                b = (at_y + dy) // n_y
                row = ((at_x + dx - a * n_x) * n_y + at_y + dy - b * n_y) * n_z
                dz = -reach[2] if dx > 0 or dy > 0 else 0
                while dz <= reach[2]:
                    is_own = dx == 0 and dy == 0 and dz == 0
                    c = (at_z + dz) // n_z
                    z = at_z + dz - c * n_z
                    run = min(reach[2] - dz + 1, n_z - z)  # bins in a row, whose atoms follow each other
                    begin, end = starts[row + z], starts[row + z + run]
                    dz += run
                    if found + (last - first) * (end - begin) > pairs.shape[0]:
                        return -1
                    x_shift = a * cell[0, 0] + b * cell[1, 0] + c * cell[2, 0]
                    y_shift = a * cell[0, 1] + b * cell[1, 1] + c * cell[2, 1]
                    z_shift = a * cell[0, 2] + b * cell[1, 2] + c * cell[2, 2]
                    for i in range(first, last):
                        x_i, y_i, z_i = places[i, 0] - x_shift, places[i, 1] - y_shift, places[i, 2] - z_shift
                        for j in range(i + 1 if is_own else begin, end):
                            x, y, w = places[j, 0] - x_i, places[j, 1] - y_i, places[j, 2] - z_i
                            if x * x + y * y + w * w < squared_cutoff:
                                pairs[found, 0], pairs[found, 1] = order[i], order[j]
                                shifts[found, 0] = a + home[i, 0] - home[j, 0]
                                shifts[found, 1] = b + home[i, 1] - home[j, 1]
                                shifts[found, 2] = c + home[i, 2] - home[j, 2]
                                found += 1
    return found
