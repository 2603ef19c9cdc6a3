"""Paths of defects by hand, on a row of sites that closes on itself."""

from __future__ import annotations

import numpy as np

from aiida_edl.science.analysis.crystal_sites import given_sites
from aiida_edl.science.analysis.defect_path import DEFECT_KINDS, defect_path
from aiida_edl.science.analysis.hop_jumps import Jumps

CELL = np.diag([10.0, 10.0, 10.0])
N_FRAMES = 8


def row_of_sites(kinds: tuple[str, ...]):
    """Return five sites along x, 2 Å apart, and which are of the lattice."""
    places = np.array([[0.2 * index, 0.0, 0.0] for index in range(5)])
    sites = given_sites(places, kinds, CELL)
    return sites, np.array([name == 'lattice' for name in kinds])


def test_an_interstitial_is_unfolded_over_the_face_of_the_cell():
    sites, is_lattice = row_of_sites(('interstitial',) * 5)
    jumps = Jumps.sorted(np.array([3]), [(2, 0, 3, 4), (4, 0, 4, 0), (6, 0, 0, 1)])
    path = defect_path(jumps, sites, is_lattice, N_FRAMES, 100)
    assert path.position[:, 0].round(9).tolist() == [6.0, 6.0, 8.0, 8.0, 10.0, 10.0, 12.0, 12.0]
    assert set(path.carrier.tolist()) == {0}
    assert {DEFECT_KINDS[kind] for kind in path.kind} == {'interstitial'}


def test_a_vacancy_moves_against_the_atoms():
    sites, is_lattice = row_of_sites(('lattice',) * 5)
    jumps = Jumps.sorted(np.array([1, 2, 3, 4]), [(3, 0, 1, 0), (5, 1, 2, 1)])
    path = defect_path(jumps, sites, is_lattice, N_FRAMES, 100)
    assert path.position[:, 0].round(9).tolist() == [0.0, 0.0, 0.0, 2.0, 2.0, 4.0, 4.0, 4.0]
    assert {DEFECT_KINDS[kind] for kind in path.kind} == {'vacancy'}


def test_a_knock_off_is_one_path():
    """Between both jumps, the site holds two atoms."""
    sites, is_lattice = row_of_sites(('interstitial', 'lattice', 'interstitial', 'interstitial', 'interstitial'))
    jumps = Jumps.sorted(np.array([0, 1]), [(3, 0, 0, 1), (5, 1, 1, 2)])
    path = defect_path(jumps, sites, is_lattice, N_FRAMES, 100)
    assert path.position[:, 0].round(9).tolist() == [0.0, 0.0, 0.0, 2.0, 2.0, 4.0, 4.0, 4.0]
    assert [DEFECT_KINDS[kind] for kind in path.kind[2:6]] == ['interstitial', 'shared', 'shared', 'interstitial']
    assert set(path.carrier.tolist()) == {0}


def test_points_are_bounded():
    sites, is_lattice = row_of_sites(('lattice',) * 5)
    path = defect_path(Jumps.sorted(np.array([0, 1, 2]), []), sites, is_lattice, 1000, 50)
    assert 40 <= len(path.frame) <= 50
    assert np.unique(path.carrier).tolist() == [0, 1]


def test_a_perfect_crystal_has_no_path():
    sites, is_lattice = row_of_sites(('lattice',) * 5)
    path = defect_path(Jumps.sorted(np.arange(5), []), sites, is_lattice, N_FRAMES, 100)
    assert path.position.shape == (0, 3)
