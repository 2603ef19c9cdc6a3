"""What GRACE is told, and what is read back."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from aiida_edl.architectures import grace_program
from aiida_edl.architectures.base import HyperparameterError, TrainingJobError, TrainingOutcome
from aiida_edl.architectures.grace import Grace, GraceHyperparameters, plan_epochs, read_learning_curve
from aiida_edl.architectures.precision import Precision
from aiida_edl.architectures.testing import example_job
from aiida_edl.science.formats.extended_xyz import read_extended_xyz

FIXTURES = Path(__file__).parent.parent / 'fixtures' / 'training' / 'grace'


@pytest.fixture
def job():
    return example_job(Grace())


def trainer_input(job) -> dict:
    return yaml.safe_load(Grace().training_files(job)['input.yaml'])


def plan(job) -> dict:
    return json.loads(Grace().training_files(job)['training_plan.json'])


def with_hyperparameters(job, **values):
    return replace(job, hyperparameters=GraceHyperparameters(**values))


def point(updates: int, force: float, loss: float | None = 1.0) -> dict:
    return {'gradient_updates': updates, 'energy_rmse': force / 10, 'force_rmse': force, 'training_loss': loss}


def write_lines(path: Path, *entries) -> Path:
    path.write_text(''.join(json.dumps(entry) + '\n' for entry in entries))
    return path


@pytest.mark.parametrize(
    ('arguments', 'expected'),
    [
        ((96, 4, 480, 10), (24, 20, 2)),
        # Frames left over are added to other batches: 10 frames make 3 batches.
        ((10, 3, 30, 100), (3, 10, 1)),
        ((8, 4, 1, 20), (2, 1, 1)),
        # A restart beyond its target does one epoch, so that there is something to export.
        ((8, 4, -5, 20), (2, 1, 1)),
    ],
)
def test_plan_of_epochs(arguments, expected):
    made = plan_epochs(*arguments)
    assert (made.updates_per_epoch, made.n_epochs, made.checkpoint_interval) == expected


@pytest.mark.parametrize('gradient_updates', [1, 99, 100, 101, 4321])
def test_plan_reaches_the_target_and_ends_with_a_checkpoint(gradient_updates):
    made = plan_epochs(50, 4, gradient_updates, 20)
    assert made.n_epochs * made.updates_per_epoch >= gradient_updates
    assert made.n_epochs % made.checkpoint_interval == 0


def test_elements_precision_and_seed_are_told(job):
    given = trainer_input(replace(job, precision=Precision.SINGLE))
    assert given['potential']['elements'] == ['H', 'O', 'Na', 'Au']
    assert given['potential']['param_dtype'] == 'float32'
    assert given['seed'] == 71039


def test_atomic_energies_are_taken_off_and_not_fitted(job, tmp_path):
    files = Grace().training_files(job)
    (tmp_path / 'a.xyz').write_bytes(files['training.xyz'])
    read = read_extended_xyz(tmp_path / 'a.xyz')
    # 4 Au, 1 O and 2 H in each frame.
    np.testing.assert_allclose(read.energies, job.training_set.energies + 4 * 3.5 + 2.5 + 2 * 1.5, rtol=0, atol=1e-12)
    assert read.pbc.all()  # as gracemaker takes every film


def test_film_whose_images_the_trainer_would_see_is_refused(job):
    thin = replace(job.validation_set, cells=job.validation_set.cells - np.diag([0.0, 0.0, 12.0]))
    with pytest.raises(TrainingJobError, match=r'^frame 0 has .* of vacuum along its open cell vector 2, less than'):
        Grace().training_files(replace(job, validation_set=thin))
    assert trainer_input(job)['data']['reference_energy'] == 0


def test_small_numbers_are_numbers_in_the_input(job):
    given = trainer_input(with_hyperparameters(job, learning_rate=1e-3, learning_rate_ratio=1e-3))
    assert given['fit']['scheduler_params']['minimum_learning_rate'] == pytest.approx(1e-6, rel=1e-12)


def test_finnis_sinclair_form_is_the_ace_limit(job):
    given = trainer_input(with_hyperparameters(job, preset='fs', exponents=(1.0,), max_l=2, n_channels=6))
    assert given['potential']['preset'] == 'FS'
    assert given['potential']['kwargs']['fs_parameters'] == [[1.0, 1.0]]
    assert given['potential']['kwargs']['n_rad_max'] == [6, 6, 6, 6]
    assert 'n_mlp_dens' not in given['potential']['kwargs']


def test_channels_of_two_layers_match(job):
    given = trainer_input(with_hyperparameters(job, preset='grace_2l', n_channels=6, max_l=3))['potential']
    assert given['preset'] == 'GRACE_2LAYER_latest'
    assert given['kwargs']['n_rad_max'] == given['kwargs']['prod_func_n_max'] == 6
    assert given['kwargs']['lmax'] == [3, 2]


def test_zero_width_is_a_quadratic_loss(job):
    assert trainer_input(with_hyperparameters(job, huber_width=0.0))['fit']['loss'] == {
        'energy': {'type': 'square', 'weight': 16.0},
        'forces': {'type': 'square', 'weight': 32.0},
    }


@pytest.mark.parametrize(('preset', 'n_layers'), [('fs', 1), ('grace_1l', 1), ('grace_2l', 2)])
def test_layers_follow_the_preset(preset, n_layers):
    assert Grace().receptive_field(GraceHyperparameters(preset=preset, cutoff_radius=4.5)) == n_layers * 4.5


def test_restart_does_what_remains_and_goes_on_with_the_rate(job):
    first = replace(job, gradient_updates=200, hyperparameters=GraceHyperparameters(batch_size=2, n_evaluations=1))
    again = replace(first, is_restart=True, gradient_updates_done=100)
    before, after = trainer_input(first)['fit'], trainer_input(again)['fit']
    assert (before['maxiter'], after['maxiter']) == (50, 25)
    assert (before['eval_init_stats'], after['eval_init_stats']) == (True, False)
    assert after['reset_epoch_and_step'] is True
    # Halfway in a fall by 0.0125: the root of it.
    ratio = after['opt_params']['learning_rate'] / before['opt_params']['learning_rate']
    assert ratio == pytest.approx(0.0125**0.5, rel=1e-12)
    assert after['scheduler_params']['minimum_learning_rate'] == before['scheduler_params']['minimum_learning_rate']
    assert plan(again)['gradient_updates_done'] == 100
    assert '-rl' in plan(again)['arguments']
    assert '-rl' not in plan(first)['arguments']


def test_without_gpu_none_is_used_and_nothing_is_compiled(job):
    (command,) = Grace().commands(job)
    assert command.environment['CUDA_VISIBLE_DEVICES'] == '-1'
    assert plan(job)['arguments'] == ['--no-jit']
    assert trainer_input(job)['fit']['train_max_n_buckets'] is None


def test_with_gpu_code_is_compiled_for_padded_batches(job):
    job = replace(job, device='cuda')
    (command,) = Grace().commands(job)
    assert 'CUDA_VISIBLE_DEVICES' not in command.environment
    assert plan(job)['arguments'] == []
    assert plan(job)['device'] == 'cuda'
    assert trainer_input(job)['fit']['train_max_n_buckets'] == 'auto'


def test_walltime_becomes_the_timeout_of_the_training(job):
    (command,) = Grace().commands(replace(job, walltime_seconds=600.0))
    assert command.timeout_seconds == 600.0


def test_validation_set_smaller_than_a_batch_is_one_batch(job):
    assert trainer_input(with_hyperparameters(job, batch_size=4))['fit']['test_batch_size'] == 2


def test_too_large_a_batch_is_refused(job):
    with pytest.raises(TrainingJobError, match=r'^batch_size is 9, it must lie between 1 and the 8 training frames$'):
        Grace().training_files(with_hyperparameters(job, batch_size=9))


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (
            {'preset': 'grace_3l'},
            "unknown preset of grace 'grace_3l': did you mean 'grace_2l'? Known: fs, grace_1l, grace_2l.",
        ),
        ({'cutoff_radius': -1.0}, "hyperparameter 'cutoff_radius' of grace is -1.0, it must be positive"),
        ({'ema_decay': 1.0}, "hyperparameter 'ema_decay' of grace is 1.0, it must be below 1"),
        ({'max_order': 5}, "hyperparameter 'max_order' of grace is 5, it must be 1 to 4"),
        ({'preset': 'fs', 'exponents': ()}, "hyperparameter 'exponents' of grace is (), it must be positive"),
    ],
)
def test_values_out_of_range_are_refused(values, message):
    with pytest.raises(HyperparameterError) as caught:
        GraceHyperparameters(**values)
    assert str(caught.value) == message


def test_no_total_charge_is_taken():
    assert Grace().total_charge_column(GraceHyperparameters()) is None


def test_lammps_binding_leaves_the_elements_to_the_engine():
    recipe = Grace().bindings['lammps'].recipe('final_model', 'cpu', Precision.DOUBLE)
    assert (recipe['pair_style'], recipe['pair_coeff']) == ('grace', '* * final_model {elements}')
    assert recipe['packages'] == ['ML-PACE']


def test_curve_of_restarts_drops_what_was_lost(tmp_path):
    killed = [point(0, 1.0, None), point(4, 0.9), point(8, 0.8), point(12, 0.7)]
    path = write_lines(tmp_path / 'a', *killed, {'restart_from': 8}, point(13, 0.6), point(18, 0.5))
    curve = read_learning_curve(path)
    np.testing.assert_array_equal(curve.gradient_updates, [0, 4, 8, 13, 18])
    np.testing.assert_array_equal(curve.validation_force_rmse, [1.0, 0.9, 0.8, 0.6, 0.5])
    np.testing.assert_array_equal(curve.training_loss, [np.nan, 1.0, 1.0, 1.0, 1.0])


def test_truncated_last_line_is_left_out(tmp_path):
    path = write_lines(tmp_path / 'a', point(0, 1.0), point(4, 0.9))
    path.write_bytes(path.read_bytes()[:-10])
    np.testing.assert_array_equal(read_learning_curve(path).gradient_updates, [0])


def test_recorded_training_is_read():
    result = Grace().read_training(FIXTURES / 'finished')
    assert result.outcome is TrainingOutcome.FINISHED
    # Eight frames in batches of two: 4 updates per epoch, 40 of them asked.
    assert result.gradient_updates_done == 40
    assert result.model_path == 'final_model'
    assert result.checkpoint_files == (
        'checkpoints/current.json',
        'checkpoints/checkpoint-40.data-00000-of-00001',
        'checkpoints/checkpoint-40.index',
        'learning_curve.jsonl',
    )
    assert result.learning_curve.gradient_updates.tolist() == list(range(0, 41, 4))


@pytest.mark.parametrize('name', ['current.json', 'checkpoint-40.index', 'checkpoint-40.data-00000-of-00001'])
def test_checkpoint_with_a_file_missing_is_none(tmp_path, name):
    folder = shutil.copytree(FIXTURES / 'finished', tmp_path / 'run')
    (folder / 'checkpoints' / name).unlink()
    assert Grace().read_training(folder).checkpoint_files == ()


class FakeTrainer:
    """Stands for the object of gracemaker that holds the model: counts steps, writes two files."""

    step = 4

    def save_checkpoint(self, checkpoint_name):
        for suffix in ('.index', '.data-00000-of-00001'):
            Path(checkpoint_name + suffix).write_text(str(self.step))


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_checkpoint_is_replaced_when_the_next_is_whole(in_folder):
    trainer = FakeTrainer()
    write = grace_program.checkpoint_writer(FakeTrainer.save_checkpoint, gradient_updates_done=100)
    write(trainer)
    trainer.step = 8
    write(trainer)
    assert sorted(path.name for path in (in_folder / 'checkpoints').iterdir()) == [
        'checkpoint-108.data-00000-of-00001',
        'checkpoint-108.index',
        'current.json',
    ]
    assert grace_program.current_checkpoint() == {'name': 'checkpoint-108', 'gradient_updates': 108}


def test_weights_of_the_lowest_loss_are_not_written(in_folder):
    grace_program.checkpoint_writer(FakeTrainer.save_checkpoint, 0)(FakeTrainer(), suffix='.best_test_loss')
    assert not (in_folder / 'checkpoints').exists()


def test_checkpoint_that_is_read_is_the_whole_one(in_folder):
    grace_program.checkpoint_writer(FakeTrainer.save_checkpoint, 0)(FakeTrainer())
    seen = []
    read = grace_program.checkpoint_reader(lambda model, checkpoint_name, verbose: seen.append(checkpoint_name))
    read(FakeTrainer(), verbose=True)
    assert seen == ['checkpoints/checkpoint-4']


def test_restart_without_checkpoint_is_refused_in_one_sentence(in_folder):
    with pytest.raises(SystemExit) as caught:
        grace_program.current_checkpoint()
    assert str(caught.value) == (
        'checkpoints/current.json is missing; a restart needs the checkpoint of the training it goes on from'
    )


def test_points_count_updates_of_all_restarts(in_folder):
    write = grace_program.curve_writer(gradient_updates_done=100)
    write('train_metrics.yaml', {'total_loss/train': 2.0, 'step': 4, 'epoch': 1})
    write('test_metrics.yaml', {'total_loss/test': 3.0, 'rmse/depa': 0.1, 'rmse/f_comp': 0.5, 'step': 4, 'epoch': 1})
    curve = read_learning_curve(in_folder / 'learning_curve.jsonl')
    assert curve.gradient_updates.tolist() == [104]
    assert (curve.validation_energy_rmse[0], curve.validation_force_rmse[0], curve.training_loss[0]) == (0.1, 0.5, 2.0)


def test_loss_that_is_no_number_ends_the_training(in_folder):
    write = grace_program.curve_writer(0)
    write('train_metrics.yaml', {'total_loss/train': float('nan'), 'step': 4})
    errors = {'total_loss/test': float('nan'), 'rmse/depa': 0.1, 'rmse/f_comp': 0.5, 'step': 4}
    with pytest.raises(SystemExit, match=r'^aiida_edl: the loss is not a finite number$'):
        write('test_metrics.yaml', errors)
    assert (in_folder / 'learning_curve.jsonl').is_file()


def test_program_runs_alone(in_folder, monkeypatch):
    """It is copied to where this package is not installed; here only the trainer is missing."""
    (in_folder / 'train_grace.py').write_bytes(Path(grace_program.__file__).read_bytes())
    (in_folder / 'plan.json').write_text(json.dumps({'device': 'cpu'}))
    monkeypatch.setattr(sys, 'argv', ['train_grace.py', 'plan.json'])
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'tensorpotential'$"):
        runpy.run_path('train_grace.py', run_name='__main__')
