"""What jumps of atoms between the sites of a crystal are found with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiida_edl.typed_fields import checked_fields


class HoppingSettingsError(ValueError):
    """A setting that does not exist, is of a wrong type or out of range."""


@dataclass(frozen=True)
class HoppingSettings:
    """Sites, hysteresis and windows of :func:`~aiida_edl.science.analysis.hopping.hopping`."""

    mobile: str = 'Li'
    """Element that hops."""
    framework: tuple[str, ...] = ()
    """Elements that hold the sites; none for all others."""
    lattice_kinds: tuple[str, ...] = ('octahedral',)
    """Kinds of sites that a perfect crystal fills; all others are interstitial."""
    site_positions: tuple[tuple[float, float, float], ...] = ()
    """Scaled positions of given sites, where the framework is in the first analysed frame of each replica; none for
    the holes of the framework."""
    site_kinds: tuple[str, ...] = ()
    """Kind of each given site."""
    merge_distance: float = 0.8
    """Circumcentres of the tessellation that are nearer to each other are one hole [Å]."""
    minimum_hole_radius: float = 1.4
    """Smaller holes of the framework are no sites [Å]; Li has 1.78 Å in a tetrahedron of LiF."""
    commit_radius: float = 1.0
    """How near an atom must come to a new site before it belongs to it [Å]."""
    window: float = 1000.0
    """Longest time between two jumps of one event, and between a jump and the one back [fs]."""
    minimum_residence: float = 100.0
    """Shortest visit of a site that counts [fs]; about one vibration of Li."""
    other_commit_radii: tuple[float, ...] = (0.6, 0.8)
    """Further commit radii at which the share of knock-off events is given [Å]."""
    other_windows: tuple[float, ...] = (250.0, 500.0)
    """Further windows at which it is given [fs]."""
    maximum_lindemann_ratio: float = 0.2
    """Above it the framework has melted, see
    :class:`~aiida_edl.science.analysis.lattice_order_settings.LatticeOrderSettings`."""
    maximum_off_site_fraction: float = 0.1
    """Share of the framework off its sites above which it has melted."""
    n_blocks: int = 10
    """Blocks of each replica, from whose scatter errors are taken."""
    maximum_listed: int = 100_000
    """Jumps, events and points of the path that are listed, each; further ones are counted."""
    equilibration_frames: int = 0
    """Frames left out at the beginning of each replica."""
    replica_column: str = 'replica'
    """Column that tells replicas apart. Without it, a new replica begins wherever the column ``time`` decreases."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises HoppingSettingsError: with the name, the value and the remedy.
        """
        positive = ('commit_radius', 'merge_distance', 'minimum_hole_radius', 'window', 'maximum_lindemann_ratio')
        for name in (*positive, 'maximum_off_site_fraction', 'maximum_listed'):
            if getattr(self, name) <= 0:
                raise HoppingSettingsError(f'{name} is {getattr(self, name)}, it must be positive')
        for name in ('other_commit_radii', 'other_windows'):
            if any(value <= 0.0 for value in getattr(self, name)):
                raise HoppingSettingsError(f'{name} is {list(getattr(self, name))}, all must be positive')
        for name in ('minimum_residence', 'equilibration_frames'):
            if getattr(self, name) < 0:
                raise HoppingSettingsError(f'{name} is {getattr(self, name)}, it must not be negative')
        if self.n_blocks < 2:
            raise HoppingSettingsError(f'n_blocks is {self.n_blocks}, an error needs at least 2')
        if not self.lattice_kinds:
            raise HoppingSettingsError("lattice_kinds is empty; name the kinds of lattice sites, e.g. 'octahedral'")
        if len(self.site_positions) != len(self.site_kinds):
            raise HoppingSettingsError(
                f'{len(self.site_positions)} site_positions have {len(self.site_kinds)} site_kinds; give one each'
            )

    @property
    def commit_radii(self) -> tuple[float, ...]:
        """All commit radii, ascending [Å]."""
        return tuple(sorted({self.commit_radius, *self.other_commit_radii}))

    @property
    def windows(self) -> tuple[float, ...]:
        """All windows, ascending [fs]."""
        return tuple(sorted({self.window, *self.other_windows}))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> HoppingSettings:
        """Return checked settings from those that differ from the defaults.

        :raises HoppingSettingsError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'setting of hopping', HoppingSettingsError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}
        return values | {'site_positions': [list(place) for place in self.site_positions]}
