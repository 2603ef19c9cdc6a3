"""How strongly the total solvent dipole fluctuates in models, against the reference at the same charge state.

Potentials that see no farther than their cutoff may let the dipoles of a film align over any distance, up to a
polarisation that would turn the solvent into a metal (I. J. Parker et al., arXiv 2603.04228). Replicas of the reference
count together, each with the weight of its frames. A run that left physics does not count and is listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aiida_edl.science.analysis.model_tags import ModelTag
from aiida_edl.science.analysis.solvent_dipole import FluctuationComparison, compare_fluctuation
from aiida_edl.science.uncertainty import Estimate, combine_replicas

SIGNIFICANCE = 3.0
"""Standard errors from which on a difference from the reference counts."""


@dataclass(frozen=True)
class DipoleRun:
    """How strongly the total solvent dipole fluctuates in one run."""

    tag: ModelTag
    """What the run was made with."""
    variance: float
    """Variance of the total dipole along the normal [(e Å)²]."""
    error: float
    """Its standard error [(e Å)²]; NaN if not known."""
    n_water: float
    """Waters of the cell."""
    hydrogen_charge: float
    """Charge of H by which dipoles are weighed [e]."""
    n_frames: int = 1
    """Frames of the run, the weight of a replica of the reference."""
    why_excluded: str = ''
    """By which rule the run left physics and does not count; empty for a run that counts."""

    @property
    def name(self) -> str:
        """Name of the run for people."""
        kind = 'reference' if self.tag.is_reference else f'{self.tag.architecture}, {self.tag.training_set}'
        return f'{kind}, seed {self.tag.seed} at {self.tag.charge_state}'


def dipole_tables(runs: Sequence[DipoleRun]) -> dict[str, Any]:
    """Return how strongly the dipole fluctuates in each model, over that of the reference at the same charge state.

    :param runs: runs of models and of the reference, each pair of one charge state in the same cell.
    :return: ``statements`` (one sentence for each charge state), the flat tables ``rows`` (one for each model:
        ``variance`` and ``variance_error`` [(e Å)²], those of the reference, ``ratio`` with ``ratio_error``,
        ``deviation`` from 1 in standard errors and the ``sentence``), ``without_reference`` and ``excluded``.
    :raises ValueError: if waters or charges of one charge state differ, or the reference does not fluctuate.
    """
    counted = [run for run in runs if not run.why_excluded]
    states = sorted({run.tag.charge_state for run in counted})
    rows: list[dict[str, Any]] = []
    statements, alone = [], []
    for state in states:
        references = [run for run in counted if run.tag.charge_state == state and run.tag.is_reference]
        models = [run for run in counted if run.tag.charge_state == state and not run.tag.is_reference]
        if not references:
            alone += [_of_tag(run.tag) for run in models]
            continue
        found = _rows(models, references)
        rows += [row for row, _ in found]
        if found:
            statements.append(_statement(state, [comparison for _, comparison in found]))
    excluded = [{**_of_tag(run.tag), 'reason': run.why_excluded} for run in runs if run.why_excluded]
    return {'statements': statements, 'rows': rows, 'without_reference': alone, 'excluded': excluded}


def _rows(
    models: Sequence[DipoleRun], references: Sequence[DipoleRun]
) -> list[tuple[dict[str, Any], FluctuationComparison]]:
    """Return the models of one charge state against the reference."""
    first = references[0]
    known = combine_replicas([_estimate(run) for run in references])
    mean, error = float(known.mean), float(known.error)
    found = []
    for run in (*references[1:], *models):
        _check_cell(run, first)
    for run in sorted(models, key=lambda run: run.name):
        result = compare_fluctuation(run.variance, run.error, mean, error, SIGNIFICANCE)
        row = {
            **_of_tag(run.tag),
            'variance': run.variance,
            'variance_error': _known(run.error),
            'reference_variance': mean,
            'reference_variance_error': _known(error),
            'ratio': result.ratio,
            'ratio_error': _known(result.error),
            'deviation': _known(result.deviation),
            'sentence': f'{run.name}: {result.sentence}',
        }
        found.append((row, result))
    return found


def _estimate(run: DipoleRun) -> Estimate:
    """Return the variance of a run with the weight of its frames."""
    values = (run.variance, run.error, float(run.n_frames), float('nan'))
    return Estimate(*(np.asarray(value, dtype=np.float64) for value in values))


def _check_cell(run: DipoleRun, first: DipoleRun) -> None:
    """Refuse runs that cannot be compared.

    :raises ValueError: if waters or charges differ.
    """
    if run.n_water != first.n_water:
        raise ValueError(
            f'{run.name} has {run.n_water:g} waters, {first.name} has {first.n_water:g}; compare runs of the same cell'
        )
    if run.hydrogen_charge != first.hydrogen_charge:
        raise ValueError(
            f'hydrogen_charge is {run.hydrogen_charge:g} for {run.name} and {first.hydrogen_charge:g} for '
            f'{first.name}; analyse both with the same'
        )


def _statement(state: str, found: Sequence[FluctuationComparison]) -> str:
    """Return in words how many models of a charge state fluctuate otherwise than the reference."""
    strong = sum(item.deviation > SIGNIFICANCE for item in found)
    weak = sum(item.deviation < -SIGNIFICANCE for item in found)
    unknown = sum(bool(np.isnan(item.deviation)) for item in found)
    ratios = [item.ratio for item in found]
    tail = f'; the error of {unknown} is not known' if unknown else ''
    sign = ', a sign of false metallisation' if strong else ''
    return (
        f'At {state} the total solvent dipole fluctuates too strongly in {strong} of {len(found)} runs{sign}, and too '
        f'weakly in {weak}; its variance is {min(ratios):.2f} to {max(ratios):.2f} times that of the reference{tail}.'
    )


def _of_tag(tag: ModelTag) -> dict[str, Any]:
    """Return which model a row is of."""
    return {
        'charge_state': tag.charge_state,
        'training_set': tag.training_set,
        'architecture': tag.architecture,
        'seed': tag.seed,
    }


def _known(value: float) -> float | None:
    """Return None for what is not known."""
    return float(value) if np.isfinite(value) else None
