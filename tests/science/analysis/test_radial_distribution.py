"""Distributions of lattices and ideal gases, whose answers are known, and against MDAnalysis."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from aiida_edl.science.analysis.atom_groups import atom_groups
from aiida_edl.science.analysis.film_reference import HeightGrid, uncorrelated_pairs
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.radial_distribution import (
    Pair,
    PairSelection,
    RadialDistributions,
    RadialSums,
    chosen_pairs,
    molecular_pairs,
)

from . import structure_cases


def distributions(
    numbers: list[int],
    positions: np.ndarray,
    cell: np.ndarray,
    pbc: tuple[bool, ...] = (True, True, True),
    pairs: tuple[Pair, ...] = (Pair('O', 'O'),),
    reach: float = 6.0,
    counts_intramolecular: bool = False,
) -> RadialDistributions:
    n_frames = len(positions)
    grid = HeightGrid.of_period(cell[2][2]) if pbc[2] else HeightGrid.of_extent(0.0, float(positions[..., 2].max()))
    selection = PairSelection(pairs, np.arange(round(reach / 0.05) + 1) * 0.05, counts_intramolecular)
    sums = RadialSums.empty(selection, grid, n_frames, np.array(numbers))
    sums.add(structure_cases.chunk(numbers, positions, cell, pbc))
    area, volume = float(np.linalg.norm(np.cross(cell[0], cell[1]))), float(np.linalg.det(cell))
    return sums.distributions(structure_cases.blocks(n_frames), area, volume)


def test_simple_cubic_lattice_has_its_shells():
    spacing = 3.02
    sites = np.array(list(itertools.product(range(4), repeat=3))) * spacing
    found = distributions([8] * 64, np.tile(sites, (4, 1, 1)), np.eye(3) * 4 * spacing)
    shells = {spacing: 6, spacing * np.sqrt(2): 18, spacing * np.sqrt(3): 26}
    for radius, number in shells.items():
        here = int(radius / 0.05)
        assert found.coordination[0, here] == pytest.approx(number, rel=1e-12)
        assert found.r[here] == pytest.approx(here * 0.05 + 0.025)
    assert np.flatnonzero(found.g_cell[0]).tolist() == [int(radius / 0.05) for radius in shells]
    here = int(spacing / 0.05)
    shell = 4 / 3 * np.pi * ((here + 1) ** 3 - here**3) * 0.05**3
    assert found.g_cell[0, here] == pytest.approx(6 / (shell * 63 / (4 * spacing) ** 3), rel=1e-9)


def test_number_of_second_around_first_atoms():
    # One Na in the middle of six O: six O around Na, a sixth of a Na around each O.
    around = np.concatenate([np.eye(3), -np.eye(3)]) * 2.42 + 7.5
    positions = np.tile(np.concatenate([[[7.5] * 3], around]), (4, 1, 1))
    pairs = (Pair('Na', 'O'), Pair('O', 'Na'))
    found = distributions([11] + [8] * 6, positions, np.eye(3) * 15, pairs=pairs)
    assert found.coordination[:, 50] == pytest.approx([6.0, 1.0], rel=1e-12)
    assert found.pairs == ('Na-O', 'O-Na')


def test_reference_of_a_homogeneous_cell_is_the_density():
    grid, edges = HeightGrid.of_period(20.0), np.arange(121) * 0.05
    flat = np.full(grid.n_bins, 50 / grid.n_bins)
    expected = 4 / 3 * np.pi * np.diff(edges**3) * 50 * 50 / (100.0 * 20.0)
    assert uncorrelated_pairs(flat, flat, grid, 100.0, edges) == pytest.approx(expected, rel=1e-9)


def test_reference_of_a_uniform_film():
    grid, edges = HeightGrid.of_extent(-20.0, 20.0), np.arange(121) * 0.05
    heights = grid.low + (np.arange(grid.n_bins) + 0.5) * grid.step
    thickness, density = 8.0, 3.0
    film = np.where((heights > 1.0) & (heights < 1.0 + thickness), density * grid.step, 0.0)
    # 2 pi r / A times the integral of density² (thickness - |z|) for |z| < r.
    cumulative = 2 * np.pi / 144.0 * density**2 * (2 * thickness * edges**3 / 3 - edges**4 / 4)
    assert uncorrelated_pairs(film, film, grid, 144.0, edges) == pytest.approx(np.diff(cumulative), rel=1e-4)


def test_reference_of_two_layers_is_a_step():
    grid, edges = HeightGrid.of_extent(0.0, 12.0), np.arange(121) * 0.05
    below, above = (grid.counts(np.full(count, height)) for count, height in ((2, 1.01), (3, 5.03)))
    expected = 2 * np.pi * 6 / 100.0 * np.diff(np.maximum(edges, 4.02) ** 2) / 2
    found = uncorrelated_pairs(below, above, grid, 100.0, edges)
    away = np.abs(edges[1:] - 4.02) > 0.1
    assert found[away] == pytest.approx(expected[away], rel=1e-9, abs=1e-12)
    assert found.sum() == pytest.approx(expected.sum(), rel=1e-4)


@pytest.mark.parametrize('pbc', [(True, True, False), (True, True, True)])
def test_ideal_gas_in_a_layered_film_is_one(pbc):
    random = np.random.default_rng(4)
    n_frames, cell = 400, np.array([[13.0, 0, 0], [3.0, 12.5, 0], [0, 0, 24.0]])
    z = np.where(random.uniform(size=(n_frames, 40)) < 0.4, random.normal(4.0, 0.3, (n_frames, 40)), 0.0)
    z = np.where(z == 0.0, random.uniform(3.0, 11.0, (n_frames, 40)), z)
    positions = np.dstack([*random.uniform(0, 1, (2, n_frames, 40)), z / 24.0]) @ cell
    numbers, pairs = [8] * 30 + [11] * 10, (Pair('O', 'O'), Pair('Na', 'O'))
    found = distributions(numbers, positions, cell, pbc, pairs)
    known = found.r > 1.0
    deviations = ((found.g - 1.0) / found.g_error)[:, known]
    # 200 nearly independent normal deviations: a wrong factor of 1.01 would move their mean by 0.5.
    assert abs(deviations.mean()) < 0.25
    assert deviations.std() == pytest.approx(1.0, abs=0.2)
    weights = 1.0 / found.g_error[:, known] ** 2
    assert (found.g[:, known] * weights).sum() / weights.sum() == pytest.approx(1.0, abs=0.006)


def test_error_is_that_of_independent_pairs():
    random = np.random.default_rng(5)
    positions = random.uniform(0, 12.0, (500, 30, 3))
    found = distributions([8] * 30, positions, np.eye(3) * 12)
    # Of 15 · 29 pairs a fraction p lies in the bin, each counted twice.
    shell = 4 / 3 * np.pi * np.diff((np.arange(121) * 0.05) ** 3) / 12.0**3
    expected = np.sqrt(435 * shell / 500) / (435 * shell)
    far = found.r > 2.0
    assert (found.g_cell_error[0] / expected)[far].mean() == pytest.approx(1.0, abs=0.03)


def water_dimer() -> np.ndarray:
    """Two waters, 3 Å apart."""
    molecule = np.array([[0.0, 0.0, 0.0], [0.76, 0.0, 0.59], [-0.76, 0.0, 0.59]])
    return np.tile(np.concatenate([molecule, molecule + np.array([0.0, 3.0, 0.0])]) + 6.0, (4, 1, 1))


def test_pairs_within_a_molecule_are_left_out_unless_wanted():
    pairs = (Pair('O', 'H'), Pair('H', 'O'), Pair('H', 'H'))
    numbers, cell = [8, 1, 1] * 2, np.eye(3) * 14
    without = distributions(numbers, water_dimer(), cell, pairs=pairs)
    within = distributions(numbers, water_dimer(), cell, pairs=pairs, counts_intramolecular=True)
    assert without.coordination[:, 50].tolist() == [0.0, 0.0, 0.0]
    assert within.coordination[:, 50] == pytest.approx([2.0, 1.0, 1.0])
    assert without.coordination[:, -1] == pytest.approx([2.0, 1.0, 2.0])
    assert within.coordination[:, -1] == pytest.approx([4.0, 2.0, 3.0])


def test_pairs_of_hydrogen_of_one_oxygen():
    frame, first, second = molecular_pairs(np.array([[0, 1, 0, 1], [0, 0, 0, 1]]))
    found = sorted(zip(frame.tolist(), first.tolist(), second.tolist(), strict=True))
    hydronium = [(1, i, j) for i in range(3) for j in range(3) if i != j]
    assert found == [(0, 0, 2), (0, 1, 3), (0, 2, 0), (0, 3, 1), *hydronium]


def test_no_pairs_of_hydrogen_without_water():
    assert [part.size for part in molecular_pairs(np.array([[0, 1], [1, 0]]))] == [0, 0, 0]


def test_default_pairs_are_those_that_occur():
    numbers = np.array([79, 79, 8, 1, 1, 8, 1, 1, 11], dtype=np.uint8)
    pairs, absent = chosen_pairs(numbers, atom_groups(numbers), 'Na', ())
    assert absent == ()
    assert [pair.name for pair in pairs] == ['O-O', 'O-H', 'H-H', 'Na-O', 'Na-H', 'Au-O', 'Au-H', 'Au-Na']


def test_wanted_pairs_that_do_not_occur_are_named():
    numbers = np.array([79, 79, 8, 1, 1, 11], dtype=np.uint8)
    pairs, absent = chosen_pairs(numbers, atom_groups(numbers), 'Na', ['Na-O', 'K-O', 'Na-Na', 'Au-Au'])
    assert [pair.name for pair in pairs] == ['Na-O', 'Au-Au']
    assert absent == ('K-O', 'Na-Na')


@pytest.mark.parametrize(
    ('wanted', 'message'),
    [
        ('Wa-O', "the setting 'pairs' holds 'Wa-O'; give two elements with a hyphen, e.g. 'Na-O'"),
        ('Na', "the setting 'pairs' holds 'Na'; give two elements with a hyphen, e.g. 'Na-O'"),
        ('K-O', 'none of the pairs K-O occurs among the elements H, O, Au of the frames'),
    ],
)
def test_wrong_pairs_are_refused(wanted, message):
    numbers = np.array([79, 8, 1, 1], dtype=np.uint8)
    with pytest.raises(NotAnalysableError, match=f'^{re.escape(message)}$'):
        chosen_pairs(numbers, atom_groups(numbers), '', [wanted])
