"""The frames of a data set that no training sees."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData

from aiida_edl.calculations.functions.subset import subset_of
from aiida_edl.data.dataset import DatasetData


@calcfunction
def held_out_frames(dataset: DatasetData, split: ArrayData) -> DatasetData:
    """Take the test frames of a split, of which the training part may be empty.

    :param dataset: all labelled frames.
    :param split: indices of the test frames, as array ``test``.
    :return: the frames with their labels; column ``source_index`` is their index in the data set.
    """
    return subset_of(dataset, dataset.frames(), split.get_array('test'))
