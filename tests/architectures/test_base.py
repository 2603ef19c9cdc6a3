from __future__ import annotations

import pytest

from aiida_edl.architectures.base import Command, HyperparameterError
from aiida_edl.architectures.bindings import (
    DEVICE,
    MODEL_PATH,
    PRECISION,
    TOTAL_CHARGE,
    AseBinding,
    LammpsBinding,
)
from aiida_edl.architectures.mace import Mace
from aiida_edl.architectures.precision import Precision


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
    arguments = {'a': 1, 'model': MODEL_PATH, 'device': DEVICE, 'nested': {'dtypes': [PRECISION]}}
    binding = AseBinding('module', 'Class', arguments, {'X': '1', 'DEVICE': DEVICE})
    assert binding.recipe('file', 'cuda', Precision.SINGLE) == {
        'module': 'module',
        'attribute': 'Class',
        'keyword_arguments': {'a': 1, 'model': 'file', 'device': 'cuda', 'nested': {'dtypes': ['float32']}},
        'environment': {'X': '1', 'DEVICE': 'cuda'},
        'info': {},
    }


@pytest.mark.parametrize(
    ('knows_charge', 'info'), [(False, {'spin': 1}), (True, {'spin': 1, 'charge': [TOTAL_CHARGE]})]
)
def test_charge_is_given_only_to_a_model_that_knows_one(knows_charge, info):
    binding = AseBinding('module', 'Class', info={'spin': 1, 'charge': [TOTAL_CHARGE]})
    assert binding.recipe('file', 'cpu', Precision.DOUBLE, knows_charge=knows_charge)['info'] == info


def test_pair_style_is_told_the_model_and_leaves_the_elements_to_the_engine():
    binding = LammpsBinding('deepmd {model}', '* * {elements}', commands=('atom_modify map yes',), packages=('DEEPMD',))
    recipe = binding.recipe('frozen.pth', 'cpu', Precision.DOUBLE, ('H', 'O'))
    assert (recipe['pair_style'], recipe['pair_coeff']) == ('deepmd frozen.pth', '* * {elements}')
    assert (recipe['commands'], recipe['packages']) == (['atom_modify map yes'], ['DEEPMD'])


@pytest.mark.parametrize(('arguments', 'expected'), [({'dtype': PRECISION}, True), ({'model': MODEL_PATH}, False)])
def test_precision_can_change_only_if_the_calculator_is_told(arguments, expected):
    assert AseBinding('module', 'Class', arguments).can_change_precision is expected


def test_recipe_leaves_out_what_the_binding_does_not_name():
    recipe = AseBinding('module', 'Class').recipe('file', 'cpu', Precision.DOUBLE)
    assert (recipe['keyword_arguments'], recipe['environment']) == ({}, {})


def test_integer_is_accepted_for_a_float():
    assert Mace().make_hyperparameters({'cutoff_radius': 5}).cutoff_radius == 5


@pytest.mark.parametrize(('value', 'shown'), [('5', "'5'"), (True, 'True'), (None, 'None')])
def test_value_of_wrong_type_is_refused(value, shown):
    with pytest.raises(HyperparameterError) as caught:
        Mace().make_hyperparameters({'cutoff_radius': value})
    assert str(caught.value) == f"hyperparameter 'cutoff_radius' of mace is {shown}, expected float"
