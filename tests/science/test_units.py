"""Conversion factors against ASE's and against their definitions."""

from __future__ import annotations

import ast
from pathlib import Path

import ase.units
import pytest

import aiida_edl
from aiida_edl.science import units

# ASE 3.26 defaults to CODATA 2014, which differs from 2022 in the eighth digit.
CODATA_TOLERANCE = 3e-8


@pytest.mark.parametrize(
    ('ours', 'theirs'),
    [
        (units.HARTREE, ase.units.Hartree),
        (units.BOHR, ase.units.Bohr),
        (units.KILOCALORIE_PER_MOL, ase.units.kcal / ase.units.mol),
        (units.GIGAPASCAL, ase.units.GPa),
        (units.MEGAPASCAL, 1e-3 * ase.units.GPa),
        (units.PASCAL, ase.units.Pascal),
        (units.KILOBAR, 1000 * ase.units.bar),
        (units.BAR, ase.units.bar),
        (units.ATMOSPHERE, 101325 * ase.units.Pascal),
        (units.VACUUM_PERMITTIVITY, 1e-10 * ase.units._eps0 / ase.units._e),
    ],
)
def test_factor_agrees_with_ase(ours, theirs):
    assert ours == pytest.approx(theirs, rel=CODATA_TOLERANCE)


def test_boltzmann_agrees_with_ase():
    assert pytest.approx(ase.units.kB, rel=1e-6) == units.BOLTZMANN  # CODATA 2014 is known to 6e-7 only


def test_atomic_mass_makes_kinetic_energy():
    """One u at 1 Å/fs: the energy in eV that ASE finds with its own unit of time."""
    assert pytest.approx(1.0 / ase.units.fs**2, rel=CODATA_TOLERANCE) == units.ATOMIC_MASS


def test_surface_charge_of_one_electron_per_square_angstrom():
    assert pytest.approx(1602.176634, abs=1e-9) == units.MICROCOULOMB_PER_CM2_PER_E_PER_ANGSTROM2


def test_density_of_water():
    """33.33 molecules in 1 nm³ are 0.997 g/cm³."""
    molecules_per_cubic_angstrom = 0.03333
    mass = 18.015
    density = molecules_per_cubic_angstrom * mass * units.GRAM_PER_CM3_PER_U_PER_ANGSTROM3
    assert density == pytest.approx(0.9971, abs=2e-4)


def test_hartree_per_bohr_in_house_units():
    assert pytest.approx(51.42206747, rel=1e-8) == units.HARTREE / units.BOHR


def assigned_names(path: Path) -> set[str]:
    """Return the names that a module assigns at its top."""
    statements = ast.parse(path.read_text(encoding='utf-8')).body
    targets = [target for item in statements if isinstance(item, ast.Assign) for target in item.targets]
    targets += [item.target for item in statements if isinstance(item, ast.AnnAssign)]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def test_no_other_module_says_a_factor_again():
    mine = Path(units.__file__)
    factors = assigned_names(mine)
    assert 'FEMTOSECONDS_PER_PICOSECOND' in factors
    others = [path for path in sorted(Path(aiida_edl.__file__).parent.rglob('*.py')) if path != mine]
    assert {path.name: names for path in others if (names := assigned_names(path) & factors)} == {}
