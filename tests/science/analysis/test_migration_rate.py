"""Rates of migration and their activation energy: known answers, coverage, and why there is none."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis.migration_rate import MigrationRate, migration_rate, rate_activation
from aiida_edl.science.units import BOLTZMANN

TEMPERATURES = (700.0, 850.0, 1000.0)


def row(**changes):
    return {
        'temperature_kelvin': 850.0,
        'n_runs': 4,
        'n_excluded': 1,
        'rate_knock_off_per_ps': 0.3,
        'rate_knock_off_error_per_ps': 0.04,
        'rate_direct_per_ps': 0.1,
        'rate_direct_error_per_ps': 0.03,
        'rate_vacancy_per_ps': 0.0,
        'rate_vacancy_error_per_ps': None,
        'rate_ring_per_ps': 5.0,
        'rate_ring_error_per_ps': 5.0,
        **changes,
    }


def rates(energy=0.3, relative_error=0.1, noise=(0.0, 0.0, 0.0)):
    """Return rates of 20 events a ps at infinite temperature, off by some errors."""
    exact = 20.0 * np.exp(-energy / (BOLTZMANN * np.array(TEMPERATURES)))
    return [
        MigrationRate(temperature, value * np.exp(relative_error * shift), relative_error * value, 4)
        for temperature, value, shift in zip(TEMPERATURES, exact, noise)
    ]


def test_events_that_move_a_defect_on_are_added():
    found = migration_rate(row())
    assert (found.temperature, found.n_runs) == (850.0, 3)
    assert (found.rate, found.error) == (pytest.approx(0.4), pytest.approx(0.05))


def test_no_event_has_a_rate_of_zero_and_no_error():
    zero = {
        f'rate_{kind}_{name}': value
        for kind in ('knock_off', 'direct')
        for name, value in (('per_ps', 0.0), ('error_per_ps', None))
    }
    found = migration_rate(row(**zero))
    assert (found.rate, found.error) == (0.0, None)


def test_runs_that_were_not_looked_at_have_no_rate():
    assert migration_rate({'temperature_kelvin': 850.0, 'n_runs': 4, 'n_excluded': 4}) is None


def test_activation_energy_is_that_of_exact_rates():
    found = rate_activation(rates(energy=0.27))
    assert found.energy == pytest.approx(0.27, abs=1e-9)
    assert 0.02 < found.error < 0.06


def test_stated_error_covers_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(1)
    found = [rate_activation(rates(noise=generator.normal(size=3))) for _ in range(150)]
    share = np.mean([abs(one.energy - 0.3) < one.error for one in found])
    # the errors of four runs are taken as uncertain, so that the interval is wider than that of known ones
    assert 0.68 - 3 * 0.038 < share < 0.95


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda r: r[:2], 'two runs or more with events are at 2 temperatures; an activation energy needs at least 3'),
        (lambda r: [*r[:2], MigrationRate(1000.0, 0.0, None, 4)], 'are at 2 temperatures'),
        (lambda r: [*r[:2], MigrationRate(1000.0, 0.5, 0.1, 1)], 'are at 2 temperatures'),
        (
            lambda r: rates(energy=-0.1),
            'rates do not rise from 700 to 1000 K: the slope would be an activation energy of -0.1',
        ),
    ],
)
def test_reason_is_given_where_there_is_none(change, message):
    found = rate_activation(change(rates()))
    assert (found.energy, found.error) == (None, None)
    assert message in found.reason
