"""What the parser of trainings makes of recorded outputs, one folder for each outcome."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from aiida.orm import FolderData
from calculation_cases import dataset, finished_node, labelled_frames, parse, training_inputs

from aiida_edl.parsers.training import charge_labels

ENTRY_POINT = 'edl.training'
RECORDED = Path(__file__).parents[1] / 'fixtures' / 'training'
EXIT_STATUS = {
    'finished': None,
    'out_of_walltime': 400,
    'out_of_memory': 410,
    'loss_diverged': 450,
    'log_incomplete': 312,
    'export_failed': 313,
}
ARCHITECTURES = ('least_squares', 'deep_potential', 'mace')


def parsed(code, files, architecture='least_squares', **changes):
    """Return outputs and exit code for retrieved files."""
    inputs = training_inputs(code, architecture=architecture, hyperparameters={}, **changes)
    return parse(ENTRY_POINT, finished_node(ENTRY_POINT, inputs, files))


@pytest.mark.parametrize('outcome', sorted(EXIT_STATUS))
@pytest.mark.parametrize('architecture', ARCHITECTURES)
def test_each_outcome_has_its_exit_code(python_code, architecture, outcome):
    outputs, exit_code = parsed(python_code, RECORDED / architecture / outcome, architecture)
    assert (None if exit_code is None else exit_code.status) == EXIT_STATUS[outcome]
    assert ('potential' in outputs) == (outcome == 'finished')
    assert outputs['training_summary']['outcome'] == outcome
    if exit_code is not None:
        assert outputs['training_summary']['message'] in exit_code.message


@pytest.mark.parametrize('architecture', ARCHITECTURES)
def test_interrupted_training_leaves_a_checkpoint(python_code, architecture):
    outputs, _ = parsed(python_code, RECORDED / architecture / 'out_of_walltime', architecture)
    assert outputs['checkpoint'].base.repository.list_object_names()


def test_potential_knows_what_it_is_and_what_it_was_trained_on(python_code):
    outputs, _ = parsed(python_code, RECORDED / 'least_squares' / 'finished', precision='float32')
    attributes = outputs['potential'].base.attributes.all
    assert outputs['potential'].model_files == ('least_squares_calculator.py',)
    expected = {
        'architecture': 'least_squares',
        'elements': ['H', 'O', 'Na', 'Au'],
        'cutoff_radius': 4.0,
        'n_layers': 1,
        'receptive_field': 4.0,
        'training_charge_labels': ['0', '2Na'],
        'level_of_theory': 'Lennard-Jones',
        'embeds_atomic_energies': False,
        'precision': 'float32',
        'seed': 3,
    }
    assert {name: attributes[name] for name in expected} == expected
    assert attributes['gradient_updates'] == outputs['training_summary']['gradient_updates_done']


def test_learning_curve_has_the_same_names_for_all(python_code):
    outputs, _ = parsed(python_code, RECORDED / 'least_squares' / 'finished')
    assert set(outputs['learning_curve'].get_arraynames()) == {
        'gradient_updates',
        'validation_energy_rmse',
        'validation_force_rmse',
        'training_loss',
    }


def test_cost_is_that_of_all_commands(python_code):
    outputs, _ = parsed(python_code, RECORDED / 'least_squares' / 'finished')
    summary = outputs['training_summary'].get_dict()
    assert summary['wall_seconds'] > 0
    assert summary['peak_memory_megabyte'] > 1
    assert set(summary['versions']) == {'numpy', 'ase'}


@pytest.mark.parametrize(
    ('files', 'seen'),
    [
        ({}, '_scheduler-stderr.txt is empty'),
        (
            {'run_commands.out': b'bash: python: command not found\n'},
            "the last line of run_commands.out is 'bash: python: command not found'",
        ),
    ],
)
def test_nothing_of_the_program_is_a_missing_output(python_code, files, seen):
    _, exit_code = parsed(python_code, files)
    assert (exit_code.status, exit_code.message) == (
        310,
        f'An output file is missing: no file of the trainer came back, and {seen}',
    )


def test_checkpoint_that_was_given_is_no_output(python_code):
    checkpoint = FolderData()
    checkpoint.base.repository.put_object_from_bytes(b'state', 'checkpoints/state.npz')
    _, exit_code = parsed(python_code, {'checkpoints/state.npz': b'state'}, checkpoint=checkpoint)
    assert exit_code.status == 310


def test_report_alone_tells_how_the_commands_ended(python_code):
    report = (RECORDED / 'least_squares' / 'log_incomplete' / 'run_commands.json').read_bytes()
    _, exit_code = parsed(python_code, {'run_commands.json': report})
    assert exit_code.status == 312


def test_empty_model_file_is_a_failed_export(python_code, tmp_path):
    folder = shutil.copytree(RECORDED / 'least_squares' / 'finished', tmp_path / 'run')
    (folder / 'least_squares_calculator.py').write_text('')
    outputs, exit_code = parsed(python_code, folder)
    assert exit_code.status == 313
    assert exit_code.message == (
        'The training finished, but the model could not be exported: the model least_squares_calculator.py is missing '
        'or empty'
    )
    assert 'checkpoint' in outputs


def test_charge_labels_are_those_of_the_chosen_frames():
    node = dataset(labelled_frames(8))
    assert charge_labels(node, np.array([0, 1, 4])) == ['0']
    assert charge_labels(node, np.array([2, 6])) == ['2Na']
    assert charge_labels(node, np.array([2, 5])) == ['0', '2Na']
