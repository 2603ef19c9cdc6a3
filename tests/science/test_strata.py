"""Strata of frames, and how many to take of each."""

from __future__ import annotations

import re

import numpy as np
import pytest
from frame_cases import frame_set, interface_frame
from hypothesis import given
from hypothesis import strategies as st

from aiida_edl.science.strata import StrataError, allocate, strata_of

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
