"""The settings of active learning: exploration, uncertainty window, selection, retraining, stop rule."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar

from aiida.orm import Dict, List

from aiida_edl.science.analysis.uncertainty_window import UncertaintyWindow
from aiida_edl.science.candidates import CandidateMethod
from aiida_edl.science.learning_rounds import StopRule
from aiida_edl.workflows.ensemble_training import validate_seeds
from aiida_edl.workflows.learning_settings import (
    LEAST,
    CheckPart,
    ExplorationPart,
    LearningSettings,
    LearntLabelsPart,
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
class RetrainingPart(LearntLabelsPart):
    """How the potentials learn what was labelled."""

    start_from: str = StartFrom.SCRATCH.value
    """``'scratch'`` or ``'previous'``, from the second round on."""


@dataclass(frozen=True)
class ActiveLearningSettings(LearningSettings):
    """All settings; each has a default."""

    purpose: ClassVar[str] = 'active learning'
    parts: ClassVar[Mapping[str, type]] = {
        'check': CheckPart,
        'exploration': ExplorationPart,
        'window': UncertaintyWindow,
        'selection': SelectionPart,
        'retraining': RetrainingPart,
        'stop': StopRule,
    }
    least: ClassVar[Mapping[str, Mapping[str, float]]] = {**LEAST, 'selection': {'n_selected': 1, 'seed': 0}}
    choices: ClassVar[Mapping[str, Mapping[str, type[Enum]]]] = {
        'selection': {'method': CandidateMethod},
        'retraining': {'start_from': StartFrom},
    }
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

    def choice(self, round_number: int, planned: Mapping[str, int]) -> dict[str, Any]:
        """Return the settings of the selection of a round.

        :param round_number: from 1.
        :param planned: frames of each charge label that the runs store unless they end early.
        """
        part = dataclasses.asdict(self.selection) | dataclasses.asdict(self.window)
        return {**part, 'seed': self.selection.seed + round_number, 'planned': dict(planned)}


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
