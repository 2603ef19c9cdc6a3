"""The one pass over a trajectory that numba compiles: each frame is read once and added to all sums along the normal.

Imported by :func:`~aiida_edl.science.analysis.kernels.compiled_pass` alone. Arrays of an analysis that is not asked for
have no rows, so that the types are always the same and the code is compiled once for each precision of the positions.
It runs in one thread. Numbers are in double precision from the moment they are read.
"""

# ruff: noqa: PLR0917  (calls within inner loops cost more than the work)

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from aiida_edl.science.analysis.compiled_kernels import (
    PAIR_MARGIN,
    carry_owners,
    minimum_image,
    plane_height,
    search_owners,
    smallest_squared_distance,
    squared_half_height,
)
from aiida_edl.science.analysis.pass_arrays import SPARE

SKIN = 0.6
"""How far beyond twice the longest bond the oxygen atoms are searched for pairs [Å]: a choice of speed alone."""
EDGE = 1e-9
"""Distance from the edge of a bin, in widths, within which a product of rounded numbers does not settle the bin."""
OXYGEN, HYDROGEN, ION, WATER, ORIENTATION, COSINE, COUNT = range(7)
"""Rows of the fine profiles."""


class _Waters(NamedTuple):
    """State of the assignment of hydrogen, carried from frame to frame."""

    owners: Any
    bonds: Any
    counts: Any
    cosines: Any
    """cos θ of each oxygen against the lower normal."""
    bond_cosines: Any
    """Same of each bond."""
    reference: Any
    """Oxygen at the last search for pairs [Å]."""
    apart: Any
    """No two were then closer than this [Å], shape ``(1,)``; 0 if unknown."""
    fractions: Any
    starts: Any


@njit(cache=True, error_model='numpy')
def _angle_bin(cosine: Any, table: Any, width: Any, last: Any) -> Any:
    """Return the bin of an angle, by its cosine where that settles it."""
    place = table[min(max(int((cosine + 1.0) * (0.5 * table.size)), 0), table.size - 1)]
    if place >= 0:
        return place
    return min(int(np.degrees(np.arccos(min(max(cosine, -1.0), 1.0))) / width), last)


@njit(cache=True, error_model='numpy')
def _wrapped(height: Any, period: Any, wraps: Any) -> Any:
    """Return a height in ``[0, period)`` where heights repeat."""
    if not wraps or 0.0 <= height < period:
        return height
    return height - np.floor(height / period) * period


@njit(cache=True, error_model='numpy')
def _bin(height: Any, width: Any, inverse: Any, maximum: Any, n_bins: Any, outside: Any) -> Any:
    """Return the bin of a height, ``outside`` if it is in none.

    A product is faster than a quotient, which decides at edges. There is no branch that depends on where the atom is,
    because such branches cannot be foreseen.
    """
    quotient = height * inverse
    place = int(quotient)
    remainder = abs(quotient - np.rint(quotient))
    if remainder < EDGE:
        place = int(height / width)
    return min(place, n_bins - 1) if 0.0 <= height < maximum else outside


@njit(cache=True, error_model='numpy')
def _are_apart(places: Any, oxygen: Any, geometry: Any, longest: Any, waters: Any) -> Any:
    """Return whether all pairs of oxygen are farther apart than two of the longest bonds.

    As long as two atoms have moved by less than ``moved`` since their distances were last searched, none of these has
    shrunk by more than twice that, by the triangle inequality; only then a new search is needed.
    """
    cell, inverse, pbc, short = geometry
    needed, moved, vector = 2.0 * (1.0 + PAIR_MARGIN) * np.sqrt(longest), 0.0, np.empty(3)
    if waters.apart[0] > needed:
        for j in range(oxygen.size):
            dx = places[oxygen[j], 0] - waters.reference[j, 0]
            dy = places[oxygen[j], 1] - waters.reference[j, 1]
            dz = places[oxygen[j], 2] - waters.reference[j, 2]
            squared = dx * dx + dy * dy + dz * dz
            if squared > short:
                squared = minimum_image(dx, dy, dz, cell, inverse, pbc, short, vector)
            moved = max(moved, squared)
        if waters.apart[0] - 2.0 * (1.0 + PAIR_MARGIN) * np.sqrt(moved) > needed:
            return True
    limit = (needed + SKIN) ** 2
    squared = smallest_squared_distance(places, oxygen, cell, inverse, pbc, limit, waters.fractions, waters.starts)
    waters.apart[0] = (1.0 - PAIR_MARGIN) * np.sqrt(squared)
    for j in range(oxygen.size):
        waters.reference[j, 0] = places[oxygen[j], 0]
        waters.reference[j, 1] = places[oxygen[j], 1]
        waters.reference[j, 2] = places[oxygen[j], 2]
    return waters.apart[0] > needed


@njit(cache=True, error_model='numpy')
def _find_waters(places: Any, atoms: Any, geometry: Any, normal: Any, is_first: Any, waters: Any) -> None:
    """Assign the hydrogen of one frame, and find the cosine of each dipole; see ``compiled_kernels.assign``."""
    cell, inverse, pbc, short = geometry
    oxygen, hydrogen, owners = atoms.oxygen, atoms.hydrogen, waters.owners
    is_settled = not is_first
    if is_settled:
        longest = carry_owners(
            places, oxygen, places, hydrogen, cell, inverse, pbc, short, owners, owners, waters.bonds
        )
        is_settled = _are_apart(places, oxygen, geometry, longest, waters)
    if not is_settled:
        search_owners(places, oxygen, places, hydrogen, cell, inverse, pbc, short, owners, waters.bonds)
    sums = np.zeros((oxygen.size, 3))
    waters.counts[:] = 0
    for i in range(hydrogen.size):
        owner, x, y, z = owners[i], waters.bonds[i, 0], waters.bonds[i, 1], waters.bonds[i, 2]
        waters.counts[owner] += 1
        sums[owner, 0] += x
        sums[owner, 1] += y
        sums[owner, 2] += z
        # NaN where an atom lies on its owner.
        waters.bond_cosines[i] = (x * normal[0] + y * normal[1] + z * normal[2]) / np.sqrt(x * x + y * y + z * z)
    for j in range(oxygen.size):
        along = sums[j, 0] * normal[0] + sums[j, 1] * normal[1] + sums[j, 2] * normal[2]
        length = np.sqrt(sums[j, 0] ** 2 + sums[j, 1] ** 2 + sums[j, 2] ** 2)
        waters.cosines[j] = along / length if length > 0.0 else np.nan


@njit(cache=True, error_model='numpy')
def _add_profiles(heights: Any, above: Any, where: Any, atoms: Any, waters: Any, profiles: Any) -> None:
    """Add one frame to the profiles above one surface; ``above`` are the heights of oxygen above it [Å]."""
    row, frame, sign, plane, period, wraps, area = where
    fine, width, maximum = profiles.fine, profiles.width, profiles.maximum
    n_bins, last_angle, inverse = fine.shape[2] - SPARE, profiles.angles.shape[1] - 1, 1.0 / width
    weight = profiles.share / (area * width)
    for j in range(atoms.oxygen.size):
        height = above[j]
        place = _bin(height, width, inverse, maximum, n_bins, n_bins + j % SPARE)
        fine[OXYGEN, row, place] += weight
        if waters.counts[j] != 2:
            continue
        fine[WATER, row, place] += weight
        cosine = sign * waters.cosines[j]
        if not np.isfinite(cosine):
            continue
        fine[ORIENTATION, row, place] += weight * cosine
        fine[COSINE, row, place] += cosine
        fine[COUNT, row, place] += 1.0
        if 0.0 <= height < profiles.bound:
            profiles.layers[0, frame] += profiles.share
            profiles.layers[1, frame] += profiles.share * cosine
            angle = _angle_bin(cosine, profiles.table, profiles.angle_width, last_angle)
            profiles.angles[row, angle] += 1.0
    for kind, members in ((HYDROGEN, atoms.hydrogen), (ION, atoms.ions)):
        sums = fine[kind, row]
        for j in range(members.size):
            height = _wrapped(sign * (heights[members[j]] - plane), period, wraps)
            sums[_bin(height, width, inverse, maximum, n_bins, n_bins + j % SPARE)] += weight


@njit(cache=True, error_model='numpy')
def _add_angles(above: Any, row: Any, sign: Any, waters: Any, angles: Any) -> None:
    """Add the dipoles and bonds of one frame to their distributions in layers above one surface.

    What is in no layer, or no water, goes into one more layer, so that no branch depends on where a water is.
    """
    bounds, last, n_layers = angles.bounds, angles.angles.shape[3] - 1, angles.angles.shape[2] - 1
    layers = np.empty(above.size, dtype=np.int64)
    for j in range(above.size):
        layer = -1
        for bound in bounds:
            layer += above[j] >= bound
        layers[j] = layer if layer >= 0 and waters.counts[j] == 2 else n_layers
    for kind in range(2):
        cosines = waters.cosines if kind == 0 else waters.bond_cosines
        by_angle, sums = angles.angles[kind, row], np.zeros((4, n_layers + 1))
        for i in range(cosines.size):
            cosine, layer = sign * cosines[i], layers[i if kind == 0 else waters.owners[i]]
            if np.isfinite(cosine):
                by_angle[layer, _angle_bin(cosine, angles.table, angles.width, last)] += 1.0
                # Four sums in turn, as an addition to one must wait for that before.
                sums[i & 3, layer] += cosine
        for layer in range(n_layers):
            angles.cosines[kind, row, layer] += (sums[0, layer] + sums[1, layer]) + (sums[2, layer] + sums[3, layer])


@njit(cache=True, error_model='numpy')
def _metal_charges(heights: Any, values: Any, planes: Any, atoms: Any, is_fixed: Any, period: Any, wraps: Any) -> Any:
    """Return the charge of the metal at each surface in one frame [e], shape ``(n_surfaces,)``."""
    charges, sign = np.zeros(planes.size), atoms.signs[0]
    if is_fixed:
        total, moment = 0.0, 0.0
        for atom in range(values.size):
            if values[atom] != 0.0:
                total += values[atom]
                moment += values[atom] * _wrapped(sign * (heights[atom] - planes[0]), period, wraps)
        charges[0] = -total
        if planes.size > 1:
            charges[1] = -moment / _wrapped(sign * (planes[1] - planes[0]), period, wraps)
            charges[0] -= charges[1]
        return charges
    for atom in atoms.metal:
        nearest, least = 0, np.inf
        for surface in range(planes.size):
            apart = heights[atom] - planes[surface]
            if wraps:
                apart -= np.rint(apart / period) * period
            if abs(apart) < least:
                nearest, least = surface, abs(apart)
        charges[nearest] += values[atom]
    return charges


@njit(cache=True, error_model='numpy')
def _add_charges(heights: Any, values: Any, planes: Any, where: Any, atoms: Any, charges: Any) -> None:
    """Add the charges of one frame to the bins of each surface."""
    row, frame, period, wraps, area = where
    metal = _metal_charges(heights, values, planes, atoms, charges.is_fixed, period, wraps)
    width, weight, n_surfaces = charges.width, 1.0 / area, planes.size
    inverse = 1.0 / width
    for surface in range(n_surfaces):
        charges.surface_charge[frame, surface] = metal[surface] / area
        below, n_bins, length = charges.below[surface], charges.bins[surface], charges.lengths[surface]
        depth, sign = below * width, atoms.signs[surface]
        origin, highest = planes[surface] - sign * depth, np.nextafter(length, 0.0)
        charge, moment = charges.charge[surface, row], charges.moment[surface, row]
        for atom in range(heights.size):
            value = weight * values[atom]
            if value != 0.0:
                height = min(_wrapped(sign * (heights[atom] - origin), period, wraps), highest)
                place = _bin(height, width, inverse, n_bins * width, n_bins, n_bins)
                charge[place] += value
                moment[place] += value * (height - depth)
        for other in range(n_surfaces):
            # A sheet in the plane itself has no moment about it, and begins the first bin above it.
            value, place, height = weight * metal[other], below, depth
            if other != surface:
                height = min(_wrapped(sign * (planes[other] - origin), period, wraps), highest)
                place = _bin(height, width, inverse, n_bins * width, n_bins, n_bins)
            if charges.is_fixed:
                charge[place] += value
                moment[place] += value * (height - depth)
    if charges.margin >= 0.0:
        charges.at_cut[frame] = _count_at_cut(heights, planes, where, atoms, charges)


@njit(cache=True, error_model='numpy')
def _count_at_cut(heights: Any, planes: Any, where: Any, atoms: Any, charges: Any) -> Any:
    """Return the number of atoms, and other planes, near the cut of a vacuum in one frame."""
    (_, _, period, wraps, _), sign, length, margin = where, atoms.signs[0], charges.lengths[0], charges.margin
    origin, count = planes[0] - sign * charges.below[0] * charges.width, 0
    for index in range(heights.size + planes.size - 1):
        place = heights[index] if index < heights.size else planes[index - heights.size + 1]
        height = min(_wrapped(sign * (place - origin), period, wraps), np.nextafter(length, 0.0))
        count += height < margin or height > length - margin
    return count


@njit(cache=True, error_model='numpy')
def _add_frame(
    places: Any,
    heights: Any,
    index: Any,
    rows: Any,
    is_first: Any,
    cells: Any,
    atoms: Any,
    waters: Any,
    profiles: Any,
    angles: Any,
    charges: Any,
) -> None:
    """Add one frame to all that is asked for; see :func:`add_frames`."""
    row, frame, of_charges = rows
    pbc, normal, period = cells.pbc[index], cells.normals[index], cells.periods[index]
    inverse, wraps, area = cells.inverses[index], pbc[2], cells.areas[index]
    has_profiles, has_angles = profiles.fine.shape[1] > 0, angles.angles.shape[1] > 0
    if has_profiles or has_angles:
        geometry = (cells.vectors[index], inverse, pbc, squared_half_height(inverse))
        _find_waters(places, atoms, geometry, normal, is_first, waters)
        irregular = 0
        for count in waters.counts:
            irregular += count != 2
        if has_profiles:
            profiles.irregular[frame] = irregular
        if has_angles:
            angles.irregular[0] += irregular
            angles.irregular[1] += waters.counts.size
    planes, above = np.empty(atoms.signs.size), np.empty(atoms.oxygen.size)
    for surface in range(planes.size):
        layer = atoms.layers[atoms.layer_starts[surface] : atoms.layer_starts[surface + 1]]
        planes[surface] = plane = plane_height(heights, layer, period, wraps)
        sign = atoms.signs[surface]
        for j in range(above.size):
            above[j] = _wrapped(sign * (heights[atoms.oxygen[j]] - plane), period, wraps)
        if has_profiles and profiles.surfaces[surface]:
            _add_profiles(heights, above, (row, frame, sign, plane, period, wraps, area), atoms, waters, profiles)
        if has_angles and angles.surfaces[surface]:
            _add_angles(above, row, sign, waters, angles)
    if charges.charge.shape[1] > 0:
        _add_charges(heights, charges.values[of_charges], planes, (row, frame, period, wraps, area), atoms, charges)


@njit(cache=True, error_model='numpy')
def add_frames(
    positions: Any, rows: Any, first: Any, cells: Any, atoms: Any, profiles: Any, angles: Any, charges: Any
) -> None:
    """Add frames to the sums of all analyses that are asked for.

    :param positions: positions [Å] in single or double precision, shape ``(n_frames, n_atoms, 3)``.
    :param rows: block of each frame, shape ``(n_frames,)``.
    :param first: row of the first frame in arrays that have one for each frame.
    :param cells: cells of these frames, or one for all.
    :param atoms: indices.
    :param profiles: sums of the profiles, without blocks if not asked for, as are the other two.
    :param angles: sums of the angles.
    :param charges: sums of the charge.
    """
    n_atoms, n_oxygen, n_hydrogen = positions.shape[1], atoms.oxygen.size, atoms.hydrogen.size
    places, heights = np.empty((n_atoms, 3)), np.empty(n_atoms)
    waters = _Waters(
        np.zeros(n_hydrogen, dtype=np.int64),
        np.zeros((n_hydrogen, 3)),
        np.zeros(n_oxygen, dtype=np.int64),
        np.zeros(n_oxygen),
        np.zeros(n_hydrogen),
        np.zeros((n_oxygen, 3)),
        np.zeros(1),
        np.empty((3, n_oxygen)),
        np.zeros(n_oxygen + 2, dtype=np.int64),
    )
    has_one_cell, has_one_charge = len(cells.periods) == 1, len(charges.values) == 1
    for frame in range(positions.shape[0]):
        index = 0 if has_one_cell else frame
        if not has_one_cell:
            waters.apart[0] = 0.0
        nx, ny, nz = cells.normals[index, 0], cells.normals[index, 1], cells.normals[index, 2]
        for atom in range(n_atoms):
            x, y, z = (
                np.float64(positions[frame, atom, 0]),
                np.float64(positions[frame, atom, 1]),
                np.float64(positions[frame, atom, 2]),
            )
            places[atom, 0], places[atom, 1], places[atom, 2] = x, y, z
            heights[atom] = x * nx + y * ny + z * nz
        where = (rows[frame], first + frame, 0 if has_one_charge else frame)
        _add_frame(places, heights, index, where, frame == 0, cells, atoms, waters, profiles, angles, charges)
