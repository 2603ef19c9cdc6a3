"""Data files of LAMMPS: one frame each, with types, and charges or velocities; never labels.

A data file says neither its units nor which directions are periodic, so both are stated. The order of the columns is
the atom style, which LAMMPS writes behind the word ``Atoms``. Source: documentation of LAMMPS, page "read_data".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase.data import atomic_masses, chemical_symbols
from numpy.typing import NDArray

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.formats.base import DatasetFormat
from aiida_edl.science.formats.file_units import FileUnits, FormatError
from aiida_edl.science.formats.frame_collection import BadFrame
from aiida_edl.science.formats.lammps_units import numbers_of_symbols, numbers_of_types, units_of_style
from aiida_edl.science.frames import Floats, Frame, FrameSet

SUFFIXES = ('.data', '.lmp', '.lammps')
STYLES: Mapping[str, tuple[str, ...]] = {
    'atomic': ('id', 'type', 'x', 'y', 'z'),
    'charge': ('id', 'type', 'q', 'x', 'y', 'z'),
    'molecular': ('id', 'molecule', 'type', 'x', 'y', 'z'),
    'full': ('id', 'molecule', 'type', 'q', 'x', 'y', 'z'),
}
"""Columns of each atom style; three image flags may follow."""
N_IMAGES = 3
SECTION = re.compile(r'^([A-Z][A-Za-z ]*?)\s*(?:#\s*(\w+).*)?$')
"""A line that begins a section, and what stands behind its name."""
PERIODICITY = re.compile(r'pbc=([TF]{3})')
"""How the files of this package say in their first line which directions are periodic."""


@dataclass(frozen=True)
class LammpsDataReadOptions:
    """What must and may be stated to read data files."""

    unit_style: str
    """Style of the units: ``metal``, ``real`` or ``electron``."""
    pbc: tuple[bool, bool, bool] | None = None
    """Periodicity along the cell vectors; must be given unless the first line of the file says it as ``pbc=TTF``."""
    type_map: tuple[str, ...] | None = None
    """Chemical symbol of each type; must be given if the file has no section ``Atom Type Labels``."""
    atom_style: str | None = None
    """``atomic``, ``charge``, ``molecular`` or ``full``; must be given if nothing stands behind ``Atoms``."""
    labels: tuple[str, ...] = ()
    """Which of charges and velocities are read."""

    def __post_init__(self) -> None:
        """Check styles and labels.

        :raises FormatError: for an unknown one, with the nearest.
        """
        units_of_style(self.unit_style)
        if self.atom_style is not None and self.atom_style not in STYLES:
            raise FormatError(unknown_name_message('atom style', self.atom_style, list(STYLES)))
        if unknown := [name for name in self.labels if name not in LammpsData.held_labels]:
            raise FormatError(f'a data file of LAMMPS has no {unknown[0]}; labels are charges, velocities')


@dataclass(frozen=True)
class LammpsDataWriteOptions:
    """What may be stated to write data files; they are in units ``metal``."""

    type_map: tuple[str, ...] | None = None
    """Chemical symbols by type; may name more than occur; those that occur, by atomic number, if None."""


class LammpsData(DatasetFormat):
    """One file a frame; a folder of them is one set."""

    name: ClassVar[str] = 'lammps_data'
    title: ClassVar[str] = 'LAMMPS: data files, without labels'
    read_options_class: ClassVar[type] = LammpsDataReadOptions
    write_options_class: ClassVar[type | None] = LammpsDataWriteOptions
    held_labels: ClassVar[tuple[str, ...]] = ('charges', 'velocities')
    holds_columns: ClassVar[bool] = False
    precision: ClassVar[str] = 'double, digit for digit'
    unit_convention: ClassVar[str] = 'those of unit_style, which must be stated; written in metal'
    takes_units: ClassVar[bool] = False
    units_in_the_last_place: ClassVar[Mapping[str, int]] = {'velocities': 4}

    def recognises(self, source: Path) -> bool:
        """Return whether it, or every file of the folder with such a suffix, has the header of a data file."""
        paths = _data_files(source)
        return bool(paths) and all(_has_header(path) for path in paths)

    def frames(self, source: Path, options: LammpsDataReadOptions, units: FileUnits) -> Iterator[Frame | BadFrame]:
        """Yield the frames, file by file in the order of their names."""
        paths = _data_files(source) if source.is_dir() else [source]
        if not paths:
            raise FormatError(f"'{source.name}' holds no data file ({', '.join(SUFFIXES)}); name a file or a folder")
        for path in paths:
            try:
                yield _frame(path, options)
            except FormatError as error:
                yield BadFrame(str(error))

    def losses(self, frames: FrameSet, options: LammpsDataWriteOptions) -> dict[str, str]:
        """Return also cells that are none; a box has three vectors."""
        lost = super().losses(frames, options)
        if not np.linalg.det(frames.cells).all():
            lost['frames without a cell'] = 'a data file has a box; give these frames a cell'
        return lost

    def written(self, frames: FrameSet, options: LammpsDataWriteOptions) -> dict[str, bytes]:
        """Return one file a frame."""
        type_map = options.type_map or frames.elements
        if missing := [symbol for symbol in frames.elements if symbol not in type_map]:
            raise FormatError(f'type map {list(type_map)} lacks {missing}; add them')
        digits = max(5, len(str(len(frames) - 1)))
        return {f'frame_{index:0{digits}d}.data': _text(frame, type_map).encode() for index, frame in enumerate(frames)}

    def read_back_options(self, frames: FrameSet, options: LammpsDataWriteOptions) -> dict[str, Any]:
        """Return the units and labels."""
        return {
            'unit_style': 'metal',
            'labels': tuple(name for name in self.held_labels if getattr(frames, name) is not None),
        }


def _data_files(source: Path) -> list[Path]:
    """Return the file, or the files of a folder, that have a usual suffix."""
    paths = [source] if source.is_file() else sorted(source.glob('*'))
    return [path for path in paths if path.suffix in SUFFIXES and path.is_file()]


def _has_header(path: Path) -> bool:
    """Return whether the first lines count atoms and types."""
    with path.open(encoding='utf-8', errors='replace') as handle:
        head = ''.join(line for _, line in zip(range(20), handle))
    return bool(re.search(r'^\s*\d+\s+atoms\b', head, re.MULTILINE)) and 'atom types' in head


def _sections(path: Path) -> tuple[str, dict[str, list[str]], dict[str, list[list[str]]], str | None]:
    """Return first line, header by its last words, rows by section, and the atom style behind ``Atoms``."""
    lines = path.read_text(encoding='utf-8', errors='replace').splitlines()
    header: dict[str, list[str]] = {}
    rows: dict[str, list[list[str]]] = {}
    section, style = '', None
    for line in lines[1:]:
        if match := SECTION.match(line):
            section = match[1]
            rows[section] = []
            style = match[2] if section == 'Atoms' else style
            continue
        words = line.partition('#')[0].split()
        if words and section:
            rows[section].append(words)
        elif words:
            values = [word for word in words if re.fullmatch(r'[-+.\deE]+', word)]
            header[' '.join(words[len(values) :])] = values
    return lines[0] if lines else '', header, rows, style


def _frame(path: Path, options: LammpsDataReadOptions) -> Frame:
    """Return the frame of a file in house units.

    :raises FormatError: if the file is cut, or what it does not say was not stated.
    """
    first, header, rows, style = _sections(path)
    where, factors = path.name, units_of_style(options.unit_style)
    names = STYLES.get(options.atom_style or style or '')
    if names is None:
        raise FormatError(f'{where} does not say its atom style, or one that is not known; state atom_style')
    try:
        n_atoms = int(header['atoms'][0])
        cell = _cell(header)
        table = _table(rows.get('Atoms', []), names, n_atoms, where)
        velocities = _velocities(rows.get('Velocities', []), n_atoms, where) if 'velocities' in options.labels else None
    except (KeyError, ValueError, IndexError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f'{where} is truncated or no data file of LAMMPS ({error!r}); copy it again') from error
    if 'charges' in options.labels and 'q' not in names:
        raise FormatError(f'{where} has no charges in this atom style; do not ask for them')
    return Frame(
        numbers=_numbers(table[:, names.index('type')].astype(np.int64), rows, options, where),
        positions=table[:, names.index('x') : names.index('z') + 1] * factors.length,
        cell=cell * factors.length,
        pbc=_periodicity(first, options, where),
        charges=table[:, names.index('q')] if 'charges' in options.labels else None,
        velocities=None if velocities is None else velocities * factors.velocity,
    )


def _periodicity(first: str, options: LammpsDataReadOptions, where: str) -> NDArray[np.bool_]:
    """Return the periodicity that was stated or stands in the first line.

    :raises FormatError: if neither.
    """
    stated = PERIODICITY.search(first)
    if options.pbc is None and stated is None:
        raise FormatError(f'{where} does not say which directions are periodic; state pbc, e.g. [true, true, false]')
    return np.array(options.pbc if options.pbc is not None else [letter == 'T' for letter in stated[1]])  # type: ignore[index]


def _numbers(
    types: NDArray[np.int64], rows: Mapping[str, list[list[str]]], options: LammpsDataReadOptions, where: str
) -> NDArray[np.uint8]:
    """Return the atomic numbers.

    :raises FormatError: if nothing says what the types are.
    """
    if options.type_map is not None:
        return numbers_of_types(types, options.type_map, where)
    if 'Atom Type Labels' not in rows:
        raise FormatError(f'{where} has no names of its types; give type_map, one chemical symbol per type')
    labels = [words[1] for words in sorted(rows['Atom Type Labels'], key=lambda words: int(words[0]))]
    numbers_of_symbols(labels, where)
    return numbers_of_types(types, labels, where)


def _table(rows: Sequence[list[str]], names: tuple[str, ...], n_atoms: int, where: str) -> Floats:
    """Return the rows of the atoms as numbers, sorted by id.

    :raises FormatError: if there are fewer or more than there should be, or their columns are of another style.
    """
    lengths = {len(row) for row in rows}
    if len(rows) != n_atoms or not lengths <= {len(names), len(names) + N_IMAGES}:
        raise FormatError(
            f'{where} is truncated or of another atom style: {len(rows)} of {n_atoms} atoms with '
            f'{" or ".join(map(str, sorted(lengths))) or "no"} columns, expected {len(names)}; copy it again'
        )
    table = np.array([[float(word) for word in row[: len(names)]] for row in rows])
    return table[np.argsort(table[:, 0])]


def _velocities(rows: Sequence[list[str]], n_atoms: int, where: str) -> Floats:
    """Return the velocities, sorted by id.

    :raises FormatError: if there is not one an atom.
    """
    if len(rows) != n_atoms:
        raise FormatError(
            f'{where} has velocities of {len(rows)} of {n_atoms} atoms; copy it again or do not ask for them'
        )
    table = np.array([[float(word) for word in row[:4]] for row in rows])
    return table[np.argsort(table[:, 0])][:, 1:]


def _cell(header: Mapping[str, list[str]]) -> Floats:
    """Return the cell vectors as rows, in the unit of the file."""
    if 'avec' in header:
        return np.array([[float(word) for word in header[name]] for name in ('avec', 'bvec', 'cvec')])
    bounds = [[float(word) for word in header[f'{axis}lo {axis}hi']] for axis in 'xyz']
    cell = np.diag([high - low for low, high in bounds])
    if 'xy xz yz' in header:
        cell[1, 0], cell[2, 0], cell[2, 1] = (float(word) for word in header['xy xz yz'])
    return np.asarray(cell, dtype=np.float64)


def _text(frame: Frame, type_map: Sequence[str]) -> str:
    """Return a data file in units metal, with names of the types."""
    style = 'atomic' if frame.charges is None else 'charge'
    types = [type_map.index(chemical_symbols[number]) + 1 for number in frame.numbers.tolist()]
    masses = [atomic_masses[chemical_symbols.index(symbol)] for symbol in type_map]
    lines = [
        f'LAMMPS data file, units metal, pbc={"".join("T" if periodic else "F" for periodic in frame.pbc)}',
        '',
        f'{len(types)} atoms',
        f'{len(type_map)} atom types',
        *_box_lines(frame.cell),
        '',
        'Atom Type Labels',
        '',
        *(f'{number} {symbol}' for number, symbol in enumerate(type_map, start=1)),
        '',
        'Masses',
        '',
        *(f'{number} {mass!r}' for number, mass in enumerate(map(float, masses), start=1)),
        '',
        f'Atoms # {style}',
        '',
    ]
    middle = [''] * len(types) if frame.charges is None else [f' {charge!r}' for charge in frame.charges.tolist()]
    lines += [
        f'{atom} {kind}{charge} ' + ' '.join(map(repr, row))
        for atom, (kind, charge, row) in enumerate(zip(types, middle, frame.positions.tolist()), start=1)
    ]
    if frame.velocities is not None:
        rows = (frame.velocities / units_of_style('metal').velocity).tolist()
        lines += ['', 'Velocities', '']
        lines += [f'{atom} ' + ' '.join(map(repr, row)) for atom, row in enumerate(rows, start=1)]
    return '\n'.join(lines) + '\n'


def _box_lines(cell: Floats) -> list[str]:
    """Return the lines of the box: restricted if the cell is so, else general."""
    lengths = np.diag(cell).tolist()
    if np.array_equal(cell, np.tril(cell)) and min(lengths) > 0.0:
        lines = [f'0.0 {length!r} {axis}lo {axis}hi' for axis, length in zip('xyz', lengths)]
        tilts = [float(cell[1, 0]), float(cell[2, 0]), float(cell[2, 1])]
        return [*lines, ' '.join(map(repr, tilts)) + ' xy xz yz'] if any(tilts) else lines
    names = ('avec', 'bvec', 'cvec')
    return [
        *(f'{" ".join(map(repr, row))} {name}' for row, name in zip(cell.tolist(), names)),
        '0.0 0.0 0.0 abc origin',
    ]
