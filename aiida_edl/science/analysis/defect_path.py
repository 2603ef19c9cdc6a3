r"""Where the defects of a crystal are over time, for pictures.

A lattice site with no atom is a vacancy. An atom at an interstitial site is an interstitial; a lattice site with two
atoms is one too, on its way, and both are called excess here. From one sampled frame to the next a defect goes on as
the nearest one of its class, vacancy or excess, and its path is unfolded; what finds no partner begins a new path.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis.atom_groups import Integers
from aiida_edl.science.analysis.crystal_sites import CrystalSites
from aiida_edl.science.analysis.hop_jumps import Jumps
from aiida_edl.science.frames import Floats

DEFECT_KINDS = ('interstitial', 'vacancy', 'shared')
"""Names of defects; ``shared`` is a lattice site with more than one atom."""


@dataclass(frozen=True)
class DefectPath:
    """Defects of one replica in sampled frames, frame by frame."""

    frame: Integers
    """Frame counted from the first of the replica, shape ``(n_points,)``."""
    position: Floats
    """Position of the site, unfolded along the path of the defect [Å], shape ``(n_points, 3)``."""
    kind: Integers
    """Position in :data:`DEFECT_KINDS`, shape ``(n_points,)``."""
    carrier: Integers
    """Number of the path to which the point belongs, same shape."""


def defect_path(
    jumps: Jumps, sites: CrystalSites, is_lattice: NDArray[np.bool_], n_frames: int, maximum_points: int
) -> DefectPath:
    """Return the defects of a replica at equal intervals of time.

    :param jumps: jumps without returns.
    :param sites: the sites.
    :param is_lattice: whether each site is one of the lattice, shape ``(n_sites,)``.
    :param n_frames: frames of the replica.
    :param maximum_points: most points that are given; the interval follows from it.
    """
    occupation = np.bincount(jumps.initial, minlength=len(sites.kind))
    n_defects = max(1, len(_defects(occupation, is_lattice)[0]))
    stride = max(1, -(-n_frames * n_defects // maximum_points))
    samples: list[tuple[int, Integers, Integers]] = []
    row = 0
    for frame in range(0, n_frames, stride):
        while row < len(jumps) and jumps.frame[row] <= frame:
            occupation[jumps.source[row]] -= 1
            occupation[jumps.target[row]] += 1
            row += 1
        samples.append((frame, *_defects(occupation, is_lattice)))
    thin = max(1, -(-sum(len(item[1]) for item in samples) // maximum_points))
    return _joined_path(samples[::thin], sites)


def _defects(occupation: Integers, is_lattice: NDArray[np.bool_]) -> tuple[Integers, Integers]:
    """Return the sites and kinds of all defects."""
    found = [
        np.flatnonzero(~is_lattice & (occupation > 0)),
        np.flatnonzero(is_lattice & (occupation == 0)),
        np.flatnonzero(is_lattice & (occupation > 1)),
    ]
    return np.concatenate(found), np.repeat(np.arange(3), [len(part) for part in found])


def _joined_path(samples: list[tuple[int, Integers, Integers]], sites: CrystalSites) -> DefectPath:
    """Return samples with their defects followed from one to the next."""
    frames, places, kinds, carriers = [], [], [], []
    before, n_carriers = (np.zeros((0, 3)), np.zeros(0, np.bool_), np.zeros(0, np.int64)), 0
    for frame, defects, kind in samples:
        scaled, carrier = sites.scaled[defects].copy(), np.full(len(defects), -1, dtype=np.int64)
        is_vacancy = kind == DEFECT_KINDS.index('vacancy')
        apart = scaled[:, np.newaxis] - before[0][np.newaxis]
        images = np.rint(apart)
        distances = np.linalg.norm((apart - images) @ sites.cell, axis=2)
        distances[is_vacancy[:, np.newaxis] != before[1][np.newaxis]] = np.inf
        is_free = np.ones(len(before[1]), dtype=np.bool_)
        for flat in np.argsort(distances, axis=None, kind='stable').tolist():
            new, old = divmod(flat, len(is_free))
            if carrier[new] < 0 and is_free[old] and np.isfinite(distances[new, old]):
                scaled[new] -= images[new, old]
                carrier[new], is_free[old] = before[2][old], False
        n_new = int(np.count_nonzero(carrier < 0))
        carrier[carrier < 0] = n_carriers + np.arange(n_new)
        n_carriers += n_new
        before = (scaled, is_vacancy, carrier)
        frames.append(np.full(len(defects), frame))
        places.append(scaled @ sites.cell)
        kinds.append(kind)
        carriers.append(carrier)
    return DefectPath(*(np.concatenate(parts) for parts in (frames, places, kinds, carriers)))
