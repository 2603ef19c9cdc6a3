"""Choose frames of a trajectory or data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.functions.subset import SOURCE_INDEX, subset_of
from aiida_edl.data.dataset import DatasetData
from aiida_edl.registry import unknown_name_message
from aiida_edl.science.frame_columns import RESULT_COLUMNS, Indices
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.selection import SelectionError, SelectionSettings, choose_frames

HANDLED_HERE = ('start', 'stop', 'columns', 'keep_labels', 'deviation')
"""Settings that are not of the choice itself."""
DEFAULT_DEVIATION = 'max_force_deviation'
"""Array of ``edl.committee_deviation`` that is taken unless another is named."""

DESCRIPTORS = 'descriptors'
"""Array with one row per frame."""


@calcfunction
def select_frames(
    dataset: DatasetData, settings: Dict, deviations: ArrayData | None = None, descriptors: ArrayData | None = None
) -> DatasetData:
    """Return chosen frames in the order of the source, without their labels unless these are asked for.

    :param dataset: trajectory or data set.
    :param settings: fields of ``SelectionSettings``, of which ``n_frames``, ``method`` (``evenly_spaced``, ``random``,
        ``farthest_point``, ``coverage`` or ``largest_deviation``) and ``seed`` are given, ``stratify_by`` (a column, or
        several joined by ``+``), ``shares`` of the strata, and ``lower`` and ``upper``, a window of deviations, may be;
        or ``start`` and ``stop``, a slice. ``keep_labels`` keeps the labels. ``deviation`` names the array of
        deviations. ``columns`` are scalars set on every frame, e.g. the name of the trajectory as ``group``.
    :param deviations: result of ``edl.committee_deviation``, or any array with one value per frame.
    :param descriptors: array ``descriptors`` with one row per frame, for farthest points and coverage; mean and spread
        of sorted distances to neighbours without it.
    :return: the frames; column ``source_index`` is their index in the source.
    """
    values = settings.get_dict()
    frames = dataset.frames()
    if 'start' in values:
        indices = np.arange(values['start'], min(values['stop'], len(frames)))
    else:
        uncertain = None if deviations is None else _per_frame(deviations, values.get('deviation'), len(frames))
        points = None if descriptors is None else _array(descriptors, DESCRIPTORS)
        chosen = {name: value for name, value in values.items() if name not in HANDLED_HERE}
        indices = choose_frames(frames, SelectionSettings.from_dict(chosen), points, uncertain)
    columns: Mapping[str, Any] = values.get('columns', {})
    if values.get('keep_labels', False):
        return subset_of(dataset, frames.with_columns(**columns), indices)
    return _without_labels(dataset, frames, indices, columns)


def _without_labels(dataset: DatasetData, frames: FrameSet, indices: Indices, added: Mapping[str, Any]) -> DatasetData:
    """Return frames without what the method gave that made them."""
    chosen = frames.without_labels().select(indices)
    columns = {name: column for name, column in chosen.columns.items() if name not in RESULT_COLUMNS}
    columns.setdefault(SOURCE_INDEX, indices.astype(np.int64))
    chosen = chosen.replaced_columns(columns).with_columns(**added)
    return DatasetData.from_frames(
        chosen, origin=dataset.base.attributes.get(dataset.KEY_ORIGIN), n_wet_sides=dataset.n_wet_sides
    )


def _per_frame(deviations: ArrayData, name: str | None, n_frames: int) -> Floats:
    """Return one deviation per frame of a data set, NaN for frames that were not asked about."""
    arrays = deviations.get_arraynames()
    if name is None and len(arrays) > 1:
        name = DEFAULT_DEVIATION
    name = arrays[0] if name is None else name
    values = _array(deviations, name)
    if 'frame_indices' not in arrays:
        return values
    indices = deviations.get_array('frame_indices')
    if len(indices) and indices.max() >= n_frames:
        raise SelectionError(
            f'the deviations are of frames up to {indices.max()}, the set has {n_frames}; give those of this set'
        )
    known = np.full(n_frames, np.nan)
    known[indices] = values
    return known


def _array(node: ArrayData, name: str) -> Floats:
    """Return an array of a node by name."""
    if name not in (known := node.get_arraynames()):
        raise SelectionError(unknown_name_message('array', name, known))
    return np.asarray(node.get_array(name), dtype=np.float64)
