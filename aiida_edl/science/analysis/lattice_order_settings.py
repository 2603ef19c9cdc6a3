"""What the order of a crystal is judged with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiida_edl.typed_fields import checked_fields


class LatticeOrderSettingsError(ValueError):
    """A setting that does not exist, is of a wrong type or out of range."""


@dataclass(frozen=True)
class LatticeOrderSettings:
    """Framework and thresholds of :func:`~aiida_edl.science.analysis.lattice_order.lattice_order`."""

    mobile: str = 'Li'
    """Element that hops and is no part of the framework."""
    framework: tuple[str, ...] = ()
    """Elements of the framework; none for all others."""
    maximum_lindemann_ratio: float = 0.2
    """Root mean square displacement of the framework over its nearest-neighbour distance, above which it has melted.
    Crystals melt at 0.1 to 0.15, F. A. Lindemann, Phys. Z. 11, 609 (1910), J. J. Gilvarry, Phys. Rev. 102, 308 (1956);
    small superheated cells bear more, and a liquid has far more."""
    maximum_off_site_fraction: float = 0.1
    """Share of the framework off its sites, above which it has melted."""
    n_blocks: int = 10
    """Blocks of each replica, judged one by one."""
    equilibration_frames: int = 0
    """Frames left out at the beginning of each replica."""
    replica_column: str = 'replica'
    """Column that tells replicas apart. Without it, a new replica begins wherever the column ``time`` decreases."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises LatticeOrderSettingsError: with the name, the value and the remedy.
        """
        for name in ('maximum_lindemann_ratio', 'maximum_off_site_fraction'):
            if getattr(self, name) <= 0.0:
                raise LatticeOrderSettingsError(f'{name} is {getattr(self, name)}, it must be positive')
        if self.n_blocks < 2:
            raise LatticeOrderSettingsError(f'n_blocks is {self.n_blocks}, an error needs at least 2')
        if self.equilibration_frames < 0:
            raise LatticeOrderSettingsError(
                f'equilibration_frames is {self.equilibration_frames}, it must not be negative'
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LatticeOrderSettings:
        """Return checked settings from those that differ from the defaults.

        :raises LatticeOrderSettingsError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'setting of the lattice order', LatticeOrderSettingsError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        return dataclasses.asdict(self) | {'framework': list(self.framework)}
