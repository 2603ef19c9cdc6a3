"""The toy architecture is trained for real, through the driver, and run as an ASE calculator."""

from __future__ import annotations

import importlib.util
import itertools
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from toy.least_squares import LeastSquares, LeastSquaresHyperparameters
from toy.training import ATOMIC_ENERGIES, ELEMENTS, film_frames, train

from aiida_edl.architectures.base import TrainingJob, TrainingOutcome
from aiida_edl.architectures.precision import Precision


def make_job(**hyperparameters) -> TrainingJob:
    return TrainingJob(
        training_set=film_frames(24, seed=1),
        validation_set=film_frames(6, seed=2),
        elements=ELEMENTS,
        hyperparameters=LeastSquaresHyperparameters(**hyperparameters),
        atomic_energies=ATOMIC_ENERGIES,
        gradient_updates=12,
        seed=3,
    )


def calculator(folder):
    """Import the exported model, which is a module, and return its calculator."""
    spec = importlib.util.spec_from_file_location('exported', folder / 'least_squares_calculator.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.LeastSquaresCalculator()


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('trained')
    return folder, train(LeastSquares(), make_job(), folder)


def test_training_finishes_at_its_target(trained):
    _, result = trained
    assert result.outcome is TrainingOutcome.FINISHED
    assert result.gradient_updates_done == 12
    np.testing.assert_array_equal(result.learning_curve.gradient_updates, np.arange(13))


def test_smooth_pair_potential_is_learnt(trained):
    _, result = trained
    # The labels are a pair potential: twelve radial functions represent it to some meV/Å.
    assert result.learning_curve.validation_force_rmse[-1] < 0.01
    assert result.learning_curve.validation_energy_rmse[-1] < 0.002


def test_error_of_the_log_is_that_of_the_exported_model(trained):
    folder, result = trained
    model, errors = calculator(folder), []
    for frame in make_job().validation_set:
        atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc, calculator=model)
        errors.append(atoms.get_forces() - frame.forces)
    rmse = np.sqrt(np.mean(np.concatenate(errors) ** 2))
    # The log's errors come from the normal equations: squares lose half of the 16 digits.
    assert rmse == pytest.approx(result.learning_curve.validation_force_rmse[-1], rel=1e-4)


def test_forces_are_minus_the_gradient_of_the_energy(trained):
    folder, _ = trained
    frame = film_frames(1, seed=5).frame(0)
    atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc, calculator=calculator(folder))
    forces, step = atoms.get_forces(), 1e-4
    for atom, axis in itertools.product((0, 9, 11), range(3)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            moved.calc = atoms.calc
            energies.append(moved.get_potential_energy())
        # Error of the central difference: third derivative times step squared, 1e2 x 1e-8 eV/Å.
        assert -(energies[0] - energies[1]) / (2 * step) == pytest.approx(forces[atom, axis], abs=1e-5)


def test_element_that_was_never_seen_can_be_run(trained):
    folder, _ = trained
    frame = film_frames(1, seed=5).frame(0)
    atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc, calculator=calculator(folder))
    atoms.symbols[-1] = 'Na'
    assert np.isfinite(atoms.get_forces()).all()


def test_restart_goes_on_to_the_same_model(trained, tmp_path):
    folder, whole = trained
    job = make_job()
    half = train(LeastSquares(), replace(job, gradient_updates=5), tmp_path)
    assert half.gradient_updates_done == 5
    result = train(LeastSquares(), replace(job, is_restart=True), tmp_path)
    assert result.outcome is TrainingOutcome.FINISHED
    np.testing.assert_array_equal(
        result.learning_curve.validation_force_rmse, whole.learning_curve.validation_force_rmse
    )
    name = 'least_squares_calculator.py'
    assert (tmp_path / name).read_text() == (folder / name).read_text()


def test_walltime_leaves_a_checkpoint(tmp_path):
    job = replace(make_job(pause_seconds=0.3), gradient_updates=1000, walltime_seconds=3.0)
    result = train(LeastSquares(), job, tmp_path)
    assert result.outcome is TrainingOutcome.OUT_OF_WALLTIME
    assert result.checkpoint_files == ('checkpoint.npz', 'log.jsonl')
    assert result.model_path is None


def test_rate_above_two_diverges(tmp_path):
    result = train(LeastSquares(), make_job(learning_rate=5.0), tmp_path)
    assert result.outcome is TrainingOutcome.LOSS_DIVERGED


def test_batch_size_does_not_change_the_result(tmp_path):
    job = replace(make_job(), gradient_updates=1)
    errors = []
    for batch_size in (1, 24):
        folder = tmp_path / str(batch_size)
        folder.mkdir()
        result = train(
            LeastSquares(), replace(job, hyperparameters=replace(job.hyperparameters, batch_size=batch_size)), folder
        )
        errors.append(result.learning_curve.validation_force_rmse)
    np.testing.assert_allclose(errors[0], errors[1], rtol=1e-8)


def test_single_precision_rounds_the_coefficients(tmp_path):
    train(LeastSquares(), replace(make_job(), precision=Precision.SINGLE), tmp_path)
    coefficients = calculator(tmp_path).coefficients
    np.testing.assert_array_equal(coefficients, coefficients.astype(np.float32))
