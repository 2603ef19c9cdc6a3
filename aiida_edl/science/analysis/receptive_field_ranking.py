r"""Do models that see farther suffer less from mixed training?

For each architecture a penalty of mixed over single training, such as the logarithm of the ratio of force errors or the
difference of the excess variances of a profile, is set against its receptive field (layers times cutoff radius). The
rank correlation is that of Kendall with ties, τ_b (M. G. Kendall, Biometrika 33, 239 (1945)).

Its significance is exact: the share of all orders of the penalties that give a τ at least as low. Either direction may
be found, so half of the error is left to each: at 95 % a share has to be below 2.5 %. With n architectures of different
receptive field no order is rarer than 1/n!, so four of them (1/24) decide nothing, whatever they show, and neither do
more if too many share one receptive field. Beside it stands how often τ keeps its sign if the penalties are moved at
random within their error bars; a correlation counts as decided if both are at the level of confidence, and as undecided
if an error bar is not known. The receptive field goes with the kind of architecture and often with the number of
gradient updates, which a rank correlation cannot tell apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import permutations
from typing import Any

import numpy as np

from aiida_edl.science.frames import Floats

MAXIMUM_EXACT = 8
"""Architectures up to which all orders are counted; beyond, as many are drawn as 8 architectures have."""
MINIMUM_ARCHITECTURES = 2


class Trend(str, Enum):
    """How the penalty goes with the receptive field; the set is closed."""

    FALLS = 'falls'
    RISES = 'rises'
    UNDECIDED = 'undecided'
    TOO_FEW_ARCHITECTURES = 'too_few_architectures'


@dataclass(frozen=True)
class RankedPoint:
    """The penalty of one architecture."""

    architecture: str
    receptive_field: float
    """Layers times cutoff radius [Å]."""
    penalty: float
    """In the unit of the quantity."""
    error: float
    """Its standard error, same unit; NaN if it is not known."""


@dataclass(frozen=True)
class RankingSettings:
    """How correlations are judged."""

    confidence: float = 0.95
    """Level at which a trend counts as decided."""
    n_resamples: int = 4000
    """Draws of the penalties within their errors."""
    seed: int = 0
    """Seed of the draws."""


@dataclass(frozen=True)
class RankCorrelation:
    """Penalty against receptive field."""

    quantity: str
    """Name of the penalty."""
    unit: str
    points: tuple[RankedPoint, ...]
    """Ordered by receptive field."""
    tau: float
    """Rank correlation, -1 to 1; NaN if all receptive fields or penalties are equal."""
    tau_low: float
    """Lower end of its interval over draws within the errors."""
    tau_high: float
    """Upper end of that interval."""
    p_falls: float
    """Share of all orders that fall at least as clearly."""
    p_rises: float
    """Share of all orders that rise at least as clearly."""
    smallest_p: float
    """Share of the orders that fall most clearly: no p value can be smaller."""
    share_falling: float
    """Share of the draws within the errors in which τ is negative; NaN if an error is not known."""
    share_rising: float
    """Share of the draws in which it is positive."""
    settings: RankingSettings

    @property
    def trend(self) -> Trend:
        """What the numbers say."""
        limit = (1.0 - self.settings.confidence) / 2.0
        if not np.isfinite(self.tau) or self.smallest_p > limit:
            return Trend.TOO_FEW_ARCHITECTURES
        if self.p_falls <= limit and self.share_falling >= self.settings.confidence:
            return Trend.FALLS
        if self.p_rises <= limit and self.share_rising >= self.settings.confidence:
            return Trend.RISES
        return Trend.UNDECIDED

    @property
    def sentence(self) -> str:
        """The correlation in words."""
        order = ', '.join(
            f'{point.architecture} ({point.receptive_field:g} Å) {point.penalty:.2g}'
            + (f' ± {point.error:.1g}' if np.isfinite(point.error) else '')
            for point in self.points
        )
        unit = '' if self.unit == '1' else f' [{self.unit}]'
        head = f'{self.quantity}{unit} by receptive field: {order}'
        if len(self.points) < MINIMUM_ARCHITECTURES:
            return f'{head}; one architecture has no rank.'
        if not np.isfinite(self.tau):
            return f'{head}; all receptive fields or all penalties are equal, so there is no order.'
        is_known = np.isfinite(self.share_falling)
        within = f'{self.tau_low:.2f} to {self.tau_high:.2f} within the errors' if is_known else 'an error is not known'
        numbers = f'{head}; rank correlation {self.tau:.2f} ({within})'
        if self.trend is Trend.TOO_FEW_ARCHITECTURES:
            return (
                f'{numbers}; {len(self.points)} architectures cannot decide: even a perfect order comes about by '
                f'chance with probability {self.smallest_p:.2g}, in either direction {2.0 * self.smallest_p:.2g}.'
            )
        sign = 100 * max(self.share_falling, self.share_rising)
        words = {
            Trend.FALLS: f'it falls with the receptive field (p = {self.p_falls:.2g})',
            Trend.RISES: f'it rises with the receptive field (p = {self.p_rises:.2g})',
            Trend.UNDECIDED: f'undecided (p = {min(self.p_falls, self.p_rises):.2g}'
            + (f', the sign holds in {sign:.0f} % of the draws within the errors)' if is_known else ')'),
        }
        return f'{numbers}; {words[self.trend]}.'


def rank_correlation(
    quantity: str, unit: str, points: Sequence[RankedPoint], settings: RankingSettings | None = None
) -> RankCorrelation:
    """Return how a penalty goes with the receptive field.

    :param quantity: name of the penalty.
    :param unit: its unit.
    :param points: one for each architecture; those without a finite penalty are left out.
    :param settings: level, draws, seed; None for the defaults.
    """
    settings = settings or RankingSettings()
    chosen = tuple(
        sorted(
            (point for point in points if np.isfinite(point.penalty)),
            key=lambda point: (point.receptive_field, point.architecture),
        )
    )
    fields = np.array([point.receptive_field for point in chosen], dtype=np.float64)
    values = np.array([point.penalty for point in chosen], dtype=np.float64)
    errors = np.array([point.error for point in chosen], dtype=np.float64)
    random = np.random.default_rng(settings.seed)
    tau = float(kendall_tau(fields, values[np.newaxis])[0]) if chosen else float('nan')
    nan = float('nan')
    if not np.isfinite(tau):
        return RankCorrelation(quantity, unit, chosen, tau, nan, nan, nan, nan, 1.0, nan, nan, settings)
    orders = kendall_tau(fields, values[_orders(len(chosen), random)])
    low, high, falling, rising = nan, nan, nan, nan
    if np.isfinite(errors).all():
        draws = kendall_tau(fields, values + errors * random.standard_normal((settings.n_resamples, len(chosen))))
        tail = 50.0 * (1.0 - settings.confidence)
        low, high = np.percentile(draws, [tail, 100.0 - tail])
        falling, rising = float(np.mean(draws < 0.0)), float(np.mean(draws > 0.0))
    tolerance = 1e-9
    return RankCorrelation(
        quantity=quantity,
        unit=unit,
        points=chosen,
        tau=tau,
        tau_low=float(low),
        tau_high=float(high),
        p_falls=float(np.mean(orders <= tau + tolerance)),
        p_rises=float(np.mean(orders >= tau - tolerance)),
        smallest_p=float(np.mean(orders <= orders.min() + tolerance)),
        share_falling=falling,
        share_rising=rising,
        settings=settings,
    )


def _orders(n: int, random: np.random.Generator) -> np.ndarray:
    """Return all orders of n numbers as indices, shape ``(n!, n)``, or a sample of them."""
    if n <= MAXIMUM_EXACT:
        return np.array(list(permutations(range(n))), dtype=np.int64)
    return random.permuted(np.tile(np.arange(n), (math.factorial(MAXIMUM_EXACT), 1)), axis=1)


def kendall_tau(first: Floats, second: Floats) -> Floats:
    r"""Return the rank correlation τ_b of one series with each of several others; NaN if one is constant.

    .. math::
        \tau_b = \frac{\sum_{i<j} \mathrm{sgn}(x_i - x_j)\,\mathrm{sgn}(y_i - y_j)}
                      {\sqrt{\sum_{i<j} \mathrm{sgn}^2(x_i - x_j) \sum_{i<j} \mathrm{sgn}^2(y_i - y_j)}}

    :param first: shape ``(n,)``.
    :param second: shape ``(n_series, n)``.
    :return: shape ``(n_series,)``.

    >>> kendall_tau(np.array([1.0, 2.0, 3.0]), np.array([[6.0, 5.0, 4.0], [4.0, 6.0, 5.0]])).round(3).tolist()
    [-1.0, 0.333]
    """
    i, j = np.triu_indices(len(first), 1)
    a, b = np.sign(first[i] - first[j]), np.sign(second[:, i] - second[:, j])
    scale = np.sqrt(np.sum(a**2) * np.sum(b**2, axis=1))
    return np.asarray(np.sum(a * b, axis=1) / np.where(scale > 0.0, scale, np.nan))


def ranking_verdict(correlations: Sequence[RankCorrelation]) -> str:
    """Return the correlations in words, and how many come about by chance.

    :param correlations: of all penalties.
    """
    if not correlations:
        return 'No architecture has both kinds of training.'
    by_chance = sum(1.0 - item.settings.confidence for item in correlations)
    return ' '.join(
        [
            *(item.sentence for item in correlations),
            f'Of {len(correlations)} such questions {by_chance:.2g} would be decided by chance if nothing depended on '
            'the receptive field; it goes with the kind of architecture and perhaps with the number of gradient '
            'updates, which this does not tell apart, and seeds vary the training alone, so this holds for these '
            'training frames.',
        ]
    )


def correlation_row(item: RankCorrelation) -> dict[str, Any]:
    """Return a correlation as a flat row of JSON types; NaN becomes None.

    :param item: the correlation.
    """
    names = ('quantity', 'unit', 'tau', 'tau_low', 'tau_high', 'p_falls', 'p_rises', 'smallest_p')
    row = {name: getattr(item, name) for name in (*names, 'share_falling', 'share_rising')}
    row |= {'n_architectures': len(item.points), 'trend': item.trend.value, 'sentence': item.sentence}
    return {key: None if isinstance(value, float) and not np.isfinite(value) else value for key, value in row.items()}


def point_rows(item: RankCorrelation) -> list[dict[str, Any]]:
    """Return the points of a correlation as flat rows of JSON types; NaN becomes None.

    :param item: the correlation.
    """
    return [
        {
            'quantity': item.quantity,
            'unit': item.unit,
            'architecture': point.architecture,
            'receptive_field_angstrom': point.receptive_field,
            'penalty': point.penalty,
            'penalty_error': point.error if np.isfinite(point.error) else None,
        }
        for point in item.points
    ]
