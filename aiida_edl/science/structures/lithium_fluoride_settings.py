"""What cells of lithium fluoride are asked for: lattice, defects, charge, and what does not fit together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from aiida_edl.registry import unknown_name_message
from aiida_edl.typed_fields import checked_fields

LATTICE_CONSTANT = 4.027
"""Cubic lattice constant of LiF at 26 °C [Å]: H. E. Swanson and E. Tatge, NBS Circular 539, volume 1 (1953)."""
FRENKEL_SEPARATION = 1.25
"""Separation of a Frenkel pair that is taken unless another is given, in lattice constants. Nearer pairs may recombine
as soon as they are relaxed: with the potential of M. P. Tosi and F. G. Fumi, J. Phys. Chem. Solids 25, 45 (1964), those
0.43 and 1.09 apart do, those at 0.83 and from 1.30 on do not."""
SITES_PER_CELL = 4
"""Sites of one element in the cubic cell of rocksalt."""


class LithiumFluorideError(ValueError):
    """A setting that does not exist, is out of range, or does not fit the others."""


class DefectKind(str, Enum):
    """What is wrong with the crystal."""

    NONE = 'none'
    """Nothing."""
    INTERSTITIAL = 'interstitial'
    """One Li more."""
    VACANCY = 'vacancy'
    """One Li less."""
    FRENKEL = 'frenkel'
    """A Li vacancy and a Li interstitial."""
    SCHOTTKY = 'schottky'
    """A Li vacancy and a F vacancy."""


class InterstitialSite(str, Enum):
    """Where an additional Li begins; a relaxation decides where it stays."""

    TETRAHEDRAL = 'tetrahedral'
    """The centre of a cube of four Li and four F."""
    DUMBBELL = 'dumbbell'
    """Two Li share a lattice site, split along a random one of the four ⟨111⟩ directions."""


class ChargeConvention(str, Enum):
    """How many electrons the cell is meant to have."""

    NEUTRAL = 'neutral'
    """Those of the neutral atoms: an interstitial leaves an electron in the conduction band, a vacancy a hole."""
    IONIC = 'ionic'
    """Those of the ions: the cell carries the charge of its defects against a uniform background."""


FORMAL_CHARGE = {
    DefectKind.NONE: 0,
    DefectKind.INTERSTITIAL: 1,
    DefectKind.VACANCY: -1,
    DefectKind.FRENKEL: 0,
    DefectKind.SCHOTTKY: 0,
}
"""Charge of one defect if Li is +1 and F is -1 [e]."""
PAIRS = (DefectKind.FRENKEL, DefectKind.SCHOTTKY)
"""Defects of two parts."""


@dataclass(frozen=True)
class LithiumFluorideSettings:
    """What to build."""

    repeat: tuple[int, int, int] = (3, 3, 3)
    """Cubic cells of eight atoms along each direction."""
    lattice_constant: float = LATTICE_CONSTANT
    """Cubic lattice constant [Å]; the default is the crystal at room temperature, PBE at rest gives about 4.06."""
    defect: str = DefectKind.NONE.value
    """Kind of the defects, a value of ``DefectKind``."""
    n_defects: int | None = None
    """Number of defects, a pair being one; None derives it from ``concentration``, and is 1 without either."""
    concentration: float | None = None
    """Defects per Li site of the perfect crystal, rounded to a whole number of at least one; excludes ``n_defects``."""
    interstitial_site: str = InterstitialSite.TETRAHEDRAL.value
    """Where an additional Li begins, a value of ``InterstitialSite``."""
    dumbbell_length: float = 1.8
    """Distance of the two Li of a dumbbell before relaxation [Å]; chosen by the project."""
    separation: float | None = None
    """Least distance of the two parts of a pair [Å]; the nearest shell of sites at it or beyond is taken. None is the
    nearest shell of a Schottky pair, and for a Frenkel pair ``FRENKEL_SEPARATION``."""
    minimum_distance: float = 4.0
    """Least distance of different defects, periodic images included [Å]; of pairs, of any of their parts."""
    charge_convention: str = ChargeConvention.NEUTRAL.value
    """How many electrons the cell is meant to have, a value of ``ChargeConvention``."""
    displacement: float = 0.0
    """Standard deviation of a random displacement of every atom along each axis [Å]."""
    n_frames: int = 1
    """Arrangements, from successive seeds."""
    seed: int = 0
    """Seed of the first arrangement."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises LithiumFluorideError: with the name, the value and the remedy.
        """
        for name, kinds in (
            ('defect', DefectKind),
            ('interstitial_site', InterstitialSite),
            ('charge_convention', ChargeConvention),
        ):
            known = [kind.value for kind in kinds]
            if getattr(self, name) not in known:
                raise LithiumFluorideError(unknown_name_message(name, str(getattr(self, name)), known))
        if min(self.repeat) < 1:
            raise LithiumFluorideError(f'repeat is {list(self.repeat)}, it must be three positive integers')
        for name in ('lattice_constant', 'dumbbell_length', 'minimum_distance', 'n_frames'):
            if not getattr(self, name) > 0:
                raise LithiumFluorideError(f"setting '{name}' is {getattr(self, name)}, it must be positive")
        for name in ('displacement', 'seed'):
            if getattr(self, name) < 0:
                raise LithiumFluorideError(f"setting '{name}' is {getattr(self, name)}, it must not be negative")
        if self.separation is not None and not self.separation > 0:
            raise LithiumFluorideError(f"setting 'separation' is {self.separation}, it must be positive")
        self._check_number()
        self._check_parts()

    def _check_number(self) -> None:
        """Check that the number of defects fits the sites.

        :raises LithiumFluorideError: if it does not, or is given twice.
        """
        if self.n_defects is not None and self.concentration is not None:
            raise LithiumFluorideError(
                f'n_defects is {self.n_defects} and concentration is {self.concentration:g}; give one of them'
            )
        if self.kind is DefectKind.NONE:
            if self.n_defects or self.concentration:
                raise LithiumFluorideError(
                    "a number of defects is given, but the defect is 'none'; name the defect, e.g. 'interstitial'"
                )
            return
        if self.concentration is not None and self.number_of_defects < 1:
            raise LithiumFluorideError(
                f'a concentration of {self.concentration:g} in {self.n_lithium_sites} Li sites is '
                f'{self.concentration * self.n_lithium_sites:.2g} defects; give at least '
                f'{1 / self.n_lithium_sites:.3g} or a larger cell'
            )
        # A crystal without any Li, or without any atom, is none.
        most = self.n_lithium_sites - (self.kind is not DefectKind.INTERSTITIAL)
        if not 1 <= self.number_of_defects <= most:
            raise LithiumFluorideError(
                f"{self.number_of_defects} defects '{self.defect}' are asked for in a cell of {self.n_lithium_sites} "
                f'Li sites; give 1 to {most} or a larger cell'
            )

    def _check_parts(self) -> None:
        """Check what concerns pairs and dumbbells alone.

        :raises LithiumFluorideError: if a separation is given without a pair, or a dumbbell reaches other sites.
        """
        if self.separation is not None and self.kind not in PAIRS:
            raise LithiumFluorideError(
                f"separation is {self.separation:g} Å, but the defect '{self.defect}' is no pair; leave it out"
            )
        limit = self.lattice_constant / 2**0.5
        if self.dumbbell_length >= limit:
            raise LithiumFluorideError(
                f'dumbbell_length is {self.dumbbell_length:g} Å, it must be below that of Li sites, {limit:.2f} Å'
            )

    @property
    def kind(self) -> DefectKind:
        """Kind of the defects."""
        return DefectKind(self.defect)

    @property
    def n_lithium_sites(self) -> int:
        """Li sites of the perfect crystal."""
        first, second, third = self.repeat
        return SITES_PER_CELL * first * second * third

    @property
    def number_of_defects(self) -> int:
        """Number of defects: as given, from the concentration, or one."""
        if self.kind is DefectKind.NONE:
            return 0
        if self.concentration is not None:
            return round(self.concentration * self.n_lithium_sites)
        return 1 if self.n_defects is None else self.n_defects

    @property
    def total_charge(self) -> int:
        """Charge of the cell [e]."""
        if ChargeConvention(self.charge_convention) is ChargeConvention.NEUTRAL:
            return 0
        return FORMAL_CHARGE[self.kind] * self.number_of_defects

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LithiumFluorideSettings:
        """Return checked settings from those that differ from the defaults.

        :param values: settings by name; lists stand for tuples.
        :raises LithiumFluorideError: for an unknown name, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'setting of lithium fluoride', LithiumFluorideError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        return {**dataclasses.asdict(self), 'repeat': list(self.repeat)}
