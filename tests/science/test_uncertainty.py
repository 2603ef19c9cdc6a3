"""Errors of correlated series, against autoregressive processes whose correlation time is known."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.uncertainty import (
    Estimate,
    autocorrelation,
    combine_replicas,
    integrated_correlation_time,
    mean_with_error,
)


def autoregressive(coefficient: float, n_samples: int, n_columns: int, seed: int = 0) -> np.ndarray:
    """Return stationary series x_t = a x_(t-1) + noise of unit variance, shape ``(n_samples, n_columns)``.

    Their autocorrelation is a^k, so the integrated correlation time is (1 + a) / (2 (1 - a)).
    """
    generator = np.random.default_rng(seed)
    noise = generator.normal(size=(n_samples, n_columns)) * np.sqrt(1.0 - coefficient**2)
    noise[0] = generator.normal(size=n_columns)
    series = noise.copy()
    for step in range(1, n_samples):
        series[step] += coefficient * series[step - 1]
    return series


def exact_time(coefficient: float) -> float:
    """Return the integrated correlation time of the process."""
    return 0.5 * (1.0 + coefficient) / (1.0 - coefficient)


def test_alternating_series_has_alternating_autocorrelation():
    rho = autocorrelation([1.0, -1.0] * 50)
    np.testing.assert_allclose(rho[:3], [1.0, -0.99, 0.98], atol=1e-12)  # (n - k) / n


def test_constant_series_has_no_error():
    estimate = mean_with_error(np.full((20, 2), 0.1))
    np.testing.assert_array_equal(estimate.error, [0.0, 0.0])
    np.testing.assert_allclose(estimate.mean, 0.1)


@pytest.mark.parametrize('coefficient', [0.0, 0.5, 0.9])
def test_correlation_time_of_autoregressive_process(coefficient):
    # Error of one estimate is tau sqrt(2 (2 W + 1) / n) (Wolff 2004, eq. 42), W = 5 tau; the mean over 40 columns has a
    # 6th of it; bias by the window is exp(-5) and by the mean 2 tau / n, both below 2 %.
    tau, n_samples = exact_time(coefficient), 20000
    times = integrated_correlation_time(autoregressive(coefficient, n_samples, 40))
    error = tau * np.sqrt(2 * (10 * tau + 1) / n_samples / 40)
    assert abs(times.mean() - tau) < 4 * error + 0.02 * tau


@pytest.mark.parametrize('coefficient', [0.0, 0.8])
def test_error_of_mean_agrees_with_scatter_of_means(coefficient):
    # The scatter of 400 means is known to 1 / sqrt(800) = 3.5 %.
    series = autoregressive(coefficient, 4000, 400)
    estimate = mean_with_error(series)
    assert estimate.error.mean() == pytest.approx(series.mean(axis=0).std(ddof=1), rel=0.12)


def test_independent_samples_have_the_textbook_error():
    series = np.random.default_rng(1).normal(size=10000)
    assert float(mean_with_error(series).error) == pytest.approx(0.01, rel=0.1)


def test_effective_samples_follow_from_the_correlation_time():
    estimate = mean_with_error(autoregressive(0.5, 5000, 3))
    np.testing.assert_allclose(estimate.n_effective, 5000 / (2 * estimate.correlation_time))


def test_columns_are_independent_of_each_other():
    series = autoregressive(0.7, 500, 3)
    together, alone = mean_with_error(series), mean_with_error(series[:, 1])
    np.testing.assert_allclose(together.error[1], alone.error, rtol=1e-10)


def test_scaling_and_shift_act_as_on_a_mean():
    series = autoregressive(0.7, 500, 1)[:, 0]
    one, other = mean_with_error(series), mean_with_error(5.0 - 3.0 * series)
    np.testing.assert_allclose([other.mean, other.error], [5.0 - 3.0 * one.mean, 3.0 * one.error], rtol=1e-9)


def test_short_series_is_refused():
    with pytest.raises(ValueError, match=r'^a series of 3 samples has no error estimate; give at least 4$'):
        mean_with_error([1.0, 2.0, 3.0])


def test_not_finite_series_is_refused():
    message = '^the series holds 1 values that are not finite; remove them$'
    with pytest.raises(ValueError, match=message):
        mean_with_error([1.0, np.nan, 3.0, 4.0])


def make_estimate(mean: float, error: float, n_effective: float = 10.0) -> Estimate:
    """Return an estimate of one column."""
    return Estimate(*(np.array([value]) for value in (mean, error, n_effective, 0.5)))


def test_replicas_that_agree_take_the_error_within():
    combined = combine_replicas([make_estimate(1.0, 0.2)] * 4)
    np.testing.assert_allclose([combined.mean[0], combined.error[0], combined.n_effective[0]], [1.0, 0.1, 40.0])


def test_replicas_that_disagree_take_the_scatter():
    combined = combine_replicas([make_estimate(value, 0.01) for value in (0.0, 1.0, 2.0)])
    np.testing.assert_allclose(combined.error, np.std([0.0, 1.0, 2.0], ddof=1) / np.sqrt(3))


def test_longer_replica_weighs_more():
    combined = combine_replicas([make_estimate(0.0, 0.1, 30.0), make_estimate(1.0, 0.1, 10.0)])
    np.testing.assert_allclose(combined.mean, 0.25)


def test_unknown_column_of_a_replica_is_left_to_the_others():
    combined = combine_replicas([make_estimate(2.0, 0.3), make_estimate(np.nan, np.nan, 0.0)])
    np.testing.assert_allclose([combined.mean[0], combined.error[0]], [2.0, 0.3])


def test_column_unknown_everywhere_stays_unknown():
    combined = combine_replicas([make_estimate(np.nan, np.nan, 0.0)] * 2)
    assert np.isnan([combined.mean[0], combined.error[0]]).all()


def test_no_replica_is_refused():
    with pytest.raises(ValueError, match=r'^no replica was given; give at least one estimate$'):
        combine_replicas([])


def test_replica_without_an_error_leaves_it_to_the_scatter():
    """A bin that one of two replicas never visits: means 1 and 0, so their mean has the standard error 0.5."""
    combined = combine_replicas([make_estimate(1.0, 0.1), make_estimate(0.0, np.nan)])
    assert (combined.mean[0], combined.error[0]) == (0.5, pytest.approx(0.5, rel=1e-12))


def test_without_any_error_the_combined_error_is_unknown():
    combined = combine_replicas([make_estimate(0.0, np.nan)] * 2)
    assert combined.mean[0] == 0.0
    assert np.isnan(combined.error[0])
