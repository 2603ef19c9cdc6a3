"""Add the labels of one round of learning to a data set, without touching the frames that test it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict
from numpy.typing import NDArray

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frames import OPTIONAL, FrameSet
from aiida_edl.science.leak_report import leak_report
from aiida_edl.science.splitting import Split

ROUND = 'round'
"""Column with the round in which a frame was added; 0 for those of the beginning."""
INITIAL_GROUP = 'initial'
"""Group of the frames of the beginning, if they have none."""


@calcfunction
def extend_dataset(
    dataset: DatasetData, split: ArrayData, settings: Dict, labelled: DatasetData | None = None
) -> dict[str, DatasetData | ArrayData]:
    """Append labelled frames to a data set and share them out to training and validation; the test stays as it is.

    A new frame that comes too near to a test frame is kept in the data set, and used for nothing. If there is no
    validation frame yet, one of the new frames is taken for it at least, unless it is the only one.

    :param dataset: the frames so far.
    :param split: indices ``training``, ``validation`` and ``test``.
    :param settings: ``round``, the value of the column of this name; ``validation_share`` of the new frames and the
        ``seed`` of its draw; ``minimum_test_distance``, least root-mean-square distance per atom to a test frame [Å].
    :param labelled: the new frames; without them the column is set to ``round``, and that is all.
    :return: ``dataset`` with the labels and columns that both have, and ``split`` of it; its attributes tell
        ``n_added``, ``n_near_test`` (new frames that are not used), ``nearest_test_distance`` of those that are [Å],
        and ``dropped``, the labels and columns that only one of both had.
    """
    values = settings.get_dict()
    known = dataset.frames()
    parts = {name: split.get_array(name).astype(np.int64) for name in ('training', 'validation', 'test')}
    dropped: list[str] = []
    counts: dict[str, Any] = {'n_added': 0, 'n_near_test': 0, 'nearest_test_distance': None}
    if labelled is None:
        joined = known.with_columns(**{ROUND: values['round']})
        node = _split_node(parts)
    else:
        _check(dataset, labelled)
        joined, dropped = _join(known, labelled.frames().with_columns(**{ROUND: values['round']}))
        new = np.arange(len(known), len(joined))
        distances = leak_report(joined, Split(training=parts['test'], validation=new[:0], test=new))
        nearest = distances.nearest_geometry_distances
        used = new[nearest >= values['minimum_test_distance']]
        least = 0 if len(parts['validation']) else 1
        is_validation = _draw(len(used), values['validation_share'], values['seed'] + values['round'], least)
        parts['training'] = np.concatenate([parts['training'], used[~is_validation]])
        parts['validation'] = np.concatenate([parts['validation'], used[is_validation]])
        node = _split_node(parts)
        counts = {
            'n_added': len(new),
            'n_near_test': len(new) - len(used),
            'nearest_test_distance': _smallest(nearest[used - len(known)]),
        }
    node.base.attributes.set_many({**counts, 'dropped': dropped, 'round': values['round']})
    extended = DatasetData.from_frames(
        joined,
        level_of_theory=dataset.level_of_theory,
        origin=dataset.base.attributes.get(dataset.KEY_ORIGIN),
        n_wet_sides=dataset.n_wet_sides,
    )
    return {'dataset': extended, 'split': node}


def _check(dataset: DatasetData, labelled: DatasetData) -> None:
    """Raise if the labels do not belong together."""
    if labelled.level_of_theory != dataset.level_of_theory:
        raise ValueError(
            f"the new labels are by '{labelled.level_of_theory}', those of the data set by "
            f"'{dataset.level_of_theory}'; label both by one"
        )
    if labelled.n_wet_sides != dataset.n_wet_sides:
        raise ValueError(
            f'the new frames have {labelled.n_wet_sides} wet sides, those of the data set {dataset.n_wet_sides}: their '
            'surface charges differ in meaning'
        )


def _join(known: FrameSet, new: FrameSet) -> tuple[FrameSet, list[str]]:
    """Return the frames of both with what both carry, and the names of what only one does."""
    if 'group' not in known.columns:
        known = known.with_columns(group=INITIAL_GROUP)
    present = [{name for name in OPTIONAL if getattr(part, name) is not None} for part in (known, new)]
    columns = [set(part.columns) for part in (known, new)]
    kept = sorted(columns[0] & columns[1])
    absent: dict[str, Any] = dict.fromkeys(present[0] ^ present[1])
    alike = [
        replace(part.replaced_columns({name: part.columns[name] for name in kept}), **absent) for part in (known, new)
    ]
    return FrameSet.concatenate(alike), sorted((present[0] ^ present[1]) | (columns[0] ^ columns[1]))


def _draw(n_frames: int, share: float, seed: int, least: int) -> NDArray[np.bool_]:
    """Return which frames are drawn for the validation; at least one is left for the training."""
    n_drawn = min(max(round(share * n_frames), least), max(n_frames - 1, 0))
    is_drawn = np.zeros(n_frames, dtype=bool)
    is_drawn[np.random.default_rng(seed).choice(n_frames, size=n_drawn, replace=False)] = True
    return is_drawn


def _smallest(distances: NDArray[np.float64]) -> float | None:
    """Return the smallest finite distance, None if there is none."""
    finite = distances[np.isfinite(distances)]
    return float(finite.min()) if len(finite) else None


def _split_node(parts: dict[str, NDArray[np.int64]]) -> ArrayData:
    """Return an unstored node of the indices."""
    return ArrayData({name: np.sort(indices) for name, indices in parts.items()})
