"""Systems of DeePMD-kit, written; what lies in them stands in :mod:`aiida_edl.science.formats.deepmd_system`."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from aiida_edl.science.formats.deepmd_system import MIXED_TYPES
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.frames import Floats, FrameSet


def file_of_system(array: NDArray[Any], is_text: bool) -> bytes:
    """Return the content of a ``.npy`` file, or of a table in text with one row per frame, digit for digit.

    :param array: array with one row per frame.
    :param is_text: whether it is text.
    """
    if is_text:
        rows = array.reshape(len(array), -1).tolist()
        return ''.join(' '.join(map(repr, row)) + '\n' for row in rows).encode()
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def check_for_deepmd(frames: FrameSet, type_map: Sequence[str]) -> None:
    """Check that frames can be written for DeePMD-kit.

    :param frames: the frames.
    :param type_map: chemical symbols by type.
    :raises FormatError: if an element is not in the type map or a periodic frame lacks cell vectors.
    """
    if missing := [symbol for symbol in frames.elements if symbol not in type_map]:
        raise FormatError(f'type map {list(type_map)} lacks {missing}; add them')
    for index, frame in enumerate(frames):
        if frame.pbc.any() and not frame.cell.any(axis=1).all():
            raise FormatError(f'frame {index} is periodic but lacks cell vectors; DeePMD-kit needs all three')


def systems(frames: FrameSet, is_mixed: bool = False) -> Iterator[tuple[str, FrameSet, list[int]]]:
    """Yield name, frames and indices of each system: frames of one order of atoms, mixed ones of one number of them.

    :param frames: the frames.
    :param is_mixed: whether the layout is the mixed one.
    """
    members: dict[bytes, list[int]] = {}
    for index, frame in enumerate(frames):
        atoms = str(len(frame.numbers)).encode() if is_mixed else frame.numbers.tobytes()
        members.setdefault(atoms + b' ' + frame.pbc.any().tobytes(), []).append(index)
    for position, indices in enumerate(members.values()):
        yield f'system_{position:03d}', frames.select(indices), indices


def type_files(part: FrameSet, type_map: Sequence[str], is_mixed: bool) -> dict[str, bytes]:
    """Return ``type.raw`` and ``type_map.raw`` of a system, and ``nopbc`` if it is not periodic.

    :param part: frames of the system.
    :param type_map: chemical symbols by type.
    :param is_mixed: whether the layout is the mixed one, where the types of the system say nothing.
    """
    first = part.frame(0)
    types = np.zeros(len(first.numbers), dtype=np.int64) if is_mixed else types_of(first.numbers, type_map)
    files = {
        'type.raw': ('\n'.join(map(str, types.tolist())) + '\n').encode(),
        'type_map.raw': ('\n'.join(type_map) + '\n').encode(),
    }
    return files if first.pbc.any() else {**files, 'nopbc': b''}


def types_of(numbers: NDArray[np.uint8], type_map: Sequence[str]) -> NDArray[np.int32]:
    """Return the type of each atom.

    :param numbers: atomic numbers.
    :param type_map: chemical symbols by type.
    """
    table = np.full(256, -1, dtype=np.int32)
    for position, symbol in enumerate(type_map):
        table[atomic_numbers[symbol]] = position
    types: NDArray[np.int32] = table[numbers]
    return types


def arrays_of_system(part: FrameSet, type_map: Sequence[str], is_mixed: bool, kind: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a system by name; energies are in double precision whatever the rest is.

    :param part: frames of the system, with one number of atoms.
    :param type_map: chemical symbols by type.
    :param is_mixed: whether the layout is the mixed one.
    :param kind: ``'float32'`` or ``'float64'``.
    """
    rows = {'coord': part.positions, 'force': part.forces, 'virial': virials(part), 'box': part.cells}
    if not part.cells.any():
        del rows['box']
    arrays: dict[str, NDArray[Any]] = {
        name: array.reshape(len(part), -1).astype(kind) for name, array in rows.items() if array is not None
    }
    if part.energies is not None:
        arrays['energy'] = part.energies
    if is_mixed:
        arrays[MIXED_TYPES] = types_of(part.numbers, type_map).reshape(len(part), -1)
    return arrays


def virials(frames: FrameSet) -> Floats | None:
    """Return the virials, minus the stress times the volume [eV], shape ``(n_frames, 3, 3)``; None without stresses.

    :param frames: the frames.
    """
    if frames.stresses is None:
        return None
    return np.asarray(-frames.stresses * np.abs(np.linalg.det(frames.cells))[:, None, None])


def held_by_deepmd(frames: FrameSet, kind: str) -> FrameSet:
    """Return what comes back of frames that were written in a precision.

    :param frames: the frames.
    :param kind: ``'float32'`` or ``'float64'``.
    """

    def rounded(array: Floats) -> Floats:
        return array.astype(kind).astype(np.float64)

    changes: dict[str, Any] = {'positions': rounded(frames.positions), 'cells': rounded(frames.cells)}
    if frames.forces is not None:
        changes['forces'] = rounded(frames.forces)
    if (held := virials(frames)) is not None:
        volumes = np.abs(np.linalg.det(changes['cells']))
        changes['stresses'] = -rounded(held) / volumes[:, None, None]
    return replace(frames, **changes)


def losses_of_deepmd(frames: FrameSet) -> Mapping[str, str]:
    """Return what systems of DeePMD-kit cannot hold beyond labels and columns.

    :param frames: the frames.
    """
    lost = {}
    if np.any(frames.pbc.any(axis=1) != frames.pbc.all(axis=1)):
        lost['pbc'] = 'DeePMD-kit knows frames that are periodic in all directions or in none'
    if frames.stresses is not None and not np.linalg.det(frames.cells).all():
        lost['stresses'] = 'a frame without volume has no virial'
    return lost
