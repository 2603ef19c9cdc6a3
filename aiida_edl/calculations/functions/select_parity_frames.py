"""Choose the frames on which programs are compared."""

from __future__ import annotations

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import Int

from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.science.analysis.error_metrics import charge_labels
from aiida_edl.science.analysis.parity import ChargeRange
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.metal_charge import tells_charge, told_charges

DATASET = 'dataset'
"""Column ``source`` of frames that are not of a structure."""


@calcfunction
def select_parity_frames(
    dataset: DatasetData, n_frames: Int, potential: PotentialData | None = None, **structures: DatasetData
) -> DatasetData:
    """Choose frames of every charge state, evenly spaced over those of the set, without their labels.

    If the potential takes a total charge, they are spaced over the frames in the order of their charges, so that the
    smallest and the largest one are among them.

    :param dataset: trajectory or data set.
    :param n_frames: frames of each charge state, fewer if there are no more; at least 2 if their charges differ.
    :param potential: the potential that is compared.
    :param structures: further frames, of which those are chosen whose charge state or total charge the others lack.
    :return: the frames; column ``source_index`` is their index in the source, and ``source`` is ``'dataset'`` or the
        name of the structures.
    """
    column = None if potential is None else potential.total_charge_column
    known: dict[str, ChargeRange] = {}
    parts = []
    for source, node in ((DATASET, dataset), *sorted(structures.items())):
        frames = node.frames().without_labels()
        indices = _missing_states(frames, column, n_frames.value, known)
        if len(indices):
            parts.append(frames.select(indices).with_columns(source_index=indices, source=source))
    shared = set.intersection(*(set(part.columns) for part in parts))
    alike = [part.replaced_columns({name: part.columns[name] for name in sorted(shared)}) for part in parts]
    return DatasetData.from_frames(
        FrameSet.concatenate(alike),
        origin=dataset.base.attributes.get(dataset.KEY_ORIGIN),
        n_wet_sides=dataset.n_wet_sides,
    )


def _missing_states(
    frames: FrameSet, column: str | None, n_frames: int, known: dict[str, ChargeRange]
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the indices of frames of states that are not known yet, and make them known.

    :param frames: frames to choose from.
    :param column: column of the total charge, None if the potential takes none.
    :param n_frames: frames of each charge state.
    :param known: smallest and largest total charge [e] by charge label; extended here.
    """
    labels = np.array(charge_labels(frames))
    is_told = column is not None and tells_charge(frames.columns, column)
    charges = told_charges(frames, str(column)) if is_told else np.zeros(len(frames))
    chosen = [np.zeros(0, dtype=np.int64)]
    for label in sorted(set(labels.tolist())):
        low, high = known.get(label, (np.inf, -np.inf))
        members = np.flatnonzero((labels == label) & ~((low <= charges) & (charges <= high)))
        if not len(members):
            continue
        members = members[np.argsort(charges[members], kind='stable')]
        least, most = float(charges[members[0]]), float(charges[members[-1]])
        n_chosen = min(max(n_frames, 1 + (least < most)), len(members))
        chosen.append(members[np.unique(np.linspace(0, len(members) - 1, n_chosen).round().astype(int))])
        known[label] = (min(low, least), max(high, most))
    return np.concatenate(chosen)
