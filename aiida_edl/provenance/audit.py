"""Audit of an AiiDA archive for private text, and an archive without it.

An archive is a zip file: an SQLite database, files named by their checksum, and metadata. The audit reads all of it:
every text in every table, every file, and the raw bytes of the database, where deleted rows may linger. Cleaning
rewrites texts, gives changed files their new checksum, and follows the checksum wherever a node states it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aiida_edl.provenance.privacy import Finding, PrivacyRules, replace_content, search_content

DATABASE = 'db.sqlite3'
"""Name of the database in an archive."""
METADATA = 'metadata.json'
"""Name of the metadata in an archive."""
REPOSITORY = 'repo/'
"""Folder of the files in an archive."""


class ArchiveError(ValueError):
    """An archive that is none, or that must not be published; the message says why and what to do."""


@dataclass(frozen=True)
class AuditReport:
    """What an audit has read and found."""

    archive: str
    """File name of the archive."""
    n_nodes: int
    """Nodes whose attributes, extras and texts were read."""
    n_files: int
    """Files that were read, containers opened."""
    words: tuple[str, ...]
    """Names of users and hosts that were searched."""
    paths: tuple[str, ...]
    """Paths that were searched beyond the usual roots."""
    findings: tuple[Finding, ...]
    """What was found; empty if the archive may be published."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing private was found."""
        return not self.findings

    def sentence(self) -> str:
        """Return the result in one sentence."""
        read = f'{self.archive}: {self.n_nodes} nodes and {self.n_files} files read'
        if self.is_clean:
            return f'{read}, nothing private found'
        texts = sorted({finding.text for finding in self.findings})
        shown = ', '.join(f"'{text}'" for text in texts[:3]) + (', ...' if len(texts) > 3 else '')
        return f'{read}, {len(self.findings)} places hold private text: {shown}'


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive of aiida-core 2 or later.

    :raises ArchiveError: if the file is not one.
    """
    if not path.is_file() or not zipfile.is_zipfile(path):
        raise ArchiveError(
            f"'{path.name}' is not an AiiDA archive: it must be a zip file made by 'verdi archive create'"
        )
    with zipfile.ZipFile(path) as archive:
        if DATABASE not in archive.namelist():
            raise ArchiveError(f"'{path.name}' holds no {DATABASE}: migrate it with 'verdi archive migrate' first")
        yield archive


@contextlib.contextmanager
def open_database(archive: zipfile.ZipFile) -> Iterator[tuple[sqlite3.Connection, Path]]:
    """Extract the database of an archive to a temporary folder and connect to it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(archive.extract(DATABASE, folder))
        connection = sqlite3.connect(path)
        try:
            yield connection, path
        finally:
            connection.close()


def text_columns(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """Return the columns of each table that hold text."""
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    columns: dict[str, list[str]] = {}
    for table in tables:
        described = connection.execute(f'PRAGMA table_info("{table}")').fetchall()
        is_text = ('CHAR', 'TEXT', 'JSON', 'CLOB')
        columns[table] = [row[1] for row in described if any(kind in row[2].upper() for kind in is_text)]
    return columns


def persons_and_hosts(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return e-mail addresses, full names and host names that the archive itself states."""
    users = connection.execute('SELECT email, first_name, last_name FROM db_dbuser').fetchall()
    hosts = connection.execute('SELECT hostname FROM db_dbcomputer').fetchall()
    found = {email for email, _, _ in users} | {host for (host,) in hosts}
    found |= {f'{first} {last}' for _, first, last in users if first and last}
    return tuple(sorted(name for name in found if name and not name.startswith(('anonymous', 'computer_'))))


def audit_archive(path: Path, rules: PrivacyRules) -> AuditReport:
    """Search an archive for everything private.

    :param path: the archive.
    :param rules: what is private; names that the archive states of its users and computers are added.
    :raises ArchiveError: if the file is not an archive.
    """
    with open_archive(path) as archive, open_database(archive) as (connection, database):
        complete = rules.with_words(persons_and_hosts(connection))
        findings = list(_search_tables(connection, complete))
        if not findings:
            findings += [Finding(DATABASE, '', text) for text in complete.find(database.read_bytes())]
        findings += [Finding(METADATA, '', text) for text in complete.find(archive.read(METADATA))]
        n_files = 0
        owners = _owners_of_files(connection)
        for name in archive.namelist():
            if not name.startswith(REPOSITORY) or name == REPOSITORY:
                continue
            n_files += 1
            node, where = owners.get(name[len(REPOSITORY) :], ('', name))
            findings += [
                Finding(place, node, text) for place, text in search_content(archive.read(name), complete, where)
            ]
        n_nodes = connection.execute('SELECT COUNT(*) FROM db_dbnode').fetchone()[0]
    return AuditReport(path.name, n_nodes, n_files, complete.words, complete.paths, tuple(findings))


def _search_tables(connection: sqlite3.Connection, rules: PrivacyRules) -> Iterator[Finding]:
    """Yield what is private in the tables of the database."""
    for table, columns in text_columns(connection).items():
        for column in columns:
            uuid = 'uuid' if table == 'db_dbnode' else "''"
            for node, text in connection.execute(f'SELECT {uuid}, "{column}" FROM "{table}"'):
                for found in rules.find(str(text or '').encode()):
                    yield Finding(f'{table}.{column}', node, found)


def _owners_of_files(connection: sqlite3.Connection) -> dict[str, tuple[str, str]]:
    """Return for each checksum one node that has the file, and its path there."""
    owners: dict[str, tuple[str, str]] = {}
    for uuid, metadata in connection.execute('SELECT uuid, repository_metadata FROM db_dbnode'):
        for key, where in _files(json.loads(metadata or '{}')):
            owners.setdefault(key, (uuid, where))
    return owners


def _files(metadata: Mapping[str, Any], folder: str = '') -> Iterator[tuple[str, str]]:
    """Yield checksum and path of each file in the repository metadata of a node."""
    for name, entry in metadata.get('o', {}).items():
        where = f'{folder}{name}'
        if 'k' in entry:
            yield entry['k'], where
        yield from _files(entry, f'{where}/')


@dataclass(frozen=True)
class Cleaning:
    """What was changed to make an archive publishable."""

    n_texts: int
    """Texts of the database that were changed."""
    checksums: Mapping[str, str]
    """New checksum of each file that was changed, by the old one."""
    rules: PrivacyRules
    """What was replaced."""

    def apply(self, text: str) -> str:
        """Return any text as the clean archive would state it: private text and checksums replaced."""
        return _with_new_checksums(self.rules.replace_in_text(text), self.checksums)


def clean_archive(source: Path, target: Path, rules: PrivacyRules) -> Cleaning:
    """Write a copy of an archive in which nothing private is left.

    Users become ``anonymous_1@localhost``, computers ``computer_1``; paths and names are replaced everywhere, files
    included. Graph, numbers, UUIDs and times stay as they are.

    :param source: archive as AiiDA wrote it.
    :param target: where the clean one goes; an existing file is replaced.
    :param rules: what is private; names that the archive states of its users and computers are added.
    :raises ArchiveError: if the source is not an archive.
    """
    with (
        open_archive(source) as archive,
        open_database(archive) as (connection, database),
        tempfile.TemporaryDirectory() as folder,
    ):
        complete = rules.with_words(persons_and_hosts(connection))
        checksums = _clean_files(archive, Path(folder), complete)
        n_texts = _rename_persons_and_computers(connection)
        n_texts += _replace_in_tables(connection, Cleaning(0, checksums, complete))
        connection.commit()
        connection.execute('VACUUM')  # else the old texts stay in free pages
        connection.close()
        with zipfile.ZipFile(target, 'w') as clean:
            # AiiDA looks for metadata and database among the first entries.
            clean.writestr(METADATA, complete.replace_in_text(archive.read(METADATA).decode()))
            clean.write(database, DATABASE, compress_type=zipfile.ZIP_DEFLATED)
            _copy_files(archive, clean, Path(folder), checksums)
    return Cleaning(n_texts, checksums, complete)


def _files_of(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the entries of the archive that are files of nodes."""
    return [info for info in archive.infolist() if info.filename.startswith(REPOSITORY) and not info.is_dir()]


def _clean_files(archive: zipfile.ZipFile, folder: Path, rules: PrivacyRules) -> dict[str, str]:
    """Write every file that must change to a folder, named by its new checksum; return new checksums by old ones."""
    checksums: dict[str, str] = {}
    for info in _files_of(archive):
        content = archive.read(info)
        changed = replace_content(content, rules)
        if changed is not content:
            key = hashlib.sha256(changed).hexdigest()
            checksums[info.filename.removeprefix(REPOSITORY)] = key
            (folder / key).write_bytes(changed)
    return checksums


def _copy_files(archive: zipfile.ZipFile, clean: zipfile.ZipFile, folder: Path, checksums: Mapping[str, str]) -> None:
    """Copy the files, those that changed from the folder; two that have become the same are written once."""
    written: set[str] = set()
    for info in _files_of(archive):
        old = info.filename.removeprefix(REPOSITORY)
        key = checksums.get(old, old)
        if key not in written:
            written.add(key)
            content = archive.read(info) if key == old else (folder / key).read_bytes()
            clean.writestr(_renamed(info, REPOSITORY + key), content)


def _renamed(info: zipfile.ZipInfo, name: str) -> zipfile.ZipInfo:
    """Return a zip entry of another name with the same date and compression."""
    entry = zipfile.ZipInfo(name, info.date_time)
    entry.compress_type = info.compress_type
    entry.external_attr = info.external_attr
    return entry


def _rename_persons_and_computers(connection: sqlite3.Connection) -> int:
    """Give users and computers neutral names; return how many were renamed."""
    users = connection.execute('SELECT id FROM db_dbuser ORDER BY id').fetchall()
    for number, (identifier,) in enumerate(users, start=1):
        values = (f'anonymous_{number}@localhost', '', '', '', identifier)
        connection.execute(
            'UPDATE db_dbuser SET email = ?, first_name = ?, last_name = ?, institution = ? WHERE id = ?', values
        )
    computers = connection.execute('SELECT id FROM db_dbcomputer ORDER BY id').fetchall()
    for number, (identifier,) in enumerate(computers, start=1):
        name = f'computer_{number}'
        connection.execute(
            "UPDATE db_dbcomputer SET label = ?, hostname = ?, description = '' WHERE id = ?", (name, name, identifier)
        )
    return len(users) + len(computers)


def _replace_in_tables(connection: sqlite3.Connection, cleaning: Cleaning) -> int:
    """Replace private text and old checksums in all tables; return how many texts changed."""
    n_changed = 0
    for table, columns in text_columns(connection).items():
        for column in columns:
            rows = connection.execute(
                f'SELECT rowid, "{column}" FROM "{table}" WHERE "{column}" IS NOT NULL'
            ).fetchall()
            changed = [(cleaning.apply(text), row) for row, text in rows if cleaning.apply(text) != text]
            connection.executemany(f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = ?', changed)
            n_changed += len(changed)
    return n_changed


def _with_new_checksums(text: str, checksums: Mapping[str, str]) -> str:
    """Return the text with the new checksum of each changed file."""
    for old, new in checksums.items():
        if old in text:
            text = text.replace(old, new)
    return text


def without_names(report: AuditReport) -> AuditReport:
    """Return a report that may lie beside the archive: it says how many names were searched, not which."""
    return replace(report, words=(f'{len(report.words)} names',), paths=(f'{len(report.paths)} folders',))
