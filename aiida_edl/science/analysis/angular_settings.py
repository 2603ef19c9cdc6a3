"""What angular distributions in layers are made with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.analysis.angular_distribution import STRAIGHT_ANGLE
from aiida_edl.science.analysis.planar_bins import PlanarBins
from aiida_edl.science.analysis.profile_settings import SURFACE_CHOICES
from aiida_edl.typed_fields import checked_fields


class AngularSettingsError(ValueError):
    """A setting that does not exist, is of a wrong type or out of range."""


@dataclass(frozen=True)
class AngularSettings:
    """Layers and angles of :func:`~aiida_edl.science.analysis.angular_distributions.angular_distributions`."""

    layer_bounds: tuple[float, ...] = (0.0, 4.0, 7.0, 10.0)
    """Heights of the oxygen between which the layers lie [Å], ascending. The first ends at 4 Å as in
    ``ProfileSettings``; the others are 3 Å thick, one water, up to the 10 Å within which models are compared. Chosen by
    the project."""
    angle_bin_width: float = 5.0
    """Width of the bins of the angle [degree], as in the analysis package WatAnalysis; divides 180."""
    surfaces: str = 'average'
    """``'average'`` over all wet surfaces, ``'lower'`` or ``'upper'``."""
    equilibration_frames: int = 0
    """Frames left out at the beginning of each replica."""
    replica_column: str = 'replica'
    """Column that tells replicas apart. Without it, a new replica begins wherever the column ``time`` decreases."""

    def __post_init__(self) -> None:
        """Check ranges and that the bins fit.

        :raises AngularSettingsError: with the name, the value and the remedy.
        """
        if self.surfaces not in SURFACE_CHOICES:
            raise AngularSettingsError(unknown_name_message('choice of surfaces', self.surfaces, SURFACE_CHOICES))
        is_ascending = all(lower < upper for lower, upper in pairwise(self.layer_bounds))
        if len(self.layer_bounds) < 2 or self.layer_bounds[0] < 0 or not is_ascending:
            raise AngularSettingsError(
                f'layer_bounds are {list(self.layer_bounds)} Å, they must be at least two heights that ascend from '
                '0 or above'
            )
        if self.equilibration_frames < 0:
            raise AngularSettingsError(f'equilibration_frames is {self.equilibration_frames}, it must not be negative')
        try:
            _ = self.angle_bins.n_bins
        except ValueError as error:
            raise AngularSettingsError(str(error)) from error

    @property
    def angle_bins(self) -> PlanarBins:
        """Bins of the angle [degree]."""
        return PlanarBins(self.angle_bin_width, STRAIGHT_ANGLE)

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return len(self.layer_bounds) - 1

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> AngularSettings:
        """Return checked settings from those that differ from the defaults.

        :raises AngularSettingsError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'angular setting', AngularSettingsError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        return dataclasses.asdict(self) | {'layer_bounds': list(self.layer_bounds)}
