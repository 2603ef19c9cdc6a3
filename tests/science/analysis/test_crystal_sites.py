"""Holes of ideal, noisy, skewed and irregular frameworks."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from aiida_edl.science.analysis.crystal_sites import CrystalSites, framework_sites, given_sites
from aiida_edl.science.analysis.not_analysable import NotAnalysableError

LATTICE = 4.03


def framework(n_cells: int, is_cubic: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scaled positions of F and of Li in LiF, and the cell."""
    atoms = bulk('LiF', 'rocksalt', a=LATTICE, cubic=is_cubic) * (n_cells, n_cells, n_cells)
    scaled, is_fluorine = atoms.get_scaled_positions(), atoms.numbers == 9
    return scaled[is_fluorine], scaled[~is_fluorine], atoms.cell.array


def distances(first: np.ndarray, second: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Return the distance of each of the first points to the nearest of the second [Å]."""
    apart = first[:, np.newaxis] - second[np.newaxis]
    return np.linalg.norm((apart - np.rint(apart)) @ cell, axis=2).min(axis=1)


def sites_of(mean: np.ndarray, cell: np.ndarray) -> CrystalSites:
    """Return the holes with the default distances."""
    return framework_sites(mean, cell, merge_distance=0.8, minimum_radius=1.4)


@pytest.mark.parametrize('n_cells', [1, 2, 3])
def test_rocksalt_has_one_octahedral_and_two_tetrahedral_holes_for_each_anion(n_cells):
    anions, cations, cell = framework(n_cells)
    sites = sites_of(anions, cell)
    assert sites.kinds == ('octahedral', 'tetrahedral', 'other')
    assert sites.counts.tolist() == [4 * n_cells**3, 8 * n_cells**3, 0]
    # The cations sit in the octahedra, to the rounding of the tessellation.
    assert distances(cations, sites.scaled[sites.kind == 0], cell).max() < 1e-9
    quarters = sites.scaled[sites.kind == 1] * 4 * n_cells
    assert np.abs(quarters - np.rint(quarters)).max() < 1e-9
    assert np.all(np.rint(quarters) % 2 == 1)


def test_nearest_sites_are_a_quarter_of_the_diagonal_apart():
    anions, _, cell = framework(2)
    assert sites_of(anions, cell).smallest_distance == pytest.approx(np.sqrt(3) / 4 * LATTICE)


def test_a_primitive_cell_has_the_same_holes():
    anions, _, cell = framework(4, is_cubic=False)
    assert sites_of(anions, cell).counts.tolist() == [64, 128, 0]


@pytest.mark.parametrize('noise', [1e-12, 1e-6, 0.02, 0.1])
def test_noise_changes_no_hole(noise):
    """Thermal means deviate by hundredths of an Å; holes follow by no more than the noise of their corners."""
    anions, cations, cell = framework(3)
    random = np.random.default_rng(1)
    noisy = anions + noise * random.normal(size=anions.shape) @ np.linalg.inv(cell)
    sites = sites_of(noisy, cell)
    assert sites.counts.tolist() == [108, 216, 0]
    # Five standard deviations of the mean of six corners.
    assert distances(cations, sites.scaled[sites.kind == 0], cell).max() < 5 * noise / np.sqrt(6) + 1e-9


def test_translation_moves_the_holes():
    anions, _, cell = framework(2)
    shift = np.array([0.3, -1.2, 7.7])
    first, second = sites_of(anions, cell), sites_of(anions + shift, cell)
    assert second.counts.tolist() == first.counts.tolist()
    assert distances(first.scaled + shift, second.scaled, cell).max() < 1e-9


def test_body_centred_framework_has_only_tetrahedra():
    """Six holes for each atom of a body-centred lattice, C. Kittel, Introduction to Solid State Physics."""
    atoms = bulk('Fe', 'bcc', a=4.0, cubic=True) * (3, 3, 3)
    sites = framework_sites(atoms.get_scaled_positions(), atoms.cell.array, merge_distance=0.5, minimum_radius=1.4)
    assert sites.counts.tolist() == [0, 12 * 27, 0]


def test_small_holes_are_no_sites():
    anions, _, cell = framework(2)
    sites = framework_sites(anions, cell, merge_distance=0.8, minimum_radius=1.9)
    assert sites.counts.tolist() == [32, 0, 0]


def test_a_framework_without_holes_is_refused():
    anions, _, cell = framework(2)
    with pytest.raises(NotAnalysableError, match=r'^the framework has no hole of a radius of 3 Å or more$'):
        framework_sites(anions, cell, merge_distance=0.8, minimum_radius=3.0)


def test_a_thin_cell_is_refused():
    anions, _, cell = framework(1)
    message = '^the smallest height of the cell is 4.03 Å, too thin for a merge_distance of 2.5 Å: repeat the cell$'
    with pytest.raises(NotAnalysableError, match=message):
        framework_sites(anions, cell, merge_distance=2.5, minimum_radius=1.4)


def test_given_sites_are_folded():
    sites = given_sites(np.array([[0.0, 1.25, -0.25], [0.5, 0.5, 0.5]]), ('cage', 'bridge'), np.eye(3))
    assert sites.kinds == ('cage', 'bridge')
    assert sites.scaled.tolist() == [[0.0, 0.25, 0.75], [0.5, 0.5, 0.5]]
