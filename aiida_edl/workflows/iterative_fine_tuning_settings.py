"""The settings of fine-tuning in rounds: the runs of a round, which frames are labelled, retraining, stop rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any, ClassVar

from aiida.orm import Dict

from aiida_edl.science.learning_rounds import OwnErrorRule
from aiida_edl.science.own_frames import OwnFrameMethod
from aiida_edl.workflows.learning_settings import (
    LEAST,
    CheckPart,
    ExplorationPart,
    LearningSettings,
    LearntLabelsPart,
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
class FineTuningPart(LearntLabelsPart):
    """How the potential learns what was labelled."""

    start_from: str = FineTuningStart.PARENT.value
    """``'parent'`` or ``'previous'``, from the second training on."""


@dataclass(frozen=True)
class IterativeFineTuningSettings(LearningSettings):
    """All settings; each has a default."""

    purpose: ClassVar[str] = 'iterative fine-tuning'
    parts: ClassVar[Mapping[str, type]] = {
        'check': CheckPart,
        'exploration': ExplorationPart,
        'selection': OwnSelectionPart,
        'retraining': FineTuningPart,
        'stop': OwnErrorRule,
    }
    least: ClassVar[Mapping[str, Mapping[str, float]]] = {
        **LEAST,
        'selection': {'n_selected': 2, 'minimum_distance': 0, 'seed': 0},
    }
    choices: ClassVar[Mapping[str, Mapping[str, type[Enum]]]] = {
        'selection': {'method': OwnFrameMethod},
        'retraining': {'start_from': FineTuningStart},
    }
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

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        return asdict(self)

    def choice(self, round_number: int, n_planned: int) -> dict[str, Any]:
        """Return the settings of the selection of a round.

        :param round_number: from 1.
        :param n_planned: frames that the runs store unless they end early.
        """
        part = asdict(self.selection)
        part |= {'seed': self.selection.seed + round_number, 'stratify_by': list(STRATA), 'n_planned': n_planned}
        return part


def validate_settings(settings: Dict, _: Any) -> str | None:
    """Return one sentence if a setting does not exist or has a wrong value."""
    try:
        IterativeFineTuningSettings.from_dict(settings.get_dict())
    except ValueError as error:
        return str(error)
    return None
