"""Charge of the metal from the ions of a neutral cell."""

from __future__ import annotations

import re

import numpy as np
import pytest

from aiida_edl.science.charge_state import (
    FORMAL_CHARGES,
    charge_state,
    charge_state_of_ions,
    count_ions,
    ions_per_frame,
)

CELL = np.diag([10.0, 8.0, 40.0])


def test_two_sodium_ions_charge_the_metal_by_minus_two():
    state = charge_state(['Au', 'O', 'H', 'H', 'Na', 'Na'], CELL)
    assert (state.ions, state.metal_charge, state.area, state.label) == ({'Na': 2}, -2.0, 80.0, '2Na')


def test_surface_charge_density_one_sided():
    state = charge_state(['Au', 'Na', 'Na'], CELL)
    assert state.surface_charge_density == pytest.approx(-0.025)
    assert state.surface_charge_density_microcoulomb_per_cm2 == pytest.approx(-40.05441585)


def test_two_wet_sides_share_the_charge():
    assert charge_state(['Au', 'Na', 'Na'], CELL, n_wet_sides=2).surface_charge_density == pytest.approx(-0.0125)


def test_no_ions_is_label_zero():
    state = charge_state(['Au', 'O', 'H', 'H'], CELL)
    assert (state.label, state.metal_charge) == ('0', 0.0)


def test_anions_and_divalent_cations():
    state = charge_state(['Mg', 'Cl', 'Cl', 'Cl'], CELL)
    assert (state.metal_charge, state.label) == (1.0, '3Cl_1Mg')


def test_area_of_a_hexagonal_cell():
    cell = np.array([[2.0, 0.0, 0.0], [-1.0, np.sqrt(3.0), 0.0], [0.0, 0.0, 30.0]])
    assert charge_state([], cell).area == pytest.approx(2.0 * np.sqrt(3.0))


def test_wrong_number_of_sides_is_refused():
    with pytest.raises(ValueError, match=r'^n_wet_sides is 3, it must be 1 or 2$'):
        charge_state([], CELL, n_wet_sides=3)


def test_unknown_ion_is_refused():
    message = f"['Xx'] have no formal charge; known are {sorted(FORMAL_CHARGES)}"
    with pytest.raises(ValueError, match=f'^{re.escape(message)}$'):
        charge_state_of_ions({'Xx': 1}, 80.0)


def test_surface_charge_needs_an_area():
    state = charge_state(['Na'], np.zeros((3, 3)))
    message = r'^the lateral area of the cell is 0\.0 Å², so there is no surface charge; give a cell$'
    with pytest.raises(ValueError, match=message):
        _ = state.surface_charge_density


def test_ions_per_frame_agrees_with_counting_symbols():
    numbers = np.array([79, 11, 11, 8, 1, 79, 8, 1, 1, 17], dtype=np.uint8)
    offsets = np.array([0, 5, 9, 10])
    assert ions_per_frame(numbers, offsets).tolist() == [2, 0, 1]
    assert sum(count_ions(['Au', 'Na', 'Na', 'O', 'H']).values()) == 2
