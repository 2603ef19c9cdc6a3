"""Ratios of variances of clustered models, with bins that hang together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from aiida_edl.science.analysis.spread_comparisons import variance_difference
from aiida_edl.science.analysis.variance_ratio import (
    difference_interval,
    effective_bins,
    variance_interval,
    variance_ratio,
)

N_BINS = 20


def models(random: np.random.Generator, n_architectures: int, n_seeds: int, effect: float, seed_spread: float):
    """Models of one kind: an offset of each architecture, one pattern of random size for each seed, and noise."""
    pattern = np.sin(np.arange(N_BINS))
    return [
        effect * random.normal()
        + seed_spread * random.normal(size=(n_seeds, 1)) * pattern
        + 0.1 * seed_spread * random.normal(size=(n_seeds, N_BINS))
        for _ in range(n_architectures)
    ]


def share_decided(n_architectures: int, n_seeds: int, ratio: float = 1.0, n_draws: int = 200) -> float:
    random = np.random.default_rng(n_architectures * 10 + n_seeds)
    found = [
        variance_ratio(
            models(random, n_architectures, n_seeds, 1.0, np.sqrt(ratio)),
            models(random, n_architectures, n_seeds, 1.0, 1.0),
        ).p_value
        < 0.05
        for _ in range(n_draws)
    ]
    return float(np.mean(found))


@pytest.mark.parametrize(('n_architectures', 'n_seeds'), [(3, 3), (2, 4)])
def test_effects_of_architectures_are_not_taken_for_spread(n_architectures, n_seeds):
    # Nominal 5 % and four standard errors of 200 draws. Resampled models, all alike, gave 31 and 49 %.
    assert share_decided(n_architectures, n_seeds) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 200)


def test_thirtyfold_variance_is_found_with_three_seeds_of_three_architectures():
    assert share_decided(3, 3, ratio=30.0, n_draws=50) > 0.8


def test_ratio_of_one_cluster_is_that_of_its_variances():
    # Equal numbers of models: the biases of both logarithms cancel.
    values = np.array([[0.0], [1.0], [5.0]])
    found = variance_ratio([3.0 * values], [values])
    assert found.ratio == pytest.approx(9.0, rel=1e-12)
    assert found.n_clusters == 1
    # The logarithm of F(2, 2) is logistic, of variance pi^2 / 3.
    assert np.log(found.resolvable) == pytest.approx(stats.norm.ppf(0.975) * np.pi / np.sqrt(3.0), rel=1e-9)
    assert found.low == pytest.approx(9.0 / found.resolvable, rel=1e-9)
    assert (found.p_value < 0.05) == (found.low > 1.0)


def test_swapped_kinds_give_the_inverse_ratio():
    random = np.random.default_rng(1)
    first, second = models(random, 3, 3, 1.0, 2.0), models(random, 3, 4, 1.0, 1.0)
    there, back = variance_ratio(first, second), variance_ratio(second, first)
    assert there.ratio * back.ratio == pytest.approx(1.0, rel=1e-12)
    assert there.p_value == pytest.approx(back.p_value, rel=1e-12)


def test_clusters_without_two_models_of_each_kind_do_not_enter():
    random = np.random.default_rng(2)
    first, second = models(random, 2, 3, 1.0, 1.0), models(random, 2, 3, 1.0, 1.0)
    assert variance_ratio([first[0], first[1][:1]], second) == variance_ratio(first[:1], second[:1])
    assert np.isnan(variance_ratio([first[0][:1]], [second[0]]).p_value)


def test_bins_that_move_together_are_worth_one_and_others_more():
    random = np.random.default_rng(3)
    one = random.normal(size=(6, 1)) * np.ones(N_BINS)
    assert effective_bins([one - one.mean(axis=0)]) == pytest.approx(1.0, rel=1e-12)
    many = random.normal(size=(400, N_BINS))
    assert effective_bins([many - many.mean(axis=0)]) == pytest.approx(N_BINS, rel=0.1)
    assert effective_bins([np.zeros((3, N_BINS))]) == 1.0


def test_intervals_of_a_variance_and_of_a_difference():
    low, high = variance_interval(2.0, 10.0)
    assert (low, high) == pytest.approx((20.0 / stats.chi2.ppf(0.975, 10), 20.0 / stats.chi2.ppf(0.025, 10)), rel=1e-12)
    assert variance_interval(2.0, float('inf')) == (2.0, 2.0)
    # What is subtracted is known: the interval is moved.
    assert difference_interval((2.0, low, high), (0.5, 0.5, 0.5)) == pytest.approx((low - 0.5, high - 0.5), rel=1e-12)


def test_error_of_a_difference_of_variances_of_three_models_is_not_too_small():
    random, values, errors = np.random.default_rng(9), [], []
    for _ in range(400):
        pair = tuple(random.normal(size=(3, 1)) * np.ones((3, 5)) for _ in range(2))
        value, error = variance_difference([pair])
        values.append(value)
        errors.append(error)
    # Variances of two degrees of freedom have a variance of one; percentiles of resamples gave a median of 0.73.
    assert np.std(values) == pytest.approx(np.sqrt(2.0), rel=0.2)
    assert np.median(errors) > 0.85 * np.sqrt(2.0)
