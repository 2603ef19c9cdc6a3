"""What the numbers of a file mean: its units as multiples of the house units, and the error every reader raises."""

from __future__ import annotations

from dataclasses import dataclass


class FormatError(ValueError):
    """A file that cannot be read as asked; one sentence: the thing, its value, the remedy."""


@dataclass(frozen=True)
class FileUnits:
    """Units of a file; take the factors from ``science/units.py``, e.g. ``force=HARTREE / BOHR``."""

    energy: float = 1.0
    """One unit of energy in the file [eV]."""
    length: float = 1.0
    """One unit of positions and cells in the file [Å]."""
    force: float = 1.0
    """One unit of force in the file [eV/Å]."""
    stress: float = 1.0
    """One unit of stress in the file [eV/Å³]; negative if the file counts compression as positive."""
