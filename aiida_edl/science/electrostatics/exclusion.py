"""The surroundings of an atom that are left out of its exterior potential."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aiida_edl.science.electrostatics.summation_settings import SummationSettingsError


@dataclass(frozen=True)
class Exclusion:
    """How far they reach, and how they fade."""

    radius: float
    """Distance beyond which atoms count in full [Å]."""
    degree: int = 1
    """Exponent n of the share ``f(r) = 1 - [(1 - cos(π r/radius))/2]^n`` that is left out."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises SummationSettingsError: with the name, the value and the remedy.
        """
        if not 0.0 < self.radius < math.inf:
            raise SummationSettingsError(f'the exclusion radius is {self.radius} Å, it must be positive and finite')
        if self.degree < 1:
            raise SummationSettingsError(f'the exclusion degree is {self.degree}, it must be 1 or more')
