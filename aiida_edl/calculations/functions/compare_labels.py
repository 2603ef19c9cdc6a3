"""Compare new labels of frames with those that they have."""

from __future__ import annotations

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis.parity import ParityTolerances, Predicted, compare_predictions
from aiida_edl.science.frames import FrameSet


@calcfunction
def compare_labels(dataset: DatasetData, labelled: DatasetData, tolerances: Dict) -> Dict:
    """Compare the labels of frames that were labelled again with those of the data set they are from.

    :param dataset: frames with the labels that count as right.
    :param labelled: frames of it with new labels; column ``source_index`` is their index in it.
    :param tolerances: largest difference of an ``energy`` [eV/atom] and of a component of a ``force`` [eV/Å].
    :return: ``passed``, ``reasons``, ``n_frames``, ``max_energy_difference`` [eV/atom] and ``max_force_difference``
        [eV/Å].
    """
    new = labelled.frames()
    known = dataset.frames().select(np.asarray(new.columns['source_index'], dtype=np.int64))
    found = compare_predictions(_labels(known), _labels(new), ParityTolerances(**tolerances.get_dict()))
    return Dict(
        {
            'passed': found.passed,
            'reasons': list(found.reasons),
            'n_frames': len(new),
            'max_energy_difference': found.max_energy_difference,
            'max_force_difference': found.max_force_difference,
        }
    )


def _labels(frames: FrameSet) -> Predicted:
    """Return the labels of frames."""
    if frames.energies is None or frames.forces is None:
        raise ValueError('labels can be compared of frames with energies and forces only; label all of them first')
    return Predicted(frames.energies, frames.forces, frames.offsets)
