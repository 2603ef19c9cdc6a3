from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from aiida_edl.architectures.base import HyperparameterError, TrainingJobError, TrainingOutcome
from aiida_edl.architectures.metatrain_log import read_tables
from aiida_edl.architectures.pet import Pet, PetHyperparameters
from aiida_edl.architectures.precision import Precision
from aiida_edl.architectures.testing import example_job
from aiida_edl.science.formats.extended_xyz import KeyMapping, read_extended_xyz

FIXTURES = Path(__file__).parent.parent / 'fixtures' / 'training' / 'pet'
NAMES = 'Epoch,training loss,validation energy RMSE (per atom),validation forces RMSE\n,,meV,meV/A\n'


@pytest.fixture
def job():
    return example_job(Pet())


def options(job) -> dict:
    return yaml.safe_load(Pet().training_files(job)['options.yaml'])


def charged(job, charge: float, **values):
    frames = (job.training_set, job.validation_set)
    training, validation = (item.with_columns(total_charge=charge) for item in frames)
    return replace(
        job,
        training_set=training,
        validation_set=validation,
        hyperparameters=PetHyperparameters(charge_column='total_charge', **values),
    )


def write_tables(folder: Path, **tables: str) -> Path:
    (folder / 'epochs.json').write_text(json.dumps({'updates_per_epoch': 4}))
    for start, rows in tables.items():
        (path := folder / 'outputs' / 'day' / start / 'train.csv').parent.mkdir(parents=True)
        path.write_text(NAMES + rows)
    return folder


def test_elements_absent_from_the_training_set_and_their_energies_are_told(job):
    given = options(job)['architecture']
    assert given['atomic_types'] == [1, 8, 11, 79]
    assert given['training']['atomic_baseline'] == {'energy': {1: -1.5, 8: -2.5, 11: -0.5, 79: -3.5}}


def test_precision_seed_and_device_are_told(job):
    given = options(replace(job, device='cuda', precision=Precision.SINGLE))
    assert (given['base_precision'], given['seed'], given['device']) == (32, 71039, 'cuda')


def test_epochs_reach_the_target_and_the_last_one_is_logged(job):
    training = options(replace(job, gradient_updates=4321))['architecture']['training']
    assert training['num_epochs'] * 2 >= 4321
    assert (training['num_epochs'] - 1) % training['log_interval'] == 0
    assert training['checkpoint_interval'] == training['log_interval']


def test_labels_have_the_keys_the_trainer_is_told(job, tmp_path):
    given = options(job)['training_set']
    target = given['targets']['energy']
    (tmp_path / 'a.xyz').write_bytes(Pet().training_files(job)[given['systems']['read_from']])
    read = read_extended_xyz(tmp_path / 'a.xyz', KeyMapping(energy=target['key'], forces=target['forces']['key']))
    np.testing.assert_array_equal(read.energies, job.training_set.energies)
    np.testing.assert_array_equal(read.forces, job.training_set.forces)
    np.testing.assert_array_equal(read.pbc, job.training_set.pbc)


def test_total_charge_is_told_if_asked_for(job, tmp_path):
    files = Pet().training_files(charged(job, -1.0))
    given = yaml.safe_load(files['options.yaml'])
    key = given['training_set']['extra_data']['charge']['key']
    (tmp_path / 'a.xyz').write_bytes(files['training.xyz'])
    keys = KeyMapping(energy='REF_energy', forces='REF_forces', columns={key: 'total_charge'})
    assert read_extended_xyz(tmp_path / 'a.xyz', keys).columns['total_charge'].tolist() == [-1] * 8
    assert given['architecture']['model']['system_conditioning'] is True
    assert 'extra_data' not in options(job)['training_set']


@pytest.mark.parametrize('charge', [0.5, 11.0])
def test_charge_that_the_model_cannot_take_is_refused(job, charge):
    with pytest.raises(TrainingJobError) as caught:
        Pet().training_files(charged(job, charge))
    assert str(caught.value) == (
        f"the column 'total_charge' is {charge} in frame 0, pet takes whole total charges between -10 and 10"
    )


def test_long_range_is_asked_for(job):
    periodic = {
        name: replace(frames, pbc=np.ones_like(frames.pbc))
        for name, frames in (('training_set', job.training_set), ('validation_set', job.validation_set))
    }
    given = options(replace(job, hyperparameters=PetHyperparameters(is_long_range=True), **periodic))
    assert given['architecture']['model']['long_range'] == {
        'enable': True,
        'use_ewald': True,
        'smearing': 1.4,
        'kspace_resolution': 1.33,
    }


def test_long_range_on_an_open_film_is_refused(job):
    with pytest.raises(TrainingJobError) as caught:
        Pet().training_files(replace(job, hyperparameters=PetHyperparameters(is_long_range=True)))
    assert str(caught.value) == (
        'frame 0 of the training set is periodic along 2 of its cell vectors, is_long_range of pet needs all or none; '
        'make it periodic with a vacuum in its cell'
    )


def test_last_weights_are_exported_and_not_those_of_the_best_epoch(job):
    train, take_last, export = Pet().commands(job)
    assert train.arguments[-1] == 'best.pt'
    assert 'checkpoint["best_model_state_dict"] = checkpoint["model_state_dict"]' in take_last.arguments[1]
    assert export.arguments == ('-m', 'metatrain', 'export', 'last.ckpt', '-o', 'pet.pt')


def test_lammps_loads_the_model_by_atomic_numbers():
    recipe = Pet().bindings['lammps'].recipe('pet.pt', 'cpu', Precision.DOUBLE)
    assert (recipe['pair_style'], recipe['pair_coeff']) == ('metatomic pet.pt device cpu', '* * {atomic_numbers}')
    assert recipe['packages'] == ['ML-METATOMIC']


def test_walltime_becomes_the_timeout_of_the_training(job):
    train = Pet().commands(replace(job, walltime_seconds=600.0))[0]
    assert (train.timeout_seconds, train.keep_newest) == (600.0, ('outputs/*/*/[bm]*.ckpt',))


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'cutoff_radius': -1.0}, "hyperparameter 'cutoff_radius' of pet is -1.0, it must be positive"),
        (
            {'energy_weight': 0.0, 'force_weight': 0.0},
            "hyperparameters 'energy_weight' and 'force_weight' of pet are 0, at least one of them must be positive",
        ),
        ({'n_heads': 3}, "hyperparameter 'n_heads' of pet is 3, it must divide edge_width, 128"),
        ({'warmup_fraction': 1.0}, "hyperparameter 'warmup_fraction' of pet is 1.0, it must be below 1"),
        (
            {'cutoff_width': 5.0},
            "hyperparameter 'cutoff_width' of pet is 5.0, it must be below cutoff_radius, 4.5",
        ),
    ],
)
def test_values_out_of_range_are_refused(values, message):
    with pytest.raises(HyperparameterError) as caught:
        PetHyperparameters(**values)
    assert str(caught.value) == message


def test_table_is_read_in_house_units(tmp_path):
    curve = read_tables(write_tables(tmp_path, a='   0,8.0,12.0,300.0\n   2,4.0, 6.0,150.0\n'))
    np.testing.assert_array_equal(curve.gradient_updates, [4, 12])
    np.testing.assert_allclose(curve.validation_energy_rmse, [0.012, 0.006], rtol=1e-14)
    np.testing.assert_allclose(curve.validation_force_rmse, [0.3, 0.15], rtol=1e-14)
    # The trainer sums over the four batches of an epoch.
    np.testing.assert_array_equal(curve.training_loss, [2.0, 1.0])


def test_restart_drops_what_was_logged_after_its_checkpoint(tmp_path):
    folder = write_tables(tmp_path, a='0,1,9,9\n2,1,8,8\n4,1,7,7\n', b='4,1,6,6\n6,1,5,5\n')
    curve = read_tables(folder)
    np.testing.assert_array_equal(curve.gradient_updates, [4, 12, 20, 28])
    np.testing.assert_allclose(curve.validation_force_rmse, [0.009, 0.008, 0.006, 0.005], rtol=1e-14)


def test_truncated_last_line_is_left_out(tmp_path):
    assert read_tables(write_tables(tmp_path, a='0,1,9,9\n2,1,8')).gradient_updates.tolist() == [4]


def test_errors_that_are_not_finite_from_the_start_are_a_divergence(tmp_path):
    folder = shutil.copytree(FIXTURES / 'log_incomplete', tmp_path / 'run')
    with (folder / 'train.out').open('a') as handle:
        handle.write('ValueError: cannot convert float NaN to integer\n')
    result = Pet().read_training(folder)
    assert result.outcome is TrainingOutcome.LOSS_DIVERGED
    assert result.message == 'the errors after the first epoch are not finite numbers'


def test_recorded_training_is_read():
    result = Pet().read_training(FIXTURES / 'finished')
    assert result.outcome is TrainingOutcome.FINISHED
    # Eight frames in batches of two: 4 updates per epoch, 40 of them asked.
    assert result.gradient_updates_done == 40
    assert result.learning_curve.gradient_updates.tolist() == list(range(4, 41, 4))
    checkpoint, table = result.checkpoint_files
    assert (Path(checkpoint).name, Path(table).name) == ('best.ckpt', 'train.csv')
