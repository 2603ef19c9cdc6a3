"""Where the metal ends and the liquid begins: surface planes, normals and heights above them.

The lower surface lies below the liquid and has the normal +z; the upper surface lies above it and has the normal -z, so
that both normals point from the metal into the liquid. The origin of the height is the mean height of the outermost
metal layer, frame by frame. Here z is the direction of ``a × b``, whatever the cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis.atom_groups import AtomGroups, Integers, complete_cells
from aiida_edl.science.frames import Floats, Frame

LAYER_GAP = 0.7
"""Gap between successive heights that separates two metal layers [Å]: below the 1.4 Å of fcc(110), the closest
low-index layers, and above the thermal scatter within one."""
MINIMUM_LIQUID_GAP = 4.0
"""Gap in the metal that can hold liquid [Å]; the layers of a slab are closer."""
MINIMUM_LAYER_FRACTION = 0.5
"""A layer with fewer atoms than this fraction of the median layer is taken for adatoms, not for the surface."""
WETTING_HEIGHT = 6.0
"""A surface is wet if oxygen lies within this height [Å]: beyond the first layer, short of any vacuum."""
WETTING_FRACTION = 0.25
"""Smallest ratio of oxygen near one surface to that near the other for it to count as wet; below it, it is vapour."""


@dataclass(frozen=True)
class Surface:
    """One metal surface that touches liquid."""

    layer: Integers
    """Indices of the atoms of the outermost metal layer, shape ``(n_layer,)``."""
    sign: int
    """+1 for the lower surface (liquid above it), -1 for the upper one."""

    @property
    def name(self) -> str:
        """``'lower'`` or ``'upper'``."""
        return 'lower' if self.sign > 0 else 'upper'


def surface_normals(cells: Floats) -> Floats:
    """Return the unit normals of the lower surface, along ``a × b`` and towards +c, shape ``(n_frames, 3)``.

    :param cells: cell vectors as rows [Å], shape ``(n_frames, 3, 3)``; the slab lies in the plane of the first two.
    """
    normals = np.cross(cells[:, 0], cells[:, 1])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    is_left_handed = np.einsum('fx,fx->f', cells[:, 2], normals) < 0
    return np.asarray(np.where(is_left_handed[:, None], -normals, normals))


def periods_along(cells: Floats, normals: Floats) -> Floats:
    """Return the height of each cell, after which heights repeat [Å], shape ``(n_frames,)``.

    :param cells: cell vectors as rows [Å], shape ``(n_frames, 3, 3)``.
    :param normals: result of :func:`surface_normals`.
    """
    return np.asarray(np.einsum('fx,fx->f', cells[:, 2], normals))


def heights_along(positions: Floats, normals: Floats) -> Floats:
    """Return the heights of atoms along the normal [Å], shape ``(n_frames, n_atoms)``.

    :param positions: positions [Å], shape ``(n_frames, n_atoms, 3)``.
    :param normals: result of :func:`surface_normals`.
    """
    if np.all(normals == normals[0]):
        # One product for all frames is ten times as fast.
        return np.asarray(positions.reshape(-1, 3) @ normals[0], dtype=np.float64).reshape(positions.shape[:2])
    return np.asarray(np.einsum('fax,fx->fa', positions, normals), dtype=np.float64)


def areas(cells: Floats) -> Floats:
    """Return the lateral area of each cell [Å²], shape ``(n_frames,)``.

    :param cells: cell vectors as rows [Å], shape ``(n_frames, 3, 3)``; the slab lies in the plane of the first two.
    """
    return np.asarray(np.linalg.norm(np.cross(cells[:, 0], cells[:, 1]), axis=1), dtype=np.float64)


def wet_surfaces(
    metal_heights: Floats, metal: Integers, oxygen_heights: Floats, period: float, is_periodic: bool
) -> tuple[Surface, ...]:
    """Return the surfaces on either side of the liquid, one or two, or none without metal or oxygen.

    The liquid is the gap between metal atoms that holds most oxygen; beyond the ends of a cell that is not periodic
    along its third vector lies an open gap. So one film with vacuum, liquid between a slab and its image, and liquid
    between two slabs are all covered; of two separate films on one slab the larger is taken.

    :param metal_heights: heights of the metal atoms [Å], shape ``(n_metal,)``.
    :param metal: indices of the metal atoms, in the same order.
    :param oxygen_heights: heights of the oxygen atoms [Å], shape ``(n_oxygen,)``.
    :param period: period of the height [Å].
    :param is_periodic: whether heights repeat.
    """
    if not metal.size or not oxygen_heights.size:
        return ()
    wrapped = np.mod(metal_heights, period) if is_periodic else metal_heights
    order = np.argsort(wrapped, kind='stable')
    steps = np.diff(wrapped[order], append=wrapped[order[0]] + period if is_periodic else np.inf)
    # Each gap is named by the position in the order of the atom below it; -1 is the open end below a film.
    gaps = [int(index) for index in np.flatnonzero(steps > MINIMUM_LIQUID_GAP)] + ([] if is_periodic else [-1])
    if not gaps:
        return ()

    def oxygen_above(gap: int) -> Floats:
        if gap == -1:
            fall = oxygen_heights - wrapped[order[0]]
            return np.asarray(fall[fall < 0], dtype=np.float64)
        rise = oxygen_heights - wrapped[order[gap]]
        rise = np.mod(rise, period) if is_periodic else rise[rise > 0]
        return np.asarray(rise[rise < steps[gap]], dtype=np.float64)

    gap = max(gaps, key=lambda candidate: oxygen_above(candidate).size)
    rise = oxygen_above(gap)
    step_period = period if is_periodic else np.inf
    surfaces, near = [], []
    if gap != -1:
        surfaces.append(Surface(metal[_outermost_layer(np.roll(order, -gap - 1)[::-1], wrapped, step_period)], +1))
        near.append(np.count_nonzero(rise < WETTING_HEIGHT))
    if np.isfinite(steps[gap]) or gap == -1:
        depth = -rise if gap == -1 else steps[gap] - rise
        surfaces.append(Surface(metal[_outermost_layer(np.roll(order, -gap - 1), wrapped, step_period)], -1))
        near.append(np.count_nonzero(depth < WETTING_HEIGHT))
    return tuple(s for s, count in zip(surfaces, near) if count and count >= WETTING_FRACTION * max(near))


def _outermost_layer(inwards: Integers, heights: Floats, period: float) -> Integers:
    """Return the members of the first full layer met on the way into the metal.

    :param inwards: positions of the metal atoms, ordered from the surface inwards.
    :param heights: heights of the metal atoms [Å].
    :param period: period of the height [Å], infinite if heights do not repeat.
    """
    steps = np.abs(np.diff(heights[inwards]))
    # Where the order passes the boundary of the cell, the step is the period less the difference.
    steps = np.minimum(steps, np.abs(period - steps))
    layers = np.split(inwards, np.flatnonzero(steps > LAYER_GAP) + 1)
    full = float(np.median([layer.size for layer in layers]))
    return next(layer for layer in layers if layer.size >= MINIMUM_LAYER_FRACTION * full)


def plane_heights(heights: Floats, surface: Surface, periods: Floats, is_periodic: NDArray[np.bool_]) -> Floats:
    """Return the height of the surface plane in each frame [Å], shape ``(n_frames,)``.

    It is the mean over the layer by minimum image; a member that has left the layer, farther than :data:`LAYER_GAP`
    from its median, is left out.

    :param heights: heights of all atoms [Å], shape ``(n_frames, n_atoms)``.
    :param surface: the surface.
    :param periods: period of the height [Å], shape ``(n_frames,)``.
    :param is_periodic: whether heights repeat, shape ``(n_frames,)``.
    """
    layer = heights[:, surface.layer]
    anchor = layer[:, :1]
    relative = layer - anchor
    relative -= np.rint(relative / periods[:, None]) * (periods * is_periodic)[:, None]
    median = np.median(relative, axis=1, keepdims=True)
    stays = np.abs(relative - median) <= LAYER_GAP
    stays[~stays.any(axis=1)] = True
    return np.asarray(anchor[:, 0] + np.sum(relative * stays, axis=1) / np.sum(stays, axis=1))


def heights_above(
    heights: Floats, planes: Floats, surface: Surface, periods: Floats, is_periodic: NDArray[np.bool_]
) -> Floats:
    """Return heights measured from the surface into the liquid [Å], in ``[0, period)`` where heights repeat.

    :param heights: heights of atoms [Å], shape ``(n_frames, n_atoms)``.
    :param planes: result of :func:`plane_heights`, shape ``(n_frames,)``.
    :param surface: the surface.
    :param periods: period of the height [Å], shape ``(n_frames,)``.
    :param is_periodic: whether heights repeat, shape ``(n_frames,)``.
    """
    relative = surface.sign * (heights - planes[:, None])
    relative -= np.floor(relative / periods[:, None]) * (periods * is_periodic)[:, None]
    return np.asarray(relative)


def surfaces_of_frame(frame: Frame, groups: AtomGroups) -> tuple[Surface, ...]:
    """Return the wet surfaces of one frame.

    :param frame: the frame.
    :param groups: its atom groups.
    """
    cells = complete_cells(frame.cell[None])
    normals = surface_normals(cells)
    heights = frame.positions @ normals[0]
    period = float(periods_along(cells, normals)[0])
    return wet_surfaces(heights[groups.metal], groups.metal, heights[groups.oxygen], period, bool(frame.pbc[2]))
