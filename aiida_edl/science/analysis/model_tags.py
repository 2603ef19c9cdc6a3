"""What a profile was made with: training set, architecture, seed, charge state."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.analysis.interface_profiles import InterfaceProfiles
from aiida_edl.science.analysis.training_sets import TrainingKind, training_kind

__all__ = ['MIXED', 'SINGLE', 'ModelProfile', 'ModelTag', 'training_kind']

MIXED, SINGLE = TrainingKind.MIXED.value, TrainingKind.SINGLE.value
"""Names of the kinds of training that are compared."""


@dataclass(frozen=True)
class ModelTag:
    """What a profile was made with."""

    training_set: str
    """Name of the training set."""
    architecture: str
    """Name of the architecture."""
    seed: int
    """Seed of the training."""
    charge_state: str
    """Charge label of the simulated cell, e.g. ``'2Na'``."""
    is_reference: bool = False
    """Whether it is a run of the reference itself; several of one charge state are replicas."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelTag:
        """Return the tag.

        :raises ValueError: for an unknown or missing key.
        """
        known = [f.name for f in dataclasses.fields(cls)]
        for key in values:
            if key not in known:
                raise ValueError(unknown_name_message('tag', key, known))
        if missing := [name for name in known if name not in values and name != 'is_reference']:
            raise ValueError(f'tags {missing} are missing, given were {sorted(values)}')
        return cls(**values)


@dataclass(frozen=True)
class ModelProfile:
    """The profiles of one run, and what it was made with."""

    tag: ModelTag
    profiles: InterfaceProfiles
    why_excluded: str = ''
    """By which rule the run left physics and does not count; empty for a run that counts."""
