"""Strata of frames, and how many to take of each."""

from __future__ import annotations

import re

import numpy as np
import pytest
from frame_cases import frame_set, interface_frame
from hypothesis import given
from hypothesis import strategies as st

from aiida_edl.science.strata import StrataError, allocate, allocate_named, strata_of

FRAMES = frame_set(
    *(interface_frame(seed, n_ions=seed % 3) for seed in range(6)),
    temperature=np.array([300.0, 330.0, 300.0, 330.0, 360.0, 300.0]),
)


@pytest.mark.parametrize(
    ('sizes', 'total', 'shares', 'quotas'),
    [
        ([50, 30, 20], 10, 'proportional', [5, 3, 2]),
        ([50, 30, 20], 9, 'equal', [3, 3, 3]),
        # Quotas of 4.2, 4.2 and 1.6: one is left after rounding down.
        ([42, 42, 16], 10, 'proportional', [4, 4, 2]),
        # Equal remainders: the larger stratum, then the first.
        ([30, 10], 2, 'proportional', [2, 0]),
        ([10, 10, 10], 4, 'equal', [2, 1, 1]),
        ([5, 9, 9], 4, 'equal', [1, 2, 1]),
        ([7], 3, 'proportional', [3]),
    ],
)
def test_quotas(sizes, total, shares, quotas):
    assert allocate(sizes, total, shares).tolist() == quotas


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=20), st.data())
def test_quotas_add_up_and_never_leave_their_exact_share_by_one(sizes, data):
    total = data.draw(st.integers(0, sum(sizes)))
    quotas = allocate(sizes, total)
    assert quotas.sum() == total
    assert (quotas <= sizes).all()
    assert all(abs(int(quota) * sum(sizes) - total * size) < sum(sizes) for quota, size in zip(quotas, sizes))


def test_strata_are_the_values_of_a_column():
    names, owners = strata_of(FRAMES, 'temperature')
    assert (names, owners.tolist()) == (['300.0', '330.0', '360.0'], [0, 1, 0, 1, 2, 0])


def test_charge_states_are_strata_without_a_column():
    names, owners = strata_of(FRAMES, 'charge_state')
    assert (names, owners.tolist()) == (['0', '1', '2'], [0, 1, 2, 0, 1, 2])


def test_bins_of_equal_width_without_those_that_are_empty():
    frames = FRAMES.with_columns(height=np.array([0.0, 1.0, 1.9, 7.0, 9.9, 10.0]))
    names, owners = strata_of(frames, 'height', n_bins=5)
    assert (names, owners.tolist()) == (['0 to 2', '6 to 8', '8 to 10'], [0, 0, 0, 1, 2, 2])


def test_equal_values_make_one_bin():
    names, owners = strata_of(FRAMES.with_columns(height=2.0), 'height', n_bins=3)
    assert len(names) == 1
    assert not owners.any()


@pytest.mark.parametrize(
    ('column', 'n_bins', 'message'),
    [
        ('temperature', 0, 'n_bins is 0, it must be positive'),
        (
            'composition',
            3,
            "column 'composition' does not hold finite numbers alone, so it has no bins; leave n_bins out",
        ),
        (
            'temperatur',
            None,
            "unknown column 'temperatur': did you mean 'temperature'? Known: charge_state, composition, n_atoms, "
            'temperature.',
        ),
    ],
)
def test_impossible_strata_are_refused(column, n_bins, message):
    with pytest.raises(ValueError, match=f'^{re.escape(message)}$'):
        strata_of(FRAMES, column, n_bins)


def test_a_continuous_column_needs_bins():
    frames = FRAMES.select(np.zeros(101, dtype=int)).with_columns(height=np.linspace(0.0, 1.0, 101))
    message = "column 'height' has 101 different values; give n_bins to make strata of it"
    with pytest.raises(StrataError, match=f'^{message}$'):
        strata_of(frames, 'height')


def test_unknown_shares_are_answered_with_the_nearest():
    message = "unknown kind of shares 'equals': did you mean 'equal'? Known: equal, proportional."
    with pytest.raises(StrataError, match=f'^{re.escape(message)}$'):
        allocate([1, 2], 2, 'equals')


def test_joined_columns_make_a_stratum_of_each_combination_that_occurs():
    frames = FRAMES.with_columns(defect=np.array(['none', 'none', 'frenkel', 'none', 'none', 'frenkel']))
    names, owners = strata_of(frames, 'temperature+defect')
    assert names == ['300.0+frenkel', '300.0+none', '330.0+none', '360.0+none']
    assert owners.tolist() == [1, 2, 0, 2, 3, 0]


def test_order_of_joined_columns_is_that_of_the_names():
    names, owners = strata_of(FRAMES, 'charge_state+temperature')
    assert names == ['0+300.0', '0+330.0', '1+330.0', '1+360.0', '2+300.0']
    assert owners.tolist() == [0, 2, 4, 1, 3, 4]


def test_three_columns_can_be_joined():
    names, _ = strata_of(FRAMES.with_columns(seed=1), 'seed+charge_state+temperature')
    assert names == ['1+0+300.0', '1+0+330.0', '1+1+330.0', '1+1+360.0', '1+2+300.0']


def test_column_with_a_plus_in_its_name_is_one_column():
    frames = FRAMES.with_columns(**{'charge_state+temperature': np.arange(6) // 3})
    assert strata_of(frames, 'charge_state+temperature')[0] == ['0', '1']


def test_bins_of_joined_columns_cut_those_of_many_values_alone():
    """Three temperatures and two words stay, six heights become three bins."""
    frames = FRAMES.with_columns(height=np.array([0.0, 1.0, 2.5, 4.0, 5.0, 6.0]))
    names, owners = strata_of(frames, 'temperature+height', n_bins=3)
    assert names == ['300.0+0 to 2', '300.0+2 to 4', '300.0+4 to 6', '330.0+0 to 2', '330.0+4 to 6', '360.0+4 to 6']
    assert owners.tolist() == [0, 3, 1, 4, 5, 2]


@pytest.mark.parametrize(
    ('column', 'n_bins', 'message'),
    [
        (
            'temperature+defects',
            None,
            "unknown column 'defects': did you mean 'defect'? Known: charge_state, composition, defect, n_atoms, "
            'temperature.',
        ),
        ('temperature+temperature', None, "strata by 'temperature+temperature' name a column twice; name each once"),
        (
            'defect+composition',
            2,
            "no column of 'defect+composition' holds numbers, so there are no bins; leave n_bins out",
        ),
        ('temperature+defect', 0, 'n_bins is 0, it must be positive'),
    ],
)
def test_impossible_joined_strata_are_refused(column, n_bins, message):
    with pytest.raises(ValueError, match=f'^{re.escape(message)}$'):
        strata_of(FRAMES.with_columns(defect='none'), column, n_bins)


@pytest.mark.parametrize(
    ('total', 'shares', 'quotas'),
    [
        (10, {'a': 0.5, 'b': 0.5}, [5, 5, 0]),
        (10, {'c': 1.0}, [0, 0, 10]),
        # 0.7, 0.2 and 0.1 of 15 are 10.5, 3 and 1.5: equal remainders, the larger stratum goes first.
        (15, {'a': 0.7, 'b': 0.2, 'c': 0.1}, [10, 3, 2]),
        (9, {'a': 0.333, 'b': 0.333, 'c': 0.333}, [3, 3, 3]),
        # 0.1 as a binary fraction is a bit more than a tenth.
        (10, {'a': 0.1, 'b': 0.2, 'c': 0.7}, [1, 2, 7]),
    ],
)
def test_quotas_by_name(total, shares, quotas):
    assert allocate_named(['a', 'b', 'c'], [20, 30, 40], total, shares).tolist() == quotas


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=6).filter(any), st.integers(0, 10**6))
def test_quotas_by_name_add_up_and_never_leave_their_exact_share_by_one(weights, total):
    names = [str(number) for number in range(len(weights))]
    shares = {name: weight / sum(weights) for name, weight in zip(names, weights)}
    quotas = allocate_named(names, np.ones(len(weights)), total, shares)
    assert quotas.sum() == total
    # A share as a float misses the exact one by 1e-16, its quota by 1e-10 frames.
    assert all(abs(int(quota) - total * weight / sum(weights)) < 1 + 1e-9 for quota, weight in zip(quotas, weights))


@pytest.mark.parametrize(
    ('shares', 'message'),
    [
        ({'a': 0.5, 'non': 0.5}, "unknown stratum 'non': did you mean 'none'? Known: a, none."),
        ({'a': 1.5, 'none': -0.5}, "the share of 'none' is -0.5, it must be a number that is not negative"),
        ({'a': 'half'}, "the share of 'a' is 'half', it must be a number that is not negative"),
        ({'a': 0.5, 'none': 0.05}, 'the shares of a, none add up to 0.55, they must add up to 1'),
        ({}, 'the shares of no strata add up to 0, they must add up to 1'),
    ],
)
def test_impossible_shares_by_name_are_refused(shares, message):
    with pytest.raises(StrataError, match=f'^{re.escape(message)}$'):
        allocate_named(['a', 'none'], [5, 5], 2, shares)
