"""Point charges in a cell: what every summation method takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.frames import Floats
from aiida_edl.science.units import VACUUM_PERMITTIVITY

COULOMB_CONSTANT = 1.0 / (4.0 * np.pi * VACUUM_PERMITTIVITY)
"""1/(4π ε₀) in eV Å/e² (14.39964548)."""
NEUTRAL = 1e-6
"""Net charge [e] up to which a system counts as neutral: rounding of charges in single precision."""


class ChargedSystemError(ValueError):
    """A system that has no electrostatic energy, or not the one that is asked for."""


@dataclass(frozen=True)
class ChargedSystem:
    """Point charges in a cell."""

    positions: Floats
    """Cartesian positions [Å], shape ``(n_atoms, 3)``."""
    cell: Floats
    """Cell vectors as rows [Å], shape ``(3, 3)``; vectors along open directions may be zero."""
    charges: Floats
    """Charges [e], shape ``(n_atoms,)``."""
    pbc: NDArray[np.bool_]
    """Periodicity along the cell vectors, shape ``(3,)``."""

    def __post_init__(self) -> None:
        """Check shapes and values.

        :raises ChargedSystemError: for what is missing, of a wrong shape or not finite, and for a flat cell.
        """
        n_atoms = len(self.charges)
        for name, shape in (('positions', (n_atoms, 3)), ('cell', (3, 3)), ('charges', (n_atoms,)), ('pbc', (3,))):
            array = getattr(self, name)
            if array.shape != shape:
                raise ChargedSystemError(
                    f'the {name} of {n_atoms} charges have the shape {array.shape}, expected {shape}'
                )
            wrong = int(np.sum(~np.isfinite(array)))
            if wrong:
                raise ChargedSystemError(f'{wrong} of the {array.size} numbers of the {name} are not finite')
        if n_atoms == 0:
            raise ChargedSystemError('there are no charges, at least one is needed')
        if self.pbc.any() and np.linalg.matrix_rank(self.cell[self.pbc]) < int(self.pbc.sum()):
            raise ChargedSystemError(
                f'the periodic cell vectors {self.cell[self.pbc].tolist()} lie in a plane or vanish; they must be '
                'linearly independent'
            )

    @property
    def volume(self) -> float:
        """Volume of the cell [Å³]."""
        return abs(float(np.linalg.det(self.cell)))

    @property
    def net_charge(self) -> float:
        """Sum of the charges [e]."""
        return float(np.sum(self.charges))

    @property
    def is_neutral(self) -> bool:
        """Whether the charges sum to zero but for rounding."""
        return abs(self.net_charge) <= NEUTRAL

    @property
    def heights(self) -> Floats:
        """Distances of opposite faces of the cell [Å], shape ``(3,)``."""
        return np.asarray(1.0 / np.linalg.norm(np.linalg.inv(self.cell), axis=0))


def supercell(system: ChargedSystem, repetitions: tuple[int, int, int]) -> ChargedSystem:
    """Return copies of a system side by side.

    :param system: the system.
    :param repetitions: how often along each cell vector.
    """
    shifts = np.stack(np.meshgrid(*(np.arange(n) for n in repetitions), indexing='ij'), axis=-1).reshape(-1, 3)
    positions = (system.positions[None, :, :] + (shifts @ system.cell)[:, None, :]).reshape(-1, 3)
    return ChargedSystem(
        positions=positions,
        cell=system.cell * np.array(repetitions)[:, None],
        charges=np.tile(system.charges, len(shifts)),
        pbc=system.pbc,
    )


def rattled(system: ChargedSystem, amplitude: float, seed: int) -> ChargedSystem:
    """Return a system with every coordinate displaced by normal numbers: in a perfect crystal no force can be wrong.

    :param system: the system.
    :param amplitude: standard deviation [Å].
    :param seed: seed of the random numbers.
    """
    noise = np.random.default_rng(seed).normal(scale=amplitude, size=system.positions.shape)
    return ChargedSystem(system.positions + noise, system.cell, system.charges, system.pbc)
