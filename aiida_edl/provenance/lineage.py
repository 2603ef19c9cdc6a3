"""Where a potential comes from: its training, also through conversions and the addition of electrostatics."""

from __future__ import annotations

from collections.abc import Iterable

from aiida.common.links import LinkType
from aiida.orm import ArrayData, CalcJobNode, ProcessNode, QueryBuilder, WorkChainNode

from aiida_edl.calculations.functions.subtract_electrostatics import LESS_ELECTROSTATICS
from aiida_edl.data.potential import PotentialData
from aiida_edl.provenance.graph import SPLIT_LABEL_PREFIX, batches

CREATE = {'type': LinkType.CREATE.value}
"""Filter on links from a calculation to what it made."""
ADDITION = 'add_long_range'
"""Name of the calculation that puts a short-range potential and its electrostatics together."""
REDUCED = {'like': f'%{LESS_ELECTROSTATICS}'}
"""Filter on levels of theory of short-range parts."""


def with_long_range_part(potentials: Iterable[str], calculations: set[int] | None = None) -> dict[str, tuple[str, str]]:
    """Return UUID and level of theory of what short-range parts became when their electrostatics was added.

    :param potentials: UUIDs of potentials as their trainings gave them.
    :param calculations: identifiers of the calculations of a study, None for all.
    :return: by the UUID of the part; what has no such other part is missing.
    """
    key = f'attributes.{PotentialData.KEY_LEVEL_OF_THEORY}'
    query = QueryBuilder().append(PotentialData, filters={key: REDUCED}, project='uuid', tag='part')
    labels = {'attributes.process_label': ADDITION}
    query.append(ProcessNode, with_incoming='part', filters=labels, project='id', tag='addition')
    query.append(
        PotentialData, with_incoming='addition', edge_filters=CREATE, project=['uuid', key], tag='whole'
    ).order_by({'whole': 'ctime'})
    known = set(potentials)
    return {
        part: (uuid, level)
        for part, addition, uuid, level in query.all()
        if part in known and (calculations is None or addition in calculations)
    }


def training_of(potential: PotentialData) -> CalcJobNode:
    """Return the training of a potential, also of one that was converted or got its long-range part afterwards.

    :param potential: the potential.
    :raises ValueError: if no training calculation made it, e.g. because it was imported.
    """
    creator = potential.creator
    while creator is not None and 'split' not in creator.inputs:
        creator = creator.inputs.potential.creator if 'potential' in creator.inputs else None
    if creator is None:
        raise ValueError(f'potential {potential.uuid} was not trained here, so its labels are unknown')
    return creator


def training_set_names(splits: set[int]) -> dict[int, str]:
    """Return the name of the training set of each split: its label, else that of the call that made it.

    :param splits: identifiers of split nodes.
    """
    names: dict[int, str] = {}
    for identifiers in batches(splits):
        query = QueryBuilder().append(
            ArrayData, filters={'id': {'in': identifiers}}, project=['id', 'label'], tag='split'
        )
        query.append(ProcessNode, with_outgoing='split', edge_filters=CREATE, tag='function')
        query.append(WorkChainNode, with_outgoing='function', edge_project='label')
        for pk, label, call_label in query.all():
            names[pk] = label or call_label.removeprefix(SPLIT_LABEL_PREFIX)
    return names
