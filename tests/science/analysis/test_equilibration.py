"""Correlation times of known processes, and beginnings that are known to be off."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis.equilibration import (
    correlation_time_with_error,
    drift_between_halves,
    never_changes,
    settled,
)


def autoregressive(n_samples: int, factor: float, seed: int) -> np.ndarray:
    """Return a stationary series of variance 1 whose autocorrelation is ``factor ** lag``."""
    noise = np.random.default_rng(seed).normal(size=n_samples)
    values = np.empty(n_samples)
    values[0] = noise[0]
    for index in range(1, n_samples):
        values[index] = factor * values[index - 1] + np.sqrt(1.0 - factor**2) * noise[index]
    return values


@pytest.mark.parametrize('factor', [0.0, 0.5, 0.9])
def test_correlation_time_of_an_autoregressive_series(factor):
    """τ = (1 + f) / (2 (1 - f)); the mean of 30 runs within 3 %, and their scatter is what the error says."""
    found = np.array([correlation_time_with_error(autoregressive(4000, factor, seed)) for seed in range(30)])
    expected = 0.5 * (1.0 + factor) / (1.0 - factor)
    assert found[:, 0].mean() == pytest.approx(expected, rel=0.03)
    # 30 runs know their scatter to 13 %. The estimate cannot fall below 0.5, so it scatters less without correlation.
    if factor:
        assert found[:, 0].std(ddof=1) == pytest.approx(found[:, 1].mean(), rel=0.4)


def test_transient_is_left_out():
    """Ten standard deviations that decay in 100 samples are below one after 230."""
    series = autoregressive(4000, 0.5, 1) + 10.0 * np.exp(-np.arange(4000) / 100.0)
    found = settled(series)
    assert 160 <= found.start <= 480
    assert found.n_independent > 0.7 * (4000 - found.start) / 3.0


def test_stationary_series_keeps_nearly_all():
    starts = [settled(autoregressive(2000, 0.5, seed)).start for seed in range(10)]
    assert np.median(starts) <= 200


def test_drift_of_stationary_halves_is_a_normal_number():
    drifts = np.array([drift_between_halves([autoregressive(1000, 0.7, seed)]) for seed in range(60)])
    assert drifts.std() == pytest.approx(1.0, abs=0.3)


def test_drift_of_a_step():
    """Half a standard deviation between halves of 500 independent samples: 0.5 / sqrt(2 / 500) = 7.9."""
    series = autoregressive(1000, 0.0, 1)
    series[500:] += 0.5
    assert drift_between_halves([series]) == pytest.approx(7.9, abs=2.5)
    assert drift_between_halves([-series]) == pytest.approx(-drift_between_halves([series]))


def test_series_that_never_changes():
    assert never_changes(np.full(10, 3.0) + 1e-15)
    assert not never_changes(np.array([1.0, 1.0, 1.1]))
