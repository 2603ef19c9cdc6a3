"""Sums over blocks of frames from which all profiles of an interface follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis import surface_planes
from aiida_edl.science.analysis.angular_distribution import angle_sums
from aiida_edl.science.analysis.atom_groups import HYDROGENS_PER_WATER, Integers, assign_hydrogens_of, complete_cells
from aiida_edl.science.analysis.density_profile import number_density_sums
from aiida_edl.science.analysis.pass_arrays import SPARE, Profiles, angle_table
from aiida_edl.science.analysis.planar_bins import FrameBlocks, Rows
from aiida_edl.science.analysis.profile_settings import ProfileSettings
from aiida_edl.science.analysis.trajectory_parts import TrajectoryPart
from aiida_edl.science.analysis.water_orientation import cosines_of, in_first_layer, layer_sums, orientation_sums
from aiida_edl.science.frames import Floats, FrameSet

NAMES = ('oxygen', 'hydrogen', 'ion', 'water', 'orientation', 'cosine', 'count')
"""Of the profiles, in the order of the compiled pass."""


@dataclass(frozen=True)
class _Places:
    """Where the atoms of some frames are, and how their waters are turned."""

    heights: Floats
    """Heights of all atoms along the lower normal [Å], shape ``(n_frames, n_atoms)``."""
    periods: Floats
    """Period of the height [Å], shape ``(n_frames,)``."""
    is_periodic: NDArray[np.bool_]
    """Whether heights repeat, shape ``(n_frames,)``."""
    areas: Floats
    """Lateral areas [Å²], shape ``(n_frames,)``."""
    cosines: Floats
    """cos θ of each oxygen against the lower normal, shape ``(n_frames, n_oxygen)``."""
    hydrogen_counts: Integers
    """Hydrogen of each oxygen, same shape."""


@dataclass(frozen=True)
class ProfileSums:
    """Sums that grow, in place, as frames are added; divided by the number of surfaces already."""

    fine: Floats
    """The profiles that follow are views of it; spare bins hold what is outside, ``(7, n_blocks, n_bins + 8)``."""
    oxygen: Floats
    """Number density of oxygen summed over the frames of each block [1/Å³], shape ``(n_blocks, n_bins)``."""
    hydrogen: Floats
    """Same for hydrogen."""
    ion: Floats
    """Same for the ion."""
    water: Floats
    """Same for water at its oxygen."""
    orientation: Floats
    """Number density of water times cos θ [1/Å³], shape ``(n_blocks, n_bins)``."""
    cosine: Floats
    """Sum of cos θ, shape ``(n_blocks, n_bins)``."""
    count: Floats
    """Number of waters, shape ``(n_blocks, n_bins)``."""
    angle: Floats
    """Number of first-layer waters by angle, shape ``(n_blocks, n_angles)``."""
    layers: Floats
    """The two sums that follow, which are views of it, shape ``(2, n_frames)``."""
    layer_count: Floats
    """Waters in the first layer of each frame, shape ``(n_frames,)``."""
    layer_cosine: Floats
    """Their sum of cos θ, shape ``(n_frames,)``."""
    irregular: Integers
    """Oxygen without exactly two hydrogen in each frame, shape ``(n_frames,)``."""
    oxygen_count: Integers
    """Oxygen in each frame, shape ``(n_frames,)``."""
    area: Floats
    """Lateral area of each frame [Å²], shape ``(n_frames,)``."""

    @classmethod
    def empty(cls, blocks: FrameBlocks, settings: ProfileSettings) -> ProfileSums:
        """Return sums of nothing.

        :param blocks: blocks of all analysed frames.
        :param settings: bins.
        """
        n_frames = len(blocks.block_of_frame)
        layers = np.zeros((2, n_frames))
        fine = np.zeros((len(NAMES), len(blocks), settings.bins.n_bins + SPARE))
        return cls(
            fine=fine,
            **dict(zip(NAMES, fine[..., :-SPARE], strict=True)),
            angle=np.zeros((len(blocks), settings.angle_bins.n_bins)),
            layers=layers,
            layer_count=layers[0],
            layer_cosine=layers[1],
            irregular=np.zeros(n_frames, dtype=np.int64),
            oxygen_count=np.zeros(n_frames, dtype=np.int64),
            area=np.zeros(n_frames),
        )

    def target(self, part: TrajectoryPart, rows: slice, settings: ProfileSettings) -> Profiles:
        """Return what the compiled pass fills, and set what does not depend on positions.

        :param part: part of the trajectory, with all surfaces of the pass.
        :param rows: rows of its frames.
        :param settings: bins, first layer, and which of the surfaces count.
        """
        self.oxygen_count[rows] = part.groups.oxygen.size
        chosen = np.array([settings.surfaces in ('average', surface.name) for surface in part.surfaces])
        return Profiles(
            surfaces=chosen,
            share=1.0 / int(chosen.sum()),
            width=float(settings.bin_width),
            maximum=float(settings.z_max),
            bound=float(settings.first_layer_bound),
            angle_width=float(settings.angle_bin_width),
            table=angle_table(settings.angle_bin_width),
            fine=self.fine,
            angles=self.angle,
            layers=self.layers,
            irregular=self.irregular,
        )

    def add(
        self,
        frames: FrameSet,
        part: TrajectoryPart,
        span: tuple[int, int],
        blocks: FrameBlocks,
        settings: ProfileSettings,
    ) -> None:
        """Add the frames ``span[0]:span[1]`` of one part of the trajectory without the compiled pass.

        :param frames: the trajectory.
        :param part: the part, whose frames have the same atoms.
        :param span: first frame, and frame after the last.
        :param blocks: blocks of all analysed frames.
        :param settings: bins and first layer.
        """
        (start, stop), groups = span, part.groups
        positions = frames.positions[int(frames.offsets[start]) : int(frames.offsets[stop])]
        positions = np.asarray(positions, dtype=np.float64).reshape(stop - start, -1, 3)
        cells, pbc = complete_cells(frames.cells[start:stop]), frames.pbc[start:stop]
        frame_rows = slice(part.first_row + start - part.start, part.first_row + stop - part.start)
        first_block = int(blocks.block_of_frame[frame_rows][0])
        of_frame = blocks.block_of_frame[frame_rows] - first_block
        rows = Rows(of_frame, int(of_frame[-1]) + 1)
        here = slice(first_block, first_block + rows.count)

        hydrogen = assign_hydrogens_of(positions, groups, cells, pbc)
        self.irregular[frame_rows] = hydrogen.irregular_counts
        self.oxygen_count[frame_rows] = groups.oxygen.size
        self.area[frame_rows] = areas = surface_planes.areas(cells)
        normals = surface_planes.surface_normals(cells)
        periods = surface_planes.periods_along(cells, normals)
        heights = surface_planes.heights_along(positions, normals)
        lower_cosines = cosines_of(hydrogen, normals)
        places = _Places(heights, periods, pbc[:, 2], areas, lower_cosines, hydrogen.hydrogen_counts)
        self._add_by_numpy(places, part, (frame_rows, here, rows), settings)

    def _add_by_numpy(
        self, places: _Places, part: TrajectoryPart, where: tuple[slice, slice, Rows], settings: ProfileSettings
    ) -> None:
        """Add frames whose atoms are placed to the profiles."""
        (frame_rows, here, rows), groups, bins = where, part.groups, settings.bins
        heights, periods, areas = places.heights, places.periods, places.areas
        is_water, lower_cosines = places.hydrogen_counts == HYDROGENS_PER_WATER, places.cosines
        share = 1.0 / len(part.surfaces)
        for surface in part.surfaces:
            planes = surface_planes.plane_heights(heights, surface, periods, places.is_periodic)
            above = surface_planes.heights_above(heights, planes, surface, periods, places.is_periodic)
            oxygen = above[:, groups.oxygen]
            cosines = surface.sign * lower_cosines
            inside = in_first_layer(oxygen, cosines, is_water, settings.first_layer_bound)
            layer_count, layer_cosine = layer_sums(cosines, inside)
            self.layer_count[frame_rows] += share * layer_count
            self.layer_cosine[frame_rows] += share * layer_cosine
            self.angle[here] += angle_sums(cosines, inside, settings.angle_bins, rows)
            cosine, count = orientation_sums(oxygen, cosines, is_water, bins, rows)
            self.cosine[here] += cosine
            self.count[here] += count
            per_volume = cosines / (areas * bins.width)[:, None]
            self.orientation[here] += share * bins.sums(oxygen, rows, per_volume, is_water & np.isfinite(cosines))
            self.water[here] += share * number_density_sums(oxygen, areas, bins, rows, is_water)
            for total, members in (
                (self.oxygen, groups.oxygen),
                (self.hydrogen, groups.hydrogen),
                (self.ion, part.ions),
            ):
                total[here] += share * number_density_sums(above[:, members], areas, bins, rows)
