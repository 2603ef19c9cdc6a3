"""What it means to start a training from a trained model: the parent, the mode, and whose atomic energies hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from aiida_edl.architectures.precision import Precision
from aiida_edl.registry import unknown_name_message
from aiida_edl.typed_fields import checked_fields


class FineTuningError(ValueError):
    """A way of fine-tuning that does not exist or does not fit; the message says what would be right."""


class FineTuningMode(str, Enum):
    """Which weights change, and on which frames."""

    NAIVE = 'naive'
    """All weights go on from those of the parent, on the new frames alone."""
    LORA = 'lora'
    """Only matrices of low rank that are added to the weights change (E. J. Hu et al., 2021)."""
    MULTIHEAD_REPLAY = 'multihead_replay'
    """A second output is learnt on the new frames while the first goes on learning frames of the parent's training."""


class AtomicEnergyPolicy(str, Enum):
    """Whose atomic energies the new model has."""

    GIVEN = 'given'
    """Those of the input ``atomic_energies``."""
    PARENT = 'parent'
    """Those of the parent: right if the new labels are of the parent's level of theory."""
    ESTIMATED = 'estimated'
    """Those of the parent, shifted by the trainer so that the parent's errors on the new frames vanish on average."""


class ReplayLabels(str, Enum):
    """What the labels of replayed frames are."""

    PARENT = 'parent'
    """Those of the parent: of the level of theory it learnt, or made by the parent itself. Which, the graph tells."""
    OTHER = 'other'
    """Anything else, such as labels of a third level of theory; the first output then learns something new."""


@dataclass(frozen=True)
class FineTuning:
    """How a training starts from a parent."""

    mode: FineTuningMode = FineTuningMode.NAIVE
    """Which weights change, and on which frames."""
    atomic_energies: AtomicEnergyPolicy = AtomicEnergyPolicy.GIVEN
    """Whose atomic energies the new model has."""
    lora_rank: int = 4
    """Rank of the matrices that are added, for the mode ``lora``; dimensionless."""
    replay_weight: float = 1.0
    """Weight of the loss on replayed frames over that on the new ones, for ``multihead_replay``; dimensionless."""
    replay_labels: ReplayLabels = ReplayLabels.PARENT
    """What the labels of replayed frames are, for ``multihead_replay``; others than those of the parent are refused
    unless they are stated."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FineTuning:
        """Return checked settings from those that differ from the defaults.

        :raises FineTuningError: for an unknown key or value; the nearest is named.
        """
        enums: dict[str, type[Enum]] = {
            'mode': FineTuningMode,
            'atomic_energies': AtomicEnergyPolicy,
            'replay_labels': ReplayLabels,
        }
        checked: dict[str, Any] = dict(values)
        for key, enum in enums.items():
            if key in values:
                names = [str(member.value) for member in enum]
                if values[key] not in names:
                    raise FineTuningError(unknown_name_message(f'{key} of fine_tuning', str(values[key]), names))
                checked[key] = enum(values[key])
        settings = cls(**checked_fields(cls, checked, 'setting', FineTuningError, ' of fine_tuning'))
        if settings.lora_rank < 1:
            raise FineTuningError(f'lora_rank of fine_tuning is {settings.lora_rank}, it must be at least 1')
        if settings.replay_weight <= 0:
            raise FineTuningError(f'replay_weight of fine_tuning is {settings.replay_weight}, it must be positive')
        return settings


@dataclass(frozen=True)
class ParentModel:
    """A trained model from which a training starts."""

    architecture: str
    """Entry-point name of its architecture."""
    path: str
    """Its file or folder, relative to the working directory."""
    elements: tuple[str, ...]
    """Chemical symbols it knows, ordered by atomic number."""
    cutoff_radius: float
    """Cutoff radius of one layer [Å]."""
    n_layers: int
    """Message-passing layers."""
    precision: Precision
    """Precision in which it was saved."""
    atomic_energies: Mapping[str, float]
    """Its reference energy of each element [eV]."""
    total_charge_column: str | None = None
    """Column of the frames it takes as total charge; None if it knows no charge."""
