"""GRACE: graph atomic cluster expansion, trained by the program gracemaker of the package tensorpotential.

That package is under the Academic Software License, for non-commercial academic use only. It is no dependency of this
one, which never imports it and holds none of its code: it is called as an external command.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import yaml

from aiida_edl.architectures import grace_program
from aiida_edl.architectures.base import (
    Architecture,
    Command,
    HyperparameterError,
    LearningCurve,
    Reference,
    Retrieval,
    TrainingJob,
    TrainingResult,
    check_below,
    check_positive,
)
from aiida_edl.architectures.bindings import ELEMENTS, MODEL_PATH, AseBinding, EngineBinding, LammpsBinding
from aiida_edl.architectures.run_report import TrainingLog, judge_training, last_line, read_tail
from aiida_edl.architectures.training_data import (
    check_training_job,
    energies_and_forces_only,
    periodic_across_vacuum,
    steps_with_evaluations,
    subtract_atomic_energies,
)
from aiida_edl.registry import unknown_name_message
from aiida_edl.science.formats.extended_xyz import write_extended_xyz

NAME = 'grace'
INPUT = 'input.yaml'
PLAN = 'training_plan.json'
PROGRAM = 'train_grace.py'
STDOUT = 'train.out'
TRAINING_FILE = 'training.xyz'
VALIDATION_FILE = 'validation.xyz'
MODEL = grace_program.MODEL.as_posix()
CURVE = grace_program.CURVE.as_posix()
CHECKPOINTS = f'{grace_program.CHECKPOINTS}/*'
PRESETS = {'fs': 'FS', 'grace_1l': 'GRACE_1LAYER_latest', 'grace_2l': 'GRACE_2LAYER_latest'}
"""Name of each form of the model in gracemaker."""
LAYERS = {'fs': 1, 'grace_1l': 1, 'grace_2l': 2}
"""Message-passing layers of each form; 1 is strictly local."""
ENVIRONMENT = {'TF_CPP_MIN_LOG_LEVEL': '2', 'TF_DETERMINISTIC_OPS': '1', 'TF_NUM_INTEROP_THREADS': '1'}
"""Same seed, same model; and no banner of TensorFlow in the logs."""


@dataclass(frozen=True)
class GraceHyperparameters:
    """Hyperparameters of a GRACE potential and of its training."""

    preset: str = 'grace_1l'
    """Form of the model: ``fs`` (the limit of the atomic cluster expansion), ``grace_1l`` or ``grace_2l``;
    dimensionless."""
    cutoff_radius: float = 6.0
    """Cutoff radius of one layer [Å]."""
    max_l: int = 4
    """Highest angular momentum of the spherical harmonics; one less in the second layer; dimensionless."""
    max_order: int = 4
    """Highest order of the products of the basis: atoms interact in groups of one more; dimensionless."""
    n_radial_functions: int = 8
    """Functions of the interatomic distance before they are combined; dimensionless."""
    n_channels: int = 32
    """Combined radial functions for each angular momentum, and products for each order; dimensionless."""
    embedding_width: int = 128
    """Numbers that stand for a chemical element; dimensionless."""
    n_densities: int = 12
    """Scalars per atom that enter the network after the basis; not used by ``fs``; dimensionless."""
    exponents: tuple[float, ...] = (1.0, 0.5, 2.0, 0.75)
    """Exponents of the densities of ``fs``; ``(1.0,)`` is the linear expansion; dimensionless."""
    batch_size: int = 4
    """Frames per gradient update; frames left over are added to other batches; dimensionless."""
    learning_rate: float = 0.008
    """Step size of the optimiser (Adam, AMSGrad variant) at the beginning; dimensionless."""
    learning_rate_ratio: float = 0.0125
    """Step size at the end over that at the beginning, lowered by the same factor each update; dimensionless."""
    energy_weight: float = 16.0
    """Weight of the Huber loss of the energy per atom [1/eV²]."""
    force_weight: float = 32.0
    """Weight of the Huber loss of force components [Å²/eV²]."""
    huber_width: float = 0.01
    """Error of the energy per atom [eV] and of force components [eV/Å] up to which the loss is quadratic; beyond it is
    linear. 0 for a loss that is quadratic everywhere."""
    ema_decay: float = 0.99
    """Decay per update of the exponential moving average of the weights, which is what is validated; dimensionless."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient of the loss with respect to one array of weights; dimensionless."""
    n_evaluations: int = 20
    """About how many times a checkpoint is written; the trainer takes the validation error after each epoch whatever
    this says; dimensionless."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises HyperparameterError: with the name, the value and the remedy.
        """
        if self.preset not in PRESETS:
            raise HyperparameterError(unknown_name_message('preset of grace', self.preset, list(PRESETS)))
        check_positive(self, NAME, may_vanish=('max_l', 'energy_weight', 'huber_width', 'ema_decay'))
        check_below(self, NAME, 'ema_decay', 1)
        if self.max_order > 4:
            raise HyperparameterError(f"hyperparameter 'max_order' of grace is {self.max_order}, it must be 1 to 4")


@dataclass(frozen=True)
class EpochPlan:
    """Epochs that come to the asked number of gradient updates."""

    updates_per_epoch: int
    """Gradient updates of one epoch."""
    n_epochs: int
    """Epochs of this start, the last of which ends with a checkpoint."""
    checkpoint_interval: int
    """Epochs between two checkpoints."""


def plan_epochs(n_training: int, batch_size: int, gradient_updates: int, n_evaluations: int) -> EpochPlan:
    """Return the smallest number of epochs that does the updates and ends with a checkpoint.

    :param n_training: frames of the training set.
    :param batch_size: frames per gradient update; frames left over are added to other batches.
    :param gradient_updates: updates still to be done.
    :param n_evaluations: wished number of checkpoints.

    >>> plan_epochs(n_training=96, batch_size=4, gradient_updates=480, n_evaluations=10)
    EpochPlan(updates_per_epoch=24, n_epochs=20, checkpoint_interval=2)
    """
    updates_per_epoch = n_training // batch_size
    n_epochs, interval = steps_with_evaluations(math.ceil(max(gradient_updates, 1) / updates_per_epoch), n_evaluations)
    return EpochPlan(updates_per_epoch, n_epochs, interval)


class Grace(Architecture):
    """Graph atomic cluster expansion (A. Bochkarev, Y. Lysogorskiy, R. Drautz, 2024).

    **Licence.** The package tensorpotential is for non-commercial academic use only (Academic Software License). It is
    called as an external command in an environment of its own, whose user accepts that licence.

    **The limit of the atomic cluster expansion.** The preset ``fs`` has one layer, no network after the basis, and a
    few densities under fixed exponents: it is the atomic cluster expansion in the Finnis-Sinclair form (R. Drautz,
    2019), and with the one exponent 1 the linear expansion. ``grace_1l`` puts a network after the basis of one layer,
    ``grace_2l`` passes messages once more.

    **No total charge.** The model has no input for the charge of a frame: frames of different charge states are the
    same to it where the atoms around are.

    Gracemaker counts epochs and is told how many come to the asked number of gradient updates. A restart does those
    that remain, and its step size begins where that of the run before ended. In LAMMPS, a model of two layers runs on
    one process only.
    """

    name = NAME
    environment = 'grace'
    references = (
        Reference(
            title='Graph Atomic Cluster Expansion for Semilocal Interactions beyond Equivariant Message Passing',
            authors='A. Bochkarev, Y. Lysogorskiy, R. Drautz',
            year=2024,
            doi='10.1103/PhysRevX.14.021036',
        ),
        Reference(
            title='Atomic cluster expansion for accurate and transferable interatomic potentials',
            authors='R. Drautz',
            year=2019,
            doi='10.1103/PhysRevB.99.014104',
        ),
    )
    hyperparameters_class = GraceHyperparameters
    bindings: ClassVar[Mapping[str, EngineBinding]] = {
        'ase': AseBinding(
            module='tensorpotential.calculator',
            attribute='TPCalculator',
            keyword_arguments={'model': MODEL_PATH},
            environment=ENVIRONMENT,
            is_fully_periodic=True,
            atomic_energies='tensorpotential',
        ),
        # In the branch of LAMMPS that the authors of GRACE keep, in this package if linked with TensorFlow.
        'lammps': LammpsBinding(
            pair_style='grace',
            pair_coeff=f'* * {MODEL_PATH} {ELEMENTS}',
            packages=('ML-PACE',),
            environment=ENVIRONMENT,
        ),
    }
    model_file_name = MODEL
    packages = ('tensorpotential', 'tensorflow-cpu', 'tf_keras', 'matscipy', 'ase', 'numpy')
    install_command = 'aiida-edl environment create grace  # its licence: for non-commercial academic use only'
    embeds_atomic_energies = False
    changeable_at_restart = ('n_evaluations', 'batch_size', 'learning_rate', 'learning_rate_ratio')

    def cutoff_radius(self, hyperparameters: GraceHyperparameters) -> float:
        """Return the cutoff radius of one layer [Å]."""
        return float(hyperparameters.cutoff_radius)

    def n_layers(self, hyperparameters: GraceHyperparameters) -> int:
        """Return the number of message-passing layers."""
        return LAYERS[hyperparameters.preset]

    def training_files(self, job: TrainingJob) -> Mapping[str, bytes]:
        """Return both sets without atomic energies, the input of gracemaker, and the program that runs it.

        :raises TrainingJobError: if the job cannot be done, e.g. for want of vacuum.
        """
        check_training_job(job, job.hyperparameters.batch_size)
        sets = {
            # gracemaker takes every film as periodic along all cell vectors
            name: periodic_across_vacuum(item, job.hyperparameters.cutoff_radius)
            for name, item in ((TRAINING_FILE, job.training_set), (VALIDATION_FILE, job.validation_set))
        }
        frames = {
            name: write_extended_xyz(subtract_atomic_energies(energies_and_forces_only(item), job.atomic_energies))
            for name, item in sets.items()
        }
        plan = {
            'input': INPUT,
            'arguments': [*([] if job.device == 'cuda' else ['--no-jit']), *(['-rl'] if job.is_restart else [])],
            'seed': job.seed,
            'device': job.device,
            'is_restart': job.is_restart,
            'gradient_updates_done': job.gradient_updates_done,
        }
        return {
            **frames,
            INPUT: yaml.safe_dump(_trainer_input(job), sort_keys=False).encode(),
            PLAN: (json.dumps(plan, indent=2) + '\n').encode(),
            PROGRAM: Path(grace_program.__file__).read_bytes(),
        }

    def commands(self, job: TrainingJob) -> Sequence[Command]:
        """Return the one command: gracemaker exports the model when it is done."""
        hidden = {} if job.device == 'cuda' else {'CUDA_VISIBLE_DEVICES': '-1'}
        return (Command((PROGRAM, PLAN), STDOUT, ENVIRONMENT | hidden, timeout_seconds=job.walltime_seconds),)

    def retrieve(self, job: TrainingJob) -> Retrieval:
        """Keep the model, the newest checkpoint, the learning curve and the log."""
        return Retrieval(keep=(MODEL, CHECKPOINTS, CURVE, STDOUT))

    def read_training(self, folder: Path) -> TrainingResult:
        """Read the learning curve the program wrote, and judge how the training ended."""
        path = folder / CURVE
        curve = read_learning_curve(path) if path.is_file() else None
        checkpoint, updates = whole_checkpoint(folder)
        output = read_tail(folder / STDOUT)
        log = TrainingLog(
            learning_curve=curve,
            gradient_updates_done=updates,
            is_complete=grace_program.COMPLETE in output,
            model_path=MODEL,
            # The curve belongs to the checkpoint: a restart appends to it.
            checkpoint_files=(*checkpoint, CURVE) if checkpoint and curve is not None else (),
            last_line=last_line(folder / STDOUT),
            reported_divergence=_reported_divergence(output, curve),
        )
        return judge_training(folder, log)


def _model_arguments(chosen: GraceHyperparameters) -> dict[str, Any]:
    """Return the arguments of a preset of gracemaker."""
    shared = {
        'max_order': chosen.max_order,
        'n_rad_base': chosen.n_radial_functions,
        'embedding_size': chosen.embedding_width,
    }
    if chosen.preset == 'fs':
        # The pattern of the preset, for which the orders above the second keep low angular momenta only.
        return {
            **shared,
            'lmax': [chosen.max_l] * 4,
            'Lmax': [None, min(chosen.max_l, 3), 0, 0],
            'max_sum_l': [None, None, 6, 4],
            'lmax_hist': [None, None, None, min(chosen.max_l, 3)],
            'n_rad_max': [chosen.n_channels] * chosen.max_order,
            'fs_parameters': [[1.0, float(exponent)] for exponent in chosen.exponents],
        }
    layered = {'n_mlp_dens': chosen.n_densities, 'n_rad_max': chosen.n_channels, 'prod_func_n_max': chosen.n_channels}
    if chosen.preset == 'grace_1l':
        return {**shared, **layered, 'lmax': chosen.max_l}
    lower = max(chosen.max_l - 1, 0)
    return {**shared, **layered, 'lmax': [chosen.max_l, lower], 'indicator_lmax': min(lower, 1)}


def _trainer_input(job: TrainingJob) -> dict[str, Any]:
    """Return the input of gracemaker."""
    chosen: GraceHyperparameters = job.hyperparameters
    remaining = job.gradient_updates - job.gradient_updates_done
    plan = plan_epochs(len(job.training_set), chosen.batch_size, remaining, chosen.n_evaluations)
    # The step size falls by the same factor each update, so a restart can begin where the run before ended.
    progress = min(job.gradient_updates_done / job.gradient_updates, 1.0)
    return {
        'seed': job.seed,
        'cutoff': float(chosen.cutoff_radius),
        'data': {
            'filename': TRAINING_FILE,
            'test_filename': VALIDATION_FILE,
            'reference_energy': 0,  # the atomic energies have been taken off
            'save_dataset': False,
        },
        'potential': {
            'preset': PRESETS[chosen.preset],
            'kwargs': _model_arguments(chosen),
            'elements': list(job.elements),
            'param_dtype': job.precision.value,
        },
        'fit': {
            'loss': {
                'energy': _loss(chosen.energy_weight, chosen.huber_width),
                'forces': _loss(chosen.force_weight, chosen.huber_width),
            },
            'maxiter': plan.n_epochs,
            'checkpoint_freq': plan.checkpoint_interval,
            'reset_epoch_and_step': job.is_restart,
            'eval_init_stats': not job.is_restart,
            'optimizer': 'Adam',
            'opt_params': {
                'learning_rate': float(chosen.learning_rate * chosen.learning_rate_ratio**progress),
                'amsgrad': True,
                'use_ema': True,
                'ema_momentum': float(chosen.ema_decay),
                'clipnorm': float(chosen.gradient_clip),
            },
            'scheduler': 'exponential_decay',
            'scheduler_params': {
                'minimum_learning_rate': float(chosen.learning_rate * chosen.learning_rate_ratio),
                'resume_lr': False,
            },
            'batch_size': chosen.batch_size,
            'test_batch_size': min(chosen.batch_size, len(job.validation_set)),
            'train_shuffle': True,
            # Compiled code needs batches of few shapes, which are padded; without a compiler that would be a loss.
            'train_max_n_buckets': 'auto' if job.device == 'cuda' else None,
            'test_max_n_buckets': 'auto' if job.device == 'cuda' else None,
        },
    }


def _loss(weight: float, huber_width: float) -> dict[str, Any]:
    """Return the loss of one quantity as the input of gracemaker states it."""
    if huber_width == 0:
        return {'type': 'square', 'weight': float(weight)}
    return {'type': 'huber', 'weight': float(weight), 'delta': float(huber_width)}


def whole_checkpoint(folder: Path) -> tuple[tuple[str, ...], int]:
    """Return the files of the checkpoint that is whole, relative to the folder, and its gradient updates.

    :param folder: folder with the retrieved files; nothing and 0 without a checkpoint.
    """
    try:
        current = json.loads((folder / grace_program.CURRENT).read_text(encoding='utf-8'))
        name, updates = str(current['name']), int(current['gradient_updates'])
    except (FileNotFoundError, json.JSONDecodeError):
        return (), 0
    paths = sorted((folder / grace_program.CHECKPOINTS).glob(f'{name}.*'))
    if not any(path.suffix == '.index' for path in paths) or len(paths) < 2:
        return (), 0
    return tuple(path.relative_to(folder).as_posix() for path in (folder / grace_program.CURRENT, *paths)), updates


def read_learning_curve(path: Path) -> LearningCurve | None:
    """Return the learning curve of all restarts together, None without a point.

    :param path: one JSON object a line: a point, or the gradient updates from which a restart goes on, after which what
        was logged beyond is dropped; a truncated last line is left out.
    """
    rows: list[tuple[int, float, float, float]] = []
    for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue  # only the last line can be cut, and it is not a point yet
        if 'restart_from' in entry:
            rows = [row for row in rows if row[0] <= int(entry['restart_from'])]
            continue
        loss = entry['training_loss']
        updates, errors = int(entry['gradient_updates']), (float(entry['energy_rmse']), float(entry['force_rmse']))
        rows.append((updates, *errors, math.nan if loss is None else float(loss)))
    if not rows:
        return None
    columns = [np.array(column) for column in zip(*rows)]
    return LearningCurve(columns[0].astype(np.int64), *columns[1:])


def _reported_divergence(output: str, curve: LearningCurve | None) -> str | None:
    """Return one sentence if the program ended the training because the loss was not a finite number."""
    if grace_program.DIVERGED not in output or curve is None:
        return None
    return f'the loss is not a finite number after {curve.gradient_updates[-1]} gradient updates'
