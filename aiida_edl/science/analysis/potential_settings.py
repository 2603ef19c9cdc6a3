"""What a potential profile is made with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ase.data import atomic_numbers

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.analysis.atom_groups import HYDROGENS_PER_WATER
from aiida_edl.science.analysis.planar_bins import PlanarBins
from aiida_edl.science.analysis.profile_settings import SURFACE_CHOICES
from aiida_edl.science.frames import FrameSet
from aiida_edl.typed_fields import checked_fields

BOUNDARIES = ('auto', 'periodic', 'vacuum')
CHARGE_SOURCES = ('auto', 'frames', 'fixed')
NEUTRALITY_TOLERANCE = 1e-6
"""Charge of a water molecule that is taken for rounding [e]."""


class PotentialSettingsError(ValueError):
    """A setting that does not exist, is of a wrong type or out of range."""


@dataclass(frozen=True)
class PotentialSettings:
    """Grid, charges and boundary of :func:`~aiida_edl.science.analysis.potential_profile.potential_profile`."""

    bin_width: float = 0.1
    """Distance of the points of field and potential, and width of the bins of the charge density [Å]; field and
    potential are exact at the points, whatever it is."""
    z_min: float = -4.0
    """Depth below the surface plane at which the common grid begins [Å]; a whole multiple of ``bin_width``."""
    z_max: float = 15.0
    """Height above the surface plane at which the common grid ends [Å]; a whole multiple of ``bin_width``."""
    metal_region: tuple[float, float] = (-3.0, -1.0)
    """Heights between which the potential is that of the metal [Å]: behind the outermost layer, whose thermal
    amplitude is a few tenths of an Å, and within 3 Å, where any slab is thick enough."""
    bulk_region: tuple[float, float] = (0.0, 0.0)
    """Heights between which the potential is that of the bulk liquid [Å]; ``(0, 0)`` takes the central fifth of the
    liquid, which is reported. Give it where profiles are to be compared."""
    boundary: str = 'auto'
    """``'periodic'``, ``'vacuum'`` (no field on either side), or ``'auto'``: vacuum where the cell is open along its
    third vector or atoms leave a gap of more than 6 Å."""
    charge_source: str = 'auto'
    """``'frames'`` for the charges of the frames, ``'fixed'`` for those of ``charges``, ``'auto'`` for those of the
    frames where they have them."""
    charges: dict[str, float] = field(default_factory=lambda: {'O': -0.82, 'H': 0.41})
    """Fixed charges by element [e]; default SPC/Fw (Y. Wu, H. L. Tepper and G. A. Voth, J. Chem. Phys. 124, 024503,
    2006), the water of the reference model. Ions that are not named have their formal charge; the metal never is."""
    surfaces: str = 'average'
    """``'average'`` over all wet surfaces, ``'lower'`` or ``'upper'``."""
    equilibration_frames: int = 0
    """Frames left out at the beginning of each replica."""
    replica_column: str = 'replica'
    """Column that tells replicas apart. Without it, a new replica begins wherever the column ``time`` decreases."""

    def __post_init__(self) -> None:
        """Check ranges, choices and that water is neutral.

        :raises PotentialSettingsError: with the name, the value and the remedy.
        """
        for kind, name, choices in (
            ('choice of surfaces', self.surfaces, SURFACE_CHOICES),
            ('boundary', self.boundary, BOUNDARIES),
            ('source of charges', self.charge_source, CHARGE_SOURCES),
        ):
            if name not in choices:
                raise PotentialSettingsError(unknown_name_message(kind, name, choices))
        if self.equilibration_frames < 0:
            raise PotentialSettingsError(
                f'equilibration_frames is {self.equilibration_frames}, it must not be negative'
            )
        if not self.z_min < 0 < self.z_max:
            raise PotentialSettingsError(
                f'z_min is {self.z_min} Å and z_max is {self.z_max} Å, the surface plane at 0 must lie between them'
            )
        try:
            _ = PlanarBins(self.bin_width, -self.z_min), PlanarBins(self.bin_width, self.z_max)
        except ValueError as error:
            raise PotentialSettingsError(str(error)) from error
        lower, upper = self.metal_region
        if not self.z_min <= lower < upper <= 0:
            raise PotentialSettingsError(
                f'metal_region is {self.metal_region} Å, it must ascend between z_min = {self.z_min} Å and 0'
            )
        lower, upper = self.bulk_region
        if self.has_bulk_region and not 0 < lower < upper:
            raise PotentialSettingsError(
                f'bulk_region is {self.bulk_region} Å, it must ascend above 0, or be (0, 0) to be found'
            )
        self._check_charges()

    def _check_charges(self) -> None:
        """Check names and values of the fixed charges.

        :raises PotentialSettingsError: with the name, the value and the remedy.
        """
        for symbol, charge in self.charges.items():
            if symbol not in atomic_numbers or symbol == 'X':
                known = [name for name in atomic_numbers if name != 'X']
                raise PotentialSettingsError(unknown_name_message('element with a charge', symbol, known))
            if isinstance(charge, bool) or not isinstance(charge, (int, float)):
                raise PotentialSettingsError(f"the charge of '{symbol}' is {charge!r}, expected a number [e]")
        if missing := [symbol for symbol in ('O', 'H') if symbol not in self.charges]:
            raise PotentialSettingsError(f'charges name {sorted(self.charges)} but not {missing}; give both of water')
        water = self.charges['O'] + HYDROGENS_PER_WATER * self.charges['H']
        if abs(water) > NEUTRALITY_TOLERANCE:
            raise PotentialSettingsError(
                f'the charges of O and H give a water of {water:g} e; choose charges that sum to zero'
            )

    @property
    def has_bulk_region(self) -> bool:
        """Whether the bulk region is given."""
        return tuple(self.bulk_region) != (0.0, 0.0)

    def are_fixed(self, frames: FrameSet) -> bool:
        """Return whether charges are fixed by element, rather than those that the frames carry."""
        return self.charge_source == 'fixed' or (self.charge_source == 'auto' and frames.charges is None)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PotentialSettings:
        """Return checked settings from those that differ from the defaults.

        :raises PotentialSettingsError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'potential setting', PotentialSettingsError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        values = dataclasses.asdict(self)
        return values | {name: list(values[name]) for name in ('metal_region', 'bulk_region')}
