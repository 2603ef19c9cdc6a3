"""What every MD engine must be able to do: write its input from :class:`MDSettings`, refuse by name what it cannot do,
and read back frames and thermodynamic series in the same arrays and units.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from aiida_edl.architectures.base import Command, Retrieval
from aiida_edl.architectures.bindings import takes_total_charge
from aiida_edl.registry import unknown_name_message
from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.typed_fields import checked_fields


class MDSettingsError(ValueError):
    """A setting that does not exist, is of a wrong type or out of range, or that the engine cannot honour."""


class MDOutcome(str, Enum):
    """How an MD run ended; the set is closed, the parser maps each member to one exit code."""

    FINISHED = 'finished'
    OUT_OF_WALLTIME = 'out_of_walltime'
    OUT_OF_MEMORY = 'out_of_memory'
    DEVICE_MISSING = 'device_missing'
    DEVICE_LOST = 'device_lost'
    EXPLODED = 'exploded'
    OUTPUT_INCOMPLETE = 'output_incomplete'


@dataclass(frozen=True)
class MDSettings:
    """A molecular-dynamics run, in words all engines share. Steps are a target: a restart computes what remains."""

    ensemble: str = 'nvt'
    """``'nve'``, ``'nvt'`` or ``'npt'``."""
    thermostat: str = 'csvr'
    """``'csvr'`` (stochastic velocity rescaling, Bussi 2007), ``'langevin'``, ``'nose_hoover'``; ignored in NVE."""
    temperature: float = 330.0
    """Temperature [K]."""
    time_step: float = 0.5
    """Time step [fs]."""
    steps: int = 2000
    """Production steps, the target of all restarts together."""
    equilibration_steps: int = 0
    """Steps before production that are not stored."""
    sampling_interval: int = 20
    """Steps between stored frames."""
    relaxation_time: float = 100.0
    """Relaxation time of the thermostat [fs]."""
    seed: int = 1
    """Seed of velocities and thermostat; LAMMPS takes it modulo 900000000, the number of its seeds."""
    pressure_bar: float = 1.0
    """Pressure in the NPT ensemble [bar]."""
    pressure_relaxation_time: float = 1000.0
    """Relaxation time of the barostat [fs]."""
    fixed_elements: tuple[str, ...] = ()
    """Chemical symbols of atoms that do not move."""
    fixed_atoms: tuple[int, ...] = ()
    """Indices of further atoms that do not move, from 0."""
    wall_height: float = 0.0
    """Height above the topmost fixed atom at which a harmonic wall turns atoms back [Å]; 0 means no wall."""
    wall_force_constant: float = 2.0
    """Force constant of the wall [eV/Å²]: energy k/2 (z - z_wall)² for z above the wall."""
    maximum_temperature: float = 3000.0
    """Instantaneous temperature above which the run counts as exploded and stops [K]."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises MDSettingsError: with the name, the value and the remedy.
        """
        choices = {'ensemble': ('nve', 'nvt', 'npt'), 'thermostat': ('csvr', 'langevin', 'nose_hoover')}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise MDSettingsError(unknown_name_message(name, getattr(self, name), known))
        positive = ('temperature', 'time_step', 'steps', 'sampling_interval', 'relaxation_time', 'maximum_temperature')
        for name in (*positive, 'pressure_relaxation_time'):
            if getattr(self, name) <= 0:
                raise MDSettingsError(f"MD setting '{name}' is {getattr(self, name)}, it must be positive")
        for name in ('equilibration_steps', 'wall_height', 'wall_force_constant', 'seed'):
            if getattr(self, name) < 0:
                raise MDSettingsError(f"MD setting '{name}' is {getattr(self, name)}, it must not be negative")
        if any(index < 0 for index in self.fixed_atoms):
            raise MDSettingsError(f'fixed_atoms holds {min(self.fixed_atoms)}, indices count from 0')
        if self.sampling_interval > self.steps:
            raise MDSettingsError(
                f'sampling_interval {self.sampling_interval} exceeds steps {self.steps}: no frame would be stored'
            )

    def fixed_mask(self, numbers: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which atoms do not move, shape ``(n_atoms,)``.

        :param numbers: atomic numbers, shape ``(n_atoms,)``.
        :raises MDSettingsError: if ``fixed_atoms`` names an atom that is not there.
        """
        if self.fixed_atoms and max(self.fixed_atoms) >= len(numbers):
            raise MDSettingsError(f'fixed_atoms holds {max(self.fixed_atoms)}, the frame has {len(numbers)} atoms')
        mask = np.isin(numbers, [atomic_numbers[symbol] for symbol in self.fixed_elements])
        mask[list(self.fixed_atoms)] = True
        return mask

    @property
    def stored_frames(self) -> int:
        """Frames that a complete run stores."""
        return self.steps // self.sampling_interval

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MDSettings:
        """Return checked settings from those that differ from the defaults.

        :raises MDSettingsError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'MD setting', MDSettingsError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        values = dataclasses.asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def lost_charge(engine: str, recipe: Mapping[str, Any]) -> str | None:
    """Return one sentence if a model that takes the total charge of a frame would not be told it, else None.

    :param engine: entry-point name of the engine.
    :param recipe: how the engine loads the model.
    """
    if takes_total_charge(recipe):
        return None
    remedy = "add it to the info of its binding 'ase'" if engine == 'ase' else 'use engine ase'
    return f'the potential takes the total charge of a frame, which engine {engine} cannot pass on to it; {remedy}'


@dataclass(frozen=True)
class MDJob:
    """Everything that determines an MD run."""

    frame: Frame
    """Initial frame; velocities are drawn when it has none."""
    settings: MDSettings
    """What to run."""
    model_recipe: Mapping[str, Any]
    """How the engine loads the model: what ``recipe`` of its binding returns, or parameters of a model of its own."""
    atomic_energies: Mapping[str, float]
    """Reference energies to add to the model's energy [eV]; empty when the model embeds them."""
    walltime_seconds: float | None = None
    """Time after which the run stops by itself and leaves a checkpoint [s]."""
    is_restart: bool = False
    """Whether the checkpoint of an earlier run of the same job lies in the working directory."""
    total_charge: float | None = None
    """Total charge of the frame as the model takes it [e]; None for a model that knows no charge."""
    device: str = 'cpu'
    """``'cpu'`` or ``'cuda'``."""


@dataclass(frozen=True)
class MDResult:
    """What an MD run left behind."""

    outcome: MDOutcome
    """How it ended."""
    trajectory: FrameSet | None = None
    """Stored frames with energies, and columns ``step`` and ``time`` [fs]; None if there is none."""
    series: Mapping[str, NDArray[np.float64]] | None = None
    """Series at the sampling interval, each of shape ``(n_samples,)``: ``step``, ``time`` [fs], ``temperature`` [K] of
    the mobile atoms, ``potential_energy`` [eV], ``kinetic_energy`` [eV], ``conserved_energy`` [eV] (NaN when the
    engine has none)."""
    checkpoint_files: tuple[str, ...] = ()
    """Files from which the run can go on."""
    checkpoint_steps: int = 0
    """Production steps that these files stand for, all restarts together; an explosion may lie beyond them."""
    steps_done: int = 0
    """Production steps done, all restarts together."""
    message: str = ''
    """One sentence for the exit message."""
    cost: Mapping[str, Any] = field(default_factory=dict)
    """``wall_seconds``, ``cpu_seconds`` and ``versions`` as far as the engine's own output tells them."""


class MDEngine(abc.ABC):
    """One MD code. Made without arguments, holds no state."""

    name: ClassVar[str]
    """Entry-point name."""
    packages: ClassVar[tuple[str, ...]]
    """Distributions whose versions are recorded."""
    install_command: ClassVar[str]
    """Command that installs the engine, named when a code is missing."""
    binding_kind: ClassVar[str | None] = None
    """Kind of binding by which it loads a trained potential; None for an engine that has a model of its own only."""
    code_kind: ClassVar[str]
    """``'python'`` if the code is the Python interpreter of an environment, ``'lammps'`` if it is ``lmp``."""
    is_batched: ClassVar[bool] = False
    """Whether it runs many replicas in one job, see :class:`BatchedMDEngine`."""

    @abc.abstractmethod
    def refuse(self, settings: MDSettings) -> str | None:
        """Return one sentence if the engine cannot honour the settings, else None."""

    @abc.abstractmethod
    def files(self, job: MDJob) -> Mapping[str, bytes]:
        """Return the input files by relative path."""

    @abc.abstractmethod
    def commands(self, job: MDJob) -> Sequence[Command]:
        """Return the commands of the run."""

    @abc.abstractmethod
    def retrieve(self, job: MDJob) -> Retrieval:
        """Return which files come back."""

    def level_of_theory(self, model_recipe: Mapping[str, Any]) -> str:
        """Return what the forces of an engine with a model of its own are, in words.

        :param model_recipe: parameters of the model.
        :raises ValueError: if the engine does not know one of them.
        """
        return f'model of engine {self.name}'

    @abc.abstractmethod
    def read(self, folder: Path, frame: Frame, settings: MDSettings) -> MDResult:
        """Read what a run left in ``folder``; truncated output is an outcome, not an exception."""


@dataclass(frozen=True)
class ReplicaResults:
    """What a run of several replicas left behind."""

    outcome: MDOutcome
    """How the run as a whole ended; a replica that exploded does not keep the others from finishing."""
    results: Mapping[str, MDResult]
    """Result of each replica, by label."""
    checkpoint_files: tuple[str, ...] = ()
    """Files from which all replicas that have not ended can go on."""
    checkpoint_steps: int = 0
    """Production steps that these files stand for, all restarts together."""
    message: str = ''
    """One sentence for the exit message."""

    @property
    def exploded(self) -> dict[str, str]:
        """Sentence on each replica that exploded, by label."""
        return {name: run.message for name, run in self.results.items() if run.outcome is MDOutcome.EXPLODED}


class BatchedMDEngine(MDEngine):
    """An MD code that runs many replicas of one model at once; a single run is a batch of one."""

    is_batched = True

    @abc.abstractmethod
    def replica_files(self, jobs: Mapping[str, MDJob]) -> Mapping[str, bytes]:
        """Return the input files of a run of several replicas by relative path.

        :param jobs: job of each replica by label; they differ in frame and seed alone.
        """

    @abc.abstractmethod
    def read_replicas(self, folder: Path, frames: Mapping[str, Frame], settings: MDSettings) -> ReplicaResults:
        """Read what a run of several replicas left; truncated output is an outcome, not an exception.

        :param folder: folder of the run.
        :param frames: initial frame of each replica by label, in the order of ``replica_files``.
        :param settings: what all replicas share.
        """
