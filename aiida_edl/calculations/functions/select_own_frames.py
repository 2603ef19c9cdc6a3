"""Choose the frames to label among those that a potential found by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.own_frames import OwnFrameMethod, choose_own_frames, unphysical_frames

LEARNT = ('training', 'validation')
"""Parts of a split that count as known."""


@calcfunction
def select_own_frames(
    dataset: DatasetData, settings: Dict, known: DatasetData | None = None, split: ArrayData | None = None
) -> dict[str, DatasetData | Dict]:
    """Leave out unphysical frames and choose among the others, in equal numbers of each stratum.

    :param dataset: frames of all runs.
    :param settings: ``n_selected`` frames to choose, ``method`` (``farthest_point``, ``random`` or ``coverage``) and
        ``seed``; ``minimum_distance`` of two atoms [Å]; ``stratify_by``, columns whose values are strata; ``n_planned``
        frames if no run had ended early.
    :param known: labelled frames, from whose training and validation frames farthest points keep away.
    :param split: its parts.
    :return: ``selection``: how many frames there are, are unphysical and were chosen, in all and by stratum, with the
        reason of each exclusion; ``dataset``: the chosen frames, with the column ``source_index``; absent if there is
        no physical frame.
    """
    values = settings.get_dict()
    frames = dataset.frames().without_labels()
    excluded = unphysical_frames(frames, values['minimum_distance'])
    physical = np.setdiff1d(np.arange(len(frames)), [entry.frame for entry in excluded])
    strata = [
        ', '.join(f'{frames.columns[name][index]}' for name in values['stratify_by']) for index in range(len(frames))
    ]
    chosen = physical
    if len(physical):
        positions = choose_own_frames(
            frames.select(physical),
            _learnt(known, split),
            [strata[index] for index in physical.tolist()],
            n_selected=values['n_selected'],
            method=OwnFrameMethod(values['method']),
            seed=values['seed'],
        )
        chosen = physical[positions]
    selection: dict[str, Any] = {
        'n_planned': values['n_planned'],
        'n_frames': len(frames),
        'n_unphysical': len(excluded),
        'n_selected': len(chosen),
        'selected': chosen.tolist(),
        'exclusions': [f'frame {entry.frame}: {entry.reason}' for entry in excluded],
        'by_stratum': {
            name: {
                'n_frames': strata.count(name),
                'n_unphysical': sum(strata[entry.frame] == name for entry in excluded),
                'n_selected': sum(strata[index] == name for index in chosen.tolist()),
            }
            for name in sorted(set(strata))
        },
        'settings': values,
    }
    outputs: dict[str, DatasetData | Dict] = {'selection': Dict(selection)}
    if len(chosen):
        outputs['dataset'] = DatasetData.from_frames(
            frames.select(chosen).with_columns(source_index=chosen),
            origin=dataset.base.attributes.get(dataset.KEY_ORIGIN),
            n_wet_sides=dataset.n_wet_sides,
        )
    return outputs


def _learnt(known: DatasetData | None, split: ArrayData | None) -> FrameSet | None:
    """Return the frames that were trained on or validated with, None if there are none."""
    if known is None or split is None:
        return None
    indices = np.concatenate([split.get_array(name) for name in LEARNT]).astype(np.int64)
    return known.frames().select(np.sort(indices)) if len(indices) else None
