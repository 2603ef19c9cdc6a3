"""Errors of counts and shares against those of many random runs."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis.hop_statistics import BlockCounts, count_errors, share_with_error, upper_limits


def counts_of(array: np.ndarray) -> BlockCounts:
    """Return counts of replicas of the same length."""
    return BlockCounts(array, np.full(len(array), 1000.0))


def test_events_fall_into_blocks():
    counts = BlockCounts.of([np.array([0, 49, 50, 99])], [np.array([0, 1, 1, 1])], [100], (2, 2), 10.0)
    assert counts.counts.tolist() == [[[1, 1], [0, 2]]]
    assert counts.durations.tolist() == [1000.0]


def test_error_of_equal_blocks_is_that_of_independent_events():
    assert count_errors(counts_of(np.full((1, 10, 1), 4))) == pytest.approx([np.sqrt(40)])


def test_bursts_have_a_larger_error():
    """All 40 events in one of ten blocks: √(Σ(n - 4)² · 10/9) = 40."""
    array = np.zeros((1, 10, 1), dtype=np.int64)
    array[0, 0] = 40
    assert count_errors(counts_of(array)) == pytest.approx([40.0])


def test_replicas_that_differ_have_a_larger_error():
    """10 and 90 events: each deviates by 40 from their mean, √(2 · 40² · 2) = 80."""
    array = np.stack([np.full((10, 1), 1), np.full((10, 1), 9)])
    assert count_errors(counts_of(array)) == pytest.approx([80.0])


def test_no_event_has_no_error():
    assert np.isnan(count_errors(counts_of(np.zeros((2, 10, 1), dtype=np.int64)))).all()


def test_error_covers_independent_events():
    """Poisson counts of mean 100: at least 68 % lie within one error; the larger of three is taken, so more."""
    random = np.random.default_rng(1)
    inside = []
    for _ in range(400):
        array = random.poisson(5.0, size=(2, 10, 1))
        inside.append(abs(array.sum() - 100.0) < count_errors(counts_of(array))[0])
    assert 0.66 < np.mean(inside) < 0.90


def test_upper_limits_of_few_events():
    """-ln 0.05 for none; 4.74 and 6.30 for one and two, tables of N. Gehrels, Astrophys. J. 303, 336 (1986)."""
    assert upper_limits(np.array([0, 1, 2])) == pytest.approx([-np.log(0.05), 4.744, 6.296], abs=1e-3)


def test_share_of_independent_events():
    """Standard deviation √(p(1-p)/n) of many events."""
    share, error = share_with_error(np.full((1, 10), 300), np.full((1, 10), 100))
    assert share == 0.75
    assert error == pytest.approx(np.sqrt(0.75 * 0.25 / 4000), rel=0.01)


def test_share_of_blocks_that_differ():
    """Ten blocks of 10, half of them all of one kind: the error is that of ten coins, √(0.25/9)."""
    first = np.array([[10, 0] * 5])
    share, error = share_with_error(first, 10 - first)
    assert share == 0.5
    assert error == pytest.approx(np.sqrt(0.25 / 9))


def test_a_kind_that_does_not_occur_leaves_an_error():
    share, error = share_with_error(np.full((1, 10), 1), np.zeros((1, 10), dtype=np.int64))
    assert share == 1.0
    assert 0.02 < error < 0.1


def test_no_events_have_no_share():
    assert np.isnan(share_with_error(np.zeros((1, 10)), np.zeros((1, 10)))).all()
