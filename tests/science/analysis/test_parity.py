"""Largest differences between programs: what passes, what does not, and what is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aiida_edl.science.analysis.parity import TOLERANCES, Predicted, compare_predictions

OFFSETS = np.array([0, 2, 6])


@pytest.fixture
def reference():
    generator = np.random.default_rng(1)
    return Predicted(np.array([-10.0, -40.0]), generator.normal(size=(6, 3)), OFFSETS)


def test_identical_predictions_pass(reference):
    parity = compare_predictions(reference, reference, TOLERANCES['float64'])
    assert (parity.passed, parity.max_energy_difference, parity.max_force_difference) == (True, 0.0, 0.0)


def test_rounding_passes(reference):
    other = replace(reference, energies=reference.energies + 1e-9, forces=reference.forces - 1e-9)
    assert compare_predictions(reference, other, TOLERANCES['float64']).passed


def test_energy_difference_is_per_atom_and_names_the_frame(reference):
    other = replace(reference, energies=reference.energies + np.array([0.0, 0.2]))
    parity = compare_predictions(reference, other, TOLERANCES['float64'])
    assert parity.max_energy_difference == pytest.approx(0.05)
    assert parity.reasons == ('its energy is off by 0.05 eV/atom in frame 1, allowed are 1e-06',)


def test_one_component_of_one_atom_is_enough_to_fail(reference):
    forces = reference.forces.copy()
    forces[1, 2] -= 0.25
    parity = compare_predictions(reference, replace(reference, forces=forces), TOLERANCES['float32'])
    assert parity.max_force_difference == pytest.approx(0.25)
    assert parity.reasons == ('its force is off by 0.25 eV/Å in frame 0, allowed are 0.001',)


def test_exchanged_species_fail(reference):
    forces = reference.forces.copy()
    forces[[0, 1]] = forces[[1, 0]]
    assert not compare_predictions(reference, replace(reference, forces=forces), TOLERANCES['float32']).passed


def test_failed_frame_fails_and_the_others_are_compared(reference):
    other = replace(reference, energies=np.array([np.nan, -40.0]))
    parity = compare_predictions(reference, other, TOLERANCES['float64'])
    assert parity.reasons == ('it gives no finite result for 1 of 2 frames',)
    assert parity.max_energy_difference == 0.0


def test_without_a_frame_to_compare_there_is_no_difference(reference):
    nothing = replace(reference, forces=np.full((6, 3), np.nan))
    parity = compare_predictions(reference, nothing, TOLERANCES['float64'])
    assert np.isnan(parity.max_force_difference)
    assert parity.reasons == ('it gives no finite result for 2 of 2 frames',)


def test_other_frames_are_refused(reference):
    other = replace(reference, offsets=np.array([0, 3, 6]))
    with pytest.raises(
        ValueError, match=r'^2 frames with 6 atoms cannot be compared with 2 frames with 6 atoms; compute the same'
    ):
        compare_predictions(reference, other, TOLERANCES['float64'])
