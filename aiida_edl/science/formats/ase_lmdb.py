"""Data bases of ASE in LMDB, ``.aselmdb``: the format of OC25 and OMol25, which fairchem reads.

Each key is the number of a row, each value the row as JSON of ASE, compressed by zlib; ``nextid`` is one more than the
last number, ``deleted_ids`` lists those that are gone. Read and written here with ``lmdb`` alone, as the package that
defines the format (ase-db-backends 0.11) brings clients of two data-base servers.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase.io.jsonio import decode, encode

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
from aiida_edl.science.formats.optional_package import optional_package
from aiida_edl.science.formats.voigt import losses_of_voigt
from aiida_edl.science.frames import Frame, FrameSet

SUFFIX = '.aselmdb'
SMALLEST_MAP = 2**20
"""Room for the smallest file [bytes]."""
ROOM_PER_BYTE = 4
"""Room per byte of content; pages are never full."""


class AseLmdb(DatasetFormat):
    """One row a frame in a file of LMDB, or in several of one folder."""

    name: ClassVar[str] = 'ase_lmdb'
    title: ClassVar[str] = 'ASE data base in LMDB: OC25, OMol25, fairchem'
    read_options_class: ClassVar[type] = AseRowReadOptions
    write_options_class: ClassVar[type | None] = AseRowWriteOptions
    held_labels: ClassVar[tuple[str, ...]] = HELD
    holds_columns: ClassVar[bool] = True
    precision: ClassVar[str] = 'double, digit for digit'
    unit_convention: ClassVar[str] = 'Å, eV, eV/Å, eV/Å³, as ASE defines them'

    def recognises(self, source: Path) -> bool:
        """Return whether it has the suffix, or is a folder of files that have."""
        return source.suffix == SUFFIX if source.is_file() else any(source.glob(f'*{SUFFIX}'))

    def frames(self, source: Path, options: AseRowReadOptions, units: FileUnits) -> Iterator[Frame | BadFrame]:
        """Yield the frames in the order of their numbers, file by file."""
        paths = [source] if source.is_file() else sorted(source.glob(f'*{SUFFIX}'))
        if not paths:
            raise FormatError(f"'{source.name}' holds no file *{SUFFIX}; name a file or a folder of such files")
        for path in paths:
            yield from frames_of_rows(_rows(path), path.name, options, units)

    def losses(self, frames: FrameSet, options: AseRowWriteOptions) -> dict[str, str]:
        """Return also a stress that is not symmetric."""
        return {**super().losses(frames, options), **losses_of_voigt(frames)}

    def written(self, frames: FrameSet, options: AseRowWriteOptions) -> dict[str, bytes]:
        """Return one file."""
        lmdb = optional_package('lmdb', 'lmdb', self.name)
        rows = [zlib.compress(encode(row).encode()) for row in rows_of_frames(frames)]
        room = SMALLEST_MAP + ROOM_PER_BYTE * (sum(map(len, rows)) + 4096 * len(rows))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f'frames{SUFFIX}'
            environment = lmdb.open(str(path), map_size=room, subdir=False, lock=False)
            with environment.begin(write=True) as transaction:
                for number, row in enumerate(rows, start=1):
                    transaction.put(str(number).encode(), row)
                transaction.put(b'nextid', zlib.compress(encode(len(rows) + 1).encode()))
            environment.close()
            return {f'frames{SUFFIX}': path.read_bytes()}

    def read_back_options(self, frames: FrameSet, options: AseRowWriteOptions) -> dict[str, Any]:
        """Return the entries that hold labels and columns."""
        return options_of_rows(frames)


def _rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file.

    :raises FormatError: if it is broken.
    """
    lmdb = optional_package('lmdb', 'lmdb', AseLmdb.name)
    try:
        environment = lmdb.open(str(path), subdir=False, readonly=True, lock=False, create=False)
    except lmdb.Error as error:
        raise FormatError(f'{path.name} is truncated or no file of LMDB ({error}); copy it again') from error
    try:
        _check_size(path, environment)
        with environment.begin() as transaction:
            deleted = set(np.ravel(_decoded(transaction.get(b'deleted_ids'), path) or []).tolist())
            following = _decoded(transaction.get(b'nextid'), path)
            if following is None:
                raise FormatError(f"{path.name} has no 'nextid', which data bases of ASE have; give one of them")
            for number in range(1, int(following)):
                if number not in deleted:
                    yield _row(transaction.get(str(number).encode()), number, path)
    finally:
        environment.close()


def _check_size(path: Path, environment: Any) -> None:
    """Check that all pages are there: to read beyond the end of a mapped file would end the program.

    :raises FormatError: if they are not.
    """
    expected = (environment.info()['last_pgno'] + 1) * environment.stat()['psize']
    if (found := path.stat().st_size) < expected:
        raise FormatError(f'{path.name} is truncated: {found} of {expected} bytes; copy it again')


def _decoded(content: bytes | None, path: Path) -> Any:
    """Return a stored value, None if there is none.

    :raises FormatError: if it is no compressed JSON.
    """
    if content is None:
        return None
    try:
        return decode(zlib.decompress(content).decode())
    except (zlib.error, ValueError) as error:
        raise FormatError(f'{path.name} holds a value that is no compressed JSON ({error}); copy it again') from error


def _row(content: bytes | None, number: int, path: Path) -> Row:
    """Return the row with a number.

    :raises FormatError: if it is not there.
    """
    row = _decoded(content, path)
    if not isinstance(row, dict) or 'numbers' not in row or 'positions' not in row:
        raise FormatError(f'{path.name} has no frame under the number {number}; write the data base again')
    return row
