"""The frames of a data set that hold no other than some elements."""

from __future__ import annotations

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import List
from ase.data import atomic_numbers

from aiida_edl.calculations.functions.subset import subset_of
from aiida_edl.data.dataset import DatasetData


@calcfunction
def frames_of_elements(dataset: DatasetData, elements: List) -> DatasetData:
    """Take the frames all of whose elements are among some, e.g. those that a potential knows.

    :param dataset: labelled frames.
    :param elements: chemical symbols.
    :return: the frames with their labels; column ``source_index`` is their index in the data set.
    :raises ValueError: if there is no such frame.
    """
    wished = elements.get_list()
    known = [atomic_numbers[symbol] for symbol in wished]
    frames = dataset.frames()
    # Every frame holds at least one atom, so no segment is empty.
    is_known = np.logical_and.reduceat(np.isin(frames.numbers, known), frames.offsets[:-1])
    indices = np.flatnonzero(is_known)
    if not len(indices):
        raise ValueError(
            f'none of the {len(frames)} frames, of {", ".join(dataset.elements)}, holds {", ".join(wished)} alone; '
            'give frames of these elements'
        )
    return subset_of(dataset, frames, indices)
