"""The trainings of a fine-tuning study: choose the frames of every model, train it, and take what came of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from aiida.engine import ToContext
from aiida.orm import AbstractCode, Dict, Int, List, Str

from aiida_edl.architectures.fine_tuning import FineTuning
from aiida_edl.architectures.precision import Precision
from aiida_edl.architectures.protocols import protocol_document
from aiida_edl.calculations.functions.complete_atomic_energies import complete_atomic_energies
from aiida_edl.calculations.functions.fit_atomic_energies import fit_atomic_energies
from aiida_edl.calculations.functions.held_out_frames import held_out_frames
from aiida_edl.calculations.functions.select_frames import select_frames
from aiida_edl.calculations.functions.select_training_frames import select_training_frames
from aiida_edl.calculations.functions.training_frames import training_frames
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.registry import ARCHITECTURES, load_member
from aiida_edl.science.selection import SelectionMethod
from aiida_edl.workflows.cost_ledger import costs_of
from aiida_edl.workflows.fine_tuning_parts import FamilyPart, Strategy, StudyModel
from aiida_edl.workflows.fine_tuning_settings import FineTuningStudySettings
from aiida_edl.workflows.iterative_fine_tuning_checks import learnt_elements
from aiida_edl.workflows.partial_failures import PartialFailuresMixin
from aiida_edl.workflows.training import TrainingWorkChain

DEFAULT_CODE = 'default'
"""Name of the code of families and architectures that have none of their own."""
MD_SUFFIX = '_md'
"""After the name of a family or an architecture in the name of the code of its runs."""
REPLAY_SEED = 1
"""Seed of the choice of replayed frames: the same for all models of a study."""


def code_name(family: str, architecture: str, names: Any, suffix: str = '') -> str | None:
    """Return under which name the code of a family is given: its own, that of the architecture, or the default.

    >>> code_name('naive', 'mace', {'mace': 1, 'default': 2})
    'mace'

    :param family: name of the family.
    :param architecture: entry-point name.
    :param names: names of the codes that are given.
    :param suffix: after each name, e.g. ``'_md'``.
    """
    wished = (f'{family}{suffix}', f'{architecture}{suffix}', f'{DEFAULT_CODE}{suffix}')
    return next((name for name in wished if name in names), None)


def code_and_options(
    study: Mapping[str, Any], name: str, architecture: str, suffix: str = ''
) -> tuple[AbstractCode | None, dict[str, Any]]:
    """Return a code of a family and its scheduler options; None without one.

    :param study: inputs of the study.
    :param name: name of the family.
    :param architecture: entry-point name.
    :param suffix: after the names of the codes, e.g. ``'_md'``.
    """
    found = code_name(name, architecture, study['codes'], suffix)
    if found is None:
        return None, {}
    options = study['options'].get_dict() if study.get('options') is not None else {}
    return study['codes'][found], dict(options.get(found, options.get(DEFAULT_CODE, {})))


class FineTuningTrainingsMixin(PartialFailuresMixin):
    """To be placed before :class:`~aiida.engine.WorkChain` in the bases of a study."""

    inputs: Any
    out: Any
    report: Any
    submit_loops: Any
    collect_loops: Any

    @cached_property
    def settings(self) -> FineTuningStudySettings:
        """The settings as typed values."""
        return FineTuningStudySettings.from_dict(self.inputs.settings.get_dict())

    def _family(self, model: StudyModel) -> FamilyPart:
        """Return the family of a model."""
        return self.settings.families[model.family]

    def _parent(self, family: FamilyPart) -> PotentialData | None:
        """Return the foundation model of a family, None from scratch."""
        return self.inputs.foundations[family.start] if family.has_parent else None

    def _architecture(self, family: FamilyPart) -> str:
        """Return the entry-point name of the architecture of a family."""
        parent = self._parent(family)
        return family.architecture if parent is None else str(parent.architecture)

    def _code(self, name: str, family: FamilyPart, suffix: str = '') -> tuple[AbstractCode | None, dict[str, Any]]:
        """Return a code of a family and its scheduler options.

        :param name: name of the family.
        :param family: the family.
        :param suffix: after the names of the codes, e.g. ``'_md'``.
        """
        return code_and_options(self.inputs, name, self._architecture(family), suffix)

    def prepare(self) -> None:
        """Fix the atomic energies of the study, and the frames that tell what was forgotten."""
        self.ctx.asked, self.ctx.potentials, self.ctx.facts = [], {}, {}
        self.ctx.found_models, self.ctx.are_loops_collected = [], False
        if 'atomic_energies' in self.inputs:
            self.ctx.atomic_energies = self.inputs.atomic_energies
        else:
            self.ctx.atomic_energies = self.call_once(
                fit_atomic_energies, 'fit_atomic_energies', dataset=self.inputs.dataset, split=self.inputs.split
            )
        self.ctx.replay, self.ctx.holdout = {}, None
        if 'replay_dataset' in self.inputs:
            self._prepare_replay()

    def _prepare_replay(self) -> None:
        """Choose the frames that are replayed, each smaller number of them, and those that never are."""
        dataset, split = self.inputs.replay_dataset, self.inputs.replay_split
        numbers = {number for family in self.settings.families.values() for number in family.n_replay if number}
        pool = self.call_once(training_frames, 'replay_pool', dataset=dataset, split=split) if numbers else None
        for number in sorted(numbers):
            settings = {
                'method': SelectionMethod.RANDOM.value,
                'n_frames': number,
                'seed': REPLAY_SEED,
                'keep_labels': True,
            }
            label = f'replay_{number:05d}'
            chosen = self.try_call(
                select_frames, f'{number} replayed frames', label, dataset=pool, settings=Dict(settings)
            )
            if chosen is not None:
                self.ctx.replay[number] = chosen
        if len(split.get_array('test')):
            self.ctx.holdout = self.call_once(held_out_frames, 'replay_holdout', dataset=dataset, split=split)

    def _models_left(self) -> list[StudyModel]:
        """Return the models whose turn has not come; those that found their own frames come when these are found."""
        known = [*self.settings.models(), *self.ctx.found_models]
        return [model for model in known if model.key not in self.ctx.asked]

    def has_models_left(self) -> bool:
        """Return whether there are models whose turn has not come, or frames to be found."""
        return bool(self._models_left()) or not self.ctx.are_loops_collected

    def train_models(self) -> ToContext:
        """Train the next models: all, or as many as may be active at once; beside the first, frames are found."""
        models = self._models_left()
        chosen = models[: self.inputs.max_active.value] if 'max_active' in self.inputs else models
        children: dict[str, Any] = {} if self.ctx.are_loops_collected else self.submit_loops()
        for model in chosen:
            family = self._family(model)
            if family.strategy != Strategy.LABELLED_FRAMES.value:
                continue
            child = self._submit_training(model, family)
            if child is not None:
                children[f'training_{model.key}'] = child
        # New lists: the checkpoint of this step must not hold what the next one adds.
        self.ctx.asked = [*self.ctx.asked, *(model.key for model in chosen)]
        self.ctx.current = [model.key for model in chosen]
        self.report(f'training {len(children)} models')
        return ToContext(**children)

    def _submit_training(self, model: StudyModel, family: FamilyPart) -> Any:
        """Submit the training of a model; None if it is refused, which is remembered."""
        split = self.try_call(
            select_training_frames,
            f'training frames of {model.key}',
            f'frames_{model.key}',
            dataset=self.inputs.dataset,
            split=self.inputs.split,
            settings=Dict(self.settings.selection(model)),
        )
        if split is None:
            return None
        if model.n_replay and model.n_replay not in self.ctx.replay:
            self.note_failure(f'{model.key} (its {model.n_replay} replayed frames could not be chosen)')
            return None
        training = self.try_build(self._training_inputs, model.key, model, family)
        if training is None:
            return None
        return self.try_submit(
            TrainingWorkChain,
            model.key,
            training={**training, 'split': split},
            max_iterations=Int(self.settings.max_iterations),
            metadata={'call_link_label': f'training_{model.key}'},
        )

    def _training_inputs(self, model: StudyModel, family: FamilyPart) -> dict[str, Any]:
        """Return the inputs of the training of a model but its split."""
        architecture, parent = self._architecture(family), self._parent(family)
        code, options = self._code(model.family, family)
        replay: DatasetData | None = self.ctx.replay.get(model.n_replay)
        elements = learnt_elements(self.inputs.dataset, *self.inputs.structures.values(), replay)
        of_parent: dict[str, Any] = {}
        if parent is not None:
            of_parent = {'parent_potential': parent, 'fine_tuning': Dict(dict(family.fine_tuning))}
            of_parent |= {} if replay is None else {'replay_dataset': replay}
        return {
            'dataset': self.inputs.dataset,
            'architecture': Str(architecture),
            'hyperparameters': Dict(hyperparameters_of(architecture, family, parent)),
            'seed': Int(model.seed),
            'precision': precision_of(family, parent),
            'elements': List(elements),
            'atomic_energies': self._atomic_energies(elements, parent),
            'gradient_updates': Int(family.gradient_updates),
            'device': Str(family.device),
            'code': code,
            'metadata': {'options': options},
            **of_parent,
        }

    def _atomic_energies(self, elements: list[str], parent: PotentialData | None) -> Dict:
        """Return the atomic energies of the study, with those of the parent for elements that only replay has."""
        known: Dict = self.ctx.atomic_energies
        missing = [symbol for symbol in elements if symbol not in known.get_dict()]
        if not missing or parent is None:
            return known
        label = f'atomic_energies_of_{"_".join(missing)}_by_{parent.uuid[:8]}'
        completed: Dict = self.call_once(
            complete_atomic_energies, label, atomic_energies=known, potential=parent, elements=List(elements)
        )
        return completed

    def inspect_trainings(self) -> None:
        """Take the potentials; remember what failed."""
        potentials: dict[str, PotentialData] = dict(self.ctx.potentials)
        facts: dict[str, Any] = dict(self.ctx.facts)
        for model in self.settings.models():
            if model.key not in self.ctx.current:
                continue
            family = self._family(model)
            n_validation = len(self.inputs.split.get_array('validation')) if model.n_frames else 0
            known = facts_of(model, family, self._architecture(family))
            facts[model.key] = {**known, 'n_validation': n_validation, 'costs': {}}
            if family.strategy == Strategy.ZERO_SHOT.value:
                potentials[model.key] = self.inputs.foundations[family.start]
                continue
            child = self.ctx.get(f'training_{model.key}')
            if child is None:
                continue
            facts[model.key]['costs'] = costs_of(child)
            if not child.is_finished_ok:
                self.note_failed_child(child, f'training of {model.key}')
                continue
            potentials[model.key] = child.outputs.potential
            self.out(f'potentials.{model.key}', child.outputs.potential)
        self.ctx.potentials, self.ctx.facts = potentials, facts
        if not self.ctx.are_loops_collected:
            self.ctx.found_models, self.ctx.are_loops_collected = self.collect_loops(), True


def hyperparameters_of(architecture: str, family: FamilyPart, parent: PotentialData | None) -> dict[str, Any]:
    """Return the hyperparameters of a family: its protocol's, with the parent's shape and its own in their place.

    :param architecture: entry-point name.
    :param family: the family.
    :param parent: the foundation model; None from scratch.
    :raises aiida_edl.registry.UnknownNameError: for a protocol that the architecture has not.
    """
    member = load_member(ARCHITECTURES, architecture)
    protocol = family.protocol or protocol_document(member)['default_protocol']
    values = TrainingWorkChain.get_protocol_hyperparameters(architecture, protocol, dict(family.hyperparameters))
    if parent is None:
        return values
    shape = {'cutoff_radius': parent.cutoff_radius, 'n_interactions': parent.n_layers}
    known = {field.name for field in dataclasses.fields(member.hyperparameters_class)}
    taken = {name: value for name, value in shape.items() if name in known and name not in family.hyperparameters}
    return {**values, **taken}


def precision_of(family: FamilyPart, parent: PotentialData | None) -> Str:
    """Return the precision of a family: its own, else that of the parent, else single.

    :param family: the family.
    :param parent: the foundation model; None from scratch.
    """
    return Str(family.precision or (Precision.SINGLE.value if parent is None else parent.precision))


def facts_of(model: StudyModel, family: FamilyPart, architecture: str) -> dict[str, Any]:
    """Return what a model is.

    :param model: the model.
    :param family: its family.
    :param architecture: entry-point name.
    """
    return {
        'family': model.family,
        'strategy': family.strategy,
        'start': family.start,
        'architecture': architecture,
        'mode': str(FineTuning.from_dict(family.fine_tuning).mode.value) if family.is_fine_tuned else '',
        'selection': json.dumps(dict(family.selection), sort_keys=True) if family.selection else '',
        'n_frames': model.n_frames,
        'n_replay': model.n_replay,
        'round_number': model.round_number,
        'seed': model.seed,
    }
