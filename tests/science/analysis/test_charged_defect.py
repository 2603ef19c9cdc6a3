"""Charged defects: known formation energies and levels, the lattice of charges, localisation, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aiida_edl.science.analysis.charged_defect import (
    ChargedDefectError,
    ChargedDefectSettings,
    charge_localisation,
    formation_energies,
    image_correction,
)
from aiida_edl.science.electrostatics.charged_system import COULOMB_CONSTANT
from aiida_edl.science.structures.silica import SilicaSettings, build_silica

BULK = replace(build_silica(SilicaSettings(n_vacancies=0)).frames.frame(0), energy=-1000.0)
ENERGIES = {2: -995.0, 1: -992.5, 0: -991.0, -1: -986.0}
"""Energy of the cell in each charge state [eV]."""
SETTINGS = {
    'permittivity': 4.0,
    'valence_band_maximum': 1.5,
    'band_gap': 9.0,
    'chemical_potentials': {'O': -5.0},
}


def states(energies=None):
    """Return one frame for each charge state."""
    built = build_silica(SilicaSettings()).frames.frame(0)
    return [
        replace(built, energy=energy, columns={'total_charge': float(charge)})
        for charge, energy in (ENERGIES if energies is None else energies).items()
    ]


def found(energies=None, **changes):
    return formation_energies(states(energies), BULK, ChargedDefectSettings.from_dict({**SETTINGS, **changes}))


def test_correction_of_a_cube_is_that_of_makov_and_payne():
    # the Madelung constant of a simple cubic lattice of charges in a background
    expected = 2.837297479 * COULOMB_CONSTANT * 4.0 / (2.0 * 3.0 * 12.0)
    assert image_correction(12.0 * np.eye(3), -2, 3.0) == pytest.approx(expected, rel=1e-8)


def test_correction_falls_with_the_length_of_the_cell_whatever_its_shape():
    cell = np.array([[9.0, 0.0, 0.0], [2.0, 8.0, 0.0], [1.0, 0.5, 11.0]])
    assert image_correction(2.0 * cell, 1, 1.0) == pytest.approx(0.5 * image_correction(cell, 1, 1.0), rel=1e-8)


def test_neutral_state_needs_no_correction():
    assert image_correction(BULK.cell, 0, 4.0) == 0.0


def test_formation_energies_are_those_by_hand():
    result = found()
    assert [state.charge for state in result.states] == [2, 1, 0, -1]
    for state in result.states:
        correction = image_correction(BULK.cell, state.charge, 4.0)
        # one O less: its chemical potential is added
        expected = ENERGIES[state.charge] + correction + 1000.0 - 5.0 + 1.5 * state.charge
        assert state.energy == pytest.approx(expected, abs=1e-9)


def test_levels_are_where_two_lines_cross():
    result = found(permittivity=1e9, valence_band_maximum=0.0)
    assert [(level.lower, level.upper) for level in result.levels] == [(2, 0), (0, -1)]
    # +1 lies above the line from +2 to 0: the defect has a negative correlation energy
    np.testing.assert_allclose([level.fermi_level for level in result.levels], [2.0, 5.0], atol=1e-6)
    assert not result.is_shallow


def test_levels_beyond_the_gap_do_not_count():
    result = found(permittivity=1e9, valence_band_maximum=0.0, band_gap=4.0)
    assert [(level.lower, level.upper) for level in result.levels] == [(2, 0)]
    assert found(permittivity=1e9, valence_band_maximum=0.0, band_gap=1.0).is_shallow


def test_frame_of_least_energy_counts():
    frames = [*states(), replace(states()[2], energy=-991.7)]
    result = formation_energies(frames, BULK, ChargedDefectSettings.from_dict(SETTINGS))
    neutral = next(state for state in result.states if state.charge == 0)
    assert (neutral.n_frames, neutral.frame_index) == (2, 4)
    assert neutral.energy == pytest.approx(-991.7 + 1000.0 - 5.0)


def test_charge_within_a_radius():
    frame = states()[0]
    place = frame.positions[10] + 0.1
    charges = np.zeros(len(frame.numbers))
    charged = charges.copy()
    charged[10], charged[60] = 1.5, 0.5
    result = charge_localisation(
        replace(frame, charges=charged), replace(frame, charges=charges), place, [0.5, 2.0, 20.0]
    )
    assert result.total == pytest.approx(2.0)
    np.testing.assert_allclose(result.shares, [0.75, 0.75, 1.0])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda f: [replace(f[0], energy=None)], 'frame 0 or the perfect crystal has no energy'),
        (lambda f: [f[0], replace(f[1], numbers=f[1].numbers[:-1])], 'frame 1 has another composition'),
        (lambda f: [replace(f[0], cell=1.01 * f[0].cell)], 'frame 0 is not in the periodic cell'),
        (lambda f: [replace(f[0], columns={'total_charge': 0.5})], 'total charge of 0.5 e, it must be a whole number'),
        (lambda f: [], 'there is no frame of a defect'),
    ],
)
def test_frames_that_do_not_go_together_are_refused(change, message):
    with pytest.raises(ChargedDefectError, match=message):
        formation_energies(change(states()), BULK, ChargedDefectSettings.from_dict(SETTINGS))


def test_missing_chemical_potential_is_refused():
    with pytest.raises(ChargedDefectError, match=r'the defect has -1 O and chemical_potentials has none for it'):
        found(chemical_potentials={'Si': 1.0})


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'permittivity': 0.5}, 'permittivity is 0.5, it must be at least 1'),
        ({'band_gap': -1.0}, 'band_gap is -1.0 eV'),
        ({'chemical_potentials': {'Ox': 1.0}}, "'Ox' in chemical_potentials is no chemical symbol"),
        ({'permitivity': 2.0}, "did you mean 'permittivity'"),
    ],
)
def test_settings_out_of_range_are_refused(values, message):
    with pytest.raises(ChargedDefectError, match=message):
        ChargedDefectSettings.from_dict(values)
