"""Fluctuation and memory of a dipole that is drawn from known distributions."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science import units
from aiida_edl.science.analysis.solvent_dipole import (
    compare_fluctuation,
    dipole_memory,
    fluctuation,
    vacuum_permittivity_ratio,
)


def autoregressive(n_samples: int, factor: float, seed: int) -> np.ndarray:
    """Return a stationary series of variance 1 whose autocorrelation is ``factor ** lag``."""
    noise = np.random.default_rng(seed).normal(size=n_samples)
    values = np.empty(n_samples)
    values[0] = noise[0]
    for index in range(1, n_samples):
        values[index] = factor * values[index - 1] + np.sqrt(1.0 - factor**2) * noise[index]
    return values


def test_variance_of_replicas():
    """Four replicas of 2 σ; each value within four of its errors, whose size is that of n_eff independent squares."""
    replicas = [2.0 * autoregressive(8_000, 0.9, seed) + 5.0 for seed in range(4)]
    found = fluctuation(replicas)
    assert float(found.mean) == pytest.approx(4.0, abs=4 * float(found.error))
    # Squares of an AR(1) series forget with the square of the factor: 2 tau = (1 + 0.81) / (1 - 0.81).
    expected = 4.0 * np.sqrt(2.0 * (1.81 / 0.19) / 32_000)
    assert float(found.error) == pytest.approx(expected, rel=0.5)


def test_memory_of_an_autoregressive_dipole():
    """0.9 per frame of 10 fs: 94.9 fs."""
    series = np.stack([autoregressive(40_000, 0.9, seed) for seed in (1, 2)], axis=1)
    found = dipole_memory([series[:20_000], series[20_000:]], 10.0 * np.arange(200))
    expected = -10.0 / np.log(0.9)
    assert found.values[:5] == pytest.approx(0.9 ** np.arange(5), abs=0.01)
    assert found.integral[0] == pytest.approx(expected, abs=4 * found.integral[1])
    assert found.e_folding[0] == pytest.approx(expected, abs=4 * found.e_folding[1])
    assert 0.5 < found.integral[1] < 5.0


def test_memory_agrees_with_direct_sum():
    series = np.random.default_rng(3).normal(size=(50, 2))
    found = dipole_memory([series], np.arange(20.0)).values
    deviations = series - series.mean(axis=0)
    direct = np.array([np.sum(deviations[: 50 - k] * deviations[k:]) / (50 - k) for k in range(20)])
    assert np.abs(found - direct / direct[0]).max() < 1e-12


def test_dipole_that_never_changes_has_no_memory():
    found = dipole_memory([np.ones((50, 1))], np.arange(20.0))
    assert np.isnan(found.values).all()
    assert np.isnan(found.integral[0])


def test_unit_of_the_response():
    """1 (e Å)² in 1000 Å³ at 300 K: (1.602e-29 C m)² / (8.854e-12 F/m * 1e-27 m³ * 1.381e-23 J/K * 300 K) = 7.00."""
    joule = (units.ELEMENTARY_CHARGE_COULOMB * 1e-10) ** 2 / (8.8541878188e-12 * 1e-27 * 1.380649e-23 * 300.0)
    assert vacuum_permittivity_ratio(1.0, 1000.0, 300.0) == pytest.approx(joule, rel=1e-9)
    assert joule == pytest.approx(7.0, rel=1e-3)


@pytest.mark.parametrize(
    ('variance', 'words'),
    [
        (
            3.0,
            'the total solvent dipole fluctuates 3.00 ± 0.32 times as much, too strong: a sign of false metallisation',
        ),
        (1.1, 'the total solvent dipole fluctuates 1.10 ± 0.15 times as much, not told apart from the reference'),
        (0.2, 'the total solvent dipole fluctuates 0.20 ± 0.10 times as much, too weak'),
    ],
)
def test_comparison_in_words(variance, words):
    assert compare_fluctuation(variance, 0.1, 1.0, 0.1).sentence == words


def test_reference_must_fluctuate():
    with pytest.raises(ValueError, match=r'^the variance of the reference is 0\.0, it must be positive$'):
        compare_fluctuation(1.0, 0.1, 0.0, 0.1)
