"""Splits of data sets."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.orm import Dict
from calculation_cases import dataset, labelled_frames

from aiida_edl.calculations.functions.split_dataset import split_dataset

SETTINGS = {'charge_states': [0], 'n_training': 2, 'n_validation': 1, 'n_test': 1, 'n_blocks': 10, 'seed': 1}


def test_set_without_groups_and_times_is_one_trajectory():
    frames = labelled_frames(10)
    node = dataset(frames.replaced_columns({}))
    split = split_dataset(node, Dict(SETTINGS))
    parts = [split.get_array(name) for name in ('training', 'validation', 'test')]
    assert [len(part) for part in parts] == [2, 1, 2]
    assert len(np.unique(np.concatenate(parts))) == 5
    assert split.base.attributes.get('nearest_time_to_training') is None


@pytest.mark.parametrize('lengths', [(158, 160), (150, 160)])
def test_rejected_labels_of_one_charge_state_leave_the_sizes_as_they_are(lengths):
    """A benchmark of 160 labels per charge state, some of which did not pass the gate."""
    every = labelled_frames(4)
    # Frames 0 and 2 are of charge states 0 and 2.
    frames = every.select(np.repeat([0, 2], lengths)).with_columns(
        group=np.repeat(['state_0', 'state_2'], lengths),
        time=np.concatenate([np.sort(np.random.default_rng(0).choice(160, n, replace=False)) * 10.0 for n in lengths]),
    )
    node = dataset(frames)
    settings = {'n_training': 96, 'n_validation': 16, 'n_test': 32, 'n_blocks': 10, 'seed': 1}
    splits = [split_dataset(node, Dict({**settings, 'charge_states': states})) for states in ([0], [2], [0, 2])]
    sizes = [[len(split.get_array(name)) for name in ('training', 'validation', 'test')] for split in splits]
    assert sizes == [[96, 16, 64], [96, 16, 64], [96, 32, 64]]
    states = np.repeat([0, 2], lengths)
    assert np.bincount(states[splits[2].get_array('training')]).tolist() == [48, 0, 48]
    for split in splits:
        np.testing.assert_array_equal(split.get_array('test'), splits[0].get_array('test'))
        assert split.base.attributes.get('nearest_time_to_training') >= 10.0
