"""Activation energies that are known are found; what D does not tell is said in a sentence."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

from aiida_edl.science.analysis.activation_energy_difference import activation_energy_difference
from aiida_edl.science.analysis.arrhenius import Arrhenius, DiffusionPoint, arrhenius, point_of
from aiida_edl.science.analysis.arrhenius_settings import ArrheniusSettings
from aiida_edl.science.analysis.diffusion import diffusion
from aiida_edl.science.analysis.diffusion_settings import DiffusionSettings
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.units import BOLTZMANN
from aiida_edl.science.walkers import Walkers, arrhenius_rate

ENERGY = 0.24
"""eV"""
PREFACTOR = 0.02
"""Å²/fs"""
TEMPERATURES = (700.0, 800.0, 900.0, 1000.0, 1100.0)


def points(temperatures=TEMPERATURES, energy=ENERGY, relative=0.1, degrees=20.0, seed=None):
    """Return D on a line, or about it with a seed."""
    random = np.random.default_rng(seed)
    result = []
    for temperature in temperatures:
        value = PREFACTOR * np.exp(-energy / (BOLTZMANN * temperature))
        noise = relative * random.normal() if seed is not None else 0.0
        value *= np.exp(noise)
        result.append(DiffusionPoint(f't{temperature:g}', temperature, value, relative * value, degrees))
    return result


def test_points_on_the_line():
    result = arrhenius(points())
    assert result.activation_energy == pytest.approx(ENERGY)
    assert result.prefactor == pytest.approx(PREFACTOR)
    assert result.residual == pytest.approx(np.zeros(5), abs=1e-9)
    assert result.predicted_diffusion[0] == pytest.approx(PREFACTOR * np.exp(-ENERGY / (BOLTZMANN * 300.0)))
    assert result.activation_energy_low < ENERGY < result.activation_energy_high
    assert result.misfit_p_value == pytest.approx(1.0)


def test_known_errors_are_those_of_least_squares():
    """Equal relative errors that are known: the error of the slope is that of least squares; samples give it to 1 %."""
    result = arrhenius(points(degrees=1e6), ArrheniusSettings(n_samples=100000))
    abscissas = 1.0 / (BOLTZMANN * np.array(TEMPERATURES))
    expected = 0.1 / np.sqrt(np.sum((abscissas - abscissas.mean()) ** 2))
    assert result.activation_energy_error == pytest.approx(expected, rel=0.01)


def test_order_of_runs_does_not_matter():
    given = points(seed=3)
    assert arrhenius(given[::-1]).activation_energy == arrhenius(given).activation_energy


def test_seed_makes_it_repeatable():
    results = [arrhenius(points(seed=3), ArrheniusSettings(seed=seed)) for seed in (1, 1, 2)]
    assert results[0].activation_energy_low == results[1].activation_energy_low
    assert results[0].activation_energy_low != results[2].activation_energy_low


def test_runs_that_are_not_determined_are_listed():
    given = points()
    given[1] = dataclasses.replace(given[1], value=np.nan, error=np.nan, reason='too few hops')
    result = arrhenius(given)
    assert (result.n_runs, result.n_excluded, result.excluded) == (5, 1, ('t800 at 800 K: too few hops',))
    assert result.labels == ('t700', 't900', 't1000', 't1100')
    assert result.sentence.endswith('from 4 runs between 700 and 1100 K, 1 runs are excluded')


def test_two_temperatures_are_refused():
    message = 'runs at 2 temperatures are no test of a straight line; give at least 3'
    with pytest.raises(NotAnalysableError, match=f'^{re.escape(message)}$'):
        arrhenius(points((700.0, 700.2, 900.0)))


def test_too_few_determined_temperatures_give_a_sentence():
    given = points()
    given = [dataclasses.replace(item, reason='too few hops') for item in given[:3]] + given[3:]
    result = arrhenius(given)
    assert (result.is_determined, np.isnan(result.activation_energy)) == (False, True)
    assert result.reasons == (
        'D is determined at 2 temperatures, 3 runs are excluded; an activation energy needs at least 3',
    )


def test_fall_with_temperature_names_the_temperatures():
    given = points()
    given[4] = dataclasses.replace(given[4], value=given[3].value / 4.0, error=given[3].error / 4.0)
    result = arrhenius(given)
    assert np.isnan(result.activation_energy)
    assert result.reasons == (
        'D falls from 0.00123 ± 0.0001 Å²/fs at 1000 K to 0.000309 ± 3e-05 Å²/fs at 1100 K, by more than their errors: '
        'no activated process does; see whether the cell melted, changed its phase or lost its carriers',
    )


def test_fall_within_the_errors_counts():
    given = points()
    given[4] = dataclasses.replace(given[4], value=0.95 * given[3].value, error=0.1 * given[3].value)
    assert arrhenius(given).is_determined


def test_energy_below_zero_is_no_number():
    result = arrhenius(points(energy=-0.02))
    assert np.isnan(result.activation_energy)
    assert re.fullmatch(
        r'D does not rise from 700 to 1100 K: the slope would be an activation energy of -0\.020 ± 0\.0\d\d eV, and '
        r'one at or below zero is none',
        result.reasons[0],
    )


def test_result_returns_from_arrays_and_scalars():
    result = arrhenius(points(seed=1))
    again = Arrhenius.from_parts(result.arrays(), json.loads(json.dumps(result.scalars())))
    assert again.scalars() == result.scalars()


def test_difference_that_is_decided():
    found = activation_energy_difference(arrhenius(points(energy=0.4, seed=1)), arrhenius(points(energy=0.2, seed=2)))
    assert found.difference == pytest.approx(0.2, abs=3.0 * found.difference_error)
    assert found.is_decided
    assert found.sentence.endswith('the difference is decided')


def test_difference_of_two_runs_of_the_same():
    """Its error is that of both together; samples give it to 2 %."""
    first, second = arrhenius(points()), arrhenius(points(seed=7))
    found = activation_energy_difference(first, second)
    expected = np.hypot(first.activation_energy_error, second.activation_energy_error)
    assert found.difference_error == pytest.approx(expected, rel=0.03)
    assert not found.is_decided


def test_difference_with_one_that_is_not_determined():
    found = activation_energy_difference(arrhenius(points()), arrhenius(points(energy=-0.1)))
    assert np.isnan(found.difference)
    assert found.sentence == 'no difference: the second activation energy is not determined'


def family(seed: int) -> Arrhenius:
    """Return what is found for walkers at four temperatures."""
    settings = DiffusionSettings(hop_length=3.0, minimum_hops=20.0, n_lags=10)
    given = []
    for number, temperature in enumerate((700.0, 850.0, 1000.0, 1200.0)):
        rate = arrhenius_rate(temperature, ENERGY, 0.02)
        walkers = Walkers(n_walkers=4, n_frames=900, rate=rate, seed=1000 * number + seed)
        chosen = dataclasses.replace(settings, temperature=temperature)
        given.append(point_of(f't{number}', diffusion(walkers.frames(), chosen), 'tracer'))
    return arrhenius(given, ArrheniusSettings(n_samples=4000))


def test_interval_of_walkers_holds_the_truth_in_95_of_100_trials():
    """From the trajectories to the interval, with the seeds 0 to 99 as they come."""
    found = [family(seed) for seed in range(100)]
    assert all(item.is_determined for item in found)
    holds = [item.activation_energy_low <= ENERGY <= item.activation_energy_high for item in found]
    assert sum(holds) >= 95
    errors = [item.activation_energy - ENERGY for item in found]
    stated = np.sqrt(np.mean([item.activation_energy_error**2 for item in found]))
    # Not by inflated errors: what is stated is what is made, within the scatter of both.
    assert 0.8 < stated / np.std(errors) < 1.6
