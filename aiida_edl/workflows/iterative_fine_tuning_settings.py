"""The settings of fine-tuning in rounds: the runs of a round, which frames are labelled, retraining, stop rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

from aiida.orm import Dict

from aiida_edl.science.learning_rounds import OwnErrorRule
from aiida_edl.science.own_frames import OwnFrameMethod
from aiida_edl.typed_fields import checked_fields
from aiida_edl.workflows.learning_settings import (
    CheckPart,
    ExplorationPart,
    LearningSettingsError,
    Run,
    checked_part,
)

STRATA = ('structure', 'temperature')
"""Columns of the explored frames whose values are strata: label of the structure, and temperature [K]."""


class FineTuningStart(str, Enum):
    """From what the potential of a round is fine-tuned."""

    PARENT = 'parent'
    """The parent of the first round: each potential has learnt its frames alone, and all of them."""
    PREVIOUS = 'previous'
    """The potential of the round before, whose updates add up with its own."""


@dataclass(frozen=True)
class OwnSelectionPart:
    """Which of the frames that the dynamics visited are labelled."""

    method: str = OwnFrameMethod.FARTHEST_POINT.value
    """How they are chosen, a value of ``OwnFrameMethod``."""
    n_selected: int = 50
    """Frames that are labelled in a round at most, in equal numbers of each structure and temperature."""
    minimum_distance: float = 0.5
    """Frames with atoms nearer to each other are unphysical [Å]; as the gate of the labels."""
    seed: int = 1
    """Seed of all draws."""


@dataclass(frozen=True)
class FineTuningPart:
    """How the potential learns what was labelled."""

    start_from: str = FineTuningStart.PARENT.value
    """``'parent'`` or ``'previous'``, from the second training on."""
    gradient_updates: int = 0
    """Optimiser steps from the second training on; those of the first if 0."""
    validation_share: float = 0.1
    """Share of the new frames that are for validation, 0 to below 1; the others are trained on."""
    minimum_test_distance: float = 0.02
    """New frames nearer to a test frame are not used: root-mean-square distance per atom [Å]."""
    seed: int = 1
    """Seed of the draw of the validation."""


PARTS: Mapping[str, type] = {
    'check': CheckPart,
    'exploration': ExplorationPart,
    'selection': OwnSelectionPart,
    'retraining': FineTuningPart,
    'stop': OwnErrorRule,
}
"""Parts of the settings by name."""
LEAST: Mapping[str, Mapping[str, float]] = {
    'check': {'n_frames': 0, 'energy_tolerance': 0, 'force_tolerance': 0},
    'exploration': {'replicas': 1, 'seed': 0},
    'selection': {'n_selected': 2, 'minimum_distance': 0, 'seed': 0},
    'retraining': {'gradient_updates': 0, 'minimum_test_distance': 0, 'seed': 0},
}
"""Least values of the fields of each part."""
CHOICES: Mapping[str, Mapping[str, type[Enum]]] = {
    'selection': {'method': OwnFrameMethod},
    'retraining': {'start_from': FineTuningStart},
}
"""Fields of each part that take one of a few names."""


@dataclass(frozen=True)
class IterativeFineTuningSettings:
    """All settings; each has a default."""

    check: CheckPart = field(default_factory=CheckPart)
    """Known frames that are labelled again."""
    exploration: ExplorationPart = field(default_factory=ExplorationPart)
    """The runs of a round."""
    selection: OwnSelectionPart = field(default_factory=OwnSelectionPart)
    """Which frames are labelled."""
    retraining: FineTuningPart = field(default_factory=FineTuningPart)
    """How the potential learns what was labelled."""
    stop: OwnErrorRule = field(default_factory=OwnErrorRule)
    """When to stop before the last round."""
    maximum_rounds: int = 5
    """Rounds at most; each ends with a training on all that was labelled."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> IterativeFineTuningSettings:
        """Return checked settings from those that differ from the defaults.

        :param values: parts by name, each with its fields.
        :raises ValueError: with one sentence: what was given, what is wrong, what would be right.
        """
        given = dict(values)
        for name, part in PARTS.items():
            if name in given:
                given[name] = checked_part(part, name, given[name], LEAST.get(name, {}), CHOICES.get(name, {}))
        settings = cls(**checked_fields(cls, given, 'setting', LearningSettingsError, ' of iterative fine-tuning'))
        if settings.maximum_rounds < 1:
            raise LearningSettingsError(f'maximum_rounds is {settings.maximum_rounds}, at least 1')
        share = settings.retraining.validation_share
        if not 0 <= share < 1:
            raise LearningSettingsError(f'validation_share is {share}, it must be from 0 to below 1')
        settings.exploration.check_temperatures()
        return settings

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        return asdict(self)

    def runs(self, round_number: int, n_frames: Mapping[str, int], n_members: int) -> Iterator[Run]:
        """Yield the runs of a round, see :meth:`~aiida_edl.workflows.learning_settings.ExplorationPart.runs`.

        :param round_number: from 1.
        :param n_frames: frames of each structure by label.
        :param n_members: potentials that take turns, 1.
        """
        return self.exploration.runs(round_number, n_frames, n_members)

    def choice(self, round_number: int, n_planned: int) -> dict[str, Any]:
        """Return the settings of the selection of a round.

        :param round_number: from 1.
        :param n_planned: frames that the runs store unless they end early.
        """
        part = asdict(self.selection)
        part |= {'seed': self.selection.seed + round_number, 'stratify_by': list(STRATA), 'n_planned': n_planned}
        return part

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
        IterativeFineTuningSettings.from_dict(settings.get_dict())
    except ValueError as error:
        return str(error)
    return None
