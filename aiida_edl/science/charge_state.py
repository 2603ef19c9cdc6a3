"""From the number of ions to the charge of the metal and back.

Convention of the project: the cell is neutral, every counter-ion carries its formal charge, the metal carries the
opposite of their sum. A film that touches the metal on one side only has surface charge density ``sigma = q / A``; if
liquid touches both sides it is ``q / (2 A)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from aiida_edl.science import units

FORMAL_CHARGES = {'Li': 1, 'Na': 1, 'K': 1, 'Rb': 1, 'Cs': 1, 'Mg': 2, 'Ca': 2, 'F': -1, 'Cl': -1, 'Br': -1, 'I': -1}
"""Formal charges of the ions that are counted [e]."""


@dataclass(frozen=True)
class ChargeState:
    """Charge bookkeeping of one neutral cell that holds a metal slab and ions."""

    ions: dict[str, int]
    """Number of ions by chemical symbol."""
    metal_charge: float
    """Charge of the metal slab [e]: minus the formal charge of the ions."""
    area: float
    """Lateral area of the cell [Å²]."""
    n_wet_sides: int
    """Sides of the slab that touch the liquid, 1 or 2."""

    @property
    def surface_charge_density(self) -> float:
        """Surface charge density of one wet side [e/Å²].

        :raises ValueError: if the cell has no lateral area.
        """
        if self.area <= 0.0:
            raise ValueError(
                f'the lateral area of the cell is {self.area} Å², so there is no surface charge; give a cell'
            )
        return self.metal_charge / (self.n_wet_sides * self.area)

    @property
    def surface_charge_density_microcoulomb_per_cm2(self) -> float:
        """Surface charge density of one wet side [µC/cm²]."""
        return self.surface_charge_density * units.MICROCOULOMB_PER_CM2_PER_E_PER_ANGSTROM2

    @property
    def label(self) -> str:
        """Short name, e.g. ``'2Na'``; ``'0'`` without ions."""
        return '_'.join(f'{count}{symbol}' for symbol, count in sorted(self.ions.items()) if count) or '0'


def count_ions(symbols: Iterable[str]) -> dict[str, int]:
    """Return the number of ions by symbol, only those that occur.

    :param symbols: chemical symbols of all atoms.
    """
    counts: dict[str, int] = {}
    for symbol in symbols:
        if symbol in FORMAL_CHARGES:
            counts[symbol] = counts.get(symbol, 0) + 1
    return counts


def ions_per_frame(numbers: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of ions of each frame, the column ``charge_state`` of a set of frames.

    :param numbers: atomic numbers of all frames laid end to end, shape ``(n_atoms_total,)``.
    :param offsets: first atom of each frame and the total, shape ``(n_frames + 1,)``.
    :return: shape ``(n_frames,)``.
    """
    is_ion = np.zeros(256, dtype=np.int64)
    is_ion[[atomic_numbers[symbol] for symbol in FORMAL_CHARGES]] = 1
    total = np.concatenate([[0], np.cumsum(is_ion[numbers])])
    return np.asarray(np.diff(total[offsets]), dtype=np.int64)


def charge_state(symbols: Iterable[str], cell: NDArray[np.float64], n_wet_sides: int = 1) -> ChargeState:
    """Return the charge state that follows from the composition of a neutral cell.

    :param symbols: chemical symbols of all atoms.
    :param cell: cell vectors as rows [Å], shape ``(3, 3)``; the slab lies in the plane of the first two.
    :param n_wet_sides: sides of the slab that touch the liquid, 1 or 2.
    :raises ValueError: if ``n_wet_sides`` is neither 1 nor 2.
    """
    area = float(np.linalg.norm(np.cross(cell[0], cell[1])))
    return charge_state_of_ions(count_ions(symbols), area, n_wet_sides)


def charge_state_of_ions(ions: Mapping[str, int], area: float, n_wet_sides: int = 1) -> ChargeState:
    """Return the charge state of a neutral cell with these ions.

    :param ions: number of ions by chemical symbol.
    :param area: lateral area of the cell [Å²].
    :param n_wet_sides: sides of the slab that touch the liquid, 1 or 2.
    :raises ValueError: if ``n_wet_sides`` is neither 1 nor 2, or a symbol has no formal charge.
    """
    if n_wet_sides not in (1, 2):
        raise ValueError(f'n_wet_sides is {n_wet_sides}, it must be 1 or 2')
    if unknown := sorted(set(ions) - set(FORMAL_CHARGES)):
        raise ValueError(f'{unknown} have no formal charge; known are {sorted(FORMAL_CHARGES)}')
    return ChargeState(
        ions=dict(ions),
        metal_charge=float(-sum(FORMAL_CHARGES[symbol] * count for symbol, count in ions.items())),
        area=area,
        n_wet_sides=n_wet_sides,
    )
