"""Chunks of frames made by hand, for observables that need no metal."""

from __future__ import annotations

import numpy as np

from aiida_edl.science.analysis.atom_groups import assign_hydrogens, atom_groups
from aiida_edl.science.analysis.planar_bins import FrameBlocks, Rows
from aiida_edl.science.analysis.structure_chunk import StructureChunk
from aiida_edl.science.analysis.surface_planes import Surface


def chunk(
    numbers: list[int], positions: np.ndarray, cell: np.ndarray, pbc: tuple[bool, ...] = (True,) * 3
) -> StructureChunk:
    """Frames in one cell, each a block of its own; heights are z above a surface at 0."""
    n_frames, kinds = len(positions), np.array(numbers, dtype=np.uint8)
    groups, cells = atom_groups(kinds), np.tile(cell, (n_frames, 1, 1)).astype(float)
    flags = np.tile(pbc, (n_frames, 1))
    hydrogen = assign_hydrogens(positions[:, groups.oxygen], positions[:, groups.hydrogen], cells, flags)
    return StructureChunk(
        numbers=kinds,
        positions=positions,
        cells=cells,
        pbc=flags,
        groups=groups,
        ions=groups.ions,
        hydrogen=hydrogen,
        normals=np.tile([0.0, 0.0, 1.0], (n_frames, 1)),
        surfaces=(Surface(layer=np.zeros(0, dtype=np.int64), sign=1),),
        heights=positions[None, ..., 2],
        areas=np.full(n_frames, float(np.linalg.norm(np.cross(cell[0], cell[1])))),
        frame_rows=slice(0, n_frames),
        rows=Rows(np.arange(n_frames), n_frames),
        blocks=slice(0, n_frames),
    )


def blocks(n_frames: int) -> FrameBlocks:
    """Blocks of one frame of one replica."""
    return FrameBlocks.of_lengths([n_frames])
