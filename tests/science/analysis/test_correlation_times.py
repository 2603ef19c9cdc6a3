"""Times of decay of exponentials, and errors by leaving out."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis.correlation_times import e_folding_time, integral_time, jackknife

TIMES = 10.0 * np.arange(400)
"""Lags [fs]."""


@pytest.mark.parametrize('n_lags', [400, 60])
def test_exponential(n_lags):
    """500 fs, seen to eight times as long and to 1.2 times as long: the tail makes up for the rest."""
    times = TIMES[:n_lags]
    values = np.exp(-times / 500.0)
    assert e_folding_time(times, values) == pytest.approx(500.0)
    assert integral_time(times, values) == pytest.approx(500.0, rel=1e-3)


def test_two_exponentials_by_integral():
    """The integral is the mean of both times, 1/e is not; the tail takes the slope near the end for the last 5 %."""
    values = 0.5 * np.exp(-TIMES / 100.0) + 0.5 * np.exp(-TIMES / 300.0)
    assert integral_time(TIMES, values) == pytest.approx(200.0, rel=0.02)
    assert e_folding_time(TIMES, values) == pytest.approx(173.92, rel=0.001)


def test_function_that_does_not_decay_has_no_time():
    values = np.exp(-TIMES / 1e4)
    assert np.isnan(e_folding_time(TIMES, values))
    assert np.isnan(integral_time(TIMES, values))


def test_function_that_falls_at_once():
    """1, then 0: the trapezoid of the first step, and 1/e on a straight line."""
    values = np.zeros(10)
    values[0] = 1.0
    assert integral_time(TIMES[:10], values) == pytest.approx(5.0)
    assert e_folding_time(TIMES[:10], values) == pytest.approx(10.0 * (1.0 - np.exp(-1.0)))


def test_unknown_end_is_left_aside():
    values = np.exp(-TIMES / 300.0)
    values[200:] = np.nan
    assert integral_time(TIMES, values) == pytest.approx(300.0, rel=1e-3)


def test_jackknife_of_a_mean_is_its_standard_error():
    samples = np.random.default_rng(1).normal(size=20)
    sums = np.stack([samples, np.ones(20)], axis=1)
    value, error = jackknife(sums, lambda total: total[:1] / total[1:])
    assert value[0] == pytest.approx(samples.mean())
    assert error[0] == pytest.approx(samples.std(ddof=1) / np.sqrt(20))


def test_single_group_has_no_error():
    assert np.isnan(jackknife(np.ones((1, 3)), lambda total: total)[1]).all()
