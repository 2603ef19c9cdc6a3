"""Systems of charges by name on which sums are timed: boxes of water, and the crystals of a published benchmark.

The crystals and their replications are those of P. Loche et al., J. Chem. Phys. 162, 142501 (2025), whose largest
holds 262,144 atoms. Here neighbours are 2.8 Å apart, and atoms are displaced at random: in a perfect crystal all forces
vanish by symmetry, and no error of a force can be measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiida_edl.science.electrostatics.charged_system import ChargedSystem, rattled, supercell
from aiida_edl.science.electrostatics.reference_values import REFERENCE_LATTICES
from aiida_edl.science.electrostatics.validation_cases import AMPLITUDE, NEIGHBOUR_DISTANCE, SEED, water_box

WATER_ATOMS = (648, 3000, 12288, 41472, 98304, 255552)
"""Atoms of the boxes of water: cubes of whole numbers of molecules along each edge."""
CRYSTALS = (
    'cscl',
    'nacl_primitive',
    'nacl_cubic',
    'zincblende',
    'wurtzite',
    'cu2o',
    'wigner_bcc',
    'wigner_fcc',
)
REPLICATIONS = (1, 2, 4, 8, 16, 32)
"""Copies of the cell along each cell vector."""
QUICK_ATOMS = 3000
"""Atoms of the largest box of water of a quick run."""


@dataclass(frozen=True)
class ChargeCase:
    """A system by name, made when it is needed."""

    family: str
    """``'water'`` or the name of a crystal."""
    number: int
    """Atoms of a box of water, or copies of the cell of a crystal along each cell vector."""

    @property
    def name(self) -> str:
        """Name, e.g. ``'water_648'``."""
        return f'{self.family}_{self.number}'

    @property
    def is_water(self) -> bool:
        """Whether it is a box of water."""
        return self.family == 'water'

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return self.number if self.is_water else self.number**3 * len(REFERENCE_LATTICES[self.family].charges)

    @property
    def is_orthorhombic(self) -> bool:
        """Whether the cell vectors are orthogonal."""
        cell = np.eye(3) if self.is_water else REFERENCE_LATTICES[self.family].cell
        return not np.any(cell - np.diag(np.diag(cell)))

    def system(self) -> ChargedSystem:
        """Return the charges."""
        if self.is_water:
            return water_box(self.number // 3)
        lattice = REFERENCE_LATTICES[self.family]
        perfect = lattice.system(NEIGHBOUR_DISTANCE / lattice.neighbour_distance)
        return rattled(supercell(perfect, (self.number,) * 3), AMPLITUDE, SEED)

    def stand_in(self, most_atoms: int) -> tuple[ChargeCase, int]:
        """Return a case of half the length, a quarter and so on for a tuning, and how many times longer this one is.

        :param most_atoms: atoms up to which it is this case itself.
        """
        case, factor = self, 1
        while case.n_atoms > most_atoms and case.number % (24 if case.is_water else 2) == 0:
            case = ChargeCase(case.family, case.number // (8 if case.is_water else 2))
            factor *= 2
        return case, factor


def case_named(name: str) -> ChargeCase:
    """Return a case by its name.

    >>> case_named('nacl_cubic_32').n_atoms
    262144
    """
    family, _, number = name.rpartition('_')
    return ChargeCase(family, int(number))


def cases(systems: list[str], largest: int) -> list[ChargeCase]:
    """Return boxes of water, then crystals, the small ones of all crystals first.

    :param systems: ``'water'``, ``'crystals'``, or names of single systems.
    :param largest: atoms of the largest system.
    """
    found = [ChargeCase('water', number) for number in WATER_ATOMS]
    found += [ChargeCase(crystal, number) for number in REPLICATIONS for crystal in CRYSTALS]
    chosen = [case for case in found if {case.name, 'water' if case.is_water else 'crystals'} & set(systems)]
    return [case for case in chosen if case.n_atoms <= largest]
