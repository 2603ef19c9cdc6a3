"""Point charges in a cell: what is refused, and copies of them."""

from __future__ import annotations

import numpy as np
import pytest
from electrostatics_cases import PERIODIC, salt

from aiida_edl.science.electrostatics.charged_system import (
    COULOMB_CONSTANT,
    ChargedSystem,
    ChargedSystemError,
    rattled,
    supercell,
)


def system(**changes):
    parts = {'positions': np.zeros((2, 3)), 'cell': np.eye(3), 'charges': np.array([1.0, -1.0]), 'pbc': PERIODIC}
    return ChargedSystem(**{**parts, **changes})


def test_the_coulomb_constant_is_that_of_codata():
    assert pytest.approx(14.399645478, rel=1e-9) == COULOMB_CONSTANT


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'positions': np.zeros((3, 3))}, r'^the positions of 2 charges have the shape \(3, 3\), expected \(2, 3\)$'),
        ({'positions': np.full((2, 3), np.nan)}, '^6 of the 6 numbers of the positions are not finite$'),
        ({'charges': np.array([1.0, np.inf])}, '^1 of the 2 numbers of the charges are not finite$'),
        ({'cell': np.diag([1.0, 1.0, 0.0])}, 'lie in a plane or vanish; they must be linearly independent$'),
        (
            {'positions': np.zeros((0, 3)), 'charges': np.zeros(0)},
            '^there are no charges, at least one is needed$',
        ),
    ],
)
def test_what_has_no_energy_is_refused(changes, message):
    with pytest.raises(ChargedSystemError, match=message):
        system(**changes)


def test_a_supercell_has_the_volume_and_charges_of_its_copies():
    single = salt(repetitions=(1, 1, 1))
    six = supercell(single, (1, 2, 3))
    assert six.volume == pytest.approx(6.0 * single.volume)
    assert np.sum(np.abs(six.charges)) == 6.0 * np.sum(np.abs(single.charges))


def test_the_same_seed_displaces_alike():
    first, second = (rattled(system(), 0.1, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.positions, second.positions)


def test_heights_are_distances_of_faces():
    cell = np.array([[2.0, 0.0, 0.0], [1.0, 3.0, 0.0], [0.0, 0.0, 4.0]])
    np.testing.assert_allclose(system(cell=cell).heights, [6.0 / np.hypot(1.0, 3.0), 3.0, 4.0])
