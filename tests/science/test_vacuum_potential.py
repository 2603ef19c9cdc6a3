"""Levels and fields of the vacuum on both sides of a film."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.vacuum_potential import vacuum_potential

HEIGHTS = np.linspace(0.0, 30.0, 301)


def profile(below: float, above: float, field: float = 0.0) -> np.ndarray:
    """Return a potential energy with a level below 10 Å and one above 20 Å, and a well between."""
    levels = np.where(HEIGHTS < 15.0, below, above) + field * HEIGHTS
    return np.where((HEIGHTS > 8.0) & (HEIGHTS < 22.0), -20.0, levels)


def test_levels_of_both_sides():
    found = vacuum_potential(HEIGHTS, profile(1.5, -0.5), 10.0, 20.0)
    assert found.levels == pytest.approx([1.5, -0.5], abs=1e-12)
    assert found.fields == pytest.approx([0.0, 0.0], abs=1e-12)


def test_field_is_positive_where_the_energy_of_an_electron_rises():
    """The field pushes electrons down, so it points up."""
    found = vacuum_potential(HEIGHTS, profile(0.0, 0.0, field=0.137), 10.0, 20.0)
    assert found.fields == pytest.approx([0.137, 0.137], abs=1e-12)


def test_tail_of_the_density_is_left_out():
    """The well reaches 2 Å beyond the atoms."""
    found = vacuum_potential(HEIGHTS, profile(0.0, 0.0), 10.0, 20.0)
    assert found.levels.tolist() == [0.0, 0.0]


def test_side_without_vacuum_is_not_a_number():
    found = vacuum_potential(HEIGHTS, profile(1.0, 2.0), 3.1, 20.0)
    assert np.isnan(found.levels[0])
    assert np.isnan(found.fields[0])
    assert found.levels[1] == pytest.approx(2.0, abs=1e-12)
