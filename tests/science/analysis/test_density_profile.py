"""Number and mass densities."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis.density_profile import WATER_MASS, atomic_mass, mass_density, number_density_sums
from aiida_edl.science.analysis.planar_bins import PlanarBins, Rows


def test_known_count_gives_count_over_area_and_width():
    heights = np.array([[0.25, 0.30, 1.2]])
    sums = number_density_sums(heights, np.array([50.0]), PlanarBins(0.5, 1.5), Rows(np.array([0]), 1))
    assert sums[0] == pytest.approx([2 / 25, 0.0, 1 / 25], rel=1e-14)


def test_each_frame_is_divided_by_its_own_area():
    sums = number_density_sums(
        np.array([[0.5], [0.5]]), np.array([10.0, 40.0]), PlanarBins(1.0, 1.0), Rows(np.array([0, 0]), 1)
    )
    assert sums[0] == pytest.approx([1 / 10 + 1 / 40], rel=1e-14)


def test_ideal_gas_is_uniform():
    random = np.random.default_rng(7)
    n_frames, n_atoms, area, height = 400, 500, 100.0, 20.0
    heights = random.uniform(0, height, (n_frames, n_atoms))
    rows = Rows(np.zeros(n_frames, dtype=np.int64), 1)
    density = number_density_sums(heights, np.full(n_frames, area), PlanarBins(0.5, height), rows)[0] / n_frames
    # 5000 counts a bin: relative error 1/sqrt(5000) = 1.4 %; the largest of 40 bins stays below four of these.
    assert density == pytest.approx(np.full(40, n_atoms / (area * height)), rel=0.057)
    assert density.sum() * 0.5 * area == pytest.approx(n_atoms, rel=1e-12)


def test_mass_density_of_liquid_water():
    # 18.015 u * 1.66053906892e-24 g / 1e-24 cm³ * 0.0334
    assert float(mass_density(np.array(0.0334), WATER_MASS)) == pytest.approx(0.99914, abs=1e-5)


def test_oxygen_is_heavier_than_hydrogen():
    assert (atomic_mass('O'), atomic_mass('H')) == (15.999, 1.008)
