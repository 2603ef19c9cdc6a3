"""What van Hove functions are analysed with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ase.data import atomic_numbers

from aiida_edl.typed_fields import checked_fields


class VanHoveSettingsError(ValueError):
    """A setting that does not exist, is of a wrong type or out of range."""


@dataclass(frozen=True)
class VanHoveSettings:
    """Atoms, lags and bins of :func:`~aiida_edl.science.analysis.van_hove.van_hove`."""

    mobile: str = 'Li'
    """Chemical symbol of what diffuses."""
    drift_reference: tuple[str, ...] = ()
    """Chemical symbols of the atoms whose centre of mass is at rest; none for all elements but the mobile one."""
    lags: tuple[float, ...] = ()
    """Lags [fs]; none for a hundredth, a thirtieth and a tenth of the shortest replica."""
    bin_width: float = 0.1
    """Width of the bins of distance [Å]."""
    maximum_distance: float = 0.0
    """End of the last bin [Å]; 0 for half the smallest height of the cell, beyond which the distinct part is not
    known."""
    n_origins: int = 200
    """Time origins of each replica for the distinct part, evenly spaced; the self part takes all."""
    equilibration_frames: int = 0
    """Frames left out at the beginning of each replica."""
    replica_column: str = 'replica'
    """Column that tells replicas apart. Without it, a new replica begins wherever the column ``time`` decreases."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises VanHoveSettingsError: with the name, the value and the remedy.
        """
        for name in (self.mobile, *self.drift_reference):
            if name not in atomic_numbers:
                raise VanHoveSettingsError(f"'{name}' is no chemical symbol; give one such as 'Li'")
        if self.mobile in self.drift_reference:
            raise VanHoveSettingsError(
                f"drift_reference holds the mobile '{self.mobile}'; give elements that do not diffuse"
            )
        if any(lag <= 0.0 for lag in self.lags):
            raise VanHoveSettingsError(f'lags is {list(self.lags)}; give positive lags [fs]')
        if self.bin_width <= 0.0:
            raise VanHoveSettingsError(f'bin_width is {self.bin_width}, it must be positive')
        for name in ('maximum_distance', 'equilibration_frames'):
            if getattr(self, name) < 0:
                raise VanHoveSettingsError(f'{name} is {getattr(self, name)}, it must not be negative')
        if self.n_origins < 4:
            raise VanHoveSettingsError(f'n_origins is {self.n_origins}, an error needs at least 4')

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VanHoveSettings:
        """Return checked settings from those that differ from the defaults.

        :raises VanHoveSettingsError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'setting of the van Hove functions', VanHoveSettingsError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        return dataclasses.asdict(self) | {'drift_reference': list(self.drift_reference), 'lags': list(self.lags)}
