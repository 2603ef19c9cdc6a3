"""What a format of data sets is: how its files are told apart, read and written, and what they cannot hold.

A format yields frames one at a time in house units; checks, and the listing of frames that cannot be used, are the same
for all formats and are made here. A format is found by its entry point in the group ``aiida_edl.dataset_formats``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from aiida_edl.registry import DATASET_FORMATS, load_member, registered_names, unknown_name_message
from aiida_edl.science.charge_state import ions_per_frame
from aiida_edl.science.formats.file_units import FileUnits, FormatError
from aiida_edl.science.formats.frame_collection import MAXIMUM_FAILED_FRACTION, BadFrame, FramesRead, collect_frames
from aiida_edl.science.formats.label_checks import LabelLimits
from aiida_edl.science.frames import OPTIONAL, Frame, FrameSet
from aiida_edl.typed_fields import checked_fields

CHARGE_STATE = 'charge_state'
"""Column that follows from the composition, so that no file has to hold it."""


@dataclass(frozen=True)
class NoOptions:
    """The options of a format that needs none."""


class DatasetFormat(ABC):
    """A format in which others keep frames and labels; made without arguments, and it touches no file when made."""

    name: ClassVar[str]
    """Name of the entry point."""
    title: ClassVar[str]
    """What it is and who reads it, in a few words."""
    read_options_class: ClassVar[type] = NoOptions
    """Frozen dataclass of what must or may be stated to read it; a field without default must be."""
    write_options_class: ClassVar[type | None] = None
    """Frozen dataclass of what may be stated to write it; None if it is read only."""
    held_labels: ClassVar[tuple[str, ...]]
    """Names of :data:`~aiida_edl.science.frames.OPTIONAL` that its files can hold."""
    required_labels: ClassVar[tuple[str, ...]] = ()
    """Names of labels without which nothing is written."""
    holds_columns: ClassVar[bool]
    """Whether its files can hold scalars per frame by any name."""
    precision: ClassVar[str]
    """To which precision what is written comes back, in words."""
    unit_convention: ClassVar[str]
    """In which units its files are, in words."""
    units_in_the_last_place: ClassVar[Mapping[str, int]] = MappingProxyType({})
    """Labels that the files hold as another quantity, and by how many of its last digits one may come back changed."""
    takes_units: ClassVar[bool] = True
    """Whether units may be stated by quantity; otherwise the format or its options fix them."""

    maximum_failed_fraction: ClassVar[float] = MAXIMUM_FAILED_FRACTION
    """Largest fraction of the frames of a source that may be left out, unless it is stated."""

    @abstractmethod
    def recognises(self, source: Path) -> bool:
        """Return whether a file or folder looks like this format, by its name and what lies in it.

        :param source: file or folder; it exists.
        """

    @abstractmethod
    def frames(self, source: Path, options: Any, units: FileUnits) -> Iterator[Frame | BadFrame]:
        """Yield the frames in house units; in place of one that cannot be read, what is wrong with it.

        A label that is asked for and absent makes a frame a bad one. The column ``charge_state`` need not be set.

        :param source: file or folder.
        :param options: of :attr:`read_options_class`.
        :param units: units of the file.
        :raises FormatError: if nothing can be read, or what was stated does not fit the source.
        """

    def statements(self, source: Path, options: Any) -> Mapping[str, Any]:
        """Return what the source says of how its labels were made, JSON types: versions, settings, checksums.

        :param source: file or folder.
        :param options: of :attr:`read_options_class`.
        """
        return {}

    def files_read(self, source: Path) -> list[Path]:
        """Return the files on which it depends what is read of a source, whose checksum is stored; here all.

        :param source: file or folder.
        """
        return [source] if source.is_file() else sorted(path for path in source.rglob('*') if path.is_file())

    def read(
        self,
        source: str | Path,
        options: Any = None,
        units: FileUnits | None = None,
        limits: LabelLimits | None = None,
        maximum_failed_fraction: float | None = None,
    ) -> FramesRead:
        """Read all frames, check the labels, and list the frames that cannot be used.

        :param source: file or folder.
        :param options: of :attr:`read_options_class`; the defaults if None.
        :param units: units of the file; those of the format, which are the house units for most, if None.
        :param limits: bounds on the labels; defaults if None.
        :param maximum_failed_fraction: largest fraction of frames that may be left out; that of the format if None.
        :raises FormatError: if the source cannot be read, too many frames are bad, or labels cannot be right.
        """
        if units is not None and not self.takes_units:
            raise FormatError(f'units are stated, but those of {self.name} are fixed ({self.unit_convention})')
        path = Path(source)
        chosen = self.make_read_options({}) if options is None else options
        fraction = self.maximum_failed_fraction if maximum_failed_fraction is None else maximum_failed_fraction
        items = self.frames(path, chosen, units or FileUnits())
        return collect_frames(items, path.name, limits or LabelLimits(), fraction)

    def write(self, frames: FrameSet, options: Any = None) -> dict[str, bytes]:
        """Return the frames as files by relative path; the same frames and options give the same bytes.

        :param frames: frames in house units.
        :param options: of :attr:`write_options_class`; the defaults if None.
        :raises FormatError: if the format is read only, there is no frame, or the files cannot hold all that the frames
            have, see :func:`without`.
        """
        chosen = self.make_write_options({}) if options is None else options
        if not len(frames):
            raise FormatError(f'there is no frame to be written as {self.name}; give at least one')
        if missing := [name for name in self.required_labels if getattr(frames, name) is None]:
            raise FormatError(f'{self.name} has no way to say that {missing[0]} are not known; label the frames first')
        if lost := self.losses(frames, chosen):
            named = '; '.join(f'{name}: {reason}' for name, reason in lost.items())
            raise FormatError(f'{self.name} cannot hold all of the frames, drop explicitly what it shall not: {named}')
        return self.written(frames, chosen)

    def written(self, frames: FrameSet, options: Any) -> dict[str, bytes]:
        """Return the files of frames that lose nothing; what :meth:`write` calls.

        :param frames: frames in house units, at least one.
        :param options: of :attr:`write_options_class`.
        :raises FormatError: if they cannot be written as asked.
        """
        raise FormatError(f'{self.name} is read only')

    def losses(self, frames: FrameSet, options: Any) -> dict[str, str]:
        """Return what the files could not hold: name of a label or column, ``'pbc'`` or ``'cell'``, and why.

        :param frames: the frames.
        :param options: of :attr:`write_options_class`.
        """
        present = [name for name in OPTIONAL if getattr(frames, name) is not None]
        lost = {name: f'its files have no place for {name}' for name in present if name not in self.held_labels}
        if not self.holds_columns:
            lost |= {
                name: 'its files have no place for columns' for name in frames.columns if not _follows(frames, name)
            }
        return lost

    def read_back_options(self, frames: FrameSet, options: Any) -> dict[str, Any]:
        """Return the options by which what was written comes back, JSON types.

        :param frames: the frames that were written.
        :param options: of :attr:`write_options_class`, with which they were.
        """
        return {}

    def as_held(self, frames: FrameSet, options: Any) -> FrameSet:
        """Return the frames as they come back: what the precision of the files leaves of them.

        :param frames: the frames.
        :param options: of :attr:`write_options_class`.
        """
        return frames

    def make_read_options(self, values: Mapping[str, Any]) -> Any:
        """Return checked options for reading.

        :param values: options by name.
        :raises FormatError: for an unknown name, with the nearest, a value of a wrong type, or what must be stated and
            is not.
        """
        return self._options(self.read_options_class, values, 'read')

    def make_write_options(self, values: Mapping[str, Any]) -> Any:
        """Return checked options for writing.

        :param values: options by name.
        :raises FormatError: as :meth:`make_read_options`, or if the format is read only.
        """
        if self.write_options_class is None:
            raise FormatError(f'{self.name} is read only; formats that are written: {", ".join(writable_formats())}')
        return self._options(self.write_options_class, values, 'written')

    def _options(self, cls: type, values: Mapping[str, Any], action: str) -> Any:
        """Return the options of a class."""
        checked = checked_fields(cls, values, 'option', FormatError, f' of {self.name}')
        required = [item.name for item in fields(cls) if item.default is MISSING and item.default_factory is MISSING]
        if missing := [name for name in required if name not in checked]:
            raise FormatError(f'{self.name} is not {action} on a guess; state the option {" and ".join(missing)}')
        return cls(**checked)


def _follows(frames: FrameSet, name: str) -> bool:
    """Return whether a column follows from the composition."""
    if name != CHARGE_STATE:
        return False
    return np.array_equal(frames.columns[name], ions_per_frame(frames.numbers, frames.offsets))


def without(frames: FrameSet, names: tuple[str, ...]) -> FrameSet:
    """Return the frames without some labels or columns.

    ``'pbc'`` makes frames with any periodicity periodic along all cell vectors; ``'cell'`` takes the cell of those with
    none.

    :param frames: the frames.
    :param names: labels and columns; all must be there.
    :raises FormatError: for a name that the frames do not have, with the nearest.
    """
    labels = [name for name in OPTIONAL if getattr(frames, name) is not None]
    known = [*labels, *frames.columns, 'pbc', 'cell']
    for name in names:
        if name not in known:
            raise FormatError(unknown_name_message('label or column of the frames', name, known))
    changes: dict[str, Any] = {name: None for name in names if name in labels}
    if 'pbc' in names:
        changes['pbc'] = np.repeat(frames.pbc.any(axis=1, keepdims=True), 3, axis=1)
    if 'cell' in names:
        changes['cells'] = frames.cells * np.any(frames.pbc, axis=1).reshape(-1, 1, 1)
    return replace(frames, **changes, columns={k: v for k, v in frames.columns.items() if k not in names})


def source_of(files: Mapping[str, bytes], root: Path) -> Path:
    """Return what is read of files that were written: the file if there is one, else the folder.

    :param files: files by relative path.
    :param root: folder in which they lie.
    """
    return root / next(iter(files)) if len(files) == 1 else root


def write_files(files: Mapping[str, bytes], root: Path) -> Path:
    """Write files below a folder, and return what is to be read of them.

    :param files: content by relative path.
    :param root: the folder; it is made if it is not there.
    """
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return source_of(files, root)


def dataset_format(name: str) -> DatasetFormat:
    """Return a format by the name of its entry point.

    :param name: the name.
    :raises UnknownNameError: if there is none, with the nearest.
    """
    member: DatasetFormat = load_member(DATASET_FORMATS, name)
    return member


def recognised_format(source: Path) -> DatasetFormat:
    """Return the one format that a file or folder looks like.

    :param source: file or folder.
    :raises FormatError: if there is none, or more than one.
    """
    found = [member for member in map(dataset_format, registered_names(DATASET_FORMATS)) if member.recognises(source)]
    if len(found) == 1:
        return found[0]
    names = ' or '.join(member.name for member in found) or 'none of ' + ', '.join(registered_names(DATASET_FORMATS))
    raise FormatError(f"'{source.name}' looks like {names}; state its format")


def writable_formats() -> tuple[str, ...]:
    """Return the names of the formats that can be written."""
    return tuple(
        name for name in registered_names(DATASET_FORMATS) if dataset_format(name).write_options_class is not None
    )
