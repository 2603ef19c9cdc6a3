"""Deviations of a committee against values by hand."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis.committee_deviation import committee_deviation

OFFSETS = np.array([0, 1, 3])


def test_two_members_with_opposite_errors():
    energies = np.array([[1.0, 2.0], [3.0, 2.0]])
    forces = np.zeros((2, 3, 3))
    forces[:, 1, 0] = [1.0, -1.0]
    found = committee_deviation(energies, forces, OFFSETS)
    # Two values that lie 2 apart have the unbiased variance 2.
    np.testing.assert_allclose(found.energy_deviation, [np.sqrt(2.0), 0.0])
    np.testing.assert_allclose(found.max_force_deviation, [0.0, np.sqrt(2.0)])
    np.testing.assert_allclose(found.mean_force_deviation, [0.0, np.sqrt(2.0) / 2])
    assert found.n_members.tolist() == [2, 2]


def test_energy_deviation_is_per_atom():
    found = committee_deviation(np.array([[0.0, 4.0], [0.0, 0.0]]), np.zeros((2, 3, 3)), OFFSETS)
    assert found.energy_deviation[1] == pytest.approx(4.0 / np.sqrt(2.0) / 2)


def test_deviation_is_that_of_known_noise():
    generator = np.random.default_rng(3)
    forces = generator.normal(0.0, 0.1, size=(4, 3000, 3))
    found = committee_deviation(np.zeros((4, 1)), forces, np.array([0, 3000]))
    # The mean length of a vector of three components, each the root of an unbiased variance over four members:
    # the root of a chi-square variable of nine degrees of freedom over three.
    expected = 0.1 * np.sqrt(2.0 / 3.0) * 24.0 / (105.0 / 16.0 * np.sqrt(np.pi))
    assert found.mean_force_deviation[0] == pytest.approx(expected, rel=0.02)


def test_rotation_changes_nothing():
    forces = np.random.default_rng(4).normal(size=(3, 3, 3))
    turned = forces @ np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    found, other = (committee_deviation(np.zeros((3, 2)), values, OFFSETS) for values in (forces, turned))
    np.testing.assert_allclose(other.max_force_deviation, found.max_force_deviation)


def test_member_without_a_prediction_is_left_out():
    energies = np.array([[1.0, 1.0], [3.0, np.nan], [np.nan, np.nan]])
    found = committee_deviation(energies, np.zeros((3, 3, 3)), OFFSETS)
    assert found.n_members.tolist() == [2, 1]
    assert np.isnan(found.max_force_deviation[1])


def test_one_member_is_no_committee():
    with pytest.raises(ValueError, match=r'^a committee needs at least two members, given was 1$'):
        committee_deviation(np.zeros((1, 2)), np.zeros((1, 3, 3)), OFFSETS)
