"""Orientation of water."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis.planar_bins import PlanarBins, Rows
from aiida_edl.science.analysis.water_orientation import dipole_cosines, in_first_layer, layer_sums, orientation_sums

UP = np.array([[0.0, 0.0, 1.0]])


@pytest.mark.parametrize('angle', [0.0, 30.0, 90.0, 137.0, 180.0])
def test_cosine_is_that_of_the_angle_to_the_normal(angle):
    direction = 1.7 * np.array([[[np.sin(np.radians(angle)), 0.0, np.cos(np.radians(angle))]]])
    assert dipole_cosines(direction, UP, 1)[0, 0] == pytest.approx(np.cos(np.radians(angle)), abs=1e-15)


def test_sign_is_reversed_at_the_upper_surface():
    direction = np.array([[[0.0, 0.6, 0.8]]])
    assert dipole_cosines(direction, UP, 1).tolist() == [[0.8]]
    assert dipole_cosines(direction, UP, -1).tolist() == [[-0.8]]


def test_vanishing_direction_has_no_cosine():
    assert np.isnan(dipole_cosines(np.zeros((1, 1, 3)), UP, 1)[0, 0])


def test_frames_and_molecules_are_not_exchanged():
    # Two frames of three waters: a reading in the wrong order would mix the frames.
    cosines = np.array([[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]])
    heights = np.array([[0.5, 0.5, 0.5], [1.5, 1.5, 1.5]])
    water = np.ones((2, 3), dtype=bool)
    sums, counts = orientation_sums(heights, cosines, water, PlanarBins(1.0, 2.0), Rows(np.array([0, 1]), 2))
    assert sums.tolist() == [[3.0, 0.0], [0.0, -3.0]]
    assert counts.tolist() == [[3.0, 0.0], [0.0, 3.0]]


def test_oxygen_that_is_no_water_is_left_out():
    sums, counts = orientation_sums(
        np.array([[0.5, 0.5]]),
        np.array([[0.2, 0.9]]),
        np.array([[True, False]]),
        PlanarBins(1.0, 1.0),
        Rows(np.array([0]), 1),
    )
    assert (sums.tolist(), counts.tolist()) == ([[0.2]], [[1.0]])


def test_first_layer_holds_waters_between_the_plane_and_the_bound():
    heights, cosines = np.array([[-0.1, 0.0, 3.9, 4.0, 2.0]]), np.array([[0.1, 0.2, 0.3, 0.4, 0.5]])
    inside = in_first_layer(heights, cosines, np.array([[True, True, True, True, False]]), 4.0)
    assert inside.tolist() == [[False, True, True, False, False]]
    count, cosine = layer_sums(cosines, inside)
    assert (count.tolist(), cosine.tolist()) == ([2.0], [0.5])
