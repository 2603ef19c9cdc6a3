"""What is computed from the points of a benchmark of sums: medians, ratios to PPPM of LAMMPS, exponents."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LABELS = {
    'own_p3m': 'aiida-edl P3M',
    'lammps_pppm': 'LAMMPS pppm',
    'lammps_ewald': 'LAMMPS ewald',
    'torch_pme_p3m_float64': 'torch-pme P3M, float64',
    'torch_pme_p3m_float32': 'torch-pme P3M, float32',
}
"""How programs are called in tables, in their order there."""
BASE = 'lammps_pppm'
"""The program to which ratios are taken."""
LEAST_SIZES = 3
"""Sizes that an exponent with an error needs."""

Row = Mapping[str, Any]
"""A point as it stands in the file."""


@dataclass(frozen=True)
class Exponent:
    """How the time of an evaluation grows with the number of atoms."""

    value: float
    error: float
    """Standard error of the fit."""
    n_sizes: int


def fitted_exponent(atoms: Sequence[float], seconds: Sequence[float]) -> Exponent:
    """Return the slope of the logarithm of time over that of the number of atoms, by least squares.

    :param atoms: numbers of atoms, three or more.
    :param seconds: times [s].

    >>> fitted_exponent([1.0, 10.0, 100.0], [1.0, 100.0, 10000.0]).value
    2.0
    """
    x, y = np.log(np.asarray(atoms, dtype=float)), np.log(np.asarray(seconds, dtype=float))
    centred = x - x.mean()
    slope = float(centred @ y / (centred @ centred))
    residues = y - y.mean() - slope * centred
    error = math.sqrt(float(residues @ residues) / (len(x) - 2) / float(centred @ centred))
    return Exponent(slope, error, len(x))


def is_measured(row: Row) -> bool:
    """Return whether a point has times."""
    return 'reason' not in row


def evaluation_seconds(row: Row, has_search: bool = False) -> float:
    """Return the median processor time of an evaluation [s].

    :param row: a measured point.
    :param has_search: whether pairs are searched at every evaluation.
    """
    search = statistics.median(row['search_processor_seconds']) if has_search else 0.0
    return statistics.median(row['processor_seconds']) + search


def ordered(points: Sequence[Row], is_water: bool) -> list[Row]:
    """Return the points of boxes of water or of crystals, by size, name and program.

    :param points: all points.
    :param is_water: whether those of water are asked for.
    """
    programs = list(LABELS)
    chosen = [row for row in points if (row['family'] == 'water') == is_water]
    return sorted(chosen, key=lambda row: (row['atoms'], row['system'], programs.index(row['program'])))


def ratio_to_base(row: Row, points: Sequence[Row], has_search: bool = False) -> float | None:
    """Return the time of a point over that of PPPM of LAMMPS on the same system, if both are measured."""
    base = [each for each in points if each['system'] == row['system'] and each['program'] == BASE]
    if not is_measured(row) or not base or not is_measured(base[0]):
        return None
    return evaluation_seconds(row, has_search) / evaluation_seconds(base[0], has_search)


def exponents(points: Sequence[Row]) -> dict[tuple[str, bool], Exponent]:
    """Return the exponents of boxes of water by program and by whether pairs are searched at every evaluation."""
    found = {}
    for program in LABELS:
        rows = [row for row in ordered(points, is_water=True) if row['program'] == program and is_measured(row)]
        if len(rows) < LEAST_SIZES:
            continue
        for has_search in (False, True):
            seconds = [evaluation_seconds(row, has_search) for row in rows]
            found[program, has_search] = fitted_exponent([row['atoms'] for row in rows], seconds)
    return found


def reasons(points: Sequence[Row]) -> list[tuple[list[str], str, list[str]]]:
    """Return programs, reason and systems of the points that are not measured."""
    systems: dict[tuple[str, str], list[str]] = {}
    for row in [*ordered(points, is_water=True), *ordered(points, is_water=False)]:
        if not is_measured(row):
            systems.setdefault((row['program'], row['reason']), []).append(row['system'])
    programs: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for program in LABELS:
        for (name, reason), found in systems.items():
            if name == program:
                programs.setdefault((reason, tuple(found)), []).append(program)
    return [(names, reason, list(found)) for (reason, found), names in programs.items()]


def by_family(systems: Sequence[str]) -> str:
    """Return names of systems with those of a family joined.

    >>> by_family(['cscl_1', 'nacl_cubic_1', 'cscl_2'])
    'cscl 1, 2; nacl cubic 1'
    """
    sizes: dict[str, list[int]] = {}
    for name in systems:
        family, _, number = name.rpartition('_')
        sizes.setdefault(family.replace('_', ' '), []).append(int(number))
    return '; '.join(f'{family} {", ".join(map(str, sorted(found)))}' for family, found in sizes.items())
