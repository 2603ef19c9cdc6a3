"""Ions in shells made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis.ion_coordination import (
    CoordinationSums,
    IonCoordination,
    coordination_cutoff,
    first_minimum,
)
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.structure_settings import StructureSettings

from . import structure_cases


def coordination(ions: list[float], shells: list[list[float]], settings: StructureSettings) -> IonCoordination:
    """Ions at the given heights on a line, each with oxygen at the given distances; four equal frames."""
    directions = np.concatenate([np.eye(3), -np.eye(3)])
    places = np.array([[8.0 + 12.0 * i, 8.0, z] for i, z in enumerate(ions)])
    oxygen = [places[i] + directions[j] * r for i, shell in enumerate(shells) for j, r in enumerate(shell)]
    positions = np.tile(np.concatenate([places, np.array(oxygen)]), (4, 1, 1))
    cell = np.diag([12.0 * len(ions), 16.0, 40.0])
    chunk = structure_cases.chunk([11] * len(ions) + [8] * len(oxygen), positions, cell, (True, True, False))
    sums = CoordinationSums.empty(4, coordination_cutoff('Na', settings), settings)
    sums.add(chunk, settings)
    return sums.coordination(structure_cases.blocks(4), 3.1, settings)


def test_oxygen_within_the_cutoff_counts():
    found = coordination([10.5], [[3.199, 3.201, 2.4, 2.4, 2.4, 5.0]], StructureSettings())
    assert found.mean == 4.0
    assert found.distribution.tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert (found.cutoff, found.first_minimum) == (3.2, 3.1)
    assert np.isnan(found.mean_error)


def test_height_decides_on_bin_and_population():
    heights, shells = [3.9, 5.0, 7.1, 14.2, -1.0], [[2.4] * 2, [2.4] * 3, [2.4] * 4, [2.4] * 6, [2.4]]
    found = coordination(heights, shells, StructureSettings())
    assert found.populations == pytest.approx([0.2, 0.2, 0.4, 0.2])
    assert found.by_population == pytest.approx([2.0, 3.0, 5.0, 1.0])
    assert found.by_height[[3, 5, 7, 14]] == pytest.approx([2.0, 3.0, 4.0, 6.0])
    assert found.ions_by_height.sum() == 4.0
    assert found.mean == pytest.approx(16 / 5)


def test_cutoff_can_be_given():
    assert coordination([5.0], [[3.4] * 4], StructureSettings(coordination_cutoff=3.5)).mean == 4.0


def test_unknown_ion_needs_a_cutoff():
    message = "^no distance to coordinating oxygen is known for Xe: give the setting 'coordination_cutoff'$"
    with pytest.raises(NotAnalysableError, match=message):
        coordination_cutoff('Xe', StructureSettings())


def test_first_minimum_follows_the_highest_peak():
    r = np.arange(120) * 0.05 + 0.025
    g = 8 * np.exp(-(((r - 2.4) / 0.15) ** 2)) + 1.5 * np.exp(-(((r - 4.5) / 0.5) ** 2)) + 0.02 * (r - 3.3) ** 2
    assert first_minimum(r, g) == pytest.approx(3.2, abs=0.2)


@pytest.mark.parametrize('g', [np.zeros(40), np.linspace(5.0, 0.0, 40), np.full(40, np.nan), np.ones(2)])
def test_no_minimum_is_nan(g):
    assert np.isnan(first_minimum(np.arange(len(g)) * 0.1, g))
