"""Energies and forces of many frames by one calculator: exact values, failures of single frames, restart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT as EMTCalculator  # noqa: N811
from ase_cases import EMT, MORSE, evaluate_input, frames

from aiida_edl.drivers import evaluate_model
from aiida_edl.science.frames import FrameSet

TESTS = Path(__file__).parents[1]
TOY = 'toy.failing_calculator'


@pytest.fixture(autouse=True)
def working_directory(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluate(a_set, recipe=EMT, **changes):
    """Run the driver and return predictions and failures."""
    evaluate_input(Path(), a_set, recipe, **changes)
    assert evaluate_model.main(['evaluate.json']) == 0
    with np.load('predictions.npz') as archive:
        arrays = {name: archive[name] for name in archive.files}
    return arrays, json.loads(Path('failures.json').read_text())


def toy(attribute, **arguments):
    """Return the recipe of a calculator that fails."""
    return {'module': TOY, 'attribute': attribute, 'keyword_arguments': arguments}


def summary():
    return json.loads(Path('evaluation.json').read_text())


def test_energies_and_forces_are_those_of_the_calculator():
    a_set = frames()
    predictions, failures = evaluate(a_set)
    assert failures == {}
    assert predictions['converged'].all()
    np.testing.assert_array_equal(predictions['offsets'], a_set.offsets)
    for index, frame in enumerate(a_set):
        atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc, calculator=EMTCalculator())
        assert predictions['energies'][index] == atoms.get_potential_energy()
        rows = slice(a_set.offsets[index], a_set.offsets[index + 1])
        np.testing.assert_array_equal(predictions['forces'][rows], atoms.get_forces())


def test_forces_are_the_negative_gradient_of_the_energy():
    frame, step = frames(2).frame(1), 1e-4
    moved = [replace(frame, positions=frame.positions + sign * step * np.eye(12)[0].reshape(4, 3)) for sign in (1, -1)]
    predictions, _ = evaluate(FrameSet.from_frames([*moved, frame]))
    slope = (predictions['energies'][0] - predictions['energies'][1]) / (2 * step)
    # EMT cuts off its neighbours smoothly; the error of the central difference is of order step²
    assert predictions['forces'][8, 0] == pytest.approx(-slope, abs=1e-6)


def test_energy_shifts_are_added_per_atom():
    plain, _ = evaluate(frames())
    Path('predictions.npz').unlink()
    shifted, _ = evaluate(frames(), energy_shifts={'Au': -100.0, 'Cu': -10.0})
    np.testing.assert_allclose(shifted['energies'] - plain['energies'], [-400, -310, -400, -310], rtol=1e-12)


def test_energies_of_atoms_are_written_if_asked_for():
    a_set = frames()
    plain, _ = evaluate(a_set)
    Path('predictions.npz').unlink()
    with_atoms, _ = evaluate(a_set, energy_shifts={'Au': -100.0, 'Cu': -10.0}, atomic_energies='ase')
    assert set(with_atoms) - set(plain) == {'atomic_energies'}
    sums = np.add.reduceat(with_atoms['atomic_energies'], a_set.offsets[:-1])
    np.testing.assert_allclose(sums, with_atoms['energies'], rtol=1e-12)


def test_results_without_energies_of_atoms_are_not_gone_on_from():
    evaluate_model.save_partial(evaluate_model.empty_results(frames().offsets), {})
    assert 'atomic_energies' in evaluate_model.restore(frames().offsets, True)[0]
    assert 'atomic_energies' not in evaluate_model.restore(frames().offsets)[0]


def test_frames_that_differ_in_the_charge_alone_have_results_of_their_own():
    frame, charges = frames(1).frame(0), [0.0, 1.0, -1.0]
    a_set = FrameSet.from_frames([frame] * 3).with_columns(total_charge=np.array(charges))
    recipe = {**toy('ChargeInInfoCalculator'), 'info': {'fparam': ['{total_charge}']}}
    predictions, _ = evaluate(a_set, recipe)
    assert predictions['energies'].tolist() == charges
    np.testing.assert_array_equal(predictions['forces'][:, 0], np.repeat(charges, 4))


def test_energy_is_the_one_whose_gradient_the_forces_are():
    predictions, _ = evaluate(frames(), toy('ExtrapolatingCalculator'))
    np.testing.assert_array_equal(predictions['energies'], [-1.5] * 4)


def test_charges_and_stress_come_along():
    predictions, _ = evaluate(frames(2), toy('ExtrapolatingCalculator'))
    np.testing.assert_array_equal(predictions['charges'], [0.0, 0.1, 0.2, 0.3] * 2)
    np.testing.assert_array_equal(predictions['stresses'][1], [[1, 6, 5], [6, 2, 4], [5, 4, 3]])


def test_stress_of_an_open_cell_is_left_out():
    a_set = frames(2)
    predictions, _ = evaluate(replace(a_set, pbc=a_set.pbc & [True, True, False]), toy('ExtrapolatingCalculator'))
    assert 'stresses' not in predictions


@pytest.mark.parametrize(
    ('calculator', 'reason'),
    [
        ('UnconvergedCalculator', 'CalculationFailed: SCF not converged in 500 cycles'),
        ('NotFiniteCalculator', 'FrameError: energy is not finite'),
    ],
)
def test_frame_that_fails_is_named_and_the_others_go_on(calculator, reason):
    predictions, failures = evaluate(frames(), toy(calculator))
    assert failures == {'1': reason, '3': reason}
    np.testing.assert_array_equal(predictions['converged'], [True, False, True, False])
    np.testing.assert_array_equal(np.isnan(predictions['energies']), [False, True, False, True])
    np.testing.assert_array_equal(np.isnan(predictions['forces']).all(axis=1), np.repeat([False, True] * 2, 4))
    assert summary()['frames_failed'] == 2


def test_exhausted_memory_is_no_fault_of_a_frame():
    evaluate_input(Path(), frames(), toy('OutOfMemoryCalculator'))
    with pytest.raises(RuntimeError, match=r'^CUDA out of memory'):
        evaluate_model.main(['evaluate.json'])


def test_passed_walltime_leaves_partial_results():
    evaluate_input(Path(), frames(), EMT, walltime_seconds=0.0)
    evaluate_model.main(['evaluate.json'])
    assert summary()['outcome'] == 'out_of_walltime'
    assert summary()['frames_done'] == 0
    assert not Path('predictions.npz').exists()
    assert Path('predictions_partial.npz').exists()


def test_signal_of_the_scheduler_stops_like_the_walltime(monkeypatch):
    monkeypatch.setattr(evaluate_model, 'received_signals', [])
    evaluate_model.remember_signal(15, None)
    evaluate_input(Path(), frames(), EMT)
    evaluate_model.main(['evaluate.json'])
    assert summary()['outcome'] == 'out_of_walltime'


def test_killed_program_goes_on_where_it_was(monkeypatch):
    """Frames 0 and 1 are stored by a program that is killed in frame 2; the next one must not compute them again."""
    program = (
        f'import sys; sys.path.insert(0, {str(TESTS)!r})\n'
        'from aiida_edl.drivers import evaluate_model\n'
        'evaluate_model.SAVE_INTERVAL_SECONDS = 0.0\n'
        "evaluate_model.main(['evaluate.json'])"
    )
    evaluate_input(Path(), frames(), toy('KillingCalculator', after=2))
    killed = subprocess.run([sys.executable, '-c', program], check=False)
    assert killed.returncode == 137
    computed = []
    compute = evaluate_model.compute_frame
    monkeypatch.setattr(evaluate_model, 'compute_frame', lambda *arguments: computed.append(1) or compute(*arguments))
    resumed, failures = evaluate(frames(), MORSE)
    assert len(computed) == 2
    Path('predictions_partial.npz').unlink()
    whole, _ = evaluate(frames(), MORSE)
    assert failures == {}
    for name, array in whole.items():
        np.testing.assert_array_equal(resumed[name], array)


def test_environment_is_set_before_the_import(monkeypatch):
    monkeypatch.setenv('TOY_VARIABLE', 'old')
    evaluate(frames(1), {**EMT, 'environment': {'TOY_VARIABLE': 'new'}})
    assert os.environ['TOY_VARIABLE'] == 'new'
