"""The frames of a data set that a training sees."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData

from aiida_edl.calculations.functions.subset import subset_of
from aiida_edl.data.dataset import DatasetData


@calcfunction
def training_frames(dataset: DatasetData, split: ArrayData) -> DatasetData:
    """Take the training frames of a split, for analyses that ask how far a run goes beyond them.

    :param dataset: all labelled frames.
    :param split: indices of the training frames, as array ``training``.
    :return: the frames with their labels; column ``source_index`` is their index in the data set.
    """
    return subset_of(dataset, dataset.frames(), split.get_array('training'))
