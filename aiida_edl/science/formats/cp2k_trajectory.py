"""Molecular dynamics of CP2K: ``PROJECT-pos-1.xyz``, ``PROJECT-frc-1.xyz``, ``PROJECT-1.cell`` and the output.

Files may have been written at different intervals: what belongs together is told by the number of the step, not by the
place in the file. Positions are in Å, forces in Ha/Bohr, energies in Ha.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from aiida_edl.science import units
from aiida_edl.science.formats.compressed import whole_lines
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.frames import Floats

COMMENT = re.compile(r'\bi\s*=\s*(\d+)(?:,\s*time\s*=\s*([-\d.]+))?(?:,\s*E\s*=\s*([-+\d.Ee]+))?')


@dataclass(frozen=True)
class XyzStep:
    """One frame of an XYZ file of CP2K, in its units."""

    number: int
    """Number of the step."""
    time: float | None
    """Time [fs]."""
    energy: float | None
    """Potential energy [Ha]."""
    symbols: tuple[bytes, ...]
    """Elements."""
    values: Floats
    """Positions or forces, shape ``(n_atoms, 3)``."""


def xyz_steps(path: Path) -> Iterator[XyzStep]:
    """Yield the whole frames of an XYZ file of CP2K; a cut one at the end is left out.

    :param path: the file; it may be compressed.
    :raises FormatError: if a frame does not say its step, or holds what is no number.
    """
    lines = whole_lines(path)
    for first in lines:
        if not first.strip().isdigit():
            raise FormatError(f'{path.name} has {first[:20]!r} where a number of atoms is expected; it is damaged')
        n_atoms = int(first)
        comment = next(lines, b'').decode(errors='replace')
        rows = [row.split() for _, row in zip(range(n_atoms), lines)]
        if len(rows) < n_atoms:
            return
        found = COMMENT.search(comment)
        if found is None:
            raise FormatError(f"{path.name} does not name its steps ('i = ...'); give the file that CP2K wrote")
        try:
            time, energy = (None if word is None else float(word) for word in found.groups()[1:])
            values = np.array([[float(word) for word in row[1:4]] for row in rows]).reshape(n_atoms, 3)
        except ValueError as error:
            raise FormatError(f'{path.name}: step {found[1]} holds what is no number; the file is damaged') from error
        yield XyzStep(
            number=int(found[1]),
            time=time,
            energy=energy,
            symbols=tuple(row[0] for row in rows),
            values=values,
        )


@dataclass(frozen=True)
class TrajectoryStep:
    """One step with positions and forces."""

    number: int
    """Number of the step."""
    time: float
    """Time [fs]; NaN if the file does not say."""
    numbers: NDArray[np.uint8]
    """Atomic numbers, shape ``(n_atoms,)``."""
    positions: Floats
    """Positions [Å], shape ``(n_atoms, 3)``."""
    forces: Floats
    """Forces [eV/Å], shape ``(n_atoms, 3)``."""
    energy: float
    """Energy [eV]; NaN if the file does not say."""
    is_repeated: bool
    """Whether this step, or a later one, came before: the run was started again."""


def trajectory_steps(positions: Path, forces: Path) -> Iterator[TrajectoryStep]:
    """Yield the steps that both files have, in the order of the file of forces.

    A run that was started again may hold a step twice; the energies that both files name tell which belong together.

    :param positions: ``PROJECT-pos-1.xyz``, held in memory.
    :param forces: ``PROJECT-frc-1.xyz``.
    :raises FormatError: if a file is damaged, or both are of different atoms.
    """
    places = {(step.number, step.energy): step for step in xyz_steps(positions)}
    latest = -1
    for force in xyz_steps(forces):
        place = places.get((force.number, force.energy))
        if place is None:
            continue
        if place.symbols != force.symbols:
            raise FormatError(f'{positions.name} and {forces.name} are of different atoms in step {force.number}')
        yield TrajectoryStep(
            number=force.number,
            time=np.nan if place.time is None else place.time,
            numbers=np.array([_number_of(symbol, positions) for symbol in place.symbols], dtype=np.uint8),
            positions=place.values,
            forces=force.values * (units.HARTREE / units.BOHR),
            energy=np.nan if place.energy is None else place.energy * units.HARTREE,
            is_repeated=force.number <= latest,
        )
        latest = max(latest, force.number)


def read_cells(path: Path) -> dict[int, Floats]:
    """Return the cell vectors of each step [Å].

    :param path: ``PROJECT-1.cell``; it may be compressed, and cut.
    :raises FormatError: if it is no such file.
    """
    cells: dict[int, Floats] = {}
    for line in whole_lines(path):
        words = line.split()
        if words and not words[0].startswith(b'#'):
            try:
                cells[int(words[0])] = np.array([float(word) for word in words[2:11]]).reshape(3, 3)
            except ValueError as error:
                raise FormatError(f'{path.name} is no file of cells of CP2K: {line[:40]!r}; give another') from error
    return cells


def _number_of(symbol: bytes, path: Path) -> int:
    """Return the atomic number of a kind of atom, which may carry digits or an underscore behind its element."""
    name = re.split(r'[\d_]', symbol.decode(errors='replace'))[0]
    if name.capitalize() not in atomic_numbers:
        raise FormatError(f"{path.name} has a kind '{name}', which is no element; give a file that names elements")
    return int(atomic_numbers[name.capitalize()])
