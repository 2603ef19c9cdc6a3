"""What the compiled pass does with the atoms of one frame: bins and layers above a surface, and the sums over them.

Part of the compiled pass, see :mod:`~aiida_edl.science.analysis.compiled_pass`. Bins of all atoms are found first, many
at once, and sums are filled then. There is hardly a branch that depends on where an atom is, because such branches
cannot be foreseen: what is outside is put into spare bins.
"""

# ruff: noqa: PLR0917  (calls within inner loops cost more than the work)

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from aiida_edl.science.analysis.pass_arrays import SPARE

OXYGEN, HYDROGEN, ION, WATER, ORIENTATION, COSINE, COUNT = range(7)
"""Rows of the fine profiles."""


class Room(NamedTuple):
    """Room for what is found of each atom of a frame."""

    above: Any
    """Heights above a surface [Å], shape ``(n_atoms,)``."""
    from_cut: Any
    """Heights above the first bin of the charge [Å], same shape."""
    bins: Any
    """Bin of each, same shape; unsigned, which spares a test for negative indices."""
    picked: Any
    """Slots that are in a layer, same shape."""
    layers: Any
    """Layer of each water, same shape."""
    sums: Any
    """Four sums for each layer, zero, shape ``(4, n_layers)``."""
    planes: Any
    """Height of each surface [Å], shape ``(n_surfaces,)``."""
    metal: Any
    """Charge of the metal at each surface [e], same shape."""


@njit(cache=True)
def new_room(n_atoms: Any, n_layers: Any, n_surfaces: Any) -> Any:
    """Return room for a number of atoms, layers and surfaces."""
    return Room(
        np.empty(n_atoms),
        np.empty(n_atoms),
        np.empty(n_atoms, dtype=np.uint32),
        np.empty(n_atoms, dtype=np.uint32),
        np.empty(n_atoms, dtype=np.int32),
        np.zeros((4, n_layers)),
        np.zeros(n_surfaces),
        np.zeros(n_surfaces),
    )


@njit(cache=True, error_model='numpy', _nrt=False)
def wrapped(height: Any, period: Any, wraps: Any) -> Any:
    """Return a height in ``[0, period)`` where heights repeat."""
    if not wraps or 0.0 <= height < period:
        return height
    return height - np.floor(height / period) * period


@njit(cache=True, error_model='numpy', _nrt=False)
def heights_above(heights: Any, origin: Any, sign: Any, period: Any, wraps: Any, result: Any) -> None:
    """Write heights above an origin, in ``[0, period)`` where heights repeat [Å], as many as ``result`` holds."""
    if not wraps:
        for i in range(result.size):
            result[i] = sign * (heights[i] - origin)
        return
    n_far = 0
    for i in range(result.size):
        height = sign * (heights[i] - origin)
        # Nearly all are within one period of the cell; there the quotient need not be known.
        n_far += (height < -period) | (height >= 2.0 * period)
        result[i] = height + period if height < 0.0 else (height - period if height >= period else height)
    if n_far:
        for i in range(result.size):
            result[i] = wrapped(sign * (heights[i] - origin), period, wraps)


@njit(cache=True, error_model='numpy', _nrt=False)
def bins_of(heights: Any, width: Any, maximum: Any, n_bins: Any, bins: Any) -> None:
    """Write the bin of each height; those outside are put into spare bins, one after the other."""
    last = np.int32(n_bins - 1)
    for i in range(heights.size):
        height = heights[i]
        is_inside = (height >= 0.0) & (height < maximum)
        place = np.int32(height / width if is_inside else 0.0)
        place = place if place < last else last
        bins[i] = place if is_inside else np.int32(n_bins + (i & (SPARE - 1)))


@njit(cache=True, error_model='numpy', _nrt=False)
def angle_bin(cosine: Any, table: Any, width: Any, last: Any) -> Any:
    """Return the bin of an angle, by its cosine where that settles it."""
    place = table[min(max(int((cosine + 1.0) * (0.5 * table.size)), 0), table.size - 1)]
    if place >= 0:
        return place
    return min(int(np.degrees(np.arccos(min(max(cosine, -1.0), 1.0))) / width), last)


@njit(cache=True, error_model='numpy', _nrt=False)
def _add_each(bins: Any, weight: Any, sums: Any) -> None:
    for place in bins:
        sums[place] += weight


@njit(cache=True, error_model='numpy', _nrt=False)
def _add_waters(bins: Any, cosines: Any, weight: Any, sign: Any, fine: Any, row: Any) -> None:
    """Add waters to the profiles."""
    oxygen, water, orientation = fine[OXYGEN, row], fine[WATER, row], fine[ORIENTATION, row]
    cosine_sums, count = fine[COSINE, row], fine[COUNT, row]
    for i in range(bins.size):
        place, cosine = bins[i], sign * cosines[i]
        oxygen[place] += weight
        water[place] += weight
        if np.isfinite(cosine):
            orientation[place] += weight * cosine
            cosine_sums[place] += cosine
            count[place] += 1.0


@njit(cache=True, error_model='numpy', _nrt=False)
def _pick_below(above: Any, bound: Any, picked: Any) -> Any:
    """Write the places of heights from zero to a bound, and return their number."""
    n = 0
    for i in range(above.size):
        picked[n] = i
        n += (above[i] >= 0.0) & (above[i] < bound)
    return n


@njit(cache=True, error_model='numpy', _nrt=False, forceinline=True)
def add_profiles(slots: Any, room: Any, atoms: Any, where: Any, profiles: Any) -> None:
    """Add one frame to the profiles above one surface; ``room.above`` are the heights above it."""
    row, frame, sign, area = where
    n_oxygen, n_hydrogen, n_ions, n_waters = atoms.oxygen.size, atoms.hydrogen.size, atoms.ions.size, slots.n_waters[0]
    fine, cosines = profiles.fine, slots.cosines[:n_waters]
    above, n_bins = room.above[: n_oxygen + n_hydrogen + n_ions], fine.shape[2] - SPARE
    weight = profiles.share / (area * profiles.width)
    bins = room.bins[: above.size]
    bins_of(above, profiles.width, profiles.maximum, n_bins, bins)
    _add_waters(bins[:n_waters], cosines, weight, sign, fine, row)
    _add_each(bins[n_waters:n_oxygen], weight, fine[OXYGEN, row])
    _add_each(bins[n_oxygen : n_oxygen + n_hydrogen], weight, fine[HYDROGEN, row])
    _add_each(bins[n_oxygen + n_hydrogen :], weight, fine[ION, row])
    n_picked = _pick_below(above[:n_waters], profiles.bound, room.picked)
    count, total, by_angle = 0, 0.0, profiles.angles[row]
    for i in range(n_picked):
        cosine = sign * cosines[room.picked[i]]
        if np.isfinite(cosine):
            count += 1
            total += cosine
            by_angle[angle_bin(cosine, profiles.table, profiles.angle_width, by_angle.size - 1)] += 1.0
    profiles.layers[0, frame] += profiles.share * count
    profiles.layers[1, frame] += profiles.share * total


@njit(cache=True, error_model='numpy', _nrt=False)
def _layers_of(above: Any, bounds: Any, layers: Any) -> None:
    """Write the layer of each height, -1 below the first."""
    for i in range(above.size):
        layers[i] = -1
    for bound in bounds:
        for i in range(above.size):
            layers[i] += above[i] >= bound


@njit(cache=True, error_model='numpy', _nrt=False, forceinline=True)
def add_angles(slots: Any, room: Any, row: Any, sign: Any, angles: Any) -> None:
    """Add the dipoles and bonds of one frame to their distributions in layers above one surface."""
    n_waters, n_layers, last = slots.n_waters[0], angles.bounds.size - 1, angles.angles.shape[3] - 1
    above, layers, picked, sums = room.above[:n_waters], room.layers[:n_waters], room.picked, room.sums
    _layers_of(above, angles.bounds, layers)
    n = 0
    for i in range(n_waters):
        picked[n] = i
        n += (layers[i] >= 0) & (layers[i] < n_layers)
    table, width = angles.table, angles.width
    for kind in range(3):
        cosines = slots.cosines if kind == 0 else slots.bond_cosines[(kind - 1) * n_waters :]
        by_angle = angles.angles[min(kind, 1), row]
        for i in range(n):
            water = picked[i]
            cosine, layer = sign * cosines[water], np.uint32(layers[water])
            if np.isfinite(cosine):
                by_angle[layer, angle_bin(cosine, table, width, last)] += 1.0
                # Sums in turn, as an addition to one must wait for that before.
                sums[i & 3, layer] += cosine
        for index in range(n_layers):
            angles.cosines[min(kind, 1), row, index] += (sums[0, index] + sums[1, index]) + (
                sums[2, index] + sums[3, index]
            )
            for part in range(4):
                sums[part, index] = 0.0


@njit(cache=True, _nrt=False, fastmath={'reassoc', 'nsz'})
def _total_and_moment(values: Any, heights: Any) -> Any:
    """Return the sum of charges, and that of their products with heights; sums are made in any order."""
    total, moment = 0.0, 0.0
    for i in range(values.size):
        total += values[i]
        moment += values[i] * heights[i]
    return total, moment


@njit(cache=True, error_model='numpy', _nrt=False, forceinline=True)
def metal_charges(slots: Any, room: Any, values: Any, atoms: Any, is_fixed: Any, cell: Any) -> None:
    """Write the charge of the metal at each surface in one frame [e] to ``room.metal``.

    :param values: charge of each slot [e]; the rest have none.
    :param is_fixed: whether charges are fixed, so that those of the metal are induced.
    :param cell: period [Å], and whether heights repeat.
    """
    (period, wraps), charges, planes, sign = cell, room.metal, room.planes, atoms.signs[0]
    charges[:] = 0.0
    if is_fixed:
        total, moment = _total_and_moment(values, room.above)
        charges[0] = -total
        if planes.size > 1:
            charges[1] = -moment / wrapped(sign * (planes[1] - planes[0]), period, wraps)
            charges[0] -= charges[1]
        return
    for slot in atoms.metal:
        nearest, least = 0, np.inf
        for surface in range(planes.size):
            apart = slots.heights[slot] - planes[surface]
            if wraps:
                apart -= np.rint(apart / period) * period
            if abs(apart) < least:
                nearest, least = surface, abs(apart)
        charges[nearest] += values[slot]


@njit(cache=True, error_model='numpy', _nrt=False)
def _add_moments(bins: Any, heights: Any, values: Any, weight: Any, depth: Any, charge: Any, moment: Any) -> None:
    for i in range(bins.size):
        place, value = bins[i], weight * values[i]
        charge[place] += value
        moment[place] += value * (heights[i] - depth)


@njit(cache=True, _nrt=False)
def _cap(heights: Any, highest: Any) -> None:
    for i in range(heights.size):
        heights[i] = min(heights[i], highest)


@njit(cache=True, error_model='numpy', _nrt=False, forceinline=True)
def add_charges(slots: Any, room: Any, values: Any, surface: Any, where: Any, atoms: Any, charges: Any) -> None:
    """Add the charges of one frame to the bins of one surface.

    :param values: charge of each slot [e]; the rest have none.
    """
    (row, frame, period, wraps, area), planes, metal = where, room.planes, room.metal
    weight, sign, below, width = 1.0 / area, atoms.signs[surface], charges.below[surface], charges.width
    charges.surface_charge[frame, surface] = metal[surface] / area
    n_bins, depth, highest = charges.bins[surface], below * width, np.nextafter(charges.lengths[surface], 0.0)
    origin, above, bins = planes[surface] - sign * depth, room.from_cut[: values.size], room.bins[: values.size]
    heights_above(slots.heights, origin, sign, period, wraps, above)
    _cap(above, highest)
    bins_of(above, width, n_bins * width, n_bins, bins)
    charge, moment = charges.charge[surface, row], charges.moment[surface, row]
    _add_moments(bins, above, values, weight, depth, charge, moment)
    if charges.is_fixed:
        for other in range(planes.size):
            # A sheet in the plane itself has no moment about it, and begins the first bin above it.
            value, place, height = weight * metal[other], below, depth
            if other != surface:
                height = min(wrapped(sign * (planes[other] - origin), period, wraps), highest)
                is_inside = 0.0 <= height < n_bins * width
                place = min(int(height / width), n_bins - 1) if is_inside else n_bins
            charge[place] += value
            moment[place] += value * (height - depth)
    if surface == 0 and charges.margin >= 0.0:
        charges.at_cut[frame] = _count_at_cut(slots, room, planes, origin, where, atoms, charges)


@njit(cache=True, error_model='numpy', _nrt=False, forceinline=True)
def _count_at_cut(slots: Any, room: Any, planes: Any, origin: Any, where: Any, atoms: Any, charges: Any) -> Any:
    """Return the number of atoms, and other planes, near the cut of a vacuum in one frame."""
    (_, _, period, wraps, _), sign, length, margin = where, atoms.signs[0], charges.lengths[0], charges.margin
    above, highest, count = room.from_cut, np.nextafter(length, 0.0), 0
    heights_above(slots.heights, origin, sign, period, wraps, above)
    for i in range(above.size):
        height = min(above[i], highest)
        count += (height < margin) | (height > length - margin)
    for other in range(1, planes.size):
        height = min(wrapped(sign * (planes[other] - origin), period, wraps), highest)
        count += height < margin or height > length - margin
    return count
