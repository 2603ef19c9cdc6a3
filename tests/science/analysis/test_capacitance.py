"""Capacitance of series with known answers, and what is said of series that have none."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aiida_edl.science import units
from aiida_edl.science.analysis.capacitance import (
    ChargedRun,
    RunTag,
    capacitance,
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
    assert found.capacitance == pytest.approx(20.0, rel=1e-9)
    assert found.potential_of_zero_charge == pytest.approx(0.3, rel=1e-9)
    # Slope of four points 10 µC/cm² apart with errors of 0.01 V: variance 0.01² / 500.
    assert found.capacitance_error == pytest.approx(20.0**2 * 0.01 / np.sqrt(500.0), rel=1e-9)
    assert found.chi_squared == pytest.approx(0.0, abs=1e-9)
    assert [point.charge_state for point in found.points] == ['3Na', '2Na', '1Na', '0Na']
    assert found.is_monotonic
    assert found.statement == '20 ± 0.18 µF/cm² from the line through 4 charge states'


def test_capacitance_between_states_is_the_quotient_of_differences(run):
    (found,) = capacitance([run('a', 0.0, 0.0), run('b', 10.0, 0.5), run('c', 20.0, 0.75, error=0.02)])
    assert [item.capacitance for item in found.intervals] == pytest.approx([20.0, 40.0])
    assert found.intervals[0].capacitance_error == pytest.approx(20.0 * np.sqrt(2) * 0.01 / 0.5, rel=1e-9)
    assert found.intervals[1].capacitance_error == pytest.approx(40.0 * np.hypot(0.01, 0.02) / 0.25, rel=1e-9)


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
    assert found.capacitance == pytest.approx(expected, rel=1e-3)


def test_two_states_are_said_to_be_no_test_of_a_line(run):
    (found,) = capacitance([run('0', 0.0, 0.0), run('1Na', -10.0, -0.5)])
    assert found.capacitance == pytest.approx(20.0)
    assert np.isnan(found.chi_squared)
    assert found.statement.endswith('two states always lie on a line, so that they do is no test')


def test_single_state_gives_no_number(run):
    (found,) = capacitance([run('0', 0.0, 0.1)])
    assert np.isnan(found.capacitance)
    assert not found.is_monotonic
    assert (
        found.statement == 'no capacitance follows: it needs two states of different charge and known error, of 1 given'
    )


def test_drop_that_falls_is_called_not_monotonic(run):
    (found,) = capacitance([run('2Na', -20.0, -0.2), run('1Na', -10.0, -0.6), run('0', 0.0, 0.4)])
    assert not found.is_monotonic
    assert found.intervals[0].capacitance == pytest.approx(-25.0)
    assert 'the drop falls while the charge rises from 2Na to 1Na: not monotonic' in found.statement
    assert 'the states do not lie on a line (probability ' in found.statement


def test_drops_within_their_errors_give_no_number(run):
    (found,) = capacitance([run('0', 0.0, 0.010), run('1Na', -10.0, 0.0)])
    assert np.isnan(found.capacitance)
    assert np.isnan(found.intervals[0].capacitance)
    assert found.statement == (
        'no capacitance follows: the slope of the potential drop cannot be told from zero; two states always lie on a '
        'line, so that they do is no test; the drops of 1Na and 0 cannot be told apart'
    )


def test_scatter_about_the_line_enlarges_the_error(run):
    straight = [0.0, 0.5, 1.0, 1.5]
    bent = np.array(straight) + np.array([0.03, -0.03, -0.03, 0.03])
    (calm,), (rough,) = (
        capacitance([run(str(n), 10.0 * n, drop) for n, drop in enumerate(drops)]) for drops in (straight, bent)
    )
    # Chi squared is 4 x 3² over 2 degrees of freedom.
    assert rough.capacitance_error == pytest.approx(np.sqrt(18.0) * calm.capacitance_error, rel=1e-9)


def test_replicas_of_a_state_are_combined(run):
    (found,) = capacitance([run('0', 0.0, 0.0), run('1Na', -10.0, -0.4), run('1Na', -10.0, -0.6)])
    assert [point.n_runs for point in found.points] == [2, 1]
    assert found.points[0].potential_drop == pytest.approx(-0.5)
    assert found.points[0].potential_drop_error == pytest.approx(0.1)


def test_state_without_error_is_left_out_and_named(run):
    (found,) = capacitance([run('0', 0.0, 0.0), run('1Na', -10.0, -0.5), run('2Na', -20.0, -0.9, error=np.nan)])
    assert found.capacitance == pytest.approx(20.0)
    assert found.statement.startswith('left out for want of an error of the potential drop: 2Na; 20 ± ')


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
