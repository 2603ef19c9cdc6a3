r"""In which lags the mean square displacement grows as t: the rule for the window of a diffusion coefficient.

Vibration and the motion of first hops add a constant to the MSD that a slope in logarithms would take for slow growth
over decades of lags. The exponent of the growth is therefore taken from differences,

.. math:: \beta(t) = \frac{1}{\ln r} \ln \frac{M(r^2 t) - M(r t)}{M(r t) - M(t)},

which is α for :math:`M = c + b t^\alpha` whatever the constant: 1 where atoms diffuse, 2 where they fly or drift, below
1 where they are held back. The rule: with r = 2 and lags up to a fixed share of the shortest replica, the window starts
at twice the shortest lag from which on β is 1 within its error at all longer lags. A crossing from flight to rattle,
where β is 1 by chance at one lag, is thus left out, and what is left of a memory within the error of β decays once
more. The window stops at that share of the replica, beyond which too few independent stretches are left. Lags that each
agree with 1 may deviate together: the exponent over the whole window must be 1 as well, and known well enough. Where it
is not 1, the window starts later, until it is; where it would not be known any more, there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aiida_edl.science.analysis.diffusion_settings import DiffusionSettings
from aiida_edl.science.analysis.displacement_statistics import (
    mean_of_series,
    square_displacements,
    weighted,
)
from aiida_edl.science.analysis.mean_square_displacement import Motion
from aiida_edl.science.units import FEMTOSECONDS_PER_PICOSECOND

RATIO = 2
"""Ratio r of the lags of the exponent by the rule."""
SIGNIFICANT_GROWTH = 2.0
"""Standard errors that growth of the MSD must have for an exponent to be taken."""
CHANCE_LAGS = 3
"""Longest lags of which one or two may deviate: their errors are known least, and they hold no other regime."""
SAFETY = 2
"""Factor from the lag at which the exponent is 1 within its error to the first lag of the window: what is left of a
memory that decays there has decayed once more."""


@dataclass(frozen=True)
class Growth:
    """Exponent of the growth of the MSD with its error; NaN where it does not grow beyond its error."""

    exponent: float
    error: float


@dataclass(frozen=True)
class Window:
    """Lags of the fit, or why there are none."""

    start: int
    """First lag [frames]."""
    stop: int
    """Last lag [frames]."""
    growth: Growth
    """From the first to the last lag."""
    reason: str
    """A sentence; empty if the window is diffusive."""


def growth_of(motion: Motion, lags: tuple[int, int, int]) -> Growth:
    """Return the exponent of the growth of the MSD over three lags.

    :param motion: displacements of the mobile atoms.
    :param lags: ascending, [frames], about in geometric progression.
    """
    first, middle, last = lags
    curve = motion.curve
    early, late = float(curve[middle] - curve[first]), float(curve[last] - curve[middle])
    series = square_displacements(motion.replicas, lags)
    whole = mean_of_series(weighted(series, {first: -1.0, last: 1.0}))
    if not (early > 0.0 and late > 0.0 and early + late > SIGNIFICANT_GROWTH * whole.error):
        return Growth(np.nan, np.nan)
    scale = 2.0 / float(np.log(last / first))
    weights = {last: scale / late, middle: -scale / late - scale / early, first: scale / early}
    return Growth(_exponent(early, late, lags), mean_of_series(weighted(series, weights)).error)


def _exponent(early: float, late: float, lags: tuple[int, int, int]) -> float:
    """Return α of c + b t^α from two differences; exact for lags in geometric progression, close to it otherwise."""
    first, middle, last = (float(lag) for lag in lags)
    # A line has late/early = (last - middle)/(middle - first); what exceeds it is divided by the mean ratio.
    return float(1.0 + np.log(late / early * (middle - first) / (last - middle)) * 2.0 / np.log(last / first))


def is_linear(growth: Growth, settings: DiffusionSettings) -> bool:
    """Return whether an exponent is 1 within its error."""
    allowed = max(settings.slope_errors * growth.error, settings.slope_tolerance)
    return bool(abs(growth.exponent - 1.0) <= allowed)


def is_resolved(growth: Growth, settings: DiffusionSettings) -> bool:
    """Return whether an exponent is known well enough to show diffusion."""
    return bool(growth.error <= settings.maximum_slope_error)


def chosen_window(
    motion: Motion,
    grid: Sequence[int],
    growths: Sequence[Growth],
    interval: float,
    settings: DiffusionSettings,
) -> Window:
    """Return the window by the rule, or the given one; over either the exponent must be 1 and known well enough.

    :param motion: displacements of the mobile atoms.
    :param grid: lags at which exponents are known [frames], ascending; the exponent reaches to four times the lag.
    :param growths: their exponents.
    :param interval: time between frames [fs].
    :param settings: the rule.
    """
    longest = motion.curves.shape[1] - 1
    rule = _window_by_rule(motion, grid, growths, interval, settings)
    given_start, given_stop = (round(lag / interval) for lag in settings.window)
    if not given_start and not given_stop:
        return rule
    stop = given_stop or longest
    first = given_start or rule.start or 1
    if stop > longest or stop - first < 2:
        return Window(first, stop, Growth(np.nan, np.nan), _unusable(first, stop, longest, interval, settings))
    growth = growth_of(motion, _three(first, stop))
    if not is_linear(growth, settings):
        return Window(first, stop, growth, _outside(growth, first, stop, rule=rule, interval=interval))
    reason = '' if is_resolved(growth, settings) else _unresolved(growth, settings, stop, longest, interval)
    return Window(first, stop, growth, reason)


def _window_by_rule(
    motion: Motion,
    grid: Sequence[int],
    growths: Sequence[Growth],
    interval: float,
    settings: DiffusionSettings,
) -> Window:
    """Return the longest window at all lags of which, and over which, the exponent is 1; refused if there is none."""
    longest = motion.curves.shape[1] - 1
    starts = _starts_by_rule(grid, growths, settings)
    if not starts:
        return Window(0, 0, growths[-1], _nowhere_linear(growths[-1], grid[-1], longest, interval))
    tried = []
    for start in starts:
        tried.append(growth_of(motion, _three(start, longest)))
        if not is_resolved(tried[-1], settings):
            break
        if is_linear(tried[-1], settings):
            return Window(start, longest, tried[-1], '')
    if is_resolved(tried[0], settings):
        return Window(starts[0], longest, tried[0], _nowhere_linear(tried[0], starts[0], longest, interval))
    return Window(starts[0], longest, tried[0], _unresolved(tried[0], settings, longest, longest, interval))


def _starts_by_rule(grid: Sequence[int], growths: Sequence[Growth], settings: DiffusionSettings) -> list[int]:
    """Return twice the lags from which on all exponents are 1 within their errors, ascending; none if there is none."""
    linear = [is_linear(growth, settings) for growth in growths]
    if not any(linear[-CHANCE_LAGS:]):
        return []
    last = max(index for index, value in enumerate(linear) if value)
    first = last
    while first > 0 and linear[first - 1]:
        first -= 1
    return [SAFETY * lag for lag in grid[first : last + 1]]


def _three(start: int, stop: int) -> tuple[int, int, int]:
    """Return three lags in about geometric progression."""
    middle = round(float(np.sqrt(start * stop)))
    return start, min(max(middle, start + 1), stop - 1), stop


def picoseconds(frames: float, interval: float) -> str:
    """Return a time in words."""
    return f'{frames * interval / FEMTOSECONDS_PER_PICOSECOND:.3g} ps'


def in_words(growth: Growth) -> str:
    """Return how the MSD grows, in words."""
    if not np.isfinite(growth.exponent):
        return 'does not grow beyond its error'
    return f'grows as t^({growth.exponent:.2f} ± {growth.error:.2f})'


def _nowhere_linear(growth: Growth, lag: int, longest: int, interval: float) -> str:
    return (
        f'the mean square displacement {in_words(growth)} from {picoseconds(lag, interval)} to '
        f'{picoseconds(longest, interval)}, the longest lags that count, not as t: the run does not reach the '
        'diffusive regime; replicas at least twice as long are needed'
    )


def _unresolved(growth: Growth, settings: DiffusionSettings, stop: int, longest: int, interval: float) -> str:
    times = (growth.error / settings.maximum_slope_error) ** 2 if np.isfinite(growth.error) else 4.0
    length = longest / settings.longest_share * times
    return (
        f'the mean square displacement {in_words(growth)} up to {picoseconds(stop, interval)}: an error above '
        f'maximum_slope_error = {settings.maximum_slope_error:g} does not show diffusion; replicas of at least about '
        f'{picoseconds(length, interval)}, or more of them, are needed'
    )


def _unusable(start: int, stop: int, longest: int, interval: float, settings: DiffusionSettings) -> str:
    return (
        f'the window from {picoseconds(start, interval)} to {picoseconds(stop, interval)} cannot be used: give one of '
        f'at least 3 frames that ends before {picoseconds(longest, interval)}, which is longest_share = '
        f'{settings.longest_share:g} of the shortest replica'
    )


def _outside(growth: Growth, first: int, stop: int, *, rule: Window, interval: float) -> str:
    right = (
        'the run holds no diffusive window; make it longer'
        if rule.reason
        else f'the rule would take {picoseconds(rule.start, interval)} to {picoseconds(rule.stop, interval)}'
    )
    return (
        f'the window from {picoseconds(first, interval)} to {picoseconds(stop, interval)} is outside the diffusive '
        f'regime, where the exponent is 1: the mean square displacement {in_words(growth)} there; {right}'
    )
