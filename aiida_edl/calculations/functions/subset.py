"""A part of a data set as a data set."""

from __future__ import annotations

import numpy as np

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frame_columns import Indices
from aiida_edl.science.frames import FrameSet

SOURCE_INDEX = 'source_index'
"""Column with the index of a frame in the set it was chosen from."""


def subset_of(dataset: DatasetData, frames: FrameSet, indices: Indices) -> DatasetData:
    """Return an unstored data set of some frames, with their labels and what describes them.

    :param dataset: the data set.
    :param frames: its frames, which take time to read.
    :param indices: those that are taken; they become the column ``source_index``, unless there is one already, which
        tells of an earlier source.
    """
    chosen = frames.select(indices)
    if SOURCE_INDEX not in chosen.columns:
        chosen = chosen.with_columns(**{SOURCE_INDEX: np.asarray(indices, dtype=np.int64)})
    attributes = dataset.base.attributes
    node = DatasetData.from_frames(
        chosen,
        dataset.level_of_theory,
        attributes.get(dataset.KEY_ORIGIN),
        dataset.n_wet_sides,
        in_single_precision=attributes.get(dataset.KEY_PRECISION, '') == 'float32',
    )
    known = node.base.attributes.all
    # What is said of the whole set, such as its temperature, holds for a part.
    node.base.attributes.set_many({key: value for key, value in attributes.all.items() if key not in known})
    return node
