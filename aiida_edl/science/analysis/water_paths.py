"""Where each water of a trajectory is and where it points, frame by frame, molecule by molecule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis import surface_planes
from aiida_edl.science.analysis.atom_groups import Integers, assign_hydrogens, complete_cells
from aiida_edl.science.analysis.solvent_dipole import DipoleSeries
from aiida_edl.science.analysis.trajectory_parts import TrajectoryPart
from aiida_edl.science.frames import Floats, FrameSet

ATOMS_AT_ONCE = 100_000
"""Atoms of one chunk of frames; bounds the memory and keeps the work within the processor's cache."""


@dataclass(frozen=True)
class WaterPaths:
    """Paths of the waters of one part of a trajectory. A water is its oxygen, whichever hydrogens it owns.

    Heights and directions are in single precision, as trajectories are stored.
    """

    heights: NDArray[np.float32]
    """Height of the oxygen above each wet surface [Å], shape ``(n_surfaces, n_oxygen, n_frames)``."""
    directions: NDArray[np.float32]
    """Unit vector along the dipole, shape ``(n_oxygen, n_frames, 3)``; zero where it is not a water."""
    is_water: NDArray[np.bool_]
    """Whether exactly two hydrogens belong to the oxygen, shape ``(n_oxygen, n_frames)``."""
    dipoles: DipoleSeries
    """Total dipole."""

    @property
    def n_frames(self) -> int:
        """Frames of this part."""
        return int(self.is_water.shape[1])


def water_paths(frames: FrameSet, part: TrajectoryPart, hydrogen_charge: float) -> WaterPaths:
    """Follow the waters of one part of a trajectory.

    :param frames: the trajectory.
    :param part: frames with the same atoms.
    :param hydrogen_charge: charge of H [e].
    """
    n_frames, n_oxygen = part.stop - part.start, part.groups.oxygen.size
    heights = np.empty((len(part.surfaces), n_oxygen, n_frames), dtype=np.float32)
    directions = np.empty((n_oxygen, n_frames, 3), dtype=np.float32)
    is_water = np.empty((n_oxygen, n_frames), dtype=bool)
    total, square = np.empty((n_frames, 3)), np.empty(n_frames)
    n_atoms = int(frames.offsets[part.start + 1] - frames.offsets[part.start])
    size = max(1, ATOMS_AT_ONCE // n_atoms)
    for start in range(part.start, part.stop, size):
        stop = min(start + size, part.stop)
        here = slice(start - part.start, stop - part.start)
        positions = frames.positions[int(frames.offsets[start]) : int(frames.offsets[stop])]
        positions = positions.reshape(stop - start, n_atoms, 3).astype(np.float64)
        cells, pbc = complete_cells(frames.cells[start:stop]), frames.pbc[start:stop]
        found = assign_hydrogens(positions[:, part.groups.oxygen], positions[:, part.groups.hydrogen], cells, pbc)
        vectors, normals = found.dipole_directions, surface_planes.surface_normals(cells)
        lengths = np.linalg.norm(vectors, axis=2)
        known = found.is_water & (lengths > 0.0)
        is_water[:, here] = known.T
        unit = np.divide(vectors, lengths[..., None], out=np.zeros_like(vectors), where=known[..., None])
        directions[:, here] = unit.transpose(1, 0, 2)
        total[here] = hydrogen_charge * _along_axes(vectors.sum(axis=1), cells, normals)
        square[here] = hydrogen_charge**2 * np.sum(lengths**2 * known, axis=1)
        periods = surface_planes.periods_along(cells, normals)
        along = np.einsum('fax,fx->fa', positions, normals)
        for index, surface in enumerate(part.surfaces):
            planes = surface_planes.plane_heights(along, surface, periods, pbc[:, 2])
            above = surface_planes.heights_above(along[:, part.groups.oxygen], planes, surface, periods, pbc[:, 2])
            heights[index, :, here] = above.T
    series = DipoleSeries(total, square, is_water.sum(axis=0).astype(np.float64))
    return WaterPaths(heights, directions, is_water, series)


def _along_axes(vectors: Floats, cells: Floats, normals: Floats) -> Floats:
    """Return components along a, along the normal times a, and along the normal, shape ``(n_frames, 3)``."""
    first = cells[:, 0] / np.linalg.norm(cells[:, 0], axis=1, keepdims=True)
    axes = np.stack([first, np.cross(normals, first), normals], axis=1)
    return np.asarray(np.einsum('fcx,fx->fc', axes, vectors))


def group_of_water(n_oxygen: int, n_groups: int) -> Integers:
    """Return into which group each water falls: neighbours in the list together, shape ``(n_oxygen,)``.

    :param n_oxygen: waters.
    :param n_groups: most groups.
    """
    groups = min(n_groups, n_oxygen)
    return np.arange(n_oxygen, dtype=np.int64) * groups // n_oxygen
