"""What a validation found, in rows and in words: is the accuracy that is asked for the accuracy that is got?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SAFE_FACTOR = 3.0
"""A measured error may be below the one that was asked for by this factor: less would be work for nothing."""
GRADIENT_LIMIT = 1e-6
"""Difference of a force from the difference of energies that is still that of the difference [eV/Å]."""
LATTICE_LIMITS = {'float64': 1e-9, 'float32': 1e-5}
"""Relative error that the energy of a perfect lattice may have with tight numbers, by precision."""
Row = dict[str, Any]


@dataclass(frozen=True)
class MethodSummary:
    """One method of one program in one precision, over all cases and targets."""

    method: str
    implementation: str
    precision: str
    n_rows: int
    """Results."""
    n_refused: int
    """Targets that were refused."""
    n_within: int
    """Results whose force error lies between a third of the target and the target."""
    least_ratio: float
    """Smallest measured force error over the target; NaN without a result."""
    largest_ratio: float
    """Largest one."""
    worst_case: str
    """Case and target of the largest one."""
    largest_gradient_error: float | None
    """Largest difference of a force from the difference of energies [eV/Å]; None in single precision."""
    n_wrong_gradients: int
    """Results whose forces are not the gradient of the energy."""
    largest_stress_error: float | None
    """Largest error of a component of the stress [eV/Å³]; None without one."""
    largest_lattice_error: float | None
    """Largest relative error of the energy of a lattice at the smallest target that was met; None without one."""
    perfect_lattice_error: float | None
    """Largest relative error of the energy of a perfect lattice with tight numbers; None without one."""

    @property
    def is_safe(self) -> bool:
        """Whether every force error lies within a factor of three on the safe side."""
        return self.n_rows > 0 and self.n_within == self.n_rows

    @property
    def keeps_its_word(self) -> bool:
        """Whether the method is safe, its forces are gradients, and its energies of lattices are right."""
        error = self.perfect_lattice_error
        is_right = error is None or error <= LATTICE_LIMITS[self.precision]
        return self.is_safe and not self.n_wrong_gradients and is_right

    def sentence(self) -> str:
        """Say what was found."""
        name = f'{self.method} ({self.implementation}, {self.precision})'
        refused = f'; {self.n_refused} targets were refused' if self.n_refused else ''
        if not self.n_rows:
            return f'{name}: no target was met{refused}.'
        ratios = f'{self.least_ratio:.2f} to {self.largest_ratio:.2f} of the force error that was asked for'
        verdict = 'every one' if self.is_safe else f'{self.n_within}'
        wrong = ''
        if self.n_wrong_gradients:
            wrong = f'; forces of {self.n_wrong_gradients} are not the gradient of the energy'
        if self.perfect_lattice_error is not None and self.perfect_lattice_error > LATTICE_LIMITS[self.precision]:
            wrong += f'; the energy of a perfect lattice is off by {self.perfect_lattice_error:.1e} of itself'
        return (
            f'{name}: {self.n_rows} results with {ratios} (largest: {self.worst_case}), {verdict} within a factor of '
            f'{SAFE_FACTOR:g} on the safe side{wrong}{refused}.'
        )


def summarise(rows: Sequence[Row], lattices: Sequence[Row] = ()) -> list[MethodSummary]:
    """Return a summary for each method of each program in each precision, in the order of their first rows.

    :param rows: what :meth:`~aiida_edl.science.electrostatics.validation.ValidationRow.to_dict` returns.
    :param lattices: errors of the energies of perfect lattices.
    """
    keys = list(dict.fromkeys(_key(row) for row in rows))
    return [
        _summary(key, [row for row in rows if _key(row) == key], [row for row in lattices if _key(row) == key])
        for key in keys
    ]


def _key(row: Row) -> tuple[str, str, str]:
    """Return method, program and precision of a row."""
    return row['method'], row['implementation'], row['precision']


def _summary(key: tuple[str, str, str], rows: Sequence[Row], lattices: Sequence[Row]) -> MethodSummary:
    """Return the summary of the rows of one method."""
    results = [row for row in rows if not row['refusal']]
    ratios = [row['force_error'] / row['target'] for row in results]
    worst = max(range(len(results)), key=ratios.__getitem__) if results else None
    gradients, stresses = (
        [row[name] for row in results if row[name] is not None] for name in ('gradient_error', 'stress_error')
    )
    return MethodSummary(
        *key,
        n_rows=len(results),
        n_refused=len(rows) - len(results),
        n_within=sum(1.0 / SAFE_FACTOR <= ratio <= 1.0 for ratio in ratios),
        least_ratio=min(ratios, default=float('nan')),
        largest_ratio=max(ratios, default=float('nan')),
        worst_case='' if worst is None else f'{results[worst]["case"]} at {results[worst]["target"]:g} eV/Å',
        largest_gradient_error=max(gradients, default=None),
        n_wrong_gradients=sum(error > GRADIENT_LIMIT for error in gradients),
        largest_stress_error=max(stresses, default=None),
        largest_lattice_error=_lattice_error(results),
        perfect_lattice_error=max((abs(row['relative_error']) for row in lattices), default=None),
    )


def _lattice_error(results: Sequence[Row]) -> float | None:
    """Return the largest relative error of the energy of a lattice, each at its smallest target."""
    finest: dict[str, Row] = {}
    for row in results:
        if row['exact_error'] is not None and row['target'] <= finest.get(row['case'], row)['target']:
            finest[row['case']] = row
    return max((abs(row['exact_error']) for row in finest.values()), default=None)
