"""Data sets and series are joined in the order of the numbers in their link labels."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.orm import ArrayData
from calculation_cases import dataset, labelled_frames

from aiida_edl.calculations.functions.join_datasets import join_datasets
from aiida_edl.calculations.functions.join_series import join_series
from aiida_edl.calculations.link_labels import in_natural_order

N_PARTS = 101
"""One more than two digits can count."""


def test_series_keep_the_order_of_their_parts():
    parts = {}
    for number in range(1, N_PARTS + 1):
        parts[f'part_{number:02d}'] = ArrayData({'step': np.array([number])})
    joined = join_series.__wrapped__(**parts)
    np.testing.assert_array_equal(joined.get_array('step'), np.arange(1, N_PARTS + 1))


def test_data_sets_keep_the_order_of_their_parts():
    frames = labelled_frames(3)
    parts = {label: dataset(frames.select([k])) for k, label in enumerate(['part_9', 'part_10', 'part_100'])}
    joined = join_datasets.__wrapped__(**parts)
    np.testing.assert_array_equal(joined.frames().positions, frames.positions)


@pytest.mark.parametrize(
    ('labels', 'ordered'),
    [
        (['labels_1000', 'labels_101'], ['labels_101', 'labels_1000']),
        (['b', 'a'], ['a', 'b']),
        (['a2b10', 'a2b9', 'a10b1'], ['a2b9', 'a2b10', 'a10b1']),
        (['1', 'a'], ['1', 'a']),
    ],
)
def test_natural_order(labels, ordered):
    assert in_natural_order(labels) == ordered
