"""The trainers run for real, on small films; an architecture whose environment is not installed is skipped by name."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy.training import ATOMIC_ENERGIES, ELEMENTS, film_frames, train
from toy.training_cases import all_cases

from aiida_edl.architectures.base import Architecture, TrainingJob, TrainingOutcome
from aiida_edl.architectures.precision import Precision
from aiida_edl.drivers import evaluate_model
from aiida_edl.registry import ARCHITECTURES, load_member
from aiida_edl.science.analysis.error_metrics import error_metrics
from aiida_edl.shipped_modules import shipped_modules

pytestmark = pytest.mark.slow

TOY = Path(__file__).parents[1] / 'toy'
"""Folder of the programs that own evaluations need."""


@pytest.fixture(params=all_cases(), ids=lambda case: case.name, scope='module')
def case(request):
    if request.param.missing:
        pytest.skip(request.param.missing)
    return request.param


@pytest.fixture(scope='module')
def architecture(case):
    return load_member(ARCHITECTURES, case.name)


def make_job(case, architecture: Architecture, **changes) -> TrainingJob:
    job = TrainingJob(
        training_set=film_frames(20, seed=1),
        validation_set=film_frames(4, seed=2),
        elements=ELEMENTS,
        hyperparameters=architecture.make_hyperparameters(case.training['hyperparameters']),
        atomic_energies=ATOMIC_ENERGIES,
        gradient_updates=case.training['gradient_updates'],
        seed=11,
        precision=architecture.precisions[-1],
    )
    return replace(job, **changes)


def predictions(
    case, architecture: Architecture, folder: Path, model: str, frames, precision=None, job=None, calculator=None
):
    """Return energies, atomic energies included, and forces of the exported model, by the driver of all evaluations.

    ``calculator`` is what differs from the usual recipe.
    """
    (target := folder / 'evaluation').mkdir(exist_ok=True)
    if not (target / architecture.model_file_name).exists():
        (target / architecture.model_file_name).symlink_to((folder / model).resolve())
    column = architecture.total_charge_column((job or make_job(case, architecture)).hyperparameters)
    recipe = architecture.bindings['ase'].recipe(
        architecture.model_file_name, 'cpu', precision or architecture.precisions[-1], ELEMENTS, column is not None
    )
    columns = {} if column is None else {'total_charge': frames.columns[column]}
    replace(frames.without_labels(), columns=columns).to_npz(target / 'frames.npz')
    document = {
        'recipe': {**recipe, **(calculator or {})},
        'frames': 'frames.npz',
        'predictions': 'predictions.npz',
        'energy_shifts': {} if architecture.embeds_atomic_energies else ATOMIC_ENERGIES,
        'walltime_seconds': None,
    }
    (target / 'evaluate.json').write_text(json.dumps(document))
    shutil.copy(evaluate_model.__file__, target)
    copy_program(case, target)
    write_files(target, shipped_modules(architecture.bindings['ase'].modules))
    for left in ('predictions.npz', 'predictions_partial.npz'):
        (target / left).unlink(missing_ok=True)
    arguments = [str(case.python), 'evaluate_model.py', 'evaluate.json']
    done = subprocess.run(
        arguments, cwd=target, check=False, env={**os.environ, 'OMP_NUM_THREADS': '1'}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with np.load(target / 'predictions.npz') as stored:
        assert stored['converged'].all(), (target / 'failures.json').read_text()
        return stored['energies'], stored['forces']


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files that travel with a job."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def copy_program(case, folder: Path) -> None:
    """Copy the program of the own evaluation into a folder, if it has one."""
    if 'program' in case.own_evaluation:
        shutil.copy(TOY / case.own_evaluation['program'], folder)


@pytest.fixture(scope='module')
def trained(case, architecture, tmp_path_factory):
    folder = tmp_path_factory.mktemp(architecture.name)
    return folder, train(architecture, make_job(case, architecture), folder, str(case.python))


def test_training_finishes_at_its_target(case, trained):
    _, result = trained
    assert result.outcome is TrainingOutcome.FINISHED, result.message
    assert result.gradient_updates_done >= case.training['gradient_updates']


def test_errors_fall(trained):
    _, result = trained
    forces = result.learning_curve.validation_force_rmse
    assert forces[-1] < 0.5 * forces[0]


def test_exported_model_has_the_error_of_the_log(case, architecture, trained):
    folder, result = trained
    frames = make_job(case, architecture).validation_set
    energies, forces = predictions(case, architecture, folder, result.model_path, frames)
    n_atoms = np.diff(frames.offsets)
    force_rmse = np.sqrt(np.mean((forces - frames.forces) ** 2))
    energy_rmse = np.sqrt(np.mean(((energies - frames.energies) / n_atoms) ** 2))
    tolerance = case.training.get('rmse_tolerance', 1e-5)
    assert force_rmse == pytest.approx(result.learning_curve.validation_force_rmse[-1], rel=tolerance)
    assert energy_rmse == pytest.approx(result.learning_curve.validation_energy_rmse[-1], rel=tolerance)


def own_errors(case, folder: Path) -> dict[str, float]:
    """Return the errors of the exported model on the validation set as the trainer's own program states them."""
    own = case.own_evaluation
    copy_program(case, folder)
    if 'arguments' in own:
        environment = {**os.environ, 'OMP_NUM_THREADS': '1', **own.get('environment', {})}
        with (folder / own['output']).open('wb') as output:
            subprocess.run(
                [str(case.python), *own['arguments']],
                cwd=folder,
                check=True,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
    (path,) = folder.glob(own['output'])
    text = path.read_text()
    factor = own.get('factor', 1.0)
    return {name: factor * float(re.findall(own[name], text)[-1]) for name in ('energy_rmse', 'force_rmse')}


def assert_trainer_states_the_same_errors(case, architecture: Architecture, folder: Path, model: str) -> None:
    """Compare the errors on the validation set by the driver of all evaluations with those the trainer states."""
    frames = make_job(case, architecture).validation_set
    calculator = case.own_evaluation.get('calculator')
    energies, forces = predictions(case, architecture, folder, model, frames, calculator=calculator)
    errors = error_metrics(frames, energies, forces).row()
    own = own_errors(case, folder)
    # The programs print no more than seven digits, and sum in another order.
    assert errors.force_rmse_ev_per_angstrom == pytest.approx(own['force_rmse'], rel=1e-5)
    assert errors.energy_rmse_ev_per_atom == pytest.approx(own['energy_rmse'], rel=1e-5)


def test_trainer_states_the_same_errors_as_the_driver(case, architecture, trained):
    if 'output' not in case.own_evaluation:
        pytest.skip(f'{case.name} is not compared: its trainer has no evaluation of its own')
    folder, result = trained
    assert_trainer_states_the_same_errors(case, architecture, folder, result.model_path)


def test_elements_may_be_listed_in_any_order(case, architecture, tmp_path):
    """Trainer and calculator number the species alike, whatever the order in which the model is told them."""
    if 'output' not in case.own_evaluation:
        pytest.skip(f'{case.name} is not compared: its trainer has no evaluation of its own')
    job = make_job(case, architecture, elements=('Na', 'H', 'Au', 'O'), gradient_updates=20)
    result = train(architecture, job, tmp_path, str(case.python))
    assert result.outcome is TrainingOutcome.FINISHED, result.message
    assert_trainer_states_the_same_errors(case, architecture, tmp_path, result.model_path)


def test_atoms_may_be_listed_in_any_order(case, architecture, trained):
    folder, result = trained
    frames = film_frames(1, seed=9)
    order = np.random.default_rng(4).permutation(len(frames.numbers))
    permuted = replace(frames, numbers=frames.numbers[order], positions=frames.positions[order])
    (energy, forces), (other_energy, other_forces) = (
        predictions(case, architecture, folder, result.model_path, item) for item in (frames, permuted)
    )
    tolerance = rounding(architecture)
    np.testing.assert_allclose(other_energy, energy, atol=tolerance)
    np.testing.assert_allclose(other_forces, forces[order], atol=tolerance)


def rounding(architecture: Architecture) -> float:
    """Return by how much energies [eV] and forces [eV/Å] may differ for the rounding of sums of a hundred terms."""
    return 1e-8 if architecture.precisions[-1] is Precision.DOUBLE else 1e-4


def test_element_absent_from_training_can_be_run(case, architecture, trained):
    folder, result = trained
    frames = film_frames(1, seed=9)
    numbers = frames.numbers.copy()
    numbers[-1] = 11
    energies, forces = predictions(case, architecture, folder, result.model_path, replace(frames, numbers=numbers))
    assert np.isfinite(energies).all()
    assert np.isfinite(forces).all()


def test_film_may_lie_anywhere_along_the_open_axis(case, architecture, trained):
    folder, result = trained
    frames = film_frames(1, seed=9)
    shifted = replace(frames, positions=frames.positions + np.array([0.0, 0.0, 3.0]))
    (energy, forces), (other_energy, other_forces) = (
        predictions(case, architecture, folder, result.model_path, item) for item in (frames, shifted)
    )
    tolerance = rounding(architecture)
    np.testing.assert_allclose(other_energy, energy, atol=tolerance)
    np.testing.assert_allclose(other_forces, forces, atol=tolerance)


def test_binding_states_whether_the_calculator_sees_images_across_an_open_boundary(case, architecture, trained):
    """The gap is thinner than the cutoff radius: atoms on both sides of it act on each other, or do not."""
    folder, result = trained
    film = film_frames(1, seed=9)
    cell = film.cells.copy()
    cell[0, 2, 2] = np.ptp(film.positions[:, 2]) + 2.5
    thin = replace(film, cells=cell)
    periodic = replace(thin, pbc=np.ones((1, 3), dtype=bool))
    (energy, forces), (other_energy, other_forces) = (
        predictions(case, architecture, folder, result.model_path, item) for item in (thin, periodic)
    )
    tolerance = rounding(architecture)
    are_alike = np.allclose(other_energy, energy, atol=tolerance) and np.allclose(other_forces, forces, atol=tolerance)
    assert are_alike is architecture.bindings['ase'].is_fully_periodic


def test_same_seed_gives_the_same_model(case, architecture, trained, tmp_path):
    _, first = trained
    second = train(architecture, make_job(case, architecture), tmp_path, str(case.python))
    for name in ('validation_energy_rmse', 'validation_force_rmse', 'training_loss'):
        np.testing.assert_array_equal(getattr(second.learning_curve, name), getattr(first.learning_curve, name))


def test_restart_reaches_the_target(case, architecture, tmp_path):
    long_job = make_job(case, architecture, gradient_updates=100_000)
    long_job = replace(long_job, hyperparameters=replace(long_job.hyperparameters, n_evaluations=2000))
    limited = replace(long_job, walltime_seconds=case.training.get('walltime_seconds', 45.0))
    stopped = train(architecture, limited, tmp_path, str(case.python))
    assert stopped.outcome is TrainingOutcome.OUT_OF_WALLTIME, stopped.message
    assert stopped.checkpoint_files
    # The same target would take an hour: one a little beyond what is done stands for it.
    target = stopped.gradient_updates_done + 100
    restarted = replace(
        long_job,
        gradient_updates=target,
        is_restart=True,
        gradient_updates_done=stopped.gradient_updates_done,
        checkpoint_files=stopped.checkpoint_files,
    )
    result = train(architecture, restarted, tmp_path, str(case.python))
    assert result.outcome is TrainingOutcome.FINISHED, result.message
    assert result.gradient_updates_done >= target
    assert np.all(np.diff(result.learning_curve.gradient_updates) > 0)
    # A trainer that takes no error before the first update begins after the first epoch.
    assert result.learning_curve.gradient_updates[0] <= len(restarted.training_set)


def test_single_precision_trains(case, architecture, tmp_path):
    job = make_job(case, architecture, precision=Precision.SINGLE, gradient_updates=20)
    result = train(architecture, job, tmp_path, str(case.python))
    assert result.outcome is TrainingOutcome.FINISHED
    _, forces = predictions(case, architecture, tmp_path, result.model_path, job.validation_set, Precision.SINGLE)
    assert np.isfinite(forces).all()


def test_missing_gpu_is_said_before_anything_is_trained(case, architecture, tmp_path, monkeypatch):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    job = replace(make_job(case, architecture), device='cuda')
    result = train(architecture, job, tmp_path, str(case.python))
    assert result.outcome is TrainingOutcome.DEVICE_MISSING, result.message
    assert "device is 'cuda', but neither PyTorch nor TensorFlow of this environment finds a GPU" in result.message
    assert (result.learning_curve, result.checkpoint_files) == (None, ())
