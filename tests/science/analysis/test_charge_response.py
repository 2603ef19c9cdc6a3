"""Charge response: exact models, sign and unit, errors, what is skipped and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aiida_edl.science.analysis.charge_response import (
    ChargeResponse,
    ChargeResponseError,
    ChargeResponseSettings,
    charge_response,
    derivative_weights,
)
from aiida_edl.science.analysis.charge_response_errors import compared_responses, response_rows
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.charge_stencil import StencilSettings, charge_stencil
from aiida_edl.science.frames import Frame, FrameSet

AREA = 5.0 * 7.0
EPSILON = 8.8541878188e-12 / 1.602176634e-19 * 1e-10
"""ε0 [e/(V Å)], from SI."""
CHARGES = {79: 0.0, 8: -0.82, 1: 0.41, 11: 1.0}
"""Charges of the atoms of the exact model [e]."""
PLANE = 2.0
"""Height of the charge of the metal [Å]."""
FIVE = StencilSettings()


def geometry(seed: int, n_ions: int = 1) -> Frame:
    """Return gold, a water and ions at random heights above it."""
    numbers = np.array([79, 79, 8, 1, 1] + [11] * n_ions, dtype=np.uint8)
    random = np.random.default_rng(seed)
    positions = random.uniform(4.0, 12.0, (len(numbers), 3))
    positions[:2, 2] = (0.5, PLANE)
    return Frame(numbers, positions, np.diag([5.0, 7.0, 30.0]), np.array([True, True, False]))


def capacitor(stencil: FrameSet, curvature: float = 0.0) -> FrameSet:
    """Label fixed charges Z in the field q/(A ε0) of a charged plane: E = -q Σ Z (z - z0) / (A ε0) + curvature."""
    charge = stencil.columns['metal_charge']
    owners = np.repeat(np.arange(len(stencil)), np.diff(stencil.offsets))
    fixed = np.array([CHARGES[number] for number in stencil.numbers.tolist()])
    lever = np.bincount(owners, weights=fixed * (stencil.positions[:, 2] - PLANE))
    forces = np.zeros_like(stencil.positions)
    forces[:, 2] = fixed * charge[owners] / (AREA * EPSILON)
    forces[:, 0] = 3.0 * charge[owners]  # no part of the response along z
    energies = -charge * lever / (AREA * EPSILON) + curvature * charge**2 - 5.0e4
    return replace(stencil, energies=energies, forces=forces)


def stencil(n_geometries: int = 3, settings: StencilSettings = FIVE) -> FrameSet:
    """Return stencils of geometries with none, one, two ions."""
    return charge_stencil(FrameSet.concatenate([one(seed) for seed in range(n_geometries)]), settings)


def one(seed: int) -> FrameSet:
    """Return one geometry as a set."""
    return FrameSet.from_frames([geometry(seed, seed % 3)])


def test_weights_are_central_differences():
    np.testing.assert_allclose(derivative_weights(np.array([0.9, 1.0, 1.1]), 1.0), [-5.0, 0.0, 5.0], atol=1e-9)
    five = derivative_weights(np.array([-0.5, -0.25, 0.0, 0.25, 0.5]), 0.0)
    np.testing.assert_allclose(five, np.array([1.0, -8.0, 0.0, 8.0, -1.0]) / (12 * 0.25), atol=1e-12)


def test_effective_charge_of_a_point_charge_in_a_capacitor_is_its_charge():
    response = charge_response(capacitor(stencil()))
    expected = [CHARGES[number] for number in response.numbers.tolist()]
    np.testing.assert_allclose(response.effective_charges, expected, atol=1e-12)


def test_slope_of_the_energy_is_the_potential_of_the_metal():
    response = charge_response(capacitor(stencil(), curvature=2.0))
    for index in range(3):
        frame = geometry(index, index % 3)
        fixed = np.array([CHARGES[number] for number in frame.numbers.tolist()])
        lever = np.sum(fixed * (frame.positions[:, 2] - PLANE))
        assert response.metal_charges[index] == -(index % 3)
        expected = -lever / (AREA * EPSILON) + 4.0 * response.metal_charges[index]
        assert response.potentials[index] == pytest.approx(expected, rel=1e-9)
    assert response.areas.tolist() == [AREA] * 3


def test_positive_ions_above_a_more_positive_metal_are_pushed_away():
    response = charge_response(capacitor(stencil()))
    assert np.all(response.effective_charges[response.numbers == 11] > 0)


def test_order_of_frames_does_not_matter():
    labelled = capacitor(stencil(), curvature=1.0)
    order = np.random.default_rng(3).permutation(len(labelled))
    given, shuffled = charge_response(labelled), charge_response(labelled.select(order))
    assert sorted(given.potentials.round(9)) == sorted(shuffled.potentials.round(9))


def test_translation_changes_nothing():
    labelled = capacitor(stencil())
    moved = replace(labelled, positions=labelled.positions + np.array([1.0, -2.0, 3.0]))
    np.testing.assert_array_equal(charge_response(moved).effective_charges, charge_response(labelled).effective_charges)


def test_response_is_along_the_normal_of_a_rotated_film():
    # The film stands on its side: x, y, z become y, z, x, and its normal points along x.
    labelled = capacitor(stencil())
    turned = {name: getattr(labelled, name)[..., [2, 0, 1]] for name in ('positions', 'forces', 'cells')}
    response = charge_response(replace(labelled, **turned))
    np.testing.assert_allclose(response.effective_charges, charge_response(labelled).effective_charges, atol=1e-12)


def test_error_is_what_the_outer_charges_change():
    labelled = capacitor(stencil(1))
    charge = labelled.columns['metal_charge']
    cubic = replace(labelled, energies=labelled.energies + 8.0 * charge**3)
    response = charge_response(cubic)
    base = charge_response(labelled).potentials[0]
    # Five charges take a cubic exactly; the inner three are off by 8 h² with h = 0.25 e.
    assert response.potentials[0] == pytest.approx(base, abs=1e-7)
    assert response.potential_errors[0] == pytest.approx(0.5, abs=1e-7)
    assert response.effective_charge_errors.max() < 1e-12


def test_three_charges_give_no_error():
    response = charge_response(capacitor(stencil(2, StencilSettings(offsets=(-0.25, 0.0, 0.25)))))
    assert np.all(np.isnan(response.potential_errors))
    assert np.all(np.isnan(response.effective_charge_errors))
    assert response.n_charges.tolist() == [3, 3]


def test_innermost_charges_are_used():
    response = charge_response(capacitor(stencil(1)), ChargeResponseSettings(maximum_charges=3))
    assert response.n_charges.tolist() == [3]
    assert response.metal_charges.tolist() == [0.0]


def test_geometries_without_labels_are_counted():
    labelled = capacitor(stencil())
    energies = labelled.energies.copy()
    energies[1:5] = np.nan
    response = charge_response(replace(labelled, energies=energies))
    assert (len(response), response.n_skipped) == (2, 1)
    assert response.frame_indices.tolist() == [5, 10]


def test_frames_without_labels_are_not_analysable():
    message = '^the 15 frames have no energies and forces; label the stencil first$'
    with pytest.raises(NotAnalysableError, match=message):
        charge_response(stencil())


def test_frames_of_one_charge_are_not_analysable():
    message = (
        '^none of the 3 geometries has labels at two charges of the metal; make a stencil of them by '
        'edl.charge_stencil and label it$'
    )
    with pytest.raises(NotAnalysableError, match=message):
        charge_response(capacitor(stencil()).select([0, 5, 10]))


def test_same_charge_twice_is_refused():
    labelled = capacitor(stencil(1)).select([0, 1, 1, 2])
    message = '^frames 1 and 2 are of one geometry, and the metal of both carries -0.25 e; leave one of them out$'
    with pytest.raises(ChargeResponseError, match=message):
        charge_response(labelled)


def test_geometry_whose_atoms_moved_is_refused():
    labelled = capacitor(stencil(1))
    positions = labelled.positions.copy()
    positions[6, 0] += 0.01
    message = (
        '^frames 0 and 1 are of one geometry, but their atoms differ; name the geometries apart in the column '
        "'geometry', and keep the order of atoms$"
    )
    with pytest.raises(ChargeResponseError, match=message):
        charge_response(replace(labelled, positions=positions))


def test_unknown_setting_is_answered_with_the_nearest():
    message = (
        "^unknown setting of the charge response 'maximum_charge': did you mean 'maximum_charges'[?] Known: "
        'maximum_charges[.]$'
    )
    with pytest.raises(ChargeResponseError, match=message):
        ChargeResponseSettings.from_dict({'maximum_charge': 3})


def test_response_survives_its_parts():
    response = charge_response(capacitor(stencil()))
    again = ChargeResponse.from_parts(response.arrays(), response.scalars())
    np.testing.assert_array_equal(again.effective_charges, response.effective_charges)
    assert again.settings == response.settings


def test_model_that_knows_no_charge_misses_all_of_the_response():
    labelled = capacitor(stencil(6))
    reference, model = compared_responses(labelled, np.zeros(30), np.zeros_like(labelled.positions))
    rows = {(row.quantity, row.element): row for row in response_rows(reference, model)}
    water = rows['effective_charge', 'O']
    assert (water.rmse, water.reference_scale) == (pytest.approx(0.82), pytest.approx(0.82))
    assert water.signed_error == pytest.approx(0.82)
    potential = rows['electrode_potential', 'all']
    assert potential.rmse == pytest.approx(np.sqrt(np.mean(reference.potentials**2)))
    assert (potential.unit, water.unit, potential.n_geometries) == ('V', 'e', 6)
    assert potential.rmse_error > 0
    assert {element for _, element in rows} == {'all', 'H', 'O', 'Na', 'Au'}


def test_scale_of_the_potential_does_not_depend_on_its_constant():
    labelled = capacitor(stencil(6))
    slopes = np.repeat([1.0, 3.0, 1.0, 3.0, 1.0, 3.0], 5)
    scales = []
    for constant in (0.0, 7.0):  # the same capacitor with its counter charge farther away
        energies = labelled.energies + (slopes + constant) * labelled.columns['metal_charge']
        reference = charge_response(replace(labelled, energies=energies))
        scales.append(response_rows(reference)[0].reference_scale)
    assert scales[1] == pytest.approx(scales[0], rel=1e-9)
    assert scales[0] > 0.5


def test_single_geometry_has_no_scale_of_the_potential():
    row = response_rows(charge_response(capacitor(stencil(1))))[0]
    assert np.isnan(row.reference_scale)
    assert row.to_dict()['reference_scale'] is None


def test_exact_model_has_no_error():
    labelled = capacitor(stencil(6))
    reference, model = compared_responses(labelled, labelled.energies + 7.0, labelled.forces)
    assert all(row.rmse < 1e-9 for row in response_rows(reference, model))


def test_signed_error_and_its_error():
    labelled = capacitor(stencil(6))
    slopes = np.repeat([1.0, 3.0, 1.0, 3.0, 1.0, 3.0], 5)
    wrong = labelled.energies + slopes * labelled.columns['metal_charge']
    row = response_rows(*compared_responses(labelled, wrong, labelled.forces))[0]
    assert row.signed_error == pytest.approx(2.0)
    assert row.rmse == pytest.approx(np.sqrt(5.0))
    assert 0.1 < row.signed_error_error < 1.0


def test_geometry_that_a_model_fails_on_is_left_out_of_both():
    labelled = capacitor(stencil())
    energies = labelled.energies.copy()
    energies[6:10] = np.nan
    reference, model = compared_responses(labelled, energies, labelled.forces)
    assert (len(reference), len(model), reference.n_skipped) == (2, 2, 1)
    assert response_rows(reference, model)[0].rmse == pytest.approx(0.0, abs=1e-9)


def test_predictions_of_other_frames_are_refused():
    labelled = capacitor(stencil())
    message = '^predictions of 3 frames and 4 atoms do not fit the 15 frames and 90 atoms they are for: they belong to'
    with pytest.raises(ValueError, match=message):
        compared_responses(labelled, np.zeros(3), np.zeros((4, 3)))
