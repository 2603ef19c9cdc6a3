"""The trainer of MACE with electrostatics on electrodes of LAMMPS: restarts, and what it exports."""

from __future__ import annotations

import json
import signal
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('numba')
with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # e3nn and mace-torch warn of each other
    pytest.importorskip('mace.modules')

import torch
from ase import Atoms

from aiida_edl.architectures.base import TrainingJob, TrainingOutcome
from aiida_edl.architectures.electrostatic_mace import ElectrostaticMace
from aiida_edl.drivers import train_electrostatic_mace as driver
from aiida_edl.science.electrostatics.charge_models import training_loop
from aiida_edl.science.electrostatics.charge_models.electrostatic_calculator import ElectrostaticMaceCalculator
from aiida_edl.science.electrostatics.charge_models.electrostatic_settings import RUNGS
from aiida_edl.science.frames import FrameSet

pytestmark = pytest.mark.filterwarnings('ignore')  # of e3nn and mace-torch, while models are made
CONVERGED = Path(__file__).parents[1] / 'fixtures' / 'single_point' / 'electrode_converged' / 'labels.npz'
ARCHITECTURE = ElectrostaticMace()
SETTINGS, MODEL = 'electrostatic_mace.json', 'electrostatic_mace.pt'
SMALL = {
    'cutoff_radius': 3.0,
    'n_channels': 4,
    'max_l': 0,
    'max_ell': 1,
    'correlation': 2,
    'radial_network': [8],
    'batch_size': 2,
    'n_evaluations': 3,
    'formal_charges': [0.4, -0.8, 1.0, 0.0],
    'balanced_by': 'Au',
}


def job_of(updates, **changes):
    """Return a training on four frames with none, one and two ions; energies per atom lie around zero."""
    frames = FrameSet.from_npz(CONVERGED)
    moments = np.add.reduceat(frames.charges * frames.positions[:, 2], frames.offsets[:-1])
    frames = frames.with_columns(dipole_z=moments, potential=-1.0 - 6.0 * np.arange(len(frames)))
    sets = [FrameSet.from_frames([frames.frame(i) for i in chosen]) for chosen in ((0, 2, 4, 5), (1, 3))]
    mean = float(np.sum(sets[0].energies) / len(sets[0].numbers))
    return TrainingJob(
        training_set=sets[0],
        validation_set=sets[1],
        elements=('H', 'O', 'Na', 'Au'),
        hyperparameters=ARCHITECTURE.make_hyperparameters({**SMALL, **changes}),
        atomic_energies=dict.fromkeys(('H', 'O', 'Na', 'Au'), mean),
        gradient_updates=updates,
        seed=5,
    )


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Return a function that trains in a folder and returns what is read there, and a calculator of the model."""
    monkeypatch.chdir(tmp_path)
    default = torch.get_default_dtype()

    def run(job):
        for name, content in ARCHITECTURE.training_files(job).items():
            if not name.endswith('.py'):
                Path(name).write_bytes(content)
        assert driver.main(['train', SETTINGS]) == 0
        assert driver.main(['export', SETTINGS, MODEL]) == 0
        Path('run_commands.json').write_text(json.dumps({'commands': []}))
        result = ARCHITECTURE.read_training(tmp_path)
        assert result.outcome is TrainingOutcome.FINISHED, result.message
        return result, ElectrostaticMaceCalculator(MODEL)

    yield run
    training_loop.received_signals.clear()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_default_dtype(default)


def force_error(calculator, frame):
    """Return the root mean square error of force components [eV/Å]."""
    atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc, calculator=calculator)
    return np.sqrt(np.mean((atoms.get_forces() - frame.forces) ** 2))


@pytest.mark.parametrize('rung', RUNGS)
def test_every_rung_trains_and_its_model_is_what_was_validated(train, rung):
    job = job_of(6, electrostatics=rung)
    result, calculator = train(job)
    curve = result.learning_curve
    assert curve.gradient_updates.tolist() == [0, 2, 4, 6]
    validation = [force_error(calculator, frame) for frame in job.validation_set]
    counts = np.diff(job.validation_set.offsets)
    expected = np.sqrt(np.sum(np.square(validation) * counts) / counts.sum())
    assert curve.validation_force_rmse[-1] == pytest.approx(expected, rel=1e-6)


def test_energies_are_right_on_the_average_before_the_training(train):
    job = job_of(1, electrostatics='qeq', learning_rate=1e-9)
    result, _ = train(job)
    spread = np.std(job.training_set.energies / np.diff(job.training_set.offsets))
    assert result.learning_curve.validation_energy_rmse[-1] < 5.0 * spread + 0.1


def test_charges_are_learnt_from_labels(train):
    train(job_of(100, electrostatics='qeq', charge_weight=1000.0, learning_rate=0.1))
    points = [json.loads(line) for line in Path('log.jsonl').read_text().splitlines()[:-1]]
    assert points[-1]['charge_rmse'] < 0.5 * points[0]['charge_rmse']


@pytest.mark.parametrize('rung', ['qeq', 'scf', 'functional'])
def test_errors_of_dipoles_and_potentials_are_those_of_the_model(train, rung):
    weights = {'dipole_weight': 1.0, 'potential_weight': 0.01, 'potential_column': 'potential'}
    job = job_of(3, electrostatics=rung, **weights)
    _, calculator = train(job)
    dipoles, potentials = [], []
    for frame in job.validation_set:
        atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc, calculator=calculator)
        dipoles.append((atoms.get_dipole_moment()[2] - frame.columns['dipole_z']) / len(atoms))
        potentials.append(calculator.results['potential'] - frame.columns['potential'])
    last = json.loads(Path('log.jsonl').read_text().splitlines()[-2])
    assert last['dipole_rmse'] == pytest.approx(np.sqrt(np.mean(np.square(dipoles))), rel=1e-5)
    assert last['potential_rmse'] == pytest.approx(np.sqrt(np.mean(np.square(potentials))), rel=1e-5)


def test_a_training_that_is_stopped_goes_on_as_if_it_had_not_been(train, monkeypatch):
    job = job_of(12, electrostatics='scf', batch_size=1)
    whole, _ = train(job)
    weights = torch.load('checkpoint.pt', weights_only=True)
    write = driver.Training.update

    def update(training):
        write(training)
        if training.updates == 6:
            training_loop.remember_signal(signal.SIGTERM, None)

    monkeypatch.setattr(driver.Training, 'update', update)
    assert driver.main(['train', SETTINGS]) == training_loop.STOPPED
    assert json.loads(Path('log.jsonl').read_text().splitlines()[-1]) == {'stopped': 6}
    monkeypatch.setattr(driver.Training, 'update', write)
    training_loop.received_signals.clear()
    document = json.loads(Path(SETTINGS).read_text())
    document['training']['is_restart'] = True
    Path(SETTINGS).write_text(json.dumps(document))
    assert driver.main(['train', SETTINGS]) == 0
    again = ARCHITECTURE.read_training(Path())
    np.testing.assert_allclose(
        again.learning_curve.validation_force_rmse, whole.learning_curve.validation_force_rmse, rtol=1e-10
    )
    for name, value in torch.load('checkpoint.pt', weights_only=True)['model'].items():
        torch.testing.assert_close(value, weights['model'][name], rtol=1e-9, atol=1e-12)


def test_calculator_has_charges_dipole_and_potential(train):
    _, calculator = train(job_of(2, electrostatics='qeq'))
    frame = FrameSet.from_npz(CONVERGED).frame(4)
    atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc, calculator=calculator)
    charges = atoms.get_charges()
    np.testing.assert_allclose(atoms.get_dipole_moment(), charges @ atoms.positions, atol=1e-12)
    atoms.pbc = True
    charges, potential = atoms.get_charges(), calculator.results['potential']
    atoms.info['potential'] = potential
    np.testing.assert_allclose(atoms.get_charges(), charges, atol=1e-9)
    atoms.info['potential'] = potential + 1.0  # is noticed, though no atom has moved
    assert atoms.get_charges().sum() > charges.sum() + 1e-3


def test_weights_are_loaded_as_they_were_trained(train):
    torch.set_default_dtype(torch.float32)  # as in the program of a run
    _, calculator = train(job_of(1, electrostatics='qeq'))
    saved = torch.load(MODEL, weights_only=True)['weights']
    for name, value in calculator.model.state_dict().items():
        torch.testing.assert_close(value, saved[name], rtol=0.0, atol=0.0)


def test_stress_of_the_calculator_is_the_derivative_by_strain(train):
    _, calculator = train(job_of(2, electrostatics='functional'))
    frame = FrameSet.from_npz(CONVERGED).frame(2)
    atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=True, calculator=calculator)
    stress, step = atoms.get_stress(voigt=False), 1e-4
    for row, column in ((0, 0), (2, 2), (0, 1)):
        energies = []
        for sign in (-1, 1):
            strain = np.eye(3)
            strain[row, column] += sign * step
            moved = Atoms(
                frame.numbers, frame.positions @ strain, cell=frame.cell @ strain, pbc=True, calculator=calculator
            )
            energies.append(moved.get_potential_energy())
        slope = (energies[1] - energies[0]) / (2.0 * step * atoms.get_volume())
        assert stress[row, column] == pytest.approx(slope, abs=2e-5)
