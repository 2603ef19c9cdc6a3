"""The crystal of lithium carbonate, and layers of it that are neutral and have no dipole along their normal.

Space group C2/c, unique axis b. Positions: H. Effenberger and J. Zemann, Z. Kristallogr. 150, 133 (1979), entry 9008283
of the Crystallography Open Database. Half a cell along c holds two formula units of whole carbonate groups, around a
twofold axis in its plane; nothing but Li–O bonds is cut between two such layers.
"""

from __future__ import annotations

import numpy as np
from ase.data import atomic_numbers
from ase.geometry import cellpar_to_cell
from ase.spacegroup import crystal

from aiida_edl.science.frames import Floats, Frame

CELL = (8.3593, 4.9725, 6.1975, 90.0, 114.83, 90.0)
"""Lengths [Å] and angles [degrees] of the cell of four formula units."""
BASIS = (
    ('Li', (0.1965, 0.4484, 0.8344)),
    ('C', (0.0, 0.0657, 0.25)),
    ('O', (0.0, 0.3213, 0.25)),
    ('O', (0.1459, -0.0635, 0.3127)),
)
"""Atoms that differ by symmetry, in fractions of the cell."""
SPACE_GROUP = 15
"""C2/c."""
LAYERS_PER_CELL = 2
"""Neutral layers along c."""


def lithium_carbonate_cell() -> tuple[list[str], Floats, Floats]:
    """Return symbols, fractional positions between 0 and 1, and the cell vectors as rows [Å] of the conventional cell.

    The first vector lies along x, the second along y, so that layers lie in the plane of x and y.
    """
    symbols, positions = [symbol for symbol, _ in BASIS], [position for _, position in BASIS]
    atoms = crystal(symbols, basis=positions, spacegroup=SPACE_GROUP, cellpar=CELL)
    cell = np.asarray(cellpar_to_cell(CELL, ab_normal=(0, 0, 1), a_direction=(1, 0, 0)), dtype=np.float64)
    cell[np.abs(cell) < 1e-12] = 0.0
    return atoms.get_chemical_symbols(), np.asarray(atoms.get_scaled_positions()) % 1.0, cell


def lithium_carbonate(repeat: tuple[int, int, int]) -> Frame:
    """Return a supercell of the crystal, without strain.

    :param repeat: conventional cells of 24 atoms along each direction.
    """
    symbols, fractional, cell = lithium_carbonate_cell()
    shifts = np.array(list(np.ndindex(*repeat)), dtype=np.float64)
    positions = (fractional[None] + shifts[:, None]).reshape(-1, 3) @ cell
    return _by_element(symbols * len(shifts), positions, cell * np.array(repeat)[:, None])


def lithium_carbonate_layers(lateral: tuple[int, int], n_layers: int) -> tuple[list[str], Floats, Floats]:
    """Return symbols, positions [Å] and lateral lengths [Å] of a slab (001) of whole layers.

    The lowest atom has height zero; positions along x are not folded back, as the axis c is inclined.

    :param lateral: cells along a and b.
    :param n_layers: layers, two to a cell.
    """
    symbols, fractional, cell = lithium_carbonate_cell()
    n_cells = -(-n_layers // LAYERS_PER_CELL)
    shifts = np.array(list(np.ndindex(*lateral, n_cells)), dtype=np.float64)
    whole = (fractional[None] + shifts[:, None]).reshape(-1, 3)
    is_inside = whole[:, 2] < n_layers / LAYERS_PER_CELL
    positions = whole[is_inside] @ cell
    positions[:, 2] -= positions[:, 2].min()
    kept = np.array(symbols * len(shifts))[is_inside].tolist()
    return kept, positions, np.array([lateral[0] * cell[0, 0], lateral[1] * cell[1, 1]])


def _by_element(symbols: list[str], positions: Floats, cell: Floats) -> Frame:
    """Return a periodic frame whose atoms are ordered by atomic number."""
    numbers = np.array([atomic_numbers[symbol] for symbol in symbols], dtype=np.uint8)
    order = np.argsort(numbers, kind='stable')
    return Frame(numbers[order], positions[order], cell, np.array([True, True, True]))
