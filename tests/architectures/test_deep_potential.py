from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aiida_edl.architectures.base import HyperparameterError, TrainingJobError, TrainingOutcome
from aiida_edl.architectures.deep_potential import (
    DeepPotential,
    DeepPotentialHyperparameters,
    neighbour_limits,
)
from aiida_edl.architectures.deepmd_kit import read_learning_curve
from aiida_edl.architectures.testing import example_frames, example_job
from aiida_edl.science.formats.deepmd_npy import read_deepmd_npy

FIXTURES = Path(__file__).parent.parent / 'fixtures' / 'training' / 'deep_potential'
HEADER = '# step       rmse_val    rmse_trn    rmse_e_val  rmse_e_trn    rmse_f_val  rmse_f_trn   lr\n'


@pytest.fixture
def job():
    return example_job(DeepPotential())


def trainer_input(job) -> dict:
    return json.loads(DeepPotential().training_files(job)['input.json'])


def row(step: int, forces: float) -> str:
    return f'{step}  4.0  2.0  {forces / 10}  0.1  {forces}  0.1  1e-3\n'


@pytest.mark.parametrize('embeds_pairs', [False, True])
def test_embedding_networks_are_those_of_neighbours_or_of_pairs(job, embeds_pairs):
    chosen = DeepPotentialHyperparameters(embeds_pairs=embeds_pairs)
    document = json.loads(DeepPotential().training_files(replace(job, hyperparameters=chosen))['input.json'])
    assert document['model']['descriptor']['type_one_side'] is not embeds_pairs


def test_type_map_is_the_shared_list_of_elements(job):
    document = trainer_input(job)
    assert job.training_set.elements == ('H', 'O', 'Au')
    assert document['model']['type_map'] == ['H', 'O', 'Na', 'Au']
    assert len(document['model']['descriptor']['sel']) == 4


def test_seed_and_precision_reach_both_networks(job):
    document = trainer_input(job)
    for part in (document['model']['descriptor'], document['model']['fitting_net']):
        assert (part['seed'], part['precision']) == (71039, 'float64')
    assert document['training']['seed'] == 71039


def test_stress_is_not_learnt(job):
    document = trainer_input(job)
    assert document['loss']['start_pref_v'] == document['loss']['limit_pref_v'] == 0.0


def test_systems_are_those_that_are_written(job):
    files = DeepPotential().training_files(job)
    training = json.loads(files['input.json'])['training']
    assert training['training_data']['systems'] == ['training/system_000']
    assert training['validation_data']['systems'] == ['validation/system_000']
    assert {'training/system_000/type.raw', 'validation/system_000/set.000/coord.npy'} <= set(files)


def test_each_composition_is_a_system(job):
    frames = job.training_set
    swapped = replace(frames, numbers=np.where(frames.numbers == 79, 11, frames.numbers).astype(np.uint8))
    mixed = type(frames).concatenate([frames, swapped])
    document = trainer_input(replace(job, training_set=mixed))
    assert document['training']['training_data']['systems'] == ['training/system_000', 'training/system_001']


def test_labels_lack_the_atomic_energies_and_the_film_is_periodic(job, tmp_path):
    for name, content in DeepPotential().training_files(job).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    read = read_deepmd_npy(tmp_path / 'training' / 'system_000')
    atomic = 4 * -3.5 + -2.5 + 2 * -1.5
    np.testing.assert_allclose(read.energies, job.training_set.energies - atomic, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(read.forces, job.training_set.forces)
    assert read.pbc.all()


def test_total_charge_is_a_frame_parameter_only_if_asked_for(job):
    charged = replace(job, training_set=job.training_set.with_columns(total_charge=-2.0))
    charged = replace(charged, validation_set=job.validation_set.with_columns(total_charge=-2.0))
    assert DeepPotential().training_files(charged) == DeepPotential().training_files(job)
    chosen = DeepPotentialHyperparameters(charge_column='total_charge')
    files = DeepPotential().training_files(replace(charged, hyperparameters=chosen))
    assert json.loads(files['input.json'])['model']['fitting_net']['numb_fparam'] == 1
    parameters = np.load(io.BytesIO(files['training/system_000/set.000/fparam.npy']))
    np.testing.assert_array_equal(parameters, np.full((len(job.training_set), 1), -2.0))


def test_total_charge_that_the_frames_lack_is_refused(job):
    chosen = DeepPotentialHyperparameters(charge_column='total_charge')
    message = "the frames lack the column 'total_charge' of the total charge; they have: charge_state"
    with pytest.raises(TrainingJobError, match=f'^{message}$'):
        DeepPotential().training_files(replace(job, hyperparameters=chosen))


def test_film_without_enough_vacuum_is_refused(job):
    chosen = DeepPotentialHyperparameters(cutoff_radius=18.0)
    with pytest.raises(TrainingJobError, match=r'^frame 0 has 16\.\d\d Å of vacuum along its open cell vector 2, less'):
        DeepPotential().training_files(replace(job, hyperparameters=chosen))


def test_neighbour_limits_have_margin_and_are_rounded_up():
    frames = replace(example_frames(1, seed=1), pbc=np.ones((1, 3), dtype=bool))
    chosen = DeepPotentialHyperparameters(cutoff_radius=3.3, neighbour_margin=1.5, minimum_neighbours=2)
    # Within 3.3 Å there are at most 2 H, 1 O and 4 Au; times 1.5 that is 3, 2 and 6; the next multiples of 4 are taken.
    assert neighbour_limits(frames, ('H', 'O', 'Na', 'Au'), chosen) == [4, 4, 4, 8]


def test_absent_element_gets_room():
    chosen = DeepPotentialHyperparameters(minimum_neighbours=10)
    assert neighbour_limits(example_frames(1, seed=1), ('Na',), chosen) == [12]


def test_training_is_then_frozen(job):
    train, freeze = DeepPotential().commands(replace(job, walltime_seconds=99.0))
    assert train.arguments == ('-m', 'deepmd', '--pt', 'train', 'input.json', '--skip-neighbor-stat')
    assert freeze.arguments == ('-m', 'deepmd', '--pt', 'freeze', '-c', 'model.ckpt.pt', '-o', 'frozen.pth')
    assert (train.timeout_seconds, freeze.timeout_seconds) == (99.0, None)
    assert (train.is_export, freeze.is_export) == (False, True)


def test_environment_names_the_device(job):
    train, _ = DeepPotential().commands(replace(job, device='cuda'))
    assert train.environment['DEVICE'] == 'cuda'


def test_recipe_names_the_device():
    recipe = DeepPotential().bindings['ase'].recipe('frozen.pth', 'cpu', example_job(DeepPotential()).precision)
    assert recipe == {
        'module': 'deepmd.calculator',
        'attribute': 'DP',
        'keyword_arguments': {'model': 'frozen.pth'},
        'environment': {'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD': '1', 'NUM_WORKERS': '0', 'DEVICE': 'cpu'},
        'info': {},
        'is_fully_periodic': True,
    }


def test_restart_goes_on_to_the_same_target(job):
    restart = replace(job, is_restart=True)
    train, _ = DeepPotential().commands(restart)
    assert train.arguments[-2:] == ('--restart', 'model.ckpt.pt')
    assert DeepPotential().training_files(restart) == DeepPotential().training_files(job)


def test_last_step_is_validated_and_saved(job):
    training = trainer_input(replace(job, gradient_updates=997))['training']
    assert training['numb_steps'] >= 997
    assert training['numb_steps'] % training['disp_freq'] == 0
    assert training['save_freq'] == training['disp_freq']


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (
            {'smoothing_radius': 6.0},
            "hyperparameter 'smoothing_radius' of deep_potential is 6.0, it must be below cutoff_radius, 6.0",
        ),
        (
            {'n_axis_neurons': 101},
            "hyperparameter 'n_axis_neurons' of deep_potential is 101, "
            'it must not exceed the width of the last embedding layer, 100',
        ),
        (
            {'neighbour_margin': 0.9},
            "hyperparameter 'neighbour_margin' of deep_potential is 0.9, it must be at least 1",
        ),
        ({'batch_size': 0}, "hyperparameter 'batch_size' of deep_potential is 0, it must be positive"),
    ],
)
def test_values_out_of_range_are_refused(values, message):
    with pytest.raises(HyperparameterError) as caught:
        DeepPotentialHyperparameters(**values)
    assert str(caught.value) == message


def test_learning_curve_of_one_run(tmp_path):
    (tmp_path / 'lcurve.out').write_text(HEADER + row(1, 1.0) + row(50, 0.5))
    curve = read_learning_curve(tmp_path / 'lcurve.out')
    np.testing.assert_array_equal(curve.gradient_updates, [1, 50])
    np.testing.assert_array_equal(curve.validation_force_rmse, [1.0, 0.5])
    np.testing.assert_array_equal(curve.validation_energy_rmse, [0.1, 0.05])
    np.testing.assert_array_equal(curve.training_loss, [4.0, 4.0])


def test_learning_curve_of_a_restart_drops_what_was_lost(tmp_path):
    text = HEADER + row(1, 1.0) + row(50, 0.5) + row(100, 0.4) + row(100, 0.3) + row(150, 0.2)
    (tmp_path / 'lcurve.out').write_text(text)
    curve = read_learning_curve(tmp_path / 'lcurve.out')
    np.testing.assert_array_equal(curve.gradient_updates, [1, 50, 100, 150])
    np.testing.assert_array_equal(curve.validation_force_rmse, [1.0, 0.5, 0.3, 0.2])


@pytest.mark.parametrize('n_cut', [1, 3, 8])
def test_truncated_last_row_is_left_out(tmp_path, n_cut):
    """Cut inside its last number it has all columns, of which the last is none, or another one."""
    (tmp_path / 'lcurve.out').write_text((HEADER + row(1, 1.0) + row(50, 0.5))[:-n_cut])
    curve = read_learning_curve(tmp_path / 'lcurve.out')
    np.testing.assert_array_equal(curve.gradient_updates, [1])


def test_table_without_rows_is_none(tmp_path):
    (tmp_path / 'lcurve.out').write_text(HEADER)
    assert read_learning_curve(tmp_path / 'lcurve.out') is None


def test_trainer_that_stops_at_nan_diverged(tmp_path):
    (tmp_path / 'train.out').write_text('x\nRuntimeError: NaN detected at batch       1: val: . Something went wrong\n')
    result = DeepPotential().read_training(tmp_path)
    assert result.outcome is TrainingOutcome.LOSS_DIVERGED
    assert result.message == "the trainer said 'NaN detected at batch       1: val: . Something went wrong'"


def test_recorded_training_is_read():
    result = DeepPotential().read_training(FIXTURES / 'finished')
    assert result.outcome is TrainingOutcome.FINISHED
    assert result.gradient_updates_done == 40
    assert result.model_path == 'frozen.pth'
    assert result.checkpoint_files == ('model.ckpt.pt', 'lcurve.out')
