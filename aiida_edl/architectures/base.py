"""What every MLIP architecture must be able to say: how it is trained, read back and loaded by an MD engine.

No adapter imports its backend: it writes files and reads files, so it works where the backend is not installed.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from aiida_edl.architectures.bindings import NATIVE, EngineBinding
from aiida_edl.architectures.conversion import Conversion, ConversionError, conversion_chain
from aiida_edl.architectures.fine_tuning import FineTuning, FineTuningMode, ParentModel
from aiida_edl.architectures.precision import Precision
from aiida_edl.registry import ARCHITECTURES, load_member, registered_names, unknown_name_message
from aiida_edl.science.frames import FrameSet
from aiida_edl.typed_fields import checked_fields

CHARGE_COLUMN = 'charge_column'
"""Hyperparameter of the architectures that can be told a charge: the column of the frames that holds it, empty for a
model that is told none. ``metal_charge`` needs no column: it follows from the atoms."""


class TrainingOutcome(str, Enum):
    """How a training ended; the set is closed, the parser maps each member to one exit code."""

    FINISHED = 'finished'
    OUT_OF_WALLTIME = 'out_of_walltime'
    OUT_OF_MEMORY = 'out_of_memory'
    DEVICE_LOST = 'device_lost'
    DEVICE_MISSING = 'device_missing'
    VERSION_DIFFERS = 'version_differs'
    LOSS_DIVERGED = 'loss_diverged'
    LOG_INCOMPLETE = 'log_incomplete'
    EXPORT_FAILED = 'export_failed'


@dataclass(frozen=True)
class Reference:
    """A publication or programme to cite."""

    title: str
    authors: str
    year: int
    doi: str = ''


@dataclass(frozen=True)
class Command:
    """One command of a job, run by ``drivers/run_commands.py`` in the environment of the code."""

    arguments: tuple[str, ...]
    """Arguments of the Python interpreter of the environment, e.g. ``('-m', 'mace.cli.run_train', ...)``."""
    stdout: str
    """File that takes standard output and standard error."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables set for this command alone."""
    is_export: bool = False
    """Whether the command exports the model: its failure means that training itself went well."""
    timeout_seconds: float | None = None
    """Time after which the command is told to stop, SIGTERM first and SIGKILL after a grace period [s]."""
    keep_newest: tuple[str, ...] = ()
    """Globs of which only the newest whole file is left when the command has ended, however it ended; for programs that
    write a checkpoint at each evaluation and never remove one."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON that ``drivers/run_commands.py`` reads."""
        return {
            'arguments': list(self.arguments),
            'stdout': self.stdout,
            'environment': dict(self.environment),
            'is_export': self.is_export,
            'timeout_seconds': self.timeout_seconds,
            'keep_newest': list(self.keep_newest),
        }


@dataclass(frozen=True)
class Retrieval:
    """Files to bring back from a job."""

    keep: tuple[str, ...]
    """Paths or globs stored in the repository."""
    parse_only: tuple[str, ...] = ()
    """Paths or globs parsed, then dropped."""


@dataclass(frozen=True)
class TrainingJob:
    """Everything that determines a training."""

    training_set: FrameSet
    """Labelled frames; energies have the atomic energies still in them."""
    validation_set: FrameSet
    """Labelled frames on which the validation error of the learning curve is taken."""
    elements: tuple[str, ...]
    """Chemical symbols the model must know, ordered by atomic number; may exceed those of the training set."""
    hyperparameters: Any
    """Instance of :attr:`Architecture.hyperparameters_class`."""
    atomic_energies: Mapping[str, float]
    """Reference energy of each element [eV]; the model learns the rest."""
    gradient_updates: int
    """Target number of optimiser steps, counted from the very first start."""
    seed: int
    """Seed of initial weights and of the order of batches."""
    precision: Precision = Precision.DOUBLE
    """Precision of weights and arithmetic."""
    device: str = 'cpu'
    """``'cpu'`` or ``'cuda'``."""
    walltime_seconds: float | None = None
    """Time after which the job should stop by itself and leave a checkpoint [s]."""
    is_restart: bool = False
    """Whether the checkpoint files of an earlier run of the same job lie in the working directory."""
    gradient_updates_done: int = 0
    """Optimiser steps that the checkpoint stands for; 0 at the first start."""
    checkpoint_files: tuple[str, ...] = ()
    """Paths of the checkpoint files in the working directory; none at the first start."""
    parent: ParentModel | None = None
    """The model from which this one starts; None to start from random weights."""
    fine_tuning: FineTuning | None = None
    """How it starts from there; None without a parent."""
    replay_set: FrameSet | None = None
    """Labelled frames of the parent's training, learnt again so that they are not forgotten; None for none."""


@dataclass(frozen=True)
class LearningCurve:
    """Errors during training; all architectures report the same quantities in the same units."""

    gradient_updates: NDArray[np.int64]
    """Optimiser steps done, shape ``(n_points,)``."""
    validation_energy_rmse: NDArray[np.float64]
    """Root-mean-square error of the energy per atom on the validation set [eV/atom], shape ``(n_points,)``."""
    validation_force_rmse: NDArray[np.float64]
    """Root-mean-square error of force components on the validation set [eV/Å], shape ``(n_points,)``."""
    training_loss: NDArray[np.float64]
    """Loss of the architecture, in its own units; NaN where it is not reported, shape ``(n_points,)``."""


@dataclass(frozen=True)
class TrainingResult:
    """What a training left behind."""

    outcome: TrainingOutcome
    """How it ended."""
    learning_curve: LearningCurve | None = None
    """None only if no point was logged."""
    model_path: str | None = None
    """Path of the exported model relative to the folder: a file, or a folder that is the model with all its files."""
    checkpoint_files: tuple[str, ...] = ()
    """Paths of the files from which the job can go on, relative to the folder."""
    gradient_updates_done: int = 0
    """Optimiser steps done, all restarts together."""
    message: str = ''
    """One sentence for the exit message: what was seen in the files."""
    atomic_energies: Mapping[str, float] | None = None
    """Atomic energies of the model as the trainer states them [eV]; None if it does not."""


class HyperparameterError(ValueError):
    """A hyperparameter that does not exist or has a wrong value; the message says which would be right."""


def check_positive(hyperparameters: Any, architecture: str, may_vanish: Sequence[str] = ()) -> None:
    """Check that all numbers are positive, those in tuples too.

    :param hyperparameters: instance of the dataclass of an architecture.
    :param architecture: its name, for the message.
    :param may_vanish: fields that may be zero as well.
    :raises HyperparameterError: with the name, the value and the remedy.
    """
    for name, value in vars(hyperparameters).items():
        if isinstance(value, str):
            continue
        smallest = min(value, default=0) if isinstance(value, tuple) else value
        if smallest < 0 or (smallest == 0 and name not in may_vanish):
            limit = 'not be negative' if name in may_vanish else 'be positive'
            raise HyperparameterError(f"hyperparameter '{name}' of {architecture} is {value}, it must {limit}")


def check_below(
    hyperparameters: Any, architecture: str, name: str, limit: str | float, may_equal: bool = False
) -> None:
    """Check that a number is below a limit.

    :param hyperparameters: instance of the dataclass of an architecture.
    :param architecture: its name, for the message.
    :param name: field that is checked.
    :param limit: the limit, or the field that holds it.
    :param may_equal: whether it may be as large as the limit.
    :raises HyperparameterError: with the name, the value and the remedy.
    """
    value = getattr(hyperparameters, name)
    largest = getattr(hyperparameters, limit) if isinstance(limit, str) else limit
    if value < largest or (may_equal and value == largest):
        return
    stated = f'{limit}, {largest}' if isinstance(limit, str) else f'{limit}'
    wished = 'not exceed' if may_equal else 'be below'
    raise HyperparameterError(f"hyperparameter '{name}' of {architecture} is {value}, it must {wished} {stated}")


class TrainingJobError(ValueError):
    """A training that cannot be done as it was asked for; the message says what would be right."""


def architectures_told_charge() -> tuple[str, ...]:
    """Return the names of the registered architectures whose models can be told a charge."""
    return tuple(
        name
        for name in registered_names(ARCHITECTURES)
        if CHARGE_COLUMN in {item.name for item in fields(load_member(ARCHITECTURES, name).hyperparameters_class)}
    )


def architectures_with_electrostatics() -> tuple[str, ...]:
    """Return the names of the registered architectures that can learn an electrostatics of their own."""
    return tuple(
        name
        for name in registered_names(ARCHITECTURES)
        if load_member(ARCHITECTURES, name).electrostatics_option is not None
    )


class Architecture(abc.ABC):
    """One family of MLIPs: how its trainer is told what to do, and read back.

    Made without arguments, holds no state. To add one: ``architectures/<name>.py`` and ``<name>.yaml``, one line in the
    entry-point group ``aiida_edl.architectures``, recorded outputs under ``tests/fixtures/training/<name>/``.
    """

    name: ClassVar[str]
    """Entry-point name."""
    references: ClassVar[tuple[Reference, ...]]
    """What to cite."""
    hyperparameters_class: ClassVar[type]
    """Frozen dataclass with a default, a unit and a meaning for each field; can be made without arguments."""
    bindings: ClassVar[Mapping[str, EngineBinding]]
    """How programs load the model, by kind of binding: ``'ase'``, ``'lammps'``, ``'torch_sim'``."""
    model_file_name: ClassVar[str]
    """Name the model has in later jobs, with the suffix the backend expects: a file, or a folder."""
    packages: ClassVar[tuple[str, ...]]
    """Distributions whose versions are recorded; the first is the trainer, whose checkpoints its other versions do not
    take."""
    install_command: ClassVar[str]
    """Command that installs the backend, named when a code is missing."""
    environment: ClassVar[str] = ''
    """Environment of this package that holds the backend, see ``aiida_edl/environments``; empty if none does."""
    embeds_atomic_energies: ClassVar[bool]
    """Whether the model's energy includes the atomic energies; if not, the drivers add them."""
    conversions: ClassVar[Mapping[str, Conversion]] = {}
    """How a model is converted, by the format that comes out."""
    fine_tuning_modes: ClassVar[tuple[FineTuningMode, ...]] = ()
    """How a training can start from a parent; empty if it cannot."""
    changeable_at_restart: ClassVar[tuple[str, ...]] = ('n_evaluations',)
    """Hyperparameters that a training may change when it goes on from a checkpoint. Another shape of the model does not
    fit the checkpoint; trainers that restore their optimiser ignore another learning rate, and those that count epochs
    take another batch for another number of gradient updates."""
    electrostatics_option: ClassVar[str | None] = None
    """What switches on the electrostatics that the architecture learns by itself, in words; empty if nothing needs to,
    None if it has none."""
    precisions: ClassVar[tuple[Precision, ...]] = (Precision.SINGLE, Precision.DOUBLE)
    """Precisions in which the trainer can work."""

    @abc.abstractmethod
    def training_files(self, job: TrainingJob) -> Mapping[str, bytes]:
        """Return the input files by relative path; the same job gives the same bytes: no date, no absolute path."""

    @abc.abstractmethod
    def commands(self, job: TrainingJob) -> Sequence[Command]:
        """Return the commands: train, then export."""

    @abc.abstractmethod
    def retrieve(self, job: TrainingJob) -> Retrieval:
        """Return which files come back: model, checkpoint, logs."""

    @abc.abstractmethod
    def read_training(self, folder: Path) -> TrainingResult:
        """Read what a training left in ``folder``; never raises on truncated output, but says so in the outcome."""

    @abc.abstractmethod
    def cutoff_radius(self, hyperparameters: Any) -> float:
        """Return the cutoff radius of one layer [Å]."""

    @abc.abstractmethod
    def n_layers(self, hyperparameters: Any) -> int:
        """Return the number of message-passing layers; 1 for a strictly local model."""

    def receptive_field(self, hyperparameters: Any) -> float:
        """Return how far the energy of an atom can see [Å]: layers times cutoff radius."""
        return self.n_layers(hyperparameters) * self.cutoff_radius(hyperparameters)

    def total_charge_column(self, hyperparameters: Any) -> str | None:
        """Return the column of the frames that the model takes as total charge [e]; None if it knows no charge."""
        return None

    def has_electrostatics(self, hyperparameters: Any) -> bool:
        """Return whether the model learns electrostatics beyond its receptive field."""
        return self.electrostatics_option == ''

    def formats_to_run(self, kind: str, wished: str = '') -> Sequence[str]:
        """Return the formats through which a model goes after its training until a program loads it.

        :param kind: kind of binding of the program, one of :attr:`bindings`.
        :param wished: format that is asked for; the first that the program loads and the model can have if empty.
        :return: targets of conversions, in order; none if the program loads what the trainer writes.
        :raises ConversionError: if the program does not load it, or the model cannot be converted into it.
        """
        formats = self.bindings[kind].formats
        if wished and wished not in formats:
            raise ConversionError(unknown_name_message(f'format in which {kind} loads {self.name}', wished, formats))
        wanted = (wished,) if wished else formats
        reachable = [name for name in wanted if name == NATIVE or name in self.conversions]
        if not reachable:
            raise ConversionError(
                f'{kind} loads {self.name} as {", ".join(wanted)}, but it can be converted into '
                f'{", ".join(sorted(self.conversions)) or "nothing"}; choose another engine or format'
            )
        return conversion_chain(self.conversions, NATIVE, reachable[0])

    def make_hyperparameters(self, values: Mapping[str, Any]) -> Any:
        """Return checked hyperparameters.

        :param values: those that differ from the defaults.
        :raises HyperparameterError: for an unknown key (the nearest is named), a value of a wrong type, or a charge
            that the architecture cannot be told (those that can are named).
        """
        cls = self.hyperparameters_class
        if CHARGE_COLUMN in values and CHARGE_COLUMN not in {item.name for item in fields(cls)}:
            raise HyperparameterError(
                f"{self.name} cannot be told a charge, so that it takes no '{CHARGE_COLUMN}'; architectures that can: "
                f'{", ".join(architectures_told_charge()) or "none"}'
            )
        return cls(**checked_fields(cls, values, 'hyperparameter', HyperparameterError, f' of {self.name}'))
