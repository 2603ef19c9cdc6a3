"""The comparison of a study: what it makes of the rates of events."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.orm import Dict

from aiida_edl.calculations.functions.fine_tuning_comparison import fine_tuning_comparison
from aiida_edl.science.units import BOLTZMANN

pytestmark = pytest.mark.usefixtures('aiida_profile')
MODEL = {
    'family': 'naive',
    'strategy': 'labelled_frames',
    'start': 'foundation',
    'architecture': 'mace',
    'n_frames': 10,
    'n_validation': 2,
    'n_replay': 0,
    'round_number': 0,
    'costs': {},
}


def report(energy, n_temperatures=3):
    """Return the report of four runs at each temperature, whose rates have an activation energy."""
    rows = []
    for temperature in (700.0, 850.0, 1000.0)[:n_temperatures]:
        rate = 20.0 * float(np.exp(-energy / (BOLTZMANN * temperature)))
        row = {'temperature_kelvin': temperature, 'n_runs': 4, 'n_excluded': 0}
        rows.append({**row, 'rate_knock_off_per_ps': rate, 'rate_knock_off_error_per_ps': 0.1 * rate})
    return {'temperatures': rows, 'arrhenius': {}, 'excluded': {}, 'costs': {}}


def compared(*reports):
    """Return the comparison of models that differ in their seed."""
    names = {f'cell_model_{n}': f'cell.model_{n}' for n, _ in enumerate(reports)}
    models = {f'model_{n}': {**MODEL, 'seed': n} for n, _ in enumerate(reports)}
    facts = Dict({'models': models, 'systems': ['cell'], 'names': names})
    results = {f'cell_model_{n}': Dict(content) for n, content in enumerate(reports)}
    return fine_tuning_comparison(facts, **results).get_dict()


def test_rates_have_an_activation_energy_and_learning_curves():
    found = compared(report(0.25), report(0.35))
    assert [row['rate_activation_energy_ev'] for row in found['models']] == pytest.approx([0.25, 0.35])
    curves = {row['quantity']: row for row in found['learning_curves']}
    assert curves['rate_activation_energy_ev']['mean'] == pytest.approx(0.30)
    assert curves['rate_activation_energy_ev']['error'] == pytest.approx(0.05, abs=0.01)  # that of the scatter
    assert curves['migration_rate_at_850_kelvin_per_ps']['n_models'] == 2
    shares = [row['migration_rate_error_per_ps'] / row['migration_rate_per_ps'] for row in found['diffusion']]
    assert shares == pytest.approx([0.1] * 6)


def test_model_with_too_few_temperatures_says_why_it_has_no_energy():
    (row,) = compared(report(0.25, n_temperatures=2))['models']
    assert row['rate_activation_energy_ev'] is None
    assert row['rate_activation_reason'] == (
        'two runs or more with events are at 2 temperatures; an activation energy needs at least 3'
    )


def test_time_until_runs_leave_physics_is_the_mean_over_temperatures():
    known = {'n_judged': 4, 'n_left_physics': 1}
    times = [(20.0, 4.0), (10.0, 3.0), (30.0, None)]
    timed = report(0.25)
    for row, (time, error) in zip(timed['temperatures'], times):
        row |= {**known, 'physical_time_ps': time, 'physical_time_error_ps': error}
    (row,) = compared(timed)['models']
    assert row['physical_time_ps'] == pytest.approx(20.0)
    assert row['physical_time_error_ps'] == pytest.approx(5.0 / 3.0)
    assert (row['n_judged_runs'], row['n_left_physics']) == (12, 3)


def test_runs_that_nobody_judged_have_no_time():
    (row,) = compared(report(0.25))['models']
    assert row['physical_time_ps'] is None
