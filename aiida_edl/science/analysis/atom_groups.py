"""Which atoms are water, ion and metal, and where the surface is: found from the frames, never typed in.

Water is detected anew in every frame, because it can dissociate under a machine-learned potential: each H belongs to
its nearest O by minimum image, and an O is a water only if exactly two H belong to it. The others are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import atomic_numbers
from ase.geometry import complete_cell
from numpy.typing import NDArray

from aiida_edl.science.analysis.kernels import compiled_kernels, writable
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.charge_state import FORMAL_CHARGES
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.minimum_image import minimum_image_of_frames

Integers = NDArray[np.int64]

FCC_METALS = ('Al', 'Ni', 'Cu', 'Rh', 'Pd', 'Ag', 'Ir', 'Pt', 'Au', 'Pb')
"""Elements that are taken for the metal: those that crystallise in the fcc structure and serve as electrodes."""
HYDROGENS_PER_WATER = 2
MAX_ASSIGNMENT_TRIALS = 8
"""Assignments that are carried from frame to frame before the remaining frames are searched in full."""
PROOF_MARGIN = 1e-3
"""Relative safety of the triangle inequality, far above the 1e-5 Å of the single-precision O–O distances."""


@dataclass(frozen=True)
class AtomGroups:
    """Indices of the atoms of one composition, each of shape ``(n_members,)``."""

    oxygen: Integers
    """Oxygen atoms."""
    hydrogen: Integers
    """Hydrogen atoms."""
    metal: Integers
    """Atoms of an element of :data:`FCC_METALS`."""
    ions: Integers
    """Atoms of an element with a formal charge in :data:`~aiida_edl.science.charge_state.FORMAL_CHARGES`."""
    others: Integers
    """Atoms that belong to none of the above."""


def atom_groups(numbers: NDArray[np.uint8]) -> AtomGroups:
    """Return the groups of one frame from its atomic numbers alone.

    :param numbers: atomic numbers, shape ``(n_atoms,)``.
    """

    def members(symbols: tuple[str, ...]) -> NDArray[np.bool_]:
        return np.isin(numbers, [atomic_numbers[symbol] for symbol in symbols])

    masks = [members(symbols) for symbols in (('O',), ('H',), FCC_METALS, tuple(FORMAL_CHARGES))]
    masks.append(~np.any(masks, axis=0))
    return AtomGroups(*(np.flatnonzero(mask) for mask in masks))


def equal_compositions(frames: FrameSet) -> Iterator[tuple[int, int]]:
    """Yield the ranges ``(start, stop)`` of successive frames whose atoms are the same in the same order.

    :param frames: any set of frames.
    """
    sizes = np.diff(frames.offsets)
    if np.all(sizes == sizes[0]) and _repeats(frames.numbers, int(sizes[0])):
        yield 0, len(frames)
        return
    start = 0
    for index in range(1, len(frames) + 1):
        if index < len(frames) and sizes[index] == sizes[start]:
            first, here = int(frames.offsets[start]), int(frames.offsets[index])
            size = int(sizes[start])
            if np.array_equal(frames.numbers[here : here + size], frames.numbers[first : first + size]):
                continue
        yield start, index
        start = index


def _repeats(numbers: NDArray[np.uint8], period: int, at_once: int = 1_000_000) -> bool:
    """Return whether each number is that one period before; in pieces that fit into the cache of the processor."""
    here, before = numbers[period:], numbers[:-period]
    return all(
        np.array_equal(here[start : start + at_once], before[start : start + at_once])
        for start in range(0, len(here), at_once)
    )


@dataclass(frozen=True)
class HydrogenAssignment:
    """To which O each H belongs, frame by frame."""

    owners: Integers
    """Position of the nearest O in the list of O, shape ``(n_frames, n_hydrogen)``."""
    bonds: Floats
    """Minimum-image vectors from that O to the H [Å], shape ``(n_frames, n_hydrogen, 3)``."""
    hydrogen_counts: Integers
    """Number of H that belong to each O, shape ``(n_frames, n_oxygen)``."""

    @property
    def is_water(self) -> NDArray[np.bool_]:
        """Whether exactly two H belong to an O, shape ``(n_frames, n_oxygen)``."""
        return np.asarray(self.hydrogen_counts == HYDROGENS_PER_WATER)

    @property
    def irregular_counts(self) -> Integers:
        """Number of O in each frame that do not own exactly two H, shape ``(n_frames,)``."""
        return np.asarray(np.sum(~self.is_water, axis=1), dtype=np.int64)

    @property
    def dipole_directions(self) -> Floats:
        """Sum of the O→H vectors of each O [Å], shape ``(n_frames, n_oxygen, 3)``; a direction, no charges enter."""
        n_frames, n_oxygen = self.hydrogen_counts.shape
        flat = (np.arange(n_frames)[:, None] * n_oxygen + self.owners).ravel()
        sums = [np.bincount(flat, self.bonds[..., axis].ravel(), n_frames * n_oxygen) for axis in range(3)]
        return np.asarray(np.stack(sums, axis=-1).reshape(n_frames, n_oxygen, 3), dtype=np.float64)


def complete_cells(cells: Floats) -> Floats:
    """Return cells whose vanishing vectors, allowed along open directions, are replaced by normal unit vectors.

    :param cells: cell vectors as rows [Å], shape ``(n_frames, 3, 3)``.
    """
    is_complete = np.all(np.any(cells != 0, axis=2))
    return cells if is_complete else np.stack([complete_cell(cell) for cell in cells])


def assign_hydrogens(oxygen: Floats, hydrogen: Floats, cells: Floats, pbc: NDArray[np.bool_]) -> HydrogenAssignment:
    """Return the nearest O of each H in each frame.

    The assignment of one frame is carried to the others and kept where it is *proved* to hold: if every bond is shorter
    than half the smallest O–O distance of the frame, the triangle inequality leaves no other O nearer. Only frames
    without proof are searched in full, so a frame of intact water costs the O–O distances alone.

    :param oxygen: positions of O [Å], shape ``(n_frames, n_oxygen, 3)``, ``n_oxygen`` at least 1.
    :param hydrogen: positions of H [Å], shape ``(n_frames, n_hydrogen, 3)``.
    :param cells: cell vectors as rows [Å], shape ``(n_frames, 3, 3)``.
    :param pbc: periodicity along the cell vectors, shape ``(n_frames, 3)``.
    :raises NotAnalysableError: if there is H but no O to own it.
    """
    indices = np.arange(oxygen.shape[1]), np.arange(hydrogen.shape[1])
    if (kernels := compiled_kernels()) is not None:
        return _assigned_by_kernel(kernels, (oxygen, indices[0]), (hydrogen, indices[1]), cells, pbc)
    return _assigned_by_numpy(oxygen, hydrogen, cells, pbc)


def assign_hydrogens_of(
    positions: Floats, groups: AtomGroups, cells: Floats, pbc: NDArray[np.bool_]
) -> HydrogenAssignment:
    """Return the nearest O of each H in each frame, from the positions of all atoms.

    :param positions: positions of all atoms [Å], shape ``(n_frames, n_atoms, 3)``.
    :param groups: which of them are O and H.
    :param cells: cell vectors as rows [Å], shape ``(n_frames, 3, 3)``.
    :param pbc: periodicity along the cell vectors, shape ``(n_frames, 3)``.
    :raises NotAnalysableError: if there is H but no O to own it.
    """
    if (kernels := compiled_kernels()) is not None:
        return _assigned_by_kernel(kernels, (positions, groups.oxygen), (positions, groups.hydrogen), cells, pbc)
    return _assigned_by_numpy(positions[:, groups.oxygen], positions[:, groups.hydrogen], cells, pbc)


def _check_owners_exist(n_oxygen: int, n_hydrogen: int) -> None:
    """Check that there is O if there is H.

    :raises NotAnalysableError: if not.
    """
    if n_hydrogen and not n_oxygen:
        raise NotAnalysableError(f'{n_hydrogen} hydrogen atoms but no oxygen: a water cannot be found without oxygen')


def _assigned_by_kernel(
    kernels: Any,
    oxygen: tuple[Floats, Integers],
    hydrogen: tuple[Floats, Integers],
    cells: Floats,
    pbc: NDArray[np.bool_],
) -> HydrogenAssignment:
    """Return the assignment by compiled code, from positions and the indices of the atoms among them."""
    n_frames, n_oxygen, n_hydrogen = len(cells), len(oxygen[1]), len(hydrogen[1])
    _check_owners_exist(n_oxygen, n_hydrogen)
    owners = np.zeros((n_frames, n_hydrogen), dtype=np.int64)
    bonds = np.zeros((n_frames, n_hydrogen, 3))
    counts = np.zeros((n_frames, n_oxygen), dtype=np.int64)
    if n_hydrogen:
        is_same = np.all(cells == cells[0])
        inverses = np.broadcast_to(np.linalg.inv(cells[0]), cells.shape) if is_same else np.linalg.inv(cells)
        atoms = [writable(array) for array in (*oxygen, *hydrogen)]
        kernels.assign(*atoms, *(writable(array, 'C') for array in (cells, inverses, pbc)), owners, bonds, counts)
    return HydrogenAssignment(owners=owners, bonds=bonds, hydrogen_counts=counts)


def _assigned_by_numpy(oxygen: Floats, hydrogen: Floats, cells: Floats, pbc: NDArray[np.bool_]) -> HydrogenAssignment:
    """Return the assignment without compiled code."""
    n_frames, n_oxygen, n_hydrogen = oxygen.shape[0], oxygen.shape[1], hydrogen.shape[1]
    _check_owners_exist(n_oxygen, n_hydrogen)
    owners = np.zeros((n_frames, n_hydrogen), dtype=np.int64)
    bonds = np.zeros((n_frames, n_hydrogen, 3))
    if n_hydrogen:
        proof = 0.25 * (1.0 - PROOF_MARGIN) * _smallest_squared_distances(oxygen, cells, pbc)
        unsettled = np.arange(n_frames)
        for _ in range(MAX_ASSIGNMENT_TRIALS):
            if not unsettled.size:
                break
            first = unsettled[:1]
            trial = _nearest(hydrogen[first], oxygen[first], cells[first], pbc[first])[0]
            vectors = hydrogen[unsettled] - oxygen[unsettled][:, trial]
            vectors = minimum_image_of_frames(vectors, cells[unsettled], pbc[unsettled])
            holds = np.einsum('fhx,fhx->fh', vectors, vectors).max(axis=1) < proof[unsettled]
            holds[0] = True
            owners[unsettled[holds]], bonds[unsettled[holds]] = trial, vectors[holds]
            unsettled = unsettled[~holds]
        if unsettled.size:
            found = _nearest(hydrogen[unsettled], oxygen[unsettled], cells[unsettled], pbc[unsettled])
            vectors = hydrogen[unsettled] - np.take_along_axis(oxygen[unsettled], found[..., None], axis=1)
            owners[unsettled] = found
            bonds[unsettled] = minimum_image_of_frames(vectors, cells[unsettled], pbc[unsettled])
    flat = (np.arange(n_frames)[:, None] * n_oxygen + owners).ravel()
    counts = np.bincount(flat, minlength=n_frames * n_oxygen).reshape(n_frames, n_oxygen)
    return HydrogenAssignment(owners=owners, bonds=bonds, hydrogen_counts=counts.astype(np.int64))


def _fractional(positions: Floats, cells: Floats, pbc: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return fractional coordinates with the axis first, shape ``(3, n_frames, n_atoms)``.

    They are wrapped into the cell before they are rounded to single precision, which then is good to 1e-5 Å.
    """
    inverse = np.linalg.inv(cells[0]) if np.all(cells == cells[0]) else np.linalg.inv(cells)
    fractional = positions @ inverse
    fractional -= np.floor(fractional) * pbc[:, None, :]
    return np.ascontiguousarray(np.moveaxis(fractional, -1, 0), dtype=np.float32)


def _squared_norms(
    differences: list[NDArray[np.float32]], cells: Floats, pbc: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return squared lengths [Å²] of minimum-image vectors given by their three fractional components.

    :param differences: per axis, arrays whose first dimension is the frame; they are overwritten.
    """
    metric = (cells @ cells.transpose(0, 2, 1)).astype(np.float32)
    frame_axis = (slice(None),) + (None,) * (differences[0].ndim - 1)
    for axis in np.flatnonzero(pbc.any(axis=0)):
        shifts = np.rint(differences[axis])
        differences[axis] -= shifts if pbc[:, axis].all() else shifts * pbc[:, axis][frame_axis]
    total = np.zeros_like(differences[0])
    for i in range(3):
        for j in range(i + 1):
            factor = metric[:, i, j] * (1.0 if i == j else 2.0)
            if np.any(factor):
                total += factor[frame_axis] * differences[i] * differences[j]
    return total


def _smallest_squared_distances(positions: Floats, cells: Floats, pbc: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the smallest squared minimum-image distance in each frame [Å²], shape ``(n_frames,)``; infinite if alone.

    Atom ``i`` is compared with atom ``i + shift`` for all shifts up to half the number, which visits each pair once.
    """
    n_atoms = positions.shape[1]
    smallest = np.full(len(positions), np.inf, dtype=np.float32)
    fractional = _fractional(positions, cells, pbc)
    doubled = np.concatenate([fractional, fractional], axis=2)
    for shift in range(1, n_atoms // 2 + 1):
        differences = [fractional[axis] - doubled[axis, :, shift : shift + n_atoms] for axis in range(3)]
        np.minimum(smallest, _squared_norms(differences, cells, pbc).min(axis=1), out=smallest)
    return smallest


def _nearest(atoms: Floats, targets: Floats, cells: Floats, pbc: NDArray[np.bool_]) -> Integers:
    """Return the position of the nearest target of each atom, shape ``(n_frames, n_atoms)``, by comparing all pairs."""
    nearest = np.empty(atoms.shape[:2], dtype=np.int64)
    frames_at_once = max(1, 2**18 // max(1, atoms.shape[1] * targets.shape[1]))
    for start in range(0, len(atoms), frames_at_once):
        part = slice(start, start + frames_at_once)
        first = _fractional(atoms[part], cells[part], pbc[part])
        second = _fractional(targets[part], cells[part], pbc[part])
        differences = [first[axis][:, :, None] - second[axis][:, None, :] for axis in range(3)]
        nearest[part] = _squared_norms(differences, cells[part], pbc[part]).argmin(axis=2)
    return nearest
