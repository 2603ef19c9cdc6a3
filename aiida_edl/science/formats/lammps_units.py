"""Units of LAMMPS by the name of their style, which its files do not always state and which must be stated here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from aiida_edl.registry import unknown_name_message
from aiida_edl.science import units
from aiida_edl.science.formats.file_units import FileUnits, FormatError

STYLES: Mapping[str, FileUnits] = {
    'metal': FileUnits(velocity=1e-3),
    'real': FileUnits(energy=units.KILOCALORIE_PER_MOL, force=units.KILOCALORIE_PER_MOL),
    'electron': FileUnits(
        energy=units.HARTREE,
        length=units.BOHR,
        force=units.HARTREE / units.BOHR,
        velocity=units.BOHR / units.LAMMPS_ELECTRON_TIME,
    ),
}
"""Units of each style: ``metal`` has eV and Å/ps, ``real`` has kcal/mol and Å/fs, ``electron`` has Hartree, Bohr and
Bohr per 1.03275 fs."""


def units_of_style(style: str) -> FileUnits:
    """Return the units of a style.

    :param style: name of the style.
    :raises FormatError: for an unknown one, with the nearest.
    """
    if style not in STYLES:
        raise FormatError(unknown_name_message('style of units', style, list(STYLES)))
    return STYLES[style]


def numbers_of_types(types: NDArray[np.int64], type_map: Sequence[str], where: str) -> NDArray[np.uint8]:
    """Return the atomic numbers of types, which LAMMPS counts from 1.

    :param types: types.
    :param type_map: chemical symbol of each type.
    :param where: name of the file, for messages.
    :raises FormatError: if a type has no symbol or a symbol is unknown.
    """
    if unknown := [symbol for symbol in type_map if symbol not in atomic_numbers]:
        raise FormatError(f'{where}: type map has unknown chemical symbols {unknown}; give elements')
    if types.min() < 1 or types.max() > len(type_map):
        raise FormatError(
            f'{where}: types {types.min()} to {types.max()} occur, the type map {list(type_map)} has {len(type_map)} '
            'names; name every type'
        )
    numbers: NDArray[np.uint8] = np.array([atomic_numbers[symbol] for symbol in type_map], dtype=np.uint8)[types - 1]
    return numbers


def numbers_of_symbols(symbols: Sequence[str], where: str) -> NDArray[np.uint8]:
    """Return the atomic numbers of chemical symbols.

    :param symbols: chemical symbols.
    :param where: name of the file, for messages.
    :raises FormatError: for an unknown one.
    """
    if unknown := sorted({symbol for symbol in symbols if symbol not in atomic_numbers}):
        raise FormatError(f'{where} has unknown chemical symbols {unknown}; give type_map, one symbol per type')
    return np.array([atomic_numbers[symbol] for symbol in symbols], dtype=np.uint8)
