"""How many oxygen atoms surround each ion, and where the ions are: contact, outer-sphere or bulk.

An oxygen coordinates an ion within a cutoff near the first minimum of their radial distribution function. All oxygen
counts, that of a dissociated water too, so the mean coordination number is the running one of the radial distribution
at the cutoff. The height of an ion is that above the nearest of the analysed surfaces.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.pair_distances import squared_distances
from aiida_edl.science.analysis.planar_bins import FrameBlocks, PlanarBins, ratio_over_replicas
from aiida_edl.science.analysis.structure_chunk import StructureChunk
from aiida_edl.science.analysis.structure_settings import StructureSettings
from aiida_edl.science.frames import Floats

COORDINATION_CUTOFFS = {
    'Li': 2.8,
    'Na': 3.2,
    'K': 3.6,
    'Rb': 3.8,
    'Cs': 4.0,
    'Mg': 3.0,
    'Ca': 3.3,
    'F': 3.3,
    'Cl': 3.8,
    'Br': 4.0,
    'I': 4.3,
}
"""Ion–oxygen distances within which an oxygen coordinates [Å], near the first minimum in water; chosen by the project,
so the minimum that a run itself has is reported beside."""
LARGEST_NUMBER = 12
"""Coordination numbers from here on share the last entry of the distribution."""
POPULATIONS = ('contact', 'outer_sphere', 'bulk', 'behind')
"""Places of an ion by its height: below the first bound, between the bounds, above them, and below the surface plane of
an open cell."""


@dataclass(frozen=True)
class IonCoordination:
    """Coordination of one kind of ion; every ``*_error`` is one standard error, NaN where nothing is known."""

    cutoff: float
    """Ion–oxygen distance within which an oxygen counts [Å]."""
    first_minimum: float
    """First minimum of the ion–oxygen distribution of this run [Å]; NaN if it has none within the range."""
    mean: float
    """Mean number of oxygen atoms around an ion."""
    mean_error: float
    distribution: Floats
    """Fraction of ions with 0, 1, ... 11, and 12 or more oxygen atoms, shape ``(13,)``."""
    distribution_error: Floats
    z: Floats
    """Centres of the bins of the height above the nearest surface [Å], shape ``(n_heights,)``."""
    by_height: Floats
    """Mean number of oxygen atoms of the ions in each bin, shape ``(n_heights,)``; NaN where no ion was."""
    by_height_error: Floats
    ions_by_height: Floats
    """Mean number of ions in each bin, all surfaces together, shape ``(n_heights,)``."""
    ions_by_height_error: Floats
    populations: Floats
    """Fractions of ions in contact, outer-sphere, in the bulk and behind the surface, shape ``(4,)``."""
    populations_error: Floats
    by_population: Floats
    """Mean number of oxygen atoms of the ions of each population, shape ``(4,)``; NaN where it is empty."""
    by_population_error: Floats


def coordination_cutoff(ion: str, settings: StructureSettings) -> float:
    """Return the distance within which an oxygen coordinates an ion [Å].

    :param ion: chemical symbol.
    :param settings: a cutoff that is not zero comes first.
    :raises NotAnalysableError: if none is known for this ion.
    """
    if settings.coordination_cutoff:
        return settings.coordination_cutoff
    if ion not in COORDINATION_CUTOFFS:
        raise NotAnalysableError(
            f"no distance to coordinating oxygen is known for {ion}: give the setting 'coordination_cutoff'"
        )
    return COORDINATION_CUTOFFS[ion]


def first_minimum(distances: Floats, distribution: Floats) -> float:
    """Return where a distribution has its lowest value between its highest peak and the next one [Å], NaN if nowhere.

    Values are averaged over three bins; a minimum at the end of the range is none.

    :param distances: centres of the bins [Å], shape ``(n_bins,)``.
    :param distribution: values, shape ``(n_bins,)``.
    """
    smooth = np.convolve(np.nan_to_num(distribution), np.full(3, 1 / 3), 'same')
    if smooth.size < 3 or not smooth.any():
        return float('nan')
    peak = int(np.argmax(smooth))
    after = smooth[peak:]
    lowest = int(np.argmin(after))
    # The last bin is averaged with nothing beyond it.
    return float(distances[peak + lowest]) if 0 < lowest < after.size - 2 else float('nan')


@dataclass(frozen=True)
class CoordinationSums:
    """Sums over blocks of frames that grow in place."""

    cutoff: float
    """Largest ion–oxygen distance [Å]."""
    distribution: Floats
    """Ions by coordination number, shape ``(n_blocks, 13)``."""
    total: Floats
    """Coordinating oxygen, shape ``(n_blocks, 1)``."""
    oxygen_by_height: Floats
    """Coordinating oxygen by height of the ion, shape ``(n_blocks, n_heights)``."""
    ions_by_height: Floats
    """Ions by height, same shape."""
    oxygen_by_population: Floats
    """Coordinating oxygen by population, shape ``(n_blocks, 4)``."""
    ions_by_population: Floats
    """Ions by population, same shape."""

    @classmethod
    def empty(cls, n_blocks: int, cutoff: float, settings: StructureSettings) -> CoordinationSums:
        """Return sums of nothing."""
        heights, places = settings.height_bins.n_bins, len(POPULATIONS)
        sizes = (LARGEST_NUMBER + 1, 1, heights, heights, places, places)
        return cls(cutoff, *(np.zeros((n_blocks, size)) for size in sizes))

    def add(self, chunk: StructureChunk, settings: StructureSettings) -> None:
        """Add the frames of a chunk.

        :param chunk: the frames.
        :param settings: bounds and bins.
        """
        ions, oxygen = chunk.positions[:, chunk.ions], chunk.positions[:, chunk.groups.oxygen]
        numbers = np.empty(ions.shape[:2])
        for span, squares in squared_distances(ions, oxygen, chunk.cells, chunk.pbc):
            numbers[span] = np.count_nonzero(squares < self.cutoff**2, axis=2)
        above = chunk.heights[:, :, chunk.ions]
        nearest = np.argmin(np.where(above >= 0.0, above, np.inf), axis=0)
        heights = np.take_along_axis(above, nearest[None], axis=0)[0]
        rows, blocks = chunk.rows, chunk.blocks
        counting = PlanarBins(1.0, LARGEST_NUMBER + 1.0)
        self.distribution[blocks] += counting.sums(np.minimum(numbers, LARGEST_NUMBER), rows)
        self.total[blocks, 0] += np.bincount(rows.of_frame, numbers.sum(axis=1), rows.count)
        self.oxygen_by_height[blocks] += settings.height_bins.sums(heights, rows, numbers)
        self.ions_by_height[blocks] += settings.height_bins.sums(heights, rows)
        places = np.where(heights < 0.0, len(POPULATIONS) - 1, np.searchsorted(settings.ion_bounds, heights, 'right'))
        by_place = PlanarBins(1.0, float(len(POPULATIONS)))
        self.oxygen_by_population[blocks] += by_place.sums(places.astype(np.float64), rows, numbers)
        self.ions_by_population[blocks] += by_place.sums(places.astype(np.float64), rows)

    def coordination(self, blocks: FrameBlocks, minimum: float, settings: StructureSettings) -> IonCoordination:
        """Return means and distributions with their errors.

        :param blocks: blocks of all analysed frames.
        :param minimum: first minimum of the ion–oxygen distribution of the run [Å].
        :param settings: bins.
        """
        replicas = blocks.replica_of_block
        ions = self.distribution.sum(axis=1, keepdims=True)
        frames = blocks.frames_in_block[:, None].astype(np.float64)
        mean = ratio_over_replicas(self.total, ions, replicas)
        estimates = {
            'distribution': ratio_over_replicas(self.distribution, ions, replicas),
            'by_height': ratio_over_replicas(self.oxygen_by_height, self.ions_by_height, replicas),
            'ions_by_height': ratio_over_replicas(self.ions_by_height, frames, replicas),
            'populations': ratio_over_replicas(self.ions_by_population, ions, replicas),
            'by_population': ratio_over_replicas(self.oxygen_by_population, self.ions_by_population, replicas),
        }
        values = {name: estimate.mean for name, estimate in estimates.items()}
        values |= {f'{name}_error': estimate.error for name, estimate in estimates.items()}
        return IonCoordination(
            cutoff=self.cutoff,
            first_minimum=minimum,
            mean=float(mean.mean[0]),
            mean_error=float(mean.error[0]),
            z=settings.height_bins.centres,
            **values,
        )
