"""What an interface is profiled with. Two profiles can be compared bin by bin if their settings are equal."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.analysis.angular_distribution import STRAIGHT_ANGLE
from aiida_edl.science.analysis.planar_bins import PlanarBins
from aiida_edl.typed_fields import checked_fields

SURFACE_CHOICES = ('average', 'lower', 'upper')


class ProfileSettingsError(ValueError):
    """A setting that does not exist, is of a wrong type or out of range."""


@dataclass(frozen=True)
class ProfileSettings:
    """Grid, first layer and surfaces of :func:`~aiida_edl.science.analysis.interface_profiles.interface_profiles`."""

    bin_width: float = 0.1
    """Width of the fine bins [Å]; 0.1 as in the analysis package WatAnalysis."""
    coarse_bin_width: float = 0.5
    """Width of the coarse bins, by which models are compared [Å]; a whole multiple of ``bin_width``."""
    z_max: float = 15.0
    """Height at which the grid ends [Å]; the grid begins at the surface plane and is the same for all trajectories."""
    first_layer_bound: float = 4.0
    """Height of the oxygen below which a water belongs to the first layer [Å]."""
    angle_bin_width: float = 5.0
    """Width of the bins of the angular distribution [degree]; divides 180."""
    surfaces: str = 'average'
    """``'average'`` over all wet surfaces (symmetrised where there are two), ``'lower'`` or ``'upper'``."""
    ion: str = ''
    """Chemical symbol of the ion to profile; ``''`` takes the only kind that occurs."""
    equilibration_frames: int = 0
    """Frames left out at the beginning of each replica."""
    replica_column: str = 'replica'
    """Column that tells replicas apart. Without it, a new replica begins wherever the column ``time`` decreases."""

    def __post_init__(self) -> None:
        """Check ranges and that all bins fit.

        :raises ProfileSettingsError: with the name, the value and the remedy.
        """
        if self.surfaces not in SURFACE_CHOICES:
            raise ProfileSettingsError(unknown_name_message('choice of surfaces', self.surfaces, SURFACE_CHOICES))
        if not 0 < self.first_layer_bound <= self.z_max:
            raise ProfileSettingsError(
                f'first_layer_bound is {self.first_layer_bound} Å, it must lie between 0 and z_max = {self.z_max} Å'
            )
        if self.equilibration_frames < 0:
            raise ProfileSettingsError(f'equilibration_frames is {self.equilibration_frames}, it must not be negative')
        try:
            for bins in (self.bins, self.coarse_bins, self.angle_bins):
                _ = bins.n_bins
            PlanarBins(self.bin_width, self.coarse_bin_width)
        except ValueError as error:
            raise ProfileSettingsError(str(error)) from error

    @property
    def bins(self) -> PlanarBins:
        """Fine bins along the normal."""
        return PlanarBins(self.bin_width, self.z_max)

    @property
    def coarse_bins(self) -> PlanarBins:
        """Coarse bins along the normal."""
        return PlanarBins(self.coarse_bin_width, self.z_max)

    @property
    def coarsening(self) -> int:
        """Fine bins in a coarse one."""
        return round(self.coarse_bin_width / self.bin_width)

    @property
    def angle_bins(self) -> PlanarBins:
        """Bins of the angular distribution."""
        return PlanarBins(self.angle_bin_width, STRAIGHT_ANGLE)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ProfileSettings:
        """Return checked settings from those that differ from the defaults.

        :raises ProfileSettingsError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'profile setting', ProfileSettingsError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        return dataclasses.asdict(self)
