from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from aiida_edl.architectures.base import HyperparameterError, TrainingJobError, TrainingOutcome
from aiida_edl.architectures.fine_tuning import AtomicEnergyPolicy, FineTuning, ParentModel
from aiida_edl.architectures.precision import Precision
from aiida_edl.architectures.sevennet import Sevennet, SevennetHyperparameters
from aiida_edl.architectures.sevennet_log import read_tables
from aiida_edl.architectures.testing import example_job

FIXTURES = Path(__file__).parent.parent / 'fixtures' / 'training' / 'sevennet'
NAMES = 'epoch,lr,trainset_TotalLoss,validset_Energy_RMSE,validset_Force_ComponentRMSE\n'
ENERGIES = {'1': -1.5, '8': -2.5, '11': -0.5, '79': -3.5}


@pytest.fixture
def job():
    return example_job(Sevennet(), precision=Precision.SINGLE)


@pytest.fixture
def tuning(job):
    parent = ParentModel('sevennet', 'parent/sevennet.pth', job.elements, 5.0, 3, Precision.SINGLE, {})
    return replace(job, parent=parent, fine_tuning=FineTuning())


def trainer_input(job) -> dict:
    return yaml.safe_load(Sevennet().training_files(job)['input.yaml'])


def parent_settings(job) -> dict:
    return json.loads(Sevennet().training_files(job)['parent.json'])


def test_atomic_energies_stand_in_the_order_of_the_alphabet(job):
    given = trainer_input(job)
    assert given['model']['chemical_species'] == ['Au', 'H', 'Na', 'O']
    assert given['data']['shift'] == [-3.5, -1.5, -0.5, -2.5]


def test_last_epoch_has_a_checkpoint_and_is_exported(job):
    longer = replace(job, gradient_updates=4321)
    train = trainer_input(longer)['train']
    assert train['epoch'] * 2 >= 4321
    assert train['epoch'] % train['per_epoch'] == 0
    assert f"'checkpoint_{train['epoch']}.pth'" in Sevennet().commands(longer)[-1].arguments[1]


def test_frames_left_over_make_an_update(job):
    short = replace(job, training_set=job.training_set.select([0, 1, 2, 3, 4]), gradient_updates=20)
    assert trainer_input(short)['train']['epoch'] == 10


def test_error_of_forces_is_that_of_components(job):
    assert ['Force', 'ComponentRMSE'] in trainer_input(job)['train']['error_record']


def test_restart_goes_on_from_the_latest_checkpoint_there_is(job):
    files = ('checkpoint_9.pth', 'checkpoint_11.pth', 'lc.csv')
    restart = replace(job, is_restart=True, gradient_updates_done=14, checkpoint_files=files)
    assert trainer_input(restart)['train']['continue'] == {'checkpoint': 'checkpoint_11.pth'}


def test_checkpoint_of_another_trainer_is_refused(job):
    with pytest.raises(TrainingJobError) as caught:
        Sevennet().training_files(replace(job, is_restart=True, checkpoint_files=('model.ckpt.pt',)))
    assert str(caught.value) == (
        'the checkpoint holds model.ckpt.pt, sevennet goes on from a file checkpoint_[0-9]*.pth; give a checkpoint '
        'that a training of sevennet left'
    )


def test_parent_gets_the_given_atomic_energies(tuning):
    assert parent_settings(tuning)['atomic_energies'] == ENERGIES
    assert trainer_input(tuning)['train']['continue'] == {
        'checkpoint': 'start.pth',
        'reset_optimizer': True,
        'reset_scheduler': True,
        'reset_epoch': True,
    }


def test_parent_keeps_its_atomic_energies_if_asked(tuning):
    kept = replace(tuning, fine_tuning=FineTuning(atomic_energies=AtomicEnergyPolicy.PARENT))
    assert parent_settings(kept)['atomic_energies'] == {}


def test_parent_is_compared_with_the_hyperparameters(tuning):
    model = parent_settings(tuning)['model']
    assert model == {key: value for key, value in trainer_input(tuning)['model'].items() if key != 'chemical_species'}


def test_parent_is_prepared_once(tuning):
    assert [command.stdout for command in Sevennet().commands(tuning)] == ['parent.out', 'train.out', 'export.out']
    restart = replace(tuning, is_restart=True, checkpoint_files=('checkpoint_2.pth',))
    assert [command.stdout for command in Sevennet().commands(restart)] == ['train.out', 'export.out']


def test_parent_of_another_shape_is_refused(tuning):
    other = replace(tuning, parent=replace(tuning.parent, n_layers=5))
    with pytest.raises(TrainingJobError) as caught:
        Sevennet().training_files(other)
    assert str(caught.value) == (
        'the parent has 5 layers with a cutoff radius of 5.0 Å, the hyperparameters say 3 and 5.0 Å; '
        'use those of the parent'
    )


def test_atomic_energies_cannot_be_estimated(tuning):
    other = replace(tuning, fine_tuning=FineTuning(atomic_energies=AtomicEnergyPolicy.ESTIMATED))
    with pytest.raises(TrainingJobError) as caught:
        Sevennet().training_files(other)
    assert str(caught.value) == (
        "atomic_energies of fine_tuning is 'estimated', which the trainer of sevennet cannot do; "
        "use 'given' or 'parent'"
    )


def test_foundation_model_is_described_by_a_protocol(tuning):
    from aiida_edl.architectures.protocols import protocol_document

    entries = protocol_document(Sevennet())['protocols']['foundation']['hyperparameters']
    chosen = Sevennet().make_hyperparameters({key: entry['value'] for key, entry in entries.items()})
    model = trainer_input(replace(tuning, hyperparameters=chosen, parent=replace(tuning.parent, n_layers=5)))['model']
    assert model['cutoff_function'] == {'cutoff_function_name': 'XPLOR', 'cutoff_on': 4.5}
    assert model['irreps_manual'] == ['128x0e', *['128x0e+64x1e+32x2e'] * 4, '128x0e']


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'n_channels': 0}, "hyperparameter 'n_channels' of sevennet is 0, it must be positive"),
        (
            {'smoothing_radius': 5.0},
            "hyperparameter 'smoothing_radius' of sevennet is 5.0, it must be below cutoff_radius, 5.0",
        ),
        (
            {'self_connection': 'linaer'},
            "hyperparameter 'self_connection' of sevennet is 'linaer', it must be 'nequip' or 'linear'",
        ),
        (
            {'features': '8x0e 8x0e'},
            "hyperparameter 'features' of sevennet lists 2 representations, 3 layers need 4",
        ),
    ],
)
def test_values_out_of_range_are_refused(values, message):
    with pytest.raises(HyperparameterError) as caught:
        SevennetHyperparameters(**values)
    assert str(caught.value) == message


def test_tables_of_all_starts_are_joined_in_their_order(tmp_path):
    for name, rows in {
        'lc': '1,0,3,9,9\n2,0,3,8,8\n3,0,3,7,7\n',
        'lc0': '3,0,3,6,6\n',
        'lc1': '4,0,3,5,5\n5,0,',
    }.items():
        (tmp_path / f'{name}.csv').write_text(NAMES + rows)
    curve = read_tables(tmp_path, 4)
    assert curve.gradient_updates.tolist() == [4, 8, 12, 16]
    np.testing.assert_array_equal(curve.validation_force_rmse, [9, 8, 6, 5])


def test_recorded_training_is_read():
    result = Sevennet().read_training(FIXTURES / 'finished')
    assert result.outcome is TrainingOutcome.FINISHED
    assert result.gradient_updates_done == 40
    assert result.checkpoint_files == ('checkpoint_10.pth', 'lc.csv')
    assert result.learning_curve.gradient_updates.tolist() == list(range(4, 41, 4))


def test_updates_done_are_those_of_the_checkpoint(tmp_path):
    folder = shutil.copytree(FIXTURES / 'finished', tmp_path / 'run')
    (folder / 'checkpoint_10.pth').rename(folder / 'checkpoint_8.pth')
    assert Sevennet().read_training(folder).gradient_updates_done == 32
