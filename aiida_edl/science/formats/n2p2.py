"""The data file of n2p2 and RuNNer, ``input.data``: blocks of ``begin``, ``lattice``, ``atom``, ``energy``, ``end``.

The format has no units; RuNNer's users write Bohr and Hartree, others Å and eV, so both must be stated. The unit of the
forces is that of the energy over that of the length. Source: documentation of n2p2, section "Data set file".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.formats.base import DatasetFormat
from aiida_edl.science.formats.file_units import UNITS, FileUnits, FormatError
from aiida_edl.science.formats.frame_collection import BadFrame
from aiida_edl.science.frames import Frame, FrameSet

FILE = 'input.data'
ATOM_FIELDS = 9
"""x y z, element, charge, one number that is not used, and the force."""
BEGIN = b'begin'


@dataclass(frozen=True)
class N2p2ReadOptions:
    """What must and may be stated to read a data file of n2p2."""

    length_unit: str
    """``angstrom`` or ``bohr``."""
    energy_unit: str
    """``eV``, ``hartree`` or ``kcal/mol``; forces are in this over ``length_unit``."""
    labels: tuple[str, ...] = ('energies', 'forces')
    """Which of energies, forces and charges are read; files hold zeros for what nobody calculated."""
    columns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Further numbers of a block: ``{'charge': 'total_charge'}`` stores the total charge as a column."""

    def __post_init__(self) -> None:
        """Check units and labels.

        :raises FormatError: for an unknown one, with the nearest.
        """
        for quantity, name in (('length', self.length_unit), ('energy', self.energy_unit)):
            if name not in UNITS[quantity]:
                raise FormatError(unknown_name_message(f'unit of {quantity}', name, list(UNITS[quantity])))
        for name in self.labels:
            if name not in N2p2.held_labels:
                raise FormatError(unknown_name_message('label of n2p2', name, list(N2p2.held_labels)))

    def units(self) -> FileUnits:
        """Return the units as factors to the house units."""
        length, energy = UNITS['length'][self.length_unit], UNITS['energy'][self.energy_unit]
        return FileUnits(energy=energy, length=length, force=energy / length)


@dataclass(frozen=True)
class N2p2WriteOptions:
    """The options to write a data file: none, it is in Å and eV; n2p2 takes any units that fit together."""


class N2p2(DatasetFormat):
    """Text with one line an atom, in blocks."""

    name: ClassVar[str] = 'n2p2'
    title: ClassVar[str] = 'n2p2 and RuNNer: input.data'
    read_options_class: ClassVar[type] = N2p2ReadOptions
    write_options_class: ClassVar[type | None] = N2p2WriteOptions
    held_labels: ClassVar[tuple[str, ...]] = ('energies', 'forces', 'charges')
    required_labels: ClassVar[tuple[str, ...]] = ('energies', 'forces')
    holds_columns: ClassVar[bool] = False
    precision: ClassVar[str] = 'double, digit for digit'
    unit_convention: ClassVar[str] = (
        'none in the file, so length_unit and energy_unit must be stated; written in Å and eV'
    )
    takes_units: ClassVar[bool] = False

    def recognises(self, source: Path) -> bool:
        """Return whether it has the usual name or begins as such files do."""
        if not source.is_file() or source.suffix != '.data':
            return False
        with source.open('rb') as handle:
            return handle.read(len(BEGIN)) == BEGIN

    def frames(self, source: Path, options: N2p2ReadOptions, units: FileUnits) -> Iterator[Frame | BadFrame]:
        """Yield the frames, block by block."""
        for index, block in enumerate(_blocks(source)):
            where = f'{source.name}: frame {index}'
            try:
                yield _frame(block, options, where)
            except FormatError as error:
                yield BadFrame(str(error))

    def losses(self, frames: FrameSet, options: N2p2WriteOptions) -> dict[str, str]:
        """Return also periodicity along some directions only, and cells of frames without periodicity."""
        lost = super().losses(frames, options)
        has_any, has_all = frames.pbc.any(axis=1), frames.pbc.all(axis=1)
        if np.any(has_any != has_all):
            lost['pbc'] = 'n2p2 knows frames that are periodic in all directions or in none'
        if frames.cells[~has_any].any():
            lost['cell'] = 'a frame with a lattice is periodic in n2p2'
        return lost

    def written(self, frames: FrameSet, options: N2p2WriteOptions) -> dict[str, bytes]:
        """Return one file, with zeros for charges that are not there."""
        lines: list[str] = []
        for index, frame in enumerate(frames):
            forces = np.asarray(frame.forces)
            charges = np.zeros(len(frame.numbers)) if frame.charges is None else frame.charges
            lines += ['begin', f'comment frame {index}, in angstrom and eV']
            if frame.pbc.any():
                lines += ['lattice ' + ' '.join(map(repr, row)) for row in frame.cell.tolist()]
            lines += [
                f'atom {x!r} {y!r} {z!r} {chemical_symbols[number]} {charge!r} 0.0 {fx!r} {fy!r} {fz!r}'
                for (x, y, z), number, charge, (fx, fy, fz) in zip(
                    frame.positions.tolist(), frame.numbers.tolist(), charges.tolist(), forces.tolist()
                )
            ]
            lines += [f'energy {frame.energy!r}', f'charge {float(charges.sum())!r}', 'end']
        return {FILE: ('\n'.join(lines) + '\n').encode()}

    def read_back_options(self, frames: FrameSet, options: N2p2WriteOptions) -> dict[str, Any]:
        """Return the labels that are not zeros in place of something."""
        labels = tuple(name for name in self.held_labels if getattr(frames, name) is not None)
        return {'length_unit': 'angstrom', 'energy_unit': 'eV', 'labels': labels}


def _blocks(source: Path) -> Iterator[list[list[str]]]:
    """Yield the words of the lines of each block; a block without end is one too, and lacks the word ``end``."""
    block: list[list[str]] | None = None
    with source.open(encoding='utf-8', errors='replace') as handle:
        for line in handle:
            words = line.split()
            if not words:
                continue
            if words[0] == 'begin':
                if block is not None:
                    yield block
                block = []
            elif block is None:
                raise FormatError(f"{source.name} has '{line.strip()[:40]}' before 'begin'; give a data file of n2p2")
            else:
                block.append(words)
                if words[0] == 'end':
                    yield block
                    block = None
    if block is not None:
        yield block


def _frame(block: list[list[str]], options: N2p2ReadOptions, where: str) -> Frame:
    """Return the frame of a block in house units.

    :raises FormatError: if the block is cut or a line is not as it should be.
    """
    if not block or block[-1] != ['end']:
        raise FormatError(f"{where} is truncated: its block has no 'end'; remove it or copy the file again")
    lines: dict[str, list[list[str]]] = {}
    for key, *words in block:
        lines.setdefault(key, []).append(words)
    atoms, lattice, units = lines.get('atom', []), lines.get('lattice', []), options.units()
    if not atoms or any(len(words) != ATOM_FIELDS for words in atoms):
        raise FormatError(f"{where} has lines 'atom' that are none or have other than {ATOM_FIELDS} fields; mend them")
    if len(lattice) not in (0, 3):
        raise FormatError(f"{where} has {len(lattice)} lines 'lattice'; give three, or none if nothing is periodic")
    try:
        table = np.array([[float(word) for word in (*words[:3], *words[4:])] for words in atoms])
        cell = np.array([[float(word) for word in words] for words in lattice]).reshape(-1, 3)
        numbers = np.array([atomic_numbers[words[3]] for words in atoms], dtype=np.uint8)
        energy = _number(lines, 'energy', where) if 'energies' in options.labels else None
        columns = {column: _number(lines, key, where) for key, column in options.columns.items()}
    except (ValueError, KeyError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f'{where} has {error}, which is no number or element; mend the file') from error
    return Frame(
        numbers=numbers,
        positions=table[:, :3] * units.length,
        cell=cell * units.length if len(cell) else np.zeros((3, 3)),
        pbc=np.full(3, bool(lattice)),
        energy=None if energy is None else energy * units.energy,
        forces=table[:, 5:8] * units.force if 'forces' in options.labels else None,
        charges=table[:, 3] if 'charges' in options.labels else None,
        columns=columns,
    )


def _number(lines: Mapping[str, list[list[str]]], key: str, where: str) -> float:
    """Return the number of a line.

    :raises FormatError: if there is no such line.
    """
    if not lines.get(key) or not lines[key][0]:
        raise FormatError(f"{where} has no line '{key}'; add it or do not ask for it")
    return float(lines[key][0][0])
