"""Choose the frames that active learning labels, by the deviation of a committee."""

from __future__ import annotations

import dataclasses

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis.error_metrics import charge_labels
from aiida_edl.science.analysis.uncertainty_window import (
    FrameClass,
    UncertaintyWindow,
    count_classes,
    deviation_quantiles,
    lowest_accurate_share,
    sort_frames,
)
from aiida_edl.science.candidates import CandidateMethod, choose_candidates


@calcfunction
def select_candidates(dataset: DatasetData, deviation: ArrayData, settings: Dict) -> dict[str, DatasetData | Dict]:
    """Sort frames into accurate ones, candidates and failed ones, and choose among the candidates.

    :param dataset: the frames.
    :param deviation: result of ``edl.committee_deviation`` for all of them.
    :param settings: ``lower`` and ``upper`` limit of the deviation of a force [eV/Å]; ``n_selected`` frames to choose,
        ``method`` (``farthest_point``, ``largest_deviation`` or ``random``) and ``seed``; ``planned``, the frames of
        each charge label if no run had ended early.
    :return: ``selection``: how many frames are of each class, in all and of each charge state, the quantiles of the
        deviation, and which were chosen; ``dataset``: the chosen frames, with the columns ``source_index`` and
        ``force_deviation`` [eV/Å]; absent if there is no candidate.
    """
    values = settings.get_dict()
    frames = dataset.frames().without_labels()
    found = deviation.get_array('max_force_deviation')
    if len(found) != len(frames):
        raise ValueError(f'{len(found)} deviations are given for {len(frames)} frames; give those of all frames')
    labels = charge_labels(frames)
    classes = sort_frames(found, UncertaintyWindow(values['lower'], values['upper']))
    counts = count_classes(classes, labels, values['planned'])
    chosen = choose_candidates(
        frames,
        found,
        labels,
        classes[FrameClass.CANDIDATE],
        n_selected=values['n_selected'],
        method=CandidateMethod(values['method']),
        seed=values['seed'],
    )
    selection = {
        **{name.value: len(indices) for name, indices in classes.items()},
        'n_frames': len(frames),
        'n_planned': sum(entry.planned for entry in counts.values()),
        'n_without_deviation': int(np.count_nonzero(~np.isfinite(found))),
        'n_selected': len(chosen),
        'selected': chosen.tolist(),
        'accurate_share': lowest_accurate_share(counts),
        'by_charge_state': {label: dataclasses.asdict(entry) for label, entry in counts.items()},
        'deviation_quantiles': deviation_quantiles(found),
        'settings': values,
    }
    outputs: dict[str, DatasetData | Dict] = {'selection': Dict(selection)}
    if len(chosen):
        outputs['dataset'] = DatasetData.from_frames(
            frames.select(chosen).with_columns(source_index=chosen, force_deviation=found[chosen]),
            origin=dataset.base.attributes.get(dataset.KEY_ORIGIN),
            n_wet_sides=dataset.n_wet_sides,
        )
    return outputs
