"""Files as programs leave them on disk: plain, or compressed by gzip, bzip2 or xz; and cut at any byte."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

SUFFIXES = ('', '.gz', '.bz2', '.xz')
"""What may follow the name of a file; the first that exists is taken."""
CUT = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
"""What reading a compressed file raises that was cut or damaged."""

NEWLINE = ord('\n')


def open_compressed(path: Path) -> IO[bytes]:
    """Return a file opened for reading, decompressed if its name says that it is compressed.

    :param path: the file.
    """
    if path.suffix == '.gz':
        return cast('IO[bytes]', gzip.open(path, 'rb'))
    if path.suffix == '.bz2':
        return cast('IO[bytes]', bz2.open(path, 'rb'))
    if path.suffix == '.xz':
        return cast('IO[bytes]', lzma.open(path, 'rb'))
    return path.open('rb', buffering=1 << 20)


def find_compressed(folder: Path, name: str) -> Path | None:
    """Return a file of a folder, compressed or not; None if there is none.

    :param folder: the folder.
    :param name: name of the file without the suffix of a compression.
    """
    return next((path for path in (folder / f'{name}{suffix}' for suffix in SUFFIXES) if path.is_file()), None)


def bare_name(path: Path) -> str:
    """Return the name of a file without the suffix of a compression.

    >>> bare_name(Path('run/OUTCAR.gz')), bare_name(Path('vasprun.xml'))
    ('OUTCAR', 'vasprun.xml')
    """
    return path.stem if path.suffix in SUFFIXES[1:] else path.name


def whole_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file that end in a newline: where it was cut, in the text or in the compression, they end.

    :param path: the file.
    """
    with open_compressed(path) as handle:
        try:
            for line in handle:
                if line[-1] != NEWLINE:
                    return
                yield line
        except CUT:
            return
