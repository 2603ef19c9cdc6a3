"""Tables in Parquet, one row a frame, in the columns of ColabFit: ``atomic_numbers``, ``positions``, ``cell``, ``pbc``,
``energy``, ``atomic_forces``, ``cauchy_stress``; ours are ``atomic_charges`` and ``atomic_velocities``, and columns by
their own names.

Lists may be nested (``[[x, y, z], ...]``) or flat. Source: schema of the data sets of colabfit.org.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.formats.base import DatasetFormat
from aiida_edl.science.formats.file_units import FileUnits, FormatError
from aiida_edl.science.formats.frame_collection import BadFrame
from aiida_edl.science.formats.optional_package import optional_package
from aiida_edl.science.formats.voigt import matrix_of
from aiida_edl.science.frames import OPTIONAL, Floats, Frame, FrameSet

NAMES = {
    'energies': 'energy',
    'forces': 'atomic_forces',
    'stresses': 'cauchy_stress',
    'charges': 'atomic_charges',
    'velocities': 'atomic_velocities',
}
"""Column of the table for each label."""
GEOMETRY = ('atomic_numbers', 'positions', 'cell', 'pbc')
"""Columns that every table has."""
SCHEMA_VERSION = b'1'
SUFFIX = '.parquet'


@dataclass(frozen=True)
class ParquetReadOptions:
    """Which columns of the table hold which quantity; None means that the quantity is not read."""

    energy: str | None = 'energy'
    """Column of the energy whose negative gradient the forces are."""
    forces: str | None = 'atomic_forces'
    """Column of the forces."""
    stress: str | None = None
    """Column of the stress, 9 values or 6 in ASE's order; ``cauchy_stress`` in ColabFit."""
    charges: str | None = None
    """Column of the atomic charges."""
    velocities: str | None = None
    """Column of the velocities."""
    columns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Further scalars: column of the table -> name of the column."""


@dataclass(frozen=True)
class ParquetWriteOptions:
    """The options to write a table: none, every label has its column."""


class Parquet(DatasetFormat):
    """A table with one row a frame, in one file or several of one folder."""

    name: ClassVar[str] = 'parquet'
    title: ClassVar[str] = 'Parquet, with the columns of ColabFit'
    read_options_class: ClassVar[type] = ParquetReadOptions
    write_options_class: ClassVar[type | None] = ParquetWriteOptions
    held_labels: ClassVar[tuple[str, ...]] = OPTIONAL
    holds_columns: ClassVar[bool] = True
    precision: ClassVar[str] = 'double, bit for bit'
    unit_convention: ClassVar[str] = 'Å, eV, eV/Å, eV/Å³, e, Å/fs; stress positive in tension'

    def recognises(self, source: Path) -> bool:
        """Return whether it has the suffix, or is a folder of files that have."""
        return source.suffix == SUFFIX if source.is_file() else any(source.glob(f'*{SUFFIX}'))

    def frames(self, source: Path, options: ParquetReadOptions, units: FileUnits) -> Iterator[Frame | BadFrame]:
        """Yield the frames, file by file."""
        paths = [source] if source.is_file() else sorted(source.glob(f'*{SUFFIX}'))
        if not paths:
            raise FormatError(f"'{source.name}' holds no file *{SUFFIX}; name a file or a folder of such files")
        for path in paths:
            for index, row in enumerate(_rows(path, options)):
                try:
                    yield _frame(row, options, units, f'{path.name}: frame {index}')
                except FormatError as error:
                    yield BadFrame(str(error))

    def written(self, frames: FrameSet, options: ParquetWriteOptions) -> dict[str, bytes]:
        """Return one file."""
        return {f'frames{SUFFIX}': _table_bytes(frames)}

    def read_back_options(self, frames: FrameSet, options: ParquetWriteOptions) -> dict[str, Any]:
        """Return the columns that are there."""
        present = {label: name if getattr(frames, label) is not None else None for label, name in NAMES.items()}
        keys = ('energy', 'forces', 'stress', 'charges', 'velocities')
        return {**dict(zip(keys, present.values())), 'columns': {name: name for name in frames.columns}}


def _rows(path: Path, options: ParquetReadOptions) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file with the columns that are wanted.

    :raises FormatError: if the file is broken or a column is not there.
    """
    reader = optional_package('pyarrow.parquet', 'parquet', Parquet.name)
    arrow = optional_package('pyarrow', 'parquet', Parquet.name)
    labels = (options.energy, options.forces, options.stress, options.charges, options.velocities)
    wanted = list(dict.fromkeys([*GEOMETRY, *filter(None, labels), *options.columns]))
    try:
        with reader.ParquetFile(path) as table:
            known = table.schema_arrow.names
            for name in wanted:
                if name not in known:
                    raise FormatError(f'{path.name}: {unknown_name_message("column of the table", name, known)}')
            for batch in table.iter_batches(columns=wanted, batch_size=256):
                yield from batch.to_pylist()
    except (arrow.ArrowException, OSError) as error:
        raise FormatError(f'{path.name} is truncated or no file of Parquet ({error}); copy it again') from error


def _frame(row: Mapping[str, Any], options: ParquetReadOptions, units: FileUnits, where: str) -> Frame:
    """Return the frame of a row in house units.

    :raises FormatError: if a value is missing or has another size.
    """
    numbers = np.array(row['atomic_numbers'], dtype=np.uint8)
    shapes = {'positions': (len(numbers), 3), 'cell': (3, 3)}
    geometry = {name: _array(row[name], shape, name, where) for name, shape in shapes.items()}
    missing = [name for name in _wanted(options) if row[name] is None]
    if missing:
        raise FormatError(f'{where} has no {missing[0]}; label it or leave the column out')
    forces, velocities = (
        None if name is None else _array(row[name], (len(numbers), 3), name, where)
        for name in (options.forces, options.velocities)
    )
    return Frame(
        numbers=numbers,
        positions=geometry['positions'] * units.length,
        cell=geometry['cell'] * units.length,
        pbc=np.array(row['pbc'], dtype=bool),
        energy=None if options.energy is None else float(row[options.energy]) * units.energy,
        forces=None if forces is None else forces * units.force,
        stress=None if options.stress is None else matrix_of(_flat(row[options.stress]), where) * units.stress,
        charges=None
        if options.charges is None
        else _array(row[options.charges], (len(numbers),), options.charges, where),
        velocities=None if velocities is None else velocities * units.velocity,
        columns={column: row[name] for name, column in options.columns.items()},
    )


def _wanted(options: ParquetReadOptions) -> list[str]:
    """Return the columns of labels and scalars that are read."""
    labels = (options.energy, options.forces, options.stress, options.charges, options.velocities)
    return [name for name in (*labels, *options.columns) if name is not None]


def _flat(values: Any) -> Floats:
    """Return nested or flat lists as one array."""
    rows = [np.atleast_1d(np.asarray(row, dtype=np.float64)) for row in values]
    return np.concatenate(rows) if rows else np.zeros(0)


def _array(values: Any, shape: tuple[int, ...], name: str, where: str) -> Floats:
    """Return an array of a shape from nested or flat lists.

    :raises FormatError: if there are more or fewer values.
    """
    flat = _flat(values if values is not None else [])
    if flat.size != int(np.prod(shape)):
        raise FormatError(f"{where} has {flat.size} values as '{name}', expected {int(np.prod(shape))}")
    return flat.reshape(shape)


def _table_bytes(frames: FrameSet) -> bytes:
    """Return the frames as a table.

    :raises FormatError: if a column has the name of one of the table's own.
    """
    arrow = optional_package('pyarrow', 'parquet', Parquet.name)
    writer = optional_package('pyarrow.parquet', 'parquet', Parquet.name)
    if taken := [name for name in frames.columns if name in (*GEOMETRY, *NAMES.values())]:
        raise FormatError(f"the column '{taken[0]}' has the name of a column of the format; drop it")
    items = list(frames)
    vectors = arrow.list_(arrow.list_(arrow.float64()))
    kinds = {'energies': arrow.float64(), 'charges': arrow.list_(arrow.float64())}
    entries = {
        'atomic_numbers': arrow.array([f.numbers.tolist() for f in items], arrow.list_(arrow.int32())),
        'positions': arrow.array([f.positions.tolist() for f in items], vectors),
        'cell': arrow.array([f.cell.tolist() for f in items], vectors),
        'pbc': arrow.array([f.pbc.tolist() for f in items], arrow.list_(arrow.bool_())),
    }
    singular = dict(zip(OPTIONAL, ('energy', 'forces', 'stress', 'charges', 'velocities')))
    for label, name in NAMES.items():
        if getattr(frames, label) is not None:
            values = [getattr(frame, singular[label]) for frame in items]
            plain = [value.tolist() if isinstance(value, np.ndarray) else value for value in values]
            entries[name] = arrow.array(plain, kinds.get(label, vectors))
    for name, column in frames.columns.items():
        entries[name] = arrow.array(column.tolist())
    table = arrow.table(entries).replace_schema_metadata({b'aiida_edl_schema': SCHEMA_VERSION})
    buffer = io.BytesIO()
    writer.write_table(table, buffer)
    return buffer.getvalue()
