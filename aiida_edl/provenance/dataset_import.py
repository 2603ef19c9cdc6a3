"""Import of labelled frames from files: what the keys mean is stated, never guessed."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiida_edl.data.dataset import DatasetData
from aiida_edl.registry import unknown_name_message
from aiida_edl.science.formats.deepmd_npy import read_deepmd_npy
from aiida_edl.science.formats.extended_xyz import KeyMapping, read_extended_xyz
from aiida_edl.science.formats.file_units import FileUnits
from aiida_edl.science.formats.label_checks import LabelLimits
from aiida_edl.science.frames import FrameSet

FORMATS = ('extended_xyz', 'deepmd_npy')
"""Formats that can be read."""
SYSTEM_FILE = 'type.raw'
"""File that makes a folder a system of DeePMD-kit."""


class ImportSettingsError(ValueError):
    """A source that cannot be imported as asked."""


@dataclass(frozen=True)
class ImportSettings:
    """How a source is read and what its labels are."""

    level_of_theory: str
    """What made the labels, in words."""
    form: str = 'extended_xyz'
    """One of :data:`FORMATS`."""
    origin: str = ''
    """Where the frames come from, in words; the name of the file and its checksum are added."""
    n_wet_sides: int = 1
    """Sides of the slab that touch the liquid, 1 or 2."""
    energy_key: str = 'energy'
    """Key of the energy whose negative gradient the forces are."""
    forces_key: str = 'forces'
    """Key of the forces."""
    stress_key: str | None = None
    """Key of the stress; None leaves it out."""
    charges_key: str | None = None
    """Key of the atomic charges; None leaves them out."""
    group_key: str | None = None
    """Key that names the trajectory of each frame."""
    type_map: tuple[str, ...] | None = None
    """Chemical symbols of the types of DeePMD-kit; None if the folder states them."""
    accept_other_free_energy: bool = False
    """Whether ``energy_key`` is meant although the file also holds a ``free_energy`` that differs."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Name of the unit by quantity, see :data:`aiida_edl.science.formats.file_units.UNITS`; Å, eV, eV/Å otherwise."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """Bounds on the labels that differ from those of ``LabelLimits``."""
    label: str = ''
    """Label of the node."""


def import_dataset(source: Path, settings: ImportSettings) -> DatasetData:
    """Store the frames of a file or folder as a data set; what was stated about them is stored with it.

    :param source: extended XYZ file, a system of DeePMD-kit, or a folder of such systems.
    :param settings: how it is read.
    :return: the stored node.
    :raises ValueError: if the source cannot be read or its labels cannot be right.
    """
    if settings.form not in FORMATS:
        raise ImportSettingsError(unknown_name_message('format', settings.form, FORMATS))
    read = _read_extended_xyz if settings.form == 'extended_xyz' else _read_deepmd
    frames = read(source, settings)
    origin = f'{settings.origin}; imported from {source.name} (SHA-256 {checksum(source)})'.removeprefix('; ')
    node = DatasetData.from_frames(frames, settings.level_of_theory, origin, settings.n_wet_sides)
    stated = {key: value for key, value in dataclasses.asdict(settings).items() if key != 'label'}
    node.base.attributes.set('import', {**stated, 'type_map': settings.type_map and list(settings.type_map)})
    node.label = settings.label
    return node.store()


def checksum(source: Path) -> str:
    """Return the checksum of a file, or of all files of a folder with their relative paths.

    :param source: file or folder.
    """
    digest = hashlib.sha256()
    if source.is_file():
        digest.update(source.read_bytes())
        return digest.hexdigest()
    for path in sorted(path for path in source.rglob('*') if path.is_file()):
        digest.update(path.relative_to(source).as_posix().encode() + b'\0' + path.read_bytes())
    return digest.hexdigest()


def _read_extended_xyz(source: Path, settings: ImportSettings) -> FrameSet:
    """Read an extended XYZ file."""
    if source.is_dir():
        raise ImportSettingsError(f"'{source.name}' is a folder, extended_xyz needs a file; try the format deepmd_npy")
    columns = {settings.group_key: 'group'} if settings.group_key else {}
    keys = KeyMapping(
        energy=settings.energy_key,
        forces=settings.forces_key,
        stress=settings.stress_key,
        charges=settings.charges_key,
        columns=columns,
        accept_other_free_energy=settings.accept_other_free_energy,
    )
    return read_extended_xyz(source, keys, **_reading(settings))


def _reading(settings: ImportSettings) -> dict[str, Any]:
    """Return units and limits, as the readers take them."""
    return {'units': FileUnits.from_names(settings.units), 'limits': LabelLimits.from_dict(settings.limits)}


def _read_deepmd(source: Path, settings: ImportSettings) -> FrameSet:
    """Read one system of DeePMD-kit, or all systems of a folder, each a trajectory of its own."""
    if (source / SYSTEM_FILE).is_file():
        return read_deepmd_npy(source, settings.type_map, group=source.name, **_reading(settings))
    systems = sorted(path.parent for path in source.glob(f'*/{SYSTEM_FILE}'))
    if not systems:
        raise ImportSettingsError(f"'{source.name}' has no {SYSTEM_FILE}, neither itself nor one folder below")
    return FrameSet.concatenate(
        [read_deepmd_npy(path, settings.type_map, group=path.name, **_reading(settings)) for path in systems]
    )
