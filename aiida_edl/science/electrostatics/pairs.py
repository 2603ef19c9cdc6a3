"""Pairs of atoms within a cutoff, images included: a half list of vesin, once each."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.electrostatics.charged_system import ChargedSystem, ChargedSystemError


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
    :raises ModuleNotFoundError: without vesin; the extra ``electrostatics`` brings it.
    """
    vesin = importlib.import_module('vesin')
    search = vesin.NeighborList(cutoff=float(cutoff_radius), full_list=False, sorted=False)
    found = search.compute(
        points=np.ascontiguousarray(system.positions),
        box=np.ascontiguousarray(system.cell),
        periodic=bool(system.pbc.any()),
        quantities='PS',
    )
    pairs, shifts = np.asarray(found[0], dtype=np.int64), np.asarray(found[1], dtype=np.int32)
    return NeighbourPairs(np.ascontiguousarray(pairs), np.ascontiguousarray(shifts), cutoff_radius)


def all_pairs(system: ChargedSystem) -> NeighbourPairs:
    """Return every pair of atoms, for a system that is open in all directions.

    :raises ChargedSystemError: if it is periodic.
    """
    if system.pbc.any():
        raise ChargedSystemError(
            f'the system is periodic ({system.pbc.tolist()}), the direct sum takes only open ones: use ewald or p3m'
        )
    first, second = np.triu_indices(len(system.charges), k=1)
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
