"""Atoms of one frame in an order that loops can run through: waters molecule by molecule, then all that is left.

Part of the compiled pass, see :mod:`~aiida_edl.science.analysis.compiled_pass`. Loops have one result and few
arguments, for then the compiler finds that these do not overlap, and takes many atoms at once. Nothing but
:func:`new_slots` makes an array, so that references need not be counted, which costs more than the work on a frame.
"""

# ruff: noqa: PLR0917  (calls within inner loops cost more than the work)

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from aiida_edl.science.analysis.compiled_kernels import (
    PAIR_MARGIN,
    minimum_image,
    search_owners,
    smallest_squared_distance,
)

SKIN = 0.6
"""How far beyond twice the longest bond the oxygen atoms are searched for pairs [Å]: a choice of speed alone."""


class Slots(NamedTuple):
    """Atoms in order: oxygen of waters, other oxygen, a hydrogen of each water, the second, others, then all else."""

    order: Any
    """Atom in each slot, shape ``(n_atoms,)``."""
    places: Any
    """Coordinates [Å], shape ``(3, n_atoms)``."""
    heights: Any
    """Along the lower normal [Å], shape ``(n_atoms,)``."""
    owners: Any
    """Oxygen of each hydrogen, both by their position in the list of their kind, shape ``(n_hydrogen,)``."""
    owner_slots: Any
    """Slot of the oxygen of each hydrogen that is left, shape ``(n_hydrogen,)``; as many as there are."""
    n_waters: Any
    """Number of waters, shape ``(1,)``."""
    bonds: Any
    """From oxygen to hydrogen in the order of slots [Å], shape ``(3, n_hydrogen)``."""
    squared: Any
    """Their squared lengths [Å²], shape ``(n_hydrogen,)``."""
    cosines: Any
    """cos θ of the dipole of each water against the lower normal, shape ``(n_oxygen,)``; NaN if there is none."""
    bond_cosines: Any
    """Same of each bond, shape ``(n_hydrogen,)``."""
    reference: Any
    """Oxygen at the last search for pairs [Å], shape ``(3, n_oxygen)``."""
    apart: Any
    """No two were then closer than this [Å], shape ``(1,)``; 0 if unknown."""
    vector: Any
    """Room for one vector, shape ``(3,)``."""
    rows: Any
    """Room for positions as rows, shape ``(n_atoms, 3)``."""
    counts: Any
    """Room for integers of each atom, shape ``(3, n_atoms)``."""
    rest: Any
    """Room for the bonds of a search, shape ``(n_hydrogen, 3)``."""
    fractions: Any
    starts: Any


@njit(cache=True)
def new_slots(atoms: Any, n_atoms: Any) -> Any:
    """Return slots for one composition, in which hydrogen has no owner yet."""
    n_oxygen, n_hydrogen = atoms.oxygen.size, atoms.hydrogen.size
    order, is_left = np.empty(n_atoms, dtype=np.int64), np.ones(n_atoms, dtype=np.bool_)
    is_left[atoms.oxygen] = False
    is_left[atoms.hydrogen] = False
    is_left[atoms.ions] = False
    order[:n_oxygen] = atoms.oxygen
    order[n_oxygen : n_oxygen + n_hydrogen] = atoms.hydrogen
    slot = n_oxygen + n_hydrogen
    order[slot : slot + atoms.ions.size] = atoms.ions
    slot += atoms.ions.size
    order[slot:] = np.flatnonzero(is_left)
    return Slots(
        order,
        np.empty((3, n_atoms)),
        np.empty(n_atoms),
        np.zeros(n_hydrogen, dtype=np.int64),
        np.zeros(n_hydrogen, dtype=np.int64),
        np.zeros(1, dtype=np.int64),
        np.zeros((3, n_hydrogen)),
        np.zeros(n_hydrogen),
        np.zeros(n_oxygen),
        np.zeros(n_hydrogen),
        np.zeros((3, n_oxygen)),
        np.zeros(1),
        np.empty(3),
        np.empty((n_atoms, 3)),
        np.empty((3, n_atoms), dtype=np.int64),
        np.empty((n_hydrogen, 3)),
        np.empty((3, n_oxygen)),
        np.zeros(n_oxygen + 2, dtype=np.int64),
    )


@njit(cache=True, error_model='numpy', _nrt=False)
def read_frame(positions: Any, normal: Any, slots: Any) -> None:
    """Read the positions of one frame, shape ``(n_atoms, 3)``, into slots."""
    order, heights = slots.order, slots.heights
    first, second, third = slots.places[0], slots.places[1], slots.places[2]
    nx, ny, nz = normal[0], normal[1], normal[2]
    for slot in range(order.size):
        atom = order[slot]
        x, y, z = np.float64(positions[atom, 0]), np.float64(positions[atom, 1]), np.float64(positions[atom, 2])
        first[slot], second[slot], third[slot] = x, y, z
        heights[slot] = x * nx + y * ny + z * nz


@njit(cache=True, _nrt=False)
def _subtract(first: Any, second: Any, result: Any) -> None:
    for i in range(result.size):
        result[i] = first[i] - second[i]


@njit(cache=True, fastmath={'nnan', 'nsz'}, _nrt=False)
def _square(x: Any, y: Any, z: Any, result: Any) -> Any:
    """Write squared lengths, and return the largest."""
    largest = 0.0
    for i in range(result.size):
        squared = x[i] * x[i] + y[i] * y[i] + z[i] * z[i]
        result[i] = squared
        largest = squared if squared > largest else largest
    return largest


@njit(cache=True, fastmath={'nnan', 'nsz'}, _nrt=False)
def _largest_squared_shift(places: Any, reference: Any, n: Any, geometry: Any, vector: Any) -> Any:
    """Return the largest squared distance between the first places and a reference, each nearest image [Å²]."""
    cell, inverse, pbc, short = geometry
    x, y, z, u, v, w = places[0], places[1], places[2], reference[0], reference[1], reference[2]
    largest = 0.0
    for i in range(n):
        dx, dy, dz = x[i] - u[i], y[i] - v[i], z[i] - w[i]
        squared = dx * dx + dy * dy + dz * dz
        largest = squared if squared > largest else largest
    if largest < short:
        return largest
    largest = 0.0
    for i in range(n):
        squared = minimum_image(x[i] - u[i], y[i] - v[i], z[i] - w[i], cell, inverse, pbc, short, vector)
        largest = max(largest, squared)
    return largest


@njit(cache=True, error_model='numpy', _nrt=False, forceinline=True)
def _bonds(slots: Any, n_oxygen: Any, geometry: Any) -> Any:
    """Write the bonds to the owners that hydrogen has, and return the longest, squared [Å²]."""
    cell, inverse, pbc, short = geometry
    n_waters, n_hydrogen = slots.n_waters[0], slots.squared.size
    for axis in range(3):
        places, bonds = slots.places[axis], slots.bonds[axis]
        hydrogen = places[n_oxygen : n_oxygen + n_hydrogen]
        _subtract(hydrogen[:n_waters], places[:n_waters], bonds[:n_waters])
        _subtract(hydrogen[n_waters : 2 * n_waters], places[:n_waters], bonds[n_waters : 2 * n_waters])
        for i in range(2 * n_waters, n_hydrogen):
            bonds[i] = hydrogen[i] - places[slots.owner_slots[i - 2 * n_waters]]
    x, y, z = slots.bonds[0], slots.bonds[1], slots.bonds[2]
    longest = _square(x, y, z, slots.squared)
    if longest < short:
        return longest
    longest, vector = 0.0, slots.vector
    for i in range(n_hydrogen):
        if slots.squared[i] >= short:
            slots.squared[i] = minimum_image(x[i], y[i], z[i], cell, inverse, pbc, short, vector)
            x[i], y[i], z[i] = vector[0], vector[1], vector[2]
        longest = max(longest, slots.squared[i])
    return longest


@njit(cache=True, error_model='numpy', _nrt=False, forceinline=True)
def _are_apart(slots: Any, n_oxygen: Any, geometry: Any, longest: Any) -> Any:
    """Return whether all pairs of oxygen are farther apart than two of the longest bonds.

    As long as two atoms have moved by less than ``moved`` since their distances were last searched, none of these has
    shrunk by more than twice that, by the triangle inequality; only then a new search is needed.
    """
    needed = 2.0 * (1.0 + PAIR_MARGIN) * np.sqrt(longest)
    if slots.apart[0] > needed:
        moved = _largest_squared_shift(slots.places, slots.reference, n_oxygen, geometry, slots.vector)
        if slots.apart[0] - 2.0 * (1.0 + PAIR_MARGIN) * np.sqrt(moved) > needed:
            return True
    return _search_pairs(slots, n_oxygen, geometry, needed)


@njit(cache=True, error_model='numpy', _nrt=False)
def _search_pairs(slots: Any, n_oxygen: Any, geometry: Any, needed: Any) -> Any:
    """Search for the smallest distance of two oxygen atoms, and return whether it is as large as needed [Å]."""
    cell, inverse, pbc, _ = geometry
    limit = (needed + SKIN) ** 2
    rows, every = slots.rows, slots.counts[0, :n_oxygen]
    for j in range(n_oxygen):
        every[j] = j
        for axis in range(3):
            slots.reference[axis, j] = rows[j, axis] = slots.places[axis, j]
    squared = smallest_squared_distance(rows, every, cell, inverse, pbc, limit, slots.fractions, slots.starts)
    slots.apart[0] = (1.0 - PAIR_MARGIN) * np.sqrt(squared)
    return slots.apart[0] > needed


@njit(cache=True, error_model='numpy', _nrt=False)
def _search(positions: Any, atoms: Any, geometry: Any, normal: Any, slots: Any) -> None:
    """Find the owner of each hydrogen by comparing all pairs, and put the atoms in their slots anew."""
    cell, inverse, pbc, short = geometry
    oxygen, hydrogen = atoms.oxygen, atoms.hydrogen
    n_oxygen, n_hydrogen, order, owners = oxygen.size, hydrogen.size, slots.order, slots.owners
    rows, counts, slot_of, seen = slots.rows, slots.counts[0], slots.counts[1], slots.counts[2]
    for atom in range(order.size):
        for axis in range(3):
            rows[atom, axis] = positions[atom, axis]
    search_owners(rows, oxygen, rows, hydrogen, cell, inverse, pbc, short, owners, slots.rest)
    for j in range(n_oxygen):
        counts[j] = seen[j] = 0
    for owner in owners:
        counts[owner] += 1
    n_waters, n_others = 0, 0
    for j in range(n_oxygen):
        n_waters += counts[j] == 2
    slots.n_waters[0] = n_waters
    first, next_water = n_oxygen, 0
    for j in range(n_oxygen):
        if counts[j] == 2:
            slot_of[j] = next_water
            next_water += 1
        else:
            slot_of[j] = n_waters + n_others
            n_others += 1
        order[slot_of[j]] = oxygen[j]
    left = 0
    for i in range(n_hydrogen):
        slot = slot_of[owners[i]]
        if slot < n_waters:
            order[first + seen[slot] * n_waters + slot] = hydrogen[i]
            seen[slot] += 1
        else:
            order[first + 2 * n_waters + left] = hydrogen[i]
            slots.owner_slots[left] = slot
            left += 1
    slots.apart[0] = 0.0
    read_frame(positions, normal, slots)


@njit(cache=True, error_model='numpy', _nrt=False)
def _cosines(x: Any, y: Any, z: Any, squared: Any, normal: Any, result: Any) -> None:
    """Write the cosines of vectors against a normal; NaN for a vector of no length."""
    nx, ny, nz = normal[0], normal[1], normal[2]
    for i in range(result.size):
        result[i] = (x[i] * nx + y[i] * ny + z[i] * nz) / np.sqrt(squared[i])


@njit(cache=True, error_model='numpy', _nrt=False)
def _dipole_cosines(bonds: Any, n: Any, normal: Any, result: Any) -> None:
    """Write the cosines of the dipoles of ``n`` waters, whose bonds come first; NaN where they cancel."""
    x, y, z = bonds[0], bonds[1], bonds[2]
    other_x, other_y, other_z = x[n : 2 * n], y[n : 2 * n], z[n : 2 * n]
    nx, ny, nz = normal[0], normal[1], normal[2]
    for i in range(n):
        dx, dy, dz = x[i] + other_x[i], y[i] + other_y[i], z[i] + other_z[i]
        result[i] = (dx * nx + dy * ny + dz * nz) / np.sqrt(dx * dx + dy * dy + dz * dz)


@njit(cache=True, error_model='numpy', _nrt=False, forceinline=True)
def find_waters(positions: Any, atoms: Any, geometry: Any, normal: Any, is_first: Any, slots: Any) -> None:
    """Assign the hydrogen of one frame, which was read, and find the cosines of bonds and dipoles.

    The owners of the frame before are kept if it is proved that they hold, see ``compiled_kernels.assign``.

    :param positions: of the frame [Å], shape ``(n_atoms, 3)``.
    :param atoms: indices.
    :param geometry: cell, its inverse, periodicity, and its squared half height [Å²].
    :param normal: unit normal of the lower surface.
    :param is_first: whether there is no frame before.
    :param slots: state, with the atoms of this frame.
    """
    n_oxygen = atoms.oxygen.size
    is_settled = not is_first
    if is_settled:
        is_settled = _are_apart(slots, n_oxygen, geometry, _bonds(slots, n_oxygen, geometry))
    if not is_settled:
        _search(positions, atoms, geometry, normal, slots)
        _bonds(slots, n_oxygen, geometry)
    x, y, z = slots.bonds[0], slots.bonds[1], slots.bonds[2]
    _cosines(x, y, z, slots.squared, normal, slots.bond_cosines)
    _dipole_cosines(slots.bonds, slots.n_waters[0], normal, slots.cosines)
