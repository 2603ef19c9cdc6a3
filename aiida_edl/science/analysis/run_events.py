"""What each frame of a run says on whether it is still physics: force, contacts, broken water, evaporated atoms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis import surface_planes
from aiida_edl.science.analysis.atom_groups import AtomGroups, Integers, assign_hydrogens, atom_groups, complete_cells
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.minimum_image import minimum_image_of_frames

ATOMS_AT_ONCE = 200_000
"""Atoms of one chunk of frames; bounds the memory."""


def chunks(frames: FrameSet) -> Iterator[tuple[slice, Floats, Floats]]:
    """Yield the slice, positions ``(n, n_atoms, 3)`` and completed cells ``(n, 3, 3)`` [Å] of successive frames.

    :param frames: frames with the same number of atoms.
    """
    n_atoms = int(frames.offsets[1])
    size = max(1, ATOMS_AT_ONCE // n_atoms)
    for start in range(0, len(frames), size):
        stop = min(start + size, len(frames))
        positions = frames.positions[start * n_atoms : stop * n_atoms].reshape(stop - start, n_atoms, 3)
        yield slice(start, stop), positions.astype(np.float64), complete_cells(frames.cells[start:stop])


def n_finite_frames(frames: FrameSet) -> int:
    """Return how many frames come before the first with a number that is not finite."""
    is_bad = np.zeros(len(frames), dtype=bool)
    for array in (frames.positions, frames.velocities, frames.forces):
        if array is not None:
            is_bad |= np.logical_or.reduceat(~np.isfinite(array).all(axis=1), frames.offsets[:-1])
    for values in (frames.energies, frames.cells):
        if values is not None:
            is_bad |= ~np.isfinite(values).reshape(len(frames), -1).all(axis=1)
    return int(np.argmax(is_bad)) if is_bad.any() else len(frames)


@dataclass(frozen=True)
class FrameRecords:
    """Numbers of each frame, each of shape ``(n_frames,)`` if not said otherwise."""

    irregular_fraction: Floats | None
    """Share of oxygen without exactly two bound hydrogens; None without water."""
    evaporated: Integers
    """Atoms beyond an empty slice that was not there in the first frame."""
    centre: Floats
    """Displacement of the centre of mass from its start [Å], shape ``(n_frames, 3)``."""
    slab: Floats | None
    """The same of the metal [Å]; None without metal."""
    is_mobile: Integers
    """Indices of the atoms that ever moved, shape ``(n_mobile,)``."""


def frame_records(frames: FrameSet, masses: Floats, maximum_bond_length: float, evaporation_gap: float) -> FrameRecords:
    """Return what is needed of each frame, in one pass.

    :param frames: frames of one composition with finite positions.
    :param masses: masses [u], shape ``(n_atoms,)``.
    :param maximum_bond_length: distance up to which a hydrogen is bound [Å].
    :param evaporation_gap: empty slice that separates evaporated atoms [Å].
    """
    groups = atom_groups(frames.frame(0).numbers)
    has_water = bool(groups.oxygen.size and groups.hydrogen.size)
    irregular, evaporated = np.zeros(len(frames)), np.zeros(len(frames), dtype=np.int64)
    steps = np.zeros((2, len(frames), 3))
    moved = np.zeros(len(masses), dtype=bool)
    previous: Floats | None = None
    n_clusters = _cluster_sizes(*_heights(frames, 0), evaporation_gap).size
    for here, positions, cells in chunks(frames):
        part = _Chunk(positions, cells, frames.pbc[here])
        if has_water:
            irregular[here] = _irregular(part, groups, maximum_bond_length)
        evaporated[here] = _evaporated(part, n_clusters, evaporation_gap)
        before = positions[:1] if previous is None else previous
        jumps = np.diff(np.concatenate([before, positions]), axis=0)
        moved |= np.any(jumps != 0.0, axis=(0, 2))
        jumps = minimum_image_of_frames(jumps, cells, frames.pbc[here])
        steps[0, here] = np.einsum('fax,a->fx', jumps, masses) / masses.sum()
        if groups.metal.size:
            steps[1, here] = jumps[:, groups.metal].mean(axis=1)
        previous = positions[-1:]
    displacements = np.cumsum(steps, axis=1)
    return FrameRecords(
        irregular_fraction=irregular if has_water else None,
        evaporated=evaporated,
        centre=displacements[0],
        slab=displacements[1] if groups.metal.size else None,
        is_mobile=np.flatnonzero(moved),
    )


def largest_forces(frames: FrameSet) -> Floats | None:
    """Return the largest force on an atom of each frame [eV/Å], shape ``(n_frames,)``; None without forces."""
    if frames.forces is None:
        return None
    return np.asarray(np.maximum.reduceat(np.linalg.norm(frames.forces, axis=1), frames.offsets[:-1]))


@dataclass(frozen=True)
class _Chunk:
    """Positions ``(n_frames, n_atoms, 3)``, cells ``(n_frames, 3, 3)`` [Å], periodicity ``(n_frames, 3)``."""

    positions: Floats
    cells: Floats
    pbc: NDArray[np.bool_]


def _irregular(part: _Chunk, groups: AtomGroups, longest: float) -> Floats:
    """Return the share of oxygen without exactly two hydrogens within a distance, shape ``(n_frames,)``."""
    positions = part.positions
    found = assign_hydrogens(positions[:, groups.oxygen], positions[:, groups.hydrogen], part.cells, part.pbc)
    is_bound = np.einsum('fhx,fhx->fh', found.bonds, found.bonds) <= longest**2
    n_oxygen = groups.oxygen.size
    flat = (np.arange(len(positions))[:, None] * n_oxygen + found.owners)[is_bound]
    counts = np.bincount(flat, minlength=len(positions) * n_oxygen).reshape(len(positions), n_oxygen)
    return np.asarray(np.mean(counts != 2, axis=1))


def _heights(frames: FrameSet, index: int) -> tuple[Floats, float, bool]:
    """Return heights of the atoms of a frame, the period of the height [Å] and whether it repeats."""
    frame = frames.frame(index)
    cells = complete_cells(np.asarray(frame.cell, dtype=np.float64)[None])
    normals = surface_planes.surface_normals(cells)
    period = float(surface_planes.periods_along(cells, normals)[0])
    return np.asarray(frame.positions @ normals[0]), period, bool(frame.pbc[2])


def _cluster_sizes(heights: Floats, period: float, is_periodic: bool, gap: float) -> Integers:
    """Return the number of atoms between empty slices wider than ``gap``, largest first."""
    values = np.sort(np.mod(heights, period) if is_periodic else heights)
    ends = np.flatnonzero(np.diff(values, append=values[0] + period if is_periodic else np.inf) > gap)
    if ends.size <= 1:
        return np.array([len(values)])
    counts = np.diff(ends, prepend=ends[-1] - len(values) if is_periodic else -1)
    return np.asarray(np.sort(counts)[::-1])


def _evaporated(part: _Chunk, n_clusters: int, gap: float) -> Integers:
    """Return the atoms of each frame outside its ``n_clusters`` largest clusters, shape ``(n_frames,)``."""
    normals = surface_planes.surface_normals(part.cells)
    periods = surface_planes.periods_along(part.cells, normals)
    heights, is_periodic = np.einsum('fax,fx->fa', part.positions, normals), part.pbc[:, 2]
    heights = np.where(is_periodic[:, None], np.mod(heights, periods[:, None]), heights)
    ordered = np.sort(heights, axis=1)
    across = np.where(is_periodic, ordered[:, 0] + periods - ordered[:, -1], np.inf)
    wide = np.sum(np.diff(ordered, axis=1) > gap, axis=1) + (across > gap)
    result = np.zeros(len(heights), dtype=np.int64)
    for index in np.flatnonzero(wide > n_clusters):
        sizes = _cluster_sizes(heights[index], float(periods[index]), bool(is_periodic[index]), gap)
        result[index] = sizes[n_clusters:].sum()
    return result
