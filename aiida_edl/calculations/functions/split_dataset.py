"""Split a data set into frames to train on, to validate on, and to test on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frame_columns import charge_states_of
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.group_splitting import TIME_BLOCKS, check_geometries, split_by_settings
from aiida_edl.science.leak_report import leak_report
from aiida_edl.science.splitting import Split, compose_training_set, split_frames


@calcfunction
def split_dataset(dataset: DatasetData, settings: Dict) -> ArrayData:
    """Split a data set: by blocks of time, by whole groups, or by leaving one charge state out.

    By blocks of time (``method`` is ``time_blocks`` or absent) few test frames are neighbours in time of training
    frames. The same ``seed`` and sizes give the same test frames for every choice of ``charge_states``. Frames that no
    part needs become gaps around the test frames, so that with some to spare there are no neighbours at all.

    By ``groups`` no geometry, trajectory or value of a column is parted; ``leave_one_out`` tests on one charge state
    and trains on the others.

    :param dataset: labelled frames; column ``group`` names the trajectory (all are one without it), ``time`` [fs]
        orders its frames (their order in the set without it).
    :param settings: ``method``, and for ``time_blocks`` ``charge_states`` (numbers of ions to train on, in equal
        shares), ``n_training`` (frames of the training set, drawn from as many of each charge state), ``n_validation``
        and ``n_test`` (frames per charge state), ``n_blocks`` (blocks of time per trajectory), ``seed``; for ``groups``
        the fields of ``GroupSplit``, for ``leave_one_out`` those of ``LeaveOneOutSplit``.
    :return: indices ``training``, ``validation`` (both of the chosen charge states) and ``test`` (of all).
    """
    values = settings.get_dict()
    method = values.pop('method', TIME_BLOCKS)
    frames = dataset.frames()
    if method != TIME_BLOCKS:
        split = split_by_settings(frames, method, values)
        return _node(split, frames, split, {'method': method, **values})
    if 'group' not in frames.columns:
        frames = frames.with_columns(group='all')
    states = charge_states_of(frames)
    sizes = {name: values[name] for name in ('n_training', 'n_validation', 'n_test')}
    split = split_frames(frames, **sizes, seed=values['seed'], n_blocks=values['n_blocks'])
    chosen = Split(
        training=compose_training_set(frames, split, values['charge_states'], values['n_training'], values['seed']),
        validation=split.validation[np.isin(states[split.validation], values['charge_states'])],
        test=split.test,
    )
    check_geometries(frames, chosen)
    return _node(chosen, frames, split, {'charge_states': values['charge_states'], 'seed': values['seed']})


def _node(split: Split, frames: FrameSet, pool: Split, settings: Mapping[str, Any]) -> ArrayData:
    """Return the node of a split, with what its test shares with the frames the training is drawn from."""
    report = leak_report(frames, pool)
    nearest = float(report.nearest_time_distance)
    node = ArrayData()
    for name in ('training', 'validation', 'test'):
        node.set_array(name, getattr(split, name))
    node.base.attributes.set_many(
        {
            **settings,
            'n_duplicates_in_test': int(report.n_duplicates),
            # None if no frame of the test has a time in common with the training.
            'nearest_time_to_training': nearest if math.isfinite(nearest) else None,
        }
    )
    return node
