"""Settings that all work chains share which learn in rounds: the check of known labels, and the runs of a round."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from aiida_edl.md_engines.lammps_script import LARGEST_SEED
from aiida_edl.registry import unknown_name_message
from aiida_edl.typed_fields import checked_fields

Part = TypeVar('Part')
"""A part of the settings."""


class LearningSettingsError(ValueError):
    """A setting that does not exist, is of a wrong type or out of range."""


@dataclass(frozen=True)
class CheckPart:
    """Known frames that are labelled again before the first training."""

    n_frames: int = 1
    """Frames of each charge state; 0: the labels are not checked."""
    energy_tolerance: float = 0.002
    """Largest difference of an energy [eV/atom]; chosen here, the energy error of a good potential."""
    force_tolerance: float = 0.05
    """Largest difference of a component of a force [eV/Å]; chosen here, the force error of a good potential."""


@dataclass(frozen=True)
class ExplorationPart:
    """The runs of a round; each has a seed of its own, and a committee shares them out among its members."""

    temperatures: tuple[float, ...] = ()
    """One run of each structure for each [K]; that of the MD settings if empty."""
    replicas: int = 1
    """Runs of each structure at each temperature, from different frames of it, if it has so many."""
    seed: int = 1
    """Seed from which those of the runs follow."""

    def check_temperatures(self) -> None:
        """Check that temperatures are positive.

        :raises LearningSettingsError: with the first that is not.
        """
        if low := [value for value in self.temperatures if value <= 0]:
            raise LearningSettingsError(f'temperatures holds {low[0]}, each must be positive')

    def runs(self, round_number: int, n_frames: Mapping[str, int], n_members: int) -> Iterator[Run]:
        """Yield the runs of a round.

        The seed of a run is drawn by its name, so that it stays the same when others join.

        :param round_number: from 1.
        :param n_frames: frames of each structure by label.
        :param n_members: potentials that take turns.
        """
        number = round_number - 1
        for label in sorted(n_frames):
            for temperature in self.temperatures or (None,):
                for replica in range(self.replicas):
                    name = label if temperature is None else f'{label}_{temperature:g}K'.replace('.', 'p')
                    key = f'{name}_{replica + 1:02d}'
                    digest = hashlib.sha256(f'{self.seed} {round_number} {key}'.encode()).digest()
                    md: dict[str, Any] = {'seed': int.from_bytes(digest[:8], 'big') % LARGEST_SEED}
                    if temperature is not None:
                        md['temperature'] = temperature
                    begin = ((round_number - 1) * self.replicas + replica) % n_frames[label]
                    yield Run(key, label, begin, number % n_members, md)
                    number += 1


@dataclass(frozen=True)
class Run:
    """One run of the exploration."""

    key: str
    """Unique name within its round."""
    structure: str
    """Label of the structure it begins from."""
    frame_index: int
    """Frame of the structure."""
    member: int
    """Number of the potential that it runs among those of the round, from 0."""
    md: Mapping[str, Any]
    """MD settings that differ from those of all runs."""


def checked_part(
    cls: type[Part],
    name: str,
    values: Any,
    least: Mapping[str, float],
    choices: Mapping[str, type[Enum]],
) -> Part:
    """Return one part of the settings, its keys, types and ranges checked.

    :param cls: class of the part.
    :param name: what it is called in messages.
    :param values: fields that differ from the defaults.
    :param least: least value of fields.
    :param choices: names of which fields take one.
    :raises LearningSettingsError: with one sentence: what was given, what is wrong, what would be right.
    """
    if not isinstance(values, Mapping):
        raise LearningSettingsError(f'{name} is {values!r}, it must hold settings by name')
    part = cls(**checked_fields(cls, values, 'setting', LearningSettingsError, f' of {name}'))
    for key, limit in least.items():
        if getattr(part, key) < limit:
            raise LearningSettingsError(f"setting '{key}' of {name} is {getattr(part, key)}, at least {limit}")
    for key, members in choices.items():
        known = [member.value for member in members]
        if getattr(part, key) not in known:
            raise LearningSettingsError(unknown_name_message(f'{key} of {name}', getattr(part, key), known))
    return part
