"""Frames as points whose distances are lower bounds of displacements."""

from __future__ import annotations

import numpy as np
import pytest
from ase.geometry import find_mic

from aiida_edl.science.periodic_points import periodic_points, squared_distances

CELLS = {
    'right angles': (np.diag([7.0, 9.0, 20.0]), [1, 1, 1]),
    'film': (np.diag([7.0, 9.0, 20.0]), [1, 1, 0]),
    'film without a third vector': (np.diag([7.0, 9.0, 0.0]), [1, 1, 0]),
    'hexagonal': (np.array([[8.0, 0, 0], [4.0, 6.93, 0], [0, 0, 20.0]]), [1, 1, 0]),
    'tilted': (np.array([[6.0, 0.5, 0], [2.0, 6.5, 0.3], [1.0, 2.0, 7.0]]), [1, 1, 1]),
    'molecule': (np.zeros((3, 3)), [0, 0, 0]),
}


def pairs(name: str, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return distances of points, and roots of sums of squared displacements by ASE."""
    cell, pbc = CELLS[name]
    generator = np.random.default_rng(1)
    first = generator.uniform(-10.0, 20.0, (20, 5, 3))
    second = first + generator.normal(0.0, scale, first.shape) + generator.integers(-2, 3, (20, 5, 3)) * pbc @ cell
    points = periodic_points(np.concatenate([first, second]), np.tile(cell, (40, 1, 1)), np.array(pbc, bool))
    exact = [np.sqrt((find_mic(b - a, cell, pbc)[1] ** 2).sum()) for a, b in zip(first, second)]
    return np.linalg.norm(points[:20] - points[20:], axis=1), np.array(exact)


@pytest.mark.parametrize('name', CELLS)
@pytest.mark.parametrize('scale', [1e-3, 0.3, 5.0])
def test_points_are_never_farther_than_the_atoms(name, scale):
    found, exact = pairs(name, scale)
    assert (found <= exact * (1.0 + 1e-9)).all()


@pytest.mark.parametrize('name', ['right angles', 'film', 'film without a third vector', 'molecule'])
def test_bound_is_tight_for_small_displacements_at_right_angles(name):
    found, exact = pairs(name, 1e-3)
    np.testing.assert_allclose(found, exact, rtol=1e-5)


def test_bound_is_not_useless_in_a_hexagonal_cell():
    """The eigenvalues of cosines of 1/2 are 1/2 and 3/2."""
    found, exact = pairs('hexagonal', 1e-3)
    assert (found >= np.sqrt(1.0 / 3.0) * exact * (1.0 - 1e-3)).all()


def test_squared_distances():
    first, second = np.random.default_rng(0).normal(size=(2, 5, 3))
    exact = ((first[:, None] - second) ** 2).sum(axis=2)
    np.testing.assert_allclose(squared_distances(first, second), exact, atol=1e-12)
