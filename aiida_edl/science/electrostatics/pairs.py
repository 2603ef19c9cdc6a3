"""Pairs of atoms within a cutoff, images included, once each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.geometry import complete_cell
from numpy.typing import NDArray

from aiida_edl.science.electrostatics.charged_system import ChargedSystem
from aiida_edl.science.electrostatics.compiled_pairs import BYTES_PER_PAIR, periodic_pairs
from aiida_edl.science.electrostatics.memory_check import check_memory
from aiida_edl.science.electrostatics.periodic_check import check_open


@dataclass(frozen=True)
class NeighbourPairs:
    """Pairs of atoms, and of atoms with images, each of them once."""

    pairs: NDArray[np.int64]
    """Both atoms, shape ``(n_pairs, 2)``."""
    shifts: NDArray[np.int32]
    """Cell vectors that are added to the second atom, shape ``(n_pairs, 3)``."""
    cutoff_radius: float
    """Distance up to which pairs are listed [Å]."""


def neighbour_pairs(system: ChargedSystem, cutoff_radius: float) -> NeighbourPairs:
    """Return all pairs within a cutoff.

    Images along an open cell vector count as well: a slab is summed as a stack of slabs, and then corrected.

    :param system: the system; a cutoff longer than the cell takes in several images.
    :param cutoff_radius: the cutoff [Å].
    """
    return NeighbourPairs(*periodic_pairs(system.positions, system.cell, cutoff_radius), cutoff_radius)


def near_pairs(system: ChargedSystem, cutoff_radius: float) -> NeighbourPairs:
    """Return the pairs within a cutoff with images along periodic cell vectors alone.

    :param system: positions, cell and periodicity; an open cell vector may be zero.
    :param cutoff_radius: the cutoff [Å].
    """
    cell = complete_cell(system.cell)
    fractions = np.linalg.solve(cell.T, system.positions.T).T
    heights = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    stretch = np.where(system.pbc, 1.0, np.ptp(fractions, axis=0) + 2.0 * cutoff_radius / heights)
    lowest = np.where(system.pbc, 0.0, fractions.min(axis=0))
    inside = (fractions - lowest) @ cell  # along open vectors all atoms are in a cell whose images are out of reach
    return NeighbourPairs(*periodic_pairs(inside, cell * stretch[:, None], cutoff_radius), cutoff_radius)


def all_pairs(system: ChargedSystem) -> NeighbourPairs:
    """Return every pair of atoms, for a system that is open in all directions.

    :raises aiida_edl.science.electrostatics.charged_system.ChargedSystemError: if it is periodic, or too large.
    """
    check_open(system)
    n_atoms = len(system.charges)
    n_pairs = n_atoms * (n_atoms - 1) // 2
    remedy = 'give it a cell with room around it, periodic along all vectors, and take p3m'
    check_memory(2.0 * n_pairs * BYTES_PER_PAIR, f'all {n_pairs} pairs of {n_atoms} atoms', remedy)
    first, second = np.triu_indices(n_atoms, k=1)
    pairs = np.stack([first, second], axis=1).astype(np.int64)
    return NeighbourPairs(pairs, np.zeros((len(pairs), 3), dtype=np.int32), np.inf)


def overlapping_atoms(system: ChargedSystem, pairs: NeighbourPairs) -> tuple[int, int]:
    """Return the two atoms, or the atom and its image, that are closest to each other.

    :param system: the system.
    :param pairs: its pairs.
    """
    first, second = pairs.pairs.T
    vectors = system.positions[second] + pairs.shifts @ system.cell - system.positions[first]
    closest = int(np.argmin(np.sum(vectors**2, axis=1)))
    return int(first[closest]), int(second[closest])
