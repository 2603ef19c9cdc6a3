"""Sums over blocks of frames from which all profiles of an interface follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiida_edl.science.analysis import surface_planes
from aiida_edl.science.analysis.angular_distribution import angle_sums
from aiida_edl.science.analysis.atom_groups import Integers, assign_hydrogens_of, complete_cells
from aiida_edl.science.analysis.density_profile import number_density_sums
from aiida_edl.science.analysis.planar_bins import FrameBlocks, Rows
from aiida_edl.science.analysis.profile_settings import ProfileSettings
from aiida_edl.science.analysis.trajectory_parts import TrajectoryPart
from aiida_edl.science.analysis.water_orientation import cosines_of, in_first_layer, layer_sums, orientation_sums
from aiida_edl.science.frames import Floats, FrameSet


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
        (start, stop), groups, bins = span, part.groups, settings.bins
        positions = frames.positions[int(frames.offsets[start]) : int(frames.offsets[stop])]
        positions = np.asarray(positions, dtype=np.float64).reshape(stop - start, -1, 3)
        cells, pbc = complete_cells(frames.cells[start:stop]), frames.pbc[start:stop]
        frame_rows = slice(part.first_row + start - part.start, part.first_row + stop - part.start)
        first_block = int(blocks.block_of_frame[frame_rows][0])
        of_frame = blocks.block_of_frame[frame_rows] - first_block
        rows = Rows(of_frame, int(of_frame[-1]) + 1)
        here = slice(first_block, first_block + rows.count)

        hydrogen = assign_hydrogens_of(positions, groups, cells, pbc)
        is_water = hydrogen.is_water
        self.irregular[frame_rows] = hydrogen.irregular_counts
        self.oxygen_count[frame_rows] = groups.oxygen.size
        self.area[frame_rows] = areas = surface_planes.areas(cells)
        normals = surface_planes.surface_normals(cells)
        periods = surface_planes.periods_along(cells, normals)
        heights = surface_planes.heights_along(positions, normals)
        lower_cosines = cosines_of(hydrogen, normals)
        share = 1.0 / len(part.surfaces)
        for surface in part.surfaces:
            planes = surface_planes.plane_heights(heights, surface, periods, pbc[:, 2])
            above = surface_planes.heights_above(heights, planes, surface, periods, pbc[:, 2])
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
