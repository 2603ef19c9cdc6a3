"""The crystal of lithium carbonate against what is known of it, and its layers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from ase import Atoms

from aiida_edl.science import units
from aiida_edl.science.structures.lithium_carbonate import (
    lithium_carbonate,
    lithium_carbonate_cell,
    lithium_carbonate_layers,
)

CHARGES = {'Li': 1, 'C': 4, 'O': -2}
"""Formal charges [e]."""


@pytest.fixture(scope='module')
def crystal() -> Atoms:
    """Return a supercell in the form of an independent library."""
    frame = lithium_carbonate((2, 3, 2))
    return Atoms(frame.numbers, positions=frame.positions, cell=frame.cell, pbc=frame.pbc)


def test_cell_holds_four_formula_units():
    assert Counter(lithium_carbonate_cell()[0]) == {'Li': 8, 'C': 4, 'O': 12}


def test_density_is_that_of_the_mineral(crystal):
    density = crystal.get_masses().sum() / crystal.get_volume() * units.GRAM_PER_CM3_PER_U_PER_ANGSTROM3
    # Zabuyelite, Handbook of Mineralogy: 2.09 g/cm³ calculated, 2.10 of the pure salt.
    assert density == pytest.approx(2.10, abs=0.01)


def test_every_carbon_has_three_oxygens_in_a_plane_and_no_fourth_near(crystal):
    carbons, oxygens = (np.flatnonzero(crystal.numbers == number) for number in (6, 8))
    for carbon in carbons:
        vectors = crystal.get_distances(int(carbon), oxygens, mic=True, vector=True)
        lengths = np.linalg.norm(vectors, axis=1)
        order = np.argsort(lengths)
        # Carbonate groups of salts have bonds of 1.25 to 1.31 Å.
        assert np.all((lengths[order[:3]] > 1.25) & (lengths[order[:3]] < 1.31))
        assert lengths[order[3]] > 2.5
        assert abs(np.linalg.det(vectors[order[:3]])) < 0.03


def test_every_lithium_has_four_oxygens(crystal):
    lithiums, oxygens = (np.flatnonzero(crystal.numbers == number) for number in (3, 8))
    for lithium in lithiums:
        lengths = np.sort(crystal.get_distances(int(lithium), oxygens, mic=True))
        assert np.all((lengths[:4] > 1.85) & (lengths[:4] < 2.10))
        assert lengths[4] > 2.5


@pytest.mark.parametrize(
    'operation',
    [
        lambda x, y, z: (x + 0.5, y + 0.5, z),
        lambda x, y, z: (x, -y, z + 0.5),
        lambda x, y, z: (-x, y, 0.5 - z),
        lambda x, y, z: (-x, -y, -z),
    ],
    ids=['centring', 'glide plane c', 'twofold axis', 'inversion'],
)
def test_generators_of_its_space_group_map_the_cell_onto_itself(operation):
    symbols, fractional, _ = lithium_carbonate_cell()
    mapped = np.stack(operation(*fractional.T), axis=1)
    apart = mapped[:, None] - fractional[None]
    is_same = np.linalg.norm(apart - np.rint(apart), axis=2) < 1e-9
    assert is_same.sum(axis=1).tolist() == [1] * 24
    assert [symbols[index] for index in is_same.argmax(axis=1)] == symbols


@pytest.mark.parametrize('n_layers', [1, 2, 3])
def test_layers_are_neutral_and_have_no_dipole(n_layers):
    symbols, positions, _ = lithium_carbonate_layers((2, 1), n_layers)
    charges = np.array([CHARGES[symbol] for symbol in symbols])
    assert len(symbols) == 24 * n_layers
    assert charges.sum() == 0
    # Rounding of some hundred products of 10 e Å.
    assert abs(charges @ positions[:, 2]) < 1e-10


def test_layers_leave_every_carbonate_group_whole():
    symbols, positions, lateral = lithium_carbonate_layers((2, 2), 3)
    slab = Atoms(symbols, positions=positions, cell=[*lateral, 40.0], pbc=[True, True, False])
    oxygens = np.flatnonzero(slab.numbers == 8)
    for carbon in np.flatnonzero(slab.numbers == 6):
        assert np.count_nonzero(slab.get_distances(int(carbon), oxygens, mic=True) < 1.31) == 3
