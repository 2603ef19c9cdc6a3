"""Processes below a study, in an order that an import does not change."""

from __future__ import annotations

import datetime

from aiida.common.links import LinkType
from aiida.orm import WorkChainNode

from aiida_edl.provenance.graph import called_processes


def test_processes_come_in_the_order_of_their_creation_whatever_their_identifiers():
    study = WorkChainNode().store()
    for label in ('second', 'first'):
        child = WorkChainNode()
        child.base.links.add_incoming(study, LinkType.CALL_WORK, label)
        child.store()
        if label == 'second':  # as after an import, which numbers nodes anew and keeps their times
            model = child.backend_entity.bare_model
            model.ctime += datetime.timedelta(days=1)
            child.backend_entity.model.save()
    assert [process.name for process in called_processes(study)] == ['first', 'second']
