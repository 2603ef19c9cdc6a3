"""What can be known of fine-tuning in rounds before anything is submitted: whether parent, data and engines fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from aiida.orm import ArrayData, Dict, List, Str
from ase.data import atomic_numbers

from aiida_edl.architectures.base import Architecture
from aiida_edl.architectures.fine_tuning import FineTuning, FineTuningMode
from aiida_edl.calculations.training import TrainingCalculation, validate_split
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.registry import ARCHITECTURES, load_member
from aiida_edl.workflows.assessment_checks import validate_electrostatics
from aiida_edl.workflows.iterative_fine_tuning_settings import FineTuningStart, IterativeFineTuningSettings
from aiida_edl.workflows.learning_checks import (
    NO_TEST,
    validate_charges_of,
    validate_dynamics,
    validate_labels,
    validate_structures,
)


def learnt_elements(*datasets: DatasetData | None) -> list[str]:
    """Return the chemical symbols that a training names, by atomic number: those of all that is learnt or run.

    :param datasets: labelled frames, structures, and frames of the training of the parent that are learnt again; None
        for what there is not.
    """
    symbols = {symbol for dataset in datasets if dataset is not None for symbol in dataset.elements}
    return sorted(symbols, key=atomic_numbers.__getitem__)


def validate_iterative_fine_tuning(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Return one sentence if parent, data, structures, training and dynamics do not fit together.

    :param inputs: inputs of :class:`~aiida_edl.workflows.iterative_fine_tuning.IterativeFineTuningWorkChain`.
    """
    training, md = inputs.get('training') or {}, inputs.get('md') or {}
    if not {'dataset', 'split', 'structures', 'settings', 'parent_potential'} <= set(inputs):
        return None  # their ports say so
    needed = {'architecture', 'code', 'gradient_updates', 'seed'}
    if not needed <= set(training) or not {'engine', 'settings'} <= set(md):
        return None
    architecture: Architecture = load_member(ARCHITECTURES, training['architecture'].value)
    settings = IterativeFineTuningSettings.from_dict(inputs['settings'].get_dict())
    message = _validate_data(inputs) or _validate_parent(inputs) or _validate_start(settings, training)
    message = message or _validate_level_of_theory(inputs) or _validate_energies(inputs)
    message = message or validate_charges_of(architecture, training, inputs['structures'])
    message = message or validate_dynamics(architecture, md, inputs['structures']) or validate_labels(inputs)
    if message:
        return message
    first = _first_training(inputs, settings)
    of_runs = {'training': first, 'engine': md['engine'], 'md_settings': md['settings']}
    message = TrainingCalculation.validate(first)
    return message or validate_electrostatics({**inputs, **of_runs}, architecture)


def _validate_data(inputs: Mapping[str, Any]) -> str | None:
    """Return one sentence if there are no test frames, or structures do not belong to the data."""
    dataset, split = inputs['dataset'], inputs['split']
    is_begun = 'training' in split.get_arraynames() and len(split.get_array('training'))
    filled = ('training', 'validation') if is_begun else ()
    if message := validate_split(split, dataset.n_frames, filled):
        return message
    if not len(split.get_array('test')):
        return NO_TEST
    return validate_structures(inputs['structures'], dataset)


def _validate_parent(inputs: Mapping[str, Any]) -> str | None:
    """Return one sentence if the parent does not know an element that it would meet."""
    parent: PotentialData = inputs['parent_potential']
    named = {'the data set': inputs['dataset']}
    named |= {f"structure '{label}'": node for label, node in sorted(inputs['structures'].items())}
    for name, node in named.items():
        if missing := _lacking(node.elements, parent.elements):
            return f'{name} holds {missing}, the parent potential knows {", ".join(parent.elements)}; give one for all'
    return None


def _validate_start(settings: IterativeFineTuningSettings, training: Mapping[str, Any]) -> str | None:
    """Return one sentence if a potential with replayed frames shall be fine-tuned further."""
    given = training.get('fine_tuning')
    fine_tuning = FineTuning.from_dict({} if given is None else given.get_dict())
    is_continued = settings.retraining.start_from == FineTuningStart.PREVIOUS.value
    if is_continued and fine_tuning.mode is FineTuningMode.MULTIHEAD_REPLAY:
        return (
            "start_from is 'previous' with multihead_replay, but replayed frames belong to the training of the parent "
            "alone; set start_from 'parent'"
        )
    return None


def _validate_level_of_theory(inputs: Mapping[str, Any]) -> str | None:
    """Return one sentence if the engine says of itself that its labels are no more of the data set."""
    parameters = (inputs.get('labelling') or {}).get('model_parameters')
    stated = None if parameters is None else parameters.get_dict().get('level_of_theory')
    known = inputs['dataset'].level_of_theory
    if stated is None or stated == known:
        return None
    return f"the engine labels by '{stated}', the labels of the data set are by '{known}'; label both by one"


def _validate_energies(inputs: Mapping[str, Any]) -> str | None:
    """Return one sentence if replayed frames hold elements for which no atomic energy will be fitted."""
    replayed = inputs['training'].get('replay_dataset')
    if inputs.get('atomic_energies') is not None or replayed is None:
        return None
    if missing := _lacking(replayed.elements, inputs['dataset'].elements):
        return (
            f'the replayed frames hold {missing}, for which no atomic energy follows from the data set; give '
            'atomic_energies for all elements of both'
        )
    return None


def _lacking(wanted: Iterable[str], known: Iterable[str]) -> str:
    """Return the symbols that are not known, in words; empty if all are."""
    return ', '.join(symbol for symbol in wanted if symbol not in known)


def _first_training(inputs: Mapping[str, Any], settings: IterativeFineTuningSettings) -> dict[str, Any]:
    """Return the inputs of the first training as far as they are known; test frames stand in for those to be found."""
    dataset, split = inputs['dataset'], inputs['split']
    if not len(split.get_array('training')):
        dataset, split = _stand_in(dataset, split.get_array('test'), settings)
    defaults = {'precision': Str('float64'), 'device': Str('cpu'), 'hyperparameters': Dict({})}
    elements = learnt_elements(dataset, inputs['training'].get('replay_dataset'))
    return {
        **defaults,
        **inputs['training'],
        'dataset': dataset,
        'split': split,
        'elements': List(elements),
        'atomic_energies': inputs.get('atomic_energies') or Dict(dict.fromkeys(elements, 0.0)),
        'parent_potential': inputs['parent_potential'],
    }


def _stand_in(
    dataset: DatasetData, test: np.ndarray[Any, Any], settings: IterativeFineTuningSettings
) -> tuple[DatasetData, ArrayData]:
    """Return as many frames as the first round labels at most, and their split; unstored."""
    n_frames = settings.selection.n_selected
    n_validation = max(round(settings.retraining.validation_share * n_frames), 1)
    frames = dataset.frames().select(np.resize(test, n_frames))
    node = DatasetData.from_frames(
        frames, level_of_theory=dataset.level_of_theory, origin='stand-in', n_wet_sides=dataset.n_wet_sides
    )
    indices = np.arange(n_frames)
    parts = {'training': indices[n_validation:], 'validation': indices[:n_validation], 'test': indices[:0]}
    return node, ArrayData(parts)
