"""What a benchmark found for the models of one architecture and training set together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiida.common.links import LinkType
from aiida.orm import ArrayData, ProcessNode
from numpy.typing import NDArray

from aiida_edl.provenance.analysed_runs import SEPARATOR
from aiida_edl.provenance.rows import TrainedPotential

SIZE = re.compile(r'_size_\d+$')
"""How the name of one of several sizes of a training set ends."""


@dataclass(frozen=True)
class GroupResult:
    """What was found for the models of one architecture and training set."""

    architecture: str
    """Its name in the settings."""
    training_set: str
    """Name of the training set; without a size where sizes are compared."""
    arrays: Mapping[str, NDArray[Any]]
    """Arrays by name."""
    scalars: Mapping[str, Any]
    """Other values by name."""

    @property
    def name(self) -> str:
        """Name for people."""
        return f'{self.architecture}, {self.training_set}'


def collect_groups(
    study: ProcessNode, namespace: str, potentials: Iterable[TrainedPotential]
) -> tuple[GroupResult, ...]:
    """Return the results that a benchmark gives by architecture and training set, in the order of these.

    :param study: the benchmark.
    :param namespace: its output, e.g. ``'survivals'``.
    :param potentials: its potentials, which tell where the name of an architecture ends.
    """
    names = {}
    for item in potentials:
        for training_set in (item.training_set, without_size(item.training_set)):
            names[f'{item.architecture}_{training_set}'] = (item.architecture, training_set)
    beginning = namespace + SEPARATOR
    found = []
    for entry in study.base.links.get_outgoing(link_type=LinkType.RETURN).all():
        node, key = entry.node, entry.link_label.removeprefix(beginning)
        if entry.link_label.startswith(beginning) and isinstance(node, ArrayData) and key in names:
            arrays = {name: node.get_array(name) for name in node.get_arraynames()}
            found.append(GroupResult(*names[key], arrays, dict(node.base.attributes.all)))
    return tuple(sorted(found, key=lambda item: (item.architecture, item.training_set)))


def without_size(training_set: str) -> str:
    """Return the name of a training set without its size.

    :param training_set: its name, e.g. ``'mixed_size_24'``.

    >>> without_size('mixed_size_24'), without_size('single_2')
    ('mixed', 'single_2')
    """
    return SIZE.sub('', training_set)
