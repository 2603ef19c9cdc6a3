"""Rows of the data bases of ASE: one frame each, with results, ``key_value_pairs`` and ``data``; Å, eV, eV/Å, eV/Å³.

A row may hold an ``energy`` extrapolated to no smearing and a ``free_energy`` of which the forces are the gradient;
which is meant is asked, as in extended XYZ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.formats.file_units import FileUnits, FormatError
from aiida_edl.science.formats.frame_collection import BadFrame
from aiida_edl.science.formats.voigt import components_of, matrix_of
from aiida_edl.science.frames import Floats, Frame, FrameSet

Row = dict[str, Any]
"""Columns of a row by name, with ``key_value_pairs`` and ``data`` as dictionaries."""
HELD = ('energies', 'forces', 'stresses', 'charges')
"""Labels that a row has a place for."""
MAXIMUM_ENERGY_DIFFERENCE = 1e-6
"""Difference of energy and free energy from which on they are two [eV]."""


@dataclass(frozen=True)
class AseRowReadOptions:
    """Which entries of a row hold which quantity; None means that the quantity is not read."""

    energy: str | None = 'energy'
    """Entry with the energy whose negative gradient the forces are, e.g. ``free_energy``."""
    forces: str | None = 'forces'
    """Entry with the forces."""
    stress: str | None = None
    """Entry with the stress, ``stress`` in ASE; 6 values in its order or 9."""
    charges: str | None = None
    """Entry with the atomic charges, ``charges`` in ASE."""
    columns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Further scalars, from ``key_value_pairs`` or ``data``: name in the file -> name of the column."""
    accept_other_free_energy: bool = False
    """Whether ``energy`` is meant although the row also holds a ``free_energy`` that differs."""


@dataclass(frozen=True)
class AseRowWriteOptions:
    """The options to write rows of ASE: none, results have their places and columns lie in ``data``."""


def frames_of_rows(rows: Iterator[Row], source: str, options: AseRowReadOptions, units: FileUnits) -> Iterator[Any]:
    """Yield a frame for each row, in place of one that cannot be used what is wrong with it.

    :param rows: the rows.
    :param source: name of the file, for messages.
    :param options: which entries hold what.
    :param units: units of the file.
    """
    for index, row in enumerate(rows):
        try:
            yield _frame(row, options, units, f'{source}: frame {index}')
        except FormatError as error:
            yield BadFrame(str(error))


def _frame(row: Row, options: AseRowReadOptions, units: FileUnits, where: str) -> Frame:
    """Return the frame of a row in house units."""
    n_atoms = len(row['numbers'])
    forces, charges, stress = (
        None if key is None else _entry(row, key, where) for key in (options.forces, options.charges, options.stress)
    )
    energy = _energy(row, options, where)
    return Frame(
        numbers=np.asarray(row['numbers'], dtype=np.uint8),
        positions=_array(row['positions'], (n_atoms, 3), 'positions', where) * units.length,
        cell=_array(row.get('cell', np.zeros((3, 3))), (3, 3), 'cell', where) * units.length,
        pbc=np.array(row.get('pbc', np.zeros(3)), dtype=bool),
        energy=None if energy is None else energy * units.energy,
        forces=None if forces is None else _array(forces, (n_atoms, 3), 'forces', where) * units.force,
        stress=None if stress is None else matrix_of(stress, where) * units.stress,
        charges=None if charges is None else _array(charges, (n_atoms,), 'charges', where),
        columns={column: _scalar(_entry(row, key, where), key, where) for key, column in options.columns.items()},
    )


def _energy(row: Row, options: AseRowReadOptions, where: str) -> float | None:
    """Return the energy that is meant."""
    if options.energy is None:
        return None
    value = float(_scalar(_entry(row, options.energy, where), options.energy, where))
    other = row.get('free_energy')
    if other is None or options.energy != 'energy' or options.accept_other_free_energy:
        return value
    if abs(float(other) - value) > MAXIMUM_ENERGY_DIFFERENCE:
        raise FormatError(
            f'{where} has energy {value} and free_energy {float(other)}, and forces are the gradient of the free '
            'energy where electrons are smeared; name free_energy as the key of the energy, or accept the other one'
        )
    return value


def _entry(row: Row, key: str, where: str) -> Any:
    """Return an entry of a row: a result, else a key-value pair, else of its data.

    :raises FormatError: naming the nearest if there is none.
    """
    entries = {**_dictionary(row.get('data')), **_dictionary(row.get('key_value_pairs')), **row}
    if entries.get(key) is None:
        known = [
            name for name, value in entries.items() if value is not None and name not in ('data', 'key_value_pairs')
        ]
        raise FormatError(f'{where} has no {key}: {unknown_name_message("entry", key, known)}')
    return entries[key]


def _dictionary(value: Any) -> dict[str, Any]:
    """Return a value if it is a dictionary."""
    return value if isinstance(value, dict) else {}


def _array(value: Any, shape: tuple[int, ...], name: str, where: str) -> Floats:
    """Return an array of a shape.

    :raises FormatError: if it has another.
    """
    array = np.asarray(value, dtype=np.float64)
    if array.shape != shape:
        raise FormatError(f'{where} has {name} of shape {array.shape}, expected {shape}; write the row again')
    return array


def _scalar(value: Any, key: str, where: str) -> Any:
    """Return a number, truth value or string.

    :raises FormatError: if it is none of them.
    """
    item = value.item() if isinstance(value, np.generic | np.ndarray) and np.size(value) == 1 else value
    if not isinstance(item, bool | int | float | str):
        raise FormatError(f"{where} has a {type(item).__name__} as '{key}', expected a number or a text")
    return item


def rows_of_frames(frames: FrameSet) -> list[Row]:
    """Return the frames as rows without names and times, so that the same frames give the same rows.

    :param frames: the frames.
    """
    rows = []
    for index, frame in enumerate(frames):
        row: Row = {
            'numbers': frame.numbers.astype(np.int64),
            'positions': frame.positions,
            'cell': frame.cell,
            'pbc': frame.pbc,
            'unique_id': hashlib.md5(f'{index}'.encode() + frame.positions.tobytes()).hexdigest(),
            'ctime': 0.0,
            'mtime': 0.0,
            'user': '',
        }
        results = {
            'energy': frame.energy,
            'forces': frame.forces,
            'stress': None if frame.stress is None else components_of(frame.stress),
            'charges': frame.charges,
        }
        row |= {name: value for name, value in results.items() if value is not None}
        row |= {'key_value_pairs': {}, 'data': {name: value.item() for name, value in frame.columns.items()}}
        rows.append(row)
    return rows


def options_of_rows(frames: FrameSet) -> dict[str, Any]:
    """Return the options by which rows come back.

    :param frames: the frames that were written.
    """
    keys = {'energies': 'energy', 'forces': 'forces', 'stresses': 'stress', 'charges': 'charges'}
    chosen = {key: key if getattr(frames, label) is not None else None for label, key in keys.items()}
    return {**chosen, 'columns': {name: name for name in frames.columns}}
