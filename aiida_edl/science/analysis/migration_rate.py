r"""Rates at which a defect moves on, and the activation energy of these rates.

A rate needs tens of events, a diffusion coefficient hundreds and the diffusive regime: where runs are too short for
coefficients, rates are what they tell. What moves a defect on are knock-offs, direct hops and hops of a vacancy; pairs
that form and recombine, and exchanges in a ring, do not count.

.. math:: \ln k = \ln \nu - \frac{E_k}{k_B T}

The energy is that of diffusion as far as jumps are not correlated, or are so alike at all temperatures. Its interval is
that of :mod:`~aiida_edl.science.analysis.line_bootstrap`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aiida_edl.science.analysis.arrhenius import MINIMUM_TEMPERATURES
from aiida_edl.science.analysis.line_bootstrap import line_bootstrap, standard_error
from aiida_edl.science.units import BOLTZMANN

MIGRATION = ('knock_off', 'direct', 'vacancy')
"""Kinds of events by which a defect moves on."""
N_SAMPLES, SEED = 20000, 1
"""Lines of the bootstrap, and the seed of its random numbers."""


@dataclass(frozen=True)
class MigrationRate:
    """How often a defect moves on at a temperature."""

    temperature: float
    """[K]"""
    rate: float
    """Events [1/ps]."""
    error: float | None
    """Its standard error [1/ps], that of independent kinds of events; None without events."""
    n_runs: int
    """Runs that count."""


@dataclass(frozen=True)
class RateActivation:
    """Activation energy of rates, or why there is none."""

    energy: float | None
    """[eV]"""
    error: float | None
    """Half the central interval of 68 % [eV]."""
    reason: str = ''
    """Why there is none; empty if there is."""


def migration_rate(row: Mapping[str, Any]) -> MigrationRate | None:
    """Return the rate of a row of ``edl.diffusion_report``; None if no run of it was looked at for events.

    :param row: with ``temperature_kelvin``, ``n_runs``, ``n_excluded``, and ``rate_<kind>_per_ps`` with errors.
    """
    known = [kind for kind in MIGRATION if row.get(f'rate_{kind}_per_ps') is not None]
    if not known:
        return None
    errors = [row.get(f'rate_{kind}_error_per_ps') for kind in known]
    stated = [float(error) for error in errors if error is not None]
    return MigrationRate(
        float(row['temperature_kelvin']),
        math.fsum(float(row[f'rate_{kind}_per_ps']) for kind in known),
        math.sqrt(math.fsum(error**2 for error in stated)) if stated else None,
        int(row['n_runs']) - int(row['n_excluded']),
    )


def rate_activation(rates: Sequence[MigrationRate]) -> RateActivation:
    """Return the activation energy of rates at several temperatures.

    :param rates: one for each temperature.
    """
    used = sorted(
        (rate for rate in rates if rate.rate > 0.0 and rate.error and rate.n_runs > 1),
        key=lambda rate: rate.temperature,
    )
    if len({rate.temperature for rate in used}) < MINIMUM_TEMPERATURES:
        return RateActivation(
            None,
            None,
            f'two runs or more with events are at {len(used)} temperatures; an activation energy needs at least '
            f'{MINIMUM_TEMPERATURES}',
        )
    temperatures, values = (np.array([getattr(rate, name) for rate in used]) for name in ('temperature', 'rate'))
    line = line_bootstrap(
        1.0 / (BOLTZMANN * temperatures),
        np.log(values),
        np.array([rate.error for rate in used], dtype=float) / values,
        np.array([rate.n_runs - 1.0 for rate in used]),
        n_samples=N_SAMPLES,
        seed=SEED,
    )
    energy, error = -line.slope, standard_error(line.slopes)
    if energy <= 0.0:
        first, last = used[0].temperature, used[-1].temperature
        return RateActivation(
            None,
            None,
            f'rates do not rise from {first:g} to {last:g} K: the slope would be an activation energy of {energy:.3f} '
            f'± {error:.3f} eV',
        )
    return RateActivation(energy, error)
