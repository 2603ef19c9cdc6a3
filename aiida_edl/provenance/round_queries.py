"""What each round of learning did: of a committee that explores, and of a potential that finds its own frames."""

from __future__ import annotations

import dataclasses
from typing import Any

from aiida.orm import Dict, ProcessNode, QueryBuilder

from aiida_edl.provenance.graph import calculations_of
from aiida_edl.provenance.lineage import CREATE
from aiida_edl.provenance.rows import FineTuningRound, LearningRound


def learning_rounds(study: ProcessNode) -> list[LearningRound]:
    """Return what each round of active learning did so far, in their order; it need not have ended.

    :param study: active learning, or a process that called it.
    """
    return _rounds(study, 'learning_round', LearningRound)


def fine_tuning_rounds(study: ProcessNode) -> list[FineTuningRound]:
    """Return what each round of a potential that finds its own frames did so far, in their order.

    :param study: iterative fine-tuning, which need not have ended, or a process that called it.
    """
    return _rounds(study, 'fine_tuning_round', FineTuningRound)


def _rounds(study: ProcessNode, process_label: str, row_class: type[Any]) -> list[Any]:
    """Return the rows of the reports that a function made of rounds, in their order."""
    calculations = calculations_of(study)
    query = QueryBuilder().append(
        ProcessNode, filters={'attributes.process_label': process_label}, project='id', tag='round'
    )
    query.append(Dict, with_incoming='round', edge_filters=CREATE, project=['uuid', 'attributes'])
    names = {field.name for field in dataclasses.fields(row_class)} - {'report', 'wall_seconds'}
    rows = [
        row_class(
            **{name: values.get(name) for name in names},
            wall_seconds=round(sum(values['wall_seconds'].values()), 1),
            report=uuid,
        )
        for pk, uuid, values in query.all()
        if calculations is None or pk in calculations
    ]
    return sorted(rows, key=lambda row: row.round)
