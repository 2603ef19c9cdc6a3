"""Rank correlations against scipy and against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from aiida_edl.science.analysis.penalty_by_architecture import penalties_by_architecture
from aiida_edl.science.analysis.receptive_field_ranking import (
    RankedPoint,
    Trend,
    correlation_row,
    kendall_tau,
    point_rows,
    rank_correlation,
    ranking_verdict,
)


def ranked(fields, penalties, error: float = 1e-6):
    points = [RankedPoint(f'model_{i}', field, value, error) for i, (field, value) in enumerate(zip(fields, penalties))]
    return rank_correlation('penalty', '1', points)


def test_tau_is_that_of_scipy_with_ties():
    random = np.random.default_rng(2)
    first, second = random.integers(4, size=9).astype(float), random.integers(5, size=(20, 9)).astype(float)
    expected = [stats.kendalltau(first, row).statistic for row in second]
    assert kendall_tau(first, second) == pytest.approx(expected, rel=1e-12)


def test_perfect_order_of_five_is_one_of_120():
    found = ranked([4, 5, 9, 18, 20], [5.0, 4.0, 3.0, 2.0, 1.0])
    assert found.tau == -1.0
    assert found.p_falls == pytest.approx(1 / 120)
    assert found.trend is Trend.FALLS
    assert found.sentence.endswith('; it falls with the receptive field (p = 0.0083).')


def test_opposite_order_is_found_too():
    assert ranked([4, 5, 9, 18, 20], [1.0, 2.0, 3.0, 4.0, 5.0]).trend is Trend.RISES


def test_four_architectures_decide_in_neither_direction():
    # Either perfect order has 1/24: one of them comes about by chance in 8.3 %.
    for penalties in ([4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0]):
        found = ranked([4, 5, 9, 18], penalties)
        assert found.smallest_p == pytest.approx(1 / 24)
        assert found.trend is Trend.TOO_FEW_ARCHITECTURES


def test_errors_that_are_not_known_leave_it_undecided():
    found = ranked([4, 5, 9, 18, 20], [5.0, 4.0, 3.0, 2.0, 1.0], error=float('nan'))
    assert found.trend is Trend.UNDECIDED
    assert found.sentence.endswith('; rank correlation -1.00 (an error is not known); undecided (p = 0.0083).')
    assert correlation_row(found)['share_falling'] is None


def test_verdict_counts_what_comes_about_by_chance():
    found = ranked([4, 5, 9, 18, 20], [5.0, 4.0, 3.0, 2.0, 1.0])
    assert ' Of 4 such questions 0.2 would be decided by chance' in ranking_verdict([found] * 4)
    assert ranking_verdict([]) == 'No architecture has both kinds of training.'


def test_three_architectures_cannot_decide_whatever_they_show():
    found = ranked([4, 9, 18], [3.0, 2.0, 1.0])
    assert found.trend is Trend.TOO_FEW_ARCHITECTURES
    assert found.sentence.endswith(
        '; 3 architectures cannot decide: even a perfect order comes about by chance with probability 0.17, in either '
        'direction 0.33.'
    )


def test_four_architectures_of_two_receptive_fields_cannot_decide():
    found = ranked([4, 4, 9, 9], [4.0, 3.0, 2.0, 1.0])
    assert found.smallest_p == pytest.approx(4 / 24)
    assert found.trend is Trend.TOO_FEW_ARCHITECTURES


def test_errors_larger_than_the_differences_leave_it_undecided():
    found = ranked([4, 5, 9, 18, 20], [5.0, 4.0, 3.0, 2.0, 1.0], error=2.0)
    assert found.trend is Trend.UNDECIDED
    assert found.tau_low < found.tau_high


@pytest.mark.parametrize(('fields', 'penalties'), [([5, 5, 5], [1.0, 2.0, 3.0]), ([4, 5, 6], [1.0, 1.0, 1.0])])
def test_equal_fields_or_penalties_have_no_order(fields, penalties):
    found = ranked(fields, penalties)
    assert found.trend is Trend.TOO_FEW_ARCHITECTURES
    assert found.sentence.endswith('all receptive fields or all penalties are equal, so there is no order.')
    assert correlation_row(found)['tau'] is None


def test_one_architecture_has_no_rank():
    assert ranked([4], [1.0]).sentence.endswith('; one architecture has no rank.')


def test_unknown_penalties_are_left_out():
    found = ranked([4, 5, 9], [1.0, float('nan'), 2.0])
    assert [row['architecture'] for row in point_rows(found)] == ['model_0', 'model_2']


def ratio_row(architecture: str, state: str, value: float, size: int | None = None, region: str = 'all') -> dict:
    names = {'contrast': 'mixed_over_single', 'architecture': architecture, 'charge_state': state, 'region': region}
    return {**names, 'size': size, 'log_ratio': value, 'log_ratio_error': 0.1}


def test_force_penalty_is_the_mean_over_states_of_the_largest_set():
    rows = [
        ratio_row('mace', '0', 0.2, 8),
        ratio_row('mace', 'all', 0.3, 8),
        ratio_row('mace', '0', 0.4, 96),
        ratio_row('mace', 'all', 0.5, 96),
        ratio_row('mace', 'all', 0.9, 96, region='mobile'),
        ratio_row('grace', '0', 0.6),
    ]
    ((name, unit, points),) = penalties_by_architecture(rows, (), {'mace': 9.0, 'grace': 5.0})
    assert (name, unit) == ('log ratio of force RMSE, mixed over single', '1')
    assert [(point.architecture, point.penalty) for point in points] == [('grace', 0.6), ('mace', 0.5)]


def spread_row(architecture: str, state: str, value: float) -> dict:
    names = {'observable': 'mean_cosine', 'architecture': architecture, 'charge_state': state}
    sets = {'mixed_training_set': 'mixed', 'single_training_set': f'single_{state[0]}', 'equal_frames': 'in_all'}
    return {**names, **sets, 'variance_difference': value, 'variance_difference_error': 1.0}


def test_spread_penalty_is_the_mean_over_the_states_that_all_have():
    rows = [spread_row('mace', '0', 1.0), spread_row('mace', '2Na', 3.0), spread_row('grace', '0', 5.0)]
    rows += [spread_row('mace', '1Na', 5.0), spread_row('grace', '1Na', 7.0), spread_row('all', '0', 99.0)]
    ((name, _, points),) = penalties_by_architecture((), rows, {'mace': 9.0, 'grace': 5.0})
    assert name == 'variance of mean cosine among seeds, mixed less single'
    assert [(point.architecture, point.penalty) for point in points] == [('grace', 6.0), ('mace', 3.0)]
    # The mixed models are the same ones at both states: their errors of 1 do not average out.
    assert points[0].error == pytest.approx(1.0, rel=1e-12)
