"""The members of a study in groups ``edl/<study>/<stage>/<charge state>``: they are found without its graph."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from aiida.common.links import LinkType
from aiida.orm import Group, Node, ProcessNode

from aiida_edl.provenance.progress import settings_of

ROOT = 'edl'
"""First part of the labels of all groups."""
STUDY_EXTRA = 'edl_study'
"""Extra of a benchmark that holds the name of its study."""
REPLICA_NUMBER = re.compile(r'_\d+$')
"""Number of a reference run at the end of a label."""
FURTHER_RUN = '_replica_'
"""Between a charge label and the number of a further run."""
ANSWERS = ('answer', 'penalty', 'ranking', 'charge_states', 'structures', 'capacitance', 'solvent_dipoles')
"""Outputs of a benchmark that answer its question."""
ANSWER_NAMESPACES = ('survivals', 'errors_over_size')
"""Outputs that answer it for each kind of model."""
STAGE_OF_REFERENCE = {'reference_md_': 'reference', 'labelling_': 'labels', 'reference_analysis_': 'analyses'}
"""Stage of what is called for each reference run, by the beginning of its call label."""


@dataclass(frozen=True)
class GroupRow:
    """One group of a study."""

    group: str
    """Its label."""
    n_members: int
    """Nodes in it."""
    n_added: int
    """Nodes that were not in it before."""


def study_name(process: ProcessNode) -> str:
    """Return the name of the study a benchmark belongs to: the one it was given, else one made of its label.

    :param process: the benchmark.
    """
    given = process.base.extras.get(STUDY_EXTRA, '')
    return str(given) or checked_name(re.sub(r'[^\w.-]+', '-', process.label).strip('-') or f'benchmark-{process.pk}')


def checked_name(name: str) -> str:
    """Return a name of a study that can be part of a label.

    :param name: the name.
    :raises ValueError: if it holds anything but letters, digits, dots, hyphens and underscores.
    """
    if not re.fullmatch(r'[\w.-]+', name):
        raise ValueError(
            f"'{name}' cannot be the name of a study; use letters, digits, dots, hyphens and underscores only"
        )
    return name


def group_study(process: ProcessNode, study: str = '') -> list[GroupRow]:
    """Put the members of a benchmark into groups; what is in them already stays, so that it can be called again.

    :param process: the benchmark, finished or not.
    :param study: name of the study; None for :func:`study_name`.
    :raises ValueError: if the name cannot be part of a label.
    """
    name = checked_name(study) if study else study_name(process)
    members: dict[str, list[Node]] = {'benchmarks': [process]}
    for stage, node in _members(process):
        members.setdefault(stage, []).append(node)
    rows = []
    for stage, nodes in sorted(members.items()):
        label = f'{ROOT}/{name}/{stage}'
        group, _ = Group.collection.get_or_create(label=label)
        before = group.count()
        group.add_nodes(nodes)
        rows.append(GroupRow(label, group.count(), group.count() - before))
    return rows


def _members(process: ProcessNode) -> Iterator[tuple[str, Node]]:
    """Yield stage and node of each member of a benchmark."""
    outputs = process.outputs
    splits = _namespace(outputs, 'splits')
    names = {*splits, *settings_of(process).get('training_sets', {})}
    for name, node in splits.items():
        yield f'training_sets/{name}', node
    if 'dataset' in outputs:
        yield 'dataset', outputs.dataset
    for stage in ('potentials', 'errors'):
        for key, node in _namespace(outputs, stage).items():
            yield f'{stage}/{_training_set(key, names)}', node
    for key, node in _namespace(outputs, 'profiles').items():
        label = key.rpartition('_at_')[2] if '_at_' in key else REPLICA_NUMBER.sub('', key.removeprefix('reference_'))
        yield from _by_charge('analyses', {label: node})
    for node in _answers(outputs):
        yield 'answer', node
    calls = process.base.links.get_outgoing(link_type=(LinkType.CALL_CALC, LinkType.CALL_WORK)).all()
    for entry in calls:
        child = entry.node
        if child.process_label == 'PotentialAssessmentWorkChain':
            yield from _assessment_members(child, _training_set(entry.link_label, names))
        elif entry.link_label.startswith('structure_') and 'result' in child.outputs:
            yield f'structures/{entry.link_label.removeprefix("structure_")}', child.outputs.result
        else:
            yield from _reference_members(entry.link_label, child)


def _answers(outputs: Any) -> Iterator[Node]:
    """Yield the nodes that answer the question of a benchmark."""
    for key in ANSWERS:
        if key in outputs:
            yield outputs[key]
    for key in ANSWER_NAMESPACES:
        yield from _namespace(outputs, key).values()


def _reference_members(call_label: str, child: ProcessNode) -> Iterator[tuple[str, Node]]:
    """Yield stage and node of what belongs to a reference run."""
    for beginning, stage in STAGE_OF_REFERENCE.items():
        if not call_label.startswith(beginning):
            continue
        charge = REPLICA_NUMBER.sub('', call_label.removeprefix(beginning))
        outputs = child.outputs
        for key in ('trajectory', 'dataset', 'profiles'):
            if key in outputs:
                yield f'{stage}/{charge}', outputs[key]
        for node in _namespace(outputs, 'analyses').values():
            yield f'{stage}/{charge}', node


def _assessment_members(child: ProcessNode, training_set: str) -> Iterator[tuple[str, Node]]:
    """Yield stage and node of what belongs to one model."""
    outputs = child.outputs
    if 'potential' in outputs:
        yield f'potentials/{training_set}', outputs.potential
    if 'errors' in outputs:
        yield f'errors/{training_set}', outputs.errors
    for stage, namespace in (('runs', 'trajectories'), ('analyses', 'profiles')):
        yield from _by_charge(stage, _namespace(outputs, namespace))
    for results in _namespace(outputs, 'analyses').values():
        yield from _by_charge('analyses', results)


def _training_set(key: str, names: Iterable[str]) -> str:
    """Return the name of the training set of a model.

    :param key: name of the model, which ends with those of training set and seed.
    :param names: all training sets.
    """
    found = [name for name in names if f'_{name}_seed_' in key]
    return max(found, key=len, default='other')


def _namespace(outputs: Any, name: str) -> dict[str, Any]:
    """Return what is in a namespace of outputs, by label; nothing if there is none."""
    return dict(outputs[name]) if name in outputs else {}


def _by_charge(stage: str, nodes: Any) -> Iterator[tuple[str, Node]]:
    """Yield stage with charge label, and node."""
    for label, node in dict(nodes).items():
        yield f'{stage}/{label.partition(FURTHER_RUN)[0]}', node
