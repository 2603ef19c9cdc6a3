"""Read what LAMMPS leaves behind: thermodynamic output in the log, and text dumps; truncated files are read up to the
last complete line or snapshot. Values stay in the units of the run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.frames import Floats

ERROR = re.compile(r'^ERROR.*$', re.MULTILINE)
WALL_TIME = re.compile(r'^Total wall time: (\d+):(\d+):(\d+)', re.MULTILINE)
VERSION = re.compile(r'^LAMMPS \((.+?)\)', re.MULTILINE)


@dataclass(frozen=True)
class Log:
    """Content of a log file."""

    text: str
    """The file as it is."""
    version: str
    """Version as LAMMPS prints it, e.g. ``'22 Jul 2025 - Update 4'``; ``''`` if the log does not say."""
    error: str
    """First line that begins with ``ERROR``; ``''`` if there is none."""
    wall_seconds: float
    """Wall time of the run, which LAMMPS gives in whole seconds [s]; NaN if the log has no end."""
    columns: Mapping[str, Floats]
    """Thermodynamic output of all runs in the log that print the same columns, by header, each of shape ``(n_rows,)``;
    a step printed twice counts once."""


@dataclass(frozen=True)
class Snapshot:
    """One snapshot of a text dump."""

    step: int
    """Time step."""
    columns: tuple[str, ...]
    """Names of the columns."""
    rows: NDArray[np.str_]
    """Values as text in the order of the file, shape ``(n_atoms, n_columns)``."""
    bounds: tuple[str, str, str] = ('', '', '')
    """Lines that bound the box along x, y and z."""

    def values(self, *names: str) -> Floats:
        """Return columns as numbers, shape ``(n_atoms, len(names))``.

        :param names: names of columns.
        """
        return self.rows[:, [self.columns.index(name) for name in names]].astype(np.float64)

    def box(self) -> tuple[Floats, Floats]:
        """Return cell vectors as rows, shape ``(3, 3)``, and the corner from which they begin, shape ``(3,)``.

        Of a tilted box the file bounds the smallest orthogonal one around it.
        """
        numbers = np.array([line.split() for line in self.bounds], dtype=np.float64)
        xy, xz, yz = numbers[:, 2] if numbers.shape[1] == 3 else (0.0, 0.0, 0.0)
        low, high = numbers[:, 0].copy(), numbers[:, 1].copy()
        low -= [min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0]
        high -= [max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0]
        x, y, z = high - low
        return np.array([[x, 0.0, 0.0], [xy, y, 0.0], [xz, yz, z]]), low


def read_log(path: Path) -> Log:
    """Read a log file; a last line that was cut short is left out.

    :param path: the log file.
    """
    text = path.read_text(errors='replace')
    wall = WALL_TIME.search(text)
    version, error = VERSION.search(text), ERROR.search(text)
    header: list[str] = []
    rows: dict[int, list[float]] = {}
    is_table = False
    for line in text.splitlines(keepends=True):
        fields = line.split()
        if fields[:1] == ['Step']:
            if header and fields != header:
                rows = {}
            header, is_table = fields, True
        elif line.startswith('Loop time'):
            is_table = False
        elif is_table and len(fields) == len(header) and line.endswith('\n') and fields[0].isdigit():
            rows[int(fields[0])] = [float(field) for field in fields]
    table = np.array([rows[step] for step in sorted(rows)]).reshape(-1, max(len(header), 1))
    return Log(
        text=text,
        version=version.group(1) if version else '',
        error=error.group(0).strip() if error else '',
        wall_seconds=sum(float(part) * 60.0**k for k, part in enumerate(wall.groups()[::-1])) if wall else float('nan'),
        columns={name: table[:, index] for index, name in enumerate(header)},
    )


def read_dump(path: Path) -> Iterator[Snapshot]:
    """Iterate over the complete snapshots of a text dump; stop at the first one that was cut short.

    :param path: the dump file.
    """
    with path.open() as handle:
        while (snapshot := _read_snapshot(handle)) is not None:
            yield snapshot


def _read_snapshot(handle: TextIO) -> Snapshot | None:
    """Return the next snapshot, or None at the end of the file or of its readable part."""
    head = list(islice(handle, 9))
    if len(head) < 9 or not head[8].endswith('\n'):
        return None
    n_atoms, columns = int(head[3]), tuple(head[8].split()[2:])
    lines = list(islice(handle, n_atoms))
    if len(lines) < n_atoms or not lines[-1].endswith('\n'):
        return None
    rows = np.array([line.split() for line in lines])
    x, y, z = head[5:8]
    return Snapshot(step=int(head[1]), columns=columns, rows=rows, bounds=(x, y, z))


def write_dump_snapshot(step: int, box_lengths: Floats, types: NDArray[np.int64], positions: Floats) -> str:
    """Return a snapshot in the form that the commands ``rerun`` and ``read_dump`` read, for a box that begins at 0.

    :param step: time step.
    :param box_lengths: lengths of the orthogonal box [Å], shape ``(3,)``; periodic in the first two.
    :param types: atom types, shape ``(n_atoms,)``.
    :param positions: positions inside the box [Å], shape ``(n_atoms, 3)``.
    """
    lines = ['ITEM: TIMESTEP', str(step), 'ITEM: NUMBER OF ATOMS', str(len(types)), 'ITEM: BOX BOUNDS pp pp ff']
    lines += [f'0 {length:.12g}' for length in box_lengths]
    lines.append('ITEM: ATOMS id type x y z')
    lines += [f'{i} {t} {x:.12g} {y:.12g} {z:.12g}' for i, (t, (x, y, z)) in enumerate(zip(types, positions), start=1)]
    return '\n'.join(lines) + '\n'
