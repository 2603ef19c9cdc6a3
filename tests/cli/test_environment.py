"""An environment is made, its code registered, checked by a training, and listed."""

from __future__ import annotations

import json
import sys

import pytest
from aiida.orm import Computer, Group, load_code
from calculation_cases import register_toy
from click.testing import CliRunner
from toy.environment import write_recipe
from toy.least_squares import LeastSquares

from aiida_edl.cli.main import main
from aiida_edl.environments import recipes
from aiida_edl.workflows.environments.check import GROUP
from aiida_edl.workflows.environments.codes import code_of_architecture

COMPUTER = 'environment-machine'


@pytest.fixture(scope='module', autouse=True)
def toy_recipe(tmp_path_factory):
    """Let the toy architecture have the toy environment, the only one there is."""
    folder = tmp_path_factory.mktemp('recipes')
    write_recipe(folder)
    with pytest.MonkeyPatch.context() as monkeypatch:
        register_toy(monkeypatch)
        monkeypatch.setattr(recipes, 'FOLDER', folder)
        monkeypatch.setattr(LeastSquares, 'environment', 'toy')
        yield


@pytest.fixture(scope='module', autouse=True)
def computers(aiida_profile, tmp_path_factory):
    """Make a computer that is this machine, and one that is another."""
    for label, transport in ((COMPUTER, 'core.local'), ('cluster', 'core.ssh')):
        computer = Computer(
            label=label,
            hostname='localhost',
            transport_type=transport,
            scheduler_type='core.direct',
            workdir=str(tmp_path_factory.mktemp('work')),
        ).store()
        computer.set_minimum_job_poll_interval(0)
        computer.configure(safe_interval=0)
    yield
    aiida_profile.reset_storage()


@pytest.fixture(scope='module')
def call(aiida_profile):
    """Return a function that runs a command and checks its exit status."""

    def run(*arguments, exit_code=0):
        arguments = ['-p', aiida_profile.name, 'environment', *map(str, arguments)]
        result = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert result.exit_code == exit_code, result.output
        return result.output

    return run


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('environments')


@pytest.fixture(scope='module')
def created(call, folder):
    """Return what the first call prints."""
    return create(call, folder)


def create(call, folder, *options, exit_code=0):
    options = ('--computer', COMPUTER, '--path', folder, '--python', sys.executable, *options)
    return call('create', 'least_squares', *options, exit_code=exit_code)


def test_code_is_registered_and_trains(created, folder):
    assert f'code toy-python@{COMPUTER}<' in created
    assert 'least_squares: trained for a moment and evaluated, see TrainingCalculation<' in created
    assert str(load_code(f'toy-python@{COMPUTER}').filepath_executable) == str(folder / 'toy/bin/python')


def test_calculations_of_the_check_are_in_a_group(created):
    group = Group.collection.get(label=GROUP)
    assert sorted(type(node).__name__ for node in group.nodes) == ['ArrayData', *['CalcJobNode'] * 2, 'DatasetData']


def test_versions_are_in_the_graph(created):
    nodes = Group.collection.get(label=GROUP).nodes
    (training,) = [node for node in nodes if node.node_type.startswith('process') and 'learning_curve' in node.outputs]
    assert set(training.outputs.training_summary.get_dict()['versions']) == {'numpy', 'ase'}


def test_second_call_does_nothing(created, call, folder):
    again = create(call, folder)
    assert f'toy environment: is in {folder / "toy"} as requested' in again
    assert 'least_squares: passed its check before, see EvaluationCalculation<' in again


def test_check_shows_versions_and_that_nothing_is_missing(created, call):
    (row,) = json.loads(call('check', '--format', 'json'))
    assert (row['code'], row['missing'], row['devices']) == (f'toy-python@{COMPUTER}', ['nothing'], ['cpu'])
    assert 'toy-paths 1.0' in row['versions']


def test_check_names_what_is_missing(created, call):
    recipe = recipes.FOLDER / 'toy.yaml'
    text = recipe.read_text()
    recipe.write_text(text.replace('[ase, numpy]', '[ase, not_there]').replace('toy-paths]', 'toy-paths, absent]'))
    constraints = recipe.with_suffix('.txt')
    constraints.write_text('toy-paths==2.0\n')
    try:
        printed = call('check', 'least_squares', '--format', 'json', exit_code=1)
    finally:
        recipe.write_text(text)
        constraints.write_text('toy-paths==1.0\n')
    rows, _, end = printed.rpartition('Error: ')
    (row,) = json.loads(rows)
    assert row['missing'] == [
        'absent is not installed',
        'toy-paths is 1.0, tested with 2.0',
        "not_there cannot be imported (ModuleNotFoundError: No module named 'not_there')",
    ]
    assert end == f'toy-python@{COMPUTER}: not as it should be, see the column missing\n'


def test_list_shows_architectures_and_codes(created, call):
    (row,) = json.loads(call('list', '--format', 'json'))
    assert (row['environment'], row['architectures'], row['licence']) == ('toy', ['least_squares'], 'MIT')
    assert row['codes'] == [f'toy-python@{COMPUTER}']
    assert 0.001 < row['gigabyte'] < 0.2


def test_code_of_an_architecture_is_that_of_its_environment(created):
    assert code_of_architecture('least_squares') == f'toy-python@{COMPUTER}'


def test_environment_elsewhere_under_the_same_label_is_refused(created, call, folder, tmp_path):
    (tmp_path / 'toy').symlink_to(folder / 'toy')
    text = create(call, tmp_path, '--installed', '--no-check', exit_code=1)
    assert text.endswith(
        f"Error: code 'toy-python@{COMPUTER}' runs '{folder / 'toy/bin/python'}', the environment has "
        f"'{tmp_path / 'toy/bin/python'}'; give the old code another label with: verdi code relabel "
        f'toy-python@{COMPUTER} NEW\n'
    )


def test_environment_that_is_said_to_be_there_must_be(call, tmp_path):
    text = create(call, tmp_path, '--installed', exit_code=1)
    assert f"Error: there is no '{tmp_path / 'toy/bin/python'}' on computer '{COMPUTER}'; make the environment" in text


def test_another_machine_is_answered_with_the_script(call):
    text = call('create', 'least_squares', '--computer', 'cluster', exit_code=1)
    assert text == (
        "Error: computer 'cluster' is another machine; make the environment there with the script that 'aiida-edl "
        "environment create least_squares --computer cluster --path FOLDER --print-script' prints, then call "
        "'aiida-edl environment create least_squares --computer cluster --path FOLDER --installed'\n"
    )


def test_script_is_printed_and_nothing_else_done(call):
    text = call('create', 'least_squares', '--path', '/scratch/environments', '--print-script')
    assert text.startswith('#!/usr/bin/env bash\n# Makes the environment toy: ')
    assert '/scratch/environments/toy/bin/python -m pip install' in text


def test_unknown_name_is_one_sentence(call):
    text = call('create', 'least_square', exit_code=1)
    assert text.startswith("Error: unknown architecture or environment 'least_square': did you mean 'least_squares'?")


def test_unknown_computer_is_one_sentence(call):
    text = call('create', 'least_squares', '--computer', 'nowhere', exit_code=1)
    assert text.startswith("Error: there is no computer 'nowhere'; known: cluster, environment-machine")


def test_environment_without_code_is_answered_with_its_creation(call, monkeypatch):
    monkeypatch.setattr('aiida_edl.workflows.environments.codes.registered_codes', lambda names=(): [])
    assert call('check', 'least_squares', exit_code=1) == (
        'Error: no code is set up for toy; make one with: aiida-edl environment create toy\n'
    )
