"""The families of models of a fine-tuning study: from what each starts, on which frames, and how it is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from aiida_edl.architectures.fine_tuning import FineTuning, FineTuningMode
from aiida_edl.architectures.precision import Precision
from aiida_edl.calculations.base import DEVICES
from aiida_edl.md_engines.base import MDSettings
from aiida_edl.registry import unknown_name_message
from aiida_edl.science.selection import SelectionMethod, SelectionSettings
from aiida_edl.typed_fields import checked_fields
from aiida_edl.workflows.iterative_fine_tuning_settings import IterativeFineTuningSettings

SCRATCH = 'scratch'
"""Start of a family whose models have no parent."""
MINE = ('n_frames', 'seed')
"""Settings of a selection that follow from the model."""


SEEDED: Mapping[str, tuple[str, ...]] = {'exploration': ('seed',), 'selection': ('seed',), 'retraining': ('seed',)}
"""Seeds of the rounds, which follow from the model."""


class FineTuningStudyError(ValueError):
    """A setting of the study that does not exist or does not fit the others."""


class Strategy(str, Enum):
    """Where the frames of a model come from; the set is closed."""

    ZERO_SHOT = 'zero_shot'
    """From nowhere: the foundation model as it is."""
    LABELLED_FRAMES = 'labelled_frames'
    """From a labelled data set, of which part is taken (strategy A)."""
    OWN_FRAMES = 'own_frames'
    """From dynamics with the model itself, labelled as it goes (strategy B)."""


@dataclass(frozen=True)
class FamilyPart:
    """Models that differ in the number of frames, of replayed frames, and in the seed alone."""

    strategy: str
    """Where their frames come from, a value of ``Strategy``."""
    start: str = SCRATCH
    """Label of the foundation model from which they start; ``scratch`` for random weights."""
    architecture: str = ''
    """Entry-point name, for a start from random weights; with a foundation model it is that of the model."""
    protocol: str = ''
    """Protocol of the hyperparameters; the default one of the architecture if empty."""
    hyperparameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Those that differ from the protocol; cutoff radius and layers are those of a foundation model unless stated."""
    fine_tuning: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of ``FineTuning``; not used from scratch."""
    n_frames: tuple[int, ...] = ()
    """Training frames: one point of the learning curve each."""
    n_replay: tuple[int, ...] = (0,)
    """Frames of the training of the foundation model that are learnt again; 0 for none."""
    selection: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """How the frames are chosen: fields of ``SelectionSettings`` but ``n_frames`` and ``seed``, random by default."""
    seeds: tuple[int, ...] = (1,)
    """One model for each; it is the seed of the choice of frames, too, so that their scatter holds both."""
    gradient_updates: int = 1000
    """Target of every training."""
    precision: str = ''
    """``'float32'`` or ``'float64'``; that of the foundation model if empty, single from scratch."""
    device: str = 'cpu'
    """``'cpu'`` or ``'cuda'``."""
    engine: str = ''
    """MD engine of their runs; that of the study if empty."""
    rounds: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of ``IterativeFineTuningSettings``, for models that find their own frames; seeds follow from the model."""
    exploration: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of ``MDSettings`` in which the runs that find frames differ from those of the study."""

    def __post_init__(self) -> None:
        """Check what can be known of one family.

        :raises FineTuningStudyError: with the name, the value and the remedy.
        """
        known = [member.value for member in Strategy]
        if self.strategy not in known:
            raise FineTuningStudyError(unknown_name_message('strategy', self.strategy, known))
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise FineTuningStudyError(f'seeds are {list(self.seeds)}; give at least one, none twice, none below 0')
        if self.precision and self.precision not in (precisions := [member.value for member in Precision]):
            raise FineTuningStudyError(unknown_name_message('precision', self.precision, precisions))
        if self.device not in DEVICES:
            raise FineTuningStudyError(f"device is '{self.device}', it must be one of {', '.join(DEVICES)}")
        if self.gradient_updates < 1:
            raise FineTuningStudyError(f'gradient_updates is {self.gradient_updates}, it must be at least 1')
        self._check_start()
        self._check_frames()

    def _check_start(self) -> None:
        """Check from what the models start."""
        if self.start == SCRATCH:
            if self.strategy != Strategy.LABELLED_FRAMES.value:
                raise FineTuningStudyError(f"strategy '{self.strategy}' needs a foundation model; name it as start")
            if not self.architecture:
                raise FineTuningStudyError('a family that starts from scratch needs its architecture by name')
            if self.fine_tuning:
                raise FineTuningStudyError('fine_tuning is given for a family that starts from scratch; leave it out')
        elif self.architecture:
            raise FineTuningStudyError(
                f"architecture is '{self.architecture}' and start '{self.start}': a model has the architecture of its "
                'parent; leave it out'
            )
        FineTuning.from_dict(self.fine_tuning)

    def _check_frames(self) -> None:
        """Check numbers of frames and how they are chosen."""
        if self.strategy == Strategy.OWN_FRAMES.value:
            self._check_rounds()
        elif self.rounds or self.exploration:
            raise FineTuningStudyError(
                f"rounds or exploration are given with the strategy '{self.strategy}', which has none; leave them out"
            )
        if self.strategy == Strategy.ZERO_SHOT.value:
            if self.n_frames:
                raise FineTuningStudyError(f'n_frames is {list(self.n_frames)}, but a zero-shot model learns no frame')
            return
        if self.strategy == Strategy.LABELLED_FRAMES.value and (not self.n_frames or min(self.n_frames) < 1):
            raise FineTuningStudyError(f'n_frames is {list(self.n_frames)}; give at least one number, none below 1')
        if not self.n_replay or min(self.n_replay) < 0:
            raise FineTuningStudyError(f'n_replay is {list(self.n_replay)}; give at least one number, none below 0')
        mode = FineTuning.from_dict(self.fine_tuning).mode
        if self.is_replaying and mode is not FineTuningMode.MULTIHEAD_REPLAY:
            raise FineTuningStudyError(
                f"n_replay is {list(self.n_replay)}, but the mode of fine_tuning is '{mode.value}'; give "
                "'multihead_replay', or 0"
            )
        if mode is FineTuningMode.MULTIHEAD_REPLAY and min(self.n_replay) < 1:
            raise FineTuningStudyError(
                "n_replay holds 0, but the mode of fine_tuning is 'multihead_replay'; make it a family of its own with "
                "the mode 'naive'"
            )
        if given := [name for name in MINE if name in self.selection]:
            raise FineTuningStudyError(f'selection holds {" and ".join(given)}, which follows from the model')
        method = SelectionSettings.from_dict(self.selection).method
        if method == SelectionMethod.LARGEST_DEVIATION.value:
            raise FineTuningStudyError(f"selection method '{method}' needs deviations, which a labelled set has not")

    def _check_rounds(self) -> None:
        """Check the settings of a family that finds its own frames."""
        if self.n_frames or self.selection:
            raise FineTuningStudyError(
                "n_frames or selection is given with the strategy 'own_frames': frames follow from its rounds; say "
                'n_selected in selection of rounds'
            )
        if len(self.n_replay) > 1:
            raise FineTuningStudyError(
                f'n_replay is {list(self.n_replay)}; make a family of each number of replayed frames'
            )
        for part, names in SEEDED.items():
            if given := [name for name in names if name in self.rounds.get(part, {})]:
                raise FineTuningStudyError(f'{part} of rounds holds {given[0]}, which follows from the model')
        if 'steps' not in self.exploration:
            raise FineTuningStudyError(
                'exploration lacks steps: the runs that find frames are shorter than those of the study, say how long'
            )
        IterativeFineTuningSettings.from_dict(self.rounds)
        MDSettings.from_dict(self.exploration)

    @property
    def is_replaying(self) -> bool:
        """Whether frames of the training of the foundation model are learnt again."""
        return max(self.n_replay) > 0

    @property
    def is_fine_tuned(self) -> bool:
        """Whether the models are trained from a foundation model."""
        return self.has_parent and self.strategy != Strategy.ZERO_SHOT.value

    @property
    def has_parent(self) -> bool:
        """Whether the models start from a foundation model."""
        return self.start != SCRATCH

    @classmethod
    def from_dict(cls, name: str, values: Any) -> FamilyPart:
        """Return a checked family.

        :param name: its name, for the message.
        :param values: fields that differ from the defaults.
        :raises FineTuningStudyError: with one sentence.
        """
        if not isinstance(values, Mapping) or 'strategy' not in values:
            raise FineTuningStudyError(f"family '{name}' is {values!r}, it must be a mapping with a strategy")
        try:
            return cls(**checked_fields(cls, values, 'setting', FineTuningStudyError))
        except ValueError as error:
            raise FineTuningStudyError(f"family '{name}': {error}") from error


@dataclass(frozen=True)
class StudyModel:
    """One model of a study."""

    family: str
    """Name of its family."""
    n_frames: int
    """Training frames; 0 for none."""
    n_replay: int
    """Replayed frames."""
    seed: int
    """Seed of weights, batches and of the choice of frames."""
    round_number: int = 0
    """Round of a model that finds its own frames; 0 for others."""

    @property
    def key(self) -> str:
        """Unique name, e.g. ``'naive_n_00200_seed_01'``.

        >>> StudyModel('replay', 200, 100, 1).key
        'replay_n_00200_r_00100_seed_01'
        >>> StudyModel('own', 40, 0, 1, round_number=2).key
        'own_round_02_seed_01'
        """
        if self.round_number:
            return f'{self.family}_round_{self.round_number:02d}_seed_{self.seed:02d}'
        if not self.n_frames:
            return self.family
        replay = f'_r_{self.n_replay:05d}' if self.n_replay else ''
        return f'{self.family}_n_{self.n_frames:05d}{replay}_seed_{self.seed:02d}'
