"""What architectures share whose trainer is a program of this package.

The program is a driver of its own. It lies among the files of a training together with all modules it imports, so
that the environment needs their backends and nothing of this package. Its log, its checkpoint and how it is stopped are
those of ``science/electrostatics/charge_models/training_loop.py``.
"""

from __future__ import annotations

import abc
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from aiida_edl.architectures.base import (
    Architecture,
    Command,
    HyperparameterError,
    Retrieval,
    TrainingJob,
    TrainingJobError,
    TrainingResult,
)
from aiida_edl.architectures.json_log import read_training
from aiida_edl.architectures.training_data import check_fine_tuning, check_training_job
from aiida_edl.science.frames import FrameSet
from aiida_edl.shipped_modules import shipped_program

TRAINING_FILE, VALIDATION_FILE = 'training.npz', 'validation.npz'
CHECKPOINT = 'checkpoint.pt'
LOG = 'log.jsonl'
STDOUT = 'train.out'
EXPORT_STDOUT = 'export.out'
SCHEDULES = ('one_cycle', 'constant')


class OwnTrainer(Architecture):
    """An architecture that is trained and exported by a program of this package."""

    program: ClassVar[str]
    """File of the driver."""
    not_of_training: ClassVar[tuple[str, ...]]
    """Hyperparameters that are the model's, or columns of the frames; the trainer is told all others."""

    @property
    def settings_file(self) -> str:
        """File with what the trainer is told."""
        return f'{self.name}.json'

    @abc.abstractmethod
    def labelled_frames(self, frames: FrameSet, name: str, chosen: Any) -> FrameSet:
        """Return frames with what is learnt from, and nothing else.

        :param frames: frames.
        :param name: what they are, for messages.
        :param chosen: the hyperparameters.
        :raises TrainingJobError: if something is missing, or a frame cannot be computed.
        """

    @abc.abstractmethod
    def model_settings(self, job: TrainingJob) -> Mapping[str, Any]:
        """Return all that must be known beside its weights to load the model, as JSON types.

        :param job: the training.
        :raises TrainingJobError: if hyperparameters and elements do not go together.
        """

    def cutoff_radius(self, hyperparameters: Any) -> float:
        """Return the distance up to which one layer sees neighbours [Å]."""
        return float(hyperparameters.cutoff_radius)

    def total_charge_column(self, hyperparameters: Any) -> str | None:
        """Return the column of the frames that the model takes as total charge [e]; None if it is told none."""
        return hyperparameters.charge_column or None

    def training_files(self, job: TrainingJob) -> Mapping[str, bytes]:
        """Return settings, frames, the trainer, and the modules it imports.

        :raises TrainingJobError: if the job cannot be done.
        """
        check_training_job(job, job.hyperparameters.batch_size)
        check_fine_tuning(self, job)
        sets = {TRAINING_FILE: job.training_set, VALIDATION_FILE: job.validation_set}
        labelled = {
            name: self.labelled_frames(frames, name.removesuffix('.npz'), job.hyperparameters)
            for name, frames in sets.items()
        }
        document = {'model': self.model_settings(job), 'training': self._training_settings(job)}
        return {
            **{name: frames.to_npz_bytes() for name, frames in labelled.items()},
            self.settings_file: (json.dumps(document, indent=2, sort_keys=True) + '\n').encode(),
            **shipped_program(self.program),
        }

    def _training_settings(self, job: TrainingJob) -> dict[str, Any]:
        """Return how the model is trained, as JSON types."""
        chosen = vars(job.hyperparameters)
        return {
            'gradient_updates': job.gradient_updates,
            'seed': job.seed,
            'precision': job.precision.value,
            'device': job.device,
            'is_restart': job.is_restart,
            **{name: value for name, value in chosen.items() if name not in self.not_of_training},
        }

    def commands(self, job: TrainingJob) -> Sequence[Command]:
        """Return two commands: train, then write the weights of the checkpoint as a model."""
        told = self.settings_file
        return (
            Command((self.program, 'train', told), STDOUT, timeout_seconds=job.walltime_seconds),
            Command((self.program, 'export', told, self.model_file_name), EXPORT_STDOUT, is_export=True),
        )

    def retrieve(self, job: TrainingJob) -> Retrieval:
        """Keep the model, the checkpoint and the logs."""
        return Retrieval(keep=(self.model_file_name, CHECKPOINT, LOG, STDOUT, EXPORT_STDOUT))

    def read_training(self, folder: Path) -> TrainingResult:
        """Read the log, one JSON object a line, and judge how the training ended."""
        return read_training(folder, self.model_file_name, CHECKPOINT, LOG, STDOUT)


def check_schedule(schedule: str, architecture: str) -> None:
    """Check the course of the step size.

    :param schedule: the hyperparameter.
    :param architecture: its name, for the message.
    :raises HyperparameterError: with the value and the remedy.
    """
    if schedule not in SCHEDULES:
        raise HyperparameterError(
            f"hyperparameter 'schedule' of {architecture} is '{schedule}', it must be {' or '.join(SCHEDULES)}"
        )


def check_one_charge_each(job: TrainingJob, name: str, architecture: str) -> None:
    """Check that a hyperparameter has one charge for each element, or none.

    :param job: the training.
    :param name: the hyperparameter.
    :param architecture: its name, for the message.
    :raises TrainingJobError: with both numbers and the remedy.
    """
    n_charges = len(getattr(job.hyperparameters, name))
    if n_charges not in (0, len(job.elements)):
        raise TrainingJobError(
            f"hyperparameter '{name}' of {architecture} has {n_charges} charges for the elements "
            f'{list(job.elements)}; give one for each, or none'
        )


def check_no_wires(frames: FrameSet, name: str, architecture: str, option: str) -> None:
    """Check that no frame is periodic along one cell vector.

    :param frames: frames of a model with charges.
    :param name: what they are, for the message.
    :param architecture: its name, for the message.
    :param option: hyperparameter that is 'none' for a model without charges.
    :raises TrainingJobError: with the frame and the remedy.
    """
    if len(wires := np.flatnonzero(frames.pbc.sum(axis=1) == 1)):
        raise TrainingJobError(
            f'frame {wires[0]} of the {name} set is periodic along one cell vector, whose sum {architecture} does not '
            f"know; make it periodic along all, or set '{option}' to 'none'"
        )


def force_scale(frames: FrameSet) -> float:
    """Return the root mean square force component [eV/Å], a scale for energies too: forces are their gradient.

    :param frames: labelled frames.
    """
    assert frames.forces is not None  # checked before
    return float(np.sqrt(np.mean(np.square(frames.forces))))
