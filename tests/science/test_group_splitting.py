"""Splits that part no group."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from frame_cases import frame_set, interface_frame, permuted, shaken
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_edl.science.group_splitting import groups_of, leave_one_out, split_by_settings, split_groups
from aiida_edl.science.splitting import Split, SplitError

GROUPS = st.lists(st.integers(0, 12), min_size=4, max_size=60)
SEEDS = st.integers(0, 2**31)


def parts_of(split: Split) -> dict[str, list[int]]:
    """Return the indices of each part."""
    return {name: getattr(split, name).tolist() for name in ('training', 'validation', 'test')}


def test_sizes_are_exact_where_groups_divide_them():
    split = split_groups(np.repeat(np.arange(20), 3), 6, 12, seed=0)
    assert {name: len(part) for name, part in parts_of(split).items()} == {'training': 42, 'validation': 6, 'test': 12}


def test_training_of_a_given_size_leaves_the_rest_unused():
    split = split_groups(np.repeat(np.arange(20), 3), 6, 12, seed=0, n_training=10)
    assert len(split.training) == 10
    assert split.test.tolist() == split_groups(np.repeat(np.arange(20), 3), 0, 12, seed=0).test.tolist()


@settings(deadline=None)
@given(GROUPS, st.integers(0, 10), st.integers(0, 10), SEEDS)
def test_groups_stay_whole_and_parts_are_as_large_as_groups_allow(groups, n_validation, n_test, seed):
    owners = np.array(groups)
    sizes = np.bincount(owners)
    try:
        split = split_groups(owners, n_validation, n_test, seed)
    except SplitError:
        return
    parts = parts_of(split)
    assert sorted(itertools.chain(*parts.values())) == list(range(len(groups)))
    assert all(part == sorted(part) for part in parts.values())
    kinds = {name: set(owners[part].tolist()) for name, part in parts.items()}
    assert sum(map(len, kinds.values())) == len(set(groups))
    smallest = min(sizes[kind] for kind in kinds['training'])
    for name, wanted in (('validation', n_validation), ('test', n_test)):
        assert len(parts[name]) <= wanted < len(parts[name]) + smallest
    assert parts == parts_of(split_groups(owners, n_validation, n_test, seed))


@settings(deadline=None)
@given(GROUPS, SEEDS)
def test_names_of_groups_decide_nothing(groups, seed):
    names = [f'{group:02d}' for group in groups]
    try:
        split = split_groups(np.array(groups), 2, 3, seed)
    except SplitError as error:
        with pytest.raises(SplitError, match=f'^{re.escape(str(error))}$'):
            split_groups(np.array(names), 2, 3, seed)
        return
    assert parts_of(split) == parts_of(split_groups(np.array(names), 2, 3, seed))


def test_other_seed_gives_other_groups():
    tests = {tuple(split_groups(np.arange(100), 0, 10, seed).test.tolist()) for seed in range(5)}
    assert len(tests) == 5


def charged_geometries(n_geometries: int = 10):
    """Return each geometry without ions and with one and two, the states one after another."""
    frames = [interface_frame(seed, n_ions) for n_ions in range(3) for seed in range(n_geometries)]
    return frame_set(*frames)


def test_all_charges_of_one_geometry_are_in_one_part():
    frames = charged_geometries()
    split = split_by_settings(frames, 'groups', {'n_test': 9, 'n_validation': 6, 'seed': 3})
    geometries = np.tile(np.arange(10), 3)
    sizes = {name: np.bincount(geometries[part], minlength=10) for name, part in parts_of(split).items()}
    assert {name: int(counts.sum()) for name, counts in sizes.items()} == {'training': 15, 'validation': 6, 'test': 9}
    assert all(set(counts.tolist()) <= {0, 3} for counts in sizes.values())


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_order_of_equal_atoms_does_not_change_a_split(seed):
    frames = list(charged_geometries(5))
    mixed = [permuted(frame, seed + number) for number, frame in enumerate(frames)]
    one, other = (
        split_by_settings(frame_set(*some), 'groups', {'n_test': 6, 'seed': seed}) for some in (frames, mixed)
    )
    assert parts_of(one) == parts_of(other)


def test_column_of_geometries_goes_before_positions():
    frames = frame_set(*(interface_frame(0) for _ in range(4)), geometry=np.array([3, 3, 1, 1]))
    assert groups_of(frames, 'geometry').tolist() == [1, 1, 0, 0]
    assert groups_of(frames.replaced_columns({}), 'geometry').tolist() == [0, 0, 0, 0]


def test_tolerance_of_geometries_is_a_setting():
    frames = frame_set(interface_frame(0), shaken(interface_frame(0), 0.01), interface_frame(1))
    assert groups_of(frames, 'geometry').tolist() == [0, 1, 2]
    assert groups_of(frames, 'geometry', tolerance=0.05).tolist() == [0, 0, 1]


def test_trajectories_stay_whole():
    frames = frame_set(*(interface_frame(seed) for seed in range(8)), group=np.array(list('aabbccdd')))
    split = split_by_settings(frames, 'groups', {'group_by': 'group', 'n_test': 3})
    names = frames.columns['group']
    assert len(split.test) == 2
    assert not set(names[split.test]) & set(names[split.training])


def test_charge_state_left_out_is_the_test():
    frames = charged_geometries()
    split = split_by_settings(frames, 'leave_one_out', {'left_out': 1, 'n_validation': 4, 'seed': 1})
    assert split.test.tolist() == list(range(10, 20))
    assert len(split.validation) == 4
    assert sorted([*split.training, *split.validation]) == [*range(10), *range(20, 30)]


def test_charge_state_left_out_by_geometry_shares_none_with_the_training():
    frames = charged_geometries()
    split = split_by_settings(
        frames, 'leave_one_out', {'left_out': 2, 'n_test': 3, 'n_validation': 2, 'group_by': 'geometry', 'seed': 1}
    )
    geometries, states = np.tile(np.arange(10), 3), np.repeat(np.arange(3), 10)
    assert {name: len(part) for name, part in parts_of(split).items()} == {'training': 12, 'validation': 2, 'test': 3}
    assert set(states[split.test]) == {2}
    assert 2 not in states[[*split.training, *split.validation]]
    kinds = [set(geometries[part]) for part in parts_of(split).values()]
    assert sum(map(len, kinds)) == 10


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), min_size=3, max_size=40), SEEDS)
def test_what_is_left_out_is_in_no_other_part(members, seed):
    owners, states = (np.array(column) for column in zip(*members))
    try:
        split = leave_one_out(states, 0, 2, seed, groups=owners, n_test=3)
    except SplitError:
        return
    parts = parts_of(split)
    assert len(parts['test']) <= 3
    assert set(states[parts['test']]) == {0}
    assert 0 not in states[parts['training'] + parts['validation']]
    kinds = [set(owners[part].tolist()) for part in parts.values()]
    assert sum(map(len, kinds)) == len(set.union(*kinds))
    assert parts == parts_of(leave_one_out(states, 0, 2, seed, groups=owners, n_test=3))


@pytest.mark.parametrize(
    ('method', 'values', 'message'),
    [
        (
            'group',
            {},
            "unknown method of splitting 'group': did you mean 'groups'? Known: groups, leave_one_out, time_blocks.",
        ),
        (
            'groups',
            {'n_tests': 3},
            "unknown setting of a split by groups 'n_tests': did you mean 'n_test'? Known: group_by, n_test, "
            'n_training, n_validation, seed, tolerance.',
        ),
        (
            'groups',
            {'group_by': 'geometri', 'n_test': 3},
            "unknown column 'geometri': Known: charge_state, composition, n_atoms.",
        ),
        (
            'groups',
            {'n_test': 2},
            'the test part may hold 2 frames, but the smallest group that is left has 3 frames; ask for more',
        ),
        (
            'groups',
            {'n_test': 30, 'n_validation': 3},
            'the validation part may hold 3 frames, but the smallest group that is left has none, all are taken; ask '
            'for more',
        ),
        ('groups', {'n_test': -3}, 'n_test is -3, it must not be negative'),
        (
            'groups',
            {'n_test': 12, 'n_training': 20},
            '20 frames to train on are asked for, 18 are left by the other parts; ask for fewer or make those smaller',
        ),
        ('leave_one_out', {}, 'a split by leave_one_out needs left_out, the value to test on'),
        ('leave_one_out', {'left_out': 7}, "unknown value left out '7': Known: 0, 1, 2."),
        (
            'leave_one_out',
            {'left_out': 2, 'group_by': 'geometry'},
            'no frame is left for the training part if 2 is left out and groups stay together; ask for fewer test '
            'frames by n_test',
        ),
        (
            'leave_one_out',
            {'left_out': 2, 'group_by': 'composition', 'n_test': 3},
            'no frame is left for the test part if 2 is left out and groups stay together; ask for more test frames '
            'by n_test',
        ),
    ],
)
def test_impossible_splits_are_refused(method, values, message):
    with pytest.raises(SplitError, match=f'^{re.escape(message)}$'):
        split_by_settings(charged_geometries(), method, values)
