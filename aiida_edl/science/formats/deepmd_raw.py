"""Systems of DeePMD-kit as text: a folder with ``type.raw`` and ``{coord,box,energy,force,virial}.raw``."""

from __future__ import annotations

from collections.abc import Iterator
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
from aiida_edl.science.formats.deepmd_npy import ORDER
from aiida_edl.science.formats.deepmd_system import LABELS, SYSTEM_FILE, DeepmdReadOptions, frames_of_systems
from aiida_edl.science.formats.file_units import FileUnits
from aiida_edl.science.frames import Frame, FrameSet


@dataclass(frozen=True)
class DeepmdRawWriteOptions:
    """What may be stated to write systems of DeePMD-kit as text."""

    type_map: tuple[str, ...] | None = None
    """Chemical symbols by type; may name more than occur; those that occur, by atomic number, if None."""


class DeepmdRaw(DatasetFormat):
    """Folders of text with one line per frame, as ``raw_to_set.sh`` and dpdata take and give them."""

    name: ClassVar[str] = 'deepmd_raw'
    title: ClassVar[str] = 'DeePMD-kit: systems as text'
    read_options_class: ClassVar[type] = DeepmdReadOptions
    write_options_class: ClassVar[type | None] = DeepmdRawWriteOptions
    held_labels: ClassVar[tuple[str, ...]] = tuple(LABELS)
    holds_columns: ClassVar[bool] = False
    precision: ClassVar[str] = 'double, digit for digit; the stress is held as virial'
    unit_convention: ClassVar[str] = 'Å, eV, eV/Å; the virial, minus stress times volume, in eV'
    units_in_the_last_place: ClassVar[dict[str, int]] = {'stresses': 8}

    def recognises(self, source: Path) -> bool:
        """Return whether it is a system without sets, or a folder of such."""
        folders = {path.parent for path in (source / SYSTEM_FILE, *source.glob(f'*/{SYSTEM_FILE}')) if path.is_file()}
        return any((path / 'coord.raw').is_file() and not any(path.glob('set.*')) for path in folders)

    def frames(self, source: Path, options: DeepmdReadOptions, units: FileUnits) -> Iterator[Frame]:
        """Yield the frames, system by system."""
        return frames_of_systems(source, options, units, is_text=True)

    def losses(self, frames: FrameSet, options: DeepmdRawWriteOptions) -> dict[str, str]:
        """Return also periodicity along some directions only."""
        return {**super().losses(frames, options), **losses_of_deepmd(frames)}

    def written(self, frames: FrameSet, options: DeepmdRawWriteOptions) -> dict[str, bytes]:
        """Return the systems, and where each frame belongs."""
        type_map = options.type_map or frames.elements
        check_for_deepmd(frames, type_map)
        files: dict[str, bytes] = {}
        for prefix, part, indices in systems(frames):
            files |= {f'{prefix}/{name}': content for name, content in type_files(part, type_map, False).items()}
            arrays = {**arrays_of_system(part, type_map, False, 'float64'), ORDER: np.array(indices)}
            files |= {f'{prefix}/{name}.raw': file_of_system(array, True) for name, array in arrays.items()}
        return files

    def as_held(self, frames: FrameSet, options: DeepmdRawWriteOptions) -> FrameSet:
        """Return the frames with the stress that comes of the virial."""
        return held_by_deepmd(frames, 'float64')

    def read_back_options(self, frames: FrameSet, options: DeepmdRawWriteOptions) -> dict[str, Any]:
        """Return the labels."""
        labels = tuple(name for name in LABELS if getattr(frames, name) is not None)
        return {'labels': labels, 'order': ORDER, 'group_by_system': False}
