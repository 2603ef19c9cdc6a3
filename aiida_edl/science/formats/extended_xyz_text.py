"""The text of an extended XYZ file: frames as they stand in it, keys and numbers uninterpreted.

Parsed here and not by ``ase.io.read``, which moves energies, forces, stress and charges into a calculator, renames keys
on the way, stops at a stress of six values and cannot tell which frame is truncated.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.frame_collection import BadFrame

PAIR = re.compile(
    r"""(?P<key>[^\s=]+)\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|\[(?P<list>[^\]]*)\]|\{(?P<set>[^}]*)\}|(?P<bare>\S+))"""
)
"""One ``key=value`` of the comment line; the value may stand in quotes or brackets."""
COMPRESSED = '.gz'
"""Suffix of files that are decompressed on the way."""
FIRST_KEYS = ('Lattice=', 'Properties=', 'pbc=')
"""What a comment line after a truncated frame is known by."""
QUOTED = frozenset(' \t="\'{}[],')
"""Characters for which a value is quoted."""
FORBIDDEN_IN_KEYS = frozenset(' \t\n="\'{}[],:')


@dataclass(frozen=True)
class RawFrame:
    """One frame as it stands in the file."""

    info: Mapping[str, str]
    """Text of each value of the comment line, without quotes, by key."""
    properties: Mapping[str, NDArray[Any]]
    """Columns of the atom lines by name, shape ``(n_atoms, width)``: numbers, or words."""


class _Lines:
    """Lines of a file, of which some may be put back."""

    def __init__(self, handle: IO[str]) -> None:
        self._handle = handle
        self._waiting: list[str] = []
        self.number = 0

    def take(self) -> str:
        """Return the next line, ``''`` at the end."""
        line = self._waiting.pop() if self._waiting else self._handle.readline()
        self.number += bool(line)
        return line

    def put_back(self, lines: Sequence[str]) -> None:
        """Let these lines come next."""
        self._waiting.extend(reversed(lines))
        self.number -= len(lines)


def raw_frames(path: Path) -> Iterator[RawFrame | BadFrame]:
    """Yield the frames of a file; after one that is broken, go on where the next begins.

    :param path: the file.
    """
    index = 0
    is_compressed = path.suffix == COMPRESSED
    try:
        with gzip.open(path, 'rt', encoding='utf-8') if is_compressed else path.open(encoding='utf-8') as handle:
            lines = _Lines(handle)
            while header := lines.take():
                if header.strip():
                    yield _next_frame(lines, header, f'{path.name}: frame {index}')
                    index += 1
    except UnicodeDecodeError as error:
        raise FormatError(f'{path.name} is no text ({error.reason}); give an extended XYZ file') from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FormatError(f'{path.name} is truncated or not compressed ({error}); copy it again') from error


def _next_frame(lines: _Lines, header: str, where: str) -> RawFrame | BadFrame:
    """Return the frame that a line begins."""
    if not header.strip().isdigit() or int(header) < 1:
        bad = BadFrame(
            f'{where} starts at line {lines.number} with {header.strip()[:40]!r} where a number of atoms is '
            'expected; the frame before it may be truncated'
        )
        _skip_to_next_header(lines)
        return bad
    comment = lines.take()
    taken = [line for line in (lines.take() for _ in range(int(header))) if line]
    parsed, n_good = _parsed(where, int(header), comment, [line.split() for line in taken])
    if isinstance(parsed, BadFrame) and n_good < len(taken):
        lines.put_back(taken[n_good:])
        _skip_to_next_header(lines)
    return parsed


def _skip_to_next_header(lines: _Lines) -> None:
    """Take lines until the next two are a number of atoms and a comment line."""
    while line := lines.take():
        if not line.strip().isdigit():
            continue
        comment = lines.take()
        if any(key in comment for key in FIRST_KEYS):
            lines.put_back([line, comment])
            return
        lines.put_back([comment] if comment else [])


def _parsed(where: str, n_atoms: int, comment: str, rows: Sequence[list[str]]) -> tuple[RawFrame | BadFrame, int]:
    """Return one frame with its properties as arrays, and how many of its lines have the fields they should."""
    info = comment_texts(comment)
    layout = info.get('Properties', 'species:S:1:pos:R:3').split(':')
    if len(layout) % 3 or not all(width.isdigit() for width in layout[2::3]):
        return BadFrame(f'{where} has Properties={":".join(layout)}; give name:kind:width for each column'), len(rows)
    widths = [int(width) for width in layout[2::3]]
    n_fields = sum(widths)
    found = next((number for number, row in enumerate(rows) if len(row) != n_fields), len(rows))
    if found < n_atoms:
        return BadFrame(
            f'{where} is truncated: {found} of {n_atoms} atom lines have {n_fields} fields; remove the frame or '
            'copy the file again'
        ), found
    columns = list(zip(*rows))
    properties, start = {}, 0
    for name, kind, width in zip(layout[::3], layout[1::3], widths):
        block = columns[start : start + width]
        start += width
        try:
            properties[name] = _block(block, kind)
        except ValueError:
            words = [word for column in block for word in column if numbers_or_none([word]) is None]
            return BadFrame(f"{where} has {words[0]!r} in '{name}', which is no number; mend the file"), found
    return RawFrame(info=info, properties=properties), found


def _block(columns: Sequence[Sequence[str]], kind: str) -> NDArray[Any]:
    """Return columns of words as an array.

    :raises ValueError: if a word of a column of numbers is none.
    """
    if kind == 'R':
        numbers = np.array([[*map(float, column)] for column in columns], dtype=np.float64)
        return np.ascontiguousarray(numbers.T)
    if kind == 'I':
        return np.array([[*map(int, column)] for column in columns], dtype=np.int64).T
    return np.array(columns).T


def comment_texts(comment: str) -> dict[str, str]:
    """Return the text of each value of a comment line.

    :param comment: the line.
    """
    return {
        match['key']: next(text for name, text in match.groupdict().items() if name != 'key' and text is not None)
        for match in PAIR.finditer(comment)
    }


def value_of(text: str) -> Any:
    """Return what a text means: a number, a truth value, an array of them, or itself.

    >>> value_of('3'), value_of('T'), value_of('m05')
    (3, True, 'm05')

    :param text: text of a value.
    """
    words = re.split(r'[\s,]+', text.strip())
    if all(word in ('T', 'F', 'True', 'False') for word in words):
        array: NDArray[Any] = np.array([word[0] == 'T' for word in words])
    else:
        numbers = numbers_or_none(words)
        if numbers is None:
            return text
        array = numbers
    return array if len(array) > 1 else array[0].item()


def numbers_or_none(words: Sequence[str]) -> NDArray[Any] | None:
    """Return words as integers, else as floats; None if one is no number.

    :param words: the words.
    """
    for kind in (np.int64, np.float64):
        try:
            return np.array(words, dtype=kind)
        except (ValueError, OverflowError):
            continue
    return None


def text_of(value: Any) -> str:
    """Return a value as it stands in a comment line, quoted where needed, with digits enough to be read back.

    :param value: number, truth value, string or array of numbers.
    :raises FormatError: for a string that has both kinds of quotes or more than one line.
    """
    if isinstance(value, np.ndarray):
        return '"' + ' '.join(map(repr, value.ravel().tolist())) + '"'
    text = repr(float(value)) if isinstance(value, float | np.floating) else str(value)
    if len(text.splitlines()) > 1 or text.endswith('\n') or ('"' in text and "'" in text):
        raise FormatError(f'{text!r} cannot stand in an extended XYZ file; rename it without line breaks and quotes')
    if text and not QUOTED.intersection(text):
        return text
    return f"'{text}'" if '"' in text else f'"{text}"'


def check_key(key: str) -> None:
    """Check that a name can be a key of a comment line.

    :param key: the name.
    :raises FormatError: if it cannot.
    """
    if not key or FORBIDDEN_IN_KEYS.intersection(key):
        raise FormatError(f'{key!r} cannot be a key of an extended XYZ file; rename it to one word')
