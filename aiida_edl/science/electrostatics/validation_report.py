"""What a validation found, in rows and in words: is the accuracy that is asked for the accuracy that is got?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SAFE_FACTOR = 3.0
"""A measured error may be below the one that was asked for by this factor: less would be work for nothing."""
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
    largest_lattice_error: float | None
    """Largest relative error of the energy of a lattice at the smallest target that was met; None without one."""

    @property
    def keeps_its_word(self) -> bool:
        """Whether every result lies within a factor of three on the safe side."""
        return self.n_rows > 0 and self.n_within == self.n_rows

    def sentence(self) -> str:
        """Say what was found."""
        name = f'{self.method} ({self.implementation}, {self.precision})'
        refused = f'; {self.n_refused} targets were refused' if self.n_refused else ''
        if not self.n_rows:
            return f'{name}: no target was met{refused}.'
        ratios = f'{self.least_ratio:.2f} to {self.largest_ratio:.2f} of the force error that was asked for'
        verdict = 'every one' if self.keeps_its_word else f'{self.n_within}'
        return (
            f'{name}: {self.n_rows} results with {ratios} (largest: {self.worst_case}), {verdict} within a factor of '
            f'{SAFE_FACTOR:g} on the safe side{refused}.'
        )


def summarise(rows: Sequence[Row]) -> list[MethodSummary]:
    """Return a summary for each method of each program in each precision, in the order of their first rows.

    :param rows: what :meth:`~aiida_edl.science.electrostatics.validation.ValidationRow.to_dict` returns.
    """
    keys = list(dict.fromkeys((row['method'], row['implementation'], row['precision']) for row in rows))
    return [
        _summary(key, [row for row in rows if (row['method'], row['implementation'], row['precision']) == key])
        for key in keys
    ]


def _summary(key: tuple[str, str, str], rows: Sequence[Row]) -> MethodSummary:
    """Return the summary of the rows of one method."""
    results = [row for row in rows if not row['refusal']]
    ratios = [row['force_error'] / row['target'] for row in results]
    worst = max(range(len(results)), key=ratios.__getitem__) if results else None
    gradients = [row['gradient_error'] for row in results if row['gradient_error'] is not None]
    return MethodSummary(
        *key,
        n_rows=len(results),
        n_refused=len(rows) - len(results),
        n_within=sum(1.0 / SAFE_FACTOR <= ratio <= 1.0 for ratio in ratios),
        least_ratio=min(ratios, default=float('nan')),
        largest_ratio=max(ratios, default=float('nan')),
        worst_case='' if worst is None else f'{results[worst]["case"]} at {results[worst]["target"]:g} eV/Å',
        largest_gradient_error=max(gradients, default=None),
        largest_lattice_error=_lattice_error(results),
    )


def _lattice_error(results: Sequence[Row]) -> float | None:
    """Return the largest relative error of the energy of a lattice, each at its smallest target."""
    finest: dict[str, Row] = {}
    for row in results:
        if row['exact_error'] is not None and row['target'] <= finest.get(row['case'], row)['target']:
            finest[row['case']] = row
    return max((abs(row['exact_error']) for row in finest.values()), default=None)
