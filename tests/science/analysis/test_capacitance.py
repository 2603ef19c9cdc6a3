"""Capacitance of series with known answers, and what is said of series that have none."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aiida_edl.science import units
from aiida_edl.science.analysis.capacitance import ChargedRun, RunTag, capacitance
from aiida_edl.science.analysis.capacitance_tables import (
    excluded_rows,
    group_capacitances,
    group_rows,
    interval_rows,
    point_rows,
    series_rows,
)
from aiida_edl.science.analysis.potential_profile import PotentialProfile, PotentialSettings, potential_profile
from aiida_edl.science.frames import FrameSet

from . import synthetic


@pytest.fixture(scope='module')
def template() -> PotentialProfile:
    return potential_profile(synthetic.film(4, seed=1))


@pytest.fixture
def run(template):
    """Make a run with a given charge [µC/cm²] and drop [V]."""

    def make(state: str, charge: float, drop: float, error: float = 0.01, **other) -> ChargedRun:
        profile = dataclasses.replace(
            template,
            surface_charge_microcoulomb_per_cm2=charge,
            surface_charge_microcoulomb_per_cm2_error=np.nan,
            potential_drop=drop,
            potential_drop_error=error,
            n_effective=100.0,
            **other,
        )
        return ChargedRun(RunTag(state), profile)

    return make


def test_straight_series_gives_its_capacitance_and_potential_of_zero_charge(run):
    runs = [run(f'{n}Na', -10.0 * n, 0.3 - 10.0 * n / 20.0) for n in range(4)]
    (found,) = capacitance(runs)
    assert found.line.capacitance == pytest.approx(20.0, rel=1e-9)
    assert found.potential_of_zero_charge == pytest.approx(0.3, rel=1e-9)
    # Slope of four points 10 µC/cm² apart with errors of 0.01 V: variance 0.01² / 500.
    slope_error = 0.01 / np.sqrt(500.0)
    assert found.line.inverse_error == pytest.approx(slope_error, rel=1e-9)
    assert found.line.capacitance_low == pytest.approx(1.0 / (0.05 + 1.959964 * slope_error), rel=1e-6)
    assert found.line.capacitance_high == pytest.approx(1.0 / (0.05 - 1.959964 * slope_error), rel=1e-6)
    assert found.chi_squared == pytest.approx(0.0, abs=1e-9)
    assert [point.charge_state for point in found.points] == ['3Na', '2Na', '1Na', '0Na']
    assert found.is_monotonic
    assert found.statement == (
        'C = 20 µF/cm² (95 %: 19.7 to 20.4; 1/C = 0.05 ± 0.00045 cm²/µF) from the line through 4 charge states'
    )


def test_capacitance_between_states_is_the_quotient_of_differences(run):
    (found,) = capacitance([run('a', 0.0, 0.0), run('b', 10.0, 0.5), run('c', 20.0, 0.75, error=0.02)])
    first, second = (item.line for item in found.intervals)
    assert (first.capacitance, second.capacitance) == pytest.approx((20.0, 40.0))
    assert first.inverse_error == pytest.approx(np.sqrt(2) * 0.01 / 10.0, rel=1e-9)
    assert second.inverse_error == pytest.approx(np.hypot(0.01, 0.02) / 10.0, rel=1e-9)
    assert second.capacitance_high == pytest.approx(1.0 / (0.025 - 1.959964 * second.inverse_error), rel=1e-6)


def test_plate_capacitor_has_the_capacitance_of_the_textbook():
    def film(n_ions: int) -> FrameSet:
        # Ions at 7 Å, which jitter along z by turns so that the drop has an error.
        frames = []
        for index in range(40):
            jitter = 0.2 * (-1) ** (index // 2)
            ions = np.array([[3.0 * i, 6.0, synthetic.TOP + 7.0 + jitter] for i in range(n_ions)]).reshape(-1, 3)
            places = np.array([[2.0, 2.0, synthetic.TOP + 3.05 + 0.01 * jitter]])
            vectors = np.array([[np.sqrt(1 - jitter**2), 0.0, jitter]])
            frames.append(synthetic.frame(places, vectors, ions, is_film=True))
        return FrameSet.from_frames(frames)

    settings = PotentialSettings(bulk_region=(9.0, 12.0))
    runs = [ChargedRun(RunTag(f'{n}Na'), potential_profile(film(n), settings)) for n in (0, 1, 2)]
    (found,) = capacitance(runs)
    expected = units.VACUUM_PERMITTIVITY / 7.0 * units.MICROCOULOMB_PER_CM2_PER_E_PER_ANGSTROM2
    assert found.line.capacitance == pytest.approx(expected, rel=1e-3)


def test_two_states_are_said_to_be_no_test_of_a_line(run):
    (found,) = capacitance([run('0', 0.0, 0.0), run('1Na', -10.0, -0.5)])
    assert found.line.capacitance == pytest.approx(20.0)
    assert np.isnan(found.chi_squared)
    assert found.statement.endswith('two states always lie on a line, so that they do is no test')


def test_single_state_gives_no_number(run):
    (found,) = capacitance([run('0', 0.0, 0.1)])
    assert np.isnan(found.line.capacitance)
    assert not found.is_monotonic
    assert (
        found.statement == 'no capacitance follows: it needs two states of different charge and known error, of 1 given'
    )


def test_drop_that_falls_is_called_not_monotonic(run):
    (found,) = capacitance([run('2Na', -20.0, -0.2), run('1Na', -10.0, -0.6), run('0', 0.0, 0.4)])
    assert not found.is_monotonic
    assert found.intervals[0].line.capacitance == pytest.approx(-25.0)
    assert 'the drop falls while the charge rises from 2Na to 1Na: not monotonic' in found.statement
    assert 'the states do not lie on a line (probability ' in found.statement


def test_drops_within_their_errors_leave_the_capacitance_without_bound(run):
    (found,) = capacitance([run('0', 0.0, 0.010), run('1Na', -10.0, 0.0)])
    slope, error = 0.001, np.sqrt(2.0) * 0.001
    assert (found.line.inverse, found.line.inverse_error) == pytest.approx((slope, error), rel=1e-9)
    assert found.line.capacitance == pytest.approx(1000.0)
    assert not found.line.is_bounded
    assert found.line.capacitance_low == pytest.approx(1.0 / (slope + 1.959964 * error), rel=1e-6)
    assert found.line.capacitance_high == pytest.approx(1.0 / (slope - 1.959964 * error), rel=1e-6)
    assert found.intervals[0].line.inverse_error == pytest.approx(error, rel=1e-9)
    assert found.statement == (
        'C is not bounded: above 265 or below -564 µF/cm² (95 %; 1/C = 0.001 ± 0.0014 cm²/µF) from the line through 2 '
        'charge states; two states always lie on a line, so that they do is no test; the drops of 1Na and 0 cannot be '
        'told apart'
    )


def test_limits_hold_the_truth_whatever_the_noise_and_no_series_is_selected(run):
    # With a selection by two standard errors, 1 of 5 of the noisiest series gave a number, 40 % of the bars held 20.
    random = np.random.default_rng(0)
    charges = np.array([0.0, -13.4, -26.7])
    for error in (0.1, 0.7):
        states = [run(str(n), charge, 0.0, error) for n, charge in enumerate(charges)]
        held, slopes = 0, []
        n_series = 200
        for _ in range(n_series):
            drops = charges / 20.0 + random.normal(0.0, error, 3)
            shifted = [dataclasses.replace(item.profile, potential_drop=drop) for item, drop in zip(states, drops)]
            (found,) = capacitance([ChargedRun(item.tag, profile) for item, profile in zip(states, shifted)])
            slopes.append(found.line.inverse)
            held += found.line.inverse_low <= 1.0 / 20.0 <= found.line.inverse_high
        assert np.isfinite(slopes).all()
        assert np.mean(slopes) == pytest.approx(0.05, abs=3.5 * error / np.ptp(charges) * np.sqrt(2.0 / n_series))
        # Errors are enlarged but never shrunk, so that the limits hold a little more than they promise.
        assert held / n_series >= 0.92


@pytest.mark.parametrize('state', ['1Na', '2Na'])
def test_run_that_left_physics_enters_no_number_and_is_named(run, state):
    runs = [run('0', 0.0, 0.0), run('1Na', -10.0, -0.5), run('2Na', -20.0, -1.0)]
    bad = dataclasses.replace(run(state, -10.0, 7.0, boundary='periodic'), why_excluded='it boiled')
    found, plain = capacitance([*runs, bad]), capacitance(runs)
    assert found[0].line == plain[0].line
    assert excluded_rows(found) == [{'series': 'all', 'charge_state': state, 'reason': 'it boiled'}]
    assert found[0].statement == f'the run of {state} left physics and does not count; {plain[0].statement}'


def test_series_of_which_no_run_counts_is_stated(run):
    (found,) = capacitance([dataclasses.replace(run('0', 0.0, 0.0), why_excluded='it boiled')])
    assert found.points == ()
    assert found.statement == (
        'the run of 0 left physics and does not count; no capacitance follows: it needs two states of different charge '
        'and known error, of 0 given'
    )


def seeds(run, slopes, group='mace, mixed'):
    """Return runs of two charge states for each of several seeds, with these slopes [cm²/µF]."""
    runs = []
    for seed, slope in enumerate(slopes):
        for state, charge in (('0', 0.0), ('1Na', -10.0)):
            item = run(state, charge, 0.3 + slope * charge, error=1e-3)
            runs.append(dataclasses.replace(item, tag=RunTag(state, f'{group}, seed {seed}', group)))
    return runs


def test_mean_over_seeds_has_the_error_of_their_scatter(run):
    (found,) = group_capacitances(capacitance(seeds(run, [0.04, 0.05, 0.06])))
    assert (found.n_series, found.line.inverse) == (3, pytest.approx(0.05, rel=1e-9))
    assert found.line.inverse_error == pytest.approx(0.01 / np.sqrt(3.0), rel=1e-9)
    reach = 4.302653 * 0.01 / np.sqrt(3.0)  # Student's t of two degrees of freedom
    assert found.line.inverse_low == pytest.approx(0.05 - reach, rel=1e-6)
    assert found.line.capacitance_low == pytest.approx(1.0 / (0.05 + reach), rel=1e-6)
    assert found.potential_of_zero_charge == pytest.approx(0.3, rel=1e-9)
    assert found.statement.endswith(': mean over 3 seeds, error by their scatter')


def test_one_seed_keeps_the_error_of_its_runs(run):
    series = capacitance(seeds(run, [0.05]))
    (found,) = group_capacitances(series)
    assert found.line == series[0].line
    assert found.statement.endswith(': one seed, error that of its runs alone')


def test_seeds_without_a_slope_are_counted(run):
    runs = seeds(run, [0.04, 0.05, 0.06])
    runs[-1] = dataclasses.replace(runs[-1], why_excluded='it boiled')
    (row,) = group_rows(group_capacitances(capacitance(runs)))
    assert (row['n_series'], row['n_without']) == (2, 1)
    assert row['statement'].endswith('; 1 of 3 seeds have no slope')


def test_groups_without_any_slope_say_so(run):
    (row,) = group_rows(group_capacitances(capacitance(seeds(run, [0.05])[:1])))
    assert row['statement'] == 'no capacitance follows from any seed'
    assert row['capacitance_high'] is None


def test_series_of_two_groups_is_refused(run):
    runs = [run('0', 0.0, 0.0), dataclasses.replace(run('0', 0.0, 0.0), tag=RunTag('0', 'all', 'mace'))]
    message = r"^the runs of series 'all' belong to the groups \['', 'mace'\]; a series belongs to one$"
    with pytest.raises(ValueError, match=message):
        capacitance(runs)


def test_scatter_about_the_line_enlarges_the_error(run):
    straight = [0.0, 0.5, 1.0, 1.5]
    bent = np.array(straight) + np.array([0.03, -0.03, -0.03, 0.03])
    (calm,), (rough,) = (
        capacitance([run(str(n), 10.0 * n, drop) for n, drop in enumerate(drops)]) for drops in (straight, bent)
    )
    # Chi squared is 4 x 3² over 2 degrees of freedom.
    assert rough.line.inverse_error == pytest.approx(np.sqrt(18.0) * calm.line.inverse_error, rel=1e-9)


def test_replicas_of_a_state_are_combined(run):
    (found,) = capacitance([run('0', 0.0, 0.0), run('1Na', -10.0, -0.4), run('1Na', -10.0, -0.6)])
    assert [point.n_runs for point in found.points] == [2, 1]
    assert found.points[0].potential_drop == pytest.approx(-0.5)
    assert found.points[0].potential_drop_error == pytest.approx(0.1)


def test_state_without_error_is_left_out_and_named(run):
    (found,) = capacitance([run('0', 0.0, 0.0), run('1Na', -10.0, -0.5), run('2Na', -20.0, -0.9, error=np.nan)])
    assert found.line.capacitance == pytest.approx(20.0)
    assert found.statement.startswith('left out for want of an error of the potential drop: 2Na; C = 20 µF/cm² (95 %: ')


def test_series_are_kept_apart(run):
    runs = [run('0', 0.0, 0.0), run('1Na', -10.0, -0.5)]
    other = [ChargedRun(RunTag(item.tag.charge_state, 'mace'), item.profile) for item in runs]
    assert [item.series for item in capacitance([*runs, *other])] == ['all', 'mace']


def test_different_bulk_regions_are_mentioned(run):
    (found,) = capacitance([run('0', 0.0, 0.0), run('1Na', -10.0, -0.5, bulk_lower=3.0)])
    assert found.statement.endswith("the bulk liquid was taken from different heights; give the setting 'bulk_region'")


def test_profiles_made_in_different_ways_are_refused(run):
    message = (
        r"^the profiles of series 'all' differ in boundary between charge states '0' and '1Na'; "
        r'analyse them in one way$'
    )
    with pytest.raises(ValueError, match=message):
        capacitance([run('0', 0.0, 0.0), run('1Na', -10.0, -0.5, boundary='periodic')])


def test_no_run_is_refused():
    message = r'^no potential profile was given; give those of at least two charge states$'
    with pytest.raises(ValueError, match=message):
        capacitance([])


def test_tag_without_charge_state_is_refused():
    with pytest.raises(ValueError, match=r"^the tag 'charge_state' is missing, given were \['series'\]$"):
        RunTag.from_dict({'series': 'mace'})


def test_tables_hold_json_types(run):
    found = capacitance([run('0', 0.0, 0.0), run('1Na', -10.0, -0.5)])
    assert point_rows(found)[0] == {
        'series': 'all',
        'charge_state': '1Na',
        'surface_charge': -10.0,
        'surface_charge_error': 0.0,
        'potential_drop': -0.5,
        'potential_drop_error': 0.01,
        'n_runs': 1,
    }
    assert interval_rows(found)[0]['capacitance'] == pytest.approx(20.0)
    assert series_rows(found)[0]['chi_squared'] is None
