"""Learning charges from energies and forces: known ones are found, and what lies beyond the cutoff is learnt by them.

Trained in this process, by the files that a job gets.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('torchpme')
pytest.importorskip('numba')

import torch
from ase import Atoms
from electrostatics_cases import salt
from scipy.spatial.transform import Rotation

from aiida_edl.architectures.base import TrainingJob, TrainingOutcome
from aiida_edl.architectures.local_charge import LocalCharge
from aiida_edl.drivers import train_local_charge as driver
from aiida_edl.science.electrostatics.charge_models import training_loop
from aiida_edl.science.electrostatics.charge_models.ase_calculator import LocalChargeCalculator
from aiida_edl.science.electrostatics.charged_system import ChargedSystem
from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.converged_sum import converged_settings
from aiida_edl.science.electrostatics.summation_settings import SummationSettings
from aiida_edl.science.frames import Frame, FrameSet

CHARGE = 0.8
"""Charge of the ions, which is not that of any beginning [e]."""
SMALL = {'max_radial': 4, 'max_angular': 2, 'hidden_layers': [16, 16], 'learning_rate': 0.02, 'n_evaluations': 2}
ARCHITECTURE = LocalCharge()


def crystals(count, seed):
    """Return displaced NaCl of various densities, labelled by point charges alone."""
    generator, frames = np.random.default_rng(seed), []
    for _ in range(count):
        perfect = salt('nacl_cubic', (1, 1, 1), 2.8 * generator.uniform(0.98, 1.02), amplitude=0.0)
        positions = perfect.positions + generator.normal(scale=0.15, size=perfect.positions.shape)
        system = ChargedSystem(positions, perfect.cell, CHARGE * perfect.charges, perfect.pbc)
        found = CompiledSummation(converged_settings(system, 1e-6))(system)
        numbers = np.where(system.charges > 0.0, 11, 17).astype(np.uint8)
        frames.append(Frame(numbers, positions, system.cell, system.pbc, found.energy, found.forces))
    return FrameSet.from_frames(frames)


BOND, STIFFNESS = 1.5, 5.0
"""Length [Å] and force constant [eV/Å²] of the bonds of :func:`ions_with_partners`."""


def ions_with_partners(count, seed):
    """Return clusters of two Li and two Cl, more than 4 Å apart, with a neutral Ne at a spring on each.

    Atoms of different springs are beyond the cutoff of 3 Å, or almost: what a short-range model can learn are the
    springs.
    """
    generator, frames = np.random.default_rng(seed), []
    corners = 1.9 * np.array([[1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])
    numbers = np.array([3, 3, 17, 17, 10, 10, 10, 10], dtype=np.uint8)
    charges = CHARGE * np.array([1.0, 1.0, -1.0, -1.0, 0.0, 0.0, 0.0, 0.0])
    sum_of_pairs = CompiledSummation(SummationSettings('direct'))
    cell, pbc = np.zeros((3, 3)), np.zeros(3, dtype=bool)
    for _ in range(count):
        ions = corners + generator.normal(scale=0.3, size=(4, 3))
        directions = Rotation.random(4, random_state=generator).apply([1.0, 0.0, 0.0])
        lengths = generator.normal(BOND, 0.05, size=(4, 1))
        positions = np.concatenate([ions, ions + lengths * directions])
        found = sum_of_pairs(ChargedSystem(positions, cell, charges, pbc))
        pull = STIFFNESS * (lengths - BOND) * directions
        energy = found.energy + 0.5 * STIFFNESS * float(np.sum((lengths - BOND) ** 2))
        frames.append(Frame(numbers, positions, cell, pbc, energy, found.forces + np.concatenate([pull, -pull])))
    return FrameSet.from_frames(frames)


def job_of(sets, elements, updates, **changes):
    """Return a training of a small model; energies per atom lie around zero."""
    mean = float(np.sum(sets[0].energies) / len(sets[0].numbers))
    return TrainingJob(
        training_set=sets[0],
        validation_set=sets[1],
        elements=elements,
        hyperparameters=ARCHITECTURE.make_hyperparameters({**SMALL, **changes}),
        atomic_energies=dict.fromkeys(elements, mean),
        gradient_updates=updates,
        seed=5,
    )


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Return a function that trains in a folder and returns what is read there, and a calculator of the model."""
    monkeypatch.chdir(tmp_path)

    def run(job):
        for name, content in ARCHITECTURE.training_files(job).items():
            if not name.endswith('.py'):
                Path(name).write_bytes(content)
        assert driver.main(['train', 'local_charge.json']) == 0
        assert driver.main(['export', 'local_charge.json', 'local_charge.pt']) == 0
        done = json.dumps({'commands': []})
        Path('run_commands.json').write_text(done)
        result = ARCHITECTURE.read_training(tmp_path)
        assert result.outcome is TrainingOutcome.FINISHED, result.message
        return result, LocalChargeCalculator('local_charge.pt')

    return run


def charges_of(calculator, frame):
    atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc, calculator=calculator)
    return calculator.get_charges(atoms)


def test_charges_of_a_salt_are_found(train):
    """Forces alone: errors of eV per atom at the beginning slow AdamW down for a thousand updates."""
    sets = crystals(12, seed=1), crystals(3, seed=2)
    choice = {'charges': 'species', 'smearing': 0.6, 'resolution': 0.7, 'excludes_neighbours': False}
    job = job_of(sets, ('Na', 'Cl'), 150, batch_size=2, energy_weight=0.0, **choice)
    result, calculator = train(job)
    frame = sets[1].frame(0)
    expected = np.where(frame.numbers == 11, CHARGE, -CHARGE)
    np.testing.assert_allclose(charges_of(calculator, frame), expected, atol=1e-2)
    assert result.learning_curve.validation_force_rmse[-1] < 0.05 * np.sqrt(np.mean(sets[1].forces ** 2))


def test_charges_explain_what_lies_beyond_the_cutoff(train):
    sets = ions_with_partners(16, seed=1), ions_with_partners(6, seed=2)
    errors, charges = {}, {}
    for kind in ('none', 'species', 'predicted'):
        result, calculator = train(job_of(sets, ('Li', 'Ne', 'Cl'), 200, charges=kind))
        errors[kind] = result.learning_curve.validation_force_rmse[-1]
        charges[kind] = charges_of(calculator, sets[1].frame(0))
    # a short-range model is left with the forces between the ions; measured were 0.209, 0.010 and 0.018 eV/Å
    assert errors['species'] < 0.1 * errors['none']
    assert errors['predicted'] < 0.2 * errors['none']
    expected = CHARGE * np.array([1.0, 1.0, -1.0, -1.0, 0.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(charges['species'], expected, atol=1e-2)
    np.testing.assert_allclose(charges['predicted'], expected, atol=5e-2)
    np.testing.assert_array_equal(charges['none'], 0.0)


SHORT = {'charges': 'species', 'hidden_layers': [4], 'max_radial': 2, 'max_angular': 1}


@pytest.mark.parametrize('charges', ['species', 'predicted'])
def test_the_first_element_is_positive_where_the_sign_is_a_convention(train, charges):
    sets = ions_with_partners(4, seed=1), ions_with_partners(1, seed=2)
    job = job_of(sets, ('Li', 'Ne', 'Cl'), 2, **{**SHORT, 'charges': charges}, first_charges=[-0.5, 0.1, 0.5])
    _, calculator = train(job)
    assert charges_of(calculator, sets[1].frame(0))[0] > 0.4


def test_the_sign_is_a_result_where_a_frame_is_charged(train):
    sets = [frames.with_columns(net=0.5) for frames in (ions_with_partners(4, seed=1), ions_with_partners(1, seed=2))]
    job = job_of(sets, ('Li', 'Ne', 'Cl'), 2, **SHORT, first_charges=[-0.5, 0.1, 0.5], charge_column='net')
    _, calculator = train(job)
    frame = sets[1].frame(0)
    atoms = Atoms(frame.numbers, frame.positions, info={'charge': 0.5}, calculator=calculator)
    found = calculator.get_charges(atoms)
    assert found[0] < 0.0
    assert found.sum() == pytest.approx(0.5, abs=1e-12)


def test_a_loss_pulls_charges_to_the_total_charge(train):
    sets = [frames.with_columns(net=1.0) for frames in (ions_with_partners(4, seed=1), ions_with_partners(1, seed=2))]
    nets = []
    for updates in (1, 60):
        choice = {**SHORT, 'neutrality': 'loss', 'charge_weight': 10.0, 'charge_column': 'net'}
        _, calculator = train(job_of(sets, ('Li', 'Ne', 'Cl'), updates, **choice, schedule='constant'))
        nets.append(charges_of(calculator, sets[1].frame(0)).sum())
    assert abs(nets[1] - 1.0) < 0.2 * abs(nets[0] - 1.0)


def test_smearing_and_weights_are_learnt(train):
    sets = ions_with_partners(4, seed=1), ions_with_partners(1, seed=2)
    choice = {**SHORT, 'learns_smearing': True, 'exponents': [1, 3, 6], 'learning_rate': 0.01}
    _, calculator = train(job_of(sets, ('Li', 'Ne', 'Cl'), 5, **choice))
    part = calculator.model.long_range
    assert float(part.smearing) != pytest.approx(1.0, abs=1e-4)
    assert all(abs(float(weight) - 1.0 / 3.0) > 1e-4 for weight in part.weights)


def test_a_training_that_is_stopped_goes_on_as_if_it_had_not_been(train, monkeypatch):
    """The order of frames and the step sizes belong to the update and not to the start."""
    sets = ions_with_partners(6, seed=1), ions_with_partners(2, seed=2)
    job = job_of(sets, ('Li', 'Ne', 'Cl'), 12, **SHORT, n_evaluations=3)
    whole, _ = train(job)
    weights = torch.load('checkpoint.pt', weights_only=True)['model']
    write = driver.Training.update

    def update(training):
        write(training)
        if training.updates == 6:
            training_loop.remember_signal(signal.SIGTERM, None)

    monkeypatch.setattr(driver.Training, 'update', update)
    assert driver.main(['train', 'local_charge.json']) == training_loop.STOPPED
    assert json.loads(Path('log.jsonl').read_text().splitlines()[-1]) == {'stopped': 6}
    monkeypatch.setattr(driver.Training, 'update', write)
    training_loop.received_signals.clear()
    document = json.loads(Path('local_charge.json').read_text())
    document['training']['is_restart'] = True
    Path('local_charge.json').write_text(json.dumps(document))
    assert driver.main(['train', 'local_charge.json']) == 0
    again = ARCHITECTURE.read_training(Path())
    np.testing.assert_array_equal(again.learning_curve.gradient_updates, whole.learning_curve.gradient_updates)
    np.testing.assert_allclose(
        again.learning_curve.validation_force_rmse, whole.learning_curve.validation_force_rmse, rtol=1e-12
    )
    for name, value in torch.load('checkpoint.pt', weights_only=True)['model'].items():
        torch.testing.assert_close(value, weights[name], rtol=1e-12, atol=1e-14)


def settings_of(**changes):
    """Return settings of a training of 1000 updates."""
    values = json.loads(
        ARCHITECTURE.training_files(job_of((crystals(4, 1),) * 2, ('Na', 'Cl'), 1000))['local_charge.json']
    )
    return driver.TrainingSettings(**{**values['training'], **changes})


def test_step_sizes_are_those_of_one_cycle_of_pytorch():
    training = settings_of(learning_rate=0.1)
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.AdamW([parameter], lr=0.1)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=0.1, total_steps=1000)
    expected = []
    for _ in range(999):
        expected.append(optimiser.param_groups[0]['lr'])
        optimiser.step()
        cycle.step()
    # that of PyTorch counts its phases from the first step, not from before it: one update of difference
    found = [training.rate(update) for update in range(999)]
    np.testing.assert_allclose(found, expected, atol=0.1 * 6e-3)
    assert {settings_of(learning_rate=0.1, schedule='constant').rate(update) for update in (0, 999)} == {0.1}


def test_each_pass_takes_each_frame_once():
    training = settings_of(batch_size=3)
    passes = [sorted(i for k in range(3) for i in training_loop.batch_of(9, training, 3 * n + k)) for n in range(2)]
    assert passes == [list(range(9))] * 2
    assert training_loop.batch_of(9, training, 0) != training_loop.batch_of(9, training, 3)


def test_stress_of_the_calculator_is_the_derivative_by_strain(train):
    # with seed 2 a pair is 2.50001 Å apart, where the second derivative of the fading steps
    sets = crystals(4, seed=1), crystals(1, seed=3)
    # as the cell grows, wave vectors enter the sphere of an Ewald sum: so fine a sum does not notice
    choice = {**SHORT, 'charges': 'predicted', 'resolution': 0.4}
    _, calculator = train(job_of(sets, ('Na', 'Cl'), 2, **choice))
    frame = sets[1].frame(0)
    atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=True, calculator=calculator)
    stress, step = atoms.get_stress(voigt=False), 1e-4
    for row, column in ((0, 0), (2, 2), (0, 1)):
        energies = []
        for sign in (1.0, -1.0):
            strain = np.eye(3)
            strain[row, column] += sign * step
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            strained.calc = calculator
            energies.append(strained.get_potential_energy())
        expected = (energies[0] - energies[1]) / (2.0 * step) / atoms.get_volume()
        assert stress[row, column] == pytest.approx(expected, abs=1e-7)


def test_energies_of_atoms_sum_up_to_that_of_the_frame(train):
    sets = ions_with_partners(4, seed=1), ions_with_partners(1, seed=2)
    _, calculator = train(job_of(sets, ('Li', 'Ne', 'Cl'), 2, **SHORT))
    frame = sets[1].frame(0)
    atoms = Atoms(frame.numbers, frame.positions, calculator=calculator)
    assert calculator.get_property('energies', atoms).sum() == pytest.approx(atoms.get_potential_energy(), abs=1e-10)
