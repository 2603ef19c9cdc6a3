"""Choose among the frames on which a committee disagrees those to label: fair to every charge state, seeded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.neighbour_distances import sorted_distance_descriptors
from aiida_edl.science.selection import select_farthest_points, select_largest_deviations, select_random

Indices = NDArray[np.int64]


class CandidateMethod(str, Enum):
    """How frames are chosen among the candidates of one charge state."""

    FARTHEST_POINT = 'farthest_point'
    """As different from each other as possible, by the descriptors of sorted distances."""
    LARGEST_DEVIATION = 'largest_deviation'
    """Those on which the committee disagrees most; they may be neighbours in time."""
    RANDOM = 'random'
    """Drawn without repetition."""


def fair_quotas(available: Mapping[str, int], total: int) -> dict[str, int]:
    """Return how many to take of each kind: equal numbers, and what one kind lacks goes to the others.

    :param available: how many there are of each kind.
    :param total: how many to take; all if there are fewer.
    :return: by kind; what does not divide evenly goes to the kinds named first.

    >>> fair_quotas({'0': 10, '2Na': 1}, 6)
    {'0': 5, '2Na': 1}
    """
    quotas = dict.fromkeys(available, 0)
    left = min(total, sum(available.values()))
    while left:
        open_kinds = [kind for kind in available if quotas[kind] < available[kind]]
        share = max(left // len(open_kinds), 1)
        for kind in open_kinds:
            added = min(share, available[kind] - quotas[kind], left)
            quotas[kind] += added
            left -= added
    return quotas


def choose_candidates(
    frames: FrameSet,
    deviations: Floats,
    labels: Sequence[str],
    candidates: Indices,
    *,
    n_selected: int,
    method: CandidateMethod,
    seed: int,
) -> Indices:
    """Return the indices of the frames to label, ascending; all candidates if there are no more than asked for.

    :param frames: all frames.
    :param deviations: deviation of the committee for each [eV/Å].
    :param labels: charge label of each.
    :param candidates: indices of those to choose from.
    :param n_selected: how many to choose; equal numbers of each charge state as far as there are so many.
    :param method: how to choose within a charge state.
    :param seed: seed of all draws.
    """
    of_label: dict[str, Indices] = {}
    for label in sorted({labels[index] for index in candidates.tolist()}):
        of_label[label] = np.array([index for index in candidates.tolist() if labels[index] == label], dtype=np.int64)
    quotas = fair_quotas({label: len(members) for label, members in of_label.items()}, n_selected)
    chosen = [np.zeros(0, dtype=np.int64)]
    for number, (label, members) in enumerate(of_label.items()):
        quota = quotas[label]
        if quota == len(members):
            chosen.append(members)
        elif quota:
            positions = _positions(frames.select(members), deviations[members], quota, method, seed + number)
            chosen.append(members[positions])
    return np.sort(np.concatenate(chosen))


def _positions(frames: FrameSet, deviations: Floats, quota: int, method: CandidateMethod, seed: int) -> Indices:
    """Return the positions of some of the frames, which are the candidates of one charge state."""
    if method is CandidateMethod.LARGEST_DEVIATION:
        return select_largest_deviations(deviations, quota)
    if method is CandidateMethod.RANDOM:
        return select_random(len(frames), quota, seed)
    return select_farthest_points(sorted_distance_descriptors(frames), quota, seed)
