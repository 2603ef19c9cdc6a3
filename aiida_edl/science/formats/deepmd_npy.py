"""Systems of DeePMD-kit: a folder with ``type.raw`` and ``set.*/{coord,box,energy,force,virial}.npy``.

The format has no units in it; DeePMD-kit means Å, eV and eV/Å. Its virial is minus the stress times the volume [eV].
Source: DeePMD-kit manual, section "Formats of a system".
"""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from aiida_edl.science.charge_state import ions_per_frame
from aiida_edl.science.formats.base import DatasetFormat
from aiida_edl.science.formats.file_units import FileUnits, FormatError
from aiida_edl.science.formats.frame_collection import BadFrame
from aiida_edl.science.formats.label_checks import LabelLimits, check_distances, check_labels
from aiida_edl.science.frames import Frame, FrameSet

SYSTEM_FILE = 'type.raw'
"""File that makes a folder a system of DeePMD-kit."""
VALUES_PER_ATOM = {'coord': 3, 'force': 3}
"""Values per atom and frame of the arrays that have some."""
VALUES_PER_FRAME = {'box': 9, 'energy': 1, 'virial': 9}
"""Values per frame of the others."""


@dataclass(frozen=True)
class DeepmdNpyReadOptions:
    """What may be stated to read systems of DeePMD-kit."""

    type_map: tuple[str, ...] | None = None
    """Chemical symbols of the types; must be given if a folder has no ``type_map.raw``."""
    labelled: bool = True
    """Whether energies and forces are read; virials are read where there are any."""


@dataclass(frozen=True)
class DeepmdNpyWriteOptions:
    """What may be stated to write systems of DeePMD-kit."""

    type_map: tuple[str, ...] | None = None
    """Chemical symbols by type; may name more than occur; those that occur, by atomic number, if None."""


class DeepmdNpy(DatasetFormat):
    """Folders of numpy arrays with one order of atoms each; a folder of such folders is read as one set."""

    name: ClassVar[str] = 'deepmd_npy'
    title: ClassVar[str] = 'DeePMD-kit: systems of numpy arrays'
    read_options_class: ClassVar[type] = DeepmdNpyReadOptions
    write_options_class: ClassVar[type | None] = DeepmdNpyWriteOptions
    held_labels: ClassVar[tuple[str, ...]] = ('energies', 'forces', 'stresses')
    holds_columns: ClassVar[bool] = False
    precision: ClassVar[str] = 'double'
    unit_convention: ClassVar[str] = 'Å, eV, eV/Å; the virial, minus stress times volume, in eV'

    def recognises(self, source: Path) -> bool:
        """Return whether it is a system, or a folder of systems."""
        return any((source / name).is_dir() for name in ('set.000',)) or any(source.glob(f'*/{SYSTEM_FILE}'))

    def frames(self, source: Path, options: DeepmdNpyReadOptions, units: FileUnits) -> Iterator[Frame | BadFrame]:
        """Yield the frames, system by system, each a trajectory of its own named for its folder."""
        folders = [source] if (source / SYSTEM_FILE).is_file() else systems_below(source)
        for folder in folders:
            yield from system_frames(folder, options.type_map, units, options.labelled).with_columns(group=folder.name)

    def written(self, frames: FrameSet, options: DeepmdNpyWriteOptions) -> dict[str, bytes]:
        """Return the systems."""
        return write_deepmd(frames, options.type_map or frames.elements)


def systems_below(source: Path) -> list[Path]:
    """Return the systems in a folder, sorted by name.

    :param source: the folder.
    :raises FormatError: if there is none.
    """
    folders = sorted(path.parent for path in source.glob(f'*/{SYSTEM_FILE}'))
    if not folders:
        raise FormatError(f"'{source.name}' has no {SYSTEM_FILE}, neither itself nor one folder below")
    return folders


def read_deepmd_npy(
    folder: str | Path,
    type_map: Sequence[str] | None = None,
    *,
    units: FileUnits | None = None,
    limits: LabelLimits | None = None,
    group: str | None = None,
    is_labelled: bool = True,
) -> FrameSet:
    """Read a system of DeePMD-kit, all sets in the order of their names.

    The column ``charge_state`` is the number of ions of the composition.

    :param folder: folder with ``type.raw``.
    :param type_map: chemical symbol of each type; needed if the folder has no ``type_map.raw``.
    :param units: units of the files, ``stress`` being that of the virial per volume; the house units if None.
    :param limits: bounds on the labels; defaults if None.
    :param group: name of the trajectory all frames are of, stored as column ``group``.
    :param is_labelled: whether energies and forces are read; the virial is read if there is one.
    :raises FormatError: if a file is missing, truncated or of a wrong shape, types have no symbol, or labels cannot be
        right.
    """
    root, checked = Path(folder), limits or LabelLimits()
    frames = system_frames(root, type_map, units or FileUnits(), is_labelled)
    if group is not None:
        frames = frames.with_columns(group=group)
    check_labels(frames, root.name, checked)
    check_distances(frames, root.name, checked)
    return frames


def system_frames(root: Path, type_map: Sequence[str] | None, factors: FileUnits, is_labelled: bool) -> FrameSet:
    """Return the frames of a system with the column ``charge_state``; labels are not checked.

    :param root: folder with ``type.raw``.
    :param type_map: chemical symbol of each type; needed if the folder has no ``type_map.raw``.
    :param factors: units of the files.
    :param is_labelled: whether energies and forces are read; the virial is read if there is one.
    :raises FormatError: if a file is missing, truncated or of a wrong shape, or types have no symbol.
    """
    numbers = _numbers(root, type_map)
    is_periodic = not (root / 'nopbc').exists()
    names = ['coord', *(['box'] if is_periodic else []), *(['energy', 'force'] if is_labelled else [])]
    sets = sorted(path for path in root.glob('set.*') if path.is_dir())
    if not sets:
        raise FormatError(
            f"{root.name}: there is no folder 'set.*' in it; give the folder that holds type.raw and sets"
        )
    if is_labelled and all((path / 'virial.npy').exists() for path in sets):
        names.append('virial')
    parts = [{name: _load(path / f'{name}.npy', root, len(numbers)) for name in names} for path in sets]
    for path, part in zip(sets, parts):
        lengths = {name: len(array) for name, array in part.items()}
        if len(set(lengths.values())) > 1:
            raise FormatError(f'{root.name}/{path.name}: arrays differ in frames, {lengths}; copy the set again')
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in names}
    return _frame_set(numbers, arrays, factors, is_periodic)


def write_deepmd(frames: FrameSet, type_map: Sequence[str], frame_parameter: str | None = None) -> dict[str, bytes]:
    """Return the frames as systems of DeePMD-kit, one for each order of atoms, as files by relative path.

    :param frames: frames with energies and forces; stresses are written as virials.
    :param type_map: chemical symbols by type; may name more than occur.
    :param frame_parameter: column that is written as ``fparam``, one number per frame; None for none.
    :return: ``system_000/type.raw``, ``system_000/set.000/coord.npy`` ...; the same frames give the same bytes.
    :raises FormatError: if labels are absent, an element is not in the type map or the periodicity is partial.
    """
    if frames.energies is None or frames.forces is None:
        raise FormatError('frames without energies and forces cannot be written for DeePMD-kit; label them first')
    if missing := [symbol for symbol in frames.elements if symbol not in type_map]:
        raise FormatError(f'type map {list(type_map)} lacks {missing}; add them')
    types = {atomic_numbers[symbol]: position for position, symbol in enumerate(type_map)}
    by_atoms: dict[bytes, list[int]] = {}
    for index, frame in enumerate(frames):
        if frame.pbc.any() and not frame.cell.any(axis=1).all():
            raise FormatError(f'frame {index} is periodic but lacks cell vectors; DeePMD-kit needs all three')
        by_atoms.setdefault(frame.numbers.tobytes() + frame.pbc.tobytes(), []).append(index)
    files: dict[str, bytes] = {}
    for position, indices in enumerate(by_atoms.values()):
        part = frames.select(indices)
        prefix, first = f'system_{position:03d}', part.frame(0)
        files[f'{prefix}/type.raw'] = ('\n'.join(str(types[n]) for n in first.numbers.tolist()) + '\n').encode()
        files[f'{prefix}/type_map.raw'] = ('\n'.join(type_map) + '\n').encode()
        arrays = {'coord': part.positions, 'force': part.forces, 'energy': part.energies, 'box': part.cells}
        if frame_parameter is not None:
            arrays['fparam'] = np.asarray(part.columns[frame_parameter], dtype=np.float64)
        if part.stresses is not None:
            arrays['virial'] = -part.stresses * np.abs(np.linalg.det(part.cells))[:, None, None]
        if not first.pbc.any():
            files[f'{prefix}/nopbc'] = b''
            del arrays['box']
        for name, array in arrays.items():
            if array is not None:
                shape = (len(part),) if name == 'energy' else (len(part), -1)
                files[f'{prefix}/set.000/{name}.npy'] = _npy_bytes(array.reshape(shape))
    return files


def _npy_bytes(array: NDArray[Any]) -> bytes:
    """Return the content of a ``.npy`` file."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def _numbers(root: Path, type_map: Sequence[str] | None) -> NDArray[np.uint8]:
    """Return the atomic numbers of the system."""
    if not (root / 'type.raw').exists():
        raise FormatError(f"{root.name}: there is no 'type.raw' in it; give the folder that holds type.raw and sets")
    types = np.array((root / 'type.raw').read_text(encoding='utf-8').split(), dtype=np.int64)
    if not types.size:
        raise FormatError(f'{root.name}: type.raw names no atom; give one type per atom')
    path = root / 'type_map.raw'
    stored = path.read_text(encoding='utf-8').split() if path.exists() else None
    if stored is not None and type_map is not None and list(type_map) != stored:
        raise FormatError(f'{root.name}: type_map.raw says {stored}, given is {list(type_map)}; leave type_map out')
    symbols = stored if stored is not None else list(type_map or [])
    if not symbols:
        counts = np.bincount(types).tolist()
        raise FormatError(
            f'{root.name}: there is no type_map.raw, and types 0 to {types.max()} with {counts} atoms have no names; '
            'give type_map, one chemical symbol per type'
        )
    if types.max() >= len(symbols) or types.min() < 0:
        raise FormatError(
            f'{root.name}: type {types.max()} occurs, the type map {symbols} has {len(symbols)} names; name every type'
        )
    if unknown := [symbol for symbol in symbols if symbol not in atomic_numbers]:
        raise FormatError(f'{root.name}: type map has unknown chemical symbols {unknown}; give elements')
    return np.array([atomic_numbers[symbol] for symbol in symbols], dtype=np.uint8)[types]


def _load(path: Path, root: Path, n_atoms: int) -> NDArray[np.float64]:
    """Return an array with one row per frame."""
    where = path.relative_to(root.parent).as_posix()
    if not path.exists():
        present = sorted(other.name for other in path.parent.glob('*.npy'))
        near = difflib.get_close_matches(path.name, present, n=1, cutoff=0.8) or present
        remedy = ', add it or an empty file nopbc beside type.raw' if path.stem == 'box' else ''
        raise FormatError(f'{where} is missing; nearest are {", ".join(near) or "none"}{remedy}')
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise FormatError(f'{where} is truncated or no .npy file ({error}); copy it again') from error
    width = VALUES_PER_FRAME[path.stem] if path.stem in VALUES_PER_FRAME else VALUES_PER_ATOM[path.stem] * n_atoms
    if array.ndim == 0 or not len(array):
        raise FormatError(f'{where} holds no frame; give at least one')
    if array.size != len(array) * width:
        raise FormatError(
            f'{where} has shape {array.shape}, expected {width} values per frame for {n_atoms} atoms; '
            'check that type.raw belongs to it'
        )
    return np.asarray(array, dtype=np.float64).reshape(len(array), width)


def _frame_set(
    numbers: NDArray[np.uint8], arrays: dict[str, NDArray[np.float64]], factors: FileUnits, is_periodic: bool
) -> FrameSet:
    """Return the frames in house units."""
    n_frames, n_atoms = len(arrays['coord']), len(numbers)
    offsets = np.arange(n_frames + 1, dtype=np.int64) * n_atoms
    cells = arrays['box'].reshape(-1, 3, 3) * factors.length if is_periodic else np.zeros((n_frames, 3, 3))
    volumes = np.abs(np.linalg.det(cells))
    if is_periodic and not volumes.all():
        raise FormatError(f'the cell of frame {int(np.argmin(volumes))} has no volume; give independent cell vectors')
    all_numbers = np.tile(numbers, n_frames)
    stresses = None
    if 'virial' in arrays:
        if not is_periodic:
            raise FormatError('there are virials but no cell, so no stress; remove virial.npy or add box.npy')
        stresses = -arrays['virial'].reshape(-1, 3, 3) / volumes[:, None, None] * factors.stress
    return FrameSet(
        numbers=all_numbers,
        positions=arrays['coord'].reshape(-1, 3) * factors.length,
        offsets=offsets,
        cells=cells,
        pbc=np.full((n_frames, 3), is_periodic),
        energies=arrays['energy'].reshape(-1) * factors.energy if 'energy' in arrays else None,
        forces=arrays['force'].reshape(-1, 3) * factors.force if 'force' in arrays else None,
        stresses=stresses,
        columns={'charge_state': ions_per_frame(all_numbers, offsets)},
    )
