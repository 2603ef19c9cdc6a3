"""What diffusion is analysed with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ase.data import atomic_numbers

from aiida_edl.registry import unknown_name_message
from aiida_edl.typed_fields import checked_fields

AXES = ('xyz', 'xy', 'xz', 'yz', 'x', 'y', 'z')
"""Cartesian axes along which displacements may be counted."""


class DiffusionSettingsError(ValueError):
    """A setting that does not exist, is of a wrong type or out of range."""


@dataclass(frozen=True)
class DiffusionSettings:
    """Atoms, lags and rules of :func:`~aiida_edl.science.analysis.diffusion.diffusion`."""

    mobile: str = 'Li'
    """Chemical symbol of what diffuses."""
    drift_reference: tuple[str, ...] = ()
    """Chemical symbols of the atoms whose centre of mass is at rest; none for all other elements than the mobile one.
    Where there is no other element, nothing is removed."""
    axes: str = 'xyz'
    """Cartesian axes along which displacements count; their number is the d of MSD = 2 d D t."""
    window: tuple[float, float] = (0.0, 0.0)
    """First and last lag of the fit [fs]; 0 for that of the rule."""
    longest_share: float = 0.2
    """Longest lag, as a share of the shortest replica: five independent stretches of each replica remain."""
    slope_errors: float = 2.0
    """Standard errors by which the exponent of the growth of the MSD may differ from 1 in the diffusive regime."""
    slope_tolerance: float = 0.02
    """Difference of that exponent from 1 that is accepted whatever its error: with 0.02, D would change by a fiftieth
    where the lag grows by e."""
    maximum_slope_error: float = 0.5
    """Standard error of that exponent beyond which it shows nothing."""
    hop_length: float = 0.0
    """Length of a hop [Å]; 0 for the median distance of a mobile atom to the nearest other one in the first frame."""
    minimum_hops: float = 50.0
    """Effective hops below which no D is given: below that many it is good to a factor (X. He, Y. Zhu, A. Epstein,
    Y. Mo, npj Comput. Mater. 4, 18 (2018))."""
    n_carriers: float = 0.0
    """Carriers in the cell, such as interstitials or vacancies; 0 if not known."""
    charge: float = 1.0
    """Charge of a mobile atom [e]."""
    temperature: float = 0.0
    """Temperature [K]; 0 if not known."""
    viscosity_pascal_second: float = 0.0
    """Shear viscosity of a liquid [Pa s], for the correction of D for the size of a cubic cell; 0 for no correction,
    as for solids."""
    n_lags: int = 60
    """Lags at which the MSD is given, spaced by equal ratios."""
    equilibration_frames: int = 0
    """Frames left out at the beginning of each replica."""
    replica_column: str = 'replica'
    """Column that tells replicas apart. Without it, a new replica begins wherever the column ``time`` decreases."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises DiffusionSettingsError: with the name, the value and the remedy.
        """
        if self.axes not in AXES:
            raise DiffusionSettingsError(unknown_name_message('choice of axes', self.axes, AXES))
        for name in (self.mobile, *self.drift_reference):
            if name not in atomic_numbers:
                raise DiffusionSettingsError(f"'{name}' is no chemical symbol; give one such as 'Li'")
        if self.mobile in self.drift_reference:
            raise DiffusionSettingsError(
                f"drift_reference holds the mobile '{self.mobile}'; give elements that do not diffuse"
            )
        start, stop = self.window
        if start < 0.0 or stop < 0.0 or (stop and start >= stop):
            raise DiffusionSettingsError(
                f'window is {list(self.window)}; give two ascending lags [fs], each 0 for the rule'
            )
        if not 0.0 < self.longest_share <= 0.5:
            raise DiffusionSettingsError(f'longest_share is {self.longest_share}; it must be above 0 and at most 0.5')
        for name in ('slope_errors', 'slope_tolerance', 'maximum_slope_error', 'minimum_hops'):
            if getattr(self, name) <= 0.0:
                raise DiffusionSettingsError(f'{name} is {getattr(self, name)}, it must be positive')
        for name in ('hop_length', 'n_carriers', 'temperature', 'viscosity_pascal_second', 'equilibration_frames'):
            if getattr(self, name) < 0:
                raise DiffusionSettingsError(f'{name} is {getattr(self, name)}, it must not be negative')
        if self.n_lags < 10:
            raise DiffusionSettingsError(f'n_lags is {self.n_lags}; give at least 10, of which a window is chosen')

    @property
    def columns(self) -> list[int]:
        """Indices of the axes that count."""
        return ['xyz'.index(axis) for axis in self.axes]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DiffusionSettings:
        """Return checked settings from those that differ from the defaults.

        :raises DiffusionSettingsError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'setting of diffusion', DiffusionSettingsError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        return dataclasses.asdict(self) | {
            'drift_reference': list(self.drift_reference),
            'window': list(self.window),
        }
