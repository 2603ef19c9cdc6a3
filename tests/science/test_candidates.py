"""Which candidates are labelled: fair to the charge states, by any method, repeatably."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.candidates import CandidateMethod, choose_candidates, fair_quotas
from aiida_edl.science.frames import Frame, FrameSet

LABELS = ['0'] * 6 + ['2Na'] * 2


def pairs(distances):
    """Return pairs of atoms at given distances [Å]."""
    return FrameSet.from_frames(
        Frame(
            numbers=np.array([79, 79], dtype=np.uint8),
            positions=np.array([[0.0, 0.0, 0.0], [distance, 0.0, 0.0]]),
            cell=20.0 * np.eye(3),
            pbc=np.zeros(3, dtype=bool),
        )
        for distance in distances
    )


@pytest.mark.parametrize(
    ('available', 'total', 'expected'),
    [
        ({'a': 10, 'b': 10}, 6, {'a': 3, 'b': 3}),
        ({'a': 10, 'b': 1}, 6, {'a': 5, 'b': 1}),
        ({'a': 1, 'b': 10, 'c': 10}, 8, {'a': 1, 'b': 4, 'c': 3}),
        ({'a': 2, 'b': 2}, 3, {'a': 2, 'b': 1}),
        ({'a': 2, 'b': 3}, 100, {'a': 2, 'b': 3}),
        ({'a': 0, 'b': 2}, 1, {'a': 0, 'b': 1}),
        ({}, 5, {}),
    ],
)
def test_quotas(available, total, expected):
    assert fair_quotas(available, total) == expected


def choose(method, n_selected=3, seed=1, candidates=range(8)):
    return choose_candidates(
        pairs([2.0, 2.01, 2.02, 2.5, 3.0, 3.01, 2.2, 2.4]),
        np.array([0.1, 0.6, 0.2, 0.3, 0.5, 0.4, 0.9, 0.8]),
        LABELS,
        np.array(list(candidates)),
        n_selected=n_selected,
        method=CandidateMethod(method),
        seed=seed,
    ).tolist()


def test_largest_deviation_within_each_charge_state():
    assert choose('largest_deviation', 4) == [1, 4, 6, 7]


def test_farthest_points_leave_out_near_copies():
    chosen = choose('farthest_point', 3, candidates=range(6))
    assert {3} < set(chosen)
    assert len(set(chosen) & {0, 1, 2}) == len(set(chosen) & {4, 5}) == 1


def test_random_depends_on_the_seed_alone():
    assert choose('random', 4, seed=3) == choose('random', 4, seed=3)
    assert len({tuple(choose('random', 4, seed=seed)) for seed in range(10)}) > 1


@pytest.mark.parametrize('method', [method.value for method in CandidateMethod])
def test_only_candidates_are_chosen_and_none_twice(method):
    chosen = choose(method, 3, candidates=[1, 3, 4, 5, 7])
    assert len(set(chosen)) == 3
    assert chosen == sorted(chosen)
    assert set(chosen) < {1, 3, 4, 5, 7}
    assert 7 in chosen  # the only one of its charge state


def test_fewer_candidates_than_asked_for_are_all_taken():
    assert choose('farthest_point', 50, candidates=[2, 6]) == [2, 6]


def test_no_candidate_gives_no_frame():
    assert choose('random', 3, candidates=[]) == []
