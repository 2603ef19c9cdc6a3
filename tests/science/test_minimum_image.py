"""Shortest displacements, against ASE."""

from __future__ import annotations

import numpy as np
import pytest
from ase.geometry import find_mic

from aiida_edl.science.minimum_image import minimum_image, minimum_image_of_frames

HEXAGONAL = np.array([[6.0, 0.0, 0.0], [-3.0, 5.196152422706632, 0.0], [0.0, 0.0, 20.0]])


@pytest.mark.parametrize('pbc', [(True, True, True), (True, True, False)])
def test_short_displacements_agree_with_ase(pbc):
    """Displacements below half the smallest height (2.598 Å), moved by random lattice vectors."""
    generator = np.random.default_rng(0)
    short = generator.normal(size=(200, 3))
    short *= 2.5 * generator.random((200, 1)) / np.linalg.norm(short, axis=1, keepdims=True)
    moved = short + (generator.integers(-3, 4, size=(200, 3)) * np.array(pbc)) @ HEXAGONAL
    expected, _ = find_mic(moved, HEXAGONAL, pbc)
    folded = minimum_image(moved, HEXAGONAL, np.array(pbc))
    np.testing.assert_allclose(folded, expected, atol=1e-12)
    np.testing.assert_allclose(folded, short, atol=1e-12)


def test_open_system_is_left_alone():
    displacement = np.array([[100.0, 0.0, 0.0]])
    assert minimum_image(displacement, np.zeros((3, 3)), np.zeros(3, dtype=bool)) is displacement


def test_missing_vector_along_an_open_direction_does_not_matter():
    cell = np.diag([5.0, 5.0, 0.0])
    folded = minimum_image(np.array([4.0, -3.0, 7.0]), cell, np.array([True, True, False]))
    np.testing.assert_allclose(folded, [-1.0, 2.0, 7.0])


@pytest.mark.parametrize('is_constant', [True, False])
def test_many_frames_are_folded_like_one(is_constant):
    generator = np.random.default_rng(1)
    cells = HEXAGONAL * (np.ones(4) if is_constant else np.linspace(1.0, 1.3, 4))[:, None, None]
    pbc = np.array([[True, True, False]] * 4)
    vectors = generator.uniform(-30.0, 30.0, size=(4, 50, 3))
    expected = [minimum_image(*frame) for frame in zip(vectors, cells, pbc)]
    np.testing.assert_allclose(minimum_image_of_frames(vectors, cells, pbc), expected, atol=1e-10)
