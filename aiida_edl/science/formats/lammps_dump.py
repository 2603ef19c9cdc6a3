"""Dumps of LAMMPS: snapshots with the columns a ``dump custom`` chose; energies lie in another file, or nowhere.

Boxes are orthogonal, restricted triclinic (``xy xz yz``) or general (``abc origin``). Coordinates may be wrapped,
unwrapped or scaled; atoms are sorted by ``id``. Source: documentation of LAMMPS, pages "dump" and "Howto triclinic".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from aiida_edl.science.formats.base import DatasetFormat
from aiida_edl.science.formats.file_units import FileUnits, FormatError
from aiida_edl.science.formats.frame_collection import BadFrame
from aiida_edl.science.formats.lammps_units import numbers_of_symbols, numbers_of_types, units_of_style
from aiida_edl.science.frames import Floats, Frame, FrameSet

SUFFIXES = ('.lammpstrj', '.dump')
ITEM = 'ITEM: '
POSITIONS = (('x', 'y', 'z'), ('xu', 'yu', 'zu'), ('xs', 'ys', 'zs'), ('xsu', 'ysu', 'zsu'))
"""Columns that hold coordinates; those of the last two are fractions of the box."""
SCALED = ('xs', 'xsu')
COLUMNS = {'forces': ('fx', 'fy', 'fz'), 'velocities': ('vx', 'vy', 'vz'), 'charges': ('q',)}
"""Columns of each label."""
DUMP_FILE = 'frames.lammpstrj'
ENERGIES_FILE = 'energies.txt'


@dataclass(frozen=True)
class LammpsDumpReadOptions:
    """What must and may be stated to read a dump."""

    unit_style: str
    """Style of the units of the run: ``metal``, ``real`` or ``electron``."""
    type_map: tuple[str, ...] | None = None
    """Chemical symbol of each type; must be given if the dump has no column ``element``."""
    labels: tuple[str, ...] = ()
    """Which of forces, charges and velocities are read."""
    energies: str | None = None
    """Name of a file beside the dump with one energy per snapshot, in the unit of the style; None if there are none."""
    step: str | None = None
    """Name of a column for the number of the step; None leaves it out."""

    def __post_init__(self) -> None:
        """Check style and labels.

        :raises FormatError: for an unknown one, with the nearest.
        """
        units_of_style(self.unit_style)
        if unknown := [name for name in self.labels if name not in COLUMNS]:
            raise FormatError(f'a dump of LAMMPS has no {unknown[0]}; labels are {", ".join(COLUMNS)}')


@dataclass(frozen=True)
class LammpsDumpWriteOptions:
    """The options to write a dump: none, it is in units ``metal``."""


class LammpsDump(DatasetFormat):
    """Snapshots in text, and a file of energies beside it."""

    name: ClassVar[str] = 'lammps_dump'
    title: ClassVar[str] = 'LAMMPS: dump, with energies in a file beside it'
    read_options_class: ClassVar[type] = LammpsDumpReadOptions
    write_options_class: ClassVar[type | None] = LammpsDumpWriteOptions
    held_labels: ClassVar[tuple[str, ...]] = ('energies', 'forces', 'charges', 'velocities')
    holds_columns: ClassVar[bool] = False
    precision: ClassVar[str] = 'double, digit for digit'
    unit_convention: ClassVar[str] = 'those of unit_style, which must be stated; written in metal'
    takes_units: ClassVar[bool] = False
    units_in_the_last_place: ClassVar[Mapping[str, int]] = {'velocities': 4}

    def recognises(self, source: Path) -> bool:
        """Return whether it has a usual suffix, or is a folder with one such file."""
        paths = [source] if source.is_file() else list(source.glob('*'))
        return sum(path.suffix in SUFFIXES for path in paths) == 1

    def frames(self, source: Path, options: LammpsDumpReadOptions, units: FileUnits) -> Iterator[Frame | BadFrame]:
        """Yield the frames, snapshot by snapshot."""
        path = _dump_file(source)
        energies = None if options.energies is None else _energies(path.parent / options.energies)
        index = -1
        for index, snapshot in enumerate(_snapshots(path)):
            if isinstance(snapshot, BadFrame):
                yield snapshot
                continue
            try:
                frame = _frame(snapshot, options, f'{path.name}: frame {index}')
            except FormatError as error:
                yield BadFrame(str(error))
                continue
            yield frame if energies is None else _with_energy(frame, energies, index, options)
        if energies is not None and len(energies) != index + 1:
            raise FormatError(
                f'{options.energies} has {len(energies)} energies for {index + 1} snapshots; give one each'
            )

    def statements(self, source: Path, options: LammpsDumpReadOptions) -> Mapping[str, Any]:
        """Return the checksum of the file of energies."""
        if options.energies is None:
            return {}
        content = (_dump_file(source).parent / options.energies).read_bytes()
        return {'energies_sha256': hashlib.sha256(content).hexdigest()}

    def losses(self, frames: FrameSet, options: LammpsDumpWriteOptions) -> dict[str, str]:
        """Return also cells that are none; a box has three vectors."""
        lost = super().losses(frames, options)
        if not np.linalg.det(frames.cells).all():
            lost['frames without a cell'] = 'a dump has a box for every snapshot; give these frames a cell'
        return lost

    def written(self, frames: FrameSet, options: LammpsDumpWriteOptions) -> dict[str, bytes]:
        """Return the dump, and the energies if there are any."""
        elements = [chemical_symbols.index(symbol) for symbol in frames.elements]
        text = ''.join(_snapshot_text(frame, index, elements) for index, frame in enumerate(frames))
        if frames.energies is None:
            return {DUMP_FILE: text.encode()}
        energies = '\n'.join(map(repr, frames.energies.tolist())) + '\n'
        return {DUMP_FILE: text.encode(), ENERGIES_FILE: energies.encode()}

    def read_back_options(self, frames: FrameSet, options: LammpsDumpWriteOptions) -> dict[str, Any]:
        """Return the labels and the file of energies."""
        return {
            'unit_style': 'metal',
            'labels': tuple(name for name in COLUMNS if getattr(frames, name) is not None),
            'energies': None if frames.energies is None else ENERGIES_FILE,
        }


@dataclass(frozen=True)
class _Snapshot:
    """A snapshot as it stands in the file."""

    step: int
    box_header: str
    box: Floats
    columns: Mapping[str, tuple[str, ...]]
    units: str | None


def _dump_file(source: Path) -> Path:
    """Return the dump: the source, or the one of a folder.

    :raises FormatError: if there is none or more than one.
    """
    if source.is_file():
        return source
    found = sorted(path for path in source.glob('*') if path.suffix in SUFFIXES)
    if len(found) != 1:
        raise FormatError(f"'{source.name}' holds {len(found)} dumps ({', '.join(SUFFIXES)}); name one file")
    return found[0]


def _energies(path: Path) -> Floats:
    """Return the energies of a file.

    :raises FormatError: if it is not there or holds no numbers.
    """
    try:
        return np.array([float(line) for line in path.read_text(encoding='utf-8').split()])
    except (OSError, ValueError) as error:
        raise FormatError(f'{path.name} is no file of energies ({error}); give one number a snapshot') from error


def _snapshots(path: Path) -> Iterator[_Snapshot | BadFrame]:
    """Yield the snapshots; a broken one ends where the next begins."""
    items: dict[str, list[str]] = {}
    name, index = '', 0
    with path.open(encoding='utf-8', errors='replace') as handle:
        for line in handle:
            if not line.startswith(ITEM):
                if not name:
                    raise FormatError(f"{path.name} begins with '{line.strip()[:40]}'; give a dump of LAMMPS")
                items[name].append(line)
                continue
            name = line.removeprefix(ITEM).strip()
            if name == 'TIMESTEP' and 'TIMESTEP' in items:
                yield _snapshot(items, f'{path.name}: frame {index}')
                items, index = {}, index + 1
            items[name] = []
    if items:
        yield _snapshot(items, f'{path.name}: frame {index}')


def _snapshot(items: Mapping[str, list[str]], where: str) -> _Snapshot | BadFrame:
    """Return a snapshot of its items, or what is wrong with it."""
    header = {name.split()[0]: name for name in items}
    try:
        n_atoms = int(items['NUMBER OF ATOMS'][0])
        box = np.array([[float(word) for word in line.split()] for line in items[header['BOX']]])
        names = header['ATOMS'].split()[1:]
        rows = [line.split() for line in items[header['ATOMS']]]
        step = int(items['TIMESTEP'][0])
    except (KeyError, IndexError, ValueError) as error:
        return BadFrame(f'{where} is truncated or lacks an item ({error}); remove it or copy the dump again')
    n_whole = sum(len(row) == len(names) for row in rows)
    if n_whole != n_atoms or len(rows) != n_atoms or box.ndim != 2 or len(box) != 3:
        return BadFrame(
            f'{where} is truncated: {n_whole} of {n_atoms} atoms are there; remove it or copy the dump again'
        )
    units = items['UNITS'][0].strip() if items.get('UNITS') else None
    return _Snapshot(step, header['BOX'], box, dict(zip(names, zip(*rows))), units)


def _with_energy(frame: Frame, energies: Floats, index: int, options: LammpsDumpReadOptions) -> Frame | BadFrame:
    """Return a frame with its energy, or that there is none."""
    if index >= len(energies):
        return BadFrame(f'{options.energies} has no energy for frame {index}; give one a snapshot')
    return replace(frame, energy=float(energies[index]) * units_of_style(options.unit_style).energy)


def _frame(snapshot: _Snapshot, options: LammpsDumpReadOptions, where: str) -> Frame:
    """Return the frame of a snapshot in house units, without energy.

    :raises FormatError: if a column is missing or holds no numbers.
    """
    factors = units_of_style(options.unit_style)
    if snapshot.units not in (None, options.unit_style):
        raise FormatError(
            f"{where} is in units {snapshot.units}, stated is '{options.unit_style}'; state {snapshot.units}"
        )
    order = np.argsort(_values(snapshot, ('id',), where)[:, 0]) if 'id' in snapshot.columns else slice(None)
    cell, origin, pbc = _box(snapshot, where)
    names = next((names for names in POSITIONS if names[0] in snapshot.columns), None)
    if names is None:
        raise FormatError(f'{where} has no coordinates, its columns are {", ".join(snapshot.columns)}; dump x y z')
    positions = _values(snapshot, names, where)
    if names[0] in SCALED:
        positions = origin + positions @ cell
    labels = {label: _values(snapshot, COLUMNS[label], where)[order] for label in options.labels}
    return Frame(
        numbers=_numbers(snapshot, options, where)[order],
        positions=positions[order] * factors.length,
        cell=cell * factors.length,
        pbc=pbc,
        forces=labels['forces'] * factors.force if 'forces' in labels else None,
        charges=labels['charges'][:, 0] if 'charges' in labels else None,
        velocities=labels['velocities'] * factors.velocity if 'velocities' in labels else None,
        columns={} if options.step is None else {options.step: snapshot.step},
    )


def _values(snapshot: _Snapshot, names: tuple[str, ...], where: str) -> Floats:
    """Return columns as numbers, shape ``(n_atoms, n_columns)``.

    :raises FormatError: if one is missing or holds no numbers.
    """
    if missing := [name for name in names if name not in snapshot.columns]:
        raise FormatError(f'{where} has no column {missing[0]}, there are {", ".join(snapshot.columns)}')
    try:
        return np.array([[float(word) for word in snapshot.columns[name]] for name in names]).T
    except ValueError as error:
        raise FormatError(f'{where} holds what is no number ({error}); mend the dump') from error


def _numbers(snapshot: _Snapshot, options: LammpsDumpReadOptions, where: str) -> NDArray[np.uint8]:
    """Return the atomic numbers.

    :raises FormatError: if nothing says what the types are.
    """
    if options.type_map is not None:
        return numbers_of_types(_values(snapshot, ('type',), where)[:, 0].astype(np.int64), options.type_map, where)
    if 'element' not in snapshot.columns:
        raise FormatError(f'{where} has no column element, so types have no names; give type_map, one symbol per type')
    return numbers_of_symbols(snapshot.columns['element'], where)


def _box(snapshot: _Snapshot, where: str) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return cell vectors as rows, origin and periodicity.

    :raises FormatError: if the box is of no known kind.
    """
    words = snapshot.box_header.removeprefix('BOX BOUNDS').split()
    is_general, is_tilted = words[:2] == ['abc', 'origin'], words[:3] == ['xy', 'xz', 'yz']
    boundaries = words[2:] if is_general else words[3:] if is_tilted else words
    expected = 4 if is_general else 3 if is_tilted else 2
    if snapshot.box.shape[1] != expected or len(boundaries) != 3:
        raise FormatError(
            f"{where} has a box '{snapshot.box_header}' of {snapshot.box.shape[1]} numbers a line; mend it"
        )
    pbc = np.array([boundary[0] == 'p' for boundary in boundaries])
    if is_general:
        return snapshot.box[:, :3], snapshot.box[:, 3], pbc
    low, high = snapshot.box[:, 0].copy(), snapshot.box[:, 1].copy()
    cell = np.zeros((3, 3))
    if is_tilted:
        xy, xz, yz = snapshot.box[:, 2]
        low -= np.array([min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0])
        high -= np.array([max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0])
        cell[1, 0], cell[2, 0], cell[2, 1] = xy, xz, yz
    np.fill_diagonal(cell, high - low)
    return cell, low, pbc


def _snapshot_text(frame: Frame, index: int, elements: list[int]) -> str:
    """Return a snapshot in units metal."""
    boundaries = ' '.join('pp' if periodic else 'ff' for periodic in frame.pbc)
    lengths = np.diag(frame.cell)
    if np.array_equal(frame.cell, np.diag(lengths)) and np.all(lengths > 0):
        box = [f'{ITEM}BOX BOUNDS {boundaries}', *(f'0.0 {length!r}' for length in lengths.tolist())]
    else:
        box = [f'{ITEM}BOX BOUNDS abc origin {boundaries}']
        box += [' '.join(map(repr, row)) + ' 0.0' for row in frame.cell.tolist()]
    blocks = {'x y z': frame.positions}
    if frame.velocities is not None:
        blocks['vx vy vz'] = frame.velocities / units_of_style('metal').velocity
    if frame.forces is not None:
        blocks['fx fy fz'] = frame.forces
    if frame.charges is not None:
        blocks['q'] = frame.charges[:, None]
    table = np.concatenate(list(blocks.values()), axis=1).tolist()
    rows = [
        f'{atom} {elements.index(number) + 1} {chemical_symbols[number]} ' + ' '.join(map(repr, row))
        for atom, (number, row) in enumerate(zip(frame.numbers.tolist(), table), start=1)
    ]
    lines = [f'{ITEM}UNITS', 'metal', f'{ITEM}TIMESTEP', str(index), f'{ITEM}NUMBER OF ATOMS', str(len(rows)), *box]
    lines += [f'{ITEM}ATOMS id type element {" ".join(blocks)}', *rows]
    return '\n'.join(lines) + '\n'
