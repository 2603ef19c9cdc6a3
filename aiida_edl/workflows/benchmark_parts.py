"""The parts of the settings of a benchmark, each with its own keys, types and ranges."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from aiida_edl.architectures.precision import Precision
from aiida_edl.calculations.base import DEVICES
from aiida_edl.registry import unknown_name_message
from aiida_edl.science.electrostatics.tuning_request import TuningRequest
from aiida_edl.science.label_gate import GateSettings
from aiida_edl.science.selection import SelectionMethod
from aiida_edl.typed_fields import checked_fields

PartType = TypeVar('PartType')


class BenchmarkSettingsError(ValueError):
    """A setting of the benchmark that does not exist or does not fit the others."""


def part_from_dict(cls: type[PartType], name: str, values: Any) -> PartType:
    """Return one part of the settings, its keys and the types of its values checked.

    :param cls: dataclass of the part.
    :param name: name of the part, for the message.
    :param values: fields by name, all of them.
    :raises BenchmarkSettingsError: with one sentence: what was given, what is wrong, what would be right.
    """
    if not isinstance(values, Mapping):
        raise BenchmarkSettingsError(f'{name} is {values!r}, it must hold settings by name')
    checked = checked_fields(cls, values, 'setting', BenchmarkSettingsError, f' of {name}')
    required = {
        field.name
        for field in dataclasses.fields(cls)  # type: ignore[arg-type]
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    if missing := sorted(required - set(values)):
        raise BenchmarkSettingsError(f'settings {missing} of {name} are missing; start from a protocol')
    return cls(**checked)


def _at_least(part: object, name: str, limits: Mapping[str, int]) -> None:
    """Check lower limits of fields."""
    for key, limit in limits.items():
        if getattr(part, key) < limit:
            raise BenchmarkSettingsError(f"setting '{key}' of {name} is {getattr(part, key)}, at least {limit}")


@dataclass(frozen=True)
class ReferencePart:
    """Dynamics with the reference model."""

    engine: str
    """MD engine."""
    model_parameters: Mapping[str, Any]
    """Parameters of the reference model that differ from its defaults."""
    replicas: int
    """Runs per charge state, each with a seed of its own."""
    md: Mapping[str, Any]
    """Fields of ``MDSettings``."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _at_least(self, 'reference', {'replicas': 1})


@dataclass(frozen=True)
class LabellingPart:
    """Which frames are labelled, and how."""

    engine: str
    """Single-point engine; it runs with the code and the parameters of the reference."""
    method: str
    """How frames are chosen, a value of ``SelectionMethod`` that needs no deviations."""
    frames_per_run: int
    """Frames of each reference run."""
    frames_per_job: int
    """Frames in one job at most."""
    max_failed_fraction: float
    """Largest tolerated share of rejected frames, 0 to 1."""
    gate: Mapping[str, Any]
    """Fields of ``GateSettings``."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _at_least(self, 'labelling', {'frames_per_run': 1, 'frames_per_job': 1, 'max_failed_fraction': 0})
        if self.max_failed_fraction > 1:
            raise BenchmarkSettingsError(
                f"setting 'max_failed_fraction' of labelling is {self.max_failed_fraction}, it must lie between 0 and 1"
            )
        known = [method.value for method in SelectionMethod if method is not SelectionMethod.LARGEST_DEVIATION]
        if self.method not in known:
            raise BenchmarkSettingsError(unknown_name_message('method of labelling', self.method, known))
        GateSettings.from_dict(self.gate)


@dataclass(frozen=True)
class SplitPart:
    """Sizes of the parts of the labelled frames."""

    n_training: int
    """Frames of each training set."""
    n_validation: int
    """Frames per charge state."""
    n_test: int
    """Frames per charge state."""
    n_blocks: int
    """Blocks of time per trajectory."""
    seed: int
    """Seed of the split."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _at_least(self, 'split', {'n_training': 1, 'n_validation': 1, 'n_test': 1, 'n_blocks': 3, 'seed': 0})


@dataclass(frozen=True)
class ArchitecturePart:
    """How one architecture is trained."""

    protocol: str
    """Protocol of its hyperparameters."""
    hyperparameters: Mapping[str, Any]
    """Those that differ from the protocol."""
    seeds: tuple[int, ...]
    """One model for each."""
    gradient_updates: int
    """Target of every training."""
    precision: str
    """``'float32'`` or ``'float64'``."""
    device: str
    """``'cpu'`` or ``'cuda'``."""
    engine: str = ''
    """MD engine of its runs; that of all production runs if empty."""
    model_format: str = ''
    """Format in which that engine loads its potentials; the first that it can if empty."""
    architecture: str = ''
    """Entry-point name; the key of this part if empty. One architecture can be there under several keys."""
    long_range: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of ``TuningRequest``: the electrostatics of fixed charges beside its potentials; none if empty."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _at_least(self, 'an architecture', {'gradient_updates': 1})
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise BenchmarkSettingsError(f'seeds are {list(self.seeds)}; give at least one, and none twice')
        known = [member.value for member in Precision]
        if self.precision not in known:
            raise BenchmarkSettingsError(unknown_name_message('precision', self.precision, known))
        if self.device not in DEVICES:
            raise BenchmarkSettingsError(f"device is '{self.device}', it must be one of {', '.join(DEVICES)}")
        if self.long_range:
            TuningRequest.from_dict(self.long_range)


@dataclass(frozen=True)
class ProductionPart:
    """Dynamics with the potentials."""

    engine: str
    """MD engine."""
    md: Mapping[str, Any]
    """Fields of ``MDSettings``."""
    replicas: int = 1
    """Runs of each model at each charge state, from other frames and with seeds of their own."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _at_least(self, 'production', {'replicas': 1})
