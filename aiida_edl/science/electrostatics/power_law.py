"""Which interaction is summed: charges, or anything else that falls with a power of the distance."""

from __future__ import annotations

from dataclasses import dataclass

from aiida_edl.science.electrostatics.charged_system import COULOMB_CONSTANT, ChargedSystem, ChargedSystemError
from aiida_edl.science.electrostatics.periodic_check import check_periodic
from aiida_edl.science.electrostatics.slab_correction import check_slab
from aiida_edl.science.electrostatics.summation_settings import SummationSettings

COULOMB_EXPONENT = 1
SHORT_RANGED = 4
"""Least exponent with which a sum over images in three dimensions converges whatever the charges sum to."""
LARGEST_EXPONENT = 6


@dataclass(frozen=True)
class PowerLaw:
    """The energy ``prefactor q q'/r^exponent`` of a pair; 1/r of charges by default.

    Dispersion is ``PowerLaw(6, -1.0)`` with the square roots of C6 coefficients [eV^½ Å³] as charges.
    """

    exponent: int = COULOMB_EXPONENT
    """Power p of the inverse distance, 1 to 6."""
    prefactor: float = COULOMB_CONSTANT
    """Energy of two unit charges at 1 Å [eV]; 1/(4π ε₀) by default."""

    def __post_init__(self) -> None:
        """Check the exponent.

        :raises ChargedSystemError: if it is none of 1 to 6.
        """
        if self.exponent not in range(COULOMB_EXPONENT, LARGEST_EXPONENT + 1):
            raise ChargedSystemError(f'the exponent is {self.exponent}, it must be a whole number from 1 to 6')

    @property
    def is_coulomb(self) -> bool:
        """Whether the potential is that of charges, 1/r."""
        return self.exponent == COULOMB_EXPONENT

    def check(self, system: ChargedSystem, settings: SummationSettings) -> None:
        """Refuse a system for which a sum over images is not what is meant.

        :raises ChargedSystemError: with what was given and what would be right.
        """
        if system.pbc.all() and self.exponent >= SHORT_RANGED:
            return
        if system.pbc.any() and not system.pbc.all() and not self.is_coulomb:
            raise ChargedSystemError(
                f'the system is periodic along {system.pbc.tolist()} and the exponent is {self.exponent}; slabs are '
                'known for the exponent 1 alone: make the system periodic in all directions'
            )
        if not system.is_neutral and self.exponent == SHORT_RANGED - 1:
            raise ChargedSystemError(
                f'the charges sum to {system.net_charge:g} and the exponent is 3, for which no background makes the '
                'sum converge: make them sum to zero'
            )
        check_periodic(system, settings)
        if not system.pbc.all():
            check_slab(system)
