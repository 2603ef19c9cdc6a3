"""Splits that keep groups together and charge states in proportion."""

from __future__ import annotations

import re

import numpy as np
import pytest

from aiida_edl.science.frames import FrameSet
from aiida_edl.science.splitting import (
    Split,
    SplitError,
    charge_states_of,
    compose_training_set,
    split_frames,
    with_time_blocks,
)


def make_frames(n_groups: int = 20, group_size: int = 5, n_states: int = 3) -> FrameSet:
    """Return frames of one gold atom and as many sodium ions as the number of the group modulo ``n_states``."""
    n_frames = n_groups * group_size
    groups = np.arange(n_frames) // group_size
    ions = groups % n_states
    offsets = np.concatenate([[0], np.cumsum(1 + ions)])
    numbers = np.full(offsets[-1], 11, dtype=np.uint8)
    numbers[offsets[:-1]] = 79
    return FrameSet(
        numbers=numbers,
        positions=np.random.default_rng(0).normal(size=(offsets[-1], 3)),
        offsets=offsets,
        cells=np.tile(np.eye(3) * 10.0, (n_frames, 1, 1)),
        pbc=np.ones((n_frames, 3), dtype=bool),
        columns={'group': groups},
    )


def parts_of(split: Split) -> list[np.ndarray]:
    """Return training, validation and test indices."""
    return [split.training, split.validation, split.test]


def test_sizes_are_exact_and_parts_do_not_overlap():
    split = split_frames(make_frames(), 50, 10, 15, seed=1)
    assert [len(part) for part in parts_of(split)] == [50, 10, 15]
    assert len(np.unique(np.concatenate(parts_of(split)))) == 75


@pytest.mark.parametrize('seed', range(10))
def test_no_group_is_shared(seed):
    frames = make_frames()
    groups = [set(frames.columns['group'][part].tolist()) for part in parts_of(split_frames(frames, 50, 10, 15, seed))]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    assert not groups[1] & groups[2]


def test_charge_states_enter_in_proportion():
    frames = make_frames(n_groups=30)
    for part, expected in zip(parts_of(split_frames(frames, 60, 15, 15, seed=2)), (20, 5, 5)):
        assert np.bincount(charge_states_of(frames)[part]).tolist() == [expected] * 3


def test_geometry_with_many_charges_stays_together():
    """Groups that hold several charge states, as when ions are added to one geometry."""
    frames = make_frames(n_groups=30, group_size=1).with_columns(group=np.arange(30) // 3)
    split = split_frames(frames, 12, 3, 3, seed=0)
    groups = [set(frames.columns['group'][part].tolist()) for part in parts_of(split)]
    assert len(groups[0] | groups[1] | groups[2]) == sum(len(group) for group in groups)


def test_same_seed_gives_same_split_and_another_seed_another():
    one, same, other = (split_frames(make_frames(), 40, 10, 10, seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.training, same.training)
    assert not np.array_equal(one.training, other.training)


def test_without_groups_every_frame_can_be_used():
    split = split_frames(make_frames(), 80, 10, 10, seed=0, block=None)
    assert len(np.unique(np.concatenate(parts_of(split)))) == 100


def test_empty_validation_and_test_are_allowed():
    split = split_frames(make_frames(), 100, 0, 0, seed=0)
    assert [len(part) for part in parts_of(split)] == [100, 0, 0]


def test_column_of_charge_states_goes_before_composition():
    frames = make_frames().with_columns(charge_state=7)
    assert set(charge_states_of(frames).tolist()) == {7}


@pytest.mark.parametrize(
    ('sizes', 'message'),
    [
        ((90, 10, 10), '90 + 10 + 10 = 110 frames are asked for, the set has 100; ask for 10 fewer'),
        ((0, 10, 10), 'n_training is 0, it must be positive'),
        ((10, -1, 10), 'n_validation is -1, it must not be negative'),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes, message):
    with pytest.raises(SplitError, match=f'^{re.escape(message)}$'):
        split_frames(make_frames(), *sizes, seed=0)


def test_missing_column_is_refused():
    message = "the frames have no column 'geometry' to keep groups together; columns are: group"
    with pytest.raises(SplitError, match=f'^{message}$'):
        split_frames(make_frames(), 10, 10, 10, seed=0, block='geometry')


def test_too_few_groups_are_refused():
    message = (
        "the test part needs 10 frames of charge state 0 and gets 0, since the 2 groups of column 'group' are kept "
        'whole; ask for fewer frames or make smaller groups, e.g. by with_time_blocks'
    )
    with pytest.raises(SplitError, match=f'^{message}$'):
        split_frames(make_frames(n_groups=2, group_size=50, n_states=1), 50, 10, 10, seed=0)


def test_time_blocks_are_contiguous_in_time_and_unique_per_trajectory():
    times = np.array([0.0, 3.0, 1.0, 2.0, 0.0, 1.0, 2.0, 3.0])
    frames = make_frames(n_groups=2, group_size=4, n_states=1).with_columns(time=times)
    assert with_time_blocks(frames, 2).columns['block'].tolist() == [0, 1, 0, 1, 2, 2, 3, 3]


def test_time_blocks_make_a_single_trajectory_divisible():
    frames = with_time_blocks(make_frames(n_groups=1, group_size=100), 10)
    split = split_frames(frames, 60, 20, 20, seed=0, block='block')
    blocks = [set(frames.columns['block'][part].tolist()) for part in parts_of(split)]
    assert [len(block) for block in blocks] == [6, 2, 2]


def test_too_many_time_blocks_are_refused():
    with pytest.raises(SplitError, match=r'^a trajectory has 5 frames, too few for 6 blocks; ask for fewer$'):
        with_time_blocks(make_frames(), 6)


def test_single_charge_and_mixed_sets_have_equal_size():
    frames = make_frames(n_groups=30)
    split = split_frames(frames, 120, 15, 15, seed=0)
    single = compose_training_set(frames, split, [2], 30, seed=1)
    mixed = compose_training_set(frames, split, [0, 1, 2], 30, seed=1)
    assert np.bincount(charge_states_of(frames)[single]).tolist() == [0, 0, 30]
    assert np.bincount(charge_states_of(frames)[mixed]).tolist() == [10, 10, 10]


def test_composed_set_draws_from_training_only():
    frames = make_frames(n_groups=30)
    split = split_frames(frames, 120, 15, 15, seed=0)
    assert set(compose_training_set(frames, split, [0, 1], 31, seed=1)) <= set(split.training)


def test_rest_goes_to_the_charge_states_named_first():
    frames = make_frames(n_groups=30)
    split = split_frames(frames, 120, 15, 15, seed=0)
    chosen = compose_training_set(frames, split, [2, 0], 31, seed=1)
    assert np.bincount(charge_states_of(frames)[chosen]).tolist() == [15, 0, 16]


@pytest.mark.parametrize(
    ('states', 'n_frames', 'message'),
    [
        ([4], 10, 'charge state 4 is absent from the training frames; present are [0, 1, 2]'),
        (
            [1],
            50,
            '50 training frames of charge state 1 are asked for, there are 40; ask for fewer or label more',
        ),
        ([1, 1], 10, 'charge states [1, 1] are given; name at least one, and each once'),
        ([], 10, 'charge states [] are given; name at least one, and each once'),
        ([0, 1], 1, '1 frames cannot hold 2 charge states; ask for more frames'),
    ],
)
def test_impossible_training_sets_are_refused(states, n_frames, message):
    frames = make_frames(n_groups=30)
    split = split_frames(frames, 120, 15, 15, seed=0)
    with pytest.raises(SplitError, match=f'^{re.escape(message)}$'):
        compose_training_set(frames, split, states, n_frames, seed=0)
