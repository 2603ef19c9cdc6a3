"""Collect the frames of many trajectories, so that a committee can be asked about all of them at once."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import Dict

from aiida_edl.calculations.link_labels import in_natural_order
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frames import FrameSet


@calcfunction
def collect_frames(settings: Dict, **trajectories: DatasetData) -> DatasetData:
    """Join trajectories without their labels and velocities; column ``group`` is the name of the trajectory.

    :param settings: ``columns``, by the label of a trajectory: scalars that are set on each of its frames, e.g. the
        total charge that a potential takes; ``prefix`` of the names in ``group``.
    :param trajectories: the trajectories, by label.
    :return: the frames in the order of the labels, with the columns that all trajectories share.
    """
    values = settings.get_dict()
    parts = []
    for label in in_natural_order(trajectories):
        frames = trajectories[label].frames().without_labels()
        columns = {'group': f'{values.get("prefix", "")}{label}', **values.get('columns', {}).get(label, {})}
        parts.append(frames.with_columns(**columns))
    shared = set.intersection(*(set(part.columns) for part in parts))
    alike = [part.replaced_columns({name: part.columns[name] for name in sorted(shared)}) for part in parts]
    sides = sorted({node.n_wet_sides for node in trajectories.values()})
    if len(sides) > 1:
        raise ValueError(
            f'trajectories with {sides} wet sides cannot be joined: their surface charges differ in meaning'
        )
    origins = sorted({node.base.attributes.get(node.KEY_ORIGIN) for node in trajectories.values()})
    return DatasetData.from_frames(FrameSet.concatenate(alike), origin='; '.join(origins), n_wet_sides=sides[0])
