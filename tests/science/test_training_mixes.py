"""Short forms of training sets, written out."""

from __future__ import annotations

import re

import pytest

from aiida_edl.science.training_mixes import TrainingMixError, resolve_training_sets

STATES = [0, 1, 2]


def test_each_short_form():
    asked = {'single': True, 'mixed': True, 'leave_one_out': True}
    assert resolve_training_sets({**asked, 'pairs': [[1, 0]]}, [0, 1, 2, 3]) == {
        'single_0': [0],
        'single_1': [1],
        'single_2': [2],
        'single_3': [3],
        'mixed': [0, 1, 2, 3],
        'without_0': [1, 2, 3],
        'without_1': [0, 2, 3],
        'without_2': [0, 1, 3],
        'without_3': [0, 1, 2],
        'pair_0_1': [0, 1],
    }


def test_named_sets_stay_as_they_are():
    named = {'single_0': [0], 'mixed': [0, 2], 'pair_of_mine': [2, 0]}
    assert resolve_training_sets(named, STATES) == named


def test_set_that_is_named_and_written_out_is_there_once():
    assert list(resolve_training_sets({'single_0': [0], 'single': True}, STATES)) == [
        'single_0',
        'single_1',
        'single_2',
    ]


def test_false_is_none():
    assert resolve_training_sets({'mixed': True, 'single': False}, STATES) == {'mixed': STATES}


@pytest.mark.parametrize(
    ('asked', 'message'),
    [
        (
            {'leave_one': True},
            "unknown short form of training sets 'leave_one': did you mean 'leave_one_out'? Known: leave_one_out, "
            'mixed, pairs, single.',
        ),
        (
            {'mixed': 'all'},
            "training set 'mixed' is 'all'; give a list of charge states, or true for one of single, mixed, "
            'leave_one_out',
        ),
        (
            {'pairs': [[0, 5]]},
            'pairs holds [0, 5]; give two different charge states of [0, 1, 2] for each, e.g. [[0, 2]]',
        ),
        (
            {'single_0': [0, 1], 'single': True},
            "training set 'single_0' is given as [0, 1], but single makes it of [0]; give it another name",
        ),
        (
            {'all_of_them': [2, 1, 0], 'mixed': True},
            "training sets 'mixed' and 'all_of_them' hold the same charge states [2, 1, 0]; leave one out",
        ),
        ([0, 1], 'training_sets is [0, 1], it must hold charge states by name'),
    ],
)
def test_bad_input_is_one_sentence(asked, message):
    with pytest.raises(TrainingMixError, match=f'^{re.escape(message)}$'):
        resolve_training_sets(asked, STATES)
