from __future__ import annotations

import pytest

from aiida_edl.architectures.base import AseBinding, Command, HyperparameterError, Precision
from aiida_edl.architectures.mace import Mace


def test_command_as_json_lists_every_field():
    command = Command(('-m', 'a'), 'a.out', {'X': '1'}, is_export=True, timeout_seconds=2.0, keep_newest=('*.pt',))
    assert command.to_dict() == {
        'arguments': ['-m', 'a'],
        'stdout': 'a.out',
        'environment': {'X': '1'},
        'is_export': True,
        'timeout_seconds': 2.0,
        'keep_newest': ['*.pt'],
    }


def test_recipe_sets_what_the_binding_names():
    binding = AseBinding('module', 'Class', 'model', {'a': 1}, 'device', 'dtype', {'X': '1'}, 'DEVICE')
    assert binding.recipe('file', 'cuda', Precision.SINGLE) == {
        'module': 'module',
        'attribute': 'Class',
        'keyword_arguments': {'a': 1, 'model': 'file', 'device': 'cuda', 'dtype': 'float32'},
        'environment': {'X': '1', 'DEVICE': 'cuda'},
    }


def test_recipe_leaves_out_what_the_binding_does_not_name():
    recipe = AseBinding('module', 'Class', None).recipe('file', 'cpu', Precision.DOUBLE)
    assert (recipe['keyword_arguments'], recipe['environment']) == ({}, {})


def test_integer_is_accepted_for_a_float():
    assert Mace().make_hyperparameters({'cutoff_radius': 5}).cutoff_radius == 5


@pytest.mark.parametrize(('value', 'shown'), [('5', "'5'"), (True, 'True'), (None, 'None')])
def test_value_of_wrong_type_is_refused(value, shown):
    with pytest.raises(HyperparameterError) as caught:
        Mace().make_hyperparameters({'cutoff_radius': value})
    assert str(caught.value) == f"hyperparameter 'cutoff_radius' of mace is {shown}, expected float"
