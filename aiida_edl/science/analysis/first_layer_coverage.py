"""How densely water covers the metal: waters of the first layer per surface atom and per area, and how they point.

A water is located at its oxygen. It belongs to the first layer below a height, and its oxygen is adsorbed below a
smaller one; both heights are settings. It points up, its hydrogen away from the metal, if cos θ of its dipole against
the normal exceeds a bound, down if it is below the negative of it, and lies flat between.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiida_edl.science.analysis.planar_bins import FrameBlocks, ratio_over_replicas
from aiida_edl.science.analysis.structure_chunk import StructureChunk
from aiida_edl.science.analysis.structure_settings import StructureSettings
from aiida_edl.science.analysis.water_orientation import dipole_cosines
from aiida_edl.science.frames import Floats

SQUARE_ANGSTROM_PER_SQUARE_NANOMETRE = 100.0
NAMES = ('waters', 'adsorbed', 'up', 'down', 'flat', 'atoms', 'area')


@dataclass(frozen=True)
class FirstLayerCoverage:
    """Coverage of the surfaces; every ``*_error`` is one standard error, NaN where the run holds no information."""

    per_metal_atom: float
    """Waters of the first layer per atom of the outermost metal layer."""
    per_metal_atom_error: float
    per_nm2: float
    """Waters of the first layer per area [1/nm²]."""
    per_nm2_error: float
    adsorbed_per_metal_atom: float
    """Adsorbed oxygen, of water or not, per atom of the outermost metal layer."""
    adsorbed_per_metal_atom_error: float
    adsorbed_per_nm2: float
    """Adsorbed oxygen per area [1/nm²]."""
    adsorbed_per_nm2_error: float
    up_fraction: float
    """Fraction of the waters of the first layer that point up; NaN without water."""
    up_fraction_error: float
    down_fraction: float
    """Fraction that points down."""
    down_fraction_error: float
    flat_fraction: float
    """Fraction that lies flat."""
    flat_fraction_error: float


@dataclass(frozen=True)
class CoverageSums:
    """Sums over blocks of frames and over surfaces that grow in place."""

    sums: Floats
    """One column for each of :data:`NAMES`, shape ``(n_blocks, 7)``."""

    @classmethod
    def empty(cls, n_blocks: int) -> CoverageSums:
        """Return sums of nothing."""
        return cls(np.zeros((n_blocks, len(NAMES))))

    def add(self, chunk: StructureChunk, settings: StructureSettings) -> None:
        """Add the frames of a chunk.

        :param chunk: the frames.
        :param settings: bounds.
        """
        directions, is_water = chunk.hydrogen.dipole_directions, chunk.hydrogen.is_water
        for surface, all_heights in zip(chunk.surfaces, chunk.heights):
            heights = all_heights[:, chunk.groups.oxygen]
            cosines = dipole_cosines(directions, chunk.normals, surface.sign)
            is_above = heights >= 0.0
            inside = is_water & is_above & (heights < settings.first_layer_bound)
            up, down = inside & (cosines > settings.pointing_cosine), inside & (cosines < -settings.pointing_cosine)
            masks = (
                inside,
                is_above & (heights < settings.adsorption_bound),
                up,
                down,
                inside & ~up & ~down,
            )
            per_frame = [np.count_nonzero(mask, axis=1).astype(np.float64) for mask in masks]
            per_frame += [np.full(len(heights), float(surface.layer.size)), chunk.areas]
            for column, values in enumerate(per_frame):
                self.sums[chunk.blocks, column] += np.bincount(chunk.rows.of_frame, values, chunk.rows.count)

    def coverage(self, blocks: FrameBlocks) -> FirstLayerCoverage:
        """Return coverages and fractions with their errors.

        :param blocks: blocks of all analysed frames.
        """
        column = dict(zip(NAMES, self.sums.T[:, :, None]))
        nm2 = column['area'] / SQUARE_ANGSTROM_PER_SQUARE_NANOMETRE
        ratios = {
            'per_metal_atom': (column['waters'], column['atoms']),
            'per_nm2': (column['waters'], nm2),
            'adsorbed_per_metal_atom': (column['adsorbed'], column['atoms']),
            'adsorbed_per_nm2': (column['adsorbed'], nm2),
            **{f'{name}_fraction': (column[name], column['waters']) for name in ('up', 'down', 'flat')},
        }
        values: dict[str, float] = {}
        for name, (numerator, denominator) in ratios.items():
            estimate = ratio_over_replicas(numerator, denominator, blocks.replica_of_block)
            values |= {name: float(estimate.mean[0]), f'{name}_error': float(estimate.error[0])}
        return FirstLayerCoverage(**values)
