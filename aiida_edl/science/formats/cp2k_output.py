"""The output file of a single point of CP2K: versions 2023.1 and its neighbours, print level MEDIUM.

CP2K prints forces in Ha/Bohr, the stress positive in compression and in the unit that its heading names (GPa, in newer
versions bar), the Mulliken charges in e. In version 2023.1 a self-consistent field that has not converged is a warning,
and energy and forces are printed all the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from aiida_edl.science import units
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.frames import Floats

NUMBER = r'[-+]?\d+\.\d*(?:[EeDd][-+]?\d+)?'
VERSION = re.compile(r'CP2K\| version string:\s+CP2K version (\S+)')
TIME = r'(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+)'
STARTED = re.compile(rf'PROGRAM STARTED AT\s+{TIME}')
ENDED = re.compile(rf'PROGRAM ENDED AT\s+{TIME}')
NO_CONVERGENCE = 'the SCF did not converge'
"""How the reason begins for which such an output gives no label."""
ENDS_EARLY = 'the output of CP2K ends early'
ABORT_BOX = re.compile(r'\[ABORT\].*?\n(?P<text>.*?)\n\s*\*{20,}', re.DOTALL)
ELECTRONS = re.compile(r'^\s*Number of electrons:\s+(\d+)\s*$', re.MULTILINE)
ENERGY = re.compile(rf'ENERGY\| Total FORCE_EVAL .*?:\s+({NUMBER})')
FERMI_LEVEL = re.compile(rf'^\s*Fermi energy:\s+({NUMBER})', re.MULTILINE)
DISPERSION = re.compile(rf'^\s*Dispersion energy:\s+({NUMBER})', re.MULTILINE)
FORCE_ROW = re.compile(rf'^\s*\d+\s+\d+\s+([A-Z][a-z]?)\s+({NUMBER})\s+({NUMBER})\s+({NUMBER})\s*$', re.MULTILINE)
STRESS_HEADING = 'Analytical stress tensor'
STRESS_UNIT = re.compile(rf'{STRESS_HEADING} \[\s*(.*?)\s*\]')
STRESS_UNITS: Mapping[str, float] = {
    'GPa': units.GIGAPASCAL,
    'MPa': units.MEGAPASCAL,
    'Pa': units.PASCAL,
    'kbar': units.KILOBAR,
    'bar': units.BAR,
    'atm': units.ATMOSPHERE,
}
"""One of each unit in which CP2K prints the stress (``STRESS_UNIT``), in eV/Å³."""
STRESS_ROW = re.compile(rf'^ STRESS\|\s+[xyz]\s+({NUMBER})\s+({NUMBER})\s+({NUMBER})\s*$', re.MULTILINE)
CHARGE_ROW = re.compile(r'^\s*\d+\s+[A-Z][a-z]?\s+\d+\s+([-+\d. ]+)$', re.MULTILINE)
SCF_STEP = re.compile(r'^\s*\d+ (?:NoMix|OT|Broy|P_Mix|DIIS|Kerk|Pulay|Multi)\S*\s', re.MULTILINE)
MARKS = ('CP2K|', 'DBCSR|', '[ABORT]')
"""What CP2K writes whenever it writes anything."""
NOT_CONVERGED = 'SCF run NOT converged'
CONVERGED = ('SCF run converged', 'outer SCF loop converged')


@dataclass(frozen=True)
class Cp2kOutput:
    """What a single point of CP2K left; what is not in the file is None."""

    version: str
    """Version of CP2K; ``''`` if the file ends before it."""
    energy: float | None
    """Total energy, with electronic smearing the free energy [eV]."""
    forces: Floats | None
    """Forces [eV/Å], shape ``(n_atoms, 3)``."""
    stress: Floats | None
    """Stress [eV/Å³], positive in tension, shape ``(3, 3)``."""
    charges: Floats | None
    """Mulliken charges [e], shape ``(n_atoms,)``."""
    symbols: tuple[str, ...]
    """Elements in the order of the forces."""
    fermi_level: float | None
    """Fermi level [eV], against the average potential of the cell, of calculations with smearing."""
    dispersion_energy: float | None
    """Energy of the dispersion correction, a part of ``energy`` [eV]."""
    n_electrons: int | None
    """Valence electrons."""
    n_scf_steps: int
    """Steps of the self-consistent field, all outer loops together."""
    is_converged: bool
    """Whether the self-consistent field converged."""
    stop_reason: str
    """Error of CP2K, or that the file ends early; ``''`` if CP2K came to its end."""
    wall_seconds: float | None
    """Time from its start to its end [s]."""

    @property
    def ends_early(self) -> bool:
        """Whether CP2K was killed, so that it has neither ended nor said what was wrong."""
        return self.stop_reason == ENDS_EARLY


def read_cp2k_output(text: str) -> Cp2kOutput:
    """Read the output file of a single point.

    :param text: content of the file; a truncated one gives what it holds.
    :raises FormatError: if it is not of CP2K, or its stress is in an unknown unit.
    """
    version = VERSION.search(text)
    if text.strip() and not any(mark in text for mark in MARKS):
        raise FormatError('the file is no output of CP2K; give what its option -o wrote')
    energy, fermi, dispersion = (_last_number(pattern, text) for pattern in (ENERGY, FERMI_LEVEL, DISPERSION))
    symbols, forces = _forces(text)
    counts = [int(count) for count in ELECTRONS.findall(text)]
    return Cp2kOutput(
        version='' if version is None else version[1],
        energy=None if energy is None else energy * units.HARTREE,
        forces=forces,
        stress=_stress(text),
        charges=_charges(text),
        symbols=symbols,
        fermi_level=None if fermi is None else fermi * units.HARTREE,
        dispersion_energy=None if dispersion is None else dispersion * units.HARTREE,
        n_electrons=sum(counts) if counts else None,
        n_scf_steps=len(SCF_STEP.findall(text)),
        is_converged=_is_converged(text),
        stop_reason=_stop_reason(text),
        wall_seconds=_wall_seconds(text),
    )


def _last_number(pattern: re.Pattern[str], text: str) -> float | None:
    """Return the last value that a pattern finds, None if there is none."""
    found = pattern.findall(text)
    return float(found[-1]) if found else None


def _is_converged(text: str) -> bool:
    """Return whether the last word on the self-consistent field is that it converged.

    With outer loops an inner one may stop at its limit, which CP2K does not call unconverged.
    """
    last_good = max(text.rfind(mark) for mark in CONVERGED)
    return last_good > text.rfind(NOT_CONVERGED)


def _stop_reason(text: str) -> str:
    """Return why CP2K did not come to its end, ``''`` if it did."""
    if ENDED.search(text):
        return ''
    box = ABORT_BOX.search(text)
    if box is None:
        return ENDS_EARLY
    words = re.sub(r'[*|]|\\___/|O/|/\||/ \\|\S+\.F:\d+', ' ', box['text'])
    return f'CP2K aborted: {" ".join(words.split())}'


def _wall_seconds(text: str) -> float | None:
    """Return the time between start and end [s]."""
    start, end = STARTED.search(text), ENDED.search(text)
    if start is None or end is None:
        return None
    return (datetime.fromisoformat(end[1]) - datetime.fromisoformat(start[1])).total_seconds()


def _forces(text: str) -> tuple[tuple[str, ...], Floats | None]:
    """Return elements and forces of the last table that is whole."""
    start = text.rfind('ATOMIC FORCES in [a.u.]')
    end = text.find('SUM OF ATOMIC FORCES', start)
    if start < 0 or end < 0:
        return (), None
    rows = FORCE_ROW.findall(text[start:end])
    forces = np.array([[float(value) for value in row[1:]] for row in rows]).reshape(-1, 3)
    return tuple(row[0] for row in rows), forces * (units.HARTREE / units.BOHR)


def _stress(text: str) -> Floats | None:
    """Return the last stress tensor that is whole."""
    start = text.rfind(f'STRESS| {STRESS_HEADING}')
    rows = STRESS_ROW.findall(text[start:]) if start >= 0 else []
    if len(rows) < 3:
        return None
    tensor: Floats = -np.array([[float(value) for value in row] for row in rows[:3]])
    return tensor * stress_unit(text[start:].partition('\n')[0])


def stress_unit(heading: str) -> float:
    """Return one unit of a printed stress tensor [eV/Å³].

    >>> stress_unit('STRESS| Analytical stress tensor [bar]') == units.BAR
    True

    :param heading: the line above the tensor, which names the unit in brackets; its case is of no account.
    :raises FormatError: for an unknown unit.
    """
    found = STRESS_UNIT.search(heading)
    name = '' if found is None else found[1]
    factors = {known.lower(): factor for known, factor in STRESS_UNITS.items()}
    if name.lower() not in factors:
        raise FormatError(
            f"the stress is in the unit '{name}', which is not known; print it in {', '.join(STRESS_UNITS)}"
        )
    return factors[name.lower()]


def _charges(text: str) -> Floats | None:
    """Return the last Mulliken charges that are whole."""
    start = text.rfind('Mulliken Population Analysis')
    end = text.find('# Total charge', start)
    if start < 0 or end < 0:
        return None
    table = text[start:end]
    column = -2 if 'Spin moment' in table else -1
    return np.array([float(row.split()[column]) for row in CHARGE_ROW.findall(table)])
