"""Choose the frames on which programs are compared."""

from __future__ import annotations

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import Int

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis.error_metrics import charge_labels


@calcfunction
def select_parity_frames(dataset: DatasetData, n_frames: Int) -> DatasetData:
    """Choose frames of every charge state, evenly spaced over those of the set, without their labels.

    :param dataset: trajectory or data set.
    :param n_frames: frames of each charge state, fewer if there are no more.
    :return: the frames; column ``source_index`` is their index in the source.
    """
    frames = dataset.frames().without_labels()
    labels = np.array(charge_labels(frames))
    chosen = []
    for label in sorted(set(labels.tolist())):
        members = np.flatnonzero(labels == label)
        places = np.linspace(0, len(members) - 1, min(n_frames.value, len(members))).round().astype(int)
        chosen.append(members[np.unique(places)])
    indices = np.concatenate(chosen).astype(np.int64)
    return DatasetData.from_frames(
        frames.select(indices).with_columns(source_index=indices),
        origin=dataset.base.attributes.get(dataset.KEY_ORIGIN),
        n_wet_sides=dataset.n_wet_sides,
    )
