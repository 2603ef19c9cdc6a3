"""What the dynamics of an interface are analysed with."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.analysis.profile_settings import SURFACE_CHOICES
from aiida_edl.typed_fields import checked_fields


class DynamicsSettingsError(ValueError):
    """A setting that does not exist, is of a wrong type or out of range."""


@dataclass(frozen=True)
class DynamicsSettings:
    """Layers, lags and charges of :func:`~aiida_edl.science.analysis.interface_dynamics.interface_dynamics`."""

    layer_bounds: tuple[float, ...] = (0.0, 4.0, 7.0, 10.0)
    """Heights of the oxygen at which layers begin and end [Å]."""
    maximum_lag_time: float = 0.0
    """Longest lag of the correlation functions [fs]; 0 for half of the shortest replica."""
    hydrogen_charge: float = 0.41
    """Charge of H, half of that of O, by which dipoles of water are weighed [e]; that of SPC/Fw, Y. Wu, H. L. Tepper,
    G. A. Voth, J. Chem. Phys. 124, 024503 (2006)."""
    volume_per_water: float = 29.9
    """Volume of a water, by which the fluctuation of the total dipole is divided [Å³]; that of 1 g/cm³."""
    temperature: float = 0.0
    """Temperature [K], by which it is divided too; 0 if not known."""
    n_groups: int = 10
    """Groups of waters that are left out in turn for an error (jackknife)."""
    surfaces: str = 'average'
    """``'average'`` over all wet surfaces, ``'lower'`` or ``'upper'``."""
    equilibration_frames: int = 0
    """Frames left out at the beginning of each replica."""
    replica_column: str = 'replica'
    """Column that tells replicas apart. Without it, a new replica begins wherever the column ``time`` decreases."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises DynamicsSettingsError: with the name, the value and the remedy.
        """
        if self.surfaces not in SURFACE_CHOICES:
            raise DynamicsSettingsError(unknown_name_message('choice of surfaces', self.surfaces, SURFACE_CHOICES))
        if len(self.layer_bounds) < 2 or any(low >= high for low, high in itertools.pairwise(self.layer_bounds)):
            raise DynamicsSettingsError(
                f'layer_bounds is {list(self.layer_bounds)}; give two or more ascending heights'
            )
        for name in ('hydrogen_charge', 'volume_per_water'):
            if getattr(self, name) <= 0.0:
                raise DynamicsSettingsError(f'{name} is {getattr(self, name)}, it must be positive')
        for name in ('maximum_lag_time', 'temperature', 'equilibration_frames'):
            if getattr(self, name) < 0:
                raise DynamicsSettingsError(f'{name} is {getattr(self, name)}, it must not be negative')
        if self.n_groups < 2:
            raise DynamicsSettingsError(f'n_groups is {self.n_groups}, an error needs at least 2')

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DynamicsSettings:
        """Return checked settings from those that differ from the defaults.

        :raises DynamicsSettingsError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'setting of the dynamics', DynamicsSettingsError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        return dataclasses.asdict(self) | {'layer_bounds': list(self.layer_bounds)}
