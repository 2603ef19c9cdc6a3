"""Intervals of a few samples against closed forms, and their coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiida_edl.science.analysis.small_samples import contrast_test, difference_test, holm_adjusted, mean_test


def test_two_samples_follow_the_cauchy_distribution():
    found = mean_test([1.0, 3.0])
    assert (found.value, found.error, found.degrees_of_freedom) == pytest.approx((2.0, 1.0, 1.0), rel=1e-12)
    reach = math.tan(math.pi * 0.475)  # 97.5 % of the Cauchy distribution
    assert (found.low, found.high) == pytest.approx((2.0 - reach, 2.0 + reach), rel=1e-9)
    assert found.p_value == pytest.approx(1.0 - 2.0 / math.pi * math.atan(2.0), rel=1e-9)


def test_known_error_widens_the_interval_in_quadrature():
    found = mean_test([1.0, 3.0], known_error=2.0)
    assert found.error == pytest.approx(math.sqrt(5.0), rel=1e-12)
    reach = math.hypot(math.tan(math.pi * 0.475), 2.0 * 1.959963985)  # Student's t of one degree, and the normal one
    assert (found.low, found.high) == pytest.approx((2.0 - reach, 2.0 + reach), rel=1e-9)


@pytest.mark.parametrize('known_error', [0.0, 1e-9, 0.2, 2.0])
def test_p_value_is_the_level_at_which_the_interval_reaches_zero(known_error):
    samples = [1.0, 1.4, 0.7]
    p_value = mean_test(samples, known_error).p_value
    assert mean_test(samples, known_error, 1.0 - p_value).low == pytest.approx(0.0, abs=1e-9)


def test_known_error_of_equal_samples_is_the_normal_one():
    found = mean_test([1.0, 1.0], known_error=0.5)
    assert found.high == pytest.approx(1.0 + 0.5 * 1.959963985, rel=1e-9)
    assert found.p_value == pytest.approx(0.0455003, rel=1e-5)
    assert mean_test([1.0, 1.0], known_error=1e-9).p_value < 1e-100


def test_interval_with_a_known_error_holds_the_truth_as_often_as_it_says():
    # With effective degrees of freedom it did in 88 of 100 cases.
    random = np.random.default_rng(2)
    trials = random.normal(0.0, 1.0, (400, 2)) + random.normal(0.0, 0.3, (400, 1))
    found = [mean_test(trial, 0.3) for trial in trials]
    held = np.mean([item.low <= 0.0 <= item.high for item in found])
    assert held >= 0.94
    assert np.mean([item.p_value < 0.05 for item in found]) == pytest.approx(1.0 - held, abs=1e-12)


def test_contrast_weighs_means_and_variances():
    found = contrast_test([[1.0, 2.0, 3.0], [5.0, 7.0]], [1.0, -0.5])
    assert found.value == pytest.approx(2.0 - 3.0, rel=1e-12)
    parts = (1.0 / 3.0, 0.25)
    assert found.error == pytest.approx(math.sqrt(sum(parts)), rel=1e-12)
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 2.0 + parts[1] ** 2)
    assert found.degrees_of_freedom == pytest.approx(freedom, rel=1e-12)


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
