"""Charge and its first moment in bins along the normal, summed over blocks of frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis import surface_planes
from aiida_edl.science.analysis.atom_groups import Integers, complete_cells
from aiida_edl.science.analysis.fixed_charges import induced_charges
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.pass_arrays import SPARE, Charges
from aiida_edl.science.analysis.planar_bins import FrameBlocks, PlanarBins, Rows
from aiida_edl.science.analysis.potential_settings import PotentialSettings
from aiida_edl.science.analysis.surface_planes import Surface
from aiida_edl.science.analysis.trajectory_parts import TrajectoryPart
from aiida_edl.science.frames import Floats, FrameSet

ATOMS_AT_ONCE = 300_000
"""Atoms of one chunk of frames; bounds the memory, and makes the work on each chunk as such small."""
MINIMUM_VACUUM = 6.0
"""Gap between atoms that is vacuum [Å]; layers of metal and liquid are closer."""
MARGIN = 1.0
"""Empty space kept at either end of an open direction [Å], and distance from the cut of a vacuum at which an atom is
counted as one that may cross it."""
NET_CHARGE_TOLERANCE = 0.01
"""Net charge of a frame that is rounding or an incomplete solution for the charges of the metal [e]."""
PERIOD_TOLERANCE = 1e-6
"""Relative change of the height of the cell that is rounding."""


@dataclass(frozen=True)
class ChargeGrid:
    """Bins for one surface, from ``depth`` below it through everything."""

    width: float
    """Width of a bin [Å]; the last may be narrower."""
    n_below: int
    """Bins below the surface plane."""
    length: float
    """Height of the whole [Å]; the period where the heights repeat."""
    is_vacuum: bool
    """Whether there is vacuum at both ends; else the cell is periodic."""

    @property
    def depth(self) -> float:
        """Depth below the surface plane at which the bins begin [Å]."""
        return self.n_below * self.width

    @property
    def bins(self) -> PlanarBins:
        """Equal bins that hold the whole."""
        n_bins = int(np.ceil(self.length / self.width - PERIOD_TOLERANCE))
        return PlanarBins(self.width, n_bins * self.width)

    @property
    def edges(self) -> Floats:
        """Edges as heights above the surface [Å], shape ``(n_bins + 1,)``."""
        edges = (np.arange(self.bins.n_bins + 1) - self.n_below) * self.width
        edges[-1] = self.length - self.depth
        return np.asarray(edges, dtype=np.float64)


@dataclass(frozen=True)
class SurfaceHeights:
    """Heights of all atoms in some frames, and of the surface planes."""

    heights: Floats
    """Along the lower normal [Å], shape ``(n_frames, n_atoms)``."""
    planes: tuple[Floats, ...]
    """Of each surface, same origin [Å], each of shape ``(n_frames,)``."""
    periods: Floats
    """Height of the cell [Å], shape ``(n_frames,)``."""
    is_periodic: NDArray[np.bool_]
    """Whether heights repeat, shape ``(n_frames,)``."""
    areas: Floats
    """Lateral areas [Å²], shape ``(n_frames,)``."""

    @classmethod
    def of_frames(cls, frames: FrameSet, span: tuple[int, int], surfaces: tuple[Surface, ...]) -> SurfaceHeights:
        """Return the heights in the frames ``span[0]:span[1]``, which have the same atoms."""
        start, stop = span
        positions = frames.positions[int(frames.offsets[start]) : int(frames.offsets[stop])]
        cells, is_periodic = complete_cells(frames.cells[start:stop]), frames.pbc[start:stop, 2]
        normals = surface_planes.surface_normals(cells)
        periods = surface_planes.periods_along(cells, normals)
        in_double = np.asarray(positions, dtype=np.float64).reshape(stop - start, -1, 3)
        heights = surface_planes.heights_along(in_double, normals)
        planes = tuple(surface_planes.plane_heights(heights, item, periods, is_periodic) for item in surfaces)
        return cls(heights, planes, periods, is_periodic, surface_planes.areas(cells))

    def above(self, surface: Surface, index: int, heights: Floats | None = None, depth: float = 0.0) -> Floats:
        """Return heights from ``depth`` below a surface into the liquid [Å], in ``[0, period)`` if they repeat.

        :param surface: the surface.
        :param index: its position among the planes.
        :param heights: heights along the lower normal, shape ``(n_frames, n)``; None for those of all atoms.
        :param depth: depth below the surface [Å].
        """
        heights = self.heights if heights is None else heights
        planes = self.planes[index] - surface.sign * depth
        return surface_planes.heights_above(heights, planes, surface, self.periods, self.is_periodic)


@dataclass(frozen=True)
class ChargeSums:
    """Sums that grow, in place, as frames are added."""

    grids: tuple[ChargeGrid, ...]
    """Bins of each wet surface."""
    all_charge: Floats
    """Holds ``charge``, made of views of it, and spare bins, shape ``(n_surfaces, n_blocks, most_bins + 8)``."""
    all_moment: Floats
    """Holds ``moment``."""
    charge: tuple[Floats, ...]
    """Of each surface, charge per area summed over the frames of each block [e/Å²], shape ``(n_blocks, n_bins)``."""
    moment: tuple[Floats, ...]
    """Same for charge times height above the surface [e/Å]."""
    surface_charge: Floats
    """Charge of the metal at each surface in each frame [e/Å²], shape ``(n_frames, n_surfaces)``."""
    area: Floats
    """Lateral area of each frame [Å²], shape ``(n_frames,)``."""
    at_cut: Integers
    """Atoms near the cut of a vacuum in each frame, shape ``(n_frames,)``."""

    @classmethod
    def empty(cls, blocks: FrameBlocks, grids: tuple[ChargeGrid, ...]) -> ChargeSums:
        """Return sums of nothing.

        :param blocks: blocks of all analysed frames.
        :param grids: bins of each surface.
        """
        n_frames = len(blocks.block_of_frame)
        n_bins = [grid.bins.n_bins for grid in grids]
        all_charge, all_moment = np.zeros((2, len(grids), len(blocks), max(n_bins) + SPARE))
        return cls(
            grids=grids,
            all_charge=all_charge,
            all_moment=all_moment,
            charge=tuple(array[:, :n] for array, n in zip(all_charge, n_bins, strict=True)),
            moment=tuple(array[:, :n] for array, n in zip(all_moment, n_bins, strict=True)),
            surface_charge=np.zeros((n_frames, len(grids))),
            area=np.zeros(n_frames),
            at_cut=np.zeros(n_frames, dtype=np.int64),
        )

    def target(self, fixed: Floats | None) -> Charges:
        """Return what the compiled pass fills.

        :param fixed: as in :meth:`add`; the pass is given the charges of the frames later.
        """
        grids = self.grids
        return Charges(
            values=np.zeros((1, 0)) if fixed is None else np.array(fixed[None], dtype=np.float64),
            is_fixed=fixed is not None,
            width=float(grids[0].width),
            below=np.array([grid.n_below for grid in grids], dtype=np.int64),
            bins=np.array([grid.bins.n_bins for grid in grids], dtype=np.int64),
            lengths=np.array([grid.length for grid in grids], dtype=np.float64),
            margin=MARGIN if grids[0].is_vacuum else -1.0,
            charge=self.all_charge,
            moment=self.all_moment,
            surface_charge=self.surface_charge,
            at_cut=self.at_cut,
        )

    def add(
        self,
        frames: FrameSet,
        part: TrajectoryPart,
        span: tuple[int, int],
        blocks: FrameBlocks,
        fixed: Floats | None,
    ) -> None:
        """Add the frames ``span[0]:span[1]`` of one part of the trajectory without the compiled pass.

        :param frames: the trajectory.
        :param part: the part, whose frames have the same atoms.
        :param span: first frame, and frame after the last.
        :param blocks: blocks of all analysed frames.
        :param fixed: charge of each atom that is no metal [e], shape ``(n_atoms,)``; None for those of the frames.
        :raises NotAnalysableError: if a frame has a net charge.
        """
        start, stop = span
        frame_rows = slice(part.first_row + start - part.start, part.first_row + stop - part.start)
        first_block = int(blocks.block_of_frame[frame_rows][0])
        of_frame = blocks.block_of_frame[frame_rows] - first_block
        rows = Rows(of_frame, int(of_frame[-1]) + 1)
        here = slice(first_block, first_block + rows.count)
        places = SurfaceHeights.of_frames(frames, span, part.surfaces)
        self.area[frame_rows] = places.areas
        if fixed is None:
            heights, charges = places.heights, charges_of_frames(frames, span)
            metal = _charges_by_surface(charges, places, part)
            sheets = np.zeros_like(metal)
        else:
            heights, charges = places.heights, np.broadcast_to(fixed, places.heights.shape)
            metal = sheets = _induced(fixed, places, part)
        self.surface_charge[frame_rows] = metal / places.areas[:, None]
        for index, (surface, grid) in enumerate(zip(part.surfaces, self.grids)):
            others = [other for other in range(len(part.surfaces)) if other != index]
            all_heights = np.concatenate([heights, *(places.planes[other][:, None] for other in others)], axis=1)
            per_area = np.concatenate([charges, sheets[:, others]], axis=1) / places.areas[:, None]
            above = np.minimum(places.above(surface, index, all_heights, grid.depth), np.nextafter(grid.length, 0.0))
            self.charge[index][here] += grid.bins.sums(above, rows, per_area)
            self.moment[index][here] += grid.bins.sums(above, rows, per_area * (above - grid.depth))
            # A sheet in the plane itself has no moment about it, and begins the first bin above it.
            own = np.bincount(of_frame, sheets[:, index] / places.areas, rows.count)
            self.charge[index][here, grid.n_below] += own
            if not index and grid.is_vacuum:
                near = (above < MARGIN) | (above > grid.length - MARGIN)
                self.at_cut[frame_rows] = near.sum(axis=1)


def charges_of_frames(frames: FrameSet, span: tuple[int, int]) -> Floats:
    """Return the charges that the frames carry [e], shape ``(n_frames, n_atoms)``.

    :raises NotAnalysableError: if they carry none, or a frame has a net charge.
    """
    start, stop = span
    if frames.charges is None:
        raise NotAnalysableError("the frames carry no charges: choose charge_source 'fixed'")
    charges = frames.charges[int(frames.offsets[start]) : int(frames.offsets[stop])].reshape(stop - start, -1)
    net = charges.sum(axis=1)
    if np.abs(net).max() > NET_CHARGE_TOLERANCE:
        worst = int(np.abs(net).argmax())
        raise NotAnalysableError(
            f'the charges of frame {start + worst} sum to {net[worst]:.3g} e, and a charged cell has no field; '
            "give charges of a neutral cell, or choose charge_source 'fixed'"
        )
    return charges


def _charges_by_surface(charges: Floats, places: SurfaceHeights, part: TrajectoryPart) -> Floats:
    """Return the charge of the metal next to each surface [e], shape ``(n_frames, n_surfaces)``."""
    metal = part.groups.metal
    if len(part.surfaces) == 1:
        return np.asarray(charges[:, metal].sum(axis=1, keepdims=True))
    distances = []
    for plane in places.planes:
        apart = places.heights[:, metal] - plane[:, None]
        apart -= np.rint(apart / places.periods[:, None]) * (places.periods * places.is_periodic)[:, None]
        distances.append(np.abs(apart))
    is_second = distances[1] < distances[0]
    second = np.sum(charges[:, metal] * is_second, axis=1)
    return np.asarray(np.stack([charges[:, metal].sum(axis=1) - second, second], axis=1))


def _induced(fixed: Floats, places: SurfaceHeights, part: TrajectoryPart) -> Floats:
    """Return the charge that the liquid induces on each surface [e], shape ``(n_frames, n_surfaces)``."""
    liquid = np.flatnonzero(fixed)
    above = places.above(part.surfaces[0], 0, places.heights[:, liquid])
    separations = None
    if len(part.surfaces) > 1:
        separations = places.above(part.surfaces[0], 0, places.planes[1][:, None])[:, 0]
    return induced_charges(fixed[liquid], above, separations)


def charge_grids(frames: FrameSet, parts: list[TrajectoryPart], settings: PotentialSettings) -> tuple[ChargeGrid, ...]:
    """Return the bins of each wet surface.

    :param frames: the trajectory.
    :param parts: result of :func:`~aiida_edl.science.analysis.trajectory_parts.trajectory_parts` for all surfaces.
    :param settings: grid and boundary.
    :raises NotAnalysableError: if the cell cannot be treated as its boundary asks for.
    """
    rows = np.concatenate([np.arange(part.start, part.stop) for part in parts])
    is_periodic = frames.pbc[rows, 2]
    if is_periodic.any() != is_periodic.all():
        raise NotAnalysableError('some frames are periodic along the normal and some are not: analyse them apart')
    n_below = round(-settings.z_min / settings.bin_width)
    first = parts[0]
    places = SurfaceHeights.of_frames(frames, (first.start, first.start + 1), first.surfaces)
    if not is_periodic.all():
        if settings.boundary == 'periodic':
            raise NotAnalysableError("the boundary 'periodic' is asked for, but the cells are open along the normal")
        return _open_grids(frames, parts, settings, n_below)
    cells = frames.cells[rows]
    periods = surface_planes.periods_along(cells, surface_planes.surface_normals(cells))
    if np.ptp(periods) > PERIOD_TOLERANCE * periods[0]:
        raise NotAnalysableError(
            f'the height of the cell changes between {periods.min():.6g} and {periods.max():.6g} Å: a potential '
            'profile needs one height'
        )
    gap, above_gap = _largest_gap(places, first.surfaces)
    is_vacuum = settings.boundary == 'vacuum' or (settings.boundary == 'auto' and gap >= MINIMUM_VACUUM)
    length = float(periods[0])
    if not is_vacuum:
        return tuple(ChargeGrid(settings.bin_width, n_below, length, False) for _ in first.surfaces)
    if gap < 2 * MARGIN:
        raise NotAnalysableError(f"the boundary 'vacuum' is asked for, but the largest gap in the cell is {gap:.2f} Å")
    grids = []
    for index in range(len(first.surfaces)):
        middle = above_gap - 0.5 * gap
        if index:
            separation = float(places.above(first.surfaces[0], 0, places.planes[index][:, None])[0, 0])
            middle = separation - middle
        depth = np.mod(-middle, length)
        grids.append(ChargeGrid(settings.bin_width, round(depth / settings.bin_width), length, True))
    return tuple(grids)


def _largest_gap(places: SurfaceHeights, surfaces: tuple[Surface, ...]) -> tuple[float, float]:
    """Return the largest gap between atoms in the first frame [Å], and the height of the atom above it [Å].

    Between two wet surfaces lies liquid, so a gap there is no vacuum that could cut the cell.
    """
    above = np.sort(places.above(surfaces[0], 0)[0])
    steps = np.diff(above, prepend=above[-1] - places.periods[0])
    if len(surfaces) > 1:
        separation = float(places.above(surfaces[0], 0, places.planes[1][:, None])[0, 0])
        is_metal_side = above > separation
        is_metal_side[0] = True
        steps = np.where(is_metal_side, steps, 0.0)
    widest = int(steps.argmax())
    return float(steps[widest]), float(above[widest])


def _open_grids(
    frames: FrameSet, parts: list[TrajectoryPart], settings: PotentialSettings, n_below: int
) -> tuple[ChargeGrid, ...]:
    """Return bins that hold all atoms of all frames and a margin, for cells that are open along the normal."""
    width, n_surfaces = settings.bin_width, len(parts[0].surfaces)
    lowest, highest = np.full(n_surfaces, np.inf), np.full(n_surfaces, settings.z_max)
    for part in parts:
        for span in frame_chunks(frames, part):
            places = SurfaceHeights.of_frames(frames, span, part.surfaces)
            for index, surface in enumerate(part.surfaces):
                above = places.above(surface, index)
                lowest[index] = min(lowest[index], above.min())
                highest[index] = max(highest[index], above.max())
    grids = []
    for low, high in zip(lowest, highest):
        below = max(n_below, int(np.ceil((MARGIN - low) / width)))
        length = (below + int(np.ceil((high + MARGIN) / width))) * width
        grids.append(ChargeGrid(width, below, length, True))
    return tuple(grids)


def frame_chunks(frames: FrameSet, part: TrajectoryPart, atoms_at_once: int = ATOMS_AT_ONCE) -> list[tuple[int, int]]:
    """Return the ranges of frames that are read at once.

    :param frames: the trajectory.
    :param part: a part of it.
    :param atoms_at_once: most atoms of one chunk, unless a frame has more.
    """
    at_once = max(1, atoms_at_once // int(frames.offsets[part.start + 1] - frames.offsets[part.start]))
    return [(start, min(start + at_once, part.stop)) for start in range(part.start, part.stop, at_once)]
