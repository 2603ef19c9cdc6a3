"""Choose frames of a trajectory or data set."""

from __future__ import annotations

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.selection import select_frames as select

LABEL_COLUMNS = ('metal_potential',)
"""Columns that are results of the method that made the frames; they go with the labels."""


@calcfunction
def select_frames(dataset: DatasetData, settings: Dict) -> DatasetData:
    """Return chosen frames without their labels, in the order of the source.

    :param dataset: trajectory or data set.
    :param settings: either ``method`` (``evenly_spaced``, ``random`` or ``farthest_point``), ``n_frames`` and ``seed``;
        or ``start`` and ``stop``, a slice. ``columns`` are scalars set on every frame, e.g. the name of the trajectory
        as ``group``.
    :return: the frames; column ``source_index`` is their index in the source.
    """
    values = settings.get_dict()
    frames = dataset.frames().without_labels()
    if 'start' in values:
        indices = np.arange(values['start'], min(values['stop'], len(frames)))
    else:
        indices = np.sort(select(frames, values['n_frames'], values['method'], values['seed']))
    chosen = frames.select(indices)
    columns = {name: column for name, column in chosen.columns.items() if name not in LABEL_COLUMNS}
    columns.setdefault('source_index', indices.astype(np.int64))
    chosen = chosen.replaced_columns(columns).with_columns(**values.get('columns', {}))
    return DatasetData.from_frames(
        chosen, origin=dataset.base.attributes.get(dataset.KEY_ORIGIN), n_wet_sides=dataset.n_wet_sides
    )
