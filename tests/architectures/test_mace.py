from __future__ import annotations

import ast
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aiida_edl.architectures.base import HyperparameterError, TrainingOutcome
from aiida_edl.architectures.mace import Mace, MaceHyperparameters
from aiida_edl.architectures.mace_log import plan_epochs, read_results
from aiida_edl.architectures.testing import example_job
from aiida_edl.science.formats.extended_xyz import KeyMapping, read_extended_xyz

FIXTURES = Path(__file__).parent.parent / 'fixtures' / 'training' / 'mace'


def options(job) -> dict[str, str]:
    (command,) = Mace().commands(job)
    assert command.arguments[:2] == ('-m', 'mace.cli.run_train')
    return dict(argument.removeprefix('--').split('=', 1) for argument in command.arguments if '=' in argument)


def flags(job) -> set[str]:
    (command,) = Mace().commands(job)
    return {argument for argument in command.arguments[2:] if '=' not in argument}


@pytest.fixture
def job():
    return example_job(Mace())


def write_results(path: Path, *entries) -> Path:
    path.write_text(''.join(json.dumps(entry) + '\n' for entry in entries))
    return path


def steps(epoch: int, n: int, loss: float = 1.0) -> list[dict]:
    return [{'loss': loss, 'time': 0.1, 'mode': 'opt', 'epoch': epoch}] * n


def evaluation(epoch: int | None, forces: float) -> dict:
    return {'loss': 9.0, 'rmse_e_per_atom': forces / 10, 'rmse_f': forces, 'mode': 'eval', 'epoch': epoch}


@pytest.mark.parametrize(
    ('arguments', 'expected'),
    [
        ((100, 1, 800, 8), (100, 8, 1)),
        ((100, 4, 5000, 20), (25, 201, 10)),
        # Frames left over are not used in an epoch: 10 frames make 3 whole batches of 3.
        ((10, 3, 30, 100), (3, 10, 1)),
        ((8, 4, 1, 20), (2, 1, 1)),
    ],
)
def test_plan_of_epochs(arguments, expected):
    plan = plan_epochs(*arguments)
    assert (plan.updates_per_epoch, plan.n_epochs, plan.evaluation_interval) == expected


@pytest.mark.parametrize('gradient_updates', [1, 99, 100, 101, 4321])
def test_plan_reaches_the_target_and_evaluates_the_last_epoch(gradient_updates):
    plan = plan_epochs(50, 4, gradient_updates, 20)
    assert plan.n_epochs * plan.updates_per_epoch >= gradient_updates
    assert (plan.n_epochs - 1) % plan.evaluation_interval == 0


def test_elements_absent_from_the_training_set_are_told(job):
    assert job.training_set.elements == ('H', 'O', 'Au')
    given = options(job)
    assert ast.literal_eval(given['atomic_numbers']) == [1, 8, 11, 79]
    assert ast.literal_eval(given['E0s']) == {1: -1.5, 8: -2.5, 11: -0.5, 79: -3.5}


def test_precision_seed_and_device_are_told(job):
    given = options(replace(job, device='cuda'))
    assert (given['default_dtype'], given['seed'], given['device']) == ('float64', '71039', 'cuda')


def test_no_plots_no_early_stop_and_no_second_evaluation(job):
    given = options(job)
    assert given['plot'] == 'False'
    assert int(given['patience']) > int(given['max_num_epochs'])
    assert given['skip_evaluate_heads'] == 'Default'


def test_rate_falls_by_the_ratio_over_all_epochs(job):
    given = options(replace(job, gradient_updates=200))
    n_epochs, factor = int(given['max_num_epochs']), float(given['lr_scheduler_gamma'])
    assert factor ** (n_epochs - 1) == pytest.approx(0.01, rel=1e-12)


def test_single_epoch_has_a_finite_factor(job):
    assert float(options(replace(job, gradient_updates=1))['lr_scheduler_gamma']) == 0.01


def test_restart_goes_on_to_the_same_target(job):
    restart = replace(job, is_restart=True)
    assert options(restart) == options(job)
    assert flags(restart) - flags(job) == {'--restart_latest'}


def test_walltime_becomes_the_timeout_of_the_training(job):
    (command,) = Mace().commands(replace(job, walltime_seconds=600.0))
    assert command.timeout_seconds == 600.0
    assert command.keep_newest == ('checkpoints/mace_run-*_epoch-*.pt',)


def test_labels_have_the_keys_the_trainer_is_told(job, tmp_path):
    files = Mace().training_files(job)
    given = options(job)
    (tmp_path / 'a.xyz').write_bytes(files[given['train_file']])
    keys = KeyMapping(energy=given['energy_key'], forces=given['forces_key'])
    read = read_extended_xyz(tmp_path / 'a.xyz', keys)
    np.testing.assert_array_equal(read.energies, job.training_set.energies)
    np.testing.assert_array_equal(read.forces, job.training_set.forces)
    np.testing.assert_array_equal(read.positions, job.training_set.positions)
    np.testing.assert_array_equal(read.pbc, job.training_set.pbc)


def test_names_that_other_programs_take_for_labels_are_not_used(job):
    text = Mace().training_files(job)['training.xyz'].decode()
    assert ' energy=' not in text
    assert ':forces:R' not in text


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'cutoff_radius': -1.0}, "hyperparameter 'cutoff_radius' of mace is -1.0, it must be positive"),
        ({'radial_network': ()}, "hyperparameter 'radial_network' of mace is (), it must be positive"),
        ({'max_l': -1}, "hyperparameter 'max_l' of mace is -1, it must not be negative"),
        ({'ema_decay': 1.0}, "hyperparameter 'ema_decay' of mace is 1.0, it must be below 1"),
    ],
)
def test_values_out_of_range_are_refused(values, message):
    with pytest.raises(HyperparameterError) as caught:
        MaceHyperparameters(**values)
    assert str(caught.value) == message


def test_receptive_field_counts_the_layers():
    assert Mace().receptive_field(MaceHyperparameters(cutoff_radius=4.5, n_interactions=2)) == 9.0


def test_results_of_one_run(tmp_path):
    first, last = [*steps(0, 3, loss=6.0), evaluation(0, 0.5)], [*steps(1, 3), *steps(2, 3, 3.0), evaluation(2, 0.25)]
    path = write_results(tmp_path / 'log', evaluation(None, 1.0), *first, *last)
    curve, updates = read_results(path)
    np.testing.assert_array_equal(curve.gradient_updates, [0, 3, 9])
    np.testing.assert_array_equal(curve.validation_force_rmse, [1.0, 0.5, 0.25])
    np.testing.assert_allclose(curve.validation_energy_rmse, [0.1, 0.05, 0.025], rtol=1e-14)
    # Mean loss of the updates since the last point: (3 x 1 + 3 x 3) / 6 = 2.
    np.testing.assert_array_equal(curve.training_loss, [np.nan, 6.0, 2.0])
    assert updates == 9


def test_results_of_a_restart_drop_what_was_lost_and_count_the_repeated_epoch(tmp_path):
    killed = [*steps(0, 2), evaluation(0, 0.9), *steps(1, 2), evaluation(1, 0.8), *steps(2, 1)]
    # The checkpoint of epoch 0 was the last: 2 updates are done, epoch 0 is repeated.
    restarted = [*steps(0, 2), evaluation(0, 0.7), *steps(1, 2), evaluation(1, 0.6)]
    path = write_results(tmp_path / 'log', evaluation(None, 1.0), *killed, evaluation(None, 0.9), *restarted)
    curve, updates = read_results(path)
    np.testing.assert_array_equal(curve.gradient_updates, [0, 2, 4, 6])
    np.testing.assert_array_equal(curve.validation_force_rmse, [1.0, 0.9, 0.7, 0.6])
    assert updates == 6


def test_truncated_last_line_is_left_out(tmp_path):
    path = write_results(tmp_path / 'log', evaluation(None, 1.0), *steps(0, 2), evaluation(0, 0.5))
    path.write_bytes(path.read_bytes()[:-10])
    curve, updates = read_results(path)
    np.testing.assert_array_equal(curve.gradient_updates, [0])
    assert updates == 2


def test_recorded_training_is_read():
    result = Mace().read_training(FIXTURES / 'finished')
    assert result.outcome is TrainingOutcome.FINISHED
    # Eight frames in batches of two: 4 updates per epoch, 40 of them asked.
    assert result.gradient_updates_done == 40
    assert result.model_path == 'mace.model'
    assert result.checkpoint_files == ('checkpoints/mace_run-7_epoch-9.pt', 'results/mace_run-7_train.txt')
    assert result.learning_curve.gradient_updates.tolist() == list(range(0, 41, 4))


def test_updates_after_the_last_checkpoint_do_not_count():
    folder = FIXTURES / 'log_incomplete'
    _, all_updates = read_results(folder / 'results' / 'mace_run-7_train.txt')
    result = Mace().read_training(folder)
    assert result.gradient_updates_done == result.learning_curve.gradient_updates[-1] < all_updates


def test_newest_whole_checkpoint_is_the_only_one(tmp_path):
    """After SIGKILL every checkpoint is there, and the last one may be half-written."""
    folder = shutil.copytree(FIXTURES / 'log_incomplete', tmp_path / 'run')
    whole = (folder / 'checkpoints' / 'mace_run-7_epoch-25.pt').read_bytes()
    (folder / 'checkpoints' / 'mace_run-7_epoch-100.pt').write_bytes(whole)
    (folder / 'checkpoints' / 'mace_run-7_epoch-125.pt').write_bytes(whole[:-10])
    result = Mace().read_training(folder)
    assert result.checkpoint_files == ('checkpoints/mace_run-7_epoch-100.pt', 'results/mace_run-7_train.txt')


def test_without_a_whole_checkpoint_there_is_none(tmp_path):
    folder = shutil.copytree(FIXTURES / 'finished', tmp_path / 'run')
    (folder / 'checkpoints' / 'mace_run-7_epoch-9.pt').write_bytes(b'PK')
    assert Mace().read_training(folder).checkpoint_files == ()
