"""What must not be published about the machines and persons behind a study: how it is found and how it is replaced.

Two replacements exist. Text, which only people read, gets a readable stand-in: ``/home/jane/env/bin/lmp`` becomes
``/anonymous/lmp``. Binary content, in which lengths are stored, gets one of equal length: every letter becomes ``x``.
Zip containers (``.npz``, model files of torch) are opened, because compressed text is text as well.
"""

from __future__ import annotations

import getpass
import gzip
import io
import json
import re
import socket
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PRIVATE_ROOTS = (
    *('/home', '/root', '/work', '/tmp', '/var/tmp'),
    *('/Users', '/var/folders', '/scratch', '/gpfs', '/lustre', '/mnt'),
)
"""Folders below which paths tell about a person or a machine."""
ANONYMOUS_ROOT = '/anonymous'
"""Where replaced paths point to; the folder need not exist."""
COMMON_WORDS = frozenset({'root', 'user', 'users', 'ubuntu', 'debian', 'admin', 'aiida', 'runner', 'localhost', 'none'})
"""User and host names that identify nobody and are words of the trade (``root-mean-square``); they are not searched."""
MINIMUM_WORD_LENGTH = 3
"""Shorter names would be found by chance; they are not searched."""
MINIMUM_WORD_LENGTH_IN_BINARY = 6
"""Shorter names are not searched in binary content."""
MINIMUM_NAME_LENGTH_IN_BINARY = 2
"""Letters that must follow a private folder in binary content."""
STORAGE_ALIGNMENT = 64
"""Bytes at which torch aligns the arrays of a model file."""


@dataclass(frozen=True)
class Finding:
    """One private string and where it is."""

    where: str
    """Table and column, or path of a file in its node; ``!`` leads into a container."""
    node: str
    """UUID of the node; empty if it belongs to none."""
    text: str
    """What was found."""


@dataclass(frozen=True)
class PrivacyRules:
    """What counts as private."""

    words: tuple[str, ...] = ()
    """Names of users and hosts, e-mail addresses."""
    paths: tuple[str, ...] = ()
    """Absolute paths beyond :data:`PRIVATE_ROOTS`, e.g. the folder of the project."""

    @classmethod
    def of_this_machine(cls, words: Iterable[str] = (), paths: Iterable[str] = ()) -> PrivacyRules:
        """Return rules that know the user, the host, the home and the current folder of this machine.

        :param words: further words.
        :param paths: further absolute paths.
        """
        found = {getpass.getuser(), socket.gethostname(), socket.getfqdn(), *words}
        folders = {str(Path.home()), str(Path.cwd()), *paths}
        return cls(words=tuple(sorted(found)), paths=tuple(sorted(folders))).checked()

    def checked(self) -> PrivacyRules:
        """Return rules without words that identify nobody and without paths as general as ``/`` or ``/usr``."""
        words = {word for word in self.words if self.is_telling(word)}
        paths = {path.rstrip('/') for path in self.paths if path.startswith('/')}
        telling = {path for path in paths if path.count('/') > 1 or path in PRIVATE_ROOTS}
        return PrivacyRules(words=tuple(sorted(words)), paths=tuple(sorted(telling)))

    def with_words(self, words: Iterable[str]) -> PrivacyRules:
        """Return rules that know further words."""
        return PrivacyRules(words=(*self.words, *words), paths=self.paths).checked()

    @staticmethod
    def is_telling(word: str) -> bool:
        """Whether a user or host name identifies somebody."""
        return len(word) >= MINIMUM_WORD_LENGTH and word.lower() not in COMMON_WORDS

    @cached_property
    def pattern(self) -> re.Pattern[bytes]:
        """Regular expression of everything private, for bytes.

        A path begins after a character that cannot belong to a name, so that ``kcal/work`` is not one; compiler
        options such as ``-L/home`` are, and so is what follows an escaped line break in JSON.
        """
        roots = sorted({*PRIVATE_ROOTS, *self.paths}, key=len, reverse=True)
        begin = rb'(?:(?<![\w.~])|(?<=-[IL])|(?<=\\[nrt]))'
        path = (
            begin + rb'(?:' + b'|'.join(re.escape(root.encode()) for root in roots) + rb')(?![\w-])(?:/[\w.+@%=~-]+)*'
        )
        written = {name for word in self.words for name in (word, json.dumps(word)[1:-1])}
        if not written:
            return re.compile(path)
        names = b'|'.join(re.escape(name.encode()) for name in sorted(written, key=len, reverse=True))
        word = rb'(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))(?i:' + names + rb')(?![A-Za-z0-9])'
        return re.compile(path + rb'|' + word)

    @cached_property
    def _literals(self) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """Roots, and words in lower case: one of them is in everything that is private."""
        roots = tuple(root.encode() for root in {*PRIVATE_ROOTS, *self.paths})
        written = {name for word in self.words for name in (word, json.dumps(word)[1:-1])}
        return roots, tuple(name.encode().lower() for name in written)

    def may_hold(self, content: bytes) -> bool:
        """Whether it is worth searching some bytes; far faster than the regular expression on numbers."""
        roots, words = self._literals
        return _holds_any(content, roots) or _holds_any(content.lower(), words)

    def find(self, content: bytes) -> list[str]:
        """Return everything private in plain bytes, once each, in order."""
        if not self.may_hold(content):
            return []
        found = dict.fromkeys(match.group().decode(errors='replace') for match in self.pattern.finditer(content))
        return list(found)

    def is_certain(self, found: bytes) -> bool:
        """Whether a match in binary content is no accident: random numbers contain every short word somewhere.

        In 1 GB, three given letters occur 60 times, ``/tmp/`` and two more letters with odds of 1 in 10^4.
        """
        if not found.startswith(b'/'):
            return len(found) >= MINIMUM_WORD_LENGTH_IN_BINARY
        root = max((root for root in (*PRIVATE_ROOTS, *self.paths) if found.startswith(root.encode())), key=len)
        return len(found) > len(root) + MINIMUM_NAME_LENGTH_IN_BINARY

    def find_in_binary(self, content: bytes) -> list[str]:
        """Return everything private in binary content, also in texts of two or four bytes a letter."""
        found: dict[str, None] = {}
        for form in filter(self.may_hold, (content, content.replace(b'\0', b''))):
            matches = (match.group() for match in self.pattern.finditer(form))
            found |= dict.fromkeys(match.decode(errors='replace') for match in matches if self.is_certain(match))
        return list(found)

    def replace_in_text(self, text: str) -> str:
        """Return the text with readable stand-ins.

        >>> PrivacyRules(words=('jane',)).replace_in_text('jane runs /home/jane/bin/lmp')
        'anonymous runs /anonymous/lmp'

        :param text: any text, JSON included.
        """

        def stand_in(match: re.Match[bytes]) -> bytes:
            found = match.group()
            if not found.startswith(b'/'):
                return b'anonymous'
            name = found.rsplit(b'/', 1)[1]
            is_telling = found.decode() in {*PRIVATE_ROOTS, *self.paths} or self.pattern.search(name)
            return ANONYMOUS_ROOT.encode() + (b'' if is_telling else b'/' + name)

        return self.pattern.sub(stand_in, text.encode()).decode()

    def replace_in_bytes(self, content: bytes) -> bytes:
        r"""Return binary content with stand-ins of equal length.

        >>> PrivacyRules().replace_in_bytes(b'\x0e/home/jane/a.b')
        b'\x0e/xxxx/xxxx/xxx'
        """

        def stand_in(match: re.Match[bytes]) -> bytes:
            found = match.group()
            return re.sub(rb'[^/]', b'x', found) if self.is_certain(found) else found

        return self.pattern.sub(stand_in, content)


def _holds_any(content: bytes, literals: tuple[bytes, ...]) -> bool:
    return any(literal in content for literal in literals)


def is_text(content: bytes) -> bool:
    """Whether content is text that people read: UTF-8 without a null byte."""
    if b'\0' in content:
        return False
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_zip(content: bytes) -> bool:
    """Whether content is a zip container."""
    return content[:4] == b'PK\x03\x04' and zipfile.is_zipfile(io.BytesIO(content))


def search_content(content: bytes, rules: PrivacyRules, where: str = '') -> Iterator[tuple[str, str]]:
    """Yield where and what is private in a file, opening zip and gzip containers.

    :param content: the file.
    :param rules: what is private.
    :param where: path of the file.
    """
    if is_zip(content):
        with zipfile.ZipFile(io.BytesIO(content)) as container:
            for info in container.infolist():
                inside = f'{where}!{info.filename}'
                yield from ((inside, found) for found in rules.find(info.filename.encode()))
                yield from search_content(container.read(info), rules, inside)
        return
    if content[:2] == b'\x1f\x8b':
        yield from _search_gzip(content, rules, where)
        return
    find = rules.find if is_text(content) else rules.find_in_binary
    yield from ((where, found) for found in find(content))


def _search_gzip(content: bytes, rules: PrivacyRules, where: str) -> Iterator[tuple[str, str]]:
    """Search the content of a gzip file; one that cannot be opened is searched as it is."""
    try:
        inside = gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        yield from ((where, found) for found in rules.find_in_binary(content))
        return
    yield from search_content(inside, rules, f'{where}!')


def replace_content(content: bytes, rules: PrivacyRules) -> bytes:
    """Return a file without anything private; the same bytes if there was nothing.

    :param content: the file.
    :param rules: what is private.
    """
    if not any(True for _ in search_content(content, rules)):
        return content
    if is_zip(content):
        return _replace_in_zip(content, rules)
    if content[:2] == b'\x1f\x8b':
        return gzip.compress(replace_content(gzip.decompress(content), rules), mtime=0)
    if is_text(content):
        return rules.replace_in_text(content.decode()).encode()
    return rules.replace_in_bytes(content)


def _replace_in_zip(content: bytes, rules: PrivacyRules) -> bytes:
    """Return a zip container with cleaned members; order, dates, compression and alignment of arrays are kept."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, 'w') as new:
        for info in old.infolist():
            member = old.read(info)
            clean = _replace_in_member(member, rules)
            entry = zipfile.ZipInfo(rules.replace_in_text(info.filename), info.date_time)
            entry.compress_type = info.compress_type
            entry.external_attr = info.external_attr
            if info.compress_type == zipfile.ZIP_STORED:
                entry.extra = _alignment_padding(target.tell(), entry.filename)
            new.writestr(entry, clean)
    return target.getvalue()


def _replace_in_member(member: bytes, rules: PrivacyRules) -> bytes:
    """Return a cleaned member of a container, of the same length unless it is a container itself."""
    if is_zip(member):
        return _replace_in_zip(member, rules)
    if is_text(member):
        return rules.pattern.sub(lambda match: re.sub(rb'[^/]', b'x', match.group()), member)
    return rules.replace_in_bytes(member)


def _alignment_padding(position: int, name: str) -> bytes:
    """Return an extra field after which the data of a stored member begin at a multiple of 64 bytes.

    :param position: where the local header of the member begins.
    :param name: name of the member.
    """
    header_bytes, field_bytes = 30, 4
    padding = -(position + header_bytes + len(name.encode()) + field_bytes) % STORAGE_ALIGNMENT
    return b'FB' + padding.to_bytes(2, 'little') + b'Z' * padding
