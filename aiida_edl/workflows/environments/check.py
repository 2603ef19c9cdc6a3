"""A training of a few gradient updates and an evaluation, which show that an environment works with its code."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from aiida.engine import run_get_node
from aiida.manage.caching import disable_caching
from aiida.orm import (
    ArrayData,
    CalcJobNode,
    Dict,
    Group,
    InstalledCode,
    Int,
    List,
    Node,
    ProcessNode,
    QueryBuilder,
    Str,
)

from aiida_edl.architectures.protocols import available_protocols, hyperparameter_protocol
from aiida_edl.architectures.testing import example_frames
from aiida_edl.calculations.evaluation import EvaluationCalculation
from aiida_edl.calculations.training import TrainingCalculation
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.registry import ARCHITECTURES, load_member

GROUP = 'edl/environment-checks'
"""Group with all nodes of all checks."""
N_TRAINING, N_VALIDATION = 8, 2
LEVEL_OF_THEORY = 'random numbers, for checks of environments'
ELEMENTS = ('H', 'O', 'Au')
ATOMIC_ENERGIES = {'H': -1.5, 'O': -2.5, 'Au': -3.5}
"""Reference energies of the check [eV]."""
FAST = 'fast'
"""Protocol whose hyperparameters are used, if the architecture has it."""
GRADIENT_UPDATES = 2
SEED = 1


@dataclass(frozen=True)
class CheckResult:
    """How the check of one architecture ended."""

    architecture: str
    """Entry-point name."""
    code: str
    """Full label of the code."""
    is_working: bool
    """Whether a model was trained and gave finite energies and forces."""
    wall_seconds: float
    """Time the check took, waiting for the scheduler included [s]."""
    message: str
    """One sentence: what was done, or what went wrong."""


def check_architecture(
    name: str, code: InstalledCode, device: str = 'cpu', options: Mapping[str, Any] | None = None
) -> CheckResult:
    """Train a model for a moment and evaluate it; both calculations are stored in the group :data:`GROUP`.

    :param name: entry-point name of the architecture.
    :param code: interpreter of its environment.
    :param device: ``'cpu'`` or ``'cuda'``.
    :param options: scheduler options.
    """
    start = time.monotonic()
    group, _ = Group.collection.get_or_create(GROUP)
    dataset, split = _example_dataset(group), _example_split(group)
    member = load_member(ARCHITECTURES, name)
    protocol = FAST if FAST in available_protocols(name) else None
    inputs = {
        'architecture': Str(name),
        'hyperparameters': Dict(hyperparameter_protocol(name, protocol)),
        'seed': Int(SEED),
        'precision': Str(member.precisions[-1].value),
        'elements': List(list(ELEMENTS)),
        'atomic_energies': Dict(dict(ATOMIC_ENERGIES)),
        'gradient_updates': Int(GRADIENT_UPDATES),
    }
    shared = {
        'code': code,
        'dataset': dataset,
        'split': split,
        'device': Str(device),
        'metadata': {'label': f'check of {name}', 'options': dict(options or {})},
    }
    training = _run(TrainingCalculation, {**shared, **inputs}, group)
    message = _failure(training)
    if message is None:
        chosen = {'potential': training.outputs.potential, 'subset': Str('validation')}
        evaluation = _run(EvaluationCalculation, {**shared, **chosen}, group)
        message = _failure(evaluation) or _not_finite(evaluation)
    done = f'trained for a moment and evaluated, see {training.process_label}<{training.pk}>'
    return CheckResult(name, code.full_label, message is None, time.monotonic() - start, message or done)


def passed_check(name: str, code: InstalledCode, device: str = 'cpu') -> ProcessNode | None:
    """Return the evaluation of an earlier check that passed, None if there is none.

    :param name: entry-point name of the architecture.
    :param code: interpreter of its environment.
    :param device: ``'cpu'`` or ``'cuda'``.
    """
    query = QueryBuilder().append(Group, filters={'label': GROUP}, tag='group')
    query.append(CalcJobNode, filters={'attributes.exit_status': 0}, with_group='group', tag='evaluation')
    query.append(InstalledCode, filters={'id': code.pk}, with_outgoing='evaluation')
    query.append(
        PotentialData,
        filters={f'attributes.{PotentialData.KEY_ARCHITECTURE}': name},
        with_outgoing='evaluation',
        edge_filters={'label': 'potential'},
    )
    query.append(
        Str, filters={'attributes.value': device}, with_outgoing='evaluation', edge_filters={'label': 'device'}
    )
    query.add_projection('evaluation', '*')
    node: ProcessNode | None = next((node for node in query.all(flat=True) if _not_finite(node) is None), None)
    return node


def _run(process_class: Any, inputs: dict[str, Any], group: Group) -> ProcessNode:
    """Run a calculation for real, not from the cache, in this interpreter, and put it into the group."""
    with disable_caching():
        _, node = run_get_node(process_class, **inputs)
    group.add_nodes([node])
    return node


def _failure(node: ProcessNode) -> str | None:
    if node.is_finished_ok:
        return None
    return (
        f'{node.process_label}<{node.pk}> ended with exit status {node.exit_status}: '
        f'{node.exit_message or node.exception or node.process_state.value}'
    )


def _not_finite(evaluation: ProcessNode) -> str | None:
    predictions = evaluation.outputs.predictions
    if all(np.isfinite(predictions.get_array(name)).all() for name in ('energies', 'forces')):
        return None
    return f'{evaluation.process_label}<{evaluation.pk}> gave energies or forces that are not finite'


def _example_dataset(group: Group) -> DatasetData:
    """Return the labelled frames of all checks, stored once."""
    frames = example_frames(N_TRAINING + N_VALIDATION, seed=SEED)
    node = DatasetData.from_frames(frames, level_of_theory=LEVEL_OF_THEORY, origin='made by aiida-edl')
    sha256 = node.base.attributes.get(DatasetData.KEY_SHA256)
    return _stored_once(group, node, {f'attributes.{DatasetData.KEY_SHA256}': sha256})


def _example_split(group: Group) -> ArrayData:
    """Return the split of all checks, stored once."""
    node = ArrayData()
    node.set_array('training', np.arange(N_TRAINING))
    node.set_array('validation', np.arange(N_TRAINING, N_TRAINING + N_VALIDATION))
    node.set_array('test', np.arange(0))
    node.label = f'split of {N_TRAINING} and {N_VALIDATION} frames'
    return _stored_once(group, node, {'label': node.label})


def _stored_once(group: Group, node: Any, filters: Mapping[str, Any]) -> Any:
    """Return the node of the group that the filters find, or store this one there."""
    query = QueryBuilder().append(Group, filters={'id': group.pk}, tag='group')
    query.append(type(node), filters=dict(filters), with_group='group')
    found: Node | None = query.first(flat=True)
    if found is not None:
        return found
    group.add_nodes([node.store()])
    return node
