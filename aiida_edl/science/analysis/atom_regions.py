"""To which region of the interface each atom belongs: metal, first water layer, bulk liquid or ion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis import surface_planes
from aiida_edl.science.analysis.atom_groups import assign_hydrogens, atom_groups, complete_cells, equal_compositions
from aiida_edl.science.frames import FrameSet

REGIONS = ('metal', 'first_layer', 'bulk', 'ion')
"""Names of the regions; an atom carries the position of its region in this list."""
METAL, FIRST_LAYER, BULK, ION = range(4)


def atom_regions(frames: FrameSet, first_layer_bound: float = 4.0) -> NDArray[np.int8]:
    """Return the region of every atom, shape ``(n_atoms_total,)``, as a position in :data:`REGIONS`.

    Metal and ion follow from the element. An oxygen within ``first_layer_bound`` of a wet surface belongs to the first
    layer, and so does each hydrogen that it owns; every other atom is bulk. Surfaces are found in each frame anew, so
    the frames need not belong to one trajectory. A frame without wet surface has no first layer.

    :param frames: any frames, compositions may differ.
    :param first_layer_bound: height of the oxygen at which the first layer ends [Å].
    """
    regions = np.full(len(frames.numbers), BULK, dtype=np.int8)
    for start, stop in equal_compositions(frames):
        atoms = slice(int(frames.offsets[start]), int(frames.offsets[stop]))
        positions = frames.positions[atoms].reshape(stop - start, -1, 3)
        groups = atom_groups(frames.frame(start).numbers)
        part = regions[atoms].reshape(stop - start, -1)
        part[:, groups.metal], part[:, groups.ions] = METAL, ION
        if groups.metal.size and groups.oxygen.size:
            near = _near_surface(frames, (start, stop), first_layer_bound)
            part[:, groups.oxygen] = np.where(near, FIRST_LAYER, BULK)
            if groups.hydrogen.size:
                cells, pbc = complete_cells(frames.cells[start:stop]), frames.pbc[start:stop]
                found = assign_hydrogens(positions[:, groups.oxygen], positions[:, groups.hydrogen], cells, pbc)
                is_near = np.take_along_axis(near, found.owners, axis=1)
                part[:, groups.hydrogen] = np.where(is_near, FIRST_LAYER, BULK)
    return regions


def _near_surface(frames: FrameSet, span: tuple[int, int], bound: float) -> NDArray[np.bool_]:
    """Return which oxygen lies within ``bound`` of a wet surface, shape ``(n_frames, n_oxygen)``."""
    groups = atom_groups(frames.frame(span[0]).numbers)
    near = np.zeros((span[1] - span[0], groups.oxygen.size), dtype=bool)
    for row, index in enumerate(range(*span)):
        frame = frames.frame(index)
        cells, periodic = complete_cells(frame.cell[None]), frame.pbc[None, 2]
        normals = surface_planes.surface_normals(cells)
        periods = surface_planes.periods_along(cells, normals)
        heights = frame.positions[None] @ normals[0]
        for surface in surface_planes.surfaces_of_frame(frame, groups):
            planes = surface_planes.plane_heights(heights, surface, periods, periodic)
            above = surface_planes.heights_above(heights[:, groups.oxygen], planes, surface, periods, periodic)
            near[row] |= ((above >= 0.0) & (above < bound))[0]
    return near
