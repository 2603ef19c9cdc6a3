"""What a set of frames looks like in numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from frame_cases import frame_set, interface_frame, labelled
from hypothesis import given
from hypothesis import strategies as st

from aiida_edl.science.dataset_histograms import _edges, _histogram, dataset_histograms


def by_name(frames):
    """Return the histograms by quantity."""
    return {histogram.quantity: histogram for histogram in dataset_histograms(frames)}


def test_energies_are_compared_within_a_composition():
    """Two frames of 17 atoms 0.34 eV apart, and two of 19 atoms, with two ions, 0.38 eV apart."""
    frames = frame_set(*(interface_frame(seed, n_ions) for n_ions in (0, 2) for seed in range(2)))
    found = by_name(labelled(frames, [-100.0, -100.34, -500.0, -500.38]))['energy within composition']
    assert (found.minimum, found.maximum) == pytest.approx((-0.01, 0.01))
    assert found.n_values == 4


def test_forces_and_their_sum():
    """One atom is pulled by 3 and 4 eV/Å, all others by nothing."""
    frames = labelled(frame_set(interface_frame(0), interface_frame(1)), [0.0, 0.0])
    forces = np.zeros_like(frames.positions)
    forces[5] = [3.0, 4.0, 0.0]
    found = by_name(replace(frames, forces=forces))
    assert (found['force'].n_values, found['force'].maximum) == (34, 5.0)
    assert (found['net force'].n_values, found['net force'].maximum, found['net force'].minimum) == (2, 5.0, 0.0)


def test_ions_and_atoms_are_counted():
    frames = frame_set(*(interface_frame(seed, n_ions) for seed, n_ions in enumerate([0, 0, 2, 1])))
    found = by_name(frames)
    assert list(found) == ['ions', 'atoms', 'minimum distance']
    assert [found['ions'].label(number) for number in range(3)] == ['0', '1', '2']
    assert found['ions'].counts.tolist() == [2, 1, 1]
    assert [found['atoms'].label(number) for number in range(3)] == ['17', '18', '19']


def test_columns_of_charges_have_histograms():
    frames = frame_set(interface_frame(0), interface_frame(1), bias_charge=np.array([-0.25, 0.25]), group='a')
    found = by_name(frames)['bias_charge']
    assert (found.unit, found.minimum, found.maximum) == ('e', -0.25, 0.25)


def test_minimum_distance_is_that_of_the_closest_atoms():
    frame = interface_frame(0)
    positions = frame.positions.copy()
    positions[3] = positions[4] + [0.0, 0.0, 0.25]
    alone = replace(frame, numbers=frame.numbers[:1], positions=positions[:1], pbc=np.zeros(3, bool))
    found = by_name(frame_set(replace(frame, positions=positions), alone))['minimum distance']
    assert (found.minimum, found.n_values, found.n_missing) == (pytest.approx(0.25), 1, 1)


@given(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=300))
def test_every_value_is_in_a_bin(values):
    found = _histogram('x', '', 'frame', np.array(values), False)
    assert found.n_values == len(values)
    assert (np.diff(found.edges) > 0.0).all()
    assert len(found.counts) <= 30
    assert found.edges[0] <= min(values) <= max(values) <= found.edges[-1]


def test_edges_are_round_numbers():
    np.testing.assert_allclose(_edges(np.array([0.13, 0.97])), 0.1 * np.arange(1, 11), atol=1e-12)


def test_outlier_does_not_squeeze_the_others_into_one_bin():
    values = np.append(np.linspace(0.0, 0.99, 1000), 1000.0)
    found = _histogram('force', 'eV/Å', 'atom', values, False)
    assert np.count_nonzero(found.counts) > 8
    assert (found.edges[-1], found.counts[-1]) == (1000.0, 1)


def test_values_that_are_not_finite_are_counted():
    found = _histogram('x', '', 'frame', np.array([1.0, np.inf, np.nan]), False)
    assert (found.n_values, found.n_missing, found.maximum) == (1, 2, 1.0)


def test_nothing_but_missing_values_is_an_empty_histogram():
    assert _histogram('x', '', 'frame', np.array([np.inf]), False).n_values == 0
