"""A range of frames prepared for all structural observables: molecules, heights, rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis import surface_planes
from aiida_edl.science.analysis.atom_groups import (
    AtomGroups,
    HydrogenAssignment,
    Integers,
    assign_hydrogens,
    complete_cells,
)
from aiida_edl.science.analysis.planar_bins import FrameBlocks, Rows
from aiida_edl.science.analysis.trajectory_parts import TrajectoryPart
from aiida_edl.science.frames import Floats, FrameSet


@dataclass(frozen=True)
class StructureChunk:
    """Frames with the same atoms, what molecules they hold, and where these are."""

    numbers: NDArray[np.uint8]
    """Atomic numbers of each frame, shape ``(n_atoms,)``."""
    positions: Floats
    """Positions [Å], shape ``(n_frames, n_atoms, 3)``."""
    cells: Floats
    """Cell vectors as rows [Å], none of which vanishes, shape ``(n_frames, 3, 3)``."""
    pbc: NDArray[np.bool_]
    """Periodicity, shape ``(n_frames, 3)``."""
    groups: AtomGroups
    """Water, metal and ions."""
    ions: Integers
    """Indices of the ions that are analysed, shape ``(n_ions,)``."""
    hydrogen: HydrogenAssignment
    """To which oxygen each hydrogen belongs."""
    normals: Floats
    """Unit normals of the lower surface, shape ``(n_frames, 3)``."""
    surfaces: tuple[surface_planes.Surface, ...]
    """Wet surfaces that are analysed."""
    heights: Floats
    """Heights of all atoms above each surface [Å], shape ``(n_surfaces, n_frames, n_atoms)``."""
    areas: Floats
    """Lateral area [Å²], shape ``(n_frames,)``."""
    frame_rows: slice
    """Rows of these frames among all analysed frames."""
    rows: Rows
    """Block of each frame, counted from the first block of the chunk."""
    blocks: slice
    """Blocks of the chunk among all blocks."""


def structure_chunk(
    frames: FrameSet, part: TrajectoryPart, span: tuple[int, int], blocks: FrameBlocks
) -> StructureChunk:
    """Return the frames ``span[0]:span[1]`` of one part of the trajectory, prepared for analysis.

    :param frames: the trajectory.
    :param part: the part, whose frames have the same atoms.
    :param span: first frame, and frame after the last.
    :param blocks: blocks of all analysed frames.
    """
    (start, stop), groups = span, part.groups
    positions = frames.positions[int(frames.offsets[start]) : int(frames.offsets[stop])]
    positions = positions.reshape(stop - start, -1, 3).astype(np.float64, copy=False)
    cells, pbc = complete_cells(frames.cells[start:stop]), frames.pbc[start:stop]
    frame_rows = slice(part.first_row + start - part.start, part.first_row + stop - part.start)
    first_block = int(blocks.block_of_frame[frame_rows][0])
    of_frame = blocks.block_of_frame[frame_rows] - first_block
    rows = Rows(of_frame, int(of_frame[-1]) + 1)
    normals = surface_planes.surface_normals(cells)
    periods = surface_planes.periods_along(cells, normals)
    along = np.einsum('fax,fx->fa', positions, normals)
    above = []
    for surface in part.surfaces:
        planes = surface_planes.plane_heights(along, surface, periods, pbc[:, 2])
        above.append(surface_planes.heights_above(along, planes, surface, periods, pbc[:, 2]))
    return StructureChunk(
        numbers=frames.frame(start).numbers,
        positions=positions,
        cells=cells,
        pbc=pbc,
        groups=groups,
        ions=part.ions,
        hydrogen=assign_hydrogens(positions[:, groups.oxygen], positions[:, groups.hydrogen], cells, pbc),
        normals=normals,
        surfaces=part.surfaces,
        heights=np.stack(above),
        areas=surface_planes.areas(cells),
        frame_rows=frame_rows,
        rows=rows,
        blocks=slice(first_block, first_block + rows.count),
    )
