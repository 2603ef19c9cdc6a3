"""Each driver is one file that runs alone on a compute node, so what several need stands in each: the same text."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest

from aiida_edl.drivers import evaluate_model, run_ase_md

TORCH_SIM = Path(run_ase_md.__file__).with_name('run_torch_sim_md.py')
"""Needs torch, which is not there to import."""


def source_of_function(path, name):
    """Return the text of a function of a file that is not imported."""
    text = path.read_text()
    (found,) = (node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == name)
    return ast.get_source_segment(text, found) + '\n'


@pytest.mark.parametrize('name', ['make_object', 'filled_info', 'periodicity', 'remember_signal', 'should_stop'])
def test_function_is_the_same_in_all_drivers(name):
    assert inspect.getsource(getattr(run_ase_md, name)) == inspect.getsource(getattr(evaluate_model, name))


@pytest.mark.parametrize('name', ['make_object', 'remember_signal', 'should_stop', 'save'])
def test_function_is_the_same_in_both_drivers_of_dynamics(name):
    assert source_of_function(TORCH_SIM, name) == inspect.getsource(getattr(run_ase_md, name))


def test_argument_that_is_a_recipe_is_made_first():
    inner = {'module': 'ase.calculators.lj', 'attribute': 'LennardJones', 'keyword_arguments': {'epsilon': 0.5}}
    outer = {'module': 'builtins', 'attribute': 'dict', 'keyword_arguments': {'made': inner, 'plain': {'a': 1}}}
    made = evaluate_model.make_object(outer)
    assert made['made'].parameters['epsilon'] == 0.5
    assert made['plain'] == {'a': 1}


def test_total_charge_takes_the_place_of_its_name_and_lists_become_arrays():
    info = evaluate_model.filled_info({'fparam': ['{total_charge}'], 'charge': '{total_charge}', 'spin': 1}, -2.0)
    assert info['fparam'].tolist() == [-2.0]
    assert (info['charge'], info['spin']) == (-2.0, 1)


def test_whole_charge_is_an_integer_where_the_calculator_wants_one():
    info = evaluate_model.filled_info({'charge': '{whole_total_charge}'}, -2.0)
    assert isinstance(info['charge'], int)
    assert info['charge'] == -2
    # A fraction is not rounded: the calculator refuses it.
    assert evaluate_model.filled_info({'charge': '{whole_total_charge}'}, 0.5) == {'charge': 0.5}


def test_model_that_was_trained_so_sees_a_film_as_periodic_along_all_cell_vectors():
    film, cluster = np.array([True, True, False]), np.array([False] * 3)
    assert evaluate_model.periodicity({'is_fully_periodic': True}, film).all()
    assert not evaluate_model.periodicity({'is_fully_periodic': True}, cluster).any()
    assert evaluate_model.periodicity({}, film).tolist() == [True, True, False]
