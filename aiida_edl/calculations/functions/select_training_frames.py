"""Choose part of the training frames of a split, for learning curves and studies of composition."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.selection import SelectionError, SelectionSettings, choose_frames

UNTOUCHED = ('validation', 'test')
"""Parts of a split that stay as they are."""


@calcfunction
def select_training_frames(dataset: DatasetData, split: ArrayData, settings: Dict) -> ArrayData:
    """Choose some of the training frames of a split: at random, stratified, different from each other.

    :param dataset: the frames.
    :param split: indices ``training``, ``validation`` and ``test``; the last two stay as they are.
    :param settings: fields of ``SelectionSettings``: ``n_frames``, ``method``, ``seed``, ``stratify_by``, ``shares``.
    :return: the split with the chosen training frames; the settings are its attribute ``selection``.
    """
    values = settings.get_dict()
    pool = split.get_array('training')
    wished = SelectionSettings.from_dict(values)
    if wished.n_frames > len(pool):
        raise SelectionError(
            f'{wished.n_frames} training frames are asked for, the split has {len(pool)}; ask for fewer'
        )
    chosen = choose_frames(dataset.frames().select(pool), wished)
    node = ArrayData({'training': pool[chosen], **{name: split.get_array(name) for name in UNTOUCHED}})
    node.base.attributes.set('selection', values)
    return node
