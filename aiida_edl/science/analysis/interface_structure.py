"""Structure of a metal/water interface beyond its profiles: radial distributions, coordination, coverage, bonds.

All from one pass over a trajectory, each number with a standard error that accounts for correlation in time and for
the scatter between replicas; see the modules named after each observable.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis import surface_planes
from aiida_edl.science.analysis.atom_groups import complete_cells
from aiida_edl.science.analysis.film_reference import HeightGrid
from aiida_edl.science.analysis.first_layer_coverage import CoverageSums, FirstLayerCoverage
from aiida_edl.science.analysis.hydrogen_bonds import HydrogenBondCounts, HydrogenBondSums
from aiida_edl.science.analysis.ion_coordination import (
    CoordinationSums,
    IonCoordination,
    coordination_cutoff,
    first_minimum,
)
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.pair_distances import check_range, largest_range
from aiida_edl.science.analysis.radial_distribution import (
    LARGEST_DEFAULT_RANGE,
    PairSelection,
    RadialDistributions,
    RadialSums,
    chosen_pairs,
)
from aiida_edl.science.analysis.result_parts import StoredResult, part_arrays, part_scalars, rebuilt_part
from aiida_edl.science.analysis.structure_chunk import structure_chunk
from aiida_edl.science.analysis.structure_settings import StructureSettings
from aiida_edl.science.analysis.trajectory_parts import (
    TrajectoryPart,
    analysed_blocks,
    frame_interval,
    replica_ranges,
    trajectory_parts,
)
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.uncertainty import MINIMUM_SAMPLES

ATOMS_AT_ONCE = 100_000
"""Atoms of one chunk of frames; bounds the memory."""
PARTS: dict[str, type] = {
    'rdf': RadialDistributions,
    'hydrogen_bonds': HydrogenBondCounts,
    'coverage': FirstLayerCoverage,
    'coordination': IonCoordination,
}
"""Parts of a result by field; laid flat, their names carry the field as prefix, e.g. ``rdf_g``."""


@dataclass(frozen=True)
class InterfaceStructure(StoredResult):
    """Static structure of one interface."""

    rdf: RadialDistributions
    """Radial distributions and running coordination numbers."""
    hydrogen_bonds: HydrogenBondCounts
    """Hydrogen bonds between waters, layer by layer."""
    coverage: FirstLayerCoverage
    """Coverage of the metal."""
    coordination: IonCoordination | None
    """Coordination of the ion; None where there is none."""
    remarks: tuple[str, ...]
    """What is absent and why, in sentences."""
    irregular_oxygen_counts: NDArray[np.int64]
    """Oxygen atoms without exactly two hydrogen in each analysed frame, shape ``(n_frames,)``."""
    irregular_oxygen_fraction: float
    """Fraction of oxygen without exactly two hydrogen: dissociated or not water."""
    ion: str
    """Chemical symbol of the ion; ``''`` if there is none."""
    n_surfaces: int
    """Wet surfaces that were averaged."""
    area: float
    """Mean lateral area of the cell [Å²]."""
    n_frames: int
    """Analysed frames."""
    n_replicas: int
    """Independent trajectories."""
    frame_interval: float
    """Time between analysed frames [fs]; NaN if the frames carry no column ``time``."""
    settings: StructureSettings
    """What the structure was analysed with."""

    def _own(self) -> dict[str, Any]:
        """Return the fields that are no parts."""
        return {name: value for name, value in vars(self).items() if name not in PARTS}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all arrays by name; those of a part carry its prefix, e.g. ``rdf_g``."""
        arrays: dict[str, NDArray[Any]] = {'irregular_oxygen_counts': self.irregular_oxygen_counts}
        for name in PARTS:
            if (part := getattr(self, name)) is not None:
                arrays |= part_arrays(part, f'{name}_')
        return arrays

    def scalars(self) -> dict[str, Any]:
        """Return the rest as JSON types, by name; NaN becomes None."""
        own = {name: value for name, value in self._own().items() if not isinstance(value, np.ndarray)}
        values: dict[str, Any] = {**own, 'settings': self.settings.to_dict(), 'remarks': list(self.remarks)}
        values = {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in values.items()}
        for name in PARTS:
            if (part := getattr(self, name)) is not None:
                values |= part_scalars(part, f'{name}_')
        return values

    @classmethod
    def from_parts(cls, arrays: Mapping[str, NDArray[Any]], scalars: Mapping[str, Any]) -> InterfaceStructure:
        """Rebuild a result from :meth:`arrays` and :meth:`scalars`; other names are left aside.

        :raises ValueError: if a field is missing.
        """
        given = {**arrays, **scalars}
        names = [field.name for field in dataclasses.fields(cls) if field.name not in PARTS]
        if missing := [name for name in names if name not in given]:
            raise ValueError(f'the fields {missing} of a structure were not given')
        values: dict[str, Any] = {name: np.nan if given[name] is None else given[name] for name in names}
        for name, part in PARTS.items():
            is_absent = name == 'coordination' and not given['ion']
            values[name] = None if is_absent else rebuilt_part(part, f'{name}_', given)
        values |= {'settings': StructureSettings.from_dict(given['settings']), 'remarks': tuple(given['remarks'])}
        return cls(**values)


def interface_structure(frames: FrameSet, settings: StructureSettings | None = None) -> InterfaceStructure:
    """Return the static structure of a trajectory of a metal/water interface.

    Waters, ions, metal and surface planes are found by themselves; frames are streamed in chunks.

    :param frames: frames of one composition, in the order of time, replicas end to end.
    :param settings: pairs, cutoffs, layers; None for the defaults.
    :raises NotAnalysableError: if compositions differ, no wet metal surface is found, a range exceeds what the cell
        allows, or a replica is too short for an error.
    """
    settings = settings or StructureSettings()
    frames, replicas = _analysed(frames, settings)
    blocks = analysed_blocks(replicas)
    parts, ion = trajectory_parts(frames, replicas, settings, settings.ion)
    analysed = np.concatenate([np.arange(*span) for span in replicas])
    cells, pbc = frames.cells[analysed], frames.pbc[analysed]
    edges = _edges(largest_range(complete_cells(cells), pbc), ion, settings)
    numbers, groups = frames.frame(parts[0].start).numbers, parts[0].groups
    pairs, absent = chosen_pairs(numbers, groups, ion, settings.pairs)
    has_ion = bool(parts[0].ions.size)
    n_blocks = len(blocks)
    selection = PairSelection(pairs, edges, settings.counts_intramolecular)
    radial = RadialSums.empty(selection, _height_grid(frames, parts), n_blocks, numbers)
    bonds, coverage = HydrogenBondSums.empty(n_blocks, settings), CoverageSums.empty(n_blocks)
    coordination = None
    if has_ion:
        coordination = CoordinationSums.empty(n_blocks, coordination_cutoff(ion, settings), settings)
    irregular = np.zeros(len(blocks.block_of_frame), dtype=np.int64)
    for part, span in _spans(frames, parts):
        chunk = structure_chunk(frames, part, span, blocks)
        irregular[chunk.frame_rows] = chunk.hydrogen.irregular_counts
        radial.add(chunk)
        bonds.add(chunk, settings)
        coverage.add(chunk, settings)
        if coordination is not None:
            coordination.add(chunk, settings)
    area = float(surface_planes.areas(complete_cells(cells)).mean())
    rdf = radial.distributions(blocks, area, _volume(cells))
    minimum = _minimum(rdf, f'{ion}-O')
    return InterfaceStructure(
        rdf=rdf,
        hydrogen_bonds=bonds.counts(blocks, settings),
        coverage=coverage.coverage(blocks),
        coordination=None if coordination is None else coordination.coordination(blocks, minimum, settings),
        remarks=_remarks(has_ion, absent),
        irregular_oxygen_counts=irregular,
        irregular_oxygen_fraction=float(irregular.sum() / (len(irregular) * groups.oxygen.size)),
        ion=ion if has_ion else '',
        n_surfaces=len(parts[0].surfaces),
        area=area,
        n_frames=len(irregular),
        n_replicas=len(replicas),
        frame_interval=frame_interval(frames, replicas),
        settings=settings,
    )


def _analysed(frames: FrameSet, settings: StructureSettings) -> tuple[FrameSet, list[tuple[int, int]]]:
    """Return the frames that are analysed, and the range of each replica among them."""
    ranges = replica_ranges(frames, settings)
    indices = [np.arange(start, stop, settings.frame_stride) for start, stop in ranges]
    lengths = [len(part) for part in indices]
    if (shortest := min(lengths)) < MINIMUM_SAMPLES:
        raise NotAnalysableError(
            f'a replica gives {shortest} frames to analyse (frame_stride is {settings.frame_stride}), too few for an '
            f'error; an error needs at least {MINIMUM_SAMPLES} in each replica'
        )
    if settings.frame_stride == 1:
        return frames, ranges
    frames = frames.select(np.concatenate(indices))
    ends = np.cumsum(lengths)
    return frames, [(int(end - length), int(end)) for end, length in zip(ends, lengths)]


def _edges(allowed: float, ion: str, settings: StructureSettings) -> Floats:
    """Return the edges of the bins of the distance [Å], after a look at all cutoffs."""
    check_range('rdf_range', settings.rdf_range, allowed)
    check_range('hydrogen_bond_distance', settings.hydrogen_bond_distance, allowed)
    if ion:
        check_range('coordination_cutoff', coordination_cutoff(ion, settings), allowed)
    width = settings.bin_width
    # A range that is a whole number of bins but for rounding shall keep the last one.
    most = min(allowed, LARGEST_DEFAULT_RANGE) * (1.0 + 1e-9)
    n_bins = round(settings.rdf_range / width) if settings.rdf_range else int(most / width)
    if not n_bins:
        check_range('bin_width', width, allowed)
    return np.asarray(np.arange(n_bins + 1) * width, dtype=np.float64)


def _height_grid(frames: FrameSet, parts: list[TrajectoryPart]) -> HeightGrid:
    """Return bins for the heights above a surface in all analysed frames."""
    periods, lowest, highest = [], np.inf, -np.inf
    for _, (start, stop) in _spans(frames, parts):
        cells = complete_cells(frames.cells[start:stop])
        normals = surface_planes.surface_normals(cells)
        periods.append(surface_planes.periods_along(cells, normals))
        positions = frames.positions[int(frames.offsets[start]) : int(frames.offsets[stop])]
        along = np.einsum('fax,fx->fa', positions.reshape(stop - start, -1, 3), normals)
        lowest, highest = min(lowest, float(along.min())), max(highest, float(along.max()))
    if frames.pbc[:, 2].all():
        return HeightGrid.of_period(float(np.concatenate(periods).mean()))
    # A surface may be anywhere between the lowest and the highest atom.
    return HeightGrid.of_extent(lowest - highest, highest - lowest)


def _volume(cells: Floats) -> float:
    """Return the mean volume of the cells [Å³], NaN if one of them has none."""
    volumes = np.abs(np.linalg.det(cells))
    return float(volumes.mean()) if np.all(volumes > 0.0) else float('nan')


def _spans(frames: FrameSet, parts: list[TrajectoryPart]) -> list[tuple[TrajectoryPart, tuple[int, int]]]:
    """Return ranges of frames small enough to hold at once, each with its part."""
    spans = []
    for part in parts:
        at_once = max(1, ATOMS_AT_ONCE // int(frames.offsets[part.start + 1] - frames.offsets[part.start]))
        spans += [(part, (start, min(start + at_once, part.stop))) for start in range(part.start, part.stop, at_once)]
    return spans


def _remarks(has_ion: bool, absent: tuple[str, ...]) -> tuple[str, ...]:
    """Return what is absent and why, in sentences."""
    remarks = () if has_ion else ('The frames hold no ions: their distributions and coordination are absent.',)
    if not absent:
        return remarks
    return (*remarks, f'The frames hold no pair {", ".join(absent)}: the distribution is absent.')


def _minimum(rdf: RadialDistributions, name: str) -> float:
    """Return the first minimum of one distribution [Å], NaN if there is none."""
    return first_minimum(rdf.r, rdf.g[rdf.pairs.index(name)]) if name in rdf.pairs else float('nan')
