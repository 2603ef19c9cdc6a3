"""Export of data sets to the formats trainers read; nothing is lost that was not named, and a manifest says so."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from aiida.orm import ArrayData

from aiida_edl.data.dataset import DatasetData
from aiida_edl.provenance.dataset_import import as_json, options_as_json
from aiida_edl.registry import unknown_name_message
from aiida_edl.science.formats.base import DatasetFormat, dataset_format, source_of, without, write_files
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.frames import FrameSet

MANIFEST = 'manifest.json'
README = 'README.md'


@dataclass(frozen=True)
class ExportSettings:
    """How a data set is written."""

    form: str
    """Name of the format."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What is stated for this format, by name of the option."""
    dropped: tuple[str, ...] = ()
    """Labels and columns that are left out; ``'pbc'`` makes frames periodic along all cell vectors."""


@dataclass(frozen=True)
class SplitPart:
    """One part of a split of a data set."""

    split: ArrayData
    """Node with one array of indices a part."""
    name: str
    """Name of the part, e.g. ``'training'``."""

    def indices(self) -> list[int]:
        """Return the indices of the frames.

        :raises FormatError: if the split has no such part, with the nearest.
        """
        if self.name not in self.split.get_arraynames():
            raise FormatError(unknown_name_message('part of the split', self.name, self.split.get_arraynames()))
        return [int(index) for index in self.split.get_array(self.name)]


def export_dataset(
    node: DatasetData, folder: Path, settings: ExportSettings, part: SplitPart | None = None
) -> dict[str, Any]:
    """Write a data set into a new folder, with a manifest and a page that says how it comes back.

    :param node: the data set.
    :param folder: the folder; it must be empty or not there.
    :param settings: how it is written.
    :param part: part of a split that is written alone; all frames if None.
    :return: the manifest.
    :raises ValueError: if the folder holds something, or the format cannot hold what is to be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FormatError(f"'{folder.name}' exists and is not an empty folder; name a new one")
    member = dataset_format(settings.form)
    options = member.make_write_options(settings.options)
    frames = node.frames() if part is None else _selected(node, part)
    kept = without(frames, settings.dropped)
    files = member.write(kept, options)
    for reserved in (MANIFEST, README):
        if reserved in files:
            raise FormatError(f"{member.name} writes a file '{reserved}', which is the name of a page of the export")
    write_files(files, folder)
    manifest = {
        **_of_format(member, kept, options),
        **_of_frames(node, kept),
        'source': source_of(files, Path()).as_posix(),
        'files': {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
        'dropped': list(settings.dropped),
        'split': None if part is None else {'uuid': part.split.uuid, 'part': part.name},
        'aiida_edl_version': version('aiida-edl'),
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + '\n', encoding='utf-8')
    (folder / README).write_text(_readme(manifest), encoding='utf-8')
    return manifest


def _selected(node: DatasetData, part: SplitPart) -> FrameSet:
    """Return the frames of a part of a split.

    :raises FormatError: if the split is of another data set.
    """
    try:
        return node.frames().select(np.array(part.indices(), dtype=np.int64))
    except IndexError as error:
        raise FormatError(f'the split does not belong to this data set: {error}') from error


def _of_format(member: DatasetFormat, frames: FrameSet, options: Any) -> dict[str, Any]:
    """Return what the files are and how they come back, as JSON types."""
    return {
        'format': member.name,
        'title': member.title,
        'units': member.unit_convention,
        'precision': member.precision,
        'write_options': options_as_json(options),
        'read_options': as_json(member.read_back_options(frames, options)),
    }


def _of_frames(node: DatasetData, frames: FrameSet) -> dict[str, Any]:
    """Return what was written and where it is from, as JSON types."""
    attributes = node.base.attributes.all
    kept = ('level_of_theory', 'origin', 'n_wet_sides', 'charge_states')
    return {
        'n_frames': len(frames),
        'n_atoms': int(frames.offsets[-1]),
        'elements': list(frames.elements),
        'columns': sorted(frames.columns),
        'dataset_uuid': node.uuid,
        'dataset_sha256': attributes[DatasetData.KEY_SHA256],
        **{name: attributes[name] for name in kept},
    }


def import_command(manifest: Mapping[str, Any]) -> str:
    """Return the command that imports what was exported, run in the folder of the export.

    :param manifest: what :func:`export_dataset` returned.
    """
    stated: Sequence[tuple[str, str]] = [
        ('--format', manifest['format']),
        ('--level-of-theory', manifest['level_of_theory']),
        ('--sides', str(manifest['n_wet_sides'])),
        *(('--set', f'{name}={_flow(value)}') for name, value in manifest['read_options'].items()),
    ]
    words = [word for pair in stated for word in pair]
    return shlex.join(['aiida-edl', 'dataset', 'import', manifest['source'], *words])


def _flow(value: Any) -> str:
    """Return a value as YAML in one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False, allow_unicode=True)
    return text.removesuffix('...\n').strip()


def _readme(manifest: Mapping[str, Any]) -> str:
    """Return the page beside the files."""
    dropped = ', '.join(manifest['dropped']) or 'nothing'
    return (
        f'# {manifest["n_frames"]} frames as {manifest["format"]}\n\n'
        f'{manifest["title"]}.\n\n'
        f'- Units: {manifest["units"]}.\n'
        f'- Precision: {manifest["precision"]}.\n'
        f'- Level of theory: {manifest["level_of_theory"] or "none, the frames are unlabelled"}.\n'
        f'- Origin: {manifest["origin"] or "not stated"}.\n'
        f'- Data set: {manifest["dataset_uuid"]}.\n'
        f'- Left out: {dropped}.\n\n'
        f'Checksums of all files stand in `{MANIFEST}`.\n'
        f'In this folder, the frames come back with\n\n```\n{import_command(manifest)}\n```\n'
    )
