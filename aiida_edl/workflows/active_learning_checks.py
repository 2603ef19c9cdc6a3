"""What can be known of active learning before anything is submitted: whether its data, models and engine fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import Dict, Int, List, Str

from aiida_edl.architectures.base import Architecture
from aiida_edl.architectures.fine_tuning import FineTuningMode
from aiida_edl.calculations.training import TrainingCalculation, validate_split
from aiida_edl.registry import ARCHITECTURES, load_member
from aiida_edl.workflows.active_learning_settings import ActiveLearningSettings, StartFrom
from aiida_edl.workflows.assessment_checks import validate_electrostatics
from aiida_edl.workflows.learning_checks import (
    NO_TEST,
    validate_charges_of,
    validate_dynamics,
    validate_labels,
    validate_structures,
)


def validate_active_learning(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Return one sentence if data, structures, training and dynamics do not fit together.

    :param inputs: inputs of :class:`~aiida_edl.workflows.active_learning.ActiveLearningWorkChain`.
    """
    training, md = inputs.get('training') or {}, inputs.get('md') or {}
    if not {'dataset', 'split', 'seeds', 'structures', 'settings'} <= set(inputs):
        return None  # their ports say so
    if not {'architecture', 'code', 'gradient_updates'} <= set(training) or not {'engine', 'settings'} <= set(md):
        return None
    architecture: Architecture = load_member(ARCHITECTURES, training['architecture'].value)
    settings = ActiveLearningSettings.from_dict(inputs['settings'].get_dict())
    message = _validate_data(inputs) or _validate_start(settings, architecture)
    message = message or validate_charges_of(architecture, training, inputs['structures'])
    message = message or validate_dynamics(architecture, md, inputs['structures']) or validate_labels(inputs)
    first = _first_training(inputs)
    of_runs = {'training': first, 'engine': md['engine'], 'md_settings': md['settings']}
    message = message or TrainingCalculation.validate(first)
    return message or validate_electrostatics({**inputs, **of_runs}, architecture)


def _validate_data(inputs: Mapping[str, Any]) -> str | None:
    """Return one sentence if there are no test frames, or structures do not belong to the data."""
    dataset, split = inputs['dataset'], inputs['split']
    if message := validate_split(split, dataset.n_frames):
        return message
    if not len(split.get_array('test')):
        return NO_TEST
    return validate_structures(inputs['structures'], dataset)


def _validate_start(settings: ActiveLearningSettings, architecture: Architecture) -> str | None:
    """Return one sentence if the architecture cannot go on from its own weights."""
    is_continued = settings.retraining.start_from == StartFrom.PREVIOUS.value
    if is_continued and FineTuningMode.NAIVE not in architecture.fine_tuning_modes:
        return (
            f"{architecture.name} cannot be trained from the potentials of the round before; set start_from 'scratch'"
        )
    return None


def _first_training(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of the first training, as far as they are known before it."""
    dataset = inputs['dataset']
    defaults = {'precision': Str('float64'), 'device': Str('cpu'), 'hyperparameters': Dict({})}
    energies = inputs.get('atomic_energies') or Dict(dict.fromkeys(dataset.elements, 0.0))
    return {
        **defaults,
        **inputs['training'],
        'dataset': dataset,
        'split': inputs['split'],
        'elements': List(list(dataset.elements)),
        'atomic_energies': energies,
        'seed': Int(max(inputs['seeds'].get_list())),
    }
