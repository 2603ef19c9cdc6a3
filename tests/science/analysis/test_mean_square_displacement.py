"""The Fourier transform gives what the double sum gives."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis.mean_square_displacement import Motion, OriginSeries, mean_square_displacement

ROUNDING = 1e-10
"""Relative error of transforms of a few hundred numbers, far above 1e-16 times their squares."""


def direct(paths: np.ndarray, lag: int) -> float:
    return float(np.mean(np.sum((paths[lag:] - paths[: len(paths) - lag]) ** 2, axis=1)))


@pytest.mark.parametrize('n_columns', [1, 16, 40])
def test_sum_over_origins(n_columns):
    paths = 100.0 + np.cumsum(np.random.default_rng(1).normal(size=(101, n_columns)), axis=0)
    expected = [direct(paths, lag) for lag in range(101)]
    np.testing.assert_allclose(mean_square_displacement(paths, 101), expected, rtol=ROUNDING, atol=ROUNDING)


def test_constant_velocity():
    paths = np.outer(np.arange(50.0), [1.0, 2.0])
    np.testing.assert_allclose(mean_square_displacement(paths, 20), 5.0 * np.arange(20.0) ** 2, rtol=ROUNDING)


def test_series_over_origins_has_the_same_mean():
    paths = np.cumsum(np.random.default_rng(2).normal(size=(60, 3)), axis=0)
    series = OriginSeries(paths).at(7, 53, 1)
    assert series.mean() == pytest.approx(direct(paths, 7), rel=ROUNDING)


def test_every_third_origin():
    paths = np.arange(20.0)[:, None] ** 2
    expected = [(36.0 - 0.0), (9.0**2 - 3.0**2), (12.0**2 - 6.0**2)]
    np.testing.assert_allclose(OriginSeries(paths).at(6, 9, 3), [(value) ** 2 for value in (36.0, *expected[1:])])


def test_replicas_weigh_by_their_length():
    motion = Motion.of([np.arange(10.0)[:, None], 2.0 * np.arange(30.0)[:, None]], 3)
    assert motion.curve[1] == pytest.approx((10 * 1.0 + 30 * 4.0) / 40, rel=ROUNDING)
