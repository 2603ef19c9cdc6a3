r"""Does a remedy cure what training on several charge states costs? Plain, remedied and single models side by side.

On the test frames of one charge state, the cost of mixing is the error of models trained on several charge states over
that of models trained on this one alone, and a remedy is judged by what it leaves of it; see
:mod:`~aiida_edl.science.analysis.remedy_findings` for the tests and for what counts as a cure.

Errors are the force RMSE, and the size of the signed energy error per atom, which a model that cannot see the charge
shifts for whole charge states. Of the shift the absolute value of each seed is taken before the mean: shifts of
opposite sign over seeds are no less wrong, and would cancel. Its mean with the sign stands beside it.

Where the charge of the metal follows from the composition, as in frames of equilibrium alone, a model that is told the
charge is told what it could count: then a cure shows no learned response to the charge, for which frames of one
composition and several charges are needed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from aiida_edl.science.analysis.model_tags import MIXED, SINGLE
from aiida_edl.science.analysis.remedy_findings import (
    RemedyFinding,
    RemedySettings,
    RemedyTests,
    findings,
    remedy_tests,
)
from aiida_edl.science.analysis.small_samples import MINIMUM_SAMPLES, mean_test
from aiida_edl.science.frames import Floats

PLAIN = 'plain'
"""Models that are told nothing of the charge and see no farther than their layers."""
CHARGE_CONDITIONED = 'charge_conditioned'
"""Models that are told a charge."""
LONG_RANGE = 'long_range'
"""Models to which the electrostatics of fixed charges is added."""
QUANTITIES = {'force_rmse': 'eV/Å', 'energy_shift': 'eV/atom'}
"""What is compared, with units."""
COLUMNS = {
    'force_rmse': 'force_rmse_ev_per_angstrom',
    'energy_shift': 'energy_signed_error_ev_per_atom',
}
"""Columns of the table of errors that hold it."""


def remedy_name(is_told_charge: bool, has_long_range: bool) -> str:
    """Return the name of what was done about the charge of a model.

    >>> remedy_name(False, False), remedy_name(True, True)
    ('plain', 'charge_conditioned_and_long_range')

    :param is_told_charge: whether the model is told a charge.
    :param has_long_range: whether the electrostatics of fixed charges is added to it.
    """
    names = [name for name, is_so in ((CHARGE_CONDITIONED, is_told_charge), (LONG_RANGE, has_long_range)) if is_so]
    return '_and_'.join(names) or PLAIN


@dataclass(frozen=True)
class RemedyTag:
    """What a model is in this comparison."""

    family: str
    """Models that differ by training set, remedy and seed alone, e.g. ``'mace'``."""
    remedy: str
    """That of :func:`remedy_name`, or any other."""
    charge_states: tuple[str, ...]
    """Charge labels of the training set."""

    @property
    def training(self) -> str:
        """``'single'`` or ``'mixed'``."""
        return SINGLE if len(self.charge_states) == 1 else MIXED


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
    energy_shift_ev_per_atom: float
    """Mean over seeds of the absolute signed error."""
    energy_shift_error_ev_per_atom: float
    energy_shift_rms_ev_per_atom: float
    """Root of the mean over seeds of its square."""


@dataclass(frozen=True)
class RemedyVerdict:
    """What one remedy does at one charge state, for one quantity."""

    charge_state: str
    family: str
    training_charge_states: str
    remedy: str
    quantity: str
    """``'force_rmse'`` or ``'energy_shift'`` (absolute signed energy error of each seed)."""
    unit: str
    has_own_baseline: bool
    """Whether the remedied models are held against single ones with the remedy; else against plain single ones."""
    cost_of_mixing: float
    """Error of plain mixed models over that of plain single ones."""
    cost_of_mixing_error: float
    cost_left: float
    """Error of remedied mixed models over that of the baseline."""
    cost_left_error: float
    over_plain: float
    """Error of remedied over that of plain mixed models."""
    over_plain_error: float
    decision: RemedyFinding
    """What the remedy does."""


@dataclass(frozen=True)
class RemedyComparison:
    """All rows and verdicts."""

    rows: tuple[RemedyRow, ...]
    verdicts: tuple[RemedyVerdict, ...]
    settings: RemedySettings
    """Level of the tests, and margin of a cure."""

    def tables(self) -> dict[str, Any]:
        """Return tables and words as JSON types; NaN becomes None."""
        return {
            'verdict': in_words(self),
            'settings': self.settings.to_dict(),
            'rows': [_as_dict(row) for row in self.rows],
            'comparisons': [_as_dict(verdict) for verdict in self.verdicts],
        }


@dataclass(frozen=True)
class _Cell:
    """Errors of all seeds of one kind of model at one charge state."""

    charge_state: str
    tag: RemedyTag
    values: Mapping[str, list[float]]
    """One value for each seed, by quantity; energy shifts have their sign."""

    def sizes(self, quantity: str) -> list[float]:
        """Return the size of the error of each seed, of which smaller is better."""
        return [abs(value) for value in self.values[quantity]]


def compare_remedies(
    models: Iterable[tuple[RemedyTag, Sequence[Mapping[str, Any]]]], settings: RemedySettings | None = None
) -> RemedyComparison:
    """Return plain, remedied and single models side by side.

    :param models: tag and table of errors (``ErrorMetrics.table``) of each model, all on the same test frames. Single
        models count at their own charge state alone, mixed ones at those they were trained on.
    :param settings: level of the tests and margin of a cure; None for the default.
    :raises ValueError: if there is no model.
    """
    settings = settings or RemedySettings()
    cells = _cells(models)
    if not cells:
        raise ValueError('no model has errors at a charge state it was trained on; give those of at least one')
    asked = [
        (cell, quantity, tests)
        for cell in cells
        if cell.tag.training == MIXED and cell.tag.remedy != PLAIN
        for quantity, tests in _tests(cell, cells, settings).items()
    ]
    costs = [(cell.charge_state, cell.tag.family, cell.tag.charge_states, quantity) for cell, quantity, _ in asked]
    decisions = findings([tests for _, _, tests in asked], costs, settings)
    verdicts = [_verdict(*question, decision) for question, decision in zip(asked, decisions)]
    return RemedyComparison(tuple(_row(cell) for cell in cells), tuple(verdicts), settings)


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
    return [_Cell(state, tag, found[state, tag]) for state, tag in order]


def _row(cell: _Cell) -> RemedyRow:
    """Return the row of one kind of model at one charge state."""
    force, energy = (np.array(cell.values[name]) for name in QUANTITIES)
    return RemedyRow(
        charge_state=cell.charge_state,
        family=cell.tag.family,
        training=cell.tag.training,
        training_charge_states=','.join(cell.tag.charge_states),
        remedy=cell.tag.remedy,
        n_models=len(force),
        force_rmse_ev_per_angstrom=float(force.mean()),
        force_rmse_error_ev_per_angstrom=mean_test(force).error,
        force_rmse_spread_ev_per_angstrom=_spread(force),
        energy_signed_error_ev_per_atom=float(energy.mean()),
        energy_signed_error_error_ev_per_atom=mean_test(energy).error,
        energy_signed_error_spread_ev_per_atom=_spread(energy),
        energy_shift_ev_per_atom=float(np.abs(energy).mean()),
        energy_shift_error_ev_per_atom=mean_test(np.abs(energy)).error,
        energy_shift_rms_ev_per_atom=float(np.sqrt(np.mean(energy**2))),
    )


def _spread(values: Floats) -> float:
    """Return the standard deviation of shape ``(n_seeds,)``; NaN for one seed."""
    return float(values.std(ddof=1)) if len(values) >= MINIMUM_SAMPLES else float('nan')


def _tests(cell: _Cell, cells: Sequence[_Cell], settings: RemedySettings) -> dict[str, RemedyTests]:
    """Return the tests of a remedy by quantity; none where plain mixed or plain single models are missing."""

    def beside(remedy: str, charge_states: tuple[str, ...]) -> _Cell | None:
        wanted = RemedyTag(cell.tag.family, remedy, charge_states)
        return next((o for o in cells if o.charge_state == cell.charge_state and o.tag == wanted), None)

    alone = (cell.charge_state,)
    mixed, single, own = beside(PLAIN, cell.tag.charge_states), beside(PLAIN, alone), beside(cell.tag.remedy, alone)
    if mixed is None or single is None:
        return {}
    return {
        name: remedy_tests(
            cell.sizes(name),
            mixed.sizes(name),
            single.sizes(name),
            None if own is None else own.sizes(name),
            settings,
        )
        for name in QUANTITIES
    }


def _verdict(cell: _Cell, quantity: str, tests: RemedyTests, decision: RemedyFinding) -> RemedyVerdict:
    """Return what a remedy does for one quantity."""
    return RemedyVerdict(
        charge_state=cell.charge_state,
        family=cell.tag.family,
        training_charge_states=','.join(cell.tag.charge_states),
        remedy=cell.tag.remedy,
        quantity=quantity,
        unit=QUANTITIES[quantity],
        has_own_baseline=tests.has_own_baseline,
        cost_of_mixing=tests.cost.value,
        cost_of_mixing_error=tests.cost.error,
        cost_left=tests.left.value,
        cost_left_error=tests.left.error,
        over_plain=tests.over_plain.value,
        over_plain_error=tests.over_plain.error,
        decision=decision,
    )


WORDS = {
    RemedyFinding.TOO_FEW_SEEDS: 'there are too few seeds for an error',
    RemedyFinding.WORSE: 'errors of mixed models are larger than without it',
    RemedyFinding.COST_UNDECIDED: 'the seeds show no cost of mixing that could be cured',
    RemedyFinding.UNDECIDED: 'that the cost of mixing is reduced is not shown',
    RemedyFinding.REDUCED: 'the cost of mixing is reduced, but not gone',
    RemedyFinding.REDUCED_REMAINDER_UNDECIDED: 'the cost of mixing is reduced, the remainder not resolved',
    RemedyFinding.REACHES_SINGLE: 'reaches the error of the plain single models',
    RemedyFinding.CURED: 'the cost of mixing is gone',
}
"""Findings in words."""
NAMES = {'force_rmse': 'force RMSE', 'energy_shift': 'absolute signed energy error per atom'}
"""Quantities in words."""


def in_words(comparison: RemedyComparison) -> str:
    """Return what each remedy does, one sentence for each charge state and quantity.

    :param comparison: the comparison.
    """
    sentences = []
    for item in comparison.verdicts:
        words = WORDS[item.decision]
        if item.decision in (RemedyFinding.CURED, RemedyFinding.REACHES_SINGLE):
            words += f', up to {100 * comparison.settings.margin:.3g} % of the cost of mixing'
        baseline = item.remedy if item.has_own_baseline else PLAIN
        sentences.append(
            f'{item.family}, {item.charge_state}, {item.remedy} against plain training on '
            f'{item.training_charge_states}: {words} ({NAMES[item.quantity]} of mixed over single models '
            f'{_with_error(item.cost_of_mixing, item.cost_of_mixing_error)} plain, of mixed {item.remedy} over single '
            f'{baseline} ones {_with_error(item.cost_left, item.cost_left_error)}, {item.unit}).'
        )
    if not sentences:
        return 'There is no remedied model beside plain mixed and plain single ones of its family at one charge state.'
    return ' '.join(sentences)


def _with_error(value: float, error: float) -> str:
    """Return a number with its error in words."""
    return f'{value:.3g}' if math.isnan(error) else f'{value:.3g} ± {error:.1g}'


def _as_dict(row: Any) -> dict[str, Any]:
    """Return a row as JSON types; NaN becomes None."""
    values = {k: v.value if isinstance(v, Enum) else v for k, v in dataclasses.asdict(row).items()}
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}
