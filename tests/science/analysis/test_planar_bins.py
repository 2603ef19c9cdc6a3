"""Bins, blocks of frames, and errors over replicas."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis.planar_bins import FrameBlocks, PlanarBins, Rows, coarsened, ratio_over_replicas

ONE_ROW = Rows(np.zeros(1, dtype=np.int64), 1)


def correlated_series(random, n_samples, n_columns, correlation):
    """Stationary AR(1) series of unit variance, shape ``(n_samples, n_columns)``."""
    noise = random.normal(size=(n_samples, n_columns))
    series = np.empty_like(noise)
    series[0] = noise[0]
    for step in range(1, n_samples):
        series[step] = correlation * series[step - 1] + np.sqrt(1 - correlation**2) * noise[step]
    return series


def test_values_are_counted_in_their_bins_and_those_outside_are_not():
    bins = PlanarBins(0.5, 2.0)
    values = np.array([[0.0, 0.25, 0.5, 1.99, 2.0, -0.01, np.nan]])
    assert bins.sums(values, ONE_ROW).tolist() == [[2.0, 1.0, 0.0, 1.0]]


def test_weights_and_masks_apply_to_their_values():
    bins = PlanarBins(1.0, 2.0)
    values, weights = np.array([[0.5, 0.5, 1.5]]), np.array([[2.0, 3.0, 5.0]])
    assert bins.sums(values, ONE_ROW, weights, np.array([[True, False, True]])).tolist() == [[2.0, 5.0]]


def test_frames_are_gathered_by_row():
    bins = PlanarBins(1.0, 2.0)
    rows = Rows(np.array([0, 0, 1]), 2)
    assert bins.sums(np.array([[0.5], [1.5], [1.5]]), rows).tolist() == [[1.0, 1.0], [0.0, 1.0]]


def test_value_just_below_the_end_falls_into_the_last_bin():
    bins = PlanarBins(0.1, 15.0)
    assert bins.sums(np.array([[np.nextafter(15.0, 0.0)]]), ONE_ROW)[0, -1] == 1.0


def test_centres_are_half_a_width_from_the_edges():
    assert PlanarBins(0.5, 1.5).centres.tolist() == [0.25, 0.75, 1.25]


def test_range_that_holds_no_whole_number_of_bins_is_refused():
    with pytest.raises(ValueError, match=r'^range 1.0 Å is not a whole multiple of the bin width 0.3 Å$'):
        PlanarBins(0.3, 1.0)


def test_width_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match=r'^bin width 0.0 Å must be positive and at most the range of 1.0 Å$'):
        PlanarBins(0.0, 1.0)


def test_coarse_bins_sum_their_neighbours():
    assert coarsened(np.array([[1.0, 2.0, 3.0, 4.0]]), 2).tolist() == [[3.0, 7.0]]


def test_blocks_do_not_reach_across_replicas():
    blocks = FrameBlocks.of_lengths([5, 4], max_blocks=5)
    assert blocks.block_of_frame.tolist() == [0, 0, 1, 1, 2, 3, 3, 4, 4]
    assert blocks.replica_of_block.tolist() == [0, 0, 0, 1, 1]
    assert blocks.frames_in_block.tolist() == [2, 2, 1, 2, 2]


def test_ratio_weighs_every_sample_the_same():
    numerators, denominators = np.array([[1.0], [2.0], [3.0], [6.0]]), np.array([[1.0], [1.0], [2.0], [2.0]])
    estimate = ratio_over_replicas(numerators, denominators, np.zeros(4, dtype=np.int64))
    assert estimate.mean.tolist() == [2.0]


def test_column_without_members_is_not_a_number():
    estimate = ratio_over_replicas(np.zeros((8, 1)), np.zeros((8, 1)), np.zeros(8, dtype=np.int64))
    assert np.isnan(estimate.mean[0])
    assert np.isnan(estimate.error[0])
    assert estimate.n_effective.tolist() == [0.0]


@pytest.mark.parametrize(
    ('numerators', 'denominators'),
    [
        ([0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]),
        ([0.7, 0.0, 0.0, 0.0], [3.0, 0.0, 0.0, 0.0]),
        ([0.7, 0.7, 0.7, 0.7], [3.0, 3.0, 3.0, 3.0]),
    ],
    ids=['never visited', 'visited once', 'never changed'],
)
@pytest.mark.parametrize('replicas', [[0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1, 1]])
def test_column_without_scatter_has_a_mean_but_no_error(numerators, denominators, replicas):
    above, below = (np.array([*part, *part])[:, None] for part in (numerators, denominators))
    estimate = ratio_over_replicas(above, below, np.array(replicas))
    assert estimate.mean[0] == pytest.approx(sum(numerators) / sum(denominators), rel=1e-12)
    assert np.isnan(estimate.error[0])


def test_replica_that_never_visits_a_bin_counts_in_the_scatter():
    above = np.concatenate([np.random.default_rng(1).poisson(5.0, 400), np.zeros(400)])[:, None]
    estimate = ratio_over_replicas(above, np.ones((800, 1)), np.repeat([0, 1], 400))
    # Means 5 and 0: standard error of their mean is 2.5; the first mean is known to 0.11.
    assert estimate.error[0] == pytest.approx(2.5, rel=0.1)


@pytest.mark.parametrize('n_replicas', [1, 4])
def test_error_of_correlated_series_is_the_scatter_of_means(n_replicas):
    n_samples, n_columns, correlation = 1000 * n_replicas, 400, 0.9
    random = np.random.default_rng(11)
    series = np.concatenate([correlated_series(random, 1000, n_columns, correlation) for _ in range(n_replicas)])
    replicas = np.repeat(np.arange(n_replicas), 1000)
    estimate = ratio_over_replicas(series + 5.0, np.ones((n_samples, 1)), replicas)
    expected = np.sqrt((1 + correlation) / (1 - correlation) / n_samples)
    # 400 columns give the scatter of means to 1/sqrt(800) = 4 %; three of these. Neglect of correlation is off by 4.4.
    assert np.std(estimate.mean) == pytest.approx(expected, rel=0.11)
    # The larger of two estimates of one error is too large by a few tens of per cent for four replicas.
    assert np.sqrt(np.mean(estimate.error**2)) == pytest.approx(expected, rel=0.12 if n_replicas == 1 else 0.35)
    assert np.sqrt(np.mean(estimate.error**2)) > 0.88 * expected


def test_replicas_that_disagree_enlarge_the_error():
    random = np.random.default_rng(2)
    series = random.normal(size=(400, 1)) * 0.01
    series[200:] += 1.0
    estimate = ratio_over_replicas(series, np.ones((400, 1)), np.repeat([0, 1], 200))
    # Two means 0 and 1: standard error of their mean is 0.5.
    assert estimate.error[0] == pytest.approx(0.5, rel=0.01)
