"""Splits of data sets."""

from __future__ import annotations

import numpy as np
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
