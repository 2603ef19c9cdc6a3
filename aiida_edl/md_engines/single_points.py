"""How an MD engine computes energies and forces of given frames, so that it can be compared with other engines.

An engine that can do so inherits from :class:`SinglePointEngine` beside ``MDEngine``. The engine ``ase`` need not: its
calculators are asked by the driver of all evaluations.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiida_edl.architectures.base import Command, Retrieval
from aiida_edl.science.frames import Floats, FrameSet


@dataclass(frozen=True)
class SinglePointJob:
    """Everything that determines a computation of energies and forces."""

    frames: FrameSet
    """The frames, without labels."""
    model_recipe: Mapping[str, Any]
    """What the binding of the architecture says, see ``recipe`` in :mod:`aiida_edl.architectures.bindings`."""
    elements: tuple[str, ...]
    """Chemical symbols the model knows."""
    energy_shifts: Mapping[str, float]
    """Energy to add for each atom of an element [eV]."""
    total_charges: NDArray[np.float64] | None = None
    """Total charge of each frame [e], shape ``(n_frames,)``; None for a model that knows no charge."""
    device: str = 'cpu'
    """``'cpu'`` or ``'cuda'``."""
    walltime_seconds: float | None = None
    """Time after which the program should stop by itself [s]."""


@dataclass(frozen=True)
class SinglePoints:
    """Energies and forces of all frames of a job."""

    energies: Floats
    """Energies [eV], the shifts added, shape ``(n_frames,)``; NaN where a frame failed."""
    forces: Floats
    """Forces [eV/Å], atoms in the order of the frames, shape ``(n_atoms_total, 3)``."""
    failures: Mapping[int, str]
    """Reason by index of each frame that failed."""


class SinglePointsError(ValueError):
    """An output that is there but cannot be read; the message says what is wrong with it."""


class SinglePointEngine(abc.ABC):
    """An engine that computes energies and forces of given frames in one job."""

    @abc.abstractmethod
    def single_point_files(self, job: SinglePointJob) -> Mapping[str, bytes]:
        """Return the input files by relative path."""

    @abc.abstractmethod
    def single_point_commands(self, job: SinglePointJob) -> Sequence[Command]:
        """Return the commands."""

    @abc.abstractmethod
    def single_point_retrieve(self, job: SinglePointJob) -> Retrieval:
        """Return which files come back."""

    @abc.abstractmethod
    def read_single_points(
        self, folder: Path, frames: FrameSet, energy_shifts: Mapping[str, float]
    ) -> SinglePoints | None:
        """Read what a job left in ``folder``, None if it did not come to a result.

        :param folder: folder with all files.
        :param frames: frames of the job.
        :param energy_shifts: energy to add for each atom of an element [eV].
        :raises SinglePointsError: if a file is not what the program writes.
        """
