"""Choose among the frames that a potential found by itself those to label: physical, and unlike what it has learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.candidates import fair_quotas
from aiida_edl.science.close_contacts import closest_contact
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.neighbour_distances import sorted_distance_descriptors
from aiida_edl.science.selection import select_coverage, select_farthest_points, select_random

Indices = NDArray[np.int64]


class OwnFrameMethod(str, Enum):
    """How frames are chosen within a stratum."""

    FARTHEST_POINT = 'farthest_point'
    """As different as possible from each other, from what was chosen in other strata, and from what is known."""
    RANDOM = 'random'
    """Drawn without repetition."""
    COVERAGE = 'coverage'
    """Such that as many frames of the stratum as possible have a chosen one nearby: dense regions come first."""


@dataclass(frozen=True)
class Exclusion:
    """A frame that is no candidate."""

    frame: int
    """Index of the frame."""
    reason: str
    """Why, in words."""


def unphysical_frames(frames: FrameSet, minimum_distance: float) -> list[Exclusion]:
    """Return the frames that are worth no label: atoms on top of each other, or numbers that are not finite.

    :param frames: the frames.
    :param minimum_distance: least distance of two atoms, images included [Å].
    """
    found = []
    for index, frame in enumerate(frames):
        if not (np.isfinite(frame.positions).all() and np.isfinite(frame.cell).all()):
            found.append(Exclusion(index, 'a position or cell vector is not finite'))
        elif (contact := closest_contact(frame, minimum_distance)) is not None:
            reason = f'{contact} are {contact.distance:.3g} Å apart, below {minimum_distance:g} Å'
            found.append(Exclusion(index, reason))
    return found


def choose_own_frames(
    frames: FrameSet,
    known: FrameSet | None,
    strata: Sequence[str],
    *,
    n_selected: int,
    method: OwnFrameMethod,
    seed: int,
) -> Indices:
    """Return the indices of the frames to label, ascending; all if there are no more than asked for.

    Equal numbers are taken of each stratum, and what one lacks goes to the others. With farthest points the strata
    take turns in the order of their names, and each counts as known what was chosen before it.

    :param frames: the frames to choose from.
    :param known: frames whose labels were learnt; None without any.
    :param strata: name of the stratum of each frame.
    :param n_selected: how many to choose.
    :param method: how to choose within a stratum.
    :param seed: seed of all draws.
    """
    if len(frames) <= n_selected:
        return np.arange(len(frames), dtype=np.int64)
    owners = np.asarray(strata, dtype=str)
    names = sorted(set(strata))
    members = {name: np.flatnonzero(owners == name) for name in names}
    quotas = fair_quotas({name: len(members[name]) for name in names}, n_selected)
    points, references = _descriptors(frames, known)
    chosen: list[Indices] = []
    for number, name in enumerate(names):
        if not quotas[name]:
            continue
        before = np.concatenate([references, *(points[indices] for indices in chosen)])
        positions = _positions(points[members[name]], before, quotas[name], method, seed + number)
        chosen.append(members[name][positions])
    return np.sort(np.concatenate(chosen))


def _descriptors(frames: FrameSet, known: FrameSet | None) -> tuple[Floats, Floats]:
    """Return descriptors of the frames and of those that are known, with the same columns [1/Å]."""
    parts = [part.without_labels().replaced_columns({}) for part in (frames, known) if part is not None]
    points = sorted_distance_descriptors(FrameSet.concatenate(parts))
    return points[: len(frames)], points[len(frames) :]


def _positions(points: Floats, known: Floats, quota: int, method: OwnFrameMethod, seed: int) -> Indices:
    """Return the positions of some frames of a stratum."""
    if method is OwnFrameMethod.RANDOM:
        return select_random(len(points), quota, seed)
    if method is OwnFrameMethod.COVERAGE:
        return select_coverage(points, quota, seed).chosen
    return select_farthest_points(points, quota, seed, known)
