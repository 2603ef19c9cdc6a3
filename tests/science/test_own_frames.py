"""Frames that a potential found by itself: what is left out, and what is chosen, on atoms on a line."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.science.own_frames import OwnFrameMethod, choose_own_frames, unphysical_frames

FARTHEST = OwnFrameMethod.FARTHEST_POINT


def pairs(*distances, cell=20.0):
    """Return frames of two atoms at these distances [Å]."""
    return FrameSet.from_frames(
        Frame(
            numbers=np.array([3, 9], dtype=np.uint8),
            positions=np.array([[1.0, 1.0, 1.0], [1.0 + distance, 1.0, 1.0]]),
            cell=cell * np.eye(3),
            pbc=np.array([True, True, True]),
        )
        for distance in distances
    )


def choose(frames, known=None, strata=None, n_selected=2, method=FARTHEST, seed=1):
    strata = ['all'] * len(frames) if strata is None else strata
    return choose_own_frames(frames, known, strata, n_selected=n_selected, method=method, seed=seed).tolist()


def test_atoms_on_top_of_each_other_are_named():
    (found,) = unphysical_frames(pairs(2.0, 0.3), 0.5)
    assert (found.frame, found.reason) == (1, 'Li 0 and F 1 are 0.3 Å apart, below 0.5 Å')


def test_image_of_an_atom_counts():
    (found,) = unphysical_frames(pairs(19.7), 0.5)
    assert found.reason == 'Li 0 and F 1 are 0.3 Å apart, below 0.5 Å'


def test_position_that_is_no_number_is_left_out():
    (found,) = unphysical_frames(pairs(2.0, np.nan), 0.5)
    assert (found.frame, found.reason) == (1, 'a position or cell vector is not finite')


def test_farthest_points_keep_away_from_what_is_known():
    """Inverse distances 1/2 to 1/4: the two ends differ most, and one of them is known already."""
    frames = pairs(2.0, 2.2, 3.0, 4.0)
    assert choose(frames, known=pairs(2.0), n_selected=1) == [3]
    assert choose(frames, known=pairs(4.0), n_selected=1) == [0]
    assert choose(frames, known=pairs(2.0, 4.0), n_selected=1) == [2]


def test_what_one_stratum_takes_the_next_one_leaves():
    frames = pairs(2.0, 4.0, 2.0, 4.0)
    assert choose(frames, known=pairs(2.0), strata=['a', 'a', 'b', 'b'], n_selected=2) == [1, 2]


@pytest.mark.parametrize('method', list(OwnFrameMethod))
def test_strata_share_equally_and_what_one_lacks_goes_to_the_others(method):
    frames = pairs(*np.linspace(2.0, 4.0, 9))
    chosen = choose(frames, strata=['a'] * 8 + ['b'], n_selected=5, method=method)
    assert len(chosen) == len(set(chosen)) == 5
    assert chosen == sorted(chosen)
    assert 8 in chosen


def test_all_are_chosen_if_there_are_no_more():
    assert choose(pairs(2.0, 3.0), n_selected=5) == [0, 1]


def test_draws_follow_from_the_seed():
    frames = pairs(*np.linspace(2.0, 4.0, 30))
    drawn = [choose(frames, n_selected=4, method=OwnFrameMethod.RANDOM, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_order_of_atoms_does_not_matter():
    frames, known = pairs(2.0, 2.5, 3.0, 4.0), pairs(2.2)
    swapped = FrameSet.from_frames(
        Frame(numbers=frame.numbers[::-1], positions=frame.positions[::-1], cell=frame.cell, pbc=frame.pbc)
        for frame in frames
    )
    assert choose(frames, known) == choose(swapped, known)
