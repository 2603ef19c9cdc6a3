"""Import of labelled frames from files: what the keys mean is stated, never guessed."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.formats.base import dataset_format, recognised_format
from aiida_edl.science.formats.file_units import FileUnits, FormatError
from aiida_edl.science.formats.label_checks import LabelLimits

IMPORT = 'import'
"""Attribute of a node with what was stated about its source, and what the source says of itself."""
REJECTED = 'import_rejected'
"""Attribute of a node: position in the source and reason of each frame that could not be used."""
BLOCK = 2**20
"""How much of a file is read at once for its checksum [bytes]."""


@dataclass(frozen=True)
class ImportSettings:
    """How a source is read and what its labels are."""

    level_of_theory: str = ''
    """What made the labels, in words; only a source that says so itself, a finished run, needs no statement."""
    form: str | None = None
    """Name of the format; None takes the one that the source looks like."""
    origin: str = ''
    """Where the frames come from, in words; the name of the file and its checksum are added."""
    n_wet_sides: int = 1
    """Sides of the slab that touch the liquid, 1 or 2."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What is stated for this format, by name of the option."""
    group: str | None = None
    """Name of the trajectory that all frames are of."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Name of the unit by quantity, see :data:`aiida_edl.science.formats.file_units.UNITS`; Å, eV, eV/Å otherwise."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """Bounds on the labels that differ from those of ``LabelLimits``."""
    maximum_failed_fraction: float | None = None
    """Largest fraction of the frames that may be left out because they cannot be used; None for that of the format."""
    label: str = ''
    """Label of the node."""


def import_dataset(source: Path, settings: ImportSettings) -> DatasetData:
    """Store the frames of a file or folder as a data set; what was stated about them is stored with it.

    Frames that cannot be used are left out, up to a fraction, and listed with their reasons in the attribute
    :data:`REJECTED`.

    :param source: file or folder of a known format.
    :param settings: how it is read.
    :return: the stored node.
    :raises ValueError: if the source cannot be read or its labels cannot be right.
    """
    member = recognised_format(source) if settings.form is None else dataset_format(settings.form)
    options = member.make_read_options(settings.options)
    statements = member.statements(source, options)
    level_of_theory = settings.level_of_theory or str(statements.get('level_of_theory', ''))
    if not level_of_theory:
        raise FormatError(f'{source.name}: {member.name} does not say what made the labels; state the level of theory')
    read = member.read(
        source,
        options,
        FileUnits.from_names(settings.units) if settings.units else None,
        LabelLimits.from_dict(settings.limits),
        settings.maximum_failed_fraction,
    )
    frames = read.frames
    if settings.group is not None:
        if len(set(frames.columns.get('group', [settings.group]))) > 1:
            raise FormatError(f"{source.name} names its groups itself; leave the group '{settings.group}' out")
        frames = frames.with_columns(group=settings.group)
    digest = checksum(source, member.files_read(source))
    found = {'form': member.name, 'sha256': digest, 'statements': as_json(statements)}
    origin = f'{settings.origin}; imported from {source.name} (SHA-256 {digest})'.removeprefix('; ')
    node = DatasetData.from_frames(frames, level_of_theory, origin, settings.n_wet_sides)
    node.base.attributes.set(IMPORT, {**_record(source, settings, options), **found})
    node.base.attributes.set(REJECTED, [{'frame': index, 'reason': reason} for index, reason in read.rejected])
    node.label = settings.label
    return node.store()


def _record(source: Path, settings: ImportSettings, options: Any) -> dict[str, Any]:
    """Return what was stated, as JSON types."""
    stated = {
        item.name: getattr(settings, item.name)
        for item in dataclasses.fields(settings)
        if item.name not in ('label', 'options', 'form')
    }
    return {
        **as_json(stated),
        'options': options_as_json(options),
        'source': source.name,
        'aiida_edl_version': version('aiida-edl'),
    }


def options_as_json(options: Any) -> dict[str, Any]:
    """Return the fields of a dataclass of options, as JSON types.

    :param options: the dataclass.
    """
    return {item.name: as_json(getattr(options, item.name)) for item in dataclasses.fields(options)}


def as_json(value: Any) -> Any:
    """Return a value with dictionaries and lists in place of other mappings and sequences.

    :param value: value of an option or a setting.
    """
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list | tuple) else value


def checksum(source: Path, files: Sequence[Path]) -> str:
    """Return the checksum of a file, or of files of a folder with their relative paths.

    :param source: file or folder.
    :param files: the file itself, or files below the folder.
    """
    digest = hashlib.sha256()
    for path in sorted(files):
        if path != source:
            digest.update(path.relative_to(source).as_posix().encode() + b'\0')
        with path.open('rb') as handle:
            while block := handle.read(BLOCK):
                digest.update(block)
    return digest.hexdigest()
