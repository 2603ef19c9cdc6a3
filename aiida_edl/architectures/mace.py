"""MACE: equivariant message passing with many-body messages, trained by the program of the package mace-torch."""

from __future__ import annotations

import json
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase.data import atomic_numbers

from aiida_edl.architectures.base import (
    Architecture,
    Command,
    HyperparameterError,
    LearningCurve,
    Reference,
    Retrieval,
    TrainingJob,
    TrainingResult,
    check_positive,
)
from aiida_edl.architectures.bindings import DEVICE, MODEL_PATH, PRECISION, AseBinding
from aiida_edl.architectures.run_report import TrainingLog, judge_training, last_line, read_tail
from aiida_edl.architectures.training_data import check_training_job, energies_and_forces_only, steps_with_evaluations
from aiida_edl.science.formats.extended_xyz import KeyMapping, write_extended_xyz

NAME = 'mace'
STDOUT = 'train.out'
MODEL = f'{NAME}.model'
CHECKPOINTS = f'checkpoints/{NAME}_run-*_epoch-*.pt'
RESULTS = f'results/{NAME}_run-*_train.txt'
TRAINING_FILE = 'training.xyz'
VALIDATION_FILE = 'validation.xyz'
ENERGY_KEY = 'REF_energy'
FORCES_KEY = 'REF_forces'
COMPLETE = 'Training complete'
"""What the trainer prints when it has done its last epoch, before it saves the model."""


@dataclass(frozen=True)
class MaceHyperparameters:
    """Hyperparameters of a MACE potential and of its training."""

    cutoff_radius: float = 5.0
    """Cutoff radius of one layer [Å]."""
    n_channels: int = 64
    """Channels of each feature; dimensionless."""
    max_l: int = 1
    """Highest angular momentum of the features that are passed on; 0 is invariant; dimensionless."""
    max_ell: int = 3
    """Highest angular momentum of the spherical harmonics of the edges; dimensionless."""
    correlation: int = 3
    """Correlation order of a layer: its messages are of body order ``correlation + 1``; dimensionless."""
    n_interactions: int = 2
    """Message-passing layers; the receptive field is this times the cutoff radius; dimensionless."""
    n_radial_functions: int = 8
    """Bessel functions of the interatomic distance; dimensionless."""
    radial_network: tuple[int, ...] = (64, 64, 64)
    """Widths of the hidden layers of the network that acts on the radial functions; dimensionless."""
    batch_size: int = 4
    """Frames per gradient update; frames left over at the end of an epoch are not used in it; dimensionless."""
    learning_rate: float = 0.01
    """Step size of the optimiser (Adam, AMSGrad variant) at the beginning; dimensionless."""
    learning_rate_ratio: float = 0.01
    """Step size at the end over that at the beginning, lowered by the same factor each epoch; dimensionless."""
    energy_weight: float = 10.0
    """Weight of the squared energy error per atom in the loss [1/eV²]."""
    force_weight: float = 100.0
    """Weight of the squared error of force components in the loss [Å²/eV²]."""
    ema_decay: float = 0.99
    """Decay per update of the exponential moving average of the weights, which is what is validated; dimensionless."""
    gradient_clip: float = 10.0
    """Largest norm of the gradient of the loss; dimensionless."""
    n_evaluations: int = 20
    """About how many times the validation error is taken and a checkpoint written; dimensionless."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises HyperparameterError: with the name, the value and the remedy.
        """
        check_positive(self, 'mace', may_vanish=('max_l', 'energy_weight', 'ema_decay'))
        if self.ema_decay >= 1:
            raise HyperparameterError(f"hyperparameter 'ema_decay' of mace is {self.ema_decay}, it must be below 1")


@dataclass(frozen=True)
class EpochPlan:
    """Epochs that come to the asked number of gradient updates."""

    updates_per_epoch: int
    """Gradient updates of one epoch: whole batches only."""
    n_epochs: int
    """Epochs, the last of which is evaluated."""
    evaluation_interval: int
    """Epochs between two evaluations."""


def plan_epochs(n_training: int, batch_size: int, gradient_updates: int, n_evaluations: int) -> EpochPlan:
    """Return the smallest number of epochs that reaches the target and ends with an evaluation.

    The trainer evaluates, and writes a checkpoint, after the epochs 0, k, 2k ...; the last epoch must be among them.

    :param n_training: frames of the training set.
    :param batch_size: frames per gradient update.
    :param gradient_updates: target.
    :param n_evaluations: wished number of evaluations.

    >>> plan_epochs(n_training=100, batch_size=1, gradient_updates=800, n_evaluations=8)
    EpochPlan(updates_per_epoch=100, n_epochs=8, evaluation_interval=1)
    >>> plan_epochs(n_training=100, batch_size=4, gradient_updates=5000, n_evaluations=20)
    EpochPlan(updates_per_epoch=25, n_epochs=201, evaluation_interval=10)
    """
    updates_per_epoch = n_training // batch_size
    n_epochs = math.ceil(gradient_updates / updates_per_epoch)
    steps, interval = steps_with_evaluations(n_epochs - 1, n_evaluations)
    return EpochPlan(updates_per_epoch, steps + 1, interval)


class Mace(Architecture):
    """Equivariant message passing with messages of high body order (I. Batatia et al., 2022)."""

    name = NAME
    references = (
        Reference(
            title='MACE: Higher Order Equivariant Message Passing Neural Networks for Fast and Accurate Force Fields',
            authors='I. Batatia, D. P. Kovács, G. N. C. Simm, C. Ortner, G. Csányi',
            year=2022,
            doi='10.48550/arXiv.2206.07697',
        ),
    )
    hyperparameters_class = MaceHyperparameters
    bindings: ClassVar[Mapping[str, AseBinding]] = {
        'ase': AseBinding(
            module='mace.calculators',
            attribute='MACECalculator',
            keyword_arguments={'model_paths': MODEL_PATH, 'device': DEVICE, 'default_dtype': PRECISION},
        )
    }
    model_file_name = MODEL
    packages = ('mace-torch', 'torch', 'e3nn', 'matscipy', 'ase', 'numpy')
    install_command = 'pip install "mace-torch>=0.3.16,<0.4"'
    embeds_atomic_energies = True

    def cutoff_radius(self, hyperparameters: MaceHyperparameters) -> float:
        """Return the cutoff radius of one layer [Å]."""
        return float(hyperparameters.cutoff_radius)

    def n_layers(self, hyperparameters: MaceHyperparameters) -> int:
        """Return the number of message-passing layers."""
        return hyperparameters.n_interactions

    def training_files(self, job: TrainingJob) -> Mapping[str, bytes]:
        """Return the training and the validation set as extended XYZ with the label keys the trainer is told.

        :raises TrainingJobError: if the job cannot be done.
        """
        check_training_job(job, job.hyperparameters.batch_size)
        keys = KeyMapping(energy=ENERGY_KEY, forces=FORCES_KEY)
        sets = {TRAINING_FILE: job.training_set, VALIDATION_FILE: job.validation_set}
        return {name: write_extended_xyz(energies_and_forces_only(frames), keys) for name, frames in sets.items()}

    def commands(self, job: TrainingJob) -> Sequence[Command]:
        """Return the one command: the trainer saves the whole model when it is done."""
        flags = ['--ema', '--save_all_checkpoints', *(['--restart_latest'] if job.is_restart else [])]
        options = [f'--{name}={value}' for name, value in _options(job).items()]
        return (
            Command(
                arguments=('-m', 'mace.cli.run_train', *options, *flags),
                stdout=STDOUT,
                timeout_seconds=job.walltime_seconds,
                keep_newest=(CHECKPOINTS,),
            ),
        )

    def retrieve(self, job: TrainingJob) -> Retrieval:
        """Keep the model, the newest checkpoint and the logs."""
        return Retrieval(keep=(MODEL, CHECKPOINTS, RESULTS, STDOUT))

    def read_training(self, folder: Path) -> TrainingResult:
        """Read the log of the trainer, one JSON object a line, and judge how the training ended."""
        results = sorted(folder.glob(RESULTS))
        curve, updates = read_results(results[-1]) if results else (None, 0)
        checkpoint = newest_whole_checkpoint(folder)
        # The log belongs to the checkpoint: a restart appends to it.
        kept = [checkpoint, *results] if checkpoint is not None else []
        log = TrainingLog(
            learning_curve=curve,
            gradient_updates_done=updates,
            is_complete=COMPLETE in read_tail(folder / STDOUT),
            model_path=MODEL,
            checkpoint_files=tuple(path.relative_to(folder).as_posix() for path in kept),
            last_line=last_line(folder / STDOUT),
        )
        return judge_training(folder, log)


def _options(job: TrainingJob) -> dict[str, Any]:
    """Return the options of the trainer."""
    chosen: MaceHyperparameters = job.hyperparameters
    plan = plan_epochs(len(job.training_set), chosen.batch_size, job.gradient_updates, chosen.n_evaluations)
    numbers = {atomic_numbers[element]: float(job.atomic_energies[element]) for element in job.elements}
    return {
        'name': NAME,
        'model': 'ScaleShiftMACE',
        'seed': job.seed,
        'device': job.device,
        'default_dtype': job.precision.value,
        'train_file': TRAINING_FILE,
        'valid_file': VALIDATION_FILE,
        'energy_key': ENERGY_KEY,
        'forces_key': FORCES_KEY,
        # Both are needed for the model to know elements that the training set lacks.
        'atomic_numbers': sorted(numbers),
        'E0s': dict(sorted(numbers.items())),
        'r_max': float(chosen.cutoff_radius),
        'num_channels': chosen.n_channels,
        'max_L': chosen.max_l,
        'max_ell': chosen.max_ell,
        'correlation': chosen.correlation,
        'num_interactions': chosen.n_interactions,
        'num_radial_basis': chosen.n_radial_functions,
        'radial_MLP': list(chosen.radial_network),
        'batch_size': chosen.batch_size,
        'valid_batch_size': chosen.batch_size,
        'max_num_epochs': plan.n_epochs,
        'eval_interval': plan.evaluation_interval,
        'lr': float(chosen.learning_rate),
        'scheduler': 'ExponentialLR',
        'lr_scheduler_gamma': chosen.learning_rate_ratio ** (1.0 / max(plan.n_epochs - 1, 1)),
        'loss': 'weighted',
        'energy_weight': float(chosen.energy_weight),
        'forces_weight': float(chosen.force_weight),
        'ema_decay': float(chosen.ema_decay),
        'clip_grad': float(chosen.gradient_clip),
        # Errors are taken by the evaluation that all architectures share; here they would cost another pass.
        'skip_evaluate_heads': 'Default',
        'plot': False,
        # The trainer would otherwise stop early, and updates could not be compared.
        'patience': plan.n_epochs + 1,
    }


def newest_whole_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint of the latest epoch that is not cut short, None without one.

    A job that is killed leaves all checkpoints, the last of them perhaps half-written; the trainer would go on from the
    last one whatever its state.

    :param folder: folder with the retrieved files.
    """
    whole = [path for path in folder.glob(CHECKPOINTS) if zipfile.is_zipfile(path)]
    return max(whole, key=lambda path: (_epoch(path), path.name), default=None)


def _epoch(path: Path) -> int:
    """Return the epoch in the name of a checkpoint, -1 without one."""
    found = re.search(r'_epoch-(\d+)', path.name)
    return int(found.group(1)) if found else -1


def read_results(path: Path) -> tuple[LearningCurve | None, int]:
    """Return the learning curve and the gradient updates of the log, all restarts together.

    A restart goes on from a checkpoint: what was logged after it is dropped. The trainer begins by repeating the epoch
    of the checkpoint, and these updates are counted too.

    :param path: log of the trainer; a truncated last line is left out.
    """
    updates, updates_after_epoch = 0, dict[int, int]()
    points: list[tuple[int, float, float, float]] = []
    losses: list[float] = []
    is_restarting = False
    for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue  # only the last line can be cut, and it is not a point yet
        if entry['mode'] == 'opt':
            epoch = int(entry['epoch'])
            if is_restarting:
                updates = updates_after_epoch.get(epoch, updates)
                points = [point for point in points if point[0] <= updates]
                losses, is_restarting = [], False
            updates += 1
            updates_after_epoch[epoch] = updates
            losses.append(float(entry['loss']))
        elif entry['epoch'] is None and updates:
            is_restarting = True
        else:
            loss = float(np.mean(losses)) if losses else math.nan
            points.append((updates, float(entry['rmse_e_per_atom']), float(entry['rmse_f']), loss))
            losses = []
    if not points:
        return None, updates
    columns = [np.array(column) for column in zip(*points)]
    return LearningCurve(columns[0].astype(np.int64), *columns[1:]), updates
