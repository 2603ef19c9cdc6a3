"""All profiles of a metal/water interface from one pass over a trajectory, each with its standard error.

Definitions follow the analysis package WatAnalysis of the authors of arXiv 2602.22931; see the modules named after each
observable. Errors account for correlation in time and for the scatter between replicas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from aiida_edl.science.analysis.atom_groups import Integers
from aiida_edl.science.analysis.density_profile import WATER_MASS, atomic_mass, mass_density
from aiida_edl.science.analysis.planar_bins import FrameBlocks, coarsened, ratio_over_replicas, replica_ratios
from aiida_edl.science.analysis.profile_settings import ProfileSettings
from aiida_edl.science.analysis.profile_sums import ProfileSums
from aiida_edl.science.analysis.result_parts import StoredResult
from aiida_edl.science.analysis.trajectory_parts import AnalysedTrajectory
from aiida_edl.science.analysis.z_pass import WantedSums
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.uncertainty import Estimate

__all__ = ['InterfaceProfiles', 'ProfileSettings', 'interface_profiles']


@dataclass(frozen=True)
class InterfaceProfiles(StoredResult):
    """Profiles against the height above the surface plane; every ``*_error`` is one standard error of the mean.

    An error is NaN where the run holds no information on it: where nothing was ever counted, or nothing ever changed.

    With two wet surfaces and ``surfaces = 'average'`` a profile is the mean over both, each with its own normal, and a
    count is per surface.
    """

    stored_subject: ClassVar[str] = 'profiles need'
    settings_type: ClassVar[type[ProfileSettings]] = ProfileSettings

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
    coarse_mean_cosine_of_replicas: Floats
    """⟨cos θ⟩ in coarse bins of each replica, shape ``(n_replicas, n_coarse)``; NaN where no water was found."""
    coarse_ion_number_density_of_replicas: Floats
    """Ions in coarse bins of each replica [1/Å³], shape ``(n_replicas, n_coarse)``."""
    coarse_oxygen_number_density_of_replicas: Floats
    """Oxygen in coarse bins of each replica [1/Å³], shape ``(n_replicas, n_coarse)``."""
    coarse_mean_cosine_n_effective: Floats
    """Independent samples behind ⟨cos θ⟩ in each coarse bin, all replicas together, shape ``(n_coarse,)``."""
    coarse_ion_number_density_n_effective: Floats
    """Independent samples behind the ions in each coarse bin, shape ``(n_coarse,)``."""
    coarse_oxygen_number_density_n_effective: Floats
    """Independent samples behind the oxygen in each coarse bin, shape ``(n_coarse,)``."""
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


def interface_profiles(frames: FrameSet, settings: ProfileSettings | None = None) -> InterfaceProfiles:
    """Return all profiles of a trajectory of a metal/water interface.

    Waters, ions, metal and surface planes are found by themselves; frames are streamed in chunks.

    :param frames: frames of one composition, in the order of time, replicas end to end.
    :param settings: grid, first layer, surfaces; None for the defaults.
    :raises NotAnalysableError: if compositions differ, no wet metal surface is found, or a replica is too short for an
        error.
    """
    settings = settings or ProfileSettings()
    trajectory = AnalysedTrajectory.of(frames, settings, settings.ion)
    sums = ProfileSums.empty(trajectory.blocks, settings)
    WantedSums(profiles=(sums, settings)).add(trajectory)
    return profiles_of(sums, trajectory, settings)


def profiles_of(sums: ProfileSums, trajectory: AnalysedTrajectory, settings: ProfileSettings) -> InterfaceProfiles:
    """Return the profiles that follow from the sums over a trajectory.

    :param sums: sums over all its frames.
    :param trajectory: the trajectory, with the surfaces that were averaged.
    :param settings: with what the sums were made.
    """
    blocks, symbol = trajectory.blocks, trajectory.symbol
    values: dict[str, Any] = {
        **_densities(sums, blocks, symbol, settings),
        **_orientations(sums, blocks, settings),
        **_first_layer(sums, trajectory.replica_of_frame),
    }
    values |= {
        'z': settings.bins.centres,
        'coarse_z': settings.coarse_bins.centres,
        'angle': settings.angle_bins.centres,
        'irregular_oxygen_counts': sums.irregular,
        'irregular_oxygen_fraction': float(sums.irregular.sum() / sums.oxygen_count.sum()),
        'ion': symbol,
        'n_surfaces': trajectory.n_surfaces,
        'area': float(sums.area.mean()),
        'n_frames': len(sums.area),
        'n_replicas': len(trajectory.replicas),
        'frame_interval': trajectory.frame_interval,
    }
    return InterfaceProfiles(settings=settings, **values)


def _densities(sums: ProfileSums, blocks: FrameBlocks, symbol: str, settings: ProfileSettings) -> dict[str, Any]:
    """Return number and mass densities with their errors, by field name."""
    frames_in_block = blocks.frames_in_block[:, None].astype(np.float64)

    def number_density(densities: Floats) -> Estimate:
        return ratio_over_replicas(densities, frames_in_block, blocks.replica_of_block)

    masses = {'oxygen': atomic_mass('O'), 'hydrogen': atomic_mass('H'), 'ion': atomic_mass(symbol) if symbol else 0.0}
    values: dict[str, Floats] = {}
    for name, mass in masses.items():
        fine = number_density(getattr(sums, name))
        values |= _field(f'{name}_number_density', fine) | _field(f'{name}_mass_density', fine, mass)
    for name, field in (('water', 'water_mass_density'), ('orientation', 'orientation_density')):
        values |= _field(field, number_density(getattr(sums, name)), WATER_MASS)
    for name in ('ion', 'oxygen'):
        # Densities of neighbouring bins are averaged, so their sum is divided by the number of bins joined.
        coarse = coarsened(getattr(sums, name), settings.coarsening) / settings.coarsening
        field = f'coarse_{name}_number_density'
        values |= _field(field, estimate := number_density(coarse))
        values[f'{field}_of_replicas'] = replica_ratios(coarse, frames_in_block, blocks.replica_of_block)
        values[f'{field}_n_effective'] = estimate.n_effective
    return values


def _orientations(sums: ProfileSums, blocks: FrameBlocks, settings: ProfileSettings) -> dict[str, Any]:
    """Return ⟨cos θ⟩ and the angular distribution with their errors, by field name."""
    replicas, factor = blocks.replica_of_block, settings.coarsening
    coarse_sums = coarsened(sums.cosine, factor), coarsened(sums.count, factor)
    coarse = ratio_over_replicas(*coarse_sums, replicas)
    counts = sums.angle.sum(axis=1, keepdims=True) * settings.angle_bin_width
    return {
        **_field('mean_cosine', ratio_over_replicas(sums.cosine, sums.count, replicas)),
        **_field('coarse_mean_cosine', coarse),
        'coarse_mean_cosine_of_replicas': replica_ratios(*coarse_sums, replicas),
        'coarse_mean_cosine_n_effective': coarse.n_effective,
        **_field('angle_distribution', ratio_over_replicas(sums.angle, counts, replicas)),
    }


def _first_layer(sums: ProfileSums, replicas: Integers) -> dict[str, Any]:
    """Return count and ⟨cos θ⟩ of the first layer with errors and correlation times, by field name."""
    counts = sums.layer_count[:, None]
    count = ratio_over_replicas(counts, np.ones_like(counts), replicas)
    cosine = ratio_over_replicas(sums.layer_cosine[:, None], counts, replicas)
    return {
        'first_layer_count': float(count.mean[0]),
        'first_layer_count_error': float(count.error[0]),
        'first_layer_count_correlation_time': float(count.correlation_time[0]),
        'first_layer_mean_cosine': float(cosine.mean[0]),
        'first_layer_mean_cosine_error': float(cosine.error[0]),
        'first_layer_mean_cosine_correlation_time': float(cosine.correlation_time[0]),
        'n_effective': float(cosine.n_effective[0]),
    }


def _field(name: str, estimate: Estimate, mass: float | None = None) -> dict[str, Floats]:
    """Return value and error by field name; as a mass density [g/cm³] if a mass [u] is given."""
    if mass is None:
        return {name: estimate.mean, f'{name}_error': estimate.error}
    return {name: mass_density(estimate.mean, mass), f'{name}_error': mass_density(estimate.error, mass)}
