"""What the numbers of a file mean: its units as multiples of the house units, and the error every reader raises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from aiida_edl.registry import unknown_name_message
from aiida_edl.science import units


class FormatError(ValueError):
    """A file that cannot be read as asked; one sentence: the thing, its value, the remedy."""


UNITS: Mapping[str, Mapping[str, float]] = {
    'energy': {'eV': 1.0, 'hartree': units.HARTREE, 'kcal/mol': units.KILOCALORIE_PER_MOL},
    'length': {'angstrom': 1.0, 'bohr': units.BOHR},
    'force': {
        'eV/angstrom': 1.0,
        'hartree/bohr': units.HARTREE / units.BOHR,
        'eV/bohr': 1.0 / units.BOHR,
        'kcal/mol/angstrom': units.KILOCALORIE_PER_MOL,
    },
    'stress': {'eV/angstrom3': 1.0, 'GPa': units.GIGAPASCAL, 'kbar': units.KILOBAR},
    'velocity': {'angstrom/fs': 1.0, 'angstrom/ps': 1e-3},
}
"""Factor to the house unit of each unit that a file may be in, by quantity."""


@dataclass(frozen=True)
class FileUnits:
    """Units of a file, as factors to the house units."""

    energy: float = 1.0
    """One unit of energy in the file [eV]."""
    length: float = 1.0
    """One unit of positions and cells in the file [Å]."""
    force: float = 1.0
    """One unit of force in the file [eV/Å]."""
    stress: float = 1.0
    """One unit of stress in the file [eV/Å³]; negative if the file counts compression as positive."""
    velocity: float = 1.0
    """One unit of velocity in the file [Å/fs]."""

    @classmethod
    def from_names(cls, names: Mapping[str, str]) -> FileUnits:
        """Return the units with these names; a minus sign before one turns the sign of the quantity.

        >>> FileUnits.from_names({'length': 'bohr', 'stress': '-kbar'}).length
        0.529177210544

        :param names: name of the unit, see :data:`UNITS`, by quantity.
        :raises FormatError: for an unknown quantity or unit, with the nearest.
        """
        factors = {}
        for quantity, name in names.items():
            if quantity not in UNITS:
                raise FormatError(unknown_name_message('quantity with a unit', quantity, [f.name for f in fields(cls)]))
            known, bare = UNITS[quantity], name.removeprefix('-')
            if bare not in known:
                raise FormatError(unknown_name_message(f'unit of {quantity}', bare, list(known)))
            factors[quantity] = -known[bare] if name.startswith('-') else known[bare]
        return cls(**factors)
