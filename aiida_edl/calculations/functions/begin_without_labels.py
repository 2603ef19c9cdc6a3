"""A data set to begin with for a model that has nothing but test frames."""

from __future__ import annotations

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import ArrayData

from aiida_edl.calculations.functions.subset import subset_of
from aiida_edl.data.dataset import DatasetData


def begin_with_test_frames(dataset: DatasetData, split: ArrayData) -> dict[str, DatasetData | ArrayData]:
    """Return the test frames of a split, and a split of them that trains on none; unstored.

    :param dataset: all labelled frames.
    :param split: indices of the test frames, as array ``test``.
    """
    frames = subset_of(dataset, dataset.frames(), split.get_array('test'))
    none = np.zeros(0, dtype=np.int64)
    parts = {'training': none, 'validation': none, 'test': np.arange(frames.n_frames, dtype=np.int64)}
    return {'dataset': frames, 'split': ArrayData(parts)}


@calcfunction
def begin_without_labels(dataset: DatasetData, split: ArrayData) -> dict[str, DatasetData | ArrayData]:
    """Take the test frames of a split alone, and a split of them that trains on none.

    :param dataset: all labelled frames.
    :param split: indices of the test frames, as array ``test``.
    :return: ``dataset``, the test frames with their labels; ``split``, with empty ``training`` and ``validation``.
    """
    return begin_with_test_frames(dataset, split)
