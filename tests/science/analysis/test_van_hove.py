"""Displacements and places of atoms whose motion is known."""

from __future__ import annotations

import re

import numpy as np
import pytest

from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.van_hove import VanHove, van_hove
from aiida_edl.science.analysis.van_hove_settings import VanHoveSettings, VanHoveSettingsError
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.walkers import Walkers


def found(frames: FrameSet, **settings: object) -> VanHove:
    return van_hove(frames, VanHoveSettings.from_dict(settings))


def gas(n_frames: int = 60, n_mobile: int = 60, seed: int = 1) -> FrameSet:
    """Return mobile atoms without order, which step by a normal number along each axis, in a cube of 12 Å."""
    random = np.random.default_rng(seed)
    steps = random.normal(scale=0.3, size=(n_frames, n_mobile, 3))
    positions = 12.0 * random.random((n_mobile, 3)) + np.cumsum(steps, axis=0)
    return FrameSet(
        numbers=np.full(n_frames * n_mobile, 3, dtype=np.uint8),
        positions=(positions % 12.0).reshape(-1, 3),
        offsets=np.arange(n_frames + 1, dtype=np.int64) * n_mobile,
        cells=np.tile(12.0 * np.eye(3), (n_frames, 1, 1)),
        pbc=np.ones((n_frames, 3), dtype=bool),
        columns={'time': 10.0 * np.arange(n_frames)},
    )


def test_hops_are_peaks_at_the_distance_of_sites():
    """After a lag in which 0.1 hops come about on average, a walker is where it was in 90.7 % of cases."""
    walkers = Walkers(n_walkers=64, n_frames=3000, rate=1e-3)
    result = found(walkers.frames(), lags=[100.0], bin_width=0.4, maximum_distance=6.0)
    stays, hops = result.self_part[0, 0] * 0.4, result.self_part[0, 7] * 0.4
    # Poisson processes along six directions, each of mean 0.1/6; 0.1 % of walkers hop and are back.
    forth = 0.1 / 6.0
    still = np.exp(-2.0 * forth) * np.i0(2.0 * forth)
    once = 2.0 * np.exp(-2.0 * forth) * (forth + forth**3 / 2.0)
    assert stays == pytest.approx(still**3, abs=4.0 * result.self_part_error[0, 0] * 0.4)
    assert hops == pytest.approx(3.0 * once * still**2, abs=4.0 * result.self_part_error[0, 7] * 0.4)
    assert result.self_part_error[0, 0] * 0.4 < 0.002


def test_random_steps_are_maxwellian():
    result = found(gas(n_frames=400), lags=[40.0], bin_width=0.2, maximum_distance=4.0)
    width = 0.3 * 2.0
    r = result.distance
    expected = np.sqrt(2.0 / np.pi) * r**2 / width**3 * np.exp(-(r**2) / (2.0 * width**2))
    deviations = (result.self_part[0] - expected)[1:9] / result.self_part_error[0][1:9]
    assert np.sqrt(np.mean(deviations**2)) < 2.0
    np.testing.assert_allclose(result.self_part[0], expected, atol=0.03)


def test_self_part_integrates_to_what_is_within():
    result = found(gas(), lags=[10.0, 200.0], bin_width=0.2, maximum_distance=1.0)
    np.testing.assert_allclose(result.self_part.sum(axis=1) * 0.2 + result.beyond, 1.0)
    assert result.beyond[1] > result.beyond[0]


def test_distinct_part_of_a_gas_is_one():
    result = found(gas(n_frames=60, n_mobile=200), lags=[100.0], bin_width=1.0)
    # 200 atoms: pairs in the shells beyond 3 Å are known to 1 % from their number in one frame alone.
    np.testing.assert_allclose(result.distinct_part[0, 3:], 1.0, atol=0.05)


def test_atom_that_takes_the_place_of_another_is_at_distance_zero():
    positions = np.zeros((40, 3, 3))
    positions[:20, 1] = [3.0, 0.0, 0.0]
    positions[:20, 0] = [0.0, 0.0, 0.0]
    positions[20:, 0] = [3.0, 0.0, 0.0]
    positions[20:, 1] = [6.0, 0.0, 0.0]
    positions[:, 2] = [6.0, 6.0, 6.0]
    frames = FrameSet(
        numbers=np.tile(np.array([3, 3, 9], dtype=np.uint8), 40),
        positions=positions.reshape(-1, 3),
        offsets=np.arange(41, dtype=np.int64) * 3,
        cells=np.tile(12.0 * np.eye(3), (40, 1, 1)),
        pbc=np.ones((40, 3), dtype=bool),
        columns={'time': 10.0 * np.arange(40)},
    )
    result = found(frames, lags=[100.0], bin_width=0.5)
    # In 10 of 30 origins the knock-on lies within the lag: then one of the two pairs is at distance 0.
    shell = 4.0 / 3.0 * np.pi * 0.5**3
    assert result.distinct_part[0, 0] == pytest.approx(10.0 / 30.0 * 1.0 / (2.0 * shell / 12.0**3))


def test_one_atom_has_no_distinct_part():
    result = found(Walkers(n_walkers=1, n_frames=300).frames(), maximum_distance=5.0)
    assert np.isnan(result.distinct_part).all()


def test_default_lags_are_shares_of_the_run():
    result = found(Walkers(n_walkers=4, n_frames=300).frames())
    assert result.lag_time.tolist() == [300.0, 1000.0, 3000.0]


def test_lag_beyond_the_run_is_refused():
    message = (
        'a lag of 900 fs leaves 0 time origins in a replica of 60 frames; an error needs at least 4: give shorter lags '
        'or longer replicas'
    )
    with pytest.raises(NotAnalysableError, match=f'^{re.escape(message)}$'):
        found(gas(), lags=[900.0])


def test_distance_beyond_the_images_is_refused():
    message = (
        'distances up to 8 Å in bins of 0.1 Å are not known in a cell where images are apart by 12 Å; give a '
        "'maximum_distance' of at most 6 Å"
    )
    with pytest.raises(NotAnalysableError, match=f'^{re.escape(message)}$'):
        found(gas(), maximum_distance=8.0)


def test_wrong_lag():
    with pytest.raises(VanHoveSettingsError, match=r'^lags is \[0\.0\]; give positive lags \[fs\]$'):
        VanHoveSettings(lags=(0.0,))


def test_result_returns_from_arrays_and_scalars():
    result = found(gas())
    assert VanHove.from_parts(result.arrays(), result.scalars()).scalars() == result.scalars()
