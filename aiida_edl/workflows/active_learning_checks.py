"""What can be known of active learning before anything is submitted: whether its data, models and engine fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import Dict, Int, List, Str

from aiida_edl.architectures.base import Architecture, HyperparameterError
from aiida_edl.architectures.fine_tuning import FineTuningMode
from aiida_edl.calculations.base import validate_code_kind
from aiida_edl.calculations.molecular_dynamics import LAST_FRAME, validate_frame
from aiida_edl.calculations.training import TrainingCalculation, validate_split
from aiida_edl.data.dataset import DatasetData
from aiida_edl.md_engines.base import MDEngine, MDSettings
from aiida_edl.registry import ARCHITECTURES, MD_ENGINES, load_member
from aiida_edl.science.metal_charge import tells_charge
from aiida_edl.workflows.active_learning_settings import ActiveLearningSettings, StartFrom
from aiida_edl.workflows.assessment_checks import refuse_engine, validate_electrostatics


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
    message = message or _validate_charges(architecture, training, inputs['structures'])
    message = message or _validate_dynamics(architecture, md, inputs['structures'])
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
        return "the array 'test' of the split is empty; keep some frames apart, which are never trained on"
    if not inputs['structures']:
        return 'no structure is given; name at least one from whose frames the dynamics begins'
    for label, structure in sorted(inputs['structures'].items()):
        if unknown := [symbol for symbol in structure.elements if symbol not in dataset.elements]:
            return (
                f"structure '{label}' holds {', '.join(unknown)}, of which the data set has no label; "
                f'it has those of {", ".join(dataset.elements)}'
            )
        if structure.n_wet_sides != dataset.n_wet_sides:
            return (
                f"structure '{label}' has {structure.n_wet_sides} wet sides, the data set {dataset.n_wet_sides}: "
                'their surface charges differ in meaning'
            )
    return None


def _validate_start(settings: ActiveLearningSettings, architecture: Architecture) -> str | None:
    """Return one sentence if the architecture cannot go on from its own weights."""
    is_continued = settings.retraining.start_from == StartFrom.PREVIOUS.value
    if is_continued and FineTuningMode.NAIVE not in architecture.fine_tuning_modes:
        return (
            f"{architecture.name} cannot be trained from the potentials of the round before; set start_from 'scratch'"
        )
    return None


def _validate_charges(
    architecture: Architecture, training: Mapping[str, Any], structures: Mapping[str, DatasetData]
) -> str | None:
    """Return one sentence if the models take a total charge that a structure does not state."""
    try:
        given = training['hyperparameters'].get_dict() if 'hyperparameters' in training else {}
        column = architecture.total_charge_column(architecture.make_hyperparameters(given))
    except HyperparameterError as error:
        return str(error)
    for label, structure in sorted(structures.items()):
        if column is not None and not tells_charge(structure.columns(), column):
            return (
                f"structure '{label}' lacks the column '{column}', from which the potentials take the total charge; it "
                f'has {", ".join(structure.columns()) or "none"}'
            )
    return None


def _validate_dynamics(
    architecture: Architecture, md: Mapping[str, Any], structures: Mapping[str, DatasetData]
) -> str | None:
    """Return one sentence if the engine cannot run what the trainer writes, or not from these structures."""
    engine: MDEngine = load_member(MD_ENGINES, md['engine'].value)
    settings = MDSettings.from_dict(md['settings'].get_dict())
    if message := refuse_engine(architecture, engine, settings):
        return message
    if formats := architecture.formats_to_run(str(engine.binding_kind)):
        return (
            f'engine {engine.name} runs {architecture.name} only when converted ({", ".join(formats)}), which is not '
            'done in each round; explore with engine ase'
        )
    for label, structure in sorted(structures.items()):
        if message := validate_frame(structure, LAST_FRAME, settings, f"structure '{label}'"):
            return message
    if 'code' not in md:
        return None  # its port says so
    member, kind = (architecture, 'architecture') if engine.code_kind == 'python' else (engine, 'engine')
    return validate_code_kind(md['code'], engine.code_kind, f"{kind} '{member.name}'", member.install_command)


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
