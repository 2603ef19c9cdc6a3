"""Velocities of Maxwell and Boltzmann pass at the rate that is asked for, hotter ones do not."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science import units
from aiida_edl.science.analysis.temperature_distribution import (
    degrees_of_freedom,
    element_velocity_test,
    temperature_test,
)

TARGET = 330.0
MASS = 15.999


def velocities(temperature: float, seed: int, shape: tuple[int, ...] = (60, 20, 3)) -> np.ndarray:
    """Return independent velocities [Å/fs]."""
    spread = np.sqrt(units.BOLTZMANN * temperature / (MASS * units.ATOMIC_MASS))
    return np.random.default_rng(seed).normal(size=shape) * spread


def test_unit_of_velocities():
    """330 K gives oxygen a speed of 3 kT/m = 717 m/s = 0.00717 Å/fs, root mean square."""
    speed = np.sqrt(3 * 8.314462618 * TARGET / 0.015999) * 1e-5
    exact = np.full((4, 1, 3), speed / np.sqrt(3.0))
    assert element_velocity_test(exact, MASS, TARGET).mean == pytest.approx(TARGET, rel=1e-6)


def test_right_velocities_pass_at_the_level():
    """100 draws at the level of 5 %: 5 refusals are expected, 1 to 14 lie within 99.3 %."""
    refused = sum(element_velocity_test(velocities(TARGET, seed), MASS, TARGET).p_value < 0.05 for seed in range(100))
    assert 1 <= refused <= 14


def test_five_per_cent_hotter_velocities_fail():
    """Of 2.5 % in the width, the distribution is off by 0.006 at most, which is 2.5 / sqrt(180 000)."""
    hot = element_velocity_test(velocities(1.05 * TARGET, 1, (1000, 60, 3)), MASS, TARGET)
    assert hot.p_value < 1e-3
    assert hot.mean == pytest.approx(1.05 * TARGET, abs=4 * hot.error)
    assert hot.mean - TARGET > 3 * hot.error


def test_kurtosis_of_uniform_velocities():
    """The fourth moment of a uniform variable is 1/5 against 3/9 of a normal one: 0.6."""
    uniform = np.random.default_rng(1).uniform(-1, 1, (2000, 20, 3)) * 0.01
    test = element_velocity_test(uniform, MASS, 0.0)
    assert test.variance_ratio == pytest.approx(0.6, rel=0.005)


def chi_square(seed: int, freedom: int, n_samples: int = 400) -> np.ndarray:
    """Return independent temperatures of the canonical ensemble [K]."""
    return TARGET * np.random.default_rng(seed).chisquare(freedom, n_samples) / freedom


def test_canonical_temperatures_pass_at_the_level():
    refused = sum(temperature_test(chi_square(seed, 81), TARGET, 81).p_value < 0.05 for seed in range(100))
    assert 1 <= refused <= 14


def test_variance_of_canonical_temperatures():
    test = temperature_test(chi_square(1, 81, 100_000), TARGET, 81)
    assert test.variance_ratio == pytest.approx(1.0, abs=4 * test.variance_ratio_error)
    assert test.variance_ratio_error < 0.006


def test_berendsen_like_narrow_distribution_is_found():
    """The right mean with half the variance, as weak coupling gives."""
    narrow = TARGET + (chi_square(1, 81) - TARGET) * np.sqrt(0.5)
    test = temperature_test(narrow, TARGET, 81)
    assert test.p_value < 1e-3
    assert test.variance_ratio == pytest.approx(0.5, abs=0.1)


def test_correlated_temperatures_are_thinned():
    """Each value repeated 20 times gives as many independent samples as there are values."""
    test = temperature_test(np.repeat(chi_square(2, 81, 200), 20), TARGET, 81)
    assert 150 <= test.n_independent <= 250
    assert test.p_value > 0.01


def test_degrees_of_freedom_follow_from_the_series():
    temperatures = np.array([300.0, 350.0])
    assert degrees_of_freedom(temperatures, 0.5 * 81 * units.BOLTZMANN * temperatures) == 81
