r"""How water and its O-H bonds are turned against the surface normal, layer by layer.

For the angle θ of the dipole direction (:mod:`~aiida_edl.science.analysis.water_orientation`), and for that of each of
the two O→H vectors, to the normal that points from the metal into the liquid:

.. math:: P_l(\theta) = \frac{\langle N_l(\theta, \theta + \Delta\theta) \rangle}{\langle N_l \rangle\, \Delta\theta}

per degree, over the waters whose oxygen lies in layer l; its integral from 0° to 180° is one. Water without preferred
orientation gives :math:`\tfrac12 \sin\theta`. Only oxygen with exactly two hydrogen is a water; the fraction of the
others is given.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis import surface_planes
from aiida_edl.science.analysis.angular_distribution import STRAIGHT_ANGLE, angles_in_degree
from aiida_edl.science.analysis.angular_settings import AngularSettings
from aiida_edl.science.analysis.atom_groups import HydrogenAssignment, Integers, assign_hydrogens_of, complete_cells
from aiida_edl.science.analysis.charge_sums import frame_chunks
from aiida_edl.science.analysis.kernels import compiled_kernels
from aiida_edl.science.analysis.planar_bins import FrameBlocks, Rows, ratio_over_replicas
from aiida_edl.science.analysis.trajectory_parts import (
    TrajectoryPart,
    analysed_blocks,
    frame_interval,
    replica_ranges,
    trajectory_parts,
)
from aiida_edl.science.analysis.water_orientation import cosines_of
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.uncertainty import Estimate

__all__ = ['AngularDistributions', 'AngularSettings', 'angular_distributions']


@dataclass(frozen=True)
class AngularDistributions:
    """Distributions in layers; every ``*_error`` is one standard error of the mean.

    A value is NaN in a layer that never held water, and an error where nothing ever changed. With two wet surfaces and
    ``surfaces = 'average'`` both are counted together, each with its own normal, and a count is per surface.
    """

    angle: Floats
    """Centres of the bins of the angle [degree], shape ``(n_angles,)``."""
    layer_bounds: Floats
    """Heights between which the layers lie [Å], shape ``(n_layers + 1,)``."""
    dipole_distribution: Floats
    """Distribution of the angle of the dipole direction [1/degree], shape ``(n_layers, n_angles)``."""
    dipole_distribution_error: Floats
    bond_distribution: Floats
    """Distribution of the angle of the O→H vectors [1/degree], shape ``(n_layers, n_angles)``."""
    bond_distribution_error: Floats
    dipole_mean_cosine: Floats
    """⟨cos θ⟩ of the dipole direction, shape ``(n_layers,)``."""
    dipole_mean_cosine_error: Floats
    bond_mean_cosine: Floats
    """⟨cos θ⟩ of the O→H vectors, shape ``(n_layers,)``."""
    bond_mean_cosine_error: Floats
    water_count: Floats
    """Waters in each layer, per surface, shape ``(n_layers,)``."""
    water_count_error: Floats
    irregular_oxygen_fraction: float
    """Fraction of oxygen without exactly two hydrogen, which is left out."""
    n_surfaces: int
    """Wet surfaces that were counted together."""
    n_frames: int
    """Analysed frames."""
    n_replicas: int
    """Independent trajectories."""
    frame_interval: float
    """Time between frames [fs]; NaN if the frames carry no column ``time``."""
    settings: AngularSettings
    """What the distributions were made with."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the fields that are arrays, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}

    def scalars(self) -> dict[str, Any]:
        """Return the other fields as JSON types, by name; NaN becomes None."""
        values = {name: value for name, value in vars(self).items() if not isinstance(value, np.ndarray)}
        values['settings'] = self.settings.to_dict()
        return {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in values.items()}

    @classmethod
    def from_parts(cls, arrays: Mapping[str, NDArray[Any]], scalars: Mapping[str, Any]) -> AngularDistributions:
        """Rebuild distributions from :meth:`arrays` and :meth:`scalars`; other names are left aside.

        :raises ValueError: if a field is missing.
        """
        given = {**arrays, **scalars}
        names = [f.name for f in dataclasses.fields(cls)]
        if missing := [name for name in names if name not in given]:
            raise ValueError(f'angular distributions need the fields {missing}, which were not given')
        values: dict[str, Any] = {name: np.nan if given[name] is None else given[name] for name in names}
        values['settings'] = AngularSettings.from_dict(given['settings'])
        return cls(**values)


KINDS = ('dipole', 'bond')


@dataclass(frozen=True)
class _Sums:
    """Sums by block of frames that grow in place; ``vectors`` are dipole directions or bonds."""

    angles: dict[str, Floats]
    """By kind of vector, their number by angle, shape ``(n_blocks * n_layers, n_angles)``."""
    cosines: dict[str, Floats]
    """By kind, the sum of cos θ, shape ``(n_blocks, n_layers)``."""
    counts: dict[str, Floats]
    """By kind, their number, shape ``(n_blocks, n_layers)``."""
    irregular: Integers
    """Oxygen without exactly two hydrogen, and all oxygen, shape ``(2,)``."""
    blocks: FrameBlocks
    """Blocks of all analysed frames."""
    settings: AngularSettings

    def add(self, frames: FrameSet, part: TrajectoryPart, span: tuple[int, int]) -> None:
        """Add the frames ``span[0]:span[1]`` of one part of the trajectory in place."""
        (start, stop), groups = span, part.groups
        positions = frames.positions[int(frames.offsets[start]) : int(frames.offsets[stop])]
        positions = np.asarray(positions, dtype=np.float64).reshape(stop - start, -1, 3)
        cells, pbc = complete_cells(frames.cells[start:stop]), frames.pbc[start:stop]
        rows = self.blocks.block_of_frame[part.first_row + start - part.start : part.first_row + stop - part.start]
        hydrogen = assign_hydrogens_of(positions, groups, cells, pbc)
        self.irregular[:] += hydrogen.irregular_counts.sum(), hydrogen.hydrogen_counts.size
        kernels = compiled_kernels()
        normals = surface_planes.surface_normals(cells)
        periods = surface_planes.periods_along(cells, normals)
        heights = surface_planes.heights_along(positions, normals)
        cosines = {'dipole': cosines_of(hydrogen, normals), 'bond': _bond_cosines(hydrogen, normals)}
        for surface in part.surfaces:
            planes = surface_planes.plane_heights(heights, surface, periods, pbc[:, 2])
            above = surface_planes.heights_above(heights[:, groups.oxygen], planes, surface, periods, pbc[:, 2])
            if kernels is not None:
                self._add_compiled(kernels, (above, hydrogen), cosines, surface.sign, rows)
                continue
            layers = _layers(above, hydrogen, self.settings)
            members = {'dipole': layers, 'bond': np.take_along_axis(layers, hydrogen.owners, axis=1)}
            for kind in KINDS:
                inside = (members[kind] >= 0) & np.isfinite(cosines[kind])
                frame, _ = np.nonzero(inside)
                self._add_vectors(kind, surface.sign * cosines[kind][inside], rows[frame], members[kind][inside])

    def _add_compiled(
        self,
        kernels: Any,
        waters: tuple[Floats, HydrogenAssignment],
        cosines: dict[str, Floats],
        sign: int,
        rows: Integers,
    ) -> None:
        """Add frames by compiled code; ``waters`` are heights of oxygen and owners of hydrogen."""
        above, hydrogen = waters
        here, n_layers = slice(int(rows[0]), int(rows[-1]) + 1), self.settings.n_layers
        itself = np.tile(np.arange(above.shape[1]), (len(above), 1))
        bounds = np.array(self.settings.layer_bounds, dtype=np.float64)
        for kind, owners in (('dipole', itself), ('bond', hydrogen.owners)):
            by_angle = self.angles[kind].reshape(-1, n_layers, self.settings.angle_bins.n_bins)[here]
            kernels.add_angles(
                *(above, hydrogen.hydrogen_counts, cosines[kind], owners, sign, bounds, rows - rows[0]),
                *(self.settings.angle_bin_width, by_angle, self.cosines[kind][here], self.counts[kind][here]),
            )

    def _add_vectors(self, kind: str, cosines: Floats, blocks: Integers, layers: Integers) -> None:
        """Add vectors to the sums, each array of shape ``(n_vectors,)``."""
        n_layers = self.settings.n_layers
        first, stop = (int(blocks[0]), int(blocks[-1]) + 1) if len(blocks) else (0, 0)
        row, n_rows = (blocks - first) * n_layers + layers, (stop - first) * n_layers
        # The last bin holds its upper edge, or bonds that point straight at the metal would be lost.
        angles = np.minimum(angles_in_degree(cosines), np.nextafter(STRAIGHT_ANGLE, 0.0))
        by_angle = self.settings.angle_bins.sums(angles[:, None], Rows(row, n_rows))
        self.angles[kind][first * n_layers : stop * n_layers] += by_angle
        self.cosines[kind][first:stop] += np.bincount(row, cosines, n_rows).reshape(-1, n_layers)
        self.counts[kind][first:stop] += np.bincount(row, minlength=n_rows).reshape(-1, n_layers)


def angular_distributions(frames: FrameSet, settings: AngularSettings | None = None) -> AngularDistributions:
    """Return the distributions of the angles of water and its bonds in layers above a metal surface.

    :param frames: frames of one composition, in the order of time, replicas end to end.
    :param settings: layers, angles, surfaces; None for the defaults.
    :raises NotAnalysableError: if compositions differ, no wet metal surface is found, or a replica is too short for an
        error.
    """
    settings = settings or AngularSettings()
    replicas = replica_ranges(frames, settings)
    blocks = analysed_blocks(replicas)
    parts, _ = trajectory_parts(frames, replicas, settings, None)
    n_layers, n_angles = settings.n_layers, settings.angle_bins.n_bins
    sums = _Sums(
        angles={kind: np.zeros((len(blocks) * n_layers, n_angles)) for kind in KINDS},
        cosines={kind: np.zeros((len(blocks), n_layers)) for kind in KINDS},
        counts={kind: np.zeros((len(blocks), n_layers)) for kind in KINDS},
        irregular=np.zeros(2, dtype=np.int64),
        blocks=blocks,
        settings=settings,
    )
    for part in parts:
        for span in frame_chunks(frames, part):
            sums.add(frames, part, span)
    n_surfaces, replica_of_block = len(parts[0].surfaces), blocks.replica_of_block
    values: dict[str, Any] = {}
    for kind in KINDS:
        every = np.repeat(sums.counts[kind] * settings.angle_bin_width, n_angles, axis=1)
        shares = ratio_over_replicas(sums.angles[kind].reshape(len(blocks), -1), every, replica_of_block)
        cosine = ratio_over_replicas(sums.cosines[kind], sums.counts[kind], replica_of_block)
        values |= _pair(f'{kind}_distribution', shares, (n_layers, n_angles)) | _pair(f'{kind}_mean_cosine', cosine)
    frames_in_block = (blocks.frames_in_block[:, None] * n_surfaces).astype(np.float64)
    count = ratio_over_replicas(sums.counts['dipole'], frames_in_block, replica_of_block)
    return AngularDistributions(
        angle=settings.angle_bins.centres,
        layer_bounds=np.array(settings.layer_bounds, dtype=np.float64),
        irregular_oxygen_fraction=float(sums.irregular[0] / sums.irregular[1]),
        n_surfaces=n_surfaces,
        n_frames=len(blocks.block_of_frame),
        n_replicas=len(replicas),
        frame_interval=frame_interval(frames, replicas),
        settings=settings,
        **values,
        **_pair('water_count', count),
    )


def _bond_cosines(hydrogen: HydrogenAssignment, normals: Floats) -> Floats:
    """Return the cosine between each O→H vector and the lower normal, shape ``(n_frames, n_hydrogen)``."""
    lengths = np.sqrt(np.einsum('fhx,fhx->fh', hydrogen.bonds, hydrogen.bonds))
    along = surface_planes.heights_along(hydrogen.bonds, normals)
    return np.asarray(np.divide(along, lengths, out=np.full_like(along, np.nan), where=lengths > 0))


def _layers(above: Floats, hydrogen: HydrogenAssignment, settings: AngularSettings) -> Integers:
    """Return the layer of each oxygen, -1 for none and for what is no water, shape ``(n_frames, n_oxygen)``."""
    layers = np.searchsorted(np.array(settings.layer_bounds), above, side='right') - 1
    return np.where(hydrogen.is_water & (layers < settings.n_layers), layers, -1)


def _pair(name: str, estimate: Estimate, shape: tuple[int, ...] = (-1,)) -> dict[str, Floats]:
    """Return value and error by field name."""
    return {name: estimate.mean.reshape(shape), f'{name}_error': estimate.error.reshape(shape)}
