"""All observables along the surface normal from one pass over a trajectory.

Each is what its own function gives: :func:`~aiida_edl.science.analysis.interface_profiles.interface_profiles`,
:func:`~aiida_edl.science.analysis.angular_distributions.angular_distributions` and
:func:`~aiida_edl.science.analysis.potential_profile.potential_profile`. Together they read the file once, find waters
and surface planes once.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from aiida_edl.science.analysis.angular_distributions import AngularDistributions, distributions_of
from aiida_edl.science.analysis.angular_settings import AngularSettings
from aiida_edl.science.analysis.angular_sums import AngularSums
from aiida_edl.science.analysis.charge_sums import ChargeSums, charge_grids
from aiida_edl.science.analysis.interface_profiles import InterfaceProfiles, profiles_of
from aiida_edl.science.analysis.potential_profile import PotentialProfile, potential_of
from aiida_edl.science.analysis.potential_settings import PotentialSettings
from aiida_edl.science.analysis.profile_settings import ProfileSettings
from aiida_edl.science.analysis.profile_sums import ProfileSums
from aiida_edl.science.analysis.trajectory_parts import AnalysedTrajectory
from aiida_edl.science.analysis.z_pass import WantedSums
from aiida_edl.science.frames import FrameSet

__all__ = ['WantedObservables', 'ZObservables', 'wanted_observables', 'z_observables']


@dataclass(frozen=True)
class ZObservables:
    """What one pass gives."""

    profiles: InterfaceProfiles
    """Densities, orientation, first layer."""
    angles: AngularDistributions
    """Angles of dipoles and bonds in layers."""
    potential: PotentialProfile
    """Charge density, field and potential."""


@dataclass(frozen=True)
class WantedObservables:
    """What one pass gives of what was asked for; None for the rest."""

    profiles: InterfaceProfiles | None = None
    angles: AngularDistributions | None = None
    potential: PotentialProfile | None = None


def z_observables(
    frames: FrameSet,
    profile_settings: ProfileSettings | None = None,
    angular_settings: AngularSettings | None = None,
    potential_settings: PotentialSettings | None = None,
) -> ZObservables:
    """Return all observables along the normal of a trajectory of a metal/water interface.

    :param frames: frames of one composition, in the order of time, replicas end to end.
    :param profile_settings: grid, first layer, surfaces; None for the defaults.
    :param angular_settings: layers, angles, surfaces; None for the defaults.
    :param potential_settings: grid, charges, boundary; None for the defaults.
    :raises NotAnalysableError: as the three functions.
    :raises ValueError: if the settings do not take the same frames.
    """
    of_profiles = profile_settings or ProfileSettings()
    of_angles = angular_settings or AngularSettings()
    of_potential = potential_settings or PotentialSettings()
    return ZObservables(**vars(wanted_observables(frames, of_profiles, of_angles, of_potential)))


def wanted_observables(
    frames: FrameSet,
    of_profiles: ProfileSettings | None = None,
    of_angles: AngularSettings | None = None,
    of_potential: PotentialSettings | None = None,
) -> WantedObservables:
    """Return those of the observables along the normal for which there are settings, from one pass.

    :param frames: frames of one composition, in the order of time, replicas end to end.
    :param of_profiles: grid, first layer, surfaces.
    :param of_angles: layers, angles, surfaces.
    :param of_potential: grid, charges, boundary.
    :raises NotAnalysableError: as the functions of each.
    :raises ValueError: if the settings do not take the same frames, or there are none.
    """
    asked = [settings for settings in (of_profiles, of_angles, of_potential) if settings is not None]
    if not asked:
        raise ValueError('settings of no observable are given: give those of one or more')
    for name in ('equilibration_frames', 'replica_column'):
        values = [getattr(settings, name) for settings in asked]
        if len(set(values)) > 1:
            raise ValueError(f'{name} is {values}, but one pass takes the same frames for all: give one value')
    whole = dataclasses.replace(asked[0], surfaces='average')
    trajectory = AnalysedTrajectory.of(frames, whole, of_profiles.ion if of_profiles else None)
    # Checked before the pass, so that no time is lost.
    of_surfaces = [trajectory.restricted(settings.surfaces) for settings in asked]
    profiles = ProfileSums.empty(trajectory.blocks, of_profiles) if of_profiles else None
    angles = AngularSums.empty(trajectory.blocks, of_angles) if of_angles else None
    charges = None
    if of_potential:
        charges = ChargeSums.empty(trajectory.blocks, charge_grids(frames, trajectory.parts, of_potential))
    WantedSums(
        (profiles, of_profiles) if profiles and of_profiles else None,
        angles,
        (charges, of_potential) if charges and of_potential else None,
    ).add(trajectory)
    return WantedObservables(
        profiles=profiles_of(profiles, of_surfaces[0], of_profiles) if profiles and of_profiles else None,
        angles=distributions_of(angles, of_surfaces[1 if of_profiles else 0]) if angles else None,
        potential=potential_of(charges, trajectory, of_potential) if charges and of_potential else None,
    )
