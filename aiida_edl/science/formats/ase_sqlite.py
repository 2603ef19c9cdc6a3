"""Data bases of ASE in SQLite, ``.db``."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

from ase.db import connect
from ase.db.row import AtomsRow

from aiida_edl.science.formats.ase_rows import (
    HELD,
    AseRowReadOptions,
    AseRowWriteOptions,
    Row,
    frames_of_rows,
    options_of_rows,
    rows_of_frames,
)
from aiida_edl.science.formats.base import DatasetFormat
from aiida_edl.science.formats.file_units import FileUnits, FormatError
from aiida_edl.science.formats.frame_collection import BadFrame
from aiida_edl.science.formats.voigt import losses_of_voigt
from aiida_edl.science.frames import Frame, FrameSet

MAGIC = b'SQLite format 3\0'
PAGES_AT = slice(28, 32)
"""Where the header of a file of SQLite says how many pages it has."""
PAGE_SIZE_AT = slice(16, 18)
"""Where it says how large a page is; 1 stands for 65536."""


class AseSqlite(DatasetFormat):
    """One row a frame in a file of SQLite."""

    name: ClassVar[str] = 'ase_sqlite'
    title: ClassVar[str] = 'ASE data base in SQLite'
    read_options_class: ClassVar[type] = AseRowReadOptions
    write_options_class: ClassVar[type | None] = AseRowWriteOptions
    held_labels: ClassVar[tuple[str, ...]] = HELD
    holds_columns: ClassVar[bool] = True
    precision: ClassVar[str] = 'double, bit for bit'
    unit_convention: ClassVar[str] = 'Å, eV, eV/Å, eV/Å³, as ASE defines them'

    def recognises(self, source: Path) -> bool:
        """Return whether it is a file of SQLite with the usual suffix."""
        if not source.is_file() or source.suffix != '.db':
            return False
        with source.open('rb') as handle:
            return handle.read(len(MAGIC)) == MAGIC

    def frames(self, source: Path, options: AseRowReadOptions, units: FileUnits) -> Iterator[Frame | BadFrame]:
        """Yield the frames in the order of their ids."""
        _check_size(source)
        yield from frames_of_rows(_rows(source), source.name, options, units)

    def losses(self, frames: FrameSet, options: AseRowWriteOptions) -> dict[str, str]:
        """Return also a stress that is not symmetric."""
        return {**super().losses(frames, options), **losses_of_voigt(frames)}

    def written(self, frames: FrameSet, options: AseRowWriteOptions) -> dict[str, bytes]:
        """Return one file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / 'frames.db'
            with connect(path) as data_base:
                for row in rows_of_frames(frames):
                    data = row.pop('data')
                    data_base.write(AtomsRow(row), data=data)
            connection = sqlite3.connect(path)
            with connection:
                connection.execute('UPDATE systems SET mtime=0, ctime=0')
            connection.execute('VACUUM')
            connection.close()
            return {'frames.db': path.read_bytes()}

    def read_back_options(self, frames: FrameSet, options: AseRowWriteOptions) -> dict[str, Any]:
        """Return the entries that hold labels and columns."""
        return options_of_rows(frames)


def _check_size(source: Path) -> None:
    """Check that a file is one of SQLite and not cut.

    :raises FormatError: if it is not.
    """
    with source.open('rb') as handle:
        header = handle.read(100)
    if header[: len(MAGIC)] != MAGIC:
        raise FormatError(f'{source.name} is no file of SQLite; give a data base of ASE')
    page_size = int.from_bytes(header[PAGE_SIZE_AT], 'big')
    expected = int.from_bytes(header[PAGES_AT], 'big') * (65536 if page_size == 1 else page_size)
    if (found := source.stat().st_size) < expected:
        raise FormatError(f'{source.name} is truncated: {found} of {expected} bytes; copy it again')
    # Opened by ASE, a file without tables would be given some.
    with closing(sqlite3.connect(f'{source.resolve().as_uri()}?mode=ro', uri=True)) as connection:
        try:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE name='systems'").fetchall()
        except sqlite3.Error as error:
            raise FormatError(f'{source.name} is broken ({error}); copy it again') from error
    if not tables:
        raise FormatError(f"{source.name} has no table 'systems'; give a data base of ASE")


def _rows(source: Path) -> Iterator[Row]:
    """Yield the rows of a data base.

    :raises FormatError: if it is broken.
    """
    try:
        for row in connect(source, type='db').select(sort='id'):
            entries = {name: row[name] for name in row}
            yield {**entries, 'key_value_pairs': row.key_value_pairs, 'data': row.data}
    except (sqlite3.Error, OSError) as error:
        raise FormatError(f'{source.name} is broken or no data base of ASE ({error}); copy it again') from error
