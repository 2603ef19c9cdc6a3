"""Systems of DeePMD-kit: a folder with ``type.raw`` and ``set.*/{coord,box,energy,force,virial}.npy``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from aiida_edl.science.formats.base import DatasetFormat
from aiida_edl.science.formats.deepmd_files import (
    arrays_of_system,
    check_for_deepmd,
    file_of_system,
    held_by_deepmd,
    losses_of_deepmd,
    systems,
    type_files,
)
from aiida_edl.science.formats.deepmd_system import (
    LABELS,
    SYSTEM_FILE,
    DeepmdReadOptions,
    frames_of_systems,
    read_system,
)
from aiida_edl.science.formats.file_units import FileUnits, FormatError
from aiida_edl.science.formats.label_checks import LabelLimits, check_distances, check_labels
from aiida_edl.science.frames import Frame, FrameSet

ORDER = 'frame_index'
"""Array with the position of each frame in the whole."""
COLUMN = 'column_'
"""Prefix of arrays that hold columns; DeePMD-kit reads neither."""


@dataclass(frozen=True)
class DeepmdNpyWriteOptions:
    """What may be stated to write systems of DeePMD-kit."""

    type_map: tuple[str, ...] | None = None
    """Chemical symbols by type; may name more than occur; those that occur, by atomic number, if None."""
    mixed: bool = False
    """Whether frames of different elements and one number of atoms share a system (``deepmd/npy/mixed``)."""
    precision: str = 'float64'
    """``'float64'`` or ``'float32'``; energies are in double precision in both."""

    def __post_init__(self) -> None:
        """Check the precision.

        :raises FormatError: if it is neither.
        """
        if self.precision not in ('float32', 'float64'):
            raise FormatError(f"precision is '{self.precision}', it must be float32 or float64")


class DeepmdNpy(DatasetFormat):
    """Folders of numpy arrays with one order of atoms each, or of the mixed layout; several of them are one set."""

    name: ClassVar[str] = 'deepmd_npy'
    title: ClassVar[str] = 'DeePMD-kit: systems of numpy arrays, also of mixed type'
    read_options_class: ClassVar[type] = DeepmdReadOptions
    write_options_class: ClassVar[type | None] = DeepmdNpyWriteOptions
    held_labels: ClassVar[tuple[str, ...]] = tuple(LABELS)
    holds_columns: ClassVar[bool] = True
    precision: ClassVar[str] = 'double or single, bit for bit; the stress is held as virial'
    unit_convention: ClassVar[str] = 'Å, eV, eV/Å; the virial, minus stress times volume, in eV'
    units_in_the_last_place: ClassVar[dict[str, int]] = {'stresses': 8}

    def recognises(self, source: Path) -> bool:
        """Return whether it is a system with sets, or a folder of such."""
        return any(
            any(path.parent.glob('set.*'))
            for path in (source / SYSTEM_FILE, *source.glob(f'*/{SYSTEM_FILE}'))
            if path.is_file()
        )

    def frames(self, source: Path, options: DeepmdReadOptions, units: FileUnits) -> Iterator[Frame]:
        """Yield the frames, system by system."""
        return frames_of_systems(source, options, units, is_text=False)

    def losses(self, frames: FrameSet, options: DeepmdNpyWriteOptions) -> dict[str, str]:
        """Return also periodicity along some directions only."""
        return {**super().losses(frames, options), **losses_of_deepmd(frames)}

    def written(self, frames: FrameSet, options: DeepmdNpyWriteOptions) -> dict[str, bytes]:
        """Return the systems; columns, and where each frame belongs, lie in arrays that DeePMD-kit does not read."""
        type_map = options.type_map or frames.elements
        check_for_deepmd(frames, type_map)
        files: dict[str, bytes] = {}
        for prefix, part, indices in systems(frames, options.mixed):
            files |= {f'{prefix}/{n}': c for n, c in type_files(part, type_map, options.mixed).items()}
            arrays = arrays_of_system(part, type_map, options.mixed, options.precision)
            arrays |= {COLUMN + name: column for name, column in part.columns.items()}
            arrays[ORDER] = np.array(indices)
            files |= {f'{prefix}/set.000/{n}.npy': file_of_system(array, False) for n, array in arrays.items()}
        return files

    def as_held(self, frames: FrameSet, options: DeepmdNpyWriteOptions) -> FrameSet:
        """Return the frames in the precision of the files."""
        return held_by_deepmd(frames, options.precision)

    def read_back_options(self, frames: FrameSet, options: DeepmdNpyWriteOptions) -> dict[str, Any]:
        """Return the labels and the arrays that hold columns."""
        return {
            'labels': tuple(name for name in LABELS if getattr(frames, name) is not None),
            'columns': {COLUMN + name: name for name in frames.columns},
            'order': ORDER,
            'group_by_system': False,
        }


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
    :param is_labelled: whether energies and forces are read, and the virial if there is one.
    :raises FormatError: if a file is missing, truncated or of a wrong shape, types have no symbol, or labels cannot be
        right.
    """
    root, checked = Path(folder), limits or LabelLimits()
    options = DeepmdReadOptions(None if type_map is None else tuple(type_map), None if is_labelled else ())
    frames, _ = read_system(root, options, units or FileUnits())
    if group is not None:
        frames = frames.with_columns(group=group)
    check_labels(frames, root.name, checked)
    check_distances(frames, root.name, checked)
    return frames


def write_deepmd(frames: FrameSet, type_map: Sequence[str], frame_parameter: str | None = None) -> dict[str, bytes]:
    """Return the frames as systems of DeePMD-kit for a training, one for each order of atoms, by relative path.

    :param frames: frames with energies and forces; stresses are written as virials.
    :param type_map: chemical symbols by type; may name more than occur.
    :param frame_parameter: column that is written as ``fparam``, one number per frame; None for none.
    :return: ``system_000/type.raw``, ``system_000/set.000/coord.npy`` ...; the same frames give the same bytes.
    :raises FormatError: if labels are absent, an element is not in the type map or a periodic frame lacks cell vectors.
    """
    if frames.energies is None or frames.forces is None:
        raise FormatError('frames without energies and forces cannot be written for DeePMD-kit; label them first')
    check_for_deepmd(frames, type_map)
    files: dict[str, bytes] = {}
    for prefix, part, _ in systems(frames):
        files |= {f'{prefix}/{name}': content for name, content in type_files(part, type_map, False).items()}
        arrays = arrays_of_system(part, type_map, False, 'float64')
        if not part.pbc[0].any():
            arrays.pop('box', None)
        if frame_parameter is not None:
            arrays['fparam'] = np.asarray(part.columns[frame_parameter], dtype=np.float64).reshape(len(part), -1)
        files |= {f'{prefix}/set.000/{name}.npy': file_of_system(array, False) for name, array in arrays.items()}
    return files
