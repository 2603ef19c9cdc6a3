"""Intervals of a few samples against closed forms, and their coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiida_edl.science.analysis.small_samples import difference_test, holm_adjusted, mean_test


def test_two_samples_follow_the_cauchy_distribution():
    found = mean_test([1.0, 3.0])
    assert (found.value, found.error, found.degrees_of_freedom) == pytest.approx((2.0, 1.0, 1.0), rel=1e-12)
    reach = math.tan(math.pi * 0.475)  # 97.5 % of the Cauchy distribution
    assert (found.low, found.high) == pytest.approx((2.0 - reach, 2.0 + reach), rel=1e-9)
    assert found.p_value == pytest.approx(1.0 - 2.0 / math.pi * math.atan(2.0), rel=1e-9)


def test_known_error_is_added_in_quadrature_and_adds_degrees_of_freedom():
    found = mean_test([1.0, 3.0], known_error=2.0)
    assert found.error == pytest.approx(math.sqrt(5.0), rel=1e-12)
    assert found.degrees_of_freedom == pytest.approx(25.0, rel=1e-12)  # (1 + 4)² / (1²/1)


def test_difference_of_equal_variances_has_all_degrees_of_freedom():
    found = difference_test([1.0, 2.0, 3.0], [11.0, 12.0, 13.0])
    assert found.value == pytest.approx(-10.0, rel=1e-12)
    assert found.error == pytest.approx(math.sqrt(2.0 / 3.0), rel=1e-12)
    assert found.degrees_of_freedom == pytest.approx(4.0, rel=1e-12)


def test_difference_from_a_constant_has_the_degrees_of_the_other():
    found = difference_test([1.0, 2.0, 3.0], [5.0, 5.0])
    assert found.degrees_of_freedom == pytest.approx(2.0, rel=1e-12)


@pytest.mark.parametrize('values', [[], [1.0]])
def test_fewer_than_two_samples_know_no_error(values):
    found = mean_test(values)
    assert np.isnan([found.error, found.low, found.high, found.p_value]).all()
    assert np.isnan(difference_test(values, [1.0, 2.0]).error)


def test_equal_samples_leave_no_doubt():
    found = mean_test([2.0, 2.0])
    assert (found.low, found.high, found.p_value) == (2.0, 2.0, 0.0)
    assert mean_test([0.0, 0.0]).p_value == 1.0


def test_intervals_of_three_seeds_hold_the_truth_as_often_as_they_say():
    random = np.random.default_rng(5)
    n_trials, covered, rejected = 2000, 0, 0
    for _ in range(n_trials):
        found = difference_test(random.normal(1.0, 0.5, 3), random.normal(1.0, 0.1, 3))
        covered += found.low <= 0.0 <= found.high
        rejected += found.p_value < 0.05
    assert covered + rejected == n_trials
    assert covered / n_trials == pytest.approx(0.95, abs=0.015)  # three standard errors of the count


def test_holm_corrects_in_order_and_leaves_out_what_was_not_asked():
    assert holm_adjusted([0.01, float('nan'), 0.04, 0.03])[0] == pytest.approx(0.03, rel=1e-12)
    assert np.isnan(holm_adjusted([0.01, float('nan')])[1])
    assert holm_adjusted([0.6, 0.7]) == [1.0, 1.0]
    assert holm_adjusted([]) == []
