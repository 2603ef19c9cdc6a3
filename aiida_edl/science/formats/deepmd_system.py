"""A system of DeePMD-kit, read: one order of atoms, or in the mixed layout one number of them.

The format has no units in it; DeePMD-kit means Å, eV and eV/Å. Its virial is minus the stress times the volume [eV].
Arrays lie in ``set.*/NAME.npy``, or as text in ``NAME.raw``, one line a frame. In the mixed layout
``real_atom_types.npy`` has the types of each frame; -1 marks an atom that is none.
Source: DeePMD-kit manual, sections "Formats of a system" and "Mixed type".
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from aiida_edl.science.charge_state import ions_per_frame
from aiida_edl.science.formats.file_units import FileUnits, FormatError
from aiida_edl.science.frames import Floats, Frame, FrameSet

SYSTEM_FILE = 'type.raw'
"""File that makes a folder a system of DeePMD-kit."""
MIXED_TYPES = 'real_atom_types'
"""Array that makes a system one of the mixed layout."""
VALUES_PER_ATOM = {'coord': 3, 'force': 3, MIXED_TYPES: 1}
"""Values per atom and frame of the arrays that have some."""
VALUES_PER_FRAME = {'box': 9, 'energy': 1, 'virial': 9}
"""Values per frame of the others that DeePMD-kit knows."""
LABELS = {'energies': 'energy', 'forces': 'force', 'stresses': 'virial'}
"""Array of each label."""


@dataclass(frozen=True)
class DeepmdReadOptions:
    """What may be stated to read systems of DeePMD-kit."""

    type_map: tuple[str, ...] | None = None
    """Chemical symbols of the types; must be given if a folder has no ``type_map.raw``."""
    labels: tuple[str, ...] | None = None
    """Which of energies, forces and stresses are read; if None the first two, and stresses where every set has a
    virial."""
    columns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Further arrays with one value per frame: name of the array -> name of the column, e.g. ``{'fparam': 'time'}``."""
    order: str | None = None
    """Array with the position of each frame in the whole; the order of systems and sets if None."""
    group_by_system: bool = True
    """Whether each system is a trajectory of its own, named for its folder, in the column ``group``."""

    def __post_init__(self) -> None:
        """Check the labels.

        :raises FormatError: for one that DeePMD-kit does not have.
        """
        if unknown := [name for name in self.labels or () if name not in LABELS]:
            raise FormatError(f'systems of DeePMD-kit have no {unknown[0]}; labels are {", ".join(LABELS)}')


def systems_of(source: Path) -> list[Path]:
    """Return the systems of a folder: itself, or those one folder below, sorted by name.

    :param source: the folder.
    :raises FormatError: if there is none.
    """
    if (source / SYSTEM_FILE).is_file():
        return [source]
    folders = sorted(path.parent for path in source.glob(f'*/{SYSTEM_FILE}'))
    if not folders:
        raise FormatError(f"'{source.name}' has no {SYSTEM_FILE}, neither itself nor one folder below")
    return folders


def frames_of_systems(source: Path, options: DeepmdReadOptions, units: FileUnits, is_text: bool) -> Iterator[Frame]:
    """Yield the frames of all systems of a folder.

    :param source: a system, or a folder of systems.
    :param options: what was stated.
    :param units: units of the files.
    :param is_text: whether arrays are read from text.
    :raises FormatError: see :func:`read_system`.
    """
    frames: list[Frame] = []
    positions: list[int] = []
    for folder in systems_of(source):
        system, order = read_system(folder, options, units, is_text)
        if options.group_by_system and 'group' not in system.columns:
            system = system.with_columns(group=folder.name)
        if order is None:
            yield from system
        else:
            frames += system
            positions += order.tolist()
    if sorted(positions) != list(range(len(positions))):
        raise FormatError(f"{source.name}: '{options.order}' does not number the frames; leave the option order out")
    yield from (frames[index] for index in np.argsort(positions))


def read_system(
    root: Path, options: DeepmdReadOptions, units: FileUnits, is_text: bool = False
) -> tuple[FrameSet, NDArray[np.int64] | None]:
    """Return the frames of one system with the column ``charge_state``, and their positions in the whole if stated.

    :param root: folder with ``type.raw``.
    :param options: what was stated.
    :param units: units of the files.
    :param is_text: whether arrays are read from text.
    :raises FormatError: if a file is missing, truncated or of a wrong shape, or types have no symbol.
    """
    types = _types(root)
    parts = [root] if is_text else sorted(path for path in root.glob('set.*') if path.is_dir())
    suffix = 'raw' if is_text else 'npy'
    if not parts:
        raise FormatError(
            f"{root.name}: there is no folder 'set.*' in it; give the folder that holds type.raw and sets"
        )

    def has_all(name: str) -> bool:
        return all((path / f'{name}.{suffix}').exists() for path in parts)

    is_periodic = not (root / 'nopbc').exists()
    wanted = [LABELS[label] for label in options.labels or ('energies', 'forces')] if options.labels != () else []
    if options.labels is None and has_all('virial'):
        wanted.append('virial')
    names = ['coord', *(['box'] if is_periodic or has_all('box') else []), *wanted]
    names += [MIXED_TYPES] if has_all(MIXED_TYPES) else []
    names += [*options.columns, *([options.order] if options.order else [])]
    loaded = []
    for path in parts:
        part = {name: _load(path / f'{name}.{suffix}', root, len(types)) for name in dict.fromkeys(names)}
        lengths = {name: len(array) for name, array in part.items()}
        if len(set(lengths.values())) > 1:
            where = root.name if is_text else f'{root.name}/{path.name}'
            raise FormatError(f'{where}: arrays differ in frames, {lengths}; copy the set again')
        loaded.append(part)
    arrays = {name: np.concatenate([part[name] for part in loaded]) for name in loaded[0]}
    numbers = _numbers(root, types, arrays.get(MIXED_TYPES), options.type_map)
    frames = _frame_set(numbers, arrays, units, is_periodic)
    order = arrays[options.order].astype(np.int64).reshape(-1) if options.order else None
    extra = {column: arrays[name].reshape(len(frames)) for name, column in options.columns.items()}
    return frames.with_columns(**extra), order


def _types(root: Path) -> NDArray[np.int64]:
    """Return the types of the system."""
    if not (root / SYSTEM_FILE).exists():
        raise FormatError(f"{root.name}: there is no 'type.raw' in it; give the folder that holds type.raw and sets")
    types = np.array((root / SYSTEM_FILE).read_text(encoding='utf-8').split(), dtype=np.int64)
    if not types.size:
        raise FormatError(f'{root.name}: type.raw names no atom; give one type per atom')
    return types


def _numbers(
    root: Path, types: NDArray[np.int64], mixed: NDArray[Any] | None, type_map: Sequence[str] | None
) -> NDArray[np.uint8]:
    """Return the atomic numbers, shape ``(n_atoms,)``, or for mixed types ``(n_frames, n_atoms)`` with 0 for none."""
    used = types if mixed is None else mixed.astype(np.int64)
    path = root / 'type_map.raw'
    stored = path.read_text(encoding='utf-8').split() if path.exists() else None
    if stored is not None and type_map is not None and list(type_map) != stored:
        raise FormatError(f'{root.name}: type_map.raw says {stored}, given is {list(type_map)}; leave type_map out')
    symbols = stored if stored is not None else list(type_map or [])
    if not symbols:
        counts = np.bincount(used[used >= 0]).tolist()
        raise FormatError(
            f'{root.name}: there is no type_map.raw, and types 0 to {used.max()} with {counts} atoms have no names; '
            'give type_map, one chemical symbol per type'
        )
    if used.max() >= len(symbols) or used.min() < (0 if mixed is None else -1):
        raise FormatError(
            f'{root.name}: type {used.max()} occurs, the type map {symbols} has {len(symbols)} names; name every type'
        )
    if unknown := [symbol for symbol in symbols if symbol not in atomic_numbers]:
        raise FormatError(f'{root.name}: type map has unknown chemical symbols {unknown}; give elements')
    table = np.array([*(atomic_numbers[symbol] for symbol in symbols), 0], dtype=np.uint8)
    numbers: NDArray[np.uint8] = table[used]
    return numbers


def _load(path: Path, root: Path, n_atoms: int) -> NDArray[Any]:
    """Return an array with one row per frame; numbers that DeePMD-kit knows in double precision."""
    where = path.relative_to(root.parent).as_posix()
    if not path.exists():
        present = sorted(other.name for other in path.parent.glob(f'*{path.suffix}'))
        near = difflib.get_close_matches(path.name, present, n=1, cutoff=0.8) or present
        remedy = ', add it or an empty file nopbc beside type.raw' if path.stem == 'box' else ''
        raise FormatError(f'{where} is missing; nearest are {", ".join(near) or "none"}{remedy}')
    try:
        array = np.load(path, allow_pickle=False) if path.suffix == '.npy' else np.loadtxt(path, ndmin=2)
    except (ValueError, EOFError, OSError) as error:
        kind = '.npy file' if path.suffix == '.npy' else 'table of numbers'
        raise FormatError(f'{where} is truncated or no {kind} ({error}); copy it again') from error
    if array.ndim == 0 or not len(array):
        raise FormatError(f'{where} holds no frame; give at least one')
    is_known = path.stem in VALUES_PER_FRAME or path.stem in VALUES_PER_ATOM
    width = VALUES_PER_ATOM[path.stem] * n_atoms if path.stem in VALUES_PER_ATOM else VALUES_PER_FRAME.get(path.stem, 1)
    if array.size != len(array) * width:
        remedy = 'check that type.raw belongs to it' if is_known else 'a column is one value per frame'
        raise FormatError(
            f'{where} has shape {array.shape}, expected {width} values per frame for {n_atoms} atoms; {remedy}'
        )
    return np.asarray(array, dtype=np.float64 if is_known else None).reshape(len(array), width)


def _frame_set(
    numbers: NDArray[np.uint8], arrays: Mapping[str, NDArray[Any]], factors: FileUnits, is_periodic: bool
) -> FrameSet:
    """Return the frames in house units."""
    n_frames = len(arrays['coord'])
    all_numbers = np.broadcast_to(numbers, (n_frames, numbers.shape[-1]))
    is_atom = all_numbers > 0
    offsets = np.concatenate([[0], np.cumsum(is_atom.sum(axis=1))]).astype(np.int64)
    cells = arrays['box'].reshape(-1, 3, 3) * factors.length if 'box' in arrays else np.zeros((n_frames, 3, 3))
    volumes = np.abs(np.linalg.det(cells))
    if is_periodic and not volumes.all():
        raise FormatError(f'the cell of frame {int(np.argmin(volumes))} has no volume; give independent cell vectors')
    stresses = None
    if 'virial' in arrays:
        if not volumes.all():
            raise FormatError('there are virials but no cell, so no stress; remove virial.npy or add box.npy')
        stresses = -arrays['virial'].reshape(-1, 3, 3) / volumes[:, None, None] * factors.stress

    def per_atom(name: str) -> Floats:
        return np.asarray(arrays[name].reshape(n_frames, -1, 3)[is_atom])

    flat: NDArray[np.uint8] = all_numbers[is_atom]
    return FrameSet(
        numbers=flat,
        positions=per_atom('coord') * factors.length,
        offsets=offsets,
        cells=cells,
        pbc=np.full((n_frames, 3), is_periodic),
        energies=arrays['energy'].reshape(-1) * factors.energy if 'energy' in arrays else None,
        forces=per_atom('force') * factors.force if 'force' in arrays else None,
        stresses=stresses,
        columns={'charge_state': ions_per_frame(flat, offsets)},
    )
