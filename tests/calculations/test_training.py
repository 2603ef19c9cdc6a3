"""Training: what is refused, what is staged, and a whole run of the toy architecture."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.orm import FolderData, Int
from aiida.plugins import CalculationFactory
from calculation_cases import (
    ATOMIC_ENERGIES,
    dataset,
    labelled_frames,
    potential,
    refusal,
    split,
    stage,
    training_inputs,
    without_labels,
)
from toy.training_cases import training_case

from aiida_edl.calculations import training
from aiida_edl.calculations.training_checkpoint import overshoot, training_identity
from aiida_edl.registry import ARCHITECTURES, registered_names

ENTRY_POINT = 'edl.training'
CASE = training_case('deep_potential')


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            {'architecture': 'least_square'},
            "unknown architecture 'least_square': did you mean 'least_squares'? Known: "
            f'{", ".join(sorted([*registered_names(ARCHITECTURES), "least_squares"]))}.',
        ),
        (
            {'hyperparameters': {'cutof_radius': 4.0}},
            "unknown hyperparameter of least_squares 'cutof_radius': did you mean 'cutoff_radius'? Known: batch_size, "
            'cutoff_radius, energy_weight, learning_rate, n_radial_functions, pause_seconds.',
        ),
        ({'gradient_updates': 0}, 'gradient_updates is 0, it must be at least 1'),
        ({'seed': -1}, 'seed is -1, it must not be negative'),
        ({'precision': 'float16'}, "unknown precision 'float16': did you mean 'float64'? Known: float32, float64."),
        ({'device': 'gpu'}, "device is 'gpu', it must be one of cpu, cuda"),
        (
            {'elements': ['Au', 'H', 'Na', 'O']},
            "elements is ['Au', 'H', 'Na', 'O'], it must list each element once, ordered by atomic number: "
            "['H', 'O', 'Na', 'Au']",
        ),
        ({'elements': ['H', 'Xx']}, "elements holds ['Xx'], which are no chemical symbols"),
        (
            {'elements': ['H', 'O', 'Au']},
            'the dataset holds Na, elements lists H, O, Au; add what is missing',
        ),
        (
            {'atomic_energies': {'H': 0.0, 'O': 0.0}},
            'atomic_energies lacks Na, Au, given are H, O',
        ),
    ],
    ids=lambda value: '' if isinstance(value, str) else '-'.join(value),
)
def test_wrong_input_is_refused_in_one_sentence(python_code, changes, message):
    assert refusal(ENTRY_POINT, training_inputs(python_code, **changes)) == message


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'test': None}, 'the split lacks the arrays test; it needs training, validation, test'),
        (
            {'test': [5, 10]},
            "the array 'test' of the split holds indices 5 to 10, the dataset has 10 frames",
        ),
        ({'validation': []}, "the array 'validation' of the split is empty, it needs at least one frame"),
        ({'test': [5, 4]}, 'the split uses 1 frames more than once; each frame may be in one subset only'),
        ({'test': [0.5]}, "the array 'test' of the split is of type float64, it must hold integers"),
    ],
    ids=['missing', 'range', 'empty', 'double', 'type'],
)
def test_split_that_does_not_fit_is_refused(python_code, changes, message):
    assert refusal(ENTRY_POINT, training_inputs(python_code, split=split(**changes))) == message


def test_dataset_without_forces_is_refused(python_code):
    unlabelled = dataset(without_labels(labelled_frames()))
    message = refusal(ENTRY_POINT, training_inputs(python_code, dataset=unlabelled))
    assert message == 'the dataset lacks forces; label its 10 frames first'


def test_what_the_architecture_refuses_is_refused_before_submission(python_code):
    inputs = training_inputs(python_code, architecture='mace', hyperparameters={'batch_size': 7}, gradient_updates=3)
    assert refusal(ENTRY_POINT, inputs) == 'batch_size is 7, it must lie between 1 and the 6 training frames'


def test_code_of_another_kind_is_refused(lammps_code):
    assert refusal(ENTRY_POINT, training_inputs(lammps_code)) == (
        "code 'lammps@localhost' runs 'lmp', but architecture 'least_squares' needs the Python interpreter of an "
        'environment; install it with: pip install ase'
    )


def test_answer_of_the_architecture_is_remembered(python_code, monkeypatch, tmp_path):
    inputs = training_inputs(python_code, seed=12345)
    stage(ENTRY_POINT, tmp_path, inputs)
    monkeypatch.setattr(training, 'training_job', lambda *_: pytest.fail('the files were written again'))
    CalculationFactory(ENTRY_POINT).validate(CalculationFactory(ENTRY_POINT).spec().inputs.pre_process(inputs))


def test_what_is_staged(python_code, tmp_path):
    options = {'max_wallclock_seconds': 600, 'resources': {'num_machines': 1, 'num_cores_per_mpiproc': 2}}
    calc_info = stage(ENTRY_POINT, tmp_path, training_inputs(python_code, metadata={'options': options}))
    staged = {path.name for path in tmp_path.iterdir()}
    assert staged == {
        'run_commands.py',
        'commands.json',
        'least_squares_program.py',
        'training.json',
        'training.npz',
        'validation.npz',
    }
    commands = json.loads((tmp_path / 'commands.json').read_text())
    assert commands['threads'] == 2
    assert commands['packages'] == ['numpy', 'ase']
    assert [command['timeout_seconds'] for command in commands['commands']] == [540.0, None]
    assert calc_info.codes_info[0].cmdline_params == ['run_commands.py', 'commands.json']
    assert calc_info.codes_info[0].stdout_name == 'run_commands.out'
    assert ('run_commands.json', '.', 1) in calc_info.retrieve_list
    assert ('checkpoint.npz', '.', 1) in calc_info.retrieve_list


def test_same_inputs_stage_the_same_bytes(python_code, tmp_path):
    for name in ('first', 'second'):
        (tmp_path / name).mkdir()
        stage(ENTRY_POINT, tmp_path / name, training_inputs(python_code))
    for path in (tmp_path / 'first').iterdir():
        assert path.read_bytes() == (tmp_path / 'second' / path.name).read_bytes(), path.name


def test_large_files_are_not_stored_beside_the_nodes_they_follow_from(python_code, tmp_path, monkeypatch):
    monkeypatch.setattr('aiida_edl.calculations.jobs.LARGE_FILE_BYTES', 2500)
    calc_info = stage(ENTRY_POINT, tmp_path, training_inputs(python_code))
    large = {path.name for path in tmp_path.iterdir() if path.stat().st_size > 2500 and path.suffix == '.npz'}
    assert 'training.npz' in large
    assert large <= set(calc_info.provenance_exclude_list)


def test_toy_is_trained_and_then_restarted_to_a_later_target(python_code):
    results, node = run_get_node(CalculationFactory(ENTRY_POINT), **training_inputs(python_code))
    assert node.is_finished_ok, node.exit_message
    potential, summary = results['potential'], results['training_summary'].get_dict()
    assert (potential.architecture, potential.elements) == ('least_squares', ('H', 'O', 'Na', 'Au'))
    assert potential.base.attributes.get('training_charge_labels') == ['0', '2Na']
    assert potential.base.attributes.get('level_of_theory') == 'Lennard-Jones'
    assert potential.base.attributes.get('gradient_updates') == 6
    assert potential.energy_shifts == ATOMIC_ENERGIES
    assert summary['outcome'] == 'finished'
    assert summary['is_restart'] is False
    assert summary['versions']['numpy'] == np.__version__
    assert summary['wall_seconds'] > 0
    curve = results['learning_curve']
    assert curve.get_array('gradient_updates').tolist() == list(range(7))
    assert curve.get_array('validation_force_rmse')[-1] < curve.get_array('validation_force_rmse')[0]

    later = training_inputs(python_code, gradient_updates=8, checkpoint=results['checkpoint'])
    results, node = run_get_node(CalculationFactory(ENTRY_POINT), **later)
    assert node.is_finished_ok, node.exit_message
    assert results['training_summary']['is_restart'] is True
    assert results['learning_curve'].get_array('gradient_updates').tolist() == list(range(9))


def checkpoint(**attributes):
    """Return a checkpoint of a training of the toy architecture."""
    node = FolderData()
    node.base.repository.put_object_from_bytes(b'state', 'checkpoint.npz')
    node.base.repository.put_object_from_bytes(b'', 'log.jsonl')
    identity = {'architecture': 'least_squares', 'elements': ['H', 'O', 'Na', 'Au'], 'precision': 'float64'}
    node.base.attributes.set_many({**identity, 'gradient_updates_done': 3, **attributes})
    return node


@pytest.mark.parametrize(
    ('attributes', 'message'),
    [
        (
            {'architecture': 'mace'},
            'the checkpoint is of a training with architecture mace, this one has least_squares; leave the checkpoint '
            'out to start anew',
        ),
        (
            {'elements': ['H', 'O']},
            "the checkpoint is of a training with elements ['H', 'O'], this one has ['H', 'O', 'Na', 'Au']; leave the "
            'checkpoint out to start anew',
        ),
        (
            {'precision': 'float32'},
            'the checkpoint is of a training with precision float32, this one has float64; leave the checkpoint out to '
            'start anew',
        ),
        (
            {'hyperparameters': {'batch_size': 2, 'cutoff_radius': 5.5}},
            'the checkpoint is of a training with hyperparameter cutoff_radius 5.5, this one has 4.0; leave the '
            'checkpoint out to start anew',
        ),
        (
            {'gradient_updates_done': 600},
            'the checkpoint stands for 600 gradient updates, the target is 6; raise gradient_updates or leave the '
            'checkpoint out',
        ),
    ],
    ids=['architecture', 'elements', 'precision', 'hyperparameter', 'beyond the target'],
)
def test_checkpoint_of_another_training_is_refused(python_code, attributes, message):
    assert refusal(ENTRY_POINT, training_inputs(python_code, checkpoint=checkpoint(**attributes))) == message


def checkpoint_of(inputs, **attributes):
    """Return the checkpoint of a training with these inputs, as it comes out of the database."""
    complete = CalculationFactory(ENTRY_POINT).spec().inputs.pre_process(dict(inputs))
    return checkpoint(**training_identity(complete), **attributes).store()


def other_labels():
    frames = labelled_frames()
    return dataset(replace(frames, energies=frames.energies + 1.0))


@pytest.mark.parametrize(
    ('changes', 'difference'),
    [
        (lambda: {'dataset': other_labels()}, 'dataset sha256 ..., this one has sha256 ...'),
        (lambda: {'split': split(training=[0, 1, 2, 3, 6])}, 'split sha256 ..., this one has sha256 ...'),
        (lambda: {'seed': 4}, 'seed 3, this one has 4'),
        (
            lambda: {'atomic_energies': {**ATOMIC_ENERGIES, 'O': 0.0}},
            'atomic_energies O -430.0, this one has 0.0',
        ),
        (lambda: {'parent_potential': potential()}, 'parent_potential none, this one has sha256 ...'),
    ],
    ids=['dataset', 'split', 'seed', 'atomic energies', 'parent'],
)
def test_checkpoint_of_a_training_with_other_inputs_is_refused(python_code, changes, difference):
    of_another = checkpoint_of(training_inputs(python_code))
    message = refusal(ENTRY_POINT, training_inputs(python_code, checkpoint=of_another, **changes()))
    assert re.sub(r'sha256 [0-9a-f]{12}\b', 'sha256 ...', message) == (
        f'the checkpoint is of a training with {difference}; leave the checkpoint out to start anew'
    )


@pytest.mark.parametrize(
    ('changes', 'difference'),
    [
        ({'fine_tuning': {'mode': 'lora'}}, 'fine_tuning mode naive, this one has lora'),
        ({'replay_dataset': 'more'}, 'replay_dataset none, this one has sha256 ...'),
    ],
    ids=['mode', 'replayed frames'],
)
def test_checkpoint_of_another_fine_tuning_is_refused(python_code, changes, difference):
    values = {'architecture': 'mace', 'hyperparameters': {}, 'parent_potential': potential(architecture='mace')}
    of_another = checkpoint_of(training_inputs(python_code, **values))
    if 'replay_dataset' in changes:
        changes = {'replay_dataset': dataset()}
    message = refusal(ENTRY_POINT, training_inputs(python_code, **values, **changes, checkpoint=of_another))
    assert re.sub(r'sha256 [0-9a-f]{12}\b', 'sha256 ...', message) == (
        f'the checkpoint is of a training with {difference}; leave the checkpoint out to start anew'
    )


@pytest.mark.parametrize(
    'changes',
    [
        lambda: {'gradient_updates': 1000},
        lambda: {'dataset': dataset(labelled_frames()), 'split': split(test=[])},
        lambda: {'atomic_energies': {**ATOMIC_ENERGIES, 'Cu': -1.0}},
        lambda: {'remedies': [{'repeated': 'from its checkpoint'}], 'device': 'cuda'},
    ],
    ids=['target', 'copies and test frames', 'element that is not there', 'remedies and device'],
)
def test_what_a_training_does_not_see_may_change_at_a_restart(python_code, changes):
    of_same = checkpoint_of(training_inputs(python_code))
    inputs = training_inputs(python_code, checkpoint=of_same, **changes())
    complete = CalculationFactory(ENTRY_POINT).spec().inputs.pre_process(inputs)
    assert CalculationFactory(ENTRY_POINT).validate(complete) is None


def test_checkpoint_of_another_version_of_the_trainer_is_an_exit_code(python_code):
    inputs = training_inputs(python_code, checkpoint=checkpoint(trainer_version={'numpy': '0.9'}))
    results, node = run_get_node(CalculationFactory(ENTRY_POINT), **inputs)
    assert node.exit_status == 212
    assert node.exit_message.startswith(
        'The checkpoint is of another version of the trainer: the command that writes train.out was not run, and the '
        "last line of train.out is 'needed is numpy 0.9, this environment has "
    )
    assert results['training_summary']['outcome'] == 'version_differs'


def test_checkpoint_says_of_which_training_it_is(python_code):
    inputs = training_inputs(python_code)
    _, node = run_get_node(CalculationFactory(ENTRY_POINT), **inputs)
    attributes = node.outputs.checkpoint.base.attributes.all
    versions = node.outputs.training_summary['versions']
    trainer = {'numpy': versions['numpy']}
    expected = {**training_identity(node.inputs), 'gradient_updates_done': 6, 'trainer_version': trainer}
    assert {name: attributes[name] for name in expected} == expected
    assert attributes['hyperparameters']['n_radial_functions'] == 6
    assert attributes['hyperparameters']['cutoff_radius'] == 4.0  # a default


def test_training_may_end_a_little_beyond_its_target(python_code):
    inputs = training_inputs(python_code, architecture='mace', hyperparameters={'n_evaluations': 5})
    assert overshoot({**inputs, 'gradient_updates': Int(1000)}) == 2 * 6 + 200
    replayed = {**inputs, 'gradient_updates': Int(1000), 'replay_dataset': dataset()}
    assert overshoot(replayed) == 2 * (6 + 10) + 200


def test_what_may_change_at_a_restart_is_no_part_of_the_identity(python_code):
    changes = {'hyperparameters': {'n_evaluations': 5, 'batch_size': 2}, 'precision': 'float64'}
    of_mace, of_dp = (
        training_identity(training_inputs(python_code, architecture=name, **changes))
        for name in ('mace', 'deep_potential')
    )
    assert 'n_evaluations' not in of_mace['hyperparameters']
    assert of_mace['hyperparameters']['batch_size'] == 2
    assert 'batch_size' not in of_dp['hyperparameters']


def test_fine_tuning_without_a_parent_is_refused(python_code):
    inputs = training_inputs(python_code, fine_tuning={'mode': 'naive'})
    assert refusal(ENTRY_POINT, inputs) == 'fine_tuning without a parent_potential; give one or leave them out'


def test_parent_is_refused_by_an_architecture_that_cannot_start_from_one(python_code):
    inputs = training_inputs(python_code, parent_potential=potential())
    assert refusal(ENTRY_POINT, inputs) == "least_squares has no fine-tuning mode 'naive'; it has: none"


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (
            {'mod': 'naive'},
            "unknown setting of fine_tuning 'mod': did you mean 'mode'? Known: atomic_energies, lora_rank, ",
        ),
        ({'mode': 'naiv'}, "unknown mode of fine_tuning 'naiv': did you mean 'naive'? Known: lora, multihead_replay, "),
        ({'lora_rank': 0}, 'lora_rank of fine_tuning is 0, it must be at least 1'),
        ({'lora_rank': 2.5}, "setting 'lora_rank' of fine_tuning is 2.5, expected int"),
        ({'replay_weight': 'two'}, "setting 'replay_weight' of fine_tuning is 'two', expected float"),
    ],
    ids=['key', 'mode', 'rank', 'type of rank', 'type of weight'],
)
def test_wrong_setting_of_fine_tuning_is_refused(python_code, values, message):
    inputs = training_inputs(python_code, parent_potential=potential(), fine_tuning=values)
    assert refusal(ENTRY_POINT, inputs).startswith(message)


@pytest.mark.slow
@pytest.mark.skipif(CASE.missing is not None, reason=str(CASE.missing))
def test_missing_gpu_is_an_exit_code(aiida_code_installed):
    code = aiida_code_installed(label='engines', filepath_executable=str(CASE.python))
    inputs = training_inputs(
        code,
        architecture='deep_potential',
        hyperparameters=CASE.training['hyperparameters'],
        device='cuda',
        metadata={'options': {'environment_variables': {'CUDA_VISIBLE_DEVICES': ''}}},
    )
    results, node = run_get_node(CalculationFactory(ENTRY_POINT), **inputs)
    assert node.exit_status == 210
    assert node.exit_message.startswith('There is no accelerator: the command that writes train.out was not run')
    assert results['training_summary']['outcome'] == 'device_missing'
