r"""Does a remedy cure what training on several charge states costs? Plain, remedied and single models side by side.

On the test frames of one charge state, the cost of mixing is the error x of models trained on several charge states
over that of models trained on this one alone, and a remedy is judged by what it leaves of it:

.. math:: c_\mathrm{plain} = x_\mathrm{mixed, plain} - x_\mathrm{single}, \qquad
    c_\mathrm{remedy} = x_\mathrm{mixed, remedy} - x_\mathrm{single}

for x the force RMSE, and the absolute value of the signed energy error per atom, which a model that cannot see the
charge shifts for whole charge states. Means and errors are over seeds; differences are judged by the t-test of
B. L. Welch, Biometrika 34, 28 (1947), for the pairs that decide, without a correction for their number.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from aiida_edl.science.analysis.model_tags import MIXED, SINGLE

PLAIN = 'plain'
"""Models that are told nothing of the charge and see no farther than their layers."""
CHARGE_CONDITIONED = 'charge_conditioned'
"""Models that are told a charge."""
QUANTITIES = {'force_rmse': 'eV/Å', 'energy_signed_error': 'eV/atom'}
"""What is compared, with units."""
COLUMNS = {
    'force_rmse': 'force_rmse_ev_per_angstrom',
    'energy_signed_error': 'energy_signed_error_ev_per_atom',
}
"""Columns of the table of errors that hold it."""
MINIMUM_SEEDS = 2
"""Models that an error over seeds needs."""


@dataclass(frozen=True)
class RemedyTag:
    """What a model is in this comparison."""

    family: str
    """Models that differ by training set, remedy and seed alone, e.g. ``'mace'``."""
    remedy: str
    """``'plain'``, ``'charge_conditioned'``, or any other name, e.g. ``'long_range'``."""
    charge_states: tuple[str, ...]
    """Charge labels of the training set."""

    @property
    def training(self) -> str:
        """``'single'`` or ``'mixed'``."""
        return SINGLE if len(self.charge_states) == 1 else MIXED


@dataclass(frozen=True)
class SeedMean:
    """Mean over the seeds of one kind of model."""

    mean: float
    spread: float
    """Standard deviation over seeds; NaN for one."""
    n_models: int

    @property
    def error(self) -> float:
        """Standard error of the mean; NaN for one seed."""
        return self.spread / math.sqrt(self.n_models)

    @classmethod
    def of(cls, values: Sequence[float]) -> SeedMean:
        """Return the mean of some values."""
        spread = float(np.std(values, ddof=1)) if len(values) >= MINIMUM_SEEDS else float('nan')
        return cls(float(np.mean(values)), spread, len(values))


@dataclass(frozen=True)
class RemedyRow:
    """Errors of one kind of model on the test frames of one charge state."""

    charge_state: str
    family: str
    training: str
    """``'single'``: on this charge state alone; ``'mixed'``: on several."""
    training_charge_states: str
    """Charge labels of the training set, joined by commas."""
    remedy: str
    n_models: int
    """Seeds."""
    force_rmse_ev_per_angstrom: float
    force_rmse_error_ev_per_angstrom: float
    """Standard error over seeds; NaN for one."""
    force_rmse_spread_ev_per_angstrom: float
    """Standard deviation over seeds."""
    energy_signed_error_ev_per_atom: float
    energy_signed_error_error_ev_per_atom: float
    energy_signed_error_spread_ev_per_atom: float


@dataclass(frozen=True)
class RemedyVerdict:
    """What one remedy does at one charge state, for one quantity."""

    charge_state: str
    family: str
    training_charge_states: str
    remedy: str
    quantity: str
    """``'force_rmse'`` or ``'energy_signed_error'`` (its absolute value)."""
    unit: str
    cost_of_mixing: float
    """Error of plain mixed models over that of plain single ones."""
    cost_of_mixing_error: float
    cost_left: float
    """Error of remedied mixed models over that of plain single ones."""
    cost_left_error: float
    decision: str
    """``'nothing_to_cure'``, ``'cured'``, ``'reduced'``, ``'not_reduced'``, ``'worse'`` or ``'too_few_seeds'``."""


@dataclass(frozen=True)
class RemedyComparison:
    """All rows and verdicts."""

    rows: tuple[RemedyRow, ...]
    verdicts: tuple[RemedyVerdict, ...]
    confidence: float
    """Level of the tests."""

    def tables(self) -> dict[str, Any]:
        """Return tables and words as JSON types; NaN becomes None."""
        return {
            'verdict': in_words(self),
            'rows': [_as_dict(row) for row in self.rows],
            'comparisons': [_as_dict(verdict) for verdict in self.verdicts],
        }


@dataclass(frozen=True)
class _Cell:
    """Errors of all seeds of one kind of model at one charge state."""

    charge_state: str
    tag: RemedyTag
    means: Mapping[str, SeedMean]


def compare_remedies(
    models: Iterable[tuple[RemedyTag, Sequence[Mapping[str, Any]]]], confidence: float = 0.95
) -> RemedyComparison:
    """Return plain, remedied and single models side by side.

    :param models: tag and table of errors (``ErrorMetrics.table``) of each model, all on the same test frames. Single
        models count at their own charge state alone, mixed ones at those they were trained on.
    :param confidence: level of the tests, between 0 and 1.
    :raises ValueError: if there is no model, or the level is out of range.
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f'confidence is {confidence}, it must lie between 0 and 1')
    cells = _cells(models)
    if not cells:
        raise ValueError('no model has errors at a charge state it was trained on; give those of at least one')
    verdicts = [
        verdict
        for cell in cells
        if cell.tag.training == MIXED and cell.tag.remedy != PLAIN
        for verdict in _verdicts(cell, cells, confidence)
    ]
    return RemedyComparison(tuple(_row(cell) for cell in cells), tuple(verdicts), confidence)


def _cells(models: Iterable[tuple[RemedyTag, Sequence[Mapping[str, Any]]]]) -> list[_Cell]:
    """Return the means over seeds of each kind of model at each charge state, sorted."""
    found: dict[tuple[str, RemedyTag], dict[str, list[float]]] = {}
    for tag, table in models:
        for row in table:
            if row['scope'] != 'charge_state' or row['charge_state'] not in tag.charge_states:
                continue
            values = [row[COLUMNS[name]] for name in QUANTITIES]
            if None in values:
                continue
            series = found.setdefault((row['charge_state'], tag), {name: [] for name in QUANTITIES})
            for name, value in zip(QUANTITIES, values):
                series[name].append(float(value))
    order = sorted(found, key=lambda key: (key[0], key[1].family, key[1].training != SINGLE, key[1].remedy != PLAIN))
    return [
        _Cell(state, tag, {name: SeedMean.of(values) for name, values in found[state, tag].items()})
        for state, tag in order
    ]


def _row(cell: _Cell) -> RemedyRow:
    """Return the row of one kind of model at one charge state."""
    force, energy = cell.means['force_rmse'], cell.means['energy_signed_error']
    return RemedyRow(
        charge_state=cell.charge_state,
        family=cell.tag.family,
        training=cell.tag.training,
        training_charge_states=','.join(cell.tag.charge_states),
        remedy=cell.tag.remedy,
        n_models=force.n_models,
        force_rmse_ev_per_angstrom=force.mean,
        force_rmse_error_ev_per_angstrom=force.error,
        force_rmse_spread_ev_per_angstrom=force.spread,
        energy_signed_error_ev_per_atom=energy.mean,
        energy_signed_error_error_ev_per_atom=energy.error,
        energy_signed_error_spread_ev_per_atom=energy.spread,
    )


def _verdicts(cell: _Cell, cells: Sequence[_Cell], confidence: float) -> list[RemedyVerdict]:
    """Return what a remedy does for each quantity; none where plain mixed or single models are missing."""

    def beside(training: str) -> _Cell | None:
        states = (cell.charge_state,) if training == SINGLE else cell.tag.charge_states
        wanted = RemedyTag(cell.tag.family, PLAIN, states)
        return next((o for o in cells if o.charge_state == cell.charge_state and o.tag == wanted), None)

    plain, single = beside(MIXED), beside(SINGLE)
    if plain is None or single is None:
        return []
    found = []
    for quantity, unit in QUANTITIES.items():
        remedied, mixed, alone = (_magnitude(item.means[quantity]) for item in (cell, plain, single))
        found.append(
            RemedyVerdict(
                charge_state=cell.charge_state,
                family=cell.tag.family,
                training_charge_states=','.join(cell.tag.charge_states),
                remedy=cell.tag.remedy,
                quantity=quantity,
                unit=unit,
                cost_of_mixing=mixed.mean - alone.mean,
                cost_of_mixing_error=math.hypot(mixed.error, alone.error),
                cost_left=remedied.mean - alone.mean,
                cost_left_error=math.hypot(remedied.error, alone.error),
                decision=_decision(remedied, mixed, alone, confidence),
            )
        )
    return found


def _magnitude(value: SeedMean) -> SeedMean:
    """Return the absolute value of a mean with its spread."""
    return dataclasses.replace(value, mean=abs(value.mean))


def _decision(remedied: SeedMean, mixed: SeedMean, alone: SeedMean, confidence: float) -> str:
    """Return what the remedy does, see :attr:`RemedyVerdict.decision`."""
    if min(remedied.n_models, mixed.n_models, alone.n_models) < MINIMUM_SEEDS:
        return 'too_few_seeds'
    if not is_larger(mixed, alone, confidence):
        return 'worse' if is_larger(remedied, mixed, confidence) else 'nothing_to_cure'
    if is_larger(remedied, mixed, confidence):
        return 'worse'
    if not is_larger(mixed, remedied, confidence):
        return 'not_reduced'
    return 'reduced' if is_larger(remedied, alone, confidence) else 'cured'


def is_larger(first: SeedMean, second: SeedMean, confidence: float) -> bool:
    """Return whether one mean is larger than another, by the one-sided t-test of Welch.

    :param first: mean over seeds.
    :param second: mean over other seeds.
    :param confidence: level of the test.
    """
    variances = [item.spread**2 / item.n_models for item in (first, second)]
    difference, variance = first.mean - second.mean, sum(variances)
    if variance == 0.0:
        return difference > 0.0
    freedom = variance**2 / sum(v**2 / (item.n_models - 1) for v, item in zip(variances, (first, second)))
    return bool(stats.t.cdf(difference / math.sqrt(variance), freedom) > confidence)


WORDS = {
    'nothing_to_cure': 'mixing costs nothing that the seeds could show, so there is nothing to cure',
    'cured': 'the cost of mixing is gone within the error over seeds',
    'reduced': 'the cost of mixing is reduced, but not gone',
    'not_reduced': 'the cost of mixing is not reduced by more than the error over seeds',
    'worse': 'errors are larger than without it',
    'too_few_seeds': 'there are too few seeds for an error',
}
"""Decisions in words."""
NAMES = {'force_rmse': 'force RMSE', 'energy_signed_error': 'absolute signed energy error per atom'}
"""Quantities in words."""


def in_words(comparison: RemedyComparison) -> str:
    """Return what each remedy does, one sentence for each charge state and quantity.

    :param comparison: the comparison.
    """
    sentences = []
    for item in comparison.verdicts:
        sentences.append(
            f'{item.family}, {item.charge_state}, {item.remedy} against plain training on '
            f'{item.training_charge_states}: {WORDS[item.decision]} ({NAMES[item.quantity]} over that of single '
            f'models {_with_error(item.cost_of_mixing, item.cost_of_mixing_error)} plain, '
            f'{_with_error(item.cost_left, item.cost_left_error)} {item.remedy}, {item.unit}).'
        )
    if not sentences:
        return 'There is no remedied model beside plain mixed and plain single ones of its family at one charge state.'
    return ' '.join(sentences)


def _with_error(value: float, error: float) -> str:
    """Return a number with its error in words."""
    return f'{value:.3g}' if math.isnan(error) else f'{value:.3g} ± {error:.1g}'


def _as_dict(row: Any) -> dict[str, Any]:
    """Return a row as JSON types; NaN becomes None."""
    values = dataclasses.asdict(row)
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}
