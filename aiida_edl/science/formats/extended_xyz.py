"""Extended XYZ files: what each key means is said by the caller, never guessed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from aiida_edl.science.charge_state import ions_per_frame
from aiida_edl.science.formats.base import DatasetFormat
from aiida_edl.science.formats.extended_xyz_text import (
    COMPRESSED,
    RawFrame,
    check_key,
    raw_frames,
    text_of,
    value_of,
)
from aiida_edl.science.formats.file_units import FileUnits, FormatError
from aiida_edl.science.formats.frame_collection import BadFrame
from aiida_edl.science.formats.label_checks import LabelLimits, check_distances, check_labels
from aiida_edl.science.formats.voigt import matrix_of
from aiida_edl.science.frames import OPTIONAL, Frame, FrameSet

SUFFIXES = ('.xyz', '.extxyz')
OWN_KEYS = ('Lattice', 'Properties', 'pbc')
"""Keys that belong to the format."""


@dataclass(frozen=True)
class KeyMapping:
    """Which keys of the file hold which quantity; None means that the quantity is not read."""

    energy: str | None = 'energy'
    """Key of the energy whose negative gradient the forces are; with electronic smearing this is the free energy."""
    forces: str | None = 'forces'
    """Property with the forces."""
    stress: str | None = None
    """Key of the stress, 6 values in ASE's order or 9."""
    charges: str | None = None
    """Property with atomic charges; ``initial_charges`` is rarely that."""
    columns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Further scalars of the comment line: key in the file -> name of the column, e.g. ``{'head': 'group'}``."""
    accept_other_free_energy: bool = False
    """Whether ``energy`` is meant although the file also holds a ``free_energy`` that differs."""
    velocities: str | None = None
    """Property with the velocities."""
    text: tuple[str, ...] = ()
    """Keys of ``columns`` whose values are text even if they look like numbers."""


@dataclass(frozen=True)
class WrittenKeys(KeyMapping):
    """Under which keys quantities are written; columns that ``columns`` does not map keep their name."""

    stress: str | None = 'stress'
    """Key of the stress, nine values."""
    charges: str | None = 'charges'
    """Property with the atomic charges."""
    velocities: str | None = 'velocities'
    """Property with the velocities."""


class ExtendedXyz(DatasetFormat):
    """Text with one line an atom and ``key=value`` in a comment line; any keys."""

    name: ClassVar[str] = 'extended_xyz'
    title: ClassVar[str] = 'Extended XYZ: text read by ASE, MACE, metatrain, SevenNet, NequIP and GRACE'
    read_options_class: ClassVar[type] = KeyMapping
    write_options_class: ClassVar[type | None] = WrittenKeys
    held_labels: ClassVar[tuple[str, ...]] = OPTIONAL
    holds_columns: ClassVar[bool] = True
    precision: ClassVar[str] = 'double, digit for digit'
    unit_convention: ClassVar[str] = 'none in the file: Å, eV, eV/Å unless stated; written in these'

    def recognises(self, source: Path) -> bool:
        """Return whether it is a file with one of the usual suffixes, compressed or not."""
        return source.is_file() and _is_named_so(source)

    def frames(self, source: Path, options: KeyMapping, units: FileUnits) -> Iterator[Frame | BadFrame]:
        """Yield the frames; those of a folder file by file, each a trajectory of its own named for its file."""
        if source.is_file():
            yield from _frames(source, options, units)
            return
        paths = sorted(path for path in source.glob('*') if path.is_file() and _is_named_so(path))
        if not paths:
            raise FormatError(f"'{source.name}' holds no file of extended XYZ; name a file or a folder of such files")
        for path in paths:
            group = {} if 'group' in options.columns.values() else {'group': path.name}
            for item in _frames(path, options, units):
                yield item if isinstance(item, BadFrame) else replace(item, columns={**item.columns, **group})

    def losses(self, frames: FrameSet, options: WrittenKeys) -> dict[str, str]:
        """Return the labels that have no key."""
        keys = _keys_of_labels(options)
        return {
            name: f'no key is given for {name}'
            for name in OPTIONAL
            if keys[name] is None and getattr(frames, name) is not None
        }

    def written(self, frames: FrameSet, options: WrittenKeys) -> dict[str, bytes]:
        """Return one file."""
        return {'frames.xyz': write_extended_xyz(frames, options)}

    def read_back_options(self, frames: FrameSet, options: WrittenKeys) -> dict[str, Any]:
        """Return the keys of what was written."""
        keys = _keys_of_labels(options)
        present = {name: key for name, key in keys.items() if getattr(frames, name) is not None}
        names = {column: key for key, column in options.columns.items()}
        columns = {names.get(column, column): column for column in frames.columns}
        return {
            'energy': present.get('energies'),
            'forces': present.get('forces'),
            'stress': present.get('stresses'),
            'charges': present.get('charges'),
            'velocities': present.get('velocities'),
            'columns': columns,
            'text': tuple(key for key, column in columns.items() if frames.columns[column].dtype.kind == 'U'),
            'accept_other_free_energy': 'free_energy' in columns,
        }


def _is_named_so(path: Path) -> bool:
    """Return whether a file has one of the usual suffixes."""
    return path.name.lower().removesuffix(COMPRESSED).endswith(SUFFIXES)


def _keys_of_labels(keys: KeyMapping) -> dict[str, str | None]:
    """Return the key of each optional label."""
    return dict(zip(OPTIONAL, (keys.energy, keys.forces, keys.stress, keys.charges, keys.velocities), strict=True))


def read_extended_xyz(
    path: str | Path,
    keys: KeyMapping | None = None,
    *,
    units: FileUnits | None = None,
    limits: LabelLimits | None = None,
    group: str | None = None,
) -> FrameSet:
    """Read all frames of an extended XYZ file, of which none may be bad.

    The column ``charge_state`` is the number of ions of the composition, unless ``keys.columns`` maps a key to it.

    :param path: the file.
    :param keys: which keys hold which quantity; ``energy`` and ``forces`` if None.
    :param units: units of the file; the house units if None.
    :param limits: bounds on the labels; defaults if None.
    :param group: name of the trajectory all frames are of, stored as column ``group``.
    :raises FormatError: if the file is empty, truncated, lacks a key, or holds labels that cannot be right.
    """
    source, mapping = Path(path).name, keys or KeyMapping()
    if group is not None and 'group' in mapping.columns.values():
        raise FormatError(f"{source}: group '{group}' is given and keys.columns maps a key to it too; give one of both")
    frames = []
    for item in _frames(Path(path), mapping, units or FileUnits()):
        if isinstance(item, BadFrame):
            raise FormatError(item.reason)
        frames.append(item)
    if not frames:
        raise FormatError(f'{source}: the file holds no frame; give a file with at least one')
    result = FrameSet.from_frames(frames)
    if group is not None:
        result = result.with_columns(group=group)
    if 'charge_state' not in result.columns:
        result = result.with_columns(charge_state=ions_per_frame(result.numbers, result.offsets))
    checked = limits or LabelLimits()
    check_labels(result, source, checked)
    check_distances(result, source, checked)
    return result


def write_extended_xyz(frames: FrameSet, keys: KeyMapping | None = None) -> bytes:
    """Return the frames as an extended XYZ file, in house units, with digits enough to read back the same numbers.

    :param frames: the frames.
    :param keys: names under which labels and columns are written; a label whose key is None is left out, columns
        that ``keys.columns`` does not map keep their name.
    :raises FormatError: if two things have one name, or a name or text cannot stand in such a file.
    """
    mapping = keys or KeyMapping()
    names = {column: key for key, column in mapping.columns.items()}
    _check_keys(frames, mapping, names)
    lines: list[str] = []
    for frame in frames:
        blocks = [('pos', 3, frame.positions)]
        if mapping.forces is not None and frame.forces is not None:
            blocks.append((mapping.forces, 3, frame.forces))
        if mapping.charges is not None and frame.charges is not None:
            blocks.append((mapping.charges, 1, frame.charges[:, None]))
        if mapping.velocities is not None and frame.velocities is not None:
            blocks.append((mapping.velocities, 3, frame.velocities))
        info: dict[str, Any] = {names.get(name, name): value for name, value in frame.columns.items()}
        if mapping.energy is not None and frame.energy is not None:
            info[mapping.energy] = frame.energy
        if mapping.stress is not None and frame.stress is not None:
            info[mapping.stress] = frame.stress
        properties = ':'.join(['species:S:1'] + [f'{name}:R:{width}' for name, width, _ in blocks])
        lattice = {'Lattice': frame.cell} if frame.cell.any() else {}
        pairs = {**lattice, 'Properties': properties, **info, 'pbc': ' '.join('T' if p else 'F' for p in frame.pbc)}
        lines += [str(len(frame.numbers)), ' '.join(f'{key}={text_of(value)}' for key, value in pairs.items())]
        table = np.concatenate([block for _, _, block in blocks], axis=1).tolist()
        lines += [
            ' '.join([chemical_symbols[number], *map(repr, row)]) for number, row in zip(frame.numbers.tolist(), table)
        ]
    return ('\n'.join(lines) + '\n').encode()


def _check_keys(frames: FrameSet, keys: KeyMapping, names: Mapping[str, str]) -> None:
    """Check that everything that is written has a name of its own.

    :raises FormatError: with the first name that has not.
    """
    labels = [key for label, key in _keys_of_labels(keys).items() if key and getattr(frames, label) is not None]
    used: set[str] = set(OWN_KEYS)
    for key in [*labels, *(names.get(column, column) for column in frames.columns)]:
        check_key(key)
        if key in used:
            raise FormatError(f"two things are to be written as '{key}'; give each a key of its own")
        used.add(key)


def _frames(path: Path, keys: KeyMapping, factors: FileUnits) -> Iterator[Frame | BadFrame]:
    """Yield the frames of a file in house units."""
    for index, raw in enumerate(raw_frames(path)):
        if isinstance(raw, BadFrame):
            yield raw
            continue
        try:
            yield _frame(raw, keys, factors, f'{path.name}: frame {index}')
        except FormatError as error:
            yield BadFrame(str(error))


def _lookup(values: Mapping[str, Any], key: str, where: str, purpose: str) -> Any:
    """Return the value of a key.

    :raises FormatError: naming the nearest keys if there is none.
    """
    if key in values:
        return values[key]
    lowered = {name.lower(): name for name in values}
    near = [lowered[n] for n in difflib.get_close_matches(key.lower(), lowered, n=3, cutoff=0.6)]
    near += [name for name in values if key.lower() in name.lower() and name not in near]
    hint = f'nearest are {", ".join(near)}' if near else f'there are {", ".join(sorted(values))}'
    raise FormatError(f"{where} has no key '{key}' for {purpose}; {hint}: name the right one")


def _frame(raw: RawFrame, keys: KeyMapping, factors: FileUnits, where: str) -> Frame:
    """Return one frame in house units."""
    cell, pbc = _cell(raw.info, factors, where)
    energy = _energy(raw.info, keys, where)
    forces = None if keys.forces is None else _lookup(raw.properties, keys.forces, where, 'forces')
    charges = None if keys.charges is None else _lookup(raw.properties, keys.charges, where, 'charges')
    velocities = None if keys.velocities is None else _lookup(raw.properties, keys.velocities, where, 'velocities')
    stress = None if keys.stress is None else value_of(_lookup(raw.info, keys.stress, where, 'stress'))
    return Frame(
        numbers=_numbers(raw.properties, where),
        positions=_lookup(raw.properties, 'pos', where, 'positions') * factors.length,
        cell=cell,
        pbc=pbc,
        energy=None if energy is None else energy * factors.energy,
        forces=None if forces is None else forces * factors.force,
        stress=None if stress is None else matrix_of(stress, where) * factors.stress,
        charges=None if charges is None else charges.reshape(-1),
        velocities=None if velocities is None else velocities * factors.velocity,
        columns={column: _column(raw.info, key, keys, where) for key, column in keys.columns.items()},
    )


def _column(info: Mapping[str, str], key: str, keys: KeyMapping, where: str) -> Any:
    """Return a scalar of the comment line."""
    text = _lookup(info, key, where, f'column {keys.columns[key]}')
    value = text if key in keys.text else value_of(text)
    if isinstance(value, np.ndarray):
        raise FormatError(f"{where} has {value.size} values as '{key}'; a column is one value a frame")
    return value


def _numbers(properties: Mapping[str, NDArray[Any]], where: str) -> NDArray[np.uint8]:
    """Return the atomic numbers."""
    if 'species' not in properties and 'Z' in properties:
        return properties['Z'].reshape(-1).astype(np.uint8)
    symbols = _lookup(properties, 'species', where, 'chemical symbols').reshape(-1)
    if unknown := sorted({symbol for symbol in symbols.tolist() if symbol not in atomic_numbers}):
        raise FormatError(f'{where} has unknown chemical symbols {unknown}; rename them to elements')
    return np.array([atomic_numbers[symbol] for symbol in symbols.tolist()], dtype=np.uint8)


def _cell(info: Mapping[str, str], factors: FileUnits, where: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return cell vectors as rows [Å] and periodicity."""
    has_lattice = 'Lattice' in info
    stated = value_of(info['pbc']) if 'pbc' in info else has_lattice
    if np.asarray(stated).size not in (1, 3) or np.asarray(stated).dtype.kind not in 'bi':
        raise FormatError(f'{where} has pbc={info["pbc"]!r}; give three truth values, e.g. "T T F"')
    pbc = np.broadcast_to(np.asarray(stated, dtype=bool), (3,)).copy()
    if not has_lattice:
        if pbc.any() or 'pbc' not in info:
            raise FormatError(f'{where} has no Lattice; add it, or pbc="F F F" if nothing is periodic')
        return np.zeros((3, 3)), pbc
    lattice = np.asarray(value_of(info['Lattice']))
    if lattice.shape != (9,) or not np.issubdtype(lattice.dtype, np.number):
        raise FormatError(f'{where} has {lattice.size} values as Lattice; give nine numbers')
    cell = lattice.reshape(3, 3).astype(np.float64) * factors.length
    if np.linalg.matrix_rank(cell[pbc]) < int(pbc.sum()):
        raise FormatError(f'{where} has a cell without volume, {cell.tolist()}; give independent cell vectors')
    return cell, pbc


def _energy(info: Mapping[str, str], keys: KeyMapping, where: str) -> float | None:
    """Return the energy of the chosen key, in the unit of the file."""
    if keys.energy is None:
        return None
    value = value_of(_lookup(info, keys.energy, where, 'energy'))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormatError(f"{where} has {value!r} as '{keys.energy}', which is no number; name another key")
    other = value_of(info['free_energy']) if 'free_energy' in info else value
    energy, free_energy = float(value), float(other) if isinstance(other, int | float) else float(value)
    is_ambiguous = keys.energy == 'energy' and not keys.accept_other_free_energy
    if is_ambiguous and abs(energy - free_energy) > 1e-6:
        raise FormatError(
            f'{where} has energy {energy} and free_energy {free_energy}, and forces are the gradient of the '
            'free energy where electrons are smeared; name free_energy as the key of the energy, or accept the '
            'other one'
        )
    return energy
