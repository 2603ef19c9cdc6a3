"""The frames of a data set that a training sees, or those of another part of its split."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Str

from aiida_edl.calculations.functions.subset import subset_of
from aiida_edl.data.dataset import DatasetData


@calcfunction
def training_frames(dataset: DatasetData, split: ArrayData, subset: Str | None = None) -> DatasetData:
    """Take the frames of a part of a split, e.g. for analyses that ask how far a run goes beyond those of the training.

    :param dataset: all labelled frames.
    :param split: indices of the frames, as arrays.
    :param subset: which of its arrays; ``training`` without it.
    :return: the frames with their labels; column ``source_index`` is their index in the data set.
    """
    return subset_of(dataset, dataset.frames(), split.get_array('training' if subset is None else subset.value))
