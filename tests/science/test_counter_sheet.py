"""The sheet of counter charge: its own energy against the literature, where it lies, and what has no room for it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from electrode_cases import small_cell

from aiida_edl.science.counter_sheet import (
    COULOMB,
    CounterSheetError,
    counter_sheet,
    excess_charge,
    planar_grid_energy,
    potential_over_sheet,
)
from aiida_edl.science.frames import Frame
from aiida_edl.science.units import VACUUM_PERMITTIVITY


def charged(excess: float, n_ions: int = 1) -> Frame:
    """Return a film whose metal carries more than the ions leave it."""
    return replace(small_cell(n_ions), columns={'metal_charge': -n_ions + excess})


def test_energy_of_a_square_grid_is_that_of_the_wigner_crystal():
    # L. Bonsall, A. A. Maradudin, Phys. Rev. B 15, 1959 (1977): -1.950133 e²/(4πε0) times the root of the density.
    for spacing in (1.0, 1.7):
        assert planar_grid_energy(spacing, spacing) * spacing / COULOMB == pytest.approx(-1.950133, abs=1e-6)


def test_energy_of_a_grid_does_not_depend_on_its_axes():
    assert planar_grid_energy(1.3, 2.0) == pytest.approx(planar_grid_energy(2.0, 1.3), rel=1e-12)


def test_grid_at_a_distance_is_a_uniform_sheet():
    sheet = counter_sheet(charged(0.5))
    images = np.arange(-60, 61)
    lengths = np.diag(small_cell(1).cell)
    fields = []
    for point in ([0.0, 0.0], [0.96, 0.3]):
        away = sheet.positions[:, None, None] - np.array([*point, sheet.height - 4.0])
        x = away[..., 0] + images[:, None] * lengths[0]
        y = away[..., 1] + images * lengths[1]
        squares = x**2 + y**2 + 16.0
        fields.append(float(np.sum(-COULOMB * sheet.charge / len(sheet.positions) * 4.0 / squares**1.5)))
    uniform = -sheet.charge / (2.0 * VACUUM_PERMITTIVITY * lengths[0] * lengths[1])
    # The images that are left out lack 4 Å / 300 Å of the solid angle; the grid itself differs by 1e-5.
    assert fields[0] == pytest.approx(uniform, rel=0.02)
    assert fields[0] == pytest.approx(fields[1], rel=2e-5)


def test_sheet_neutralises_the_cell_below_its_top():
    sheet = counter_sheet(charged(0.25))
    assert sheet.charge == pytest.approx(-0.25)
    assert sheet.height == pytest.approx(small_cell(1).cell[2, 2] - 0.5)
    assert len(sheet.positions) == 9
    assert sheet.grid_energy == pytest.approx(counter_sheet(charged(0.5)).grid_energy / 4.0)


@pytest.mark.parametrize('columns', [{}, {'metal_charge': -1.0}, {'total_charge': 0.0}])
def test_neutral_cell_has_no_sheet(columns):
    assert counter_sheet(replace(small_cell(1), columns=columns)) is None


def test_charge_of_the_cell_is_what_the_ions_do_not_make_up():
    assert excess_charge(replace(small_cell(2), columns={'total_charge': 0.25})) == 0.25
    assert excess_charge(replace(small_cell(2), columns={'metal_charge': -1.5})) == 0.5


def test_thin_vacuum_has_no_room_for_a_sheet():
    frame = charged(0.25)
    low = replace(frame, cell=np.diag([*np.diag(frame.cell)[:2], 18.0]))
    message = (
        '^the metal carries 0.25 e more than the ions leave it, whose counter charge would lie 1.22 Å above the '
        'highest atom; enlarge the vacuum by 2.78 Å$'
    )
    with pytest.raises(CounterSheetError, match=message):
        counter_sheet(low)


def test_charge_that_is_not_finite_is_refused():
    message = '^the metal carries nan e more than the ions leave it; state a finite charge$'
    with pytest.raises(CounterSheetError, match=message):
        counter_sheet(charged(math.nan))


def test_potential_over_the_vacuum_is_that_of_a_capacitor():
    # Charges ±1 e on planes 3 Å apart: the potential falls by 3 Å q / (A ε0), whatever LAMMPS adds to all atoms.
    frame = Frame(
        np.array([79, 11]), np.array([[0.0, 0.0, 2.0], [1.0, 1.0, 5.0]]), np.diag([5.0, 6.0, 40.0]), np.ones(3)
    )
    charges = np.array([-1.0, 1.0])
    at_metal = -1.0 * 3.0 / (2.0 * VACUUM_PERMITTIVITY * 30.0)
    offset = float(np.sum(charges * frame.positions[:, 2] ** 2)) / (2.0 * VACUUM_PERMITTIVITY * 30.0 * 120.0)
    found = potential_over_sheet(at_metal + offset, frame, charges, None, slab_factor=3.0)
    assert found == pytest.approx(-3.0 / (VACUUM_PERMITTIVITY * 30.0), rel=1e-12)
