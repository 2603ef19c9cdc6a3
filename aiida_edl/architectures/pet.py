"""PET: a point-edge transformer, trained by the program of the package metatrain."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import yaml
from ase.data import atomic_numbers

from aiida_edl.architectures.base import (
    Architecture,
    Command,
    HyperparameterError,
    Reference,
    Retrieval,
    TrainingJob,
    TrainingJobError,
    TrainingResult,
    check_below,
    check_positive,
)
from aiida_edl.architectures.bindings import (
    ATOMIC_NUMBERS,
    DEVICE,
    MODEL_PATH,
    TOTAL_CHARGE,
    AseBinding,
    EngineBinding,
    LammpsBinding,
)
from aiida_edl.architectures.mace_log import EpochPlan, plan_epochs
from aiida_edl.architectures.metatrain_log import CHECKPOINTS, EPOCHS, TABLES, newest_whole_checkpoint, read_tables
from aiida_edl.architectures.precision import Precision
from aiida_edl.architectures.run_report import TrainingLog, judge_training, last_line, read_tail
from aiida_edl.architectures.training_data import check_training_job, energies_and_forces_only, total_charges
from aiida_edl.science.formats.extended_xyz import KeyMapping, write_extended_xyz
from aiida_edl.science.frames import FrameSet

NAME = 'pet'
STDOUT = 'train.out'
EXPORT_STDOUT = 'export.out'
OPTIONS = 'options.yaml'
TRAINING_FILE = 'training.xyz'
VALIDATION_FILE = 'validation.xyz'
MODEL = f'{NAME}.pt'
ENERGY_KEY = 'REF_energy'
FORCES_KEY = 'REF_forces'
CHARGE_KEY = 'REF_total_charge'
TARGET = 'energy'
COMPLETE = 'Training finished!'
"""What the trainer prints when it has done its last epoch, before it saves the model."""
NOT_FINITE = re.compile(r'cannot convert float (?:NaN|infinity) to integer')
"""What it says when the very first errors are not finite numbers: it cannot choose the digits of its table."""
BEST = 'best'
"""Stem of what the trainer saves at the end: it takes the weights of the epoch with the lowest validation loss."""
LAST = 'last.ckpt'
TAKE_LAST_WEIGHTS = (
    'import torch, metatomic.torch; '
    f'checkpoint = torch.load("{BEST}.ckpt", map_location="cpu", weights_only=False); '
    'checkpoint["best_model_state_dict"] = checkpoint["model_state_dict"]; '
    f'torch.save(checkpoint, "{LAST}")'
)
"""Program that makes the trainer export the last weights, so that models are compared at equal gradient updates."""


@dataclass(frozen=True)
class PetHyperparameters:
    """Hyperparameters of a PET potential and of its training."""

    cutoff_radius: float = 4.5
    """Cutoff radius of one layer [Å]."""
    cutoff_width: float = 0.5
    """Width of the shell below the cutoff radius in which neighbours fade out [Å]."""
    edge_width: int = 128
    """Width of the features of a pair; dimensionless."""
    node_width: int = 256
    """Width of the features of an atom; dimensionless."""
    head_width: int = 128
    """Width of the network that maps features to the energy; dimensionless."""
    feedforward_width: int = 256
    """Width of the feed-forward network of an attention layer; dimensionless."""
    n_heads: int = 8
    """Heads of an attention layer, a divisor of the width of the features of a pair; dimensionless."""
    n_attention_layers: int = 2
    """Attention layers in each message-passing layer; dimensionless."""
    n_interactions: int = 2
    """Message-passing layers; the receptive field is this times the cutoff radius; dimensionless."""
    is_long_range: bool = False
    """Whether features interact by 1/r beyond the cutoff radius, summed by Ewald in training; dimensionless."""
    long_range_smearing: float = 1.4
    """Width of the Gaussians by which 1/r is split into two sums [Å]."""
    long_range_resolution: float = 1.33
    """Shortest wavelength of the sum in reciprocal space [Å]."""
    charge_column: str = ''
    """Column of the frames that is given to the model as total charge [e], ``metal_charge`` follows from the atoms; ''
    for a model that knows none."""
    maximum_charge: int = 10
    """Largest absolute total charge the model can be given [e]."""
    batch_size: int = 4
    """Frames per gradient update; frames left over at the end of an epoch are not used in it; dimensionless."""
    learning_rate: float = 1e-3
    """Largest step size of the optimiser (Adam), from which it falls to zero as a cosine; dimensionless."""
    warmup_fraction: float = 0.01
    """Part of the gradient updates in which the step size rises to its largest value; dimensionless."""
    energy_weight: float = 1.0
    """Weight of the squared energy error per atom, over the square of the spread of the labels; dimensionless."""
    force_weight: float = 1.0
    """Weight of the squared error of force components, over the same square [Å²]."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient of the loss; dimensionless."""
    n_evaluations: int = 20
    """About how many points the learning curve has and checkpoints are written; dimensionless."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises HyperparameterError: with the name, the value and the remedy.
        """
        check_positive(self, NAME, may_vanish=('is_long_range', 'warmup_fraction', 'energy_weight', 'force_weight'))
        if not (self.energy_weight or self.force_weight):
            raise HyperparameterError(
                "hyperparameters 'energy_weight' and 'force_weight' of pet are 0, at least one of them must be positive"
            )
        if self.edge_width % self.n_heads:
            raise HyperparameterError(
                f"hyperparameter 'n_heads' of pet is {self.n_heads}, it must divide edge_width, {self.edge_width}"
            )
        check_below(self, NAME, 'warmup_fraction', 1)
        check_below(self, NAME, 'cutoff_width', 'cutoff_radius')


class Pet(Architecture):
    """Point-edge transformer: attention among the neighbours of an atom, symmetry learnt from turned frames."""

    name = NAME
    references = (
        Reference(
            title='Smooth, exact rotational symmetrization for deep learning on point clouds',
            authors='S. N. Pozdnyakov, M. Ceriotti',
            year=2023,
            doi='10.48550/arXiv.2305.19302',
        ),
    )
    hyperparameters_class = PetHyperparameters
    bindings: ClassVar[Mapping[str, EngineBinding]] = {
        'ase': AseBinding(
            module='metatomic_ase',
            attribute='MetatomicCalculator',
            keyword_arguments={'model': MODEL_PATH, 'device': DEVICE},
            info={'charge': TOTAL_CHARGE},
            atomic_energies='ase',
        ),
        'lammps': LammpsBinding(
            pair_style=f'metatomic {MODEL_PATH} device {DEVICE}',
            pair_coeff=f'* * {ATOMIC_NUMBERS}',
            packages=('ML-METATOMIC',),
        ),
    }
    model_file_name = MODEL
    packages = ('metatrain', 'metatomic-torch', 'metatomic-ase', 'torch-pme', 'vesin', 'torch', 'ase', 'numpy')
    install_command = 'aiida-edl environment create metatrain'
    environment = 'metatrain'
    embeds_atomic_energies = True
    electrostatics_option = "'is_long_range' true"

    def has_electrostatics(self, hyperparameters: PetHyperparameters) -> bool:
        """Return whether features interact by 1/r beyond the cutoff radius."""
        return hyperparameters.is_long_range

    def cutoff_radius(self, hyperparameters: PetHyperparameters) -> float:
        """Return the cutoff radius of one layer [Å]."""
        return float(hyperparameters.cutoff_radius)

    def n_layers(self, hyperparameters: PetHyperparameters) -> int:
        """Return the number of message-passing layers; the long-range part is not counted."""
        return hyperparameters.n_interactions

    def total_charge_column(self, hyperparameters: PetHyperparameters) -> str | None:
        """Return the column of the frames that the model takes as total charge [e]."""
        return hyperparameters.charge_column or None

    def training_files(self, job: TrainingJob) -> Mapping[str, bytes]:
        """Return the options of the trainer, and the training and the validation set as extended XYZ.

        :raises TrainingJobError: if the job cannot be done.
        """
        chosen: PetHyperparameters = job.hyperparameters
        check_training_job(job, chosen.batch_size)
        _check_periodicity(job)
        plan = _plan(job)
        keys = KeyMapping(energy=ENERGY_KEY, forces=FORCES_KEY)
        sets = {TRAINING_FILE: job.training_set, VALIDATION_FILE: job.validation_set}
        return {
            OPTIONS: yaml.safe_dump(_options(job, plan), sort_keys=False).encode(),
            EPOCHS: (json.dumps({'updates_per_epoch': plan.updates_per_epoch}) + '\n').encode(),
            **{name: write_extended_xyz(_prepared(frames, chosen), keys) for name, frames in sets.items()},
        }

    def commands(self, job: TrainingJob) -> Sequence[Command]:
        """Return three commands: train, take the last weights instead of the best, and export them."""
        restart = ('--restart', 'auto') if job.is_restart else ()
        return (
            Command(
                arguments=('-m', 'metatrain', 'train', OPTIONS, '-o', f'{BEST}.pt', *restart),
                stdout=STDOUT,
                timeout_seconds=job.walltime_seconds,
                keep_newest=(CHECKPOINTS,),
            ),
            Command(arguments=('-c', TAKE_LAST_WEIGHTS), stdout=EXPORT_STDOUT, is_export=True),
            Command(arguments=('-m', 'metatrain', 'export', LAST, '-o', MODEL), stdout=EXPORT_STDOUT, is_export=True),
        )

    def retrieve(self, job: TrainingJob) -> Retrieval:
        """Keep the model, the newest checkpoint and the logs."""
        return Retrieval(keep=(MODEL, CHECKPOINTS, TABLES, EPOCHS, STDOUT, EXPORT_STDOUT))

    def read_training(self, folder: Path) -> TrainingResult:
        """Read the tables of errors, one for each start, and judge how the training ended."""
        curve = read_tables(folder)
        checkpoint = newest_whole_checkpoint(folder)
        # The tables belong to the checkpoint: a restart writes one of its own.
        kept = [checkpoint, *sorted(folder.glob(TABLES))] if checkpoint is not None else []
        output = read_tail(folder / STDOUT)
        has_diverged = NOT_FINITE.search(output) is not None
        log = TrainingLog(
            learning_curve=curve,
            gradient_updates_done=0 if curve is None else int(curve.gradient_updates[-1]),
            is_complete=COMPLETE in output,
            model_path=MODEL,
            checkpoint_files=tuple(path.relative_to(folder).as_posix() for path in kept),
            last_line=last_line(folder / STDOUT),
            reported_divergence='the errors after the first epoch are not finite numbers' if has_diverged else None,
        )
        return judge_training(folder, log)


def _plan(job: TrainingJob) -> EpochPlan:
    """Return the epochs of a job; the trainer logs and saves after the epochs 0, k, 2k ..., as MACE's does."""
    chosen: PetHyperparameters = job.hyperparameters
    return plan_epochs(len(job.training_set), chosen.batch_size, job.gradient_updates, chosen.n_evaluations)


def _check_periodicity(job: TrainingJob) -> None:
    """Check that 1/r can be summed: the trainer drops cell vectors that are not periodic, and Ewald needs all three.

    :raises TrainingJobError: if a frame is open along some of its cell vectors only.
    """
    if not job.hyperparameters.is_long_range:
        return
    for name, frames in (('training', job.training_set), ('validation', job.validation_set)):
        n_periodic = frames.pbc.sum(axis=1)
        for index in np.flatnonzero((n_periodic > 0) & (n_periodic < 3)):
            raise TrainingJobError(
                f'frame {index} of the {name} set is periodic along {n_periodic[index]} of its cell vectors, '
                'is_long_range of pet needs all or none; make it periodic with a vacuum in its cell'
            )


def _prepared(frames: FrameSet, chosen: PetHyperparameters) -> FrameSet:
    """Return the frames with nothing but energies, forces and, if the model knows it, the total charge.

    :raises TrainingJobError: if a charge is no whole number or larger than the model can take.
    """
    plain = energies_and_forces_only(frames)
    if not chosen.charge_column:
        return plain
    charges = total_charges(frames, chosen.charge_column)
    wrong = (charges != charges.round()) | (np.abs(charges) > chosen.maximum_charge)
    if wrong.any():
        index = int(np.flatnonzero(wrong)[0])
        raise TrainingJobError(
            f"the column '{chosen.charge_column}' is {charges[index]} in frame {index}, pet takes whole total charges "
            f'between -{chosen.maximum_charge} and {chosen.maximum_charge}'
        )
    return replace(plain, columns={CHARGE_KEY: charges.astype(np.int64)})


def _dataset(file: str, chosen: PetHyperparameters) -> dict[str, Any]:
    """Return where the trainer finds systems, labels and total charges."""
    target = {'key': ENERGY_KEY, 'unit': 'eV', 'forces': {'key': FORCES_KEY}, 'stress': False}
    charge = {'extra_data': {'charge': {'key': CHARGE_KEY}}} if chosen.charge_column else {}
    return {'systems': {'read_from': file, 'length_unit': 'angstrom'}, 'targets': {TARGET: target}, **charge}


def _model_options(chosen: PetHyperparameters) -> dict[str, Any]:
    """Return the options of the model."""
    return {
        'cutoff': float(chosen.cutoff_radius),
        'cutoff_width': float(chosen.cutoff_width),
        'd_pet': chosen.edge_width,
        'd_node': chosen.node_width,
        'd_head': chosen.head_width,
        'd_feedforward': chosen.feedforward_width,
        'num_heads': chosen.n_heads,
        'num_attention_layers': chosen.n_attention_layers,
        'num_gnn_layers': chosen.n_interactions,
        'long_range': {
            'enable': chosen.is_long_range,
            'use_ewald': True,
            'smearing': float(chosen.long_range_smearing),
            'kspace_resolution': float(chosen.long_range_resolution),
        },
        'system_conditioning': bool(chosen.charge_column),
        'max_charge': chosen.maximum_charge,
    }


def _options(job: TrainingJob, plan: EpochPlan) -> dict[str, Any]:
    """Return the options of the trainer."""
    chosen: PetHyperparameters = job.hyperparameters
    numbers = {atomic_numbers[element]: float(job.atomic_energies[element]) for element in job.elements}
    mean_square = {'type': 'mse', 'weight': float(chosen.energy_weight)}
    force_loss = {'type': 'mse', 'weight': float(chosen.force_weight)}
    return {
        'seed': job.seed,
        'device': job.device,
        'base_precision': 32 if job.precision is Precision.SINGLE else 64,
        'architecture': {
            'name': NAME,
            # Given, so that the model knows elements that the training set lacks.
            'atomic_types': sorted(numbers),
            'model': _model_options(chosen),
            'training': {
                'batch_size': chosen.batch_size,
                'num_epochs': plan.n_epochs,
                'warmup_fraction': float(chosen.warmup_fraction),
                'learning_rate': float(chosen.learning_rate),
                'log_interval': plan.evaluation_interval,
                'checkpoint_interval': plan.evaluation_interval,
                # Given for each element, so that nothing is fitted.
                'atomic_baseline': {TARGET: dict(sorted(numbers.items()))},
                # In the process itself: worker processes would draw random numbers of their own.
                'num_workers': 0,
                'log_mae': False,
                'best_model_metric': 'loss',
                'grad_clip_norm': float(chosen.gradient_clip),
                'loss': {TARGET: {**mean_square, 'forces': force_loss}},
            },
        },
        'training_set': _dataset(TRAINING_FILE, chosen),
        'validation_set': _dataset(VALIDATION_FILE, chosen),
        # Errors are taken by the evaluation that all architectures share; here they would cost another pass.
        'test_set': 0.0,
        'final_eval': False,
    }
