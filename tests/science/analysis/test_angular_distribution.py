"""Angular distribution of the first layer."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis.angular_distribution import angle_sums, angles_in_degree
from aiida_edl.science.analysis.planar_bins import PlanarBins, Rows

FIVE_DEGREE = PlanarBins(5.0, 180.0)


def test_angles_are_in_degree():
    # The arccosine is in radian: 60° must not come out as 1.047, nor as 0.018.
    assert angles_in_degree(np.array([1.0, 0.5, 0.0, -1.0])) == pytest.approx([0.0, 60.0, 90.0, 180.0], abs=1e-12)


def test_rounding_beyond_one_is_cut():
    assert angles_in_degree(np.array([1.0 + 1e-15, -1.0 - 1e-15])).tolist() == [0.0, 180.0]


def test_angle_is_counted_in_its_bin():
    cosines = np.cos(np.radians([[2.5, 62.5, 62.6, 178.0]]))
    sums = angle_sums(cosines, np.ones((1, 4), dtype=bool), FIVE_DEGREE, Rows(np.array([0]), 1))[0]
    assert np.flatnonzero(sums).tolist() == [0, 12, 35]
    assert sums[[0, 12, 35]].tolist() == [1.0, 2.0, 1.0]


def test_hydrogen_straight_at_the_metal_is_counted():
    sums = angle_sums(np.array([[-1.0]]), np.ones((1, 1), dtype=bool), FIVE_DEGREE, Rows(np.array([0]), 1))
    assert sums[0, -1] == 1.0


def test_waters_outside_the_layer_are_left_out_and_rows_kept():
    cosines, inside = np.zeros((2, 2)), np.array([[True, False], [True, True]])
    sums = angle_sums(cosines, inside, FIVE_DEGREE, Rows(np.array([0, 1]), 2))
    assert sums.sum(axis=1).tolist() == [1.0, 2.0]


def test_isotropic_water_gives_half_the_sine():
    cosines = np.random.default_rng(4).uniform(-1, 1, (100, 1000))
    rows = Rows(np.zeros(100, dtype=np.int64), 1)
    sums = angle_sums(cosines, np.ones((100, 1000), dtype=bool), FIVE_DEGREE, rows)[0]
    edges = np.radians(np.arange(0, 181, 5))
    expected = 1e5 * 0.5 * (np.cos(edges[:-1]) - np.cos(edges[1:]))
    # Poisson: four standard deviations of each bin.
    assert np.all(np.abs(sums - expected) < 4 * np.sqrt(expected))
