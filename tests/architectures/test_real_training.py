"""The trainers run for real, on small films; needs the environment with the engines.

Its interpreter is named by ``AIIDA_EDL_ENGINE_PYTHON``; by default it is looked for in ``.environments/engines``.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy.training import ATOMIC_ENERGIES, ELEMENTS, film_frames, train

from aiida_edl.architectures.base import Architecture, TrainingJob, TrainingOutcome
from aiida_edl.architectures.deep_potential import DeepPotential
from aiida_edl.architectures.deep_potential_mp import DeepPotentialMp
from aiida_edl.architectures.mace import Mace
from aiida_edl.architectures.precision import Precision

pytestmark = pytest.mark.slow

ENGINES = Path(__file__).parents[2] / '.environments' / 'engines' / 'bin' / 'python'
PYTHON = os.environ.get('AIIDA_EDL_ENGINE_PYTHON', str(ENGINES))
SMALL = {
    'mace': {'cutoff_radius': 4.0, 'n_channels': 8, 'max_l': 0, 'max_ell': 1, 'correlation': 2, 'n_interactions': 1,
             'radial_network': [16], 'batch_size': 1, 'learning_rate': 0.02, 'n_evaluations': 5},
    'deep_potential': {'cutoff_radius': 4.0, 'embedding_network': [8, 16], 'n_axis_neurons': 4,
                       'fitting_network': [16, 16], 'learning_rate': 0.02, 'learning_rate_ratio': 0.05,
                       'final_force_prefactor': 100.0, 'n_evaluations': 5},
    'deep_potential_mp': {'cutoff_radius': 4.0, 'smoothing_radius': 3.5, 'angle_cutoff_radius': 3.5,
                          'angle_smoothing_radius': 3.0, 'n_interactions': 2, 'node_width': 16, 'edge_width': 8,
                          'angle_width': 4, 'n_axis_neurons': 4, 'fitting_network': [16, 16], 'learning_rate': 0.01,
                          'learning_rate_ratio': 0.05, 'n_evaluations': 5},
}  # fmt: skip
UPDATES = {'mace': 200, 'deep_potential': 400, 'deep_potential_mp': 200}
EVALUATE = """
import importlib, json, os, sys
import numpy as np
recipe, source, target = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
os.environ.update(recipe['environment'])
from ase import Atoms
calculator = getattr(importlib.import_module(recipe['module']), recipe['attribute'])(**recipe['keyword_arguments'])
data = np.load(source)
energies, forces = [], []
for i, (a, b) in enumerate(zip(data['offsets'], data['offsets'][1:])):
    atoms = Atoms(data['numbers'][a:b], data['positions'][a:b], cell=data['cells'][i], pbc=data['pbc'][i])
    atoms.calc = calculator
    energies.append(atoms.get_potential_energy()); forces.append(atoms.get_forces())
np.savez(target, energies=energies, forces=np.concatenate(forces))
"""


@pytest.fixture(params=[Mace, DeepPotential, DeepPotentialMp], ids=lambda cls: cls.name, scope='module')
def architecture(request):
    return request.param()


def make_job(architecture: Architecture, **changes) -> TrainingJob:
    job = TrainingJob(
        training_set=film_frames(20, seed=1),
        validation_set=film_frames(4, seed=2),
        elements=ELEMENTS,
        hyperparameters=architecture.make_hyperparameters(SMALL[architecture.name]),
        atomic_energies=ATOMIC_ENERGIES,
        gradient_updates=UPDATES[architecture.name],
        seed=11,
    )
    return replace(job, **changes)


def predictions(architecture: Architecture, folder: Path, frames, precision=Precision.DOUBLE):
    """Return energies, atomic energies included, and forces of the exported model."""
    recipe = architecture.bindings['ase'].recipe(architecture.model_file_name, 'cpu', precision)
    frames.without_labels().to_npz(folder / 'frames.npz')
    arguments = [PYTHON, '-c', EVALUATE, json.dumps(recipe), 'frames.npz', 'predictions.npz']
    subprocess.run(arguments, cwd=folder, check=True, env={**os.environ, 'OMP_NUM_THREADS': '1'}, capture_output=True)
    with np.load(folder / 'predictions.npz') as stored:
        energies, forces = stored['energies'], stored['forces']
    if not architecture.embeds_atomic_energies:
        energies = energies + [sum(ATOMIC_ENERGIES[ELEMENTS[n]] for n in row) for row in element_indices(frames)]
    return energies, forces


def element_indices(frames):
    index = {1: 0, 8: 1, 11: 2, 79: 3}
    return [[index[int(number)] for number in frame.numbers] for frame in frames]


@pytest.fixture(scope='module')
def trained(architecture, tmp_path_factory):
    folder = tmp_path_factory.mktemp(architecture.name)
    return folder, train(architecture, make_job(architecture), folder, PYTHON)


def test_training_finishes_at_its_target(architecture, trained):
    _, result = trained
    assert result.outcome is TrainingOutcome.FINISHED, result.message
    assert result.gradient_updates_done == UPDATES[architecture.name]


def test_errors_fall(trained):
    _, result = trained
    forces = result.learning_curve.validation_force_rmse
    assert forces[-1] < 0.5 * forces[0]


def test_exported_model_has_the_error_of_the_log(architecture, trained):
    folder, result = trained
    frames = make_job(architecture).validation_set
    energies, forces = predictions(architecture, folder, frames)
    n_atoms = np.diff(frames.offsets)
    force_rmse = np.sqrt(np.mean((forces - frames.forces) ** 2))
    energy_rmse = np.sqrt(np.mean(((energies - frames.energies) / n_atoms) ** 2))
    # DeePMD-kit validates on frames drawn with repetition: of four frames, some are missed.
    tolerance = 1e-5 if architecture.name == 'mace' else 0.5
    assert force_rmse == pytest.approx(result.learning_curve.validation_force_rmse[-1], rel=tolerance)
    assert energy_rmse == pytest.approx(result.learning_curve.validation_energy_rmse[-1], rel=2 * tolerance, abs=2e-3)


def test_element_absent_from_training_can_be_run(architecture, trained):
    folder, _ = trained
    frames = film_frames(1, seed=9)
    numbers = frames.numbers.copy()
    numbers[-1] = 11
    energies, forces = predictions(architecture, folder, replace(frames, numbers=numbers))
    assert np.isfinite(energies).all()
    assert np.isfinite(forces).all()


def test_film_may_lie_anywhere_along_the_open_axis(architecture, trained):
    folder, _ = trained
    frames = film_frames(1, seed=9)
    shifted = replace(frames, positions=frames.positions + np.array([0.0, 0.0, 3.0]))
    (energy, forces), (other_energy, other_forces) = (
        predictions(architecture, folder, item) for item in (frames, shifted)
    )
    # Rounding of sums of a hundred terms in double precision.
    np.testing.assert_allclose(other_energy, energy, atol=1e-8)
    np.testing.assert_allclose(other_forces, forces, atol=1e-8)


def test_same_seed_gives_the_same_model(architecture, trained, tmp_path):
    _, first = trained
    second = train(architecture, make_job(architecture), tmp_path, PYTHON)
    for name in ('validation_energy_rmse', 'validation_force_rmse', 'training_loss'):
        np.testing.assert_array_equal(getattr(second.learning_curve, name), getattr(first.learning_curve, name))


def test_restart_reaches_the_target(architecture, tmp_path):
    long_job = make_job(architecture, gradient_updates=100_000)
    long_job = replace(long_job, hyperparameters=replace(long_job.hyperparameters, n_evaluations=2000))
    stopped = train(architecture, replace(long_job, walltime_seconds=45.0), tmp_path, PYTHON)
    assert stopped.outcome is TrainingOutcome.OUT_OF_WALLTIME, stopped.message
    assert stopped.checkpoint_files
    # The same target would take an hour: one a little beyond what is done stands for it.
    target = stopped.gradient_updates_done + 100
    result = train(architecture, replace(long_job, gradient_updates=target, is_restart=True), tmp_path, PYTHON)
    assert result.outcome is TrainingOutcome.FINISHED, result.message
    assert result.gradient_updates_done >= target
    assert np.all(np.diff(result.learning_curve.gradient_updates) > 0)
    assert result.learning_curve.gradient_updates[0] <= 1


def test_single_precision_trains(architecture, tmp_path):
    job = make_job(architecture, precision=Precision.SINGLE, gradient_updates=20)
    assert train(architecture, job, tmp_path, PYTHON).outcome is TrainingOutcome.FINISHED
    frames = job.validation_set
    _, forces = predictions(architecture, tmp_path, frames, Precision.SINGLE)
    assert np.isfinite(forces).all()
