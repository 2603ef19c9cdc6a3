"""All profiles of a metal/water interface from one pass over a trajectory, each with its standard error.

Definitions follow the analysis package WatAnalysis of the authors of arXiv 2602.22931; see the modules named after each
observable. Errors account for correlation in time and for the scatter between replicas.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis import surface_planes
from aiida_edl.science.analysis.angular_distribution import angle_sums
from aiida_edl.science.analysis.atom_groups import AtomGroups, assign_hydrogens, atom_groups, equal_compositions
from aiida_edl.science.analysis.density_profile import WATER_MASS, atomic_mass, mass_density, number_density_sums
from aiida_edl.science.analysis.ion_distribution import ion_indices, ion_symbol
from aiida_edl.science.analysis.planar_bins import FrameBlocks, Integers, coarsened, ratio_over_replicas
from aiida_edl.science.analysis.profile_settings import ProfileSettings
from aiida_edl.science.analysis.water_orientation import dipole_cosines, layer_sums, orientation_sums
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.uncertainty import Estimate

ATOMS_AT_ONCE = 100_000
"""Atoms of one chunk of frames; bounds the memory and keeps the work within the processor's cache."""


@dataclass(frozen=True)
class InterfaceProfiles:
    """Profiles against the height above the surface plane; every ``*_error`` is one standard error of the mean.

    With two wet surfaces and ``surfaces = 'average'`` a profile is the mean over both, each with its own normal, and a
    count is per surface.
    """

    z: Floats
    """Centres of the fine bins above the surface plane [Å], shape ``(n_bins,)``."""
    oxygen_number_density: Floats
    """All oxygen [1/Å³], shape ``(n_bins,)``."""
    oxygen_number_density_error: Floats
    hydrogen_number_density: Floats
    """All hydrogen [1/Å³], shape ``(n_bins,)``."""
    hydrogen_number_density_error: Floats
    ion_number_density: Floats
    """Ions of the kind ``ion`` [1/Å³], shape ``(n_bins,)``."""
    ion_number_density_error: Floats
    oxygen_mass_density: Floats
    """All oxygen [g/cm³], shape ``(n_bins,)``."""
    oxygen_mass_density_error: Floats
    hydrogen_mass_density: Floats
    """All hydrogen [g/cm³], shape ``(n_bins,)``."""
    hydrogen_mass_density_error: Floats
    ion_mass_density: Floats
    """Ions of the kind ``ion`` [g/cm³], shape ``(n_bins,)``."""
    ion_mass_density_error: Floats
    water_mass_density: Floats
    """Water, its whole mass at its oxygen [g/cm³], shape ``(n_bins,)``."""
    water_mass_density_error: Floats
    orientation_density: Floats
    """Water mass density times cos θ [g/cm³], shape ``(n_bins,)``."""
    orientation_density_error: Floats
    mean_cosine: Floats
    """⟨cos θ⟩ of the waters in each bin, shape ``(n_bins,)``; NaN where no water was found."""
    mean_cosine_error: Floats
    coarse_z: Floats
    """Centres of the coarse bins [Å], shape ``(n_coarse,)``."""
    coarse_mean_cosine: Floats
    """⟨cos θ⟩ in coarse bins, shape ``(n_coarse,)``; NaN where no water was found."""
    coarse_mean_cosine_error: Floats
    coarse_ion_number_density: Floats
    """Ions in coarse bins [1/Å³], shape ``(n_coarse,)``."""
    coarse_ion_number_density_error: Floats
    coarse_oxygen_number_density: Floats
    """Oxygen in coarse bins [1/Å³], shape ``(n_coarse,)``."""
    coarse_oxygen_number_density_error: Floats
    angle: Floats
    """Centres of the bins of the angle [degree], shape ``(n_angles,)``."""
    angle_distribution: Floats
    """Distribution of the angle of first-layer water to the normal [1/degree], shape ``(n_angles,)``."""
    angle_distribution_error: Floats
    irregular_oxygen_counts: Integers
    """Oxygen atoms without exactly two hydrogen in each analysed frame, shape ``(n_frames,)``."""
    first_layer_count: float
    """Waters in the first layer, per surface."""
    first_layer_count_error: float
    first_layer_mean_cosine: float
    """⟨cos θ⟩ of the first layer."""
    first_layer_mean_cosine_error: float
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
    n_effective: float
    """Independent samples of the first-layer ⟨cos θ⟩, all replicas together."""
    first_layer_count_correlation_time: float
    """Integrated correlation time of the first-layer count [frames]; 0.5 for independent frames."""
    first_layer_mean_cosine_correlation_time: float
    """Integrated correlation time of the first-layer ⟨cos θ⟩ [frames]."""
    frame_interval: float
    """Time between frames [fs]; NaN if the frames carry no column ``time``."""
    settings: ProfileSettings
    """What the profiles were made with."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the fields that are arrays, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}

    def scalars(self) -> dict[str, Any]:
        """Return the other fields as JSON types, by name; NaN becomes None."""
        values = {name: value for name, value in vars(self).items() if not isinstance(value, np.ndarray)}
        values['settings'] = self.settings.to_dict()
        return {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in values.items()}

    @classmethod
    def from_parts(cls, arrays: Mapping[str, NDArray[Any]], scalars: Mapping[str, Any]) -> InterfaceProfiles:
        """Rebuild profiles from :meth:`arrays` and :meth:`scalars`; other names are left aside.

        :raises ValueError: if a field is missing.
        """
        given = {**arrays, **scalars}
        names = [f.name for f in dataclasses.fields(cls)]
        if missing := [name for name in names if name not in given]:
            raise ValueError(f'profiles need the fields {missing}, which were not given')
        values = {name: np.nan if given[name] is None else given[name] for name in names}
        values['settings'] = ProfileSettings.from_dict(given['settings'])
        return cls(**values)


@dataclass(frozen=True)
class _Part:
    """A range of frames of one replica with the same atoms, analysed with the same surfaces."""

    start: int
    stop: int
    first_row: int
    """Row of the first frame among all analysed frames."""
    groups: AtomGroups
    ions: Integers
    surfaces: tuple[surface_planes.Surface, ...]


@dataclass
class _Sums:
    """Sums by block, each of shape ``(n_blocks, n_bins)``, and by frame, each of shape ``(n_frames,)``."""

    oxygen: Floats
    hydrogen: Floats
    ion: Floats
    water: Floats
    orientation: Floats
    cosine: Floats
    count: Floats
    angle: Floats
    layer_count: Floats
    layer_cosine: Floats
    irregular: Integers
    area: Floats


def interface_profiles(frames: FrameSet, settings: ProfileSettings | None = None) -> InterfaceProfiles:
    """Return all profiles of a trajectory of a metal/water interface.

    Waters, ions, metal and surface planes are found by themselves; frames are streamed in chunks.

    :param frames: frames of one composition, in the order of time, replicas end to end.
    :param settings: grid, first layer, surfaces; None for the defaults.
    :raises ValueError: if compositions differ, no wet metal surface is found, or a replica is too short for an error.
    """
    settings = settings or ProfileSettings()
    replicas = replica_ranges(frames, settings)
    blocks = FrameBlocks.of_lengths([stop - start for start, stop in replicas])
    parts, symbol = _parts(frames, replicas, settings)
    sums = _empty_sums(blocks, settings)
    for part in parts:
        frames_at_once = max(1, ATOMS_AT_ONCE // int(frames.offsets[part.start + 1] - frames.offsets[part.start]))
        for start in range(part.start, part.stop, frames_at_once):
            _add_chunk(sums, frames, part, (start, min(start + frames_at_once, part.stop)), blocks, settings)
    return _profiles(sums, blocks, parts, symbol, _frame_interval(frames, replicas), settings)


def replica_ranges(frames: FrameSet, settings: ProfileSettings) -> list[tuple[int, int]]:
    """Return the range ``(start, stop)`` of each replica, without its equilibration.

    :param frames: the trajectory.
    :param settings: ``replica_column`` and ``equilibration_frames`` are used.
    :raises ValueError: if frames of a replica are not contiguous, or equilibration leaves none.
    """
    if (column := frames.columns.get(settings.replica_column)) is not None:
        changes = np.flatnonzero(column[1:] != column[:-1]) + 1
        if len(changes) + 1 != len(np.unique(column)):
            raise ValueError(f"frames of one '{settings.replica_column}' are not contiguous; sort them by that column")
    elif 'time' in frames.columns:
        changes = np.flatnonzero(np.diff(frames.columns['time']) < 0) + 1
    else:
        changes = np.zeros(0, dtype=np.int64)
    edges = [0, *(int(change) for change in changes), len(frames)]
    skip = settings.equilibration_frames
    for start, stop in zip(edges[:-1], edges[1:]):
        if stop - start <= skip:
            raise ValueError(f'equilibration_frames is {skip}, but a replica has only {stop - start} frames')
    return [(start + skip, stop) for start, stop in zip(edges[:-1], edges[1:])]


def _frame_interval(frames: FrameSet, replicas: list[tuple[int, int]]) -> float:
    """Return the time between frames [fs], NaN if unknown."""
    if 'time' not in frames.columns or len(frames) == 1:
        return float('nan')
    return float(np.median(np.concatenate([np.diff(frames.columns['time'][start:stop]) for start, stop in replicas])))


def _parts(
    frames: FrameSet, replicas: list[tuple[int, int]], settings: ProfileSettings
) -> tuple[list[_Part], str]:
    """Return the ranges to analyse and the symbol of the ion.

    :raises ValueError: if compositions or wet surfaces differ, or there is no wet surface.
    """
    parts: list[_Part] = []
    symbol, composition, row = '', None, 0
    compositions = list(equal_compositions(frames))
    for replica_start, replica_stop in replicas:
        for run_start, run_stop in compositions:
            start, stop = max(run_start, replica_start), min(run_stop, replica_stop)
            if start >= stop:
                continue
            numbers = frames.frame(start).numbers
            if composition is not None and not np.array_equal(np.sort(numbers), composition):
                raise ValueError(f'frame {start} has other atoms than frame {parts[0].start}: profile them apart')
            composition = np.sort(numbers)
            groups = atom_groups(numbers)
            symbol = ion_symbol(numbers, groups, settings.ion)
            surfaces = _surfaces(frames, start, groups, settings)
            if parts and len(parts[0].surfaces) != len(surfaces):
                raise ValueError(
                    f'frame {start} has {len(surfaces)} wet surfaces, frame {parts[0].start} has '
                    f"{len(parts[0].surfaces)}: choose one by the setting 'surfaces'"
                )
            parts.append(_Part(start, stop, row, groups, ion_indices(numbers, symbol), surfaces))
            row += stop - start
    return parts, symbol


def _surfaces(
    frames: FrameSet, index: int, groups: AtomGroups, settings: ProfileSettings
) -> tuple[surface_planes.Surface, ...]:
    """Return the surfaces to analyse, from one frame."""
    found = surface_planes.surfaces_of_frame(frames.frame(index), groups)
    if not found:
        raise ValueError(f'frame {index} has no metal surface that touches water: an interface cannot be profiled')
    if settings.surfaces == 'average':
        return found
    chosen = tuple(surface for surface in found if surface.name == settings.surfaces)
    if not chosen:
        raise ValueError(
            f"the setting 'surfaces' asks for the {settings.surfaces} surface, but in frame {index} only the "
            f'{found[0].name} one is wet'
        )
    return chosen
