"""Join data sets."""

from __future__ import annotations

from aiida.engine import calcfunction

from aiida_edl.calculations.link_labels import in_natural_order
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frames import FrameSet


@calcfunction
def join_datasets(**datasets: DatasetData) -> DatasetData:
    """Join data sets of one level of theory, in the order of their link labels (numbers compare as numbers).

    :param datasets: the data sets; all must carry the same labels and columns.
    :return: one data set; it keeps the attributes that all parts share, e.g. the temperature of a trajectory.
    """
    nodes = [datasets[key] for key in in_natural_order(datasets)]
    levels = sorted({node.level_of_theory for node in nodes})
    if len(levels) > 1:
        raise ValueError(f'data sets of different levels of theory cannot be joined: {levels}; relabel one of them')
    sides = sorted({node.n_wet_sides for node in nodes})
    if len(sides) > 1:
        raise ValueError(f'data sets with {sides} wet sides cannot be joined: their surface charges differ in meaning')
    origins = sorted({node.base.attributes.get(node.KEY_ORIGIN) for node in nodes})
    frames = FrameSet.concatenate([node.frames() for node in nodes])
    are_single = all(node.base.attributes.get(node.KEY_PRECISION, '') == 'float32' for node in nodes)
    joined = DatasetData.from_frames(frames, levels[0], '; '.join(origins), sides[0], in_single_precision=are_single)
    first, *others = [node.base.attributes.all for node in nodes]
    shared = {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}
    joined.base.attributes.set_many(
        {key: value for key, value in shared.items() if key not in joined.base.attributes.all}
    )
    return joined
