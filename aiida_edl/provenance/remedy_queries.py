"""What training on several charge states costs, and what remedies leave of it, from the errors that are stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiida.orm import ProcessNode, QueryBuilder

from aiida_edl.data.potential import PotentialData
from aiida_edl.provenance.queries import all_errors
from aiida_edl.science.analysis.remedies import (
    RemedyComparison,
    RemedyTag,
    compare_remedies,
    remedy_name,
)


def remedies_of_study(study: ProcessNode | None = None) -> RemedyComparison | None:
    """Return plain, charge-conditioned, long-range and single models of each architecture side by side.

    What a potential was trained on, whether it is told a charge and has a long-range part is read from its node; other
    remedies, which nodes do not know, are compared by ``edl.compare_remedies`` with tags.

    :param study: limits the answer to one study.
    :return: None if there are no errors.
    :raises ValueError: if one kind of model has a seed twice.
    """
    rows = all_errors(study)
    tags = potential_tags({row['potential'] for row in rows})
    return compared(rows, tags)


def potential_tags(uuids: Iterable[str]) -> dict[str, RemedyTag]:
    """Return what potentials are in the comparison, by UUID.

    :param uuids: UUIDs of potentials.
    """
    names = ('architecture', 'total_charge_column', PotentialData.KEY_LONG_RANGE, 'training_charge_labels')
    query = QueryBuilder().append(
        PotentialData,
        filters={'uuid': {'in': sorted(uuids) or ['']}},
        project=['uuid', *(f'attributes.{name}' for name in names)],
    )
    return {
        uuid: RemedyTag(architecture, remedy_name(column is not None, long_range is not None), tuple(labels))
        for uuid, architecture, column, long_range, labels in query.all()
    }


def compared(rows: Iterable[Mapping[str, Any]], tags: Mapping[str, RemedyTag]) -> RemedyComparison | None:
    """Return the comparison of models whose errors are given; None if there are none.

    :param rows: rows of :func:`~aiida_edl.provenance.queries.all_errors`.
    :param tags: what each potential is, by UUID.
    :raises ValueError: if one kind of model has a seed twice: something else differs that the seeds do not tell.
    """
    tables: dict[str, list[Mapping[str, Any]]] = {}
    seeds: dict[tuple[RemedyTag, Any], str] = {}
    for row in rows:
        tag = tags[row['potential']]
        first = seeds.setdefault((tag, row['seed']), row['potential'])
        if first != row['potential']:
            raise ValueError(
                f'two {tag.remedy} potentials of {tag.family} trained on {",".join(tag.charge_states)} have seed '
                f'{row["seed"]}, so that more than the seed differs; name one study, or use edl.compare_remedies'
            )
        tables.setdefault(row['potential'], []).append(row)
    if not tables:
        return None
    return compare_remedies([(tags[uuid], table) for uuid, table in tables.items()])
