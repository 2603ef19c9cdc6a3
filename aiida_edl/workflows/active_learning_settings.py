"""The settings of active learning: exploration, uncertainty window, selection, retraining, stop rule."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from aiida.orm import Dict, List

from aiida_edl.science.analysis.uncertainty_window import UncertaintyWindow
from aiida_edl.science.candidates import CandidateMethod
from aiida_edl.science.learning_rounds import StopRule
from aiida_edl.typed_fields import checked_fields
from aiida_edl.workflows.ensemble_training import validate_seeds
from aiida_edl.workflows.learning_settings import (
    CheckPart,
    ExplorationPart,
    LearningSettingsError,
    Run,
    checked_part,
)


class StartFrom(str, Enum):
    """From what the potentials of a round are trained."""

    SCRATCH = 'scratch'
    """Random weights."""
    PREVIOUS = 'previous'
    """The weights of the member of the same seed in the round before."""


@dataclass(frozen=True)
class SelectionPart:
    """Which of the candidates are labelled."""

    method: str = CandidateMethod.FARTHEST_POINT.value
    """How they are chosen, a value of ``CandidateMethod``."""
    n_selected: int = 50
    """Frames that are labelled in a round at most, in equal numbers of each charge state."""
    seed: int = 1
    """Seed of all draws."""


@dataclass(frozen=True)
class RetrainingPart:
    """How the potentials learn what was labelled."""

    start_from: str = StartFrom.SCRATCH.value
    """``'scratch'`` or ``'previous'``, from the second round on."""
    gradient_updates: int = 0
    """Optimiser steps from the second round on; those of the first if 0."""
    validation_share: float = 0.1
    """Share of the new frames that are for validation, 0 to below 1; the others are trained on."""
    minimum_test_distance: float = 0.02
    """New frames nearer to a test frame are not used: root-mean-square distance per atom [Å]."""
    seed: int = 1
    """Seed of the draw of the validation."""


PARTS: Mapping[str, type] = {
    'check': CheckPart,
    'exploration': ExplorationPart,
    'window': UncertaintyWindow,
    'selection': SelectionPart,
    'retraining': RetrainingPart,
    'stop': StopRule,
}
"""Parts of the settings by name."""
LEAST: Mapping[str, Mapping[str, int]] = {
    'check': {'n_frames': 0, 'energy_tolerance': 0, 'force_tolerance': 0},
    'exploration': {'replicas': 1, 'seed': 0},
    'selection': {'n_selected': 1, 'seed': 0},
    'retraining': {'gradient_updates': 0, 'minimum_test_distance': 0, 'seed': 0},
}
"""Least values of the fields of each part."""
CHOICES: Mapping[str, Mapping[str, type[Enum]]] = {
    'selection': {'method': CandidateMethod},
    'retraining': {'start_from': StartFrom},
}
"""Fields of each part that take one of a few names."""


@dataclass(frozen=True)
class ActiveLearningSettings:
    """All settings; each has a default."""

    check: CheckPart = field(default_factory=CheckPart)
    """Known frames that are labelled again."""
    exploration: ExplorationPart = field(default_factory=ExplorationPart)
    """The runs of a round."""
    window: UncertaintyWindow = field(default_factory=UncertaintyWindow)
    """Which frames are accurate, candidates or failed."""
    selection: SelectionPart = field(default_factory=SelectionPart)
    """Which candidates are labelled."""
    retraining: RetrainingPart = field(default_factory=RetrainingPart)
    """How the potentials learn what was labelled."""
    stop: StopRule = field(default_factory=StopRule)
    """When to stop before the last round."""
    maximum_rounds: int = 5
    """Explorations at most; the last one is followed by a training on all that was labelled."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ActiveLearningSettings:
        """Return checked settings from those that differ from the defaults.

        :param values: parts by name, each with its fields.
        :raises ValueError: with one sentence: what was given, what is wrong, what would be right.
        """
        given = dict(values)
        for name, part in PARTS.items():
            if name in given:
                given[name] = checked_part(part, name, given[name], LEAST.get(name, {}), CHOICES.get(name, {}))
        settings = cls(**checked_fields(cls, given, 'setting', LearningSettingsError, ' of active learning'))
        if settings.maximum_rounds < 1:
            raise LearningSettingsError(f'maximum_rounds is {settings.maximum_rounds}, at least 1')
        share = settings.retraining.validation_share
        if not 0 <= share < 1:
            raise LearningSettingsError(f'validation_share is {share}, it must be from 0 to below 1')
        settings.exploration.check_temperatures()
        return settings

    def runs(self, round_number: int, n_frames: Mapping[str, int], n_members: int) -> Iterator[Run]:
        """Yield the runs of a round, see :meth:`~aiida_edl.workflows.learning_settings.ExplorationPart.runs`.

        :param round_number: from 1.
        :param n_frames: frames of each structure by label.
        :param n_members: members of the committee.
        """
        return self.exploration.runs(round_number, n_frames, n_members)

    def choice(self, round_number: int, planned: Mapping[str, int]) -> dict[str, Any]:
        """Return the settings of the selection of a round.

        :param round_number: from 1.
        :param planned: frames of each charge label that the runs store unless they end early.
        """
        part = dataclasses.asdict(self.selection) | dataclasses.asdict(self.window)
        return {**part, 'seed': self.selection.seed + round_number, 'planned': dict(planned)}

    def extension(self, round_number: int) -> dict[str, Any]:
        """Return the settings by which the labels of a round join the data set.

        :param round_number: 0 for the beginning.
        """
        part = self.retraining
        names = ('validation_share', 'minimum_test_distance', 'seed')
        return {'round': round_number, **{name: getattr(part, name) for name in names}}


def validate_settings(settings: Dict, _: Any) -> str | None:
    """Return one sentence if a setting does not exist or has a wrong value."""
    try:
        ActiveLearningSettings.from_dict(settings.get_dict())
    except ValueError as error:
        return str(error)
    return None


def validate_committee(seeds: List, _: Any) -> str | None:
    """Return one sentence if the seeds are not those of a committee."""
    if message := validate_seeds(seeds, None):
        return message
    n_members = len(seeds.get_list())
    return None if n_members > 1 else 'seeds names one member; give at least two, they are compared with each other'
