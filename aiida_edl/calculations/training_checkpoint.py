"""From which checkpoint a training may go on: one of the same training, and not beyond its target."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from aiida.orm import FolderData

from aiida_edl.architectures.base import Architecture
from aiida_edl.architectures.fine_tuning import FineTuning
from aiida_edl.calculations.checkpoint_identity import (
    as_attributes,
    checksum_of_arrays,
    optional,
    validate_same_run,
    validate_target,
)
from aiida_edl.registry import ARCHITECTURES, load_member

UPDATES_DONE = 'gradient_updates_done'
"""Attribute of a checkpoint: optimiser steps it stands for."""
TRAINER_VERSION = 'trainer_version'
"""Attribute of a checkpoint: the distribution that left it and its version, e.g. ``{'mace-torch': '0.3.16'}``."""
SEEN_IN_TRAINING = ('training', 'validation')
"""Arrays of a split that a training sees."""


def training_identity(inputs: Any) -> dict[str, Any]:
    """Return what a checkpoint and the training that goes on from it have in common.

    Data and models are known by their content, so that a copy or what was imported again is the same. Hyperparameters
    are all, defaults included, but those that the architecture allows to change at a restart.

    :param inputs: inputs of :class:`~aiida_edl.calculations.training.TrainingCalculation`, or those of its node.
    """
    architecture: Architecture = load_member(ARCHITECTURES, inputs['architecture'].value)
    values = asdict(architecture.make_hyperparameters(inputs['hyperparameters'].get_dict()))
    elements, energies = inputs['elements'].get_list(), inputs['atomic_energies'].get_dict()
    subsets = {name: inputs['split'].get_array(name).astype(np.int64) for name in SEEN_IN_TRAINING}
    contents = {name: optional(inputs, name) for name in ('parent_potential', 'dataset', 'replay_dataset')}
    return as_attributes(
        {
            'architecture': architecture.name,
            'elements': elements,
            'precision': inputs['precision'].value,
            'hyperparameters': {k: v for k, v in values.items() if k not in architecture.changeable_at_restart},
            **{name: None if x is None else x.base.attributes.get(x.KEY_SHA256) for name, x in contents.items()},
            'split': checksum_of_arrays(subsets),
            'seed': inputs['seed'].value,
            'atomic_energies': {symbol: float(energies[symbol]) for symbol in elements},
            'fine_tuning': _fine_tuning(inputs),
        }
    )


def _fine_tuning(inputs: Any) -> dict[str, Any] | None:
    """Return how a training starts from its parent, None without one."""
    if optional(inputs, 'parent_potential') is None:
        return None
    settings = optional(inputs, 'fine_tuning')
    return asdict(FineTuning.from_dict({} if settings is None else settings.get_dict()))


def validate_checkpoint(inputs: Mapping[str, Any]) -> str | None:
    """Return one sentence if a checkpoint is that of another training, or beyond the target.

    :param inputs: inputs of :class:`~aiida_edl.calculations.training.TrainingCalculation`, otherwise valid.
    """
    checkpoint = inputs.get('checkpoint')
    if checkpoint is None:
        return None
    done, target = checkpoint.base.attributes.get(UPDATES_DONE, 0), inputs['gradient_updates'].value
    message = validate_same_run(checkpoint, training_identity(inputs), 'training')
    return message or validate_target(done, target, 'gradient updates', 'gradient_updates', overshoot(inputs))


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
