"""Pairs within a cutoff, against sums over images and ASE."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from ase.neighborlist import primitive_neighbor_list

pytest.importorskip('numba')

from aiida_edl.science.electrostatics.charged_system import ChargedSystem
from aiida_edl.science.electrostatics.pairs import NeighbourPairs, near_pairs, neighbour_pairs
from aiida_edl.science.frames import Floats

CELLS = {
    'cubic': np.diag([9.0, 9.0, 9.0]),
    'thin': np.diag([3.1, 14.0, 22.0]),
    'sheared': np.array([[8.0, 0.0, 0.0], [5.5, 7.0, 0.0], [-3.0, 4.5, 9.0]]),
    'left_handed': np.array([[0.0, 7.0, 0.0], [8.0, 0.0, 0.0], [1.0, 2.0, 9.0]]),
    'smaller_than_the_cutoff': np.array([[2.6, 0.0, 0.0], [0.7, 2.5, 0.0], [0.3, -0.4, 2.9]]),
}


def system_in(cell: Floats, pbc: tuple[bool, bool, bool] = (True, True, True), n_atoms: int = 40) -> ChargedSystem:
    """Return atoms at random, some of them outside the cell."""
    random = np.random.default_rng(3)
    positions = random.uniform(-0.7, 1.6, (n_atoms, 3)) @ cell
    return ChargedSystem(positions, cell, np.zeros(n_atoms), np.array(pbc))


def as_set(found: NeighbourPairs) -> set[tuple[int, ...]]:
    """Return pairs with shifts, the lower atom, or the positive shift, first; each must be there once."""
    listed = set()
    for (i, j), shift in zip(found.pairs.tolist(), found.shifts.tolist()):
        back = [-n for n in shift]
        listed.add((i, j, *shift) if (i, shift) < (j, back) else (j, i, *back))
    assert len(listed) == len(found.pairs)
    return listed


def of_ase(system: ChargedSystem, cutoff: float, pbc: tuple[bool, bool, bool]) -> set[tuple[int, ...]]:
    """Return the pairs that ASE finds."""
    first, second, shifts = primitive_neighbor_list('ijS', pbc, system.cell, system.positions, cutoff)
    full = np.column_stack([first, second]).astype(np.int64)
    is_kept = [(i, shift) < (j, [-n for n in shift]) for (i, j), shift in zip(full.tolist(), shifts.tolist())]
    return as_set(NeighbourPairs(full[is_kept], shifts[is_kept].astype(np.int32), cutoff))


def test_two_atoms_across_the_boundary() -> None:
    """The shift is what leads from the first atom to the image of the second."""
    positions = np.array([[0.5, 1.0, 1.0], [9.5, 1.0, 1.0]])
    system = ChargedSystem(positions, np.diag([10.0, 10.0, 10.0]), np.zeros(2), np.ones(3, dtype=bool))
    found = neighbour_pairs(system, 1.5)
    (i, j), shift = found.pairs[0], found.shifts[0]
    assert len(found.pairs) == 1
    assert positions[j] + shift @ system.cell - positions[i] == pytest.approx([-1.0, 0.0, 0.0] if i == 0 else [1, 0, 0])


def test_one_atom_and_its_images() -> None:
    """A simple cubic lattice has half of 6 + 12 + 8 neighbours within 1.8 lattice constants."""
    system = ChargedSystem(np.zeros((1, 3)), np.eye(3), np.zeros(1), np.ones(3, dtype=bool))
    assert len(neighbour_pairs(system, 1.8).pairs) == 13


@pytest.mark.parametrize('cutoff', [0.9, 3.0, 7.5])
@pytest.mark.parametrize('name', CELLS)
def test_all_images_as_ase(name: str, cutoff: float) -> None:
    """In cells of any shape, with atoms outside of them, and cutoffs beyond the cell."""
    system = system_in(CELLS[name])
    assert as_set(neighbour_pairs(system, cutoff)) == of_ase(system, cutoff, (True, True, True))


@pytest.mark.parametrize('pbc', list(itertools.product([False, True], repeat=3)))
def test_near_pairs_as_ase(pbc: tuple[bool, bool, bool]) -> None:
    """No image along an open cell vector, wherever the atoms are along it."""
    system = system_in(CELLS['sheared'], pbc)
    assert as_set(near_pairs(system, 5.0)) == of_ase(system, 5.0, pbc)


def test_near_pairs_of_a_molecule_without_a_cell() -> None:
    """All cell vectors are zero."""
    positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.1], [30.0, 0.0, 0.0]])
    molecule = ChargedSystem(positions, np.zeros((3, 3)), np.zeros(3), np.zeros(3, dtype=bool))
    assert as_set(near_pairs(molecule, 2.0)) == {(0, 1, 0, 0, 0)}


def test_crowded_corner_of_a_large_box() -> None:
    """The list grows where atoms are denser than the box."""
    random = np.random.default_rng(8)
    positions = random.uniform(0.0, 2.0, (150, 3))
    system = ChargedSystem(positions, np.diag([400.0, 400.0, 400.0]), np.zeros(150), np.ones(3, dtype=bool))
    assert len(neighbour_pairs(system, 4.0).pairs) == 150 * 149 // 2


def test_few_atoms_in_a_vast_box() -> None:
    """Bins are counted by atoms: those of the cutoff would be 10^18."""
    positions = np.array([[0.0, 0.0, 0.0], [0.05, 0.0, 0.0]])
    system = ChargedSystem(positions, np.diag([1e5, 1e5, 1e5]), np.zeros(2), np.ones(3, dtype=bool))
    assert as_set(neighbour_pairs(system, 0.1)) == {(0, 1, 0, 0, 0)}


def test_arrays_of_a_file() -> None:
    """They may be read-only, and in the order of Fortran."""
    system = system_in(np.asfortranarray(CELLS['sheared']))
    for array in (system.positions, system.cell):
        array.setflags(write=False)
    assert as_set(neighbour_pairs(system, 3.0)) == of_ase(system, 3.0, (True, True, True))
