r"""When active learning has learnt enough: a rule on what its rounds have measured, and the verdict in words.

Two signs can end it, each over several rounds in a row:

- the share of accurate frames reaches a limit, in the charge state where it is lowest,
- the error on the test frames falls by no more than its uncertainty,

.. math::
    \epsilon_{r-1} - \epsilon_r \le \sqrt{\Delta_{r-1}^2 + \Delta_r^2}

with the mean :math:`\epsilon` of the force RMSE over the members of a committee and its standard error :math:`\Delta`.
All rounds are tested on the same frames, so the error bar for their choice is left out of the difference.

A single potential that finds its own frames has no committee. Its sign is the error on the labels of the frames that
its own dynamics visited, taken before it has learnt them: it ends where that error is below a limit, or falls by no
more than its uncertainty. Each round has other frames, so here :math:`\Delta` is the error bar for their choice.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


class StopRuleError(ValueError):
    """A rule that cannot be followed."""


@dataclass(frozen=True)
class StopRule:
    """When to stop before the last round."""

    accurate_share: float = 0.95
    """Share of accurate frames that is enough, 0 to 1; chosen here, as usual with DP-GEN."""
    accurate_rounds: int = 2
    """Rounds in a row that must reach it; 0: it is no reason to stop. Each has other seeds and initial frames."""
    stagnant_rounds: int = 0
    """Trainings in a row whose test error fell by no more than its uncertainty; 0: it is no reason to stop."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises StopRuleError: with the name, the value and what would be right.
        """
        if not 0 < self.accurate_share <= 1:
            raise StopRuleError(f'accurate_share is {self.accurate_share}, it must lie above 0 and not above 1')
        for name in ('accurate_rounds', 'stagnant_rounds'):
            if getattr(self, name) < 0:
                raise StopRuleError(f'{name} is {getattr(self, name)}, it must not be negative')


@dataclass(frozen=True)
class OwnErrorRule:
    """When a potential that finds its own frames has learnt enough."""

    force_error: float = 0.1
    """Force RMSE on its own frames that is small enough [eV/Å]; chosen here."""
    rounds: int = 2
    """Rounds in a row that must stay below it; 0: it is no reason to stop. Each has other seeds and initial frames."""
    stagnant_rounds: int = 0
    """Rounds in a row in which that error fell by no more than its uncertainty; 0: it is no reason to stop."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises StopRuleError: with the name, the value and what would be right.
        """
        if not 0 < self.force_error < math.inf:
            raise StopRuleError(f'force_error is {self.force_error}, it must be positive and finite')
        for name in ('rounds', 'stagnant_rounds'):
            if getattr(self, name) < 0:
                raise StopRuleError(f'{name} is {getattr(self, name)}, it must not be negative')


@dataclass(frozen=True)
class MeanError:
    """An error with its uncertainty, over the members of a committee or over frames."""

    mean: float
    """The error: mean over the members, or of all frames."""
    standard_error: float
    """Standard error of it; NaN where it is not known, as for a single member."""

    def __str__(self) -> str:
        """Return both in words.

        >>> str(MeanError(0.12, 0.01)), str(MeanError(0.12, math.nan))
        ('0.1200 ± 0.0100', '0.1200 (of unknown uncertainty)')
        """
        if math.isnan(self.standard_error):
            return f'{self.mean:.4f} (of unknown uncertainty)'
        return f'{self.mean:.4f} ± {self.standard_error:.4f}'


def mean_error(values: Sequence[float]) -> MeanError:
    """Return mean and standard error over the members of a committee.

    :param values: one for each member, at least one.

    >>> mean_error([1.0, 3.0])
    MeanError(mean=2.0, standard_error=1.0)
    """
    spread = float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return MeanError(float(np.mean(values)), spread)


def is_accurate_enough(shares: Sequence[float], rule: StopRule) -> str | None:
    """Return in words why the share of accurate frames is enough, None if it is not.

    :param shares: share of accurate frames of each round so far, the last one last.
    :param rule: the rule.
    """
    last = list(shares[-rule.accurate_rounds :]) if rule.accurate_rounds else []
    if not last or len(last) < rule.accurate_rounds or min(last) < rule.accurate_share:
        return None
    return (
        f'at least {100 * min(last):.1f} % of the frames of each charge state were accurate in {_rounds(len(last))}, '
        f'{100 * rule.accurate_share:g} % are asked for'
    )


def is_stagnant(errors: Sequence[MeanError], rule: StopRule) -> str | None:
    """Return in words that the test error falls no more, None if it still does.

    :param errors: force RMSE on the test frames [eV/Å] of each training so far, the last one last.
    :param rule: the rule.
    """
    if not _falls_no_more(errors, rule.stagnant_rounds):
        return None
    return (
        f'the force error on the test frames, now {errors[-1].mean:.4f} ± {errors[-1].standard_error:.4f} eV/Å, '
        f'fell by no more than its uncertainty in {_rounds(rule.stagnant_rounds)}'
    )


def is_small_enough(errors: Sequence[MeanError], rule: OwnErrorRule) -> str | None:
    """Return in words that the error on a potential's own frames is small enough, None if it is not.

    :param errors: force RMSE on the own frames [eV/Å] of each round so far, the last one last; NaN where it is unknown.
    :param rule: the rule.
    """
    last = list(errors[-rule.rounds :]) if rule.rounds else []
    if len(last) < max(rule.rounds, 1) or not all(error.mean < rule.force_error for error in last):
        return None
    return (
        f'the force error on its own frames was {", ".join(map(str, last))} eV/Å in {_rounds(len(last))}, below the '
        f'{rule.force_error:g} that are asked for'
    )


def is_no_longer_falling(errors: Sequence[MeanError], rule: OwnErrorRule) -> str | None:
    """Return in words that the error on a potential's own frames falls no more, None if it still does.

    :param errors: force RMSE on the own frames [eV/Å] of each round so far, the last one last; NaN where it is unknown.
    :param rule: the rule.
    """
    if not _falls_no_more(errors, rule.stagnant_rounds):
        return None
    return (
        f'the force error on its own frames, now {errors[-1]} eV/Å, fell by no more than its uncertainty in '
        f'{_rounds(rule.stagnant_rounds)}'
    )


def _falls_no_more(errors: Sequence[MeanError], n_rounds: int) -> bool:
    """Return whether an error fell by no more than its uncertainty in so many rounds in a row; never for none."""
    if not n_rounds or len(errors) <= n_rounds:
        return False
    for before, after in itertools.pairwise(errors[-n_rounds - 1 :]):
        uncertainty = math.hypot(before.standard_error, after.standard_error)
        if not before.mean - after.mean <= uncertainty:  # it fell, or one of them is no number
            return False
    return True


def _rounds(number: int) -> str:
    """Return a number of rounds in words.

    >>> _rounds(1), _rounds(2)
    ('the last round', 'each of the last 2 rounds')
    """
    return 'the last round' if number == 1 else f'each of the last {number} rounds'
