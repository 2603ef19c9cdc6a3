"""Extended XYZ files: what each key means is said by the caller, never guessed.

The file is parsed here and not by ``ase.io.read``, which moves energies, forces, stress and charges into a calculator,
renames keys on the way, stops at a stress of six values and cannot tell which frame is truncated.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from aiida_edl.science.charge_state import ions_per_frame
from aiida_edl.science.formats.file_units import FileUnits, FormatError
from aiida_edl.science.formats.label_checks import LabelLimits, check_distances, check_labels
from aiida_edl.science.frames import Frame, FrameSet

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""Order of six stress components in ASE: xx yy zz yz xz xy."""
PAIR = re.compile(
    r"""(?P<key>[^\s=]+)\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|\[(?P<list>[^\]]*)\]|\{(?P<set>[^}]*)\}|(?P<bare>\S+))"""
)
"""One ``key=value`` of the comment line; the value may stand in quotes or brackets."""


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


@dataclass(frozen=True)
class _RawFrame:
    """One frame as it stands in the file."""

    info: Mapping[str, Any]
    properties: Mapping[str, NDArray[Any]]


def read_extended_xyz(
    path: str | Path,
    keys: KeyMapping | None = None,
    *,
    units: FileUnits | None = None,
    limits: LabelLimits | None = None,
    group: str | None = None,
) -> FrameSet:
    """Read all frames of an extended XYZ file.

    The column ``charge_state`` is the number of ions of the composition, unless ``keys.columns`` maps a key to it.

    :param path: the file.
    :param keys: which keys hold which quantity; ``energy`` and ``forces`` if None.
    :param units: units of the file; the house units if None.
    :param limits: bounds on the labels; defaults if None.
    :param group: name of the trajectory all frames are of, stored as column ``group``.
    :raises FormatError: if the file is empty, truncated, lacks a key, or holds labels that cannot be right.
    """
    source, mapping, factors = Path(path).name, keys or KeyMapping(), units or FileUnits()
    if group is not None and 'group' in mapping.columns.values():
        raise FormatError(f"{source}: group '{group}' is given and keys.columns maps a key to it too; give one of both")
    frames, has_cell, periodicities = [], [], set()
    for index, raw in enumerate(_raw_frames(Path(path))):
        frame = _frame(raw, mapping, factors, f'{source}: frame {index}')
        frames.append(frame)
        has_cell.append('Lattice' in raw.info)
        periodicities.add(tuple(frame.pbc.tolist()))
    if not frames:
        raise FormatError(f'{source}: the file holds no frame; give a file with at least one')
    if len(set(has_cell)) > 1:
        raise FormatError(
            f'{source}: {has_cell.count(False)} of {len(frames)} frames have no Lattice; add it or split the file'
        )
    if len(periodicities) > 1:
        raise FormatError(f'{source}: frames have different pbc {sorted(periodicities)}; split the file')
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
    """
    mapping = keys or KeyMapping()
    names = {column: key for key, column in mapping.columns.items()}
    lines: list[str] = []
    for frame in frames:
        blocks = [('pos', 3, frame.positions)]
        if mapping.forces is not None and frame.forces is not None:
            blocks.append((mapping.forces, 3, frame.forces))
        if mapping.charges is not None and frame.charges is not None:
            blocks.append((mapping.charges, 1, frame.charges[:, None]))
        info: dict[str, Any] = {names.get(name, name): value for name, value in frame.columns.items()}
        if mapping.energy is not None and frame.energy is not None:
            info[mapping.energy] = frame.energy
        if mapping.stress is not None and frame.stress is not None:
            info[mapping.stress] = frame.stress
        properties = ':'.join(['species:S:1'] + [f'{name}:R:{width}' for name, width, _ in blocks])
        lattice = {'Lattice': frame.cell} if frame.cell.any() else {}
        pairs = {**lattice, 'Properties': properties, **info, 'pbc': ' '.join('T' if p else 'F' for p in frame.pbc)}
        lines += [str(len(frame.numbers)), ' '.join(f'{key}={_text(value)}' for key, value in pairs.items())]
        table = np.concatenate([block for _, _, block in blocks], axis=1).tolist()
        lines += [
            ' '.join([chemical_symbols[number], *map(repr, row)]) for number, row in zip(frame.numbers.tolist(), table)
        ]
    return ('\n'.join(lines) + '\n').encode()


def _text(value: Any) -> str:
    """Return a value of the comment line, quoted where needed."""
    if isinstance(value, np.ndarray):
        return '"' + ' '.join(map(repr, value.ravel().tolist())) + '"'
    text = repr(float(value)) if isinstance(value, float | np.floating) else str(value)
    return f'"{text}"' if not text or any(character in text for character in ' ="\'{}[],') else text


def _raw_frames(path: Path) -> Iterator[_RawFrame]:
    """Yield the frames as they stand in the file."""
    index, line_number = 0, 0
    with path.open(encoding='utf-8') as handle:
        while header := handle.readline():
            line_number += 1
            if not header.strip():
                continue
            where = f'{path.name}: frame {index}'
            if not header.strip().isdigit() or int(header) < 1:
                raise FormatError(
                    f'{where} starts at line {line_number} with {header.strip()[:40]!r} where a number of atoms is '
                    'expected; the frame before it may be truncated'
                )
            n_atoms = int(header)
            comment = handle.readline()
            rows = [row.split() for _, row in zip(range(n_atoms), handle)]
            yield _parse_frame(where, n_atoms, comment, rows)
            line_number += 1 + n_atoms
            index += 1


def _parse_frame(where: str, n_atoms: int, comment: str, rows: Sequence[list[str]]) -> _RawFrame:
    """Return one frame with its properties as arrays."""
    info = _comment_values(comment)
    layout = str(info.get('Properties', 'species:S:1:pos:R:3')).split(':')
    widths = [int(width) for width in layout[2::3]]
    found = next((number for number, row in enumerate(rows) if len(row) != sum(widths)), len(rows))
    if found < n_atoms:
        raise FormatError(
            f'{where} is truncated: {found} of {n_atoms} atom lines have {sum(widths)} fields; remove the frame or '
            'copy the file again'
        )
    table = np.array(rows)
    properties, start = {}, 0
    for name, kind, width in zip(layout[::3], layout[1::3], widths):
        block = table[:, start : start + width]
        start += width
        numbers = _numbers_or_none(block.reshape(-1).tolist()) if kind in 'RI' else block
        if numbers is None:
            words = [word for word in block.reshape(-1).tolist() if _numbers_or_none([word]) is None]
            raise FormatError(f"{where} has {words[0]!r} in '{name}', which is no number; mend the file")
        properties[name] = numbers.reshape(block.shape).astype(np.float64 if kind == 'R' else numbers.dtype)
    return _RawFrame(info=info, properties=properties)


def _comment_values(comment: str) -> dict[str, Any]:
    """Return the values of the comment line: numbers, truth values, arrays of them, or strings."""
    values: dict[str, Any] = {}
    for match in PAIR.finditer(comment):
        text = next(group for name, group in match.groupdict().items() if name != 'key' and group is not None)
        words = re.split(r'[\s,]+', text.strip())
        if all(word in ('T', 'F', 'True', 'False') for word in words):
            array: NDArray[Any] = np.array([word[0] == 'T' for word in words])
        else:
            numbers = _numbers_or_none(words)
            if numbers is None:
                values[match['key']] = text
                continue
            array = numbers
        values[match['key']] = array if len(array) > 1 else array[0].item()
    return values


def _numbers_or_none(words: Sequence[str]) -> NDArray[Any] | None:
    """Return the words as integers, else as floats; None if one is no number."""
    for kind in (np.int64, np.float64):
        try:
            return np.array(words, dtype=kind)
        except (ValueError, OverflowError):
            continue
    return None


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


def _frame(raw: _RawFrame, keys: KeyMapping, factors: FileUnits, where: str) -> Frame:
    """Return one frame in house units."""
    cell, pbc = _cell(raw.info, factors, where)
    energy = _energy(raw.info, keys, where)
    forces = None if keys.forces is None else _lookup(raw.properties, keys.forces, where, 'forces')
    charges = None if keys.charges is None else _lookup(raw.properties, keys.charges, where, 'charges')
    stress = None if keys.stress is None else _lookup(raw.info, keys.stress, where, 'stress')
    return Frame(
        numbers=_numbers(raw.properties, where),
        positions=_lookup(raw.properties, 'pos', where, 'positions') * factors.length,
        cell=cell,
        pbc=pbc,
        energy=None if energy is None else energy * factors.energy,
        forces=None if forces is None else forces * factors.force,
        stress=None if stress is None else _stress(stress, where) * factors.stress,
        charges=None if charges is None else charges.reshape(-1),
        columns={column: _lookup(raw.info, key, where, f'column {column}') for key, column in keys.columns.items()},
    )


def _numbers(properties: Mapping[str, NDArray[Any]], where: str) -> NDArray[np.uint8]:
    """Return the atomic numbers."""
    if 'species' not in properties and 'Z' in properties:
        return properties['Z'].reshape(-1).astype(np.uint8)
    symbols = _lookup(properties, 'species', where, 'chemical symbols').reshape(-1)
    if unknown := sorted({symbol for symbol in symbols.tolist() if symbol not in atomic_numbers}):
        raise FormatError(f'{where} has unknown chemical symbols {unknown}; rename them to elements')
    return np.array([atomic_numbers[symbol] for symbol in symbols.tolist()], dtype=np.uint8)


def _cell(info: Mapping[str, Any], factors: FileUnits, where: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return cell vectors as rows [Å] and periodicity."""
    has_lattice = 'Lattice' in info
    pbc = np.broadcast_to(np.asarray(info.get('pbc', has_lattice), dtype=bool), (3,)).copy()
    if not has_lattice:
        if pbc.any() or 'pbc' not in info:
            raise FormatError(f'{where} has no Lattice; add it, or pbc="F F F" if nothing is periodic')
        return np.zeros((3, 3)), pbc
    lattice = np.asarray(info['Lattice'])
    if lattice.shape != (9,) or not np.issubdtype(lattice.dtype, np.number):
        raise FormatError(f'{where} has {lattice.size} values as Lattice; give nine numbers')
    cell = lattice.reshape(3, 3).astype(np.float64) * factors.length
    if np.linalg.matrix_rank(cell[pbc]) < int(pbc.sum()):
        raise FormatError(f'{where} has a cell without volume, {cell.tolist()}; give independent cell vectors')
    return cell, pbc


def _energy(info: Mapping[str, Any], keys: KeyMapping, where: str) -> float | None:
    """Return the energy of the chosen key, in the unit of the file."""
    if keys.energy is None:
        return None
    value = _lookup(info, keys.energy, where, 'energy')
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormatError(f"{where} has {value!r} as '{keys.energy}', which is no number; name another key")
    energy, free_energy = float(value), float(info.get('free_energy', value))
    is_ambiguous = keys.energy == 'energy' and not keys.accept_other_free_energy
    if is_ambiguous and abs(energy - free_energy) > 1e-6:
        raise FormatError(
            f'{where} has energy {energy} and free_energy {free_energy}, and forces are the gradient of the '
            'free energy where electrons are smeared; name free_energy as the key of the energy, or accept the '
            'other one'
        )
    return energy


def _stress(value: Any, where: str) -> NDArray[np.float64]:
    """Return the stress as a matrix, in the unit of the file."""
    given = np.asarray(value)
    if given.size not in (6, 9) or not np.issubdtype(given.dtype, np.number):
        raise FormatError(f'{where} has a stress of {given.size} values; give 6 in the order xx yy zz yz xz xy, or 9')
    if given.size == 9:
        return given.reshape(3, 3).astype(np.float64)
    matrix = np.zeros((3, 3))
    for (row, column), component in zip(VOIGT, given):
        matrix[row, column] = matrix[column, row] = component
    return matrix
