"""Sums over blocks of frames from which the angular distributions in layers follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiida_edl.science.analysis import surface_planes
from aiida_edl.science.analysis.angular_distribution import STRAIGHT_ANGLE, angles_in_degree
from aiida_edl.science.analysis.angular_settings import AngularSettings
from aiida_edl.science.analysis.atom_groups import HydrogenAssignment, Integers, assign_hydrogens_of, complete_cells
from aiida_edl.science.analysis.pass_arrays import Angles, angle_table
from aiida_edl.science.analysis.planar_bins import FrameBlocks, Rows
from aiida_edl.science.analysis.surface_planes import Surface
from aiida_edl.science.analysis.trajectory_parts import TrajectoryPart
from aiida_edl.science.analysis.water_orientation import cosines_of
from aiida_edl.science.frames import Floats, FrameSet

KINDS = ('dipole', 'bond')


@dataclass(frozen=True)
class AngularSums:
    """Sums by block of frames that grow in place; ``vectors`` are dipole directions or bonds."""

    angles: Floats
    """By kind of vector as in :data:`KINDS`, their number by angle, shape ``(2, n_blocks, n_layers, n_angles)``."""
    cosines: Floats
    """By kind, the sum of cos θ, shape ``(2, n_blocks, n_layers)``."""
    irregular: Integers
    """Oxygen without exactly two hydrogen, and all oxygen, shape ``(2,)``."""
    blocks: FrameBlocks
    """Blocks of all analysed frames."""
    settings: AngularSettings
    every: Angles
    """What the compiled pass fills: the same sums."""

    @property
    def counts(self) -> Floats:
        """Number of vectors by kind, shape ``(2, n_blocks, n_layers)``."""
        return np.asarray(self.angles.sum(axis=-1), dtype=np.float64)

    @classmethod
    def empty(cls, blocks: FrameBlocks, settings: AngularSettings) -> AngularSums:
        """Return sums of nothing.

        :param blocks: blocks of all analysed frames.
        :param settings: layers and angles.
        """
        shape = (len(KINDS), len(blocks), settings.n_layers)
        every = Angles(
            surfaces=np.zeros(0, dtype=bool),
            bounds=np.array(settings.layer_bounds, dtype=np.float64),
            width=float(settings.angle_bin_width),
            table=angle_table(settings.angle_bin_width),
            angles=np.zeros((*shape, settings.angle_bins.n_bins)),
            cosines=np.zeros(shape),
            irregular=np.zeros(2, dtype=np.int64),
        )
        return cls(every.angles, every.cosines, every.irregular, blocks, settings, every)

    def target(self, surfaces: tuple[Surface, ...]) -> Angles:
        """Return what the compiled pass fills.

        :param surfaces: all surfaces of the pass.
        """
        chosen = np.array([self.settings.surfaces in ('average', surface.name) for surface in surfaces])
        return self.every._replace(surfaces=chosen)

    def add(self, frames: FrameSet, part: TrajectoryPart, span: tuple[int, int]) -> None:
        """Add the frames ``span[0]:span[1]`` of one part of the trajectory in place, without the compiled pass."""
        (start, stop), groups = span, part.groups
        positions = frames.positions[int(frames.offsets[start]) : int(frames.offsets[stop])]
        positions = np.asarray(positions, dtype=np.float64).reshape(stop - start, -1, 3)
        cells, pbc = complete_cells(frames.cells[start:stop]), frames.pbc[start:stop]
        rows = self.blocks.block_of_frame[part.first_row + start - part.start : part.first_row + stop - part.start]
        hydrogen = assign_hydrogens_of(positions, groups, cells, pbc)
        self.irregular[:] += hydrogen.irregular_counts.sum(), hydrogen.hydrogen_counts.size
        normals = surface_planes.surface_normals(cells)
        periods = surface_planes.periods_along(cells, normals)
        heights = surface_planes.heights_along(positions, normals)
        cosines = {'dipole': cosines_of(hydrogen, normals), 'bond': _bond_cosines(hydrogen, normals)}
        for surface in part.surfaces:
            planes = surface_planes.plane_heights(heights, surface, periods, pbc[:, 2])
            above = surface_planes.heights_above(heights[:, groups.oxygen], planes, surface, periods, pbc[:, 2])
            layers = _layers(above, hydrogen, self.settings)
            members = {'dipole': layers, 'bond': np.take_along_axis(layers, hydrogen.owners, axis=1)}
            for index, kind in enumerate(KINDS):
                inside = (members[kind] >= 0) & np.isfinite(cosines[kind])
                frame, _ = np.nonzero(inside)
                self._add_vectors(index, surface.sign * cosines[kind][inside], rows[frame], members[kind][inside])

    def _add_vectors(self, kind: int, cosines: Floats, blocks: Integers, layers: Integers) -> None:
        """Add vectors to the sums, each array of shape ``(n_vectors,)``."""
        n_layers = self.settings.n_layers
        first, stop = (int(blocks[0]), int(blocks[-1]) + 1) if len(blocks) else (0, 0)
        row, n_rows = (blocks - first) * n_layers + layers, (stop - first) * n_layers
        # The last bin holds its upper edge, or bonds that point straight at the metal would be lost.
        angles = np.minimum(angles_in_degree(cosines), np.nextafter(STRAIGHT_ANGLE, 0.0))
        by_angle = self.settings.angle_bins.sums(angles[:, None], Rows(row, n_rows))
        self.angles[kind, first:stop] += by_angle.reshape(stop - first, n_layers, -1)
        self.cosines[kind, first:stop] += np.bincount(row, cosines, n_rows).reshape(-1, n_layers)


def _bond_cosines(hydrogen: HydrogenAssignment, normals: Floats) -> Floats:
    """Return the cosine between each O→H vector and the lower normal, shape ``(n_frames, n_hydrogen)``."""
    lengths = np.sqrt(np.einsum('fhx,fhx->fh', hydrogen.bonds, hydrogen.bonds))
    along = surface_planes.heights_along(hydrogen.bonds, normals)
    return np.asarray(np.divide(along, lengths, out=np.full_like(along, np.nan), where=lengths > 0))


def _layers(above: Floats, hydrogen: HydrogenAssignment, settings: AngularSettings) -> Integers:
    """Return the layer of each oxygen, -1 for none and for what is no water, shape ``(n_frames, n_oxygen)``."""
    layers = np.searchsorted(np.array(settings.layer_bounds), above, side='right') - 1
    return np.where(hydrogen.is_water & (layers < settings.n_layers), layers, -1)
