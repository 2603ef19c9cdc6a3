r"""How water and its O-H bonds are turned against the surface normal, layer by layer.

For the angle θ of the dipole direction (:mod:`~aiida_edl.science.analysis.water_orientation`), and for that of each of
the two O→H vectors, to the normal that points from the metal into the liquid:

.. math:: P_l(\theta) = \frac{\langle N_l(\theta, \theta + \Delta\theta) \rangle}{\langle N_l \rangle\, \Delta\theta}

per degree, over the waters whose oxygen lies in layer l; its integral from 0° to 180° is one. Water without preferred
orientation gives :math:`(\pi / 360) \sin\theta`
(:func:`~aiida_edl.science.analysis.angular_distribution.isotropic_distribution`). Only oxygen with exactly two hydrogen
is a water; the fraction of the others is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from aiida_edl.science.analysis.angular_settings import AngularSettings
from aiida_edl.science.analysis.angular_sums import KINDS, AngularSums
from aiida_edl.science.analysis.planar_bins import ratio_over_replicas
from aiida_edl.science.analysis.result_parts import StoredResult
from aiida_edl.science.analysis.trajectory_parts import AnalysedTrajectory
from aiida_edl.science.analysis.z_pass import WantedSums
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.uncertainty import Estimate

__all__ = ['AngularDistributions', 'AngularSettings', 'angular_distributions']


@dataclass(frozen=True)
class AngularDistributions(StoredResult):
    """Distributions in layers; every ``*_error`` is one standard error of the mean.

    A value is NaN in a layer that never held water, and an error where nothing ever changed. With two wet surfaces and
    ``surfaces = 'average'`` both are counted together, each with its own normal, and a count is per surface.
    """

    stored_subject: ClassVar[str] = 'angular distributions need'
    settings_type: ClassVar[type[AngularSettings]] = AngularSettings

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


def angular_distributions(frames: FrameSet, settings: AngularSettings | None = None) -> AngularDistributions:
    """Return the distributions of the angles of water and its bonds in layers above a metal surface.

    :param frames: frames of one composition, in the order of time, replicas end to end.
    :param settings: layers, angles, surfaces; None for the defaults.
    :raises NotAnalysableError: if compositions differ, no wet metal surface is found, or a replica is too short for an
        error.
    """
    settings = settings or AngularSettings()
    trajectory = AnalysedTrajectory.of(frames, settings, None)
    sums = AngularSums.empty(trajectory.blocks, settings)
    WantedSums(angles=sums).add(trajectory)
    return distributions_of(sums, trajectory)


def distributions_of(sums: AngularSums, trajectory: AnalysedTrajectory) -> AngularDistributions:
    """Return the distributions that follow from the sums over a trajectory.

    :param sums: sums over all its frames.
    :param trajectory: the trajectory, with the surfaces that were counted.
    """
    settings, blocks, n_surfaces = sums.settings, trajectory.blocks, trajectory.n_surfaces
    n_layers, n_angles = settings.n_layers, settings.angle_bins.n_bins
    replica_of_block, counts = blocks.replica_of_block, sums.counts
    values: dict[str, Any] = {}
    for index, kind in enumerate(KINDS):
        every = np.repeat(counts[index] * settings.angle_bin_width, n_angles, axis=1)
        shares = ratio_over_replicas(sums.angles[index].reshape(len(blocks), -1), every, replica_of_block)
        cosine = ratio_over_replicas(sums.cosines[index], counts[index], replica_of_block)
        values |= _pair(f'{kind}_distribution', shares, (n_layers, n_angles)) | _pair(f'{kind}_mean_cosine', cosine)
    frames_in_block = (blocks.frames_in_block[:, None] * n_surfaces).astype(np.float64)
    count = ratio_over_replicas(counts[0], frames_in_block, replica_of_block)
    return AngularDistributions(
        angle=settings.angle_bins.centres,
        layer_bounds=np.array(settings.layer_bounds, dtype=np.float64),
        irregular_oxygen_fraction=float(sums.irregular[0] / sums.irregular[1]),
        n_surfaces=n_surfaces,
        n_frames=len(blocks.block_of_frame),
        n_replicas=len(trajectory.replicas),
        frame_interval=trajectory.frame_interval,
        settings=settings,
        **values,
        **_pair('water_count', count),
    )


def _pair(name: str, estimate: Estimate, shape: tuple[int, ...] = (-1,)) -> dict[str, Floats]:
    """Return value and error by field name."""
    return {name: estimate.mean.reshape(shape), f'{name}_error': estimate.error.reshape(shape)}
