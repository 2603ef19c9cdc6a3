r"""What a remedy does to the cost of mixing, tested on a few seeds.

With the means x over seeds of mixed and single models, plain and remedied, the cost of mixing is

.. math:: c = x_\mathrm{mixed, plain} - x_\mathrm{single, plain}, \qquad c' = x_\mathrm{mixed, remedied} - b

without and with the remedy. The baseline b is :math:`x_\mathrm{single, remedied}` where such models exist: a remedy may
make every model better without curing anything. Without them b is :math:`x_\mathrm{single, plain}`, and what can be
found is that the remedied models reach the error of those, not that mixing costs them nothing.

That c' is not told from zero is no cure: too few seeds have it so as well. A cure needs :math:`c' < m c` for a margin m
that is stated, by a one-sided test of :math:`c' - m c` (D. J. Schuirmann, J. Pharmacokinet. Biopharm. 15, 657 (1987)),
beside a cost c that is shown to be above zero. Of 1000 drawn cases of three seeds and a cost of 50 (scatter of plain
models 3), a remedy that leaves half of it was called a cure in none, whatever its scatter of 1 to 15; one that leaves
nothing in 97, 74 and 21 % at a scatter of 1, 5 and 15, and else mostly reduced with an unresolved remainder. All tests
are those of B. L. Welch, Biometrika 34, 28 (1947), their p values corrected after Holm for the number of remedies,
charge states and quantities of which the same is asked. Seeds differ in the training alone, so a finding holds for
these training sets and test frames.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from aiida_edl.science.analysis.small_samples import MINIMUM_SAMPLES, TestedMean, contrast_test, holm_adjusted
from aiida_edl.typed_fields import checked_fields


@dataclass(frozen=True)
class RemedySettings:
    """How remedies are judged."""

    confidence: float = 0.95
    """Level of the tests, between 0 and 1."""
    margin: float = 0.2
    """Share of the cost of mixing that may be left of it in a cure, between 0 and 1."""

    def __post_init__(self) -> None:
        for name in ('confidence', 'margin'):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(f'{name} is {getattr(self, name)}, it must lie between 0 and 1')

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RemedySettings:
        """Return the settings.

        :raises ValueError: for an unknown name or a value out of range.
        """
        return cls(**checked_fields(cls, values, 'setting of the comparison of remedies', ValueError))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON types."""
        return dataclasses.asdict(self)


class RemedyFinding(str, Enum):
    """What a remedy does; the set is closed."""

    TOO_FEW_SEEDS = 'too_few_seeds'
    WORSE = 'worse'
    """Errors of mixed models are larger with the remedy."""
    COST_UNDECIDED = 'cost_undecided'
    """No cost of mixing was shown, so that nothing can be cured."""
    UNDECIDED = 'undecided'
    """The cost of mixing is not shown to be reduced."""
    REDUCED = 'reduced'
    """It is reduced, and what is left is shown to be above zero."""
    REDUCED_REMAINDER_UNDECIDED = 'reduced_remainder_undecided'
    """It is reduced; whether more than the margin is left is not known."""
    REACHES_SINGLE = 'reaches_single'
    """The error of plain single models is reached within the margin; there are no remedied single ones."""
    CURED = 'cured'
    """Less than the margin is left of it."""


@dataclass(frozen=True)
class RemedyTests:
    """The tests of one remedy for one quantity, in its unit."""

    n_models: int
    """Seeds on the side that has the fewest."""
    has_own_baseline: bool
    """Whether there are remedied single models."""
    cost: TestedMean
    """Cost of mixing for plain models."""
    left: TestedMean
    """Cost that is left with the remedy."""
    over_plain: TestedMean
    """Error of remedied over that of plain mixed models."""
    reduction: TestedMean
    """Cost that is left, less the cost of mixing."""
    beyond_margin: TestedMean
    """Cost that is left, less the margin of the cost of mixing."""

    @property
    def p_values(self) -> dict[str, float]:
        """Return the p values by question; of :attr:`beyond_margin` one-sided, for being below zero."""
        names = ('cost', 'left', 'over_plain', 'reduction')
        margin = self.beyond_margin
        below = 0.5 * margin.p_value if margin.value < 0.0 else 1.0 - 0.5 * margin.p_value
        return {name: getattr(self, name).p_value for name in names} | {'beyond_margin': below}


def remedy_tests(
    remedied: Sequence[float],
    mixed: Sequence[float],
    single: Sequence[float],
    remedied_single: Sequence[float] | None,
    settings: RemedySettings,
) -> RemedyTests:
    """Return the tests of one remedy for one quantity, of which smaller is better.

    :param remedied: one value for each seed of the mixed models with the remedy.
    :param mixed: the same of plain mixed models.
    :param single: the same of plain single models.
    :param remedied_single: the same of single models with the remedy; None if there are none.
    :param settings: level and margin.
    """
    own = single if remedied_single is None else remedied_single

    def tested(of_remedied: float, of_mixed: float, of_single: float, of_own: float) -> TestedMean:
        groups = [(remedied, of_remedied), (mixed, of_mixed), (single, of_single), (own, of_own)]
        if remedied_single is None:  # one group, which must not enter as two independent ones
            groups = [(remedied, of_remedied), (mixed, of_mixed), (single, of_single + of_own)]
        used = [(values, factor) for values, factor in groups if factor]
        return contrast_test([values for values, _ in used], [factor for _, factor in used], settings.confidence)

    return RemedyTests(
        n_models=min(len(values) for values in (remedied, mixed, single, own)),
        has_own_baseline=remedied_single is not None,
        cost=tested(0.0, 1.0, -1.0, 0.0),
        left=tested(1.0, 0.0, 0.0, -1.0),
        over_plain=tested(1.0, -1.0, 0.0, 0.0),
        reduction=tested(1.0, -1.0, 1.0, -1.0),
        beyond_margin=tested(1.0, -settings.margin, settings.margin, -1.0),
    )


def findings(tests: Sequence[RemedyTests], costs: Sequence[Hashable], settings: RemedySettings) -> list[RemedyFinding]:
    """Return what each remedy does, the p values corrected for the number of tests.

    :param tests: tests of all remedies, charge states and quantities.
    :param costs: for each, what the cost of mixing was taken from; those of one name are one question.
    :param settings: level of the tests.
    """
    adjusted: list[dict[str, float]] = [{} for _ in tests]
    if tests:
        for question in tests[0].p_values:
            names = list(costs) if question == 'cost' else list(range(len(tests)))
            asked = dict(zip(names, (item.p_values[question] for item in tests)))
            known = dict(zip(asked, holm_adjusted(list(asked.values()))))
            for values, name in zip(adjusted, names):
                values[question] = known[name]
    return [_finding(item, values, 1.0 - settings.confidence) for item, values in zip(tests, adjusted)]


def _finding(tests: RemedyTests, p_values: Mapping[str, float], level: float) -> RemedyFinding:
    """Return what one remedy does."""
    if tests.n_models < MINIMUM_SAMPLES:
        return RemedyFinding.TOO_FEW_SEEDS
    is_shown = {question: p_value <= level for question, p_value in p_values.items()}
    if is_shown['over_plain'] and tests.over_plain.value > 0.0:
        return RemedyFinding.WORSE
    if not is_shown['cost'] or tests.cost.value <= 0.0:
        return RemedyFinding.COST_UNDECIDED
    if is_shown['beyond_margin']:
        return RemedyFinding.CURED if tests.has_own_baseline else RemedyFinding.REACHES_SINGLE
    if is_shown['reduction'] and tests.reduction.value < 0.0:
        is_left = is_shown['left'] and tests.left.value > 0.0
        return RemedyFinding.REDUCED if is_left else RemedyFinding.REDUCED_REMAINDER_UNDECIDED
    return RemedyFinding.UNDECIDED
