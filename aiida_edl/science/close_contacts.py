"""Atoms on top of each other, periodic images included, found without looking at all pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from aiida_edl.science.frames import Floats, Frame


@dataclass(frozen=True)
class CloseContact:
    """The closest two atoms of a frame that are closer than they may be."""

    first: int
    """Index of one atom."""
    second: int
    """Index of the other; the same if an atom meets its own image."""
    distance: float
    """Their distance [Å]."""
    symbols: tuple[str, str]
    """Their chemical symbols."""

    def __str__(self) -> str:
        """Return both atoms in words."""
        return f'{self.symbols[0]} {self.first} and {self.symbols[1]} {self.second}'


def closest_contact(frame: Frame, below: float) -> CloseContact | None:
    """Return the closest two atoms if they are closer than a distance.

    :param frame: the frame; its positions and cell are finite.
    :param below: the distance [Å].
    """
    pairs, distances = pairs_within(frame, below)
    if not len(pairs):
        return None
    closest = int(np.argmin(distances))
    first, second = sorted(int(index) for index in pairs[closest])
    symbols = chemical_symbols[int(frame.numbers[first])], chemical_symbols[int(frame.numbers[second])]
    return CloseContact(first, second, float(distances[closest]), symbols)


def pairs_within(frame: Frame, below: float) -> tuple[NDArray[np.int64], Floats]:
    """Return the pairs of atoms that are closer than a distance, and how far apart they are.

    A pair that meets across several boundaries is listed once for each of its images; a pair across a boundary may be
    listed twice.

    :param frame: the frame; its positions and cell are finite.
    :param below: the distance [Å].
    :return: indices of the atoms, shape ``(n_pairs, 2)``, and distances [Å], shape ``(n_pairs,)``.
    """
    positions, owners = _with_images(frame, below)
    pairs = cKDTree(positions).query_pairs(below, output_type='ndarray')
    pairs = pairs[pairs.min(axis=1) < len(frame.numbers)] if len(pairs) else pairs
    distances = np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=1)
    return np.asarray(owners[pairs], dtype=np.int64).reshape(-1, 2), np.asarray(distances)


def _with_images(frame: Frame, margin: float) -> tuple[Floats, NDArray[np.int64]]:
    """Return the positions, wrapped into the cell, then those images that lie within a margin around it; and owners."""
    owners = np.arange(len(frame.numbers))
    periodic = frame.cell[frame.pbc]
    if not len(periodic):
        return frame.positions, owners
    inverse = np.linalg.pinv(periodic)
    fractional = frame.positions @ inverse
    positions = frame.positions - np.floor(fractional) @ periodic
    fractional = fractional - np.floor(fractional)
    for direction, vector in enumerate(periodic):
        width = margin * np.linalg.norm(inverse[:, direction])
        along = fractional[:, direction]
        for shift, chosen in ((1.0, np.flatnonzero(along < width)), (-1.0, np.flatnonzero(along > 1.0 - width))):
            moved = fractional[chosen].copy()
            moved[:, direction] += shift
            positions = np.concatenate([positions, positions[chosen] + shift * vector])
            owners = np.concatenate([owners, owners[chosen]])
            fractional = np.concatenate([fractional, moved])
    return positions, owners
