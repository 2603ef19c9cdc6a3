"""What the output of molecular dynamics of CP2K says of every step, read line by line.

The stress is taken from here and not from the file ``.stress`` of the run: that one includes the kinetic part.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aiida_edl.science import units
from aiida_edl.science.formats.compressed import whole_lines
from aiida_edl.science.formats.cp2k_output import SCF_STEP, STRESS_HEADING, stress_unit
from aiida_edl.science.frames import Floats

STEP_NUMBER = re.compile(r'(?:MD\| Step number|STEP NUMBER\s+=)\s+(\d+)')


@dataclass
class OutputStep:
    """One evaluation of energy and forces."""

    energy: float = math.nan
    """Energy [eV]."""
    n_scf_steps: int = 0
    """Steps of the self-consistent field, all outer loops together."""
    is_converged: bool = False
    """Whether it converged."""
    stress: Floats | None = None
    """Stress without kinetic part [eV/Å³], positive in tension, shape ``(3, 3)``."""
    fermi_level: float = math.nan
    """Fermi level [eV]; NaN without smearing."""


def read_output_steps(path: Path) -> list[tuple[int, OutputStep]]:
    """Return all complete steps with their numbers.

    A step is numbered after its evaluation. The first evaluation has no number: it is that of the positions before the
    first step.

    :param path: the output; it may be compressed, and cut.
    :raises FormatError: if its stress is in an unknown unit.
    """
    found = list(_evaluations(path))
    steps = []
    for position, (number, step) in enumerate(found):
        following = next((later for later, _ in found[position + 1 :] if later is not None), 1)
        steps.append((following - 1 if number is None else number, step))
    return steps


def _evaluations(path: Path) -> Iterator[tuple[int | None, OutputStep]]:
    """Yield every evaluation with its number, None for the first of a run."""
    step = OutputStep()
    rows: list[list[float]] = []
    unit = math.nan
    for line in whole_lines(path):
        words = line.split(None, 2)
        word = words[0] if words else b''
        if word.isdigit():
            step.n_scf_steps += SCF_STEP.match(line.decode(errors='replace')) is not None
        elif word == b'STRESS|':
            if _begins_stress(line):
                rows, unit = [], stress_unit(line.decode(errors='replace'))
            rows = _stress_rows(line, rows)
            if len(rows) == 3:
                step.stress = -np.array(rows) * unit
        elif word == b'MD_INI|' and not math.isnan(step.energy):
            yield None, step
            step = OutputStep()
        elif word in (b'MD|', b'STEP') and (found := STEP_NUMBER.search(line.decode(errors='replace'))):
            yield int(found[1]), step
            step = OutputStep()
        else:
            _take(line, word, step)


def _take(line: bytes, word: bytes, step: OutputStep) -> None:
    """Take energy, Fermi level and the state of the self-consistent field."""
    if word == b'ENERGY|' and b'Total FORCE_EVAL' in line:
        step.energy = _number(line.split()[-1]) * units.HARTREE
    elif b'SCF run' in line or b'outer SCF loop converged' in line:
        step.is_converged = b'NOT' not in line
    elif word == b'Fermi' and b'energy:' in line:
        step.fermi_level = _number(line.split()[-1]) * units.HARTREE


def _number(word: bytes) -> float:
    """Return a number; NaN for a damaged one, for which the step is left out."""
    try:
        return float(word)
    except ValueError:
        return math.nan


def _begins_stress(line: bytes) -> bool:
    """Return whether a stress tensor follows, not its eigenvectors."""
    return STRESS_HEADING.encode() in line and b'Eigen' not in line


def _stress_rows(line: bytes, rows: list[list[float]]) -> list[list[float]]:
    """Return the rows of the stress tensor read so far; eigenvectors that follow are not added to them."""
    words = line.split()
    if len(rows) < 3 and len(words) == 5 and words[1] in (b'x', b'y', b'z'):
        return [*rows, [_number(word) for word in words[2:]]]
    return rows
