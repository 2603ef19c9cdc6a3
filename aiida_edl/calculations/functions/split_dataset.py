"""Split a data set into frames to train on, to validate on, and to test on."""

from __future__ import annotations

import math

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.leak_report import leak_report
from aiida_edl.science.splitting import charge_states_of, compose_training_set, split_frames


@calcfunction
def split_dataset(dataset: DatasetData, settings: Dict) -> ArrayData:
    """Split a data set by blocks of time, so that few test frames are neighbours in time of training frames.

    The same ``seed`` and sizes give the same test frames for every choice of ``charge_states``. Frames that no part
    needs become gaps around the test frames, so that with some to spare there are no neighbours at all.

    :param dataset: labelled frames; column ``group`` names the trajectory (all are one without it), ``time`` [fs]
        orders its frames (their order in the set without it).
    :param settings: ``charge_states`` (numbers of ions to train on, in equal shares), ``n_training`` (frames of the
        training set, drawn from as many of each charge state), ``n_validation`` and ``n_test`` (frames per charge
        state), ``n_blocks`` (blocks of time per trajectory), ``seed``.
    :return: indices ``training``, ``validation`` (both of the chosen charge states) and ``test`` (of all).
    """
    values = settings.get_dict()
    frames = dataset.frames()
    if 'group' not in frames.columns:
        frames = frames.with_columns(group='all')
    states = charge_states_of(frames)
    sizes = {name: values[name] for name in ('n_training', 'n_validation', 'n_test')}
    split = split_frames(frames, **sizes, seed=values['seed'], n_blocks=values['n_blocks'])
    report = leak_report(frames, split)
    nearest = float(report.nearest_time_distance)
    node = ArrayData()
    node.set_array(
        'training', compose_training_set(frames, split, values['charge_states'], values['n_training'], values['seed'])
    )
    node.set_array('validation', split.validation[np.isin(states[split.validation], values['charge_states'])])
    node.set_array('test', split.test)
    node.base.attributes.set_many(
        {
            'charge_states': values['charge_states'],
            'seed': values['seed'],
            'n_duplicates_in_test': int(report.n_duplicates),
            # None if no frame of the test has a time in common with the training.
            'nearest_time_to_training': nearest if math.isfinite(nearest) else None,
        }
    )
    return node
