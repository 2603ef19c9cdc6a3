"""Smallest distances of pairs of elements: what tells, without any model, that a frame lies outside a training set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols, covalent_radii
from numpy.typing import NDArray

from aiida_edl.science.analysis.atom_groups import Integers
from aiida_edl.science.close_contacts import pairs_within
from aiida_edl.science.frames import Floats, FrameSet


@dataclass(frozen=True)
class PairDistances:
    """Smallest distance of each pair of elements in each frame that was looked at."""

    elements: Integers
    """Atomic numbers of the pairs, ascending within a pair, shape ``(n_pairs, 2)``."""
    frames: Integers
    """Frames that were looked at, shape ``(n_seen,)``."""
    smallest: Floats
    """Smallest distance [Å], infinite where a pair does not meet within the range, shape ``(n_seen, n_pairs)``."""
    reach: float
    """Range within which pairs were seen [Å]."""

    @property
    def names(self) -> tuple[str, ...]:
        """Pairs in words, e.g. ``'H-O'``."""
        return tuple(f'{chemical_symbols[first]}-{chemical_symbols[second]}' for first, second in self.elements)

    @property
    def covalent_sums(self) -> Floats:
        """Sum of the covalent radii of each pair [Å], shape ``(n_pairs,)``; Cordero et al. (2008), as in ASE."""
        return np.asarray(covalent_radii[self.elements].sum(axis=1), dtype=np.float64)


def pair_distances(frames: FrameSet, reach: float, stride: int = 1) -> PairDistances:
    """Return the smallest distances, periodic images among them.

    :param frames: frames with finite positions, of any compositions.
    :param reach: distance beyond which no pair is seen [Å].
    :param stride: each of so many frames is looked at.
    """
    present = np.unique(frames.numbers).astype(np.int64)
    first, second = np.triu_indices(len(present))
    column = np.zeros((len(present), len(present)), dtype=np.int64)
    column[first, second] = column[second, first] = np.arange(len(first))
    seen = np.arange(0, len(frames), stride)
    smallest = np.full((len(seen), len(first)), np.inf)
    for row, index in enumerate(seen):
        frame = frames.frame(int(index))
        pairs, distances = pairs_within(frame, reach)
        kinds = np.searchsorted(present, frame.numbers[pairs])
        np.minimum.at(smallest[row], column[kinds[:, 0], kinds[:, 1]], distances)
    return PairDistances(np.stack([present[first], present[second]], axis=1), seen, smallest, reach)


def outside_training(run: PairDistances, training: PairDistances) -> tuple[NDArray[np.bool_], Floats]:
    """Return in which frames a pair of elements is closer than anywhere in a training set.

    A pair of elements that never meets within the range in the training set counts where it does in the run.

    :param run: distances in the run.
    :param training: distances in the training set, within the same range.
    :return: whether, shape ``(n_seen, n_pairs)`` of the run; and the smallest distance of each pair in the training
        set [Å], infinite without one, shape ``(n_pairs,)``.
    """
    lowest = dict(zip(map(tuple, training.elements.tolist()), training.smallest.min(axis=0).tolist()))
    limits = np.array([lowest.get((int(first), int(second)), np.inf) for first, second in run.elements])
    return run.smallest < limits, limits
