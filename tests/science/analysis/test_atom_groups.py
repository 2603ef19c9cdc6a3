"""Atom groups and the assignment of hydrogen to oxygen."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis import atom_groups as atom_groups_module
from aiida_edl.science.analysis.atom_groups import assign_hydrogens, atom_groups, complete_cells, equal_compositions
from aiida_edl.science.frames import FrameSet

from . import synthetic

CUBE = np.diag([10.0, 10.0, 10.0])[None]
PERIODIC = np.ones((1, 3), dtype=bool)


def brute_force_owners(oxygen, hydrogen, cell, pbc):
    """Nearest O of each H over all images up to the second shell, and its distance."""
    ranges = [range(-2, 3) if periodic else (0,) for periodic in pbc]
    shifts = np.array([(i, j, k) for i in ranges[0] for j in ranges[1] for k in ranges[2]]) @ cell
    distances = np.linalg.norm(hydrogen[:, None, None] - oxygen[None, :, None] - shifts, axis=-1).min(axis=-1)
    return distances.argmin(axis=1), distances.min(axis=1)


def test_groups_follow_from_the_elements():
    groups = atom_groups(np.array([79, 8, 1, 1, 11, 78, 6, 17], dtype=np.uint8))
    assert groups.metal.tolist() == [0, 5]
    assert groups.oxygen.tolist() == [1]
    assert groups.hydrogen.tolist() == [2, 3]
    assert groups.ions.tolist() == [4, 7]
    assert groups.others.tolist() == [6]


def test_hydrogen_belongs_to_the_nearest_oxygen_across_the_boundary():
    oxygen = np.array([[[9.8, 5.0, 5.0], [3.0, 5.0, 5.0]]])
    hydrogen = np.array([[[0.5, 5.0, 5.0], [3.5, 5.0, 5.0]]])
    found = assign_hydrogens(oxygen, hydrogen, CUBE, PERIODIC)
    assert found.owners.tolist() == [[0, 1]]
    # 0.5 - 9.8 + 10 = 0.7, to the rounding of subtraction at 10 Å.
    assert found.bonds[0] == pytest.approx(np.array([[0.7, 0, 0], [0.5, 0, 0]]), abs=1e-14)


def test_open_directions_are_not_wrapped():
    oxygen = np.array([[[9.8, 5.0, 5.0], [3.0, 5.0, 5.0]]])
    hydrogen = np.array([[[0.5, 5.0, 5.0], [3.5, 5.0, 5.0]]])
    found = assign_hydrogens(oxygen, hydrogen, CUBE, np.array([[False, True, True]]))
    assert found.owners.tolist() == [[1, 1]]


def test_hydronium_and_hydroxide_are_no_water():
    hydronium = np.array([[[5.0, 5.0, 5.0], [1.0, 1.0, 1.0], [1.0, 5.0, 5.0]]])
    hydrogen = np.array([[5.9, 5, 5], [5, 5.9, 5], [5, 5, 5.9], [1.9, 1, 1], [1.9, 5, 5], [1, 5.9, 5]])[None]
    found = assign_hydrogens(hydronium, hydrogen, CUBE, PERIODIC)
    assert found.hydrogen_counts.tolist() == [[3, 1, 2]]
    assert found.is_water.tolist() == [[False, False, True]]
    assert found.irregular_counts.tolist() == [2]


def test_dipole_direction_is_the_sum_of_the_bonds():
    atoms = synthetic.water(np.array([[5.0, 5.0, 5.0]]), np.array([[0.0, 0.6, 0.8]]))
    found = assign_hydrogens(atoms[:, :1], atoms[:, 1:], CUBE, PERIODIC)
    length = 2 * synthetic.BOND * np.cos(synthetic.HALF_ANGLE)
    assert found.dipole_directions[0, 0] == pytest.approx(length * np.array([0.0, 0.6, 0.8]), abs=1e-12)


@pytest.mark.parametrize('pbc', [(True, True, True), (True, True, False), (False, False, False)])
@pytest.mark.parametrize('cell', [np.diag([9.0, 8.0, 12.0]), np.array([[9.0, 0, 0], [4.5, 7.8, 0], [0.5, 1.0, 12.0]])])
def test_assignment_equals_a_search_over_all_images(cell, pbc):
    random = np.random.default_rng(3)
    oxygen = random.uniform(size=(40, 12, 3)) @ cell
    # Half the hydrogen sits on the oxygen of the first frame, half anywhere: both ways of the search are taken.
    near = oxygen[:, [0, 0, 3, 3]] + random.uniform(-0.5, 0.5, (40, 4, 3))
    hydrogen = np.concatenate([near, random.uniform(size=(40, 4, 3)) @ cell], axis=1)
    found = assign_hydrogens(oxygen, hydrogen, np.tile(cell, (40, 1, 1)), np.tile(np.array(pbc), (40, 1)))
    for index in range(40):
        expected, distances = brute_force_owners(oxygen[index], hydrogen[index], cell, pbc)
        # Rounding finds the nearest image below half the distance of opposite faces; no bond comes near that.
        is_exact = distances < 0.5 / np.linalg.norm(np.linalg.inv(cell), axis=0).max()
        assert np.count_nonzero(is_exact) >= 4
        assert found.owners[index][is_exact].tolist() == expected[is_exact].tolist()


def test_intact_water_that_moves_keeps_its_hydrogen_and_a_jump_is_seen():
    oxygen = np.array([[1.0, 5.0, 5.0], [4.0, 5.0, 5.0]])
    first = np.array([[1.9, 5.0, 5.0], [1.0, 5.9, 5.0], [4.0, 5.9, 5.0]])
    after = np.array([[3.1, 5.0, 5.0], [1.0, 5.9, 5.0], [4.0, 5.9, 5.0]])
    hydrogen = np.stack([first, first + 0.01, after, after, first])
    found = assign_hydrogens(np.tile(oxygen, (5, 1, 1)), hydrogen, np.tile(CUBE, (5, 1, 1)), np.tile(PERIODIC, (5, 1)))
    assert found.owners[:, 0].tolist() == [0, 0, 1, 1, 0]
    # One oxygen owns two hydrogen and the other one, or the other way round.
    assert found.irregular_counts.tolist() == [1, 1, 1, 1, 1]


def test_changing_cell_equals_frame_by_frame():
    random = np.random.default_rng(5)
    cells = np.array([np.diag([9.0, 8.0, 12.0]) * scale for scale in (1.0, 1.02, 0.97)])
    oxygen = random.uniform(size=(3, 8, 3)) @ cells
    hydrogen = random.uniform(size=(3, 16, 3)) @ cells
    together = assign_hydrogens(oxygen, hydrogen, cells, np.ones((3, 3), dtype=bool))
    for index in range(3):
        part = slice(index, index + 1)
        alone = assign_hydrogens(oxygen[part], hydrogen[part], cells[part], PERIODIC)
        assert together.owners[index].tolist() == alone.owners[0].tolist()
        assert together.bonds[index] == pytest.approx(alone.bonds[0], abs=1e-12)


def test_hydrogen_without_oxygen_is_refused():
    message = '^2 hydrogen atoms but no oxygen: a water cannot be found without oxygen$'
    with pytest.raises(ValueError, match=message):
        assign_hydrogens(np.zeros((1, 0, 3)), np.zeros((1, 2, 3)), CUBE, PERIODIC)


def test_vanishing_vectors_are_completed_and_whole_cells_kept():
    open_cell = np.array([[10.0, 0, 0], [0, 10.0, 0], [0, 0, 0]])[None]
    assert complete_cells(open_cell)[0, 2].tolist() == [0.0, 0.0, 1.0]
    assert complete_cells(CUBE) is CUBE


def test_equal_compositions_are_successive_frames_with_the_same_atoms():
    small = synthetic.film(2, seed=1, n_ions=0)
    large = synthetic.film(3, seed=1, n_ions=2)
    assert list(equal_compositions(FrameSet.concatenate([small, large, small]))) == [(0, 2), (2, 5), (5, 7)]


def test_compiled_search_finds_what_a_search_of_all_pairs_finds(monkeypatch):
    # Molecules at any height, some so close that hydrogen changes hands, in cells that are skewed, open or both.
    random = np.random.default_rng(12)
    for pbc in ([True, True, True], [True, True, False], [False, False, False]):
        cell = np.array([[9.0, 0.0, 0.0], [2.0, 8.0, 0.0], [1.0, -1.5, 11.0]])
        oxygen = random.uniform(-5.0, 15.0, (30, 12, 3))
        hydrogen = np.repeat(oxygen, 2, axis=1) + random.normal(size=(30, 24, 3)) * 0.6
        given = np.tile(cell, (30, 1, 1)), np.tile(np.array(pbc), (30, 1))
        fast = assign_hydrogens(oxygen, hydrogen, *given)
        with monkeypatch.context() as patch:
            patch.setattr(atom_groups_module, 'compiled_kernels', lambda: None)
            slow = assign_hydrogens(oxygen, hydrogen, *given)
        assert np.array_equal(fast.owners, slow.owners)
        assert fast.bonds == pytest.approx(slow.bonds, abs=1e-9)
        assert np.array_equal(fast.hydrogen_counts, slow.hydrogen_counts)
