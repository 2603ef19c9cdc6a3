"""Validation: its cases against another program, what a row holds, and what is said of many."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('numba')

from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.converged_sum import converged_settings
from aiida_edl.science.electrostatics.implementations import COMPILED
from aiida_edl.science.electrostatics.validation import validate_case
from aiida_edl.science.electrostatics.validation_cases import (
    CASES,
    UnknownCaseError,
    external_frames,
    validation_case,
    water_box,
)
from aiida_edl.science.electrostatics.validation_settings import CASE_NAMES


def test_settings_name_every_case():
    assert tuple(CASES) == CASE_NAMES


@pytest.mark.parametrize('number', range(3))
def test_converged_sums_agree_with_gromacs(number):
    # GROMACS: 1e-4 of the energy and 5e-3 of forces and stress, for its single precision and cutoff
    frame = external_frames()[number]
    result = CompiledSummation(converged_settings(frame.system, 1e-9))(frame.system)
    assert result.energy == pytest.approx(frame.energy, rel=2e-5)
    np.testing.assert_allclose(result.forces, frame.forces, atol=5e-4)
    np.testing.assert_allclose(result.stress, frame.stress, atol=2e-6)


@pytest.mark.parametrize('name', CASE_NAMES)
def test_the_accuracy_asked_for_is_the_accuracy_got(name):
    rows = list(validate_case(validation_case(name), [COMPILED], [1e-2, 1e-6]))
    assert [row.refusal for row in rows] == ['', '', '', '']
    ratios = [row.force_error / row.target for row in rows]
    assert min(ratios) > 1.0 / 3.0
    assert max(ratios) <= 1.0


def test_forces_of_a_row_are_the_gradient_of_its_energy():
    row = next(validate_case(validation_case('water_sheared'), [COMPILED], [1e-2]))
    assert row.gradient_error < 1e-6  # the third derivative of the energy of charges 1 Å apart, times 1e-8 Å²


def test_a_row_has_the_error_of_the_energy_of_its_lattice():
    rows = list(validate_case(validation_case('zincblende'), [COMPILED], [1e-8]))
    assert [abs(row.exact_error) < 1e-8 for row in rows] == [True, True]


def test_what_a_precision_cannot_reach_is_a_row_with_the_reason():
    coarse = replace(COMPILED, least_relative_error=1.0, precision='float8', remedy='use float64')
    row = next(validate_case(validation_case('water'), [coarse], [1e-3]))
    assert row.force_error is None
    assert row.refusal.startswith('the target is 0.001 eV/Å, float8 reaches ')
    assert row.refusal.endswith(' eV/Å for these forces: use float64')


def test_an_unknown_case_is_answered_with_the_nearest():
    with pytest.raises(UnknownCaseError, match=r"^unknown case of the validation 'watre': did you mean 'water'"):
        validation_case('watre')


def test_water_is_rigid_neutral_and_dense():
    box = water_box(27)
    oxygen = box.positions[::3]
    for hydrogen in (box.positions[1::3], box.positions[2::3]):
        np.testing.assert_allclose(np.linalg.norm(hydrogen - oxygen, axis=1), 1.0)
    angle = np.sum((box.positions[1::3] - oxygen) * (box.positions[2::3] - oxygen), axis=1)
    np.testing.assert_allclose(np.rad2deg(np.arccos(angle)), 109.47)
    assert box.net_charge == pytest.approx(0.0, abs=1e-12)
    assert 27 * 18.015 * 1.66054 / box.volume == pytest.approx(1.0, abs=0.01)  # g/cm³
