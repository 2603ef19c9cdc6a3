"""Settings that all work chains share which learn in rounds: the check of known labels, runs, how labels are learnt."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, TypeVar

from aiida_edl.md_engines.lammps_script import LARGEST_SEED
from aiida_edl.registry import unknown_name_message
from aiida_edl.typed_fields import checked_fields

Part = TypeVar('Part')
"""A part of the settings."""
Settings = TypeVar('Settings', bound='LearningSettings')
"""The settings of one of the work chains."""
LEAST: Mapping[str, Mapping[str, float]] = {
    'check': {'n_frames': 0, 'energy_tolerance': 0, 'force_tolerance': 0},
    'exploration': {'replicas': 1, 'seed': 0},
    'retraining': {'gradient_updates': 0, 'minimum_test_distance': 0, 'seed': 0},
}
"""Least values of the fields of the parts that all settings have."""


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


@dataclass(frozen=True)
class LearntLabelsPart:
    """How potentials learn what was labelled."""

    start_from: str
    """From what they are trained, from the second training on."""
    gradient_updates: int = 0
    """Optimiser steps from the second training on; those of the first if 0."""
    validation_share: float = 0.1
    """Share of the new frames that are for validation, 0 to below 1; the others are trained on."""
    minimum_test_distance: float = 0.02
    """New frames nearer to a test frame are not used: root-mean-square distance per atom [Å]."""
    seed: int = 1
    """Seed of the draw of the validation."""


class LearningSettings:
    """Base of the settings of a work chain that learns in rounds: a frozen dataclass of parts, each with a default."""

    purpose: ClassVar[str]
    """What is done in rounds, as it is called in messages."""
    parts: ClassVar[Mapping[str, type]]
    """Parts of the settings by name."""
    least: ClassVar[Mapping[str, Mapping[str, float]]]
    """Least values of the fields of each part."""
    choices: ClassVar[Mapping[str, Mapping[str, type[Enum]]]]
    """Fields of each part that take one of a few names."""
    exploration: ExplorationPart
    retraining: LearntLabelsPart
    maximum_rounds: int

    @classmethod
    def from_dict(cls: type[Settings], values: Mapping[str, Any]) -> Settings:
        """Return checked settings from those that differ from the defaults.

        :param values: parts by name, each with its fields.
        :raises ValueError: with one sentence: what was given, what is wrong, what would be right.
        """
        given = dict(values)
        for name, part in cls.parts.items():
            if name in given:
                given[name] = checked_part(part, name, given[name], cls.least.get(name, {}), cls.choices.get(name, {}))
        settings = cls(**checked_fields(cls, given, 'setting', LearningSettingsError, f' of {cls.purpose}'))
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
        :param n_members: potentials that take turns.
        """
        return self.exploration.runs(round_number, n_frames, n_members)

    def extension(self, round_number: int) -> dict[str, Any]:
        """Return the settings by which the labels of a round join the data set.

        :param round_number: 0 for the beginning.
        """
        names = ('validation_share', 'minimum_test_distance', 'seed')
        return {'round': round_number, **{name: getattr(self.retraining, name) for name in names}}


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
