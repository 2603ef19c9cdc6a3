from __future__ import annotations

import io
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from architectures.test_real_training import make_job, predictions
from toy.training import ATOMIC_ENERGIES, ELEMENTS, film_frames, train
from toy.training_cases import training_case

from aiida_edl.architectures.base import HyperparameterError, TrainingJobError, TrainingOutcome
from aiida_edl.architectures.esen import Esen
from aiida_edl.architectures.esen_configuration import EsenHyperparameters
from aiida_edl.architectures.fine_tuning import AtomicEnergyPolicy, FineTuning, FineTuningMode, ParentModel
from aiida_edl.architectures.json_log import read_log, updates_done
from aiida_edl.architectures.precision import Precision
from aiida_edl.architectures.testing import example_frames, example_job
from aiida_edl.drivers import train_fairchem
from aiida_edl.science.frames import Frame, FrameSet

FIXTURES = Path(__file__).parent.parent / 'fixtures' / 'training' / 'esen'


def config(job) -> dict:
    return yaml.safe_load(Esen().training_files(job)['esen.yaml'])


def parent_model(**changes) -> ParentModel:
    parent = ParentModel(
        architecture='esen',
        path='parent/esen.pt',
        elements=ELEMENTS,
        cutoff_radius=4.0,
        n_layers=2,
        precision=Precision.DOUBLE,
        atomic_energies=ATOMIC_ENERGIES,
    )
    return replace(parent, **changes)


@pytest.fixture
def job():
    return example_job(Esen())


def test_target_is_exact(job):
    runner = config(replace(job, gradient_updates=997))['runner']
    assert runner['train_dataloader']['batch_sampler_fn']['n_batches'] == 997
    assert runner['train_eval_unit']['cosine_lr_scheduler_fn']['steps'] == 997


def test_atomic_energies_stand_at_their_atomic_numbers(job):
    energy, forces = config(job)['runner']['train_eval_unit']['tasks']
    (references,) = energy['element_references']['element_references']['_args_']
    assert {number: value for number, value in enumerate(references) if value} == {1: -1.5, 8: -2.5, 11: -0.5, 79: -3.5}
    assert 'element_references' not in forces


def test_energies_and_forces_have_one_unit(job):
    energy, forces = config(job)['runner']['train_eval_unit']['tasks']
    expected = np.sqrt(np.mean(job.training_set.forces**2))
    assert energy['normalizer'] == forces['normalizer']
    assert energy['normalizer']['rmsd'] == pytest.approx(expected, rel=1e-15)


def test_film_has_no_images_along_its_open_axis(job):
    backbone = config(job)['runner']['train_eval_unit']['model']['model']['backbone']
    assert backbone['always_use_pbc'] is False


def test_total_charge_is_handed_over(job):
    chosen = EsenHyperparameters(charge_column='charge_state')
    assert Esen().total_charge_column(chosen) == 'charge_state'
    charged = example_frames(8, seed=1).with_columns(charge_state=-2)
    charged_job = replace(job, hyperparameters=chosen, training_set=charged)
    files = Esen().training_files(charged_job)
    with np.load(io.BytesIO(files['training.npz'])) as stored:
        assert stored['column_total_charge'].tolist() == [-2.0] * 8
    assert config(charged_job)['runner']['train_eval_unit']['model']['model']['backbone']['cs_emb_grad'] is True


def test_model_without_charge_has_none(job):
    assert Esen().total_charge_column(job.hyperparameters) is None
    with np.load(io.BytesIO(Esen().training_files(job)['training.npz'])) as stored:
        assert not [name for name in stored.files if name.startswith('column_')]
    assert config(job)['runner']['train_eval_unit']['model']['model']['backbone']['cs_emb_grad'] is False


def test_fractional_charge_is_refused(job):
    frames = example_frames(8, seed=1).with_columns(charge_state=0.5)
    wrong = replace(job, hyperparameters=EsenHyperparameters(charge_column='charge_state'), training_set=frames)
    with pytest.raises(TrainingJobError) as caught:
        Esen().training_files(wrong)
    assert str(caught.value) == (
        'the total charge of frame 0 is 0.5 e, esen takes whole numbers from -100 to 100; '
        'choose another architecture or another charge_column'
    )


def test_calculator_is_told_a_whole_charge_only_if_the_model_knows_one():
    binding = Esen().bindings['ase']
    assert binding.recipe('esen.pt', 'cpu', Precision.DOUBLE)['info'] == {}
    assert binding.recipe('esen.pt', 'cpu', Precision.DOUBLE, knows_charge=True)['info'] == {
        'charge': '{whole_total_charge}'
    }


def test_calculator_runs_in_the_precision_that_is_asked_for():
    recipe = Esen().bindings['ase'].recipe('esen.pt', 'cuda', Precision.SINGLE)
    unit = recipe['keyword_arguments']['predict_unit']['keyword_arguments']
    assert (unit['path'], unit['device']) == ('esen.pt', 'cuda')
    assert unit['inference_settings']['keyword_arguments']['base_precision_dtype'] == 'float32'


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'max_m': 3}, "hyperparameter 'max_m' of esen is 3, it must not exceed max_l, 2"),
        ({'n_channels': 7}, "hyperparameter 'n_channels' of esen is 7, it must be even"),
        ({'ema_decay': 1.0}, "hyperparameter 'ema_decay' of esen is 1.0, it must be below 1"),
        ({'task_name': ''}, "hyperparameter 'task_name' of esen is empty, it must name a dataset"),
    ],
)
def test_hyperparameter_out_of_range_is_refused(values, message):
    with pytest.raises(HyperparameterError) as caught:
        EsenHyperparameters(**values)
    assert str(caught.value) == message


def test_element_beyond_the_table_is_refused(job):
    heavy = replace(job, elements=(*job.elements, 'Fm'), atomic_energies={**job.atomic_energies, 'Fm': 0.0})
    with pytest.raises(TrainingJobError) as caught:
        Esen().training_files(heavy)
    assert str(caught.value) == "the elements ['Fm'] are beyond Es, the last that esen knows; leave them out"


def test_parent_is_handed_to_the_program(job):
    tuned = replace(job, parent=parent_model(), fine_tuning=FineTuning(atomic_energies=AtomicEnergyPolicy.PARENT))
    command, export = Esen().commands(tuned)
    assert command.arguments[-4:] == ('--parent', 'parent/esen.pt', '--references', 'parent')
    assert export.is_export


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (
            FineTuning(atomic_energies=AtomicEnergyPolicy.ESTIMATED),
            "atomic_energies of fine_tuning is 'estimated', esen does not shift energies; use 'given' or 'parent'",
        ),
        (FineTuning(mode=FineTuningMode.LORA), "esen has no fine-tuning mode 'lora'; it has: naive"),
    ],
)
def test_fine_tuning_that_cannot_be_done_is_refused(job, settings, message):
    with pytest.raises(TrainingJobError) as caught:
        Esen().training_files(replace(job, parent=parent_model(), fine_tuning=settings))
    assert str(caught.value) == message


def test_truncated_line_of_the_log_is_left_out(tmp_path):
    point = {'gradient_updates': 0, 'energy_rmse': 0.1, 'force_rmse': 0.2, 'training_loss': float('nan')}
    (tmp_path / 'log.jsonl').write_text(json.dumps(point) + '\n' + json.dumps(point | {'gradient_updates': 5})[:-9])
    curve, is_complete = read_log(tmp_path / 'log.jsonl')
    assert curve.gradient_updates.tolist() == [0]
    assert not is_complete


def test_receptive_field_counts_the_embedding_as_a_layer():
    assert Esen().receptive_field(EsenHyperparameters(cutoff_radius=4.0, n_interactions=2)) == 12.0


def order(first: int = 0, **changes) -> list[list[int]]:
    settings = {'batch_size': 3, 'n_batches': 7, 'seed': 5} | changes
    batches = train_fairchem.Batches(dataset=range(10), num_replicas=1, rank=0, **settings)
    batches.set_epoch_and_start_iteration(0, first)
    return list(batches)


def test_batches_are_whole_and_go_on_where_they_stopped():
    batches = order()
    assert [len(batch) for batch in batches] == [3] * 7
    assert len({frame for batch in batches[:3] for frame in batch}) == 9
    assert order(first=4) == batches[4:]
    assert order(seed=6) != batches


def test_validation_takes_each_frame_once():
    assert order(n_batches=None) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]


def test_updates_of_a_stopped_training_are_those_of_its_checkpoint(tmp_path):
    point = {'gradient_updates': 30, 'energy_rmse': 1.0, 'force_rmse': 1.0, 'training_loss': 1.0}
    (tmp_path / 'log.jsonl').write_text(f'{json.dumps(point)}\n{{"stopped": 37}}\n')
    assert updates_done(tmp_path / 'log.jsonl') == 37
    curve, is_complete = read_log(tmp_path / 'log.jsonl')
    assert (curve.gradient_updates.tolist(), is_complete) == ([30], False)


class FakeEvaluation(SimpleNamespace):
    """What fairchem leaves after an evaluation of two frames of five atoms."""

    def __init__(self, squared: float) -> None:
        metric = SimpleNamespace(total=squared, numel=2)
        super().__init__(
            running_metrics={'energy': {'esen': {'per_atom_mse': metric}}, 'forces': {'esen': {'mse': metric}}}
        )


def evaluated(monkeypatch, folder: Path, squared: float) -> list[str]:
    """Return what the callback writes after an evaluation with a sum of squared errors."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(train_fairchem, 'save_checkpoint', lambda unit, losses: Path('checkpoint.pt').touch())
    unit = SimpleNamespace(eval_unit=FakeEvaluation(squared), train_progress=SimpleNamespace(num_steps_completed=3))
    callback = train_fairchem.Progress(energy='energy', forces='forces', interval=1, n_updates=9, is_restart=False)
    callback.on_eval_epoch_end(None, unit)
    return Path('log.jsonl').read_text().splitlines()


def test_errors_are_root_mean_squares(monkeypatch, tmp_path):
    (line,) = evaluated(monkeypatch, tmp_path, squared=0.5)
    assert json.loads(line)['energy_rmse'] == json.loads(line)['force_rmse'] == 0.5
    assert (tmp_path / 'checkpoint.pt').exists()


def test_error_that_is_not_finite_ends_the_program_without_a_checkpoint(monkeypatch, tmp_path):
    with pytest.raises(SystemExit) as caught:
        evaluated(monkeypatch, tmp_path, squared=float('nan'))
    assert caught.value.code == train_fairchem.DIVERGED
    assert not (tmp_path / 'checkpoint.pt').exists()
    assert 'NaN' in (tmp_path / 'log.jsonl').read_text()


@pytest.fixture(scope='module')
def parent(tmp_path_factory):
    case, architecture = training_case('esen'), Esen()
    if case.missing:
        pytest.skip(case.missing)
    folder = tmp_path_factory.mktemp('parent')
    job = make_job(case, architecture, gradient_updates=100)
    return case, folder, job, train(architecture, job, folder, str(case.python))


@pytest.mark.slow
def test_fine_tuning_begins_with_the_errors_of_the_parent(parent, tmp_path):
    case, folder, job, trained = parent
    (tmp_path / 'parent').mkdir()
    shutil.copy(folder / trained.model_path, tmp_path / 'parent')
    tuned = replace(job, gradient_updates=10, parent=parent_model(), fine_tuning=FineTuning())
    result = train(Esen(), tuned, tmp_path, str(case.python))
    assert result.outcome is TrainingOutcome.FINISHED, result.message
    first = result.learning_curve
    assert first.validation_force_rmse[0] == pytest.approx(trained.learning_curve.validation_force_rmse[-1], rel=1e-10)
    assert first.validation_energy_rmse[0] == pytest.approx(
        trained.learning_curve.validation_energy_rmse[-1], rel=1e-10
    )
    (tmp_path / 'parent' / 'esen.pt').unlink()
    _, forces = predictions(case, Esen(), tmp_path, result.model_path, job.validation_set)
    rmse = np.sqrt(np.mean((forces - job.validation_set.forces) ** 2))
    assert rmse == pytest.approx(first.validation_force_rmse[-1], rel=1e-5)


@pytest.mark.slow
def test_restart_at_the_target_has_only_the_export_to_do(parent, tmp_path):
    case, folder, job, trained = parent
    for name in trained.checkpoint_files:
        shutil.copy(folder / name, tmp_path)
    result = train(Esen(), replace(job, is_restart=True, gradient_updates_done=100), tmp_path, str(case.python))
    assert result.outcome is TrainingOutcome.FINISHED, result.message
    for name in ('gradient_updates', 'validation_force_rmse', 'training_loss'):
        np.testing.assert_array_equal(getattr(result.learning_curve, name), getattr(trained.learning_curve, name))
    frames = job.validation_set
    _, expected = predictions(case, Esen(), folder, trained.model_path, frames)
    _, forces = predictions(case, Esen(), tmp_path, result.model_path, frames)
    np.testing.assert_array_equal(forces, expected)


@pytest.mark.slow
def test_training_stopped_after_its_last_update_is_evaluated_by_the_restart(parent, tmp_path):
    """The point of the target is missing in the log: the checkpoint knows the losses that it is to report."""
    case, folder, job, trained = parent
    for name in trained.checkpoint_files:
        shutil.copy(folder / name, tmp_path)
    points = (tmp_path / 'log.jsonl').read_text().splitlines()
    (tmp_path / 'log.jsonl').write_text(''.join(f'{line}\n' for line in points[:-2]))
    result = train(Esen(), replace(job, is_restart=True, gradient_updates_done=100), tmp_path, str(case.python))
    assert result.outcome is TrainingOutcome.FINISHED, result.message
    curve = result.learning_curve
    assert curve.gradient_updates.tolist() == trained.learning_curve.gradient_updates.tolist()
    np.testing.assert_allclose(curve.training_loss[-1], trained.learning_curve.training_loss[-1], rtol=1e-12)
    rmse = trained.learning_curve.validation_force_rmse[-1]
    assert curve.validation_force_rmse[-1] == pytest.approx(rmse, rel=1e-6)


@pytest.mark.slow
def test_restart_in_another_directory_goes_on_to_the_target(parent, tmp_path):
    case, folder, job, trained = parent
    whole = trained.learning_curve
    for name in trained.checkpoint_files:
        shutil.copy(folder / name, tmp_path)
    longer = replace(job, gradient_updates=140, is_restart=True, gradient_updates_done=100)
    result = train(Esen(), longer, tmp_path, str(case.python))
    assert result.outcome is TrainingOutcome.FINISHED, result.message
    assert result.gradient_updates_done == 140
    np.testing.assert_array_equal(
        result.learning_curve.validation_force_rmse[: len(whole.gradient_updates)], whole.validation_force_rmse
    )


@pytest.mark.slow
def test_forces_are_the_gradient_of_the_energy(parent):
    case, folder, _, trained = parent
    frames, step = film_frames(1, seed=3), 1e-4
    moved = []
    for sign in (1, -1):
        positions = frames.positions.copy()
        positions[-1, 2] += sign * step
        moved.append(predictions(case, Esen(), folder, trained.model_path, replace(frames, positions=positions))[0][0])
    _, forces = predictions(case, Esen(), folder, trained.model_path, frames)
    # Third derivatives of some 10 eV/Å³ leave an error of 1e-7 eV/Å.
    assert forces[-1, 2] == pytest.approx(-(moved[0] - moved[1]) / (2 * step), abs=1e-6)


@pytest.mark.slow
def test_atoms_feel_each_other_through_layers_and_embedding(parent):
    case, folder, job, trained = parent
    frames = []
    # A chain whose atoms have their next ones alone within the cutoff radius; one atom is moved aside.
    for moved in (None, 4, 5):
        positions = np.outer(np.arange(8), [3.0, 0.0, 0.0])
        if moved is not None:
            positions[moved, 1] += 0.3
        numbers = np.full(8, 8, dtype=np.uint8)
        frames.append(Frame(numbers, positions, np.diag([40.0, 20.0, 20.0]), np.array([False] * 3)))
    _, forces = predictions(case, Esen(), folder, trained.model_path, FrameSet.from_frames(frames))
    base, fourth, fifth = forces.reshape(3, 8, 3)[:, 0]
    # Two atoms feel each other if one atom has both of them within the receptive field, here two steps wide.
    assert Esen().receptive_field(job.hyperparameters) == 8.0
    assert np.abs(fourth - base).max() > 1e-9
    np.testing.assert_allclose(fifth, base, rtol=0, atol=1e-13)


RENAME = """
import sys, torch
from fairchem.core.units.mlip_unit.api.inference import MLIPInferenceCheckpoint
checkpoint = torch.load(sys.argv[1], weights_only=False)
for task in checkpoint.tasks_config:
    task.datasets = sys.argv[3:]
torch.save(checkpoint, sys.argv[2])
"""
"""Program that makes of a checkpoint one whose datasets have other names, as those of published models have."""


def renamed(parent, target: Path, *datasets: str) -> Path:
    """Write the model of the parent as if it had been trained on datasets of these names."""
    case, folder, _, trained = parent
    target.parent.mkdir(exist_ok=True)
    arguments = [str(case.python), '-c', RENAME, str(folder / trained.model_path), str(target), *datasets]
    subprocess.run(arguments, check=True, capture_output=True)
    return target


@pytest.mark.slow
def test_checkpoint_of_another_dataset_runs_and_is_fine_tuned(parent, tmp_path):
    case, folder, job, trained = parent
    foundation = renamed(parent, tmp_path / 'parent' / 'inference_ckpt.pt', 'oc25')
    _, expected = predictions(case, Esen(), folder, trained.model_path, job.validation_set)
    _, forces = predictions(case, Esen(), tmp_path, 'parent/inference_ckpt.pt', job.validation_set)
    np.testing.assert_allclose(forces, expected, rtol=0, atol=1e-12)
    tuned = replace(
        job,
        gradient_updates=5,
        parent=parent_model(path=f'parent/{foundation.name}'),
        fine_tuning=FineTuning(atomic_energies=AtomicEnergyPolicy.PARENT),
    )
    result = train(Esen(), tuned, tmp_path, str(case.python))
    assert result.outcome is TrainingOutcome.FINISHED, result.message
    assert result.learning_curve.validation_force_rmse[0] == pytest.approx(
        trained.learning_curve.validation_force_rmse[-1], rel=1e-10
    )


@pytest.mark.slow
def test_dataset_that_the_parent_does_not_know_is_named(parent, tmp_path):
    case, _, job, _ = parent
    foundation = renamed(parent, tmp_path / 'parent' / 'inference_ckpt.pt', 'oc20', 'oc25')
    tuned = replace(job, parent=parent_model(path=f'parent/{foundation.name}'), fine_tuning=FineTuning())
    result = train(Esen(), tuned, tmp_path, str(case.python))
    assert result.outcome is TrainingOutcome.LOG_INCOMPLETE
    assert (
        "the dataset is named 'esen', the parent knows ['oc20', 'oc25']; set task_name to one of them" in result.message
    )
