"""Labels that contradict each other are found by the energies of deformed frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT

from aiida_edl.science.frames import Frame
from aiida_edl.science.gradient_check import (
    GradientSettings,
    Verdict,
    check_forces,
    check_stress,
    probe_frames,
    scaled,
)

SETTINGS = GradientSettings()


def crystal(rattle: float = 0.1):
    """Return rattled copper, compressed so that it has a stress."""
    atoms = bulk('Cu', cubic=True).repeat((2, 2, 1))
    atoms.rattle(rattle, seed=1)
    return atoms


def film():
    """Return a rattled film that is open along z, in a skewed cell."""
    atoms = fcc111('Cu', (2, 2, 3), vacuum=5.0, periodic=False)
    atoms.pbc = [True, True, False]
    atoms.rattle(0.1, seed=2)
    return atoms


def labelled(frame_or_atoms) -> Frame:
    """Return a frame with the labels of the effective-medium theory."""
    given = frame_or_atoms
    atoms = given if isinstance(given, Atoms) else Atoms(given.numbers, given.positions, cell=given.cell, pbc=given.pbc)
    atoms.calc = EMT()
    return Frame(
        atoms.numbers.astype(np.uint8),
        atoms.positions.copy(),
        np.array(atoms.cell),
        atoms.pbc.copy(),
        energy=atoms.get_potential_energy(),
        forces=atoms.get_forces(),
        stress=atoms.get_stress(voigt=False),
    )


def checks(frame: Frame, *, energy_factor=1.0, stress_factor=1.0):
    """Return the verdicts on forces and stress with energies and stress of the true model times a factor."""
    probes = probe_frames(frame, SETTINGS)
    answers = [labelled(probe) for probe in probes]
    energies = energy_factor * np.array([answer.energy for answer in answers])
    forces = check_forces(frame, energies[:2], SETTINGS)
    return forces, check_stress(probes, energies[2:], stress_factor * answers[2].stress, SETTINGS)


@pytest.mark.parametrize('atoms', [crystal(), film()], ids=['crystal', 'film'])
def test_labels_of_one_model_pass(atoms):
    forces, stress = checks(labelled(atoms))
    assert (forces.verdict, stress.verdict) == (Verdict.PASSED, Verdict.PASSED)
    assert forces.energy_change == pytest.approx(forces.work, rel=0.01)
    assert stress.energy_change == pytest.approx(stress.work, rel=0.01)


def test_harmonic_forces_do_exactly_their_work():
    """One atom on a spring of 2 eV/Å² at 0.5 Å: the force is 1 eV/Å, over 0.01 Å it does 0.01 eV of work."""
    frame = Frame(
        np.array([1], dtype=np.uint8),
        np.array([[0.5, 0.0, 0.0]]),
        np.zeros((3, 3)),
        np.zeros(3, dtype=bool),
        forces=np.array([[-1.0, 0.0, 0.0]]),
    )
    probes = probe_frames(frame, SETTINGS)
    energies = probes.positions[:, 0] ** 2
    found = check_forces(frame, energies, SETTINGS)
    assert found.work == pytest.approx(-0.01, abs=1e-15)
    assert found.energy_change == pytest.approx(-0.01, abs=1e-15)


@pytest.mark.parametrize('factor', [-1.0, 1.5, 1 / 1.5, 27.2114])
def test_energies_of_another_sign_or_unit_fail(factor):
    forces, _ = checks(labelled(crystal()), energy_factor=factor)
    assert forces.verdict is Verdict.FAILED


def test_stress_that_is_a_little_off_is_inexact():
    """As that of plane waves, whose basis changes with the cell."""
    forces, stress = checks(labelled(crystal()), stress_factor=1.5)
    assert (forces.verdict, stress.verdict) == (Verdict.PASSED, Verdict.INEXACT)


@pytest.mark.parametrize('factor', [-1.0, 2.5, 160.2])
def test_stress_of_another_sign_or_unit_fails_alone(factor):
    forces, stress = checks(labelled(crystal()), stress_factor=factor)
    assert (forces.verdict, stress.verdict) == (Verdict.PASSED, Verdict.FAILED)


def test_failure_says_what_disagrees():
    frame = labelled(crystal())
    found = check_forces(replace(frame, forces=np.eye(16, 3)), np.array([0.1, 0.0]), SETTINGS)
    assert found.reason == (
        'the work of the forces is -0.03 eV where the energy changes by 0.05 eV, a difference of at most 5 % is '
        'allowed; check sign and unit of the forces, and which energy it is'
    )


def test_relaxed_frame_is_undecided():
    frame = replace(labelled(crystal(0.0)), forces=np.zeros((16, 3)))
    found = check_forces(frame, np.array([1.0, 1.0]), SETTINGS)
    assert found.verdict is Verdict.UNDECIDED
    assert found.reason == 'the work is -0 eV and the energy changes by 0 eV, too little to compare'


def test_probe_without_a_label_is_undecided():
    found = check_forces(labelled(crystal()), np.array([1.0, np.nan]), SETTINGS)
    assert (found.verdict, found.reason) == (Verdict.UNDECIDED, 'a deformed frame has no label')


def test_frame_without_stress_has_two_probes():
    assert len(probe_frames(replace(labelled(crystal()), stress=None), SETTINGS)) == 2


def test_film_is_scaled_along_its_periodic_vectors_only():
    frame = labelled(film())
    smaller = scaled(frame, 0.9)
    np.testing.assert_allclose(smaller.positions[:, 2], frame.positions[:, 2], atol=1e-12)
    np.testing.assert_allclose(smaller.positions[:, :2], 0.9 * frame.positions[:, :2], atol=1e-12)
    np.testing.assert_allclose(smaller.cell[2], frame.cell[2])


def test_probes_say_how_far_their_cell_was_scaled():
    frame = replace(labelled(crystal()), columns={'charge_state': 1})
    probes = probe_frames(frame, SETTINGS)
    scales = probes.columns['reference_scale']
    assert scales.tolist() == pytest.approx([1.0, 1.0, 0.98, 0.98 * 1.005, 0.98 * 0.995], abs=1e-12)
    assert probes.columns['charge_state'].tolist() == [1] * 5
    np.testing.assert_allclose(probes.cells / scales[:, None, None], np.array([frame.cell] * 5), atol=1e-12)


def test_scale_of_a_frame_that_was_scaled_before_is_kept():
    once = scaled(labelled(crystal()), 0.9)
    probes = probe_frames(replace(labelled(once), columns=once.columns), SETTINGS)
    assert probes.columns['reference_scale'].tolist()[:3] == pytest.approx([0.9, 0.9, 0.9 * 0.98], abs=1e-12)


def test_unlabelled_frame_is_refused():
    with pytest.raises(ValueError, match=r'^the frame has no forces, so there is nothing to check; label it first$'):
        probe_frames(replace(labelled(crystal()), forces=None), SETTINGS)


def test_unknown_setting_is_refused():
    message = "unknown setting of the gradient check 'displacment': did you mean 'displacement'"
    with pytest.raises(ValueError, match=message):
        GradientSettings.from_dict({'displacment': 0.1})


def test_setting_out_of_range_is_refused():
    message = "^setting 'strain' of the gradient check is -0.1, it must be positive$"
    with pytest.raises(ValueError, match=message):
        GradientSettings(strain=-0.1)
