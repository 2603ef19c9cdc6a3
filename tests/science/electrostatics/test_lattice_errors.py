"""Energies of perfect lattices with tight numbers."""

from __future__ import annotations

import pytest

pytest.importorskip('numba')

from aiida_edl.science.electrostatics.implementations import COMPILED
from aiida_edl.science.electrostatics.lattice_errors import lattice_rows
from aiida_edl.science.electrostatics.reference_values import REFERENCE_LATTICES
from aiida_edl.science.electrostatics.validation_cases import validation_case


@pytest.mark.parametrize('name', REFERENCE_LATTICES)
def test_every_method_reaches_the_constants_off_mesh_points(name):
    # 1e-10: the constants of wurtzite and of the Wigner crystals are listed to ten digits
    rows = list(lattice_rows(validation_case(name), [COMPILED]))
    assert [row.method for row in rows] == ['ewald', 'p3m']
    assert max(abs(row.relative_error) for row in rows) < 1e-10


def test_a_case_without_a_known_energy_has_no_rows():
    assert list(lattice_rows(validation_case('water'), [COMPILED])) == []
