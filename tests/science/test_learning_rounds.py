"""The stop rule of active learning, by exact cases."""

from __future__ import annotations

import math

import pytest

from aiida_edl.science.learning_rounds import (
    MeanError,
    OwnErrorRule,
    StopRule,
    StopRuleError,
    is_accurate_enough,
    is_no_longer_falling,
    is_small_enough,
    is_stagnant,
    mean_error,
)

TWO_ROUNDS = StopRule(accurate_share=0.9, accurate_rounds=2, stagnant_rounds=0)
STAGNANT = StopRule(accurate_rounds=0, stagnant_rounds=2)


@pytest.mark.parametrize(
    ('shares', 'is_enough'),
    [
        ([], False),
        ([1.0], False),
        ([0.5, 0.9, 0.9], True),
        ([0.9, 0.9, 0.89], False),
        ([0.9, 0.5, 0.9], False),
    ],
)
def test_share_must_be_reached_in_successive_rounds(shares, is_enough):
    assert (is_accurate_enough(shares, TWO_ROUNDS) is not None) == is_enough


def test_reason_names_the_lowest_share_and_the_limit():
    assert is_accurate_enough([0.5, 0.95, 0.92], TWO_ROUNDS) == (
        'at least 92.0 % of the frames of each charge state were accurate in each of the last 2 rounds, '
        '90 % are asked for'
    )


def test_share_of_one_round():
    assert is_accurate_enough([1.0], StopRule(accurate_rounds=1)) == (
        'at least 100.0 % of the frames of each charge state were accurate in the last round, 95 % are asked for'
    )


def test_without_rounds_the_share_is_no_reason():
    assert is_accurate_enough([1.0] * 9, StopRule(accurate_rounds=0)) is None


def errors(*means, standard_error=0.01):
    return [MeanError(mean, standard_error) for mean in means]


@pytest.mark.parametrize(
    ('means', 'has_stopped'),
    [
        ((0.3, 0.2), False),
        ((0.3, 0.2, 0.1), False),
        ((0.3, 0.2, 0.2, 0.2), True),
        ((0.3, 0.2, 0.187, 0.174), True),  # by 0.013, less than 0.01 times the square root of two
        ((0.3, 0.2, 0.185, 0.17), False),
        ((0.2, 0.2, 0.1), False),
        ((0.1, 0.2, 0.3), True),
    ],
)
def test_error_that_falls_by_no_more_than_its_uncertainty(means, has_stopped):
    assert (is_stagnant(errors(*means), STAGNANT) is not None) == has_stopped


def test_reason_names_the_error():
    assert is_stagnant(errors(0.2, 0.2, 0.2), STAGNANT) == (
        'the force error on the test frames, now 0.2000 ± 0.0100 eV/Å, fell by no more than its uncertainty in each of '
        'the last 2 rounds'
    )


def test_error_of_unknown_uncertainty_is_no_reason():
    assert is_stagnant(errors(0.2, 0.2, 0.2, standard_error=math.nan), STAGNANT) is None


def test_without_rounds_the_error_is_no_reason():
    assert is_stagnant(errors(*[0.2] * 9), TWO_ROUNDS) is None


def test_mean_error_of_one_member_has_no_uncertainty():
    assert mean_error([0.3]).mean == 0.3
    assert math.isnan(mean_error([0.3]).standard_error)


def test_standard_error_of_four_members():
    found = mean_error([1.0, 1.0, 3.0, 3.0])
    assert (found.mean, found.standard_error) == (2.0, pytest.approx(math.sqrt(4 / 3) / 2))


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'accurate_share': 1.5}, 'accurate_share is 1.5, it must lie above 0 and not above 1'),
        ({'accurate_share': 0.0}, 'accurate_share is 0.0, it must lie above 0 and not above 1'),
        ({'accurate_rounds': -1}, 'accurate_rounds is -1, it must not be negative'),
        ({'stagnant_rounds': -2}, 'stagnant_rounds is -2, it must not be negative'),
    ],
)
def test_rule_that_cannot_be_followed_is_refused(values, message):
    with pytest.raises(StopRuleError) as caught:
        StopRule(**values)
    assert str(caught.value) == message


OWN = OwnErrorRule(force_error=0.1, rounds=2)


@pytest.mark.parametrize(
    ('means', 'is_enough'),
    [
        ((), False),
        ((0.05,), False),
        ((0.3, 0.09, 0.05), True),
        ((0.05, 0.05, 0.1), False),
        ((0.05, math.nan), False),
    ],
)
def test_own_error_must_stay_below_the_limit_in_successive_rounds(means, is_enough):
    assert (is_small_enough(errors(*means), OWN) is not None) == is_enough


def test_reason_names_the_own_errors_and_the_limit():
    assert is_small_enough([MeanError(0.09, 0.01), MeanError(0.08, math.nan)], OWN) == (
        'the force error on its own frames was 0.0900 ± 0.0100, 0.0800 (of unknown uncertainty) eV/Å in each of the '
        'last 2 rounds, below the 0.1 that are asked for'
    )


def test_without_rounds_the_own_error_is_no_reason():
    assert is_small_enough(errors(0.01, 0.01), OwnErrorRule(rounds=0)) is None


def test_own_error_that_falls_no_more_is_a_reason_if_asked_for():
    rule = OwnErrorRule(rounds=0, stagnant_rounds=1)
    assert is_no_longer_falling(errors(0.3, 0.2), rule) is None
    assert is_no_longer_falling(errors(0.3, 0.2, 0.19), rule) == (
        'the force error on its own frames, now 0.1900 ± 0.0100 eV/Å, fell by no more than its uncertainty in the last '
        'round'
    )
    assert is_no_longer_falling(errors(0.3, 0.3, standard_error=math.nan), rule) is None


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'force_error': 0.0}, 'force_error is 0.0, it must be positive and finite'),
        ({'force_error': math.inf}, 'force_error is inf, it must be positive and finite'),
        ({'stagnant_rounds': -1}, 'stagnant_rounds is -1, it must not be negative'),
    ],
)
def test_rule_on_own_errors_that_cannot_be_followed_is_refused(values, message):
    with pytest.raises(StopRuleError) as caught:
        OwnErrorRule(**values)
    assert str(caught.value) == message
