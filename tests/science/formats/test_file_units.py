"""Units of files by name."""

from __future__ import annotations

import pytest
from ase import units as ase_units

from aiida_edl.science.formats.file_units import FileUnits, FormatError


@pytest.mark.parametrize(
    ('quantity', 'name', 'factor'),
    [
        ('energy', 'hartree', ase_units.Hartree),
        ('energy', 'kcal/mol', ase_units.kcal / ase_units.mol),
        ('length', 'bohr', ase_units.Bohr),
        ('force', 'hartree/bohr', ase_units.Hartree / ase_units.Bohr),
        ('force', 'eV/bohr', 1.0 / ase_units.Bohr),
        ('force', 'kcal/mol/angstrom', ase_units.kcal / ase_units.mol),
        ('stress', 'GPa', ase_units.GPa),
        ('stress', 'kbar', 0.1 * ase_units.GPa),
        ('stress', '-eV/angstrom3', -1.0),
    ],
)
def test_factors_are_those_of_ase(quantity, name, factor):
    # ASE has CODATA 2014, the project 2022: they differ in the ninth digit
    assert getattr(FileUnits.from_names({quantity: name}), quantity) == pytest.approx(factor, rel=1e-7)


def test_unknown_unit_names_the_nearest():
    with pytest.raises(FormatError, match="unknown unit of force 'hartree/bhor': did you mean 'hartree/bohr'"):
        FileUnits.from_names({'force': 'hartree/bhor'})


def test_unknown_quantity_names_the_nearest():
    with pytest.raises(FormatError, match="unknown quantity with a unit 'forces': did you mean 'force'"):
        FileUnits.from_names({'forces': 'eV/angstrom'})
