r"""Activation energy of diffusion from coefficients at several temperatures, with an interval that few points deserve.

.. math:: \ln D = \ln D_0 - \frac{E_a}{k T},

fitted with the errors of ln D, which are :math:`\sigma_D/D`. The interval is that of
:mod:`~aiida_edl.science.analysis.line_bootstrap`: errors of few replicas are themselves uncertain.

Runs whose D is not determined are left out, counted and listed. Where D falls as the temperature rises by more than
chance explains, or the energy comes out at zero or below, the answer is a sentence that names the temperatures.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import stats

from aiida_edl.science.analysis.arrhenius_settings import ArrheniusSettings
from aiida_edl.science.analysis.diffusion import Diffusion
from aiida_edl.science.analysis.line_bootstrap import LineBootstrap, interval, line_bootstrap, standard_error
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.result_parts import StoredResult
from aiida_edl.science.frames import Floats
from aiida_edl.science.units import BOLTZMANN

__all__ = ['Arrhenius', 'ArrheniusSettings', 'DiffusionPoint', 'arrhenius', 'line_of', 'point_of']

MINIMUM_TEMPERATURES = 3
"""Temperatures without which a straight line is none that could fail."""
SAME_TEMPERATURE = 0.5
"""Difference of temperatures [K] below which they count as one."""


@dataclass(frozen=True)
class DiffusionPoint:
    """A diffusion coefficient at a temperature, or why there is none."""

    label: str
    """Which run."""
    temperature: float
    """[K]"""
    value: float
    """Diffusion coefficient [Å²/fs]."""
    error: float
    """Standard error [Å²/fs]."""
    degrees_of_freedom: float
    """Of the error."""
    reason: str = ''
    """Why the coefficient is not determined; empty if it is."""


@dataclass(frozen=True)
class Arrhenius(StoredResult):
    """Activation energy and prefactor; NaN, with ``reasons``, where the points do not tell.

    Rows of ``temperature`` to ``degrees_of_freedom`` are the runs that count, by ascending temperature.
    """

    stored_subject: ClassVar[str] = 'an activation energy needs'
    settings_type: ClassVar[type[ArrheniusSettings]] = ArrheniusSettings

    temperature: Floats
    """[K], shape ``(n_points,)``."""
    diffusion: Floats
    """Diffusion coefficient [Å²/fs], shape ``(n_points,)``."""
    diffusion_error: Floats
    degrees_of_freedom: Floats
    """Of the error, shape ``(n_points,)``."""
    residual: Floats
    """ln D less the line, in standard errors of ln D, shape ``(n_points,)``."""
    prediction_temperature: Floats
    """[K], shape ``(n_predictions,)``."""
    predicted_diffusion: Floats
    """D by the line [Å²/fs], shape ``(n_predictions,)``."""
    predicted_diffusion_low: Floats
    """Lower end of its interval."""
    predicted_diffusion_high: Floats
    activation_energy: float
    """E_a [eV]"""
    activation_energy_error: float
    """Half the central interval of 68 % [eV]."""
    activation_energy_low: float
    """Lower end of the interval at the level of the settings [eV]."""
    activation_energy_high: float
    prefactor: float
    """D_0 [Å²/fs]"""
    prefactor_low: float
    """Lower end of its interval [Å²/fs]; its error is that of a logarithm."""
    prefactor_high: float
    log_prefactor_error: float
    """Standard error of ln D_0."""
    misfit_p_value: float
    """Probability of at least the found scatter about the line, if D follows Arrhenius and errors are right."""
    n_runs: int
    """Runs given."""
    n_excluded: int
    """Runs left out."""
    excluded: tuple[str, ...]
    """Their labels, with temperatures and reasons."""
    labels: tuple[str, ...]
    """Labels of the runs that count, by row."""
    is_determined: bool
    """Whether there is an activation energy."""
    reasons: tuple[str, ...]
    """Sentences why there is none."""
    sentence: str
    """The answer in words."""
    settings: ArrheniusSettings
    """What was asked for."""


def point_of(label: str, result: Diffusion, quantity: str) -> DiffusionPoint:
    """Return what a run tells at its temperature.

    :param label: which run.
    :param result: its diffusion.
    :param quantity: ``'tracer'`` or ``'charge'``.
    :raises NotAnalysableError: if its temperature is not known.
    """
    if not np.isfinite(result.temperature):
        raise NotAnalysableError(
            f"the run '{label}' has no temperature; give the setting 'temperature' [K] to its analysis of diffusion"
        )
    value, error = (float(getattr(result, f'{quantity}_diffusion{suffix}')) for suffix in ('', '_error'))
    reason = ' '.join(result.reasons)
    if not reason and not (value > 0.0 and np.isfinite(error) and error > 0.0):
        reason = f'its {quantity} coefficient is {value:.3g} ± {error:.2g} Å²/fs, which has no logarithm with an error'
    degrees = float(getattr(result, f'{quantity}_degrees_of_freedom'))
    return DiffusionPoint(label, result.temperature, value, error, degrees, reason)


def arrhenius(points: Sequence[DiffusionPoint], settings: ArrheniusSettings | None = None) -> Arrhenius:
    """Return the activation energy of diffusion.

    :param points: runs at three temperatures or more.
    :param settings: level of the intervals, temperatures of predictions; None for the defaults.
    :raises NotAnalysableError: if the runs, determined or not, are at fewer than three temperatures.
    """
    settings = settings or ArrheniusSettings()
    if (given := _n_temperatures([point.temperature for point in points])) < MINIMUM_TEMPERATURES:
        raise NotAnalysableError(
            f'runs at {given} temperatures are no test of a straight line; give at least {MINIMUM_TEMPERATURES}'
        )
    used = sorted((point for point in points if not point.reason), key=lambda point: point.temperature)
    excluded = tuple(f'{point.label} at {point.temperature:g} K: {point.reason}' for point in points if point.reason)
    reasons = _reasons(used, len(excluded), settings)
    line = None
    if not reasons:
        line = line_of(used, settings.n_samples, settings.seed)
        reasons = _not_activated(line, used)
    return _result(used, excluded, reasons, line, settings)


def line_of(points: Sequence[DiffusionPoint], n_samples: int, seed: int) -> LineBootstrap:
    """Return ln D as a line over 1/kT [1/eV] with its bootstrap; its slope is -E_a [eV].

    :param points: runs that count.
    :param n_samples: how many samples.
    :param seed: of the random numbers.
    """
    table = _table(points)
    return line_bootstrap(
        1.0 / (BOLTZMANN * table['temperature']),
        np.log(table['diffusion']),
        table['diffusion_error'] / table['diffusion'],
        table['degrees_of_freedom'],
        n_samples=n_samples,
        seed=seed,
    )


def _table(points: Sequence[DiffusionPoint]) -> dict[str, Floats]:
    """Return the columns of the points that count."""
    names = {
        'temperature': 'temperature',
        'diffusion': 'value',
        'diffusion_error': 'error',
        'degrees_of_freedom': 'degrees_of_freedom',
    }
    return {
        column: np.array([getattr(point, name) for point in points], dtype=np.float64) for column, name in names.items()
    }


def _n_temperatures(temperatures: Sequence[float]) -> int:
    """Return how many temperatures there are."""
    ordered = np.sort(np.asarray(temperatures, dtype=np.float64))
    return int(np.count_nonzero(np.diff(ordered) > SAME_TEMPERATURE)) + int(ordered.size > 0)


def _reasons(used: Sequence[DiffusionPoint], n_excluded: int, settings: ArrheniusSettings) -> list[str]:
    """Return why the points tell no activation energy, before any fit."""
    count = _n_temperatures([point.temperature for point in used])
    if count < MINIMUM_TEMPERATURES:
        return [
            f'D is determined at {count} temperatures, {n_excluded} runs are excluded; an activation energy needs at '
            f'least {MINIMUM_TEMPERATURES}'
        ]
    pairs = [
        (low, high) for low, high in itertools.pairwise(used) if high.temperature - low.temperature > SAME_TEMPERATURE
    ]
    # Each of several comparisons fails by chance: the level is shared among them.
    level = settings.maximum_p_fall / max(len(pairs), 1)
    return [_falls(low, high) for low, high in pairs if _p_of_fall(low, high) < level]


def _p_of_fall(low: DiffusionPoint, high: DiffusionPoint) -> float:
    """Return the probability of so large a fall of ln D if D is the same, by Welch's t."""
    variances = [(point.error / point.value) ** 2 for point in (low, high)]
    degrees = sum(variances) ** 2 / sum(
        part**2 / point.degrees_of_freedom for part, point in zip(variances, (low, high))
    )
    fall = np.log(low.value / high.value) / np.sqrt(sum(variances))
    return float(stats.t.sf(fall, degrees))


def _falls(low: DiffusionPoint, high: DiffusionPoint) -> str:
    return (
        f'D falls from {low.value:.3g} ± {low.error:.1g} Å²/fs at {low.temperature:g} K to {high.value:.3g} ± '
        f'{high.error:.1g} Å²/fs at {high.temperature:g} K, by more than their errors: no activated process does; see '
        'whether the cell melted, changed its phase or lost its carriers'
    )


def _not_activated(line: LineBootstrap, used: Sequence[DiffusionPoint]) -> list[str]:
    """Return a sentence if the energy is not positive."""
    energy = -line.slope
    if energy > 0.0:
        return []
    return [
        f'D does not rise from {used[0].temperature:g} to {used[-1].temperature:g} K: the slope would be an activation '
        f'energy of {energy:.3f} ± {standard_error(line.slopes):.3f} eV, and one at or below zero is none'
    ]


def _result(
    used: Sequence[DiffusionPoint],
    excluded: tuple[str, ...],
    reasons: list[str],
    line: LineBootstrap | None,
    settings: ArrheniusSettings,
) -> Arrhenius:
    """Return the result, with numbers if there are no reasons against them."""
    table = _table(used)
    values: dict[str, Any] = {
        **table,
        **(_numbers(table, line, settings) if line and not reasons else _no_numbers(table, settings)),
    }
    return Arrhenius(
        **values,
        prediction_temperature=np.array(settings.prediction_temperatures, dtype=np.float64),
        n_runs=len(used) + len(excluded),
        n_excluded=len(excluded),
        excluded=excluded,
        labels=tuple(point.label for point in used),
        is_determined=not reasons,
        reasons=tuple(reasons),
        sentence=_sentence(values, used, excluded, reasons, settings),
        settings=settings,
    )


def _numbers(table: Mapping[str, Floats], line: LineBootstrap, settings: ArrheniusSettings) -> dict[str, Any]:
    """Return what a line tells, by field name."""
    energy = interval(-line.slopes, settings.confidence)
    prefactor = np.exp(interval(line.samples_at(0.0), settings.confidence))
    places = [1.0 / (BOLTZMANN * temperature) for temperature in settings.prediction_temperatures]
    ranges = np.exp([interval(line.samples_at(place), settings.confidence) for place in places]).reshape(-1, 2)
    residual, misfit = _misfit(table, line)
    return {
        'residual': residual,
        'misfit_p_value': misfit,
        'activation_energy': -line.slope,
        'activation_energy_error': standard_error(line.slopes),
        'activation_energy_low': energy[0],
        'activation_energy_high': energy[1],
        'prefactor': float(np.exp(line.at(0.0))),
        'prefactor_low': float(prefactor[0]),
        'prefactor_high': float(prefactor[1]),
        'log_prefactor_error': standard_error(line.samples_at(0.0)),
        'predicted_diffusion': np.exp(np.array([line.at(place) for place in places], dtype=np.float64)),
        'predicted_diffusion_low': ranges[:, 0],
        'predicted_diffusion_high': ranges[:, 1],
    }


def _no_numbers(table: Mapping[str, Floats], settings: ArrheniusSettings) -> dict[str, Any]:
    """Return the same where nothing is told."""
    names: tuple[str, ...] = ('activation_energy', 'activation_energy_error')
    names += (
        'activation_energy_low',
        'activation_energy_high',
        'prefactor',
        'prefactor_low',
        'prefactor_high',
        'log_prefactor_error',
        'misfit_p_value',
    )
    predictions = ('predicted_diffusion', 'predicted_diffusion_low', 'predicted_diffusion_high')
    unknown = np.full(len(settings.prediction_temperatures), np.nan)
    return {
        **dict.fromkeys(names, float('nan')),
        **{name: unknown.copy() for name in predictions},
        'residual': np.full(len(table['temperature']), np.nan),
    }


def _misfit(table: Mapping[str, Floats], line: LineBootstrap) -> tuple[Floats, float]:
    """Return residuals in standard errors, and how likely their sum of squares is.

    Errors with few degrees of freedom are t distributed: each square is that of a normal number by its quantile.
    """
    expected = np.array([line.at(1.0 / (BOLTZMANN * value)) for value in table['temperature']])
    residual = (np.log(table['diffusion']) - expected) * table['diffusion'] / table['diffusion_error']
    normal = stats.norm.isf(stats.t.sf(np.abs(residual), table['degrees_of_freedom']))
    return residual, float(stats.chi2.sf(np.sum(normal**2), len(residual) - 2))


def _sentence(
    result: Mapping[str, Any],
    used: Sequence[DiffusionPoint],
    excluded: tuple[str, ...],
    reasons: list[str],
    settings: ArrheniusSettings,
) -> str:
    """Return the answer in words."""
    if reasons:
        return f'no activation energy: {"; ".join(reasons)}'
    left_out = f', {len(excluded)} runs are excluded' if excluded else ''
    return (
        f'activation energy of the {settings.quantity} coefficient {result["activation_energy"]:.3f} ± '
        f'{result["activation_energy_error"]:.3f} eV ({100 * settings.confidence:g} % interval '
        f'{result["activation_energy_low"]:.3f} to {result["activation_energy_high"]:.3f} eV) from {len(used)} runs '
        f'between {used[0].temperature:g} and {used[-1].temperature:g} K{left_out}'
    )
