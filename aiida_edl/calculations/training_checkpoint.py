"""From which checkpoint a training may go on: one of the same training, and not beyond its target."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aiida.orm import FolderData

from aiida_edl.architectures.base import Architecture
from aiida_edl.registry import ARCHITECTURES, load_member

UPDATES_DONE = 'gradient_updates_done'
"""Attribute of a checkpoint: optimiser steps it stands for."""
HYPERPARAMETERS = 'hyperparameters'
"""Attribute of a checkpoint: all hyperparameters, defaults included, but those that may change at a restart."""
TRAINER_VERSION = 'trainer_version'
"""Attribute of a checkpoint: the distribution that left it and its version, e.g. ``{'mace-torch': '0.3.16'}``."""
CHECKPOINT_IDENTITY = ('architecture', 'elements', 'precision')
"""Further attributes of a checkpoint that must equal the inputs of the training that goes on from it."""


def training_identity(inputs: Any) -> dict[str, Any]:
    """Return what a checkpoint and the training that goes on from it have in common.

    :param inputs: inputs of :class:`~aiida_edl.calculations.training.TrainingCalculation`.
    """
    architecture: Architecture = load_member(ARCHITECTURES, inputs['architecture'].value)
    values = asdict(architecture.make_hyperparameters(inputs['hyperparameters'].get_dict()))
    fixed = {name: value for name, value in values.items() if name not in architecture.changeable_at_restart}
    return {
        'architecture': architecture.name,
        'elements': inputs['elements'].get_list(),
        'precision': inputs['precision'].value,
        HYPERPARAMETERS: json.loads(json.dumps(fixed)),
    }


def validate_checkpoint(inputs: Mapping[str, Any]) -> str | None:
    """Return one sentence if a checkpoint is that of another training, or beyond the target.

    What a checkpoint does not say of itself, because an earlier version of this package left it, is not compared.
    """
    checkpoint = inputs.get('checkpoint')
    if checkpoint is None:
        return None
    attributes, wanted = checkpoint.base.attributes.all, training_identity(inputs)
    differing = [name for name in CHECKPOINT_IDENTITY if name in attributes and attributes[name] != wanted[name]]
    pairs = [(name, attributes[name], wanted[name]) for name in differing]
    stored = attributes.get(HYPERPARAMETERS, {})
    pairs += [
        (f'hyperparameter {name}', stored[name], value)
        for name, value in wanted[HYPERPARAMETERS].items()
        if name in stored and stored[name] != value
    ]
    for name, there, here in pairs:
        return (
            f'the checkpoint is of a training with {name} {there}, this one has {here}; '
            'leave the checkpoint out to start anew'
        )
    done, target = attributes.get(UPDATES_DONE, 0), inputs['gradient_updates'].value
    if done > target + overshoot(inputs):
        return (
            f'the checkpoint stands for {done} gradient updates, the target is {target}; '
            'raise gradient_updates or leave the checkpoint out'
        )
    return None


def trainer_version(checkpoint: FolderData | None) -> dict[str, str]:
    """Return the version of the trainer that may go on from a checkpoint; empty if any may.

    Which one an environment holds is known on the computer only, so the job itself asks before it trains.

    :param checkpoint: node with the attribute :data:`TRAINER_VERSION`, or None.
    """
    return {} if checkpoint is None else dict(checkpoint.base.attributes.get(TRAINER_VERSION, {}))


def overshoot(inputs: Mapping[str, Any]) -> int:
    """Return by how many gradient updates a training may end beyond its target at most.

    Trainers count in whole epochs, on replayed frames too, and end with an evaluation.

    :param inputs: inputs of :class:`~aiida_edl.calculations.training.TrainingCalculation`.
    """
    architecture: Architecture = load_member(ARCHITECTURES, inputs['architecture'].value)
    hyperparameters = architecture.make_hyperparameters(inputs['hyperparameters'].get_dict())
    replay = inputs.get('replay_dataset')
    n_frames = len(inputs['split'].get_array('training')) + (0 if replay is None else replay.n_frames)
    n_evaluations = getattr(hyperparameters, 'n_evaluations', None)
    interval = 0 if n_evaluations is None else math.ceil(inputs['gradient_updates'].value / n_evaluations)
    return 2 * n_frames + interval
