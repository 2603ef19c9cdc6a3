"""How near the energies of perfect lattices come to their known values with numbers that leave nothing out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aiida_edl.science.electrostatics.implementations import Implementation
from aiida_edl.science.electrostatics.summation_settings import SummationSettings
from aiida_edl.science.electrostatics.validation_cases import ValidationCase

CUTOFF = 11.2
"""Four distances of neighbours [Å]."""
DECAY_RATIO = 9.0
"""Cutoff over smearing: pairs beyond neglect 1e-18 of their energy."""
SPACING = 0.05
"""Spacing of the mesh over the smearing, at the most nodes of the program."""
SHIFT = np.array([0.137, 0.271, 0.419])
"""By which lattices are moved [Å]: their atoms lie on mesh points otherwise, where polynomials are exact."""


@dataclass(frozen=True)
class LatticeRow:
    """Energy of one perfect lattice by one sum."""

    case: str
    method: str
    implementation: str
    precision: str
    relative_error: float
    """Energy over the known one, less 1."""

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON types."""
        return dataclasses.asdict(self)


def lattice_rows(case: ValidationCase, implementations: Sequence[Implementation]) -> Iterator[LatticeRow]:
    """Yield a row for each method of each program; none if the energy of the case is not known.

    :param case: the case.
    :param implementations: programs.
    """
    if case.exact is None or case.exact_energy is None:
        return
    moved = dataclasses.replace(case.exact, positions=case.exact.positions + SHIFT)
    smearing = CUTOFF / DECAY_RATIO
    lengths = np.linalg.norm(case.exact.cell, axis=1)
    has_background = not case.exact.is_neutral
    for implementation in implementations:
        for method in ('ewald', *implementation.nodes):
            if method == 'ewald':
                settings = SummationSettings(
                    method, CUTOFF, smearing, k_cutoff=DECAY_RATIO / smearing, has_background=has_background
                )
            else:
                points = [math.ceil(length / (SPACING * smearing)) for length in lengths]
                settings = SummationSettings(
                    method,
                    CUTOFF,
                    smearing,
                    mesh=(points[0], points[1], points[2]),
                    nodes=max(implementation.nodes[method]),
                    has_background=has_background,
                )
            energy = implementation.make(settings)(moved).energy
            error = energy / case.exact_energy - 1.0
            yield LatticeRow(case.name, method, implementation.name, implementation.precision, error)
