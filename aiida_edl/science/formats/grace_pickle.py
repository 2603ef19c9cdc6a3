"""Tables of GRACE, ``.pkl.gz``: pickled pandas tables of ``ase_atoms``, ``energy`` or ``energy_corrected``, ``forces``.

``energy_corrected`` has energies of atoms taken off, ``energy`` has not; which is meant must be stated. A pickle is a
program: this one is read by :mod:`aiida_edl.science.formats.safe_pickle`, which makes data and runs nothing.
"""

from __future__ import annotations

import gzip
import io
import pickle
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from ase import Atoms

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.formats.base import DatasetFormat
from aiida_edl.science.formats.file_units import FileUnits, FormatError
from aiida_edl.science.formats.frame_collection import BadFrame
from aiida_edl.science.formats.optional_package import optional_package
from aiida_edl.science.formats.safe_pickle import unpickled_table
from aiida_edl.science.formats.voigt import components_of, losses_of_voigt, matrix_of
from aiida_edl.science.frames import Frame, FrameSet

SUFFIXES = ('.pkl.gz', '.pkl.gzip', '.pckl.gzip', '.pkl', '.pckl', '.pckl.gz')
GZIP = b'\x1f\x8b'
"""How a compressed file begins."""
ATOMS = 'ase_atoms'
PROTOCOL = 4
"""Version of the pickles that are written; every Python that GRACE runs on reads it."""


@dataclass(frozen=True)
class GraceReadOptions:
    """Which columns of the table hold which quantity; None means that the quantity is not read."""

    energy: str | None
    """Column of the energy whose negative gradient the forces are: ``energy``, or ``energy_corrected``."""
    forces: str | None = 'forces'
    """Column of the forces."""
    stress: str | None = None
    """Column of the stress, 6 values in ASE's order or 9."""
    columns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Further scalars: column of the table -> name of the column, e.g. ``{'name': 'group'}``."""


@dataclass(frozen=True)
class GraceWriteOptions:
    """What may be stated to write a table."""

    energy: str = 'energy'
    """Column of the energy; gracemaker makes ``energy_corrected`` of ``energy`` by its ``reference_energy``."""


class GracePickle(DatasetFormat):
    """A pickled table with one row a frame."""

    name: ClassVar[str] = 'grace_pickle'
    title: ClassVar[str] = 'GRACE: pickled table of pandas'
    read_options_class: ClassVar[type] = GraceReadOptions
    write_options_class: ClassVar[type | None] = GraceWriteOptions
    held_labels: ClassVar[tuple[str, ...]] = ('energies', 'forces', 'stresses')
    holds_columns: ClassVar[bool] = True
    precision: ClassVar[str] = 'double, bit for bit'
    unit_convention: ClassVar[str] = 'Å, eV, eV/Å, eV/Å³'

    def recognises(self, source: Path) -> bool:
        """Return whether it is a file with one of the usual suffixes."""
        return source.is_file() and source.name.endswith(SUFFIXES)

    def frames(self, source: Path, options: GraceReadOptions, units: FileUnits) -> Iterator[Frame | BadFrame]:
        """Yield the frames, row by row."""
        table = _table(source, self.name)
        wanted = (ATOMS, options.energy, options.forces, options.stress, *options.columns)
        for name in wanted:
            if name is not None and name not in table:
                known = [column for column in table if column != ATOMS]
                raise FormatError(f'{source.name}: {unknown_name_message("column of the table", name, known)}')
        for index in range(len(table[ATOMS])):
            row = {name: table[name][index] for name in wanted if name is not None}
            try:
                yield _frame(row, options, units, f'{source.name}: frame {index}')
            except FormatError as error:
                yield BadFrame(str(error))

    def losses(self, frames: FrameSet, options: GraceWriteOptions) -> dict[str, str]:
        """Return also a stress that is not symmetric."""
        return {**super().losses(frames, options), **losses_of_voigt(frames)}

    def written(self, frames: FrameSet, options: GraceWriteOptions) -> dict[str, bytes]:
        """Return one compressed table."""
        return {'frames.pkl.gz': _pickled(frames, options, self.name)}

    def read_back_options(self, frames: FrameSet, options: GraceWriteOptions) -> dict[str, Any]:
        """Return the columns of the labels."""
        return {
            'energy': None if frames.energies is None else options.energy,
            'forces': None if frames.forces is None else 'forces',
            'stress': None if frames.stresses is None else 'stress',
            'columns': {name: name for name in frames.columns},
        }


def _table(source: Path, purpose: str) -> dict[str, list[Any]]:
    """Return the columns of a table by name.

    :raises FormatError: if the file is broken or no table.
    """
    pandas = optional_package('pandas', 'pandas', purpose)
    content = source.read_bytes()
    if content[:2] == GZIP:
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise FormatError(f'{source.name} is truncated ({error}); copy it again') from error
    table = unpickled_table(io.BytesIO(content), source.name)
    if not isinstance(table, pandas.DataFrame):
        raise FormatError(f'{source.name} holds a {type(table).__name__}, expected a table of pandas')
    return {str(name): list(table[name]) for name in table.columns}


def _frame(row: Mapping[str, Any], options: GraceReadOptions, units: FileUnits, where: str) -> Frame:
    """Return the frame of a row in house units.

    :raises FormatError: if it holds no atoms, or labels of another shape.
    """
    atoms = row[ATOMS]
    if not isinstance(atoms, Atoms):
        raise FormatError(f"{where} has a {type(atoms).__name__} as '{ATOMS}', expected atoms of ASE")
    forces = None
    if options.forces is not None:
        forces = np.asarray(row[options.forces], dtype=np.float64)
        if forces.shape != (len(atoms), 3):
            raise FormatError(f'{where} has forces of shape {forces.shape} for {len(atoms)} atoms; write it again')
    energy = None if options.energy is None else row[options.energy]
    if energy is not None and not isinstance(energy, float | int | np.floating):
        raise FormatError(f"{where} has a {type(energy).__name__} as '{options.energy}', expected a number")
    return Frame(
        numbers=atoms.numbers.astype(np.uint8),
        positions=atoms.positions * units.length,
        cell=np.asarray(atoms.cell.array, dtype=np.float64) * units.length,
        pbc=np.array(atoms.pbc, dtype=bool),
        energy=None if energy is None else float(energy) * units.energy,
        forces=None if forces is None else forces * units.force,
        stress=None if options.stress is None else matrix_of(row[options.stress], where) * units.stress,
        columns={column: row[name] for name, column in options.columns.items()},
    )


def _pickled(frames: FrameSet, options: GraceWriteOptions, purpose: str) -> bytes:
    """Return the table of the frames, pickled and compressed.

    :raises FormatError: if a column has the name of a label.
    """
    pandas = optional_package('pandas', 'pandas', purpose)
    items = list(frames)
    entries: dict[str, list[Any]] = {
        ATOMS: [Atoms(f.numbers, positions=f.positions, cell=f.cell, pbc=f.pbc) for f in items],
        options.energy: [] if frames.energies is None else [frame.energy for frame in items],
        'forces': [] if frames.forces is None else [np.array(frame.forces) for frame in items],
        'stress': [components_of(frame.stress) for frame in items if frame.stress is not None],
    }
    for name, column in frames.columns.items():
        if name in entries:
            raise FormatError(f"the column '{name}' has the name of a label; drop it or name another energy column")
        entries[name] = column.tolist()
    present = {name: values for name, values in entries.items() if values}
    table = pandas.DataFrame({name: pandas.Series(values, dtype=_kind_of(values)) for name, values in present.items()})
    table.columns = pandas.Index(list(present), dtype=object)
    return gzip.compress(pickle.dumps(table, protocol=PROTOCOL), mtime=0)


def _kind_of(values: list[Any]) -> str:
    """Return the type of a column of the table: texts are objects, which every version of pandas reads."""
    kinds = {bool: 'bool', int: 'int64', float: 'float64'}
    return kinds.get(type(values[0]), 'object')
