"""The one pass over a trajectory that numba compiles: each frame is read once and added to all sums along the normal.

Imported by :func:`~aiida_edl.science.analysis.kernels.compiled_pass` alone. Arrays of an analysis that is not asked for
have no rows, so that the types are always the same and the code is compiled once for each precision of the positions.
Numbers are in double precision from the moment they are read.
"""

# ruff: noqa: PLR0917  (calls within inner loops cost more than the work)

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from aiida_edl.science.analysis.compiled_kernels import plane_height, squared_half_height
from aiida_edl.science.analysis.compiled_slots import find_waters, new_slots, read_frame
from aiida_edl.science.analysis.compiled_sums import (
    add_angles,
    add_charges,
    add_profiles,
    heights_above,
    metal_charges,
    new_room,
)
from aiida_edl.science.analysis.pass_arrays import Atoms


@njit(cache=True)
def _in_slots(atoms: Any, order: Any) -> Any:
    """Return the indices with layers and metal, which keep their slots, by slot."""
    slot_of = np.empty(order.size, dtype=np.int64)
    slot_of[order] = np.arange(order.size)
    return Atoms(
        atoms.oxygen,
        atoms.hydrogen,
        atoms.ions,
        slot_of[atoms.metal],
        slot_of[atoms.layers],
        atoms.layer_starts,
        atoms.signs,
    )


@njit(cache=True)
def _charges_by_slot(values: Any, order: Any, is_fixed: Any) -> Any:
    """Return the charge of each slot [e], without the last ones if these have none in any frame."""
    n = order.size if values.size else 0
    while is_fixed and n and values[order[n - 1]] == 0.0:
        n -= 1
    result = np.empty(n)
    for slot in range(n):
        result[slot] = values[order[slot]]
    return result


@njit(cache=True, error_model='numpy', _nrt=False, forceinline=True)
def _add_frame(
    index: Any,
    rows: Any,
    cells: Any,
    atoms: Any,
    slots: Any,
    room: Any,
    values: Any,
    profiles: Any,
    angles: Any,
    charges: Any,
) -> None:
    """Add one frame, whose waters are found, to all that is asked for; see :func:`add_frames`."""
    row, frame = rows
    period, wraps, area = cells.periods[index], cells.pbc[index, 2], cells.areas[index]
    has_profiles, has_angles = profiles.fine.shape[1] > 0, angles.angles.shape[1] > 0
    has_charges, planes = charges.charge.shape[1] > 0, room.planes
    irregular = atoms.oxygen.size - slots.n_waters[0]
    if has_profiles:
        profiles.irregular[frame] = irregular
    if has_angles:
        angles.irregular[0] += irregular
        angles.irregular[1] += atoms.oxygen.size
    for surface in range(planes.size):
        layer = atoms.layers[atoms.layer_starts[surface] : atoms.layer_starts[surface + 1]]
        planes[surface] = plane_height(slots.heights, layer, period, wraps)
    n_needed = max(values.size, atoms.oxygen.size + atoms.hydrogen.size + atoms.ions.size)
    for surface in range(planes.size):
        sign = atoms.signs[surface]
        heights_above(slots.heights, planes[surface], sign, period, wraps, room.above[:n_needed])
        if has_profiles and profiles.surfaces[surface]:
            add_profiles(slots, room, atoms, (row, frame, sign, area), profiles)
        if has_angles and angles.surfaces[surface]:
            add_angles(slots, room, row, sign, angles)
        if has_charges:
            if surface == 0:
                metal_charges(slots, room, values, atoms, charges.is_fixed, (period, wraps))
            where = (row, frame, period, wraps, area)
            add_charges(slots, room, values, surface, where, atoms, charges)


@njit(cache=True, error_model='numpy', _nrt=False)
def _add_all(
    positions: Any,
    rows: Any,
    first: Any,
    cells: Any,
    atoms: Any,
    slots: Any,
    room: Any,
    values: Any,
    profiles: Any,
    angles: Any,
    charges: Any,
) -> None:
    """Add frame by frame; see :func:`add_frames`."""
    needs_waters = profiles.fine.shape[1] > 0 or angles.angles.shape[1] > 0
    has_one_cell, has_one_charge = len(cells.periods) == 1, len(charges.values) == 1
    short = squared_half_height(cells.inverses[0])
    for frame in range(positions.shape[0]):
        index = 0 if has_one_cell else frame
        normal, inverse = cells.normals[index], cells.inverses[index]
        read_frame(positions[frame], normal, slots)
        if needs_waters:
            if not has_one_cell:
                slots.apart[0] = 0.0
                short = squared_half_height(inverse)
            geometry = (cells.vectors[index], inverse, cells.pbc[index], short)
            find_waters(positions[frame], atoms, geometry, normal, frame == 0, slots)
        if not charges.is_fixed:
            of_frame = charges.values[0 if has_one_charge else frame]
            for slot in range(values.size):
                values[slot] = of_frame[slots.order[slot]]
        _add_frame(index, (rows[frame], first + frame), cells, atoms, slots, room, values, profiles, angles, charges)


@njit(cache=True, error_model='numpy', nogil=True)
def add_frames(
    positions: Any, rows: Any, first: Any, cells: Any, given_atoms: Any, profiles: Any, angles: Any, charges: Any
) -> None:
    """Add frames to the sums of all analyses that are asked for.

    :param positions: positions [Å] in single or double precision, shape ``(n_frames, n_atoms, 3)``.
    :param rows: block of each frame, shape ``(n_frames,)``.
    :param first: row of the first frame in arrays that have one for each frame.
    :param cells: cells of these frames, or one for all.
    :param given_atoms: indices.
    :param profiles: sums of the profiles, without blocks if not asked for, as are the other two.
    :param angles: sums of the angles.
    :param charges: sums of the charge.
    """
    slots = new_slots(given_atoms, positions.shape[1])
    room = new_room(positions.shape[1], angles.angles.shape[2], given_atoms.signs.size)
    atoms = _in_slots(given_atoms, slots.order)
    values = _charges_by_slot(charges.values[0], slots.order, charges.is_fixed)
    _add_all(positions, rows, first, cells, atoms, slots, room, values, profiles, angles, charges)
