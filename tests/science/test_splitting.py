"""Splits by blocks of time, of exact sizes for each charge state."""

from __future__ import annotations

import re

import numpy as np
import pytest

from aiida_edl.science.frame_columns import charge_states_of
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.splitting import (
    Split,
    SplitError,
    compose_training_set,
    split_frames,
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


def make_trajectories(*lengths: int) -> FrameSet:
    """Return one trajectory for each length, of one gold atom and as many sodium ions as its number."""
    ions = np.repeat(np.arange(len(lengths)), lengths)
    offsets = np.concatenate([[0], np.cumsum(1 + ions)])
    numbers = np.full(offsets[-1], 11, dtype=np.uint8)
    numbers[offsets[:-1]] = 79
    return FrameSet(
        numbers=numbers,
        positions=np.random.default_rng(0).normal(size=(offsets[-1], 3)),
        offsets=offsets,
        cells=np.tile(np.eye(3) * 10.0, (len(ions), 1, 1)),
        pbc=np.ones((len(ions), 3), dtype=bool),
        columns={'group': ions, 'time': np.concatenate([np.arange(length) * 2.0 for length in lengths])},
    )


def runs_of(indices: np.ndarray) -> int:
    """Return the number of contiguous stretches of ascending indices."""
    return 1 + int(np.count_nonzero(np.diff(indices) > 1))


def test_sizes_are_exact_and_parts_do_not_overlap():
    split = split_frames(make_trajectories(100), 50, 10, 15, seed=1, n_blocks=10)
    assert [len(part) for part in parts_of(split)] == [50, 10, 15]
    assert len(np.unique(np.concatenate(parts_of(split)))) == 75


@pytest.mark.parametrize('lengths', [(160, 160), (158, 160), (150, 160), (144, 160), (145, 151, 160)])
@pytest.mark.parametrize('seed', range(5))
def test_each_charge_state_has_the_sizes_asked_for_whatever_it_lost(lengths, seed):
    """96 + 16 + 32 = 144 frames of each state suffice, even where blocks of time are no divisor of any size."""
    frames = make_trajectories(*lengths)
    split = split_frames(frames, 96, 16, 32, seed, n_blocks=10)
    for part, size in zip(parts_of(split), (96, 16, 32)):
        assert np.bincount(charge_states_of(frames)[part]).tolist() == [size] * len(lengths)
    assert len(np.unique(np.concatenate(parts_of(split)))) == 144 * len(lengths)


@pytest.mark.parametrize('seed', range(10))
def test_test_frames_lie_in_few_stretches_of_time(seed):
    """Blocks of 16: 40 test frames are two and a half of them."""
    split = split_frames(make_trajectories(160), 80, 16, 40, seed, n_blocks=10)
    assert runs_of(split.test) <= 3
    assert runs_of(split.validation) <= 2


@pytest.mark.parametrize('seed', range(10))
def test_spare_frames_become_gaps_around_the_test(seed):
    """Two blocks of test frames have four borders at most; 16 spare frames make a gap of four frames at each."""
    split = split_frames(make_trajectories(160), 96, 16, 32, seed, n_blocks=10)
    assert np.abs(split.training[:, None] - split.test).min() >= 4


def test_training_is_drawn_from_the_whole_trajectory_where_there_is_enough():
    """Outside of one block of the test every frame is as good as any other."""
    split = split_frames(make_trajectories(1000), 100, 0, 100, seed=0, n_blocks=10)
    distances = np.abs(split.training[:, None] - split.test).min(axis=1)
    assert distances.min() >= 100
    assert runs_of(split.training) > 50


def test_test_and_validation_do_not_depend_on_the_size_of_the_training():
    one, other = (split_frames(make_trajectories(100), size, 10, 20, seed=3, n_blocks=10) for size in (20, 70))
    np.testing.assert_array_equal(one.test, other.test)
    np.testing.assert_array_equal(one.validation, other.validation)


def test_training_takes_what_is_left_where_a_charge_state_has_too_little():
    frames = make_trajectories(100, 60)
    split = split_frames(frames, 50, 10, 20, seed=0, n_blocks=10)
    assert np.bincount(charge_states_of(frames)[split.training]).tolist() == [50, 30]


def test_geometry_with_many_charges_stays_together():
    """Three charge states at each time, as when ions are added to one geometry."""
    frames = make_trajectories(30, 30, 30).with_columns(group='all')
    split = split_frames(frames, 15, 5, 10, seed=0, n_blocks=6)
    times = [set(frames.columns['time'][part].tolist()) for part in parts_of(split)]
    assert [len(part) for part in parts_of(split)] == [45, 15, 30]
    assert len(times[0] | times[1] | times[2]) == 30


def test_frames_are_taken_in_the_order_of_time():
    """A trajectory that is stored backwards in every second frame."""
    frames = make_trajectories(40)
    times = np.concatenate([np.arange(0.0, 40.0, 2.0), np.arange(39.0, 0.0, -2.0)])
    split = split_frames(frames.with_columns(time=times), 20, 0, 10, seed=1, n_blocks=4)
    assert runs_of(np.sort(times[split.test]).astype(int)) == 1


def test_same_seed_gives_same_split_and_another_seed_another():
    frames = make_trajectories(100)
    one, same, other = (split_frames(frames, 40, 10, 10, seed=seed, n_blocks=10) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.training, same.training)
    np.testing.assert_array_equal(one.test, same.test)
    assert not np.array_equal(one.test, other.test)


def test_empty_validation_and_test_are_allowed():
    split = split_frames(make_trajectories(100), 100, 0, 0, seed=0, n_blocks=10)
    assert [len(part) for part in parts_of(split)] == [100, 0, 0]


def test_set_without_trajectories_is_one():
    frames = make_trajectories(100).replaced_columns({})
    split = split_frames(frames, 80, 10, 10, seed=0, n_blocks=10, trajectory=None)
    assert len(np.unique(np.concatenate(parts_of(split)))) == 100


def test_column_of_charge_states_goes_before_composition():
    frames = make_frames().with_columns(charge_state=7)
    assert set(charge_states_of(frames).tolist()) == {7}


@pytest.mark.parametrize(
    ('sizes', 'message'),
    [
        (
            (10, 30, 80),
            'the validation part needs 30 frames of charge state 1 and gets 10; ask for fewer or label more',
        ),
        ((10, 10, 95), 'the test part needs 95 frames of charge state 1 and gets 90; ask for fewer or label more'),
        ((0, 10, 10), 'n_training is 0, it must be positive'),
        ((10, -1, 10), 'n_validation is -1, it must not be negative'),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes, message):
    with pytest.raises(SplitError, match=f'^{re.escape(message)}$'):
        split_frames(make_trajectories(120, 90), *sizes, seed=0, n_blocks=10)


def test_missing_column_is_refused():
    message = "the frames have no column 'geometry' to keep groups together; columns are: group"
    with pytest.raises(SplitError, match=f'^{message}$'):
        split_frames(make_frames(), 10, 10, 10, seed=0, n_blocks=2, trajectory='geometry')


@pytest.mark.parametrize(
    ('n_blocks', 'message'),
    [
        (
            6,
            'a trajectory has frames at 5 times, too few for 6 blocks; ask for fewer, or tell trajectories apart by a '
            "column 'group'",
        ),
        (0, 'n_blocks is 0, it must be positive'),
    ],
)
def test_impossible_blocks_are_refused(n_blocks, message):
    with pytest.raises(SplitError, match=f'^{message}$'):
        split_frames(make_frames(), 10, 10, 10, seed=0, n_blocks=n_blocks)


def test_single_charge_and_mixed_sets_have_equal_size():
    frames = make_frames(n_groups=30)
    split = split_frames(frames, 40, 5, 5, seed=0, n_blocks=1)
    single = compose_training_set(frames, split, [2], 30, seed=1)
    mixed = compose_training_set(frames, split, [0, 1, 2], 30, seed=1)
    assert np.bincount(charge_states_of(frames)[single]).tolist() == [0, 0, 30]
    assert np.bincount(charge_states_of(frames)[mixed]).tolist() == [10, 10, 10]


def test_composed_set_draws_from_training_only():
    frames = make_frames(n_groups=30)
    split = split_frames(frames, 40, 5, 5, seed=0, n_blocks=1)
    assert set(compose_training_set(frames, split, [0, 1], 31, seed=1)) <= set(split.training)


def test_rest_goes_to_the_charge_states_named_first():
    frames = make_frames(n_groups=30)
    split = split_frames(frames, 40, 5, 5, seed=0, n_blocks=1)
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
    split = split_frames(frames, 40, 5, 5, seed=0, n_blocks=1)
    with pytest.raises(SplitError, match=f'^{re.escape(message)}$'):
        compose_training_set(frames, split, states, n_frames, seed=0)
