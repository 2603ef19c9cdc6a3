"""The inputs of the loops in which models of a fine-tuning study find their own frames, before submission and at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiida.orm import ArrayData, Dict, Int, Str

from aiida_edl.calculations.functions.begin_without_labels import begin_with_test_frames
from aiida_edl.data.dataset import DatasetData
from aiida_edl.workflows.fine_tuning_parts import SEEDED
from aiida_edl.workflows.fine_tuning_settings import SELECTION_SEED_STRIDE, FineTuningStudySettings
from aiida_edl.workflows.fine_tuning_trainings import MD_SUFFIX, code_and_options, hyperparameters_of, precision_of
from aiida_edl.workflows.iterative_fine_tuning_checks import learnt_elements, validate_iterative_fine_tuning


@dataclass(frozen=True)
class Beginning:
    """What a loop knows before its first round."""

    dataset: DatasetData
    """The test frames of the study."""
    split: ArrayData
    """Of which none is trained on."""
    replay: DatasetData | None
    """Frames of the training of the foundation model that are learnt again; None without any."""
    energies: Dict
    """Energy of each element [eV]."""


def loop_inputs(
    study: Mapping[str, Any], settings: FineTuningStudySettings, name: str, seed: int, beginning: Beginning
) -> dict[str, Any]:
    """Return the inputs of one loop.

    :param study: inputs of the study.
    :param settings: its settings.
    :param name: name of the family.
    :param seed: seed of the models, from which those of the rounds follow.
    :param beginning: what it knows.
    """
    family = settings.families[name]
    parent = study['foundations'][family.start]
    architecture = str(parent.architecture)
    code, options = code_and_options(study, name, architecture)
    md_code, md_options = code_and_options(study, name, architecture, MD_SUFFIX)
    rounds = {part: dict(values) for part, values in family.rounds.items() if part in SEEDED}
    for part, names in SEEDED.items():
        rounds.setdefault(part, {}).update(dict.fromkeys(names, seed * SELECTION_SEED_STRIDE))
    rounds['exploration'].setdefault('temperatures', list(settings.runs.get('temperatures', ())))
    # An exploration that goes astray shall be seen from its first step.
    md = {**settings.md, 'equilibration_steps': 0, **family.exploration}
    return {
        'parent_potential': parent,
        'dataset': beginning.dataset,
        'split': beginning.split,
        'structures': dict(study['structures']),
        'settings': Dict({**family.rounds, **rounds}),
        'atomic_energies': beginning.energies,
        'max_iterations': Int(settings.max_iterations),
        'training': {
            'architecture': Str(architecture),
            'hyperparameters': Dict(hyperparameters_of(architecture, family, parent)),
            'seed': Int(seed),
            'precision': precision_of(family, parent),
            'gradient_updates': Int(family.gradient_updates),
            'device': Str(family.device),
            'fine_tuning': Dict(dict(family.fine_tuning)),
            'code': code,
            'metadata': {'options': options},
            **({} if beginning.replay is None else {'replay_dataset': beginning.replay}),
        },
        'md': {
            'engine': Str(family.engine or settings.engine),
            'settings': Dict(md),
            'device': Str(family.device),
            'code': code if md_code is None else md_code,
            'metadata': {'options': options if md_code is None else md_options},
        },
        'labelling': dict(study['labelling']),
    }


def validate_loops(study: Mapping[str, Any], settings: FineTuningStudySettings, name: str) -> str | None:
    """Return one sentence if the loops of a family would be refused when their turn comes.

    :param study: inputs of the study.
    :param settings: its settings.
    :param name: name of a family that finds its own frames.
    """
    replay = study.get('replay_dataset') if settings.families[name].is_replaying else None
    begin = begin_with_test_frames(study['dataset'], study['split'])
    energies = Dict(dict.fromkeys(learnt_elements(begin['dataset'], replay), 0.0))
    beginning = Beginning(**begin, replay=replay, energies=energies)
    seed = int(settings.families[name].seeds[0])
    return validate_iterative_fine_tuning(loop_inputs(study, settings, name, seed, beginning), None)
