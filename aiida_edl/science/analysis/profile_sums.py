"""Sums over blocks of frames from which all profiles of an interface follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis import surface_planes
from aiida_edl.science.analysis.angular_distribution import angle_sums
from aiida_edl.science.analysis.atom_groups import HYDROGENS_PER_WATER, Integers, assign_hydrogens_of, complete_cells
from aiida_edl.science.analysis.density_profile import number_density_sums
from aiida_edl.science.analysis.kernels import compiled_kernels
from aiida_edl.science.analysis.planar_bins import FrameBlocks, Rows
from aiida_edl.science.analysis.profile_settings import ProfileSettings
from aiida_edl.science.analysis.trajectory_parts import TrajectoryPart
from aiida_edl.science.analysis.water_orientation import cosines_of, in_first_layer, layer_sums, orientation_sums
from aiida_edl.science.frames import Floats, FrameSet


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
        profiles = {
            name: np.zeros((len(blocks), settings.bins.n_bins))
            for name in ('oxygen', 'hydrogen', 'ion', 'water', 'orientation', 'cosine', 'count')
        }
        return cls(
            **profiles,
            angle=np.zeros((len(blocks), settings.angle_bins.n_bins)),
            layer_count=np.zeros(n_frames),
            layer_cosine=np.zeros(n_frames),
            irregular=np.zeros(n_frames, dtype=np.int64),
            oxygen_count=np.zeros(n_frames, dtype=np.int64),
            area=np.zeros(n_frames),
        )

    def add(
        self,
        frames: FrameSet,
        part: TrajectoryPart,
        span: tuple[int, int],
        blocks: FrameBlocks,
        settings: ProfileSettings,
    ) -> None:
        """Add the frames ``span[0]:span[1]`` of one part of the trajectory.

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
        if (kernels := compiled_kernels()) is not None:
            self._add_compiled(kernels, places, part, (frame_rows, here, rows), settings)
        else:
            self._add_by_numpy(places, part, (frame_rows, here, rows), settings)

    def _add_compiled(
        self,
        kernels: Any,
        places: _Places,
        part: TrajectoryPart,
        where: tuple[slice, slice, Rows],
        settings: ProfileSettings,
    ) -> None:
        """Add frames to the profiles by compiled code."""
        (frame_rows, here, rows), groups, bins = where, part.groups, settings.bins
        profiles = np.zeros((7, rows.count, bins.n_bins))
        angles = np.zeros((rows.count, settings.angle_bins.n_bins))
        layers = np.zeros((2, len(places.areas)))
        for surface in part.surfaces:
            kernels.add_profiles(
                places.heights,
                surface.layer,
                surface.sign,
                places.periods,
                np.ascontiguousarray(places.is_periodic),
                surface_planes.LAYER_GAP,
                *(groups.oxygen, groups.hydrogen, part.ions),
                *(places.hydrogen_counts, places.cosines, places.areas, rows.of_frame),
                *(bins.width, bins.maximum, settings.first_layer_bound, settings.angle_bin_width),
                *(profiles, angles, layers),
            )
        share = 1.0 / len(part.surfaces)
        for name, index in (('oxygen', kernels.OXYGEN), ('hydrogen', kernels.HYDROGEN), ('ion', kernels.ION)):
            getattr(self, name)[here] += share * profiles[index]
        self.water[here] += share * profiles[kernels.WATER]
        self.orientation[here] += share * profiles[kernels.ORIENTATION]
        self.cosine[here] += profiles[kernels.COSINE]
        self.count[here] += profiles[kernels.COUNT]
        self.angle[here] += angles
        self.layer_count[frame_rows] += share * layers[0]
        self.layer_cosine[frame_rows] += share * layers[1]

    def _add_by_numpy(
        self, places: _Places, part: TrajectoryPart, where: tuple[slice, slice, Rows], settings: ProfileSettings
    ) -> None:
        """Add frames to the profiles without compiled code."""
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
