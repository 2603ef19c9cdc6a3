"""Names of training sets say which charge states they hold."""

from __future__ import annotations

import pytest

from aiida_edl.science.analysis.training_sets import TrainingKind, TrainingSet, compared_sets, training_kind


@pytest.mark.parametrize(
    ('name', 'kind', 'states', 'size'),
    [
        ('mixed', 'mixed', (), None),
        ('mixed_equal', 'mixed', (), None),
        ('mixed_size_96', 'mixed', (), 96),
        ('mixed_equal_size_96', 'mixed', (), 96),
        ('single_2', 'single', (2,), None),
        ('single_10_size_8', 'single', (10,), 8),
        ('without_1', 'without', (1,), None),
        ('pair_0_2', 'pair', (0, 2), None),
        ('mixture', 'other', (), None),
        ('x', 'other', (), None),
    ],
)
def test_name_says_kind_states_and_size(name, kind, states, size):
    found = TrainingSet.from_name(name)
    assert (found.kind.value, found.states, found.size) == (kind, states, size)
    assert training_kind(name) is TrainingKind(kind)


@pytest.mark.parametrize(
    ('name', 'held'),
    [('mixed', '0 1Na 2Na'), ('single_1', '1Na'), ('without_1', '0 2Na'), ('pair_0_1', '0 1Na'), ('x', '0 1Na 2Na')],
)
def test_charge_states_that_a_set_holds(name, held):
    found = TrainingSet.from_name(name)
    assert [label for label in ('0', '1Na', '2Na') if found.holds(label)] == held.split()


def test_only_leave_one_out_sets_leave_a_state_out():
    assert TrainingSet.from_name('without_1').leaves_out('1Na')
    assert not TrainingSet.from_name('without_1').leaves_out('2Na')
    assert not TrainingSet.from_name('single_0').leaves_out('1Na')


def test_mixed_and_single_sets_are_compared_at_equal_frames_in_all_or_per_state():
    names = ['mixed_size_96', 'single_2_size_96', 'single_2_size_32', 'single_2_size_48', 'single_0_size_96', 'mixed']
    found = [(item.mixed, item.single, item.equal.value) for item in compared_sets(names, '2Na', 3)]
    assert found == [
        ('mixed_size_96', 'single_2_size_32', 'per_state'),
        ('mixed_size_96', 'single_2_size_96', 'in_all'),
    ]


def test_sets_whose_names_tell_no_size_count_as_equal():
    found = compared_sets(['mixed', 'single_0', 'single_2', 'pair_0_2'], '0', 3)
    assert [(item.mixed, item.single, item.equal.value) for item in found] == [('mixed', 'single_0', 'in_all')]
