"""Cut smaller training sets out of a split, each of which holds the next smaller one."""

from __future__ import annotations

from typing import Any

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import ArrayData, Int, List

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis.error_metrics import charge_labels


@calcfunction
def nested_training_sets(dataset: DatasetData, split: ArrayData, sizes: List, seed: Int) -> Any:
    """Cut training sets of several sizes out of one: nested, with nearly equal shares of the charge states in each.

    :param dataset: the frames.
    :param split: indices ``training``, ``validation`` and ``test``; the last two stay as they are.
    :param sizes: numbers of training frames.
    :param seed: seed of the order in which frames are taken.
    :return: a split for each size, under ``n_00100`` and so on.
    """
    training = split.get_array('training')
    if too_large := [size for size in sizes.get_list() if not 0 < size <= len(training)]:
        raise ValueError(f'sizes {too_large} are not between 1 and {len(training)}, the frames of the training set')
    labels = np.array(charge_labels(dataset.frames().select(training)))
    generator = np.random.default_rng(seed.value)
    # The k-th of n frames of a charge state comes after a share (k + 1/2)/n of those of any other.
    places = np.zeros(len(training))
    for label in sorted(set(labels.tolist())):
        members = np.flatnonzero(labels == label)
        places[generator.permutation(members)] = (np.arange(len(members)) + 0.5) / len(members)
    order = training[np.argsort(places, kind='stable')]
    nodes = {}
    for size in sizes.get_list():
        node = ArrayData()
        node.set_array('training', np.sort(order[:size]))
        for name in ('validation', 'test'):
            node.set_array(name, split.get_array(name))
        node.base.attributes.set_many({'n_training': size, 'seed': seed.value})
        nodes[size_label(size)] = node
    return nodes


def size_label(size: int) -> str:
    """Return the label of a size.

    >>> size_label(100)
    'n_00100'
    """
    return f'n_{size:05d}'
