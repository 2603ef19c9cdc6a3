"""Sorted distances to the nearest neighbours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.neighborlist import primitive_neighbor_list
from frame_cases import frame_set, interface_frame, permuted, shaken
from scipy.spatial.transform import Rotation

from aiida_edl.science.frames import Frame
from aiida_edl.science.neighbour_distances import (
    nearest_distances,
    neighbour_fingerprints,
    sorted_distance_descriptors,
)


def test_simple_cubic_crystal_has_six_neighbours_at_the_lattice_constant():
    """One atom in a cube of 3 Å: 6 images at 3 Å, then 12 at the diagonal of a face."""
    frame = Frame(np.array([3], np.uint8), np.zeros((1, 3)), np.eye(3) * 3.0, np.ones(3, bool))
    np.testing.assert_allclose(nearest_distances(frame, 8), [[3.0] * 6 + [3.0 * np.sqrt(2.0)] * 2])


def test_open_direction_without_a_cell_vector_has_no_images():
    frame = Frame(np.array([3, 3], np.uint8), np.array([[0.0, 0, 0], [0, 0, 2.0]]), np.zeros((3, 3)), np.zeros(3, bool))
    np.testing.assert_allclose(nearest_distances(frame, 2), [[2.0, np.inf]] * 2)


@pytest.mark.parametrize(
    ('cell', 'pbc'),
    [
        ([[9.0, 0, 0], [0, 9.0, 0], [0, 0, 14.0]], [1, 1, 0]),
        ([[8.6, 0, 0], [4.3, 7.4, 0], [0, 0, 14.0]], [1, 1, 0]),
        ([[6.0, 0.5, 0], [2.0, 6.5, 0.3], [1.0, 2.0, 7.0]], [1, 1, 1]),
        ([[3.0, 0, 0], [0, 9.0, 0], [0, 0, 9.0]], [1, 0, 1]),
    ],
)
def test_distances_are_those_of_the_neighbour_list_of_ase(cell, pbc):
    """Cells that are tilted, thinner than the cutoff or open; atoms outside of the cell."""
    positions = np.random.default_rng(0).uniform(-8.0, 20.0, (40, 3))
    frame = Frame(np.ones(40, np.uint8), positions, np.array(cell), np.array(pbc, bool))
    first, distances = primitive_neighbor_list('id', frame.pbc, frame.cell, frame.positions, 5.0)
    expected = np.full((40, 6), np.inf)
    for atom in range(40):
        own = np.sort(distances[first == atom])[:6]
        expected[atom, : len(own)] = own
    np.testing.assert_allclose(nearest_distances(frame, 6), expected, atol=1e-10)


def test_coinciding_atoms_are_at_no_distance():
    frame = Frame(np.ones(2, np.uint8), np.zeros((2, 3)), np.eye(3) * 9.0, np.ones(3, bool))
    assert nearest_distances(frame, 1).tolist() == [[0.0], [0.0]]
    assert np.isinf(sorted_distance_descriptors(frame_set(frame))).all()


def test_fingerprint_does_not_change_under_symmetries():
    frame = replace(interface_frame(0), pbc=np.zeros(3, bool))
    rotation = Rotation.random(random_state=1).as_matrix()
    variants = [
        replace(frame, positions=frame.positions + 7.0),
        replace(frame, positions=frame.positions @ rotation.T),
        permuted(frame, 3),
    ]
    points = neighbour_fingerprints(frame_set(frame, *variants))
    np.testing.assert_allclose(points[1:], np.tile(points[0], (3, 1)), atol=1e-12)


def test_fingerprint_of_a_wrapped_frame_is_that_of_the_unwrapped():
    frame = interface_frame(0)
    moved = replace(frame, positions=frame.positions + 5.0)
    wrapped = replace(moved, positions=moved.positions - np.floor(moved.positions / 9.0) * [9.0, 9.0, 0.0])
    points = neighbour_fingerprints(frame_set(moved, wrapped))
    np.testing.assert_allclose(points[0], points[1], atol=1e-12)


def test_distance_of_two_dimers_is_the_change_of_their_length():
    """Both atoms see the other at 1.0 or at 1.3 Å, and no second neighbour."""
    frames = [
        Frame(np.ones(2, np.uint8), np.array([[0.0, 0, 0], [0, 0, z]]), np.zeros((3, 3)), np.zeros(3, bool))
        for z in (1.0, 1.3)
    ]
    points = neighbour_fingerprints(frame_set(*frames), n_distances=1)
    assert np.linalg.norm(points[0] - points[1]) == pytest.approx(0.3)


@pytest.mark.parametrize('scale', [1e-4, 1e-2, 0.3])
def test_fingerprints_differ_by_at_most_twice_the_largest_displacement(scale):
    frame = interface_frame(0, n_ions=2)
    for seed in range(5):
        moved = shaken(frame, scale, seed)
        points = neighbour_fingerprints(frame_set(frame, moved))
        largest = np.linalg.norm(moved.positions - frame.positions, axis=1).max()
        assert np.linalg.norm(points[0] - points[1]) <= 2.0 * largest


def test_fingerprints_of_different_compositions_are_refused():
    message = '^frame 1 has another composition than frame 0; compare frames of one composition$'
    one = interface_frame(0)
    other = replace(one, numbers=np.where(one.numbers == 8, 16, one.numbers).astype(np.uint8))
    with pytest.raises(ValueError, match=message):
        neighbour_fingerprints(frame_set(one, other))
