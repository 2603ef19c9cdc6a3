"""Turn labels into a data set; those that do not pass the gate are listed with their reasons."""

from __future__ import annotations

from typing import Any

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.label_gate import GateSettings, gate_labels


def _labelled(frames: FrameSet, parts: list[ArrayData]) -> tuple[FrameSet, np.ndarray]:
    """Return the frames with the labels of consecutive parts, and whether each calculation converged."""
    names = set.intersection(*[set(part.get_arraynames()) for part in parts])
    joined = {name: np.concatenate([part.get_array(name) for part in parts]) for name in names if name != 'offsets'}
    arrays = frames.without_labels().to_arrays()
    arrays |= {name: joined[name] for name in ('energies', 'forces', 'stresses', 'charges') if name in joined}
    columns = {name: joined[name] for name in ('metal_potential',) if name in joined}
    return FrameSet.from_arrays(arrays).with_columns(**columns), joined['converged']


@calcfunction
def assemble_labels(dataset: DatasetData, gate: Dict, **parts: Any) -> dict[str, DatasetData | Dict]:
    """Return the labelled frames that pass the gate as ``dataset`` and the others, with reasons, as ``rejected``.

    :param dataset: the frames that were labelled.
    :param gate: fields of ``GateSettings``.
    :param parts: ``labels_01``, ``summary_01``, ...: labels of consecutive parts of the frames, and what the engine
        says of them.
    :return: ``dataset`` (absent if no frame passes) and ``rejected``: ``frames`` (a list of index and reason),
        ``n_frames``, ``n_rejected``, ``notes``.
    """
    labels = [parts[key] for key in sorted(parts) if key.startswith('labels_')]
    summaries = [parts[key].get_dict() for key in sorted(parts) if key.startswith('summary_')]
    frames, converged = _labelled(dataset.frames(), labels)
    report = gate_labels(frames, converged, GateSettings(**gate.get_dict()))
    reasons = _engine_reasons(labels, summaries)
    rejected = [
        {'frame': int(index), 'reason': f'{reason}: {reasons[index]}' if index in reasons else reason}
        for index, reason in report.rejected
    ]
    outputs: dict[str, DatasetData | Dict] = {
        'rejected': Dict(
            {
                'frames': rejected,
                'n_frames': len(frames),
                'n_rejected': len(rejected),
                'notes': list(report.notes),
                'gate': gate.get_dict(),
            }
        )
    }
    if len(report.accepted):
        levels = sorted({summary['level_of_theory'] for summary in summaries})
        outputs['dataset'] = DatasetData.from_frames(
            frames.select(report.accepted),
            level_of_theory='; '.join(levels),
            origin=dataset.base.attributes.get(dataset.KEY_ORIGIN),
            n_wet_sides=dataset.n_wet_sides,
        )
    return outputs


def _engine_reasons(labels: list[ArrayData], summaries: list[dict[str, Any]]) -> dict[int, str]:
    """Return what the engine says of each failed frame, by index in the whole set."""
    reasons: dict[int, str] = {}
    start = 0
    for part, summary in zip(labels, summaries, strict=True):
        reasons |= {start + int(index): reason for index, reason in summary.get('failures', {}).items()}
        start += len(part.get_array('converged'))
    return reasons
