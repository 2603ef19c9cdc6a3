"""OUTCAR of VASP: labels of every ionic step, read line by line, so that a file may be larger than the memory.

Positions stand in it with five decimals and forces with six; ``vasprun.xml`` has more. Versions 5.3 to 6.4 were seen.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np

from aiida_edl.science.formats.compressed import whole_lines
from aiida_edl.science.formats.vasp_outcar_header import MACHINE_LEARNED, STEP_BEGINS, TAG, OutcarHeader
from aiida_edl.science.formats.vasp_run import (
    STRESS_FACTOR,
    IonicStep,
    RejectedStep,
    VaspRun,
    VaspRunSettings,
    gather_run,
    judged,
    machine_learned,
)
from aiida_edl.science.frames import Floats

NUMBER = re.compile(rb'-?\d+\.\d+')
LATTICE_NUMBER = re.compile(rb'-?\d+\.\d{9}')
COORDINATE, COMPONENT = rb'(-?\d+\.\d{5})\s*', rb'(-?\d+\.\d{6})\s*'
POSITION_ROW = re.compile(3 * COORDINATE + 3 * COMPONENT)
ITERATION, IONIC_STEP = b'Iteration', b'Ionic step'
VOIGT_OF_VASP = ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0))
"""Order of the components of the stress: XX YY ZZ XY YZ ZX."""


def read_outcar(path: str | Path) -> VaspRun:
    """Read a finished, running or cut OUTCAR.

    :param path: the file; it may be compressed by gzip, bzip2 or xz.
    :raises FormatError: if it is no OUTCAR, or ends before it says what was computed.
    """
    reader = OutcarReader(Path(path))
    steps = list(reader.steps())
    return gather_run(reader.settings, steps)


@dataclass
class _Step:
    """What was read of an ionic step so far."""

    number: int
    n_scf_steps: int = 0
    positions: Floats | None = None
    forces: Floats | None = None
    cell: Floats | None = None
    energy: float | None = None
    energy_zero_smearing: float | None = None
    stress: Floats | None = None
    fermi_level: float = math.nan
    is_machine_learned: bool = False
    stress_is_machine_learned: bool = False
    faults: list[str] = field(default_factory=list)


class OutcarReader:
    """Reads the ionic steps of one file, once, in their order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = whole_lines(path)
        self._header: OutcarHeader | None = None
        self._from_steps: dict[str, str] = {}
        self._settings: tuple[dict[str, str], VaspRunSettings] | None = None

    @property
    def settings(self) -> VaspRunSettings:
        """Settings of the run; which dispersion correction there was is known when the first ionic step was read.

        :raises FormatError: if the file is no OUTCAR, or ends before it says what was computed.
        """
        header = self._read_header()
        if self._settings is None or self._settings[0] != self._from_steps:
            self._settings = (dict(self._from_steps), header.settings(self._from_steps, self.path))
        return self._settings[1]

    def steps(self) -> Iterator[IonicStep | RejectedStep]:
        """Yield the ionic steps, each once; one that gives no label as the reason why.

        :raises FormatError: if the file is no OUTCAR, or ends before it says what was computed.
        """
        n_atoms = sum(self.settings.counts)
        step: _Step | None = None
        for line in chain([self._read_header().first_line], self._lines):
            start = line.lstrip()[:4]
            if start not in STARTS:
                continue
            number = 0 if step is None else step.number
            begins = None
            if start == DASHES:
                begins = STEP_BEGINS.match(line) if ITERATION in line or IONIC_STEP in line else None
                if begins is None:
                    continue
                number = int(begins[1]) if begins[1].isdigit() else number + 1
            elif start == b'free' and MACHINE_LEARNED in line:
                number += step is None or step.is_machine_learned or step.energy is not None
            if step is None or number != step.number:
                if step is not None and (closed := self._closed(step)) is not None:
                    yield closed
                step = _Step(number)
            if begins is not None:
                step.n_scf_steps += ITERATION in line
            else:
                READERS[start](self, step, line, n_atoms)
        if step is not None and (closed := self._closed(step)) is not None:
            yield closed

    def _closed(self, step: _Step) -> IonicStep | RejectedStep | None:
        """Return a step to which nothing is added any more; None for one of linear response, which has no forces."""
        if step.faults:
            return RejectedStep(step.number, '; '.join(step.faults))
        if step.energy is None and step.is_machine_learned:
            return machine_learned(step.number)
        settings = self.settings
        if step.energy is None and settings.has_linear_response:
            return None
        energies = (step.energy, step.energy_zero_smearing)
        if step.cell is None or step.positions is None or step.forces is None or None in energies:
            names = ('cell vectors', 'positions and forces', 'the free energy TOTEN', 'energy(sigma->0)')
            missing = [name for name, value in zip(names, (step.cell, step.forces, *energies)) if value is None]
            return RejectedStep(step.number, f'the file was cut in it: it lacks {", ".join(missing)}')
        complete = IonicStep(
            number=step.number,
            positions=step.positions,
            cell=step.cell,
            energy=float(energies[0] or 0.0),
            energy_zero_smearing=float(energies[1] or 0.0),
            forces=step.forces,
            stress=step.stress if settings.has_full_stress else None,
            fermi_level=step.fermi_level,
            n_scf_steps=step.n_scf_steps,
        )
        return judged(complete, settings)

    def _read_header(self) -> OutcarHeader:
        """Read up to the first ionic step, if that was not done."""
        if self._header is None:
            self._header = OutcarHeader.read(self._lines, self.path)
        return self._header

    def _read_table(self, step: _Step, line: bytes, n_atoms: int) -> None:
        """Read positions and forces, but not those of a machine-learned force field."""
        if not line.rstrip().endswith(b'TOTAL-FORCE (eV/Angst)'):
            return
        next(self._lines, b'')
        rows = [row for _, row in zip(range(n_atoms), self._lines)]
        if len(rows) < n_atoms:
            return
        words = b''.join(rows).split()
        if len(words) != 6 * n_atoms:
            words = [word for row in rows for word in _touching_columns(row)]
        try:
            table = np.array(list(map(float, words))).reshape(n_atoms, 6)
        except ValueError:
            step.faults.append('positions or forces are too large for their columns, so VASP did not print them')
            return
        step.positions, step.forces = table[:, :3].copy(), table[:, 3:].copy()

    def _read_cell(self, step: _Step, line: bytes, n_atoms: int) -> None:
        """Read cell vectors; the columns touch for vectors of 100 Å."""
        if b'lattice vectors' in line:
            rows = [LATTICE_NUMBER.findall(row)[:3] for _, row in zip(range(3), self._lines)]
            if [len(row) for row in rows] == [3, 3, 3]:
                step.cell = np.array(rows, dtype=np.float64)

    def _read_energy(self, step: _Step, line: bytes, n_atoms: int) -> None:
        """Read the free energy of the ionic step, not those of the steps of the self-consistent field."""
        if b'free  energy   TOTEN' in line:
            step.energy = _number_after(line, b'=')
        elif MACHINE_LEARNED in line:
            step.is_machine_learned = True

    def _read_zero_smearing(self, step: _Step, line: bytes, n_atoms: int) -> None:
        """Read the energy without smearing, which follows the free energy."""
        if step.energy is not None and b'energy(sigma->0) =' in line:
            step.energy_zero_smearing = _number_after(line, b'energy(sigma->0) =')

    def _read_stress(self, step: _Step, line: bytes, n_atoms: int) -> None:
        """Read the stress, which has no kinetic part."""
        values = [float(value) for value in NUMBER.findall(line)] if line.startswith(b'  in kB') else []
        if len(values) == 6 and not step.stress_is_machine_learned:
            step.stress = np.zeros((3, 3))
            for (row, column), value in zip(VOIGT_OF_VASP, values):
                step.stress[row, column] = step.stress[column, row] = value * STRESS_FACTOR

    def _read_owner_of_stress(self, step: _Step, line: bytes, n_atoms: int) -> None:
        """Read whose stress follows: ``FORCE on cell``, or ``ML FORCE on cell`` of a machine-learned force field."""
        if b'on cell' in line:
            step.stress_is_machine_learned = b'ML ' in line

    def _read_fermi_level(self, step: _Step, line: bytes, n_atoms: int) -> None:
        """Read the Fermi level."""
        level = _number_after(line, b':')
        step.fermi_level = math.nan if level is None else level

    def _read_dispersion(self, step: _Step, line: bytes, n_atoms: int) -> None:
        """Read which dispersion correction was added, or that one was."""
        if found := TAG.search(line.decode(errors='replace')):
            self._from_steps[found[1]] = found[2]
        else:
            self._from_steps['EDISP'] = 'T'


READERS: Mapping[bytes, Callable[[OutcarReader, _Step, bytes, int], None]] = {
    b'POSI': OutcarReader._read_table,
    b'dire': OutcarReader._read_cell,
    b'free': OutcarReader._read_energy,
    b'ener': OutcarReader._read_zero_smearing,
    b'FORC': OutcarReader._read_owner_of_stress,
    b'ML F': OutcarReader._read_owner_of_stress,
    b'in k': OutcarReader._read_stress,
    b'E-fe': OutcarReader._read_fermi_level,
    b'IVDW': OutcarReader._read_dispersion,
    b'Edis': OutcarReader._read_dispersion,
}
"""What reads a line, by its first four characters behind blanks."""
DASHES = b'----'
STARTS = {*READERS, DASHES}
"""First characters of all lines that are looked at; the others, nearly all, are passed over."""


def _number_after(line: bytes, mark: bytes) -> float | None:
    """Return the first number behind a mark."""
    found = NUMBER.search(line, line.find(mark) + len(mark))
    return None if found is None else float(found[0])


def _touching_columns(row: bytes) -> tuple[bytes, ...]:
    """Return the six numbers of a row whose columns touch, or what is no number."""
    found = POSITION_ROW.search(row)
    return (b'*',) if found is None else found.groups()
