"""SevenNet: equivariant message passing, from scratch or from a foundation model, trained by the package sevenn."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

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
from aiida_edl.architectures.bindings import DEVICE, MODEL_PATH, AseBinding
from aiida_edl.architectures.fine_tuning import AtomicEnergyPolicy, FineTuning, FineTuningMode, ParentModel
from aiida_edl.architectures.precision import Precision
from aiida_edl.architectures.run_report import TrainingLog, judge_training, last_line, read_tail
from aiida_edl.architectures.sevennet_log import (
    CHECKPOINTS,
    EPOCHS,
    TABLES,
    epoch_of,
    newest_whole_checkpoint,
    read_tables,
    tables,
    updates_per_epoch_of,
)
from aiida_edl.architectures.training_data import check_training_job, energies_and_forces_only, steps_with_evaluations
from aiida_edl.science.formats.extended_xyz import KeyMapping, write_extended_xyz

NAME = 'sevennet'
STDOUT = 'train.out'
EXPORT_STDOUT = 'export.out'
INPUT = 'input.yaml'
TRAINING_FILE = 'training.extxyz'
VALIDATION_FILE = 'validation.extxyz'
MODEL = f'{NAME}.pth'
PARENT_STDOUT = 'parent.out'
PARENT_SETTINGS = 'parent.json'
PREPARED_PARENT = 'start.pth'
ENERGY_KEY = 'REF_energy'
FORCES_KEY = 'REF_forces'
COMPLETE = 'Total wall time'
"""What the trainer prints when it has done its last epoch."""
PREPARE_PARENT = """
import json, sys, torch, sevenn.checkpoint
settings = json.load(open('parent.json'))
config = sevenn.checkpoint.SevenNetCheckpoint(settings['path']).config
other = {name: config.get(name) for name, value in settings['model'].items() if config.get(name) != value}
if other:
    sys.exit(f'the parent was built with {other}, the hyperparameters say otherwise; use those of the parent')
checkpoint = torch.load(settings['path'], map_location='cpu', weights_only=False)
shift = checkpoint['model_state_dict']['rescale_atomic_energy.shift']
if shift.numel() != len(config['_type_map']):
    sys.exit('the parent has one atomic energy for all elements; give a parent with one for each')
for number, energy in settings['atomic_energies'].items():
    shift[config['_type_map'][int(number)]] = energy
torch.save(checkpoint, 'start.pth')
"""
"""Program that compares the parent with the hyperparameters, as the trainer loads what fits and keeps quiet about the
rest, and replaces its atomic energies."""
EXPORT = """
import torch
checkpoint = torch.load('checkpoint_{epoch}.pth', map_location='cpu', weights_only=False)
checkpoint['optimizer_state_dict'] = checkpoint['scheduler_state_dict'] = {{}}
torch.save(checkpoint, 'sevennet.pth')
"""
"""Program that saves the weights of the last epoch without the state of the optimiser."""


@dataclass(frozen=True)
class SevennetHyperparameters:
    """Hyperparameters of a SevenNet potential and of its training."""

    cutoff_radius: float = 5.0
    """Cutoff radius of one layer [Å]."""
    smoothing_radius: float = 0.0
    """Distance from which the weight of a neighbour is led to zero by the XPLOR function [Å]; 0 for a polynomial that
    does so from the atom on."""
    n_channels: int = 32
    """Channels of each feature; dimensionless."""
    max_l: int = 2
    """Highest angular momentum of the features; dimensionless."""
    features: str = ''
    """Irreducible representations between the layers, separated by blanks, the first before the first layer; '' for
    all angular momenta with all channels; dimensionless."""
    self_connection: str = 'nequip'
    """How an atom is coupled to itself: 'nequip', or 'linear' for models of many elements; dimensionless."""
    n_interactions: int = 3
    """Message-passing layers; the receptive field is this times the cutoff radius; dimensionless."""
    n_radial_functions: int = 8
    """Bessel functions of the interatomic distance; dimensionless."""
    radial_network: tuple[int, ...] = (64, 64)
    """Widths of the hidden layers of the network that acts on the radial functions; dimensionless."""
    batch_size: int = 4
    """Frames per gradient update; the last update of an epoch has what is left over; dimensionless."""
    learning_rate: float = 0.005
    """Step size of the optimiser (Adam) at the beginning; dimensionless."""
    learning_rate_ratio: float = 0.01
    """Step size at the end over that at the beginning, lowered by the same factor each epoch; dimensionless."""
    huber_delta: float = 0.0
    """Error above which the loss grows linearly [eV/atom and eV/Å]; 0 for squared errors throughout."""
    force_weight: float = 0.1
    """Weight of the loss of force components; that of the energy per atom has the weight 1 [Å²]."""
    n_evaluations: int = 20
    """About how many checkpoints are written; the validation error is taken after each epoch; dimensionless."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises HyperparameterError: with the name, the value and the remedy.
        """
        check_positive(self, NAME, may_vanish=('smoothing_radius', 'max_l', 'huber_delta'))
        check_below(self, NAME, 'smoothing_radius', 'cutoff_radius')
        if self.self_connection not in ('nequip', 'linear'):
            raise HyperparameterError(
                f"hyperparameter 'self_connection' of sevennet is '{self.self_connection}', "
                "it must be 'nequip' or 'linear'"
            )
        if self.features and len(self.features.split()) != self.n_interactions + 1:
            raise HyperparameterError(
                f"hyperparameter 'features' of sevennet lists {len(self.features.split())} representations, "
                f'{self.n_interactions} layers need {self.n_interactions + 1}'
            )


class Sevennet(Architecture):
    """Equivariant message passing in the manner of NequIP, with foundation models that ship in the package."""

    name = NAME
    references = (
        Reference(
            title='Scalable Parallel Algorithm for Graph Neural Network Interatomic Potentials in Molecular Dynamics '
            'Simulations',
            authors='Y. Park, J. Kim, S. Hwang, S. Han',
            year=2024,
            doi='10.1021/acs.jctc.4c00190',
        ),
    )
    hyperparameters_class = SevennetHyperparameters
    bindings: ClassVar[Mapping[str, AseBinding]] = {
        'ase': AseBinding(
            module='sevenn.calculator',
            attribute='SevenNetCalculator',
            keyword_arguments={'model': MODEL_PATH, 'device': DEVICE},
            atomic_energies='ase',
        )
    }
    model_file_name = MODEL
    packages = ('sevenn', 'torch', 'e3nn', 'torch-geometric', 'matscipy', 'ase', 'numpy')
    install_command = 'aiida-edl environment create sevenn'
    environment = 'sevenn'
    embeds_atomic_energies = True
    fine_tuning_modes = (FineTuningMode.NAIVE,)
    precisions = (Precision.SINGLE,)

    def cutoff_radius(self, hyperparameters: SevennetHyperparameters) -> float:
        """Return the cutoff radius of one layer [Å]."""
        return float(hyperparameters.cutoff_radius)

    def n_layers(self, hyperparameters: SevennetHyperparameters) -> int:
        """Return the number of message-passing layers."""
        return hyperparameters.n_interactions

    def training_files(self, job: TrainingJob) -> Mapping[str, bytes]:
        """Return the input of the trainer, and the training and the validation set as extended XYZ.

        :raises TrainingJobError: if the job cannot be done.
        """
        chosen: SevennetHyperparameters = job.hyperparameters
        check_training_job(job, chosen.batch_size)
        plan = _plan(job)
        keys = KeyMapping(energy=ENERGY_KEY, forces=FORCES_KEY)
        sets = {TRAINING_FILE: job.training_set, VALIDATION_FILE: job.validation_set}
        files = {
            INPUT: yaml.safe_dump(_trainer_input(job, plan), sort_keys=False).encode(),
            EPOCHS: (json.dumps({'updates_per_epoch': plan.updates_per_epoch}) + '\n').encode(),
            **{name: write_extended_xyz(energies_and_forces_only(frames), keys) for name, frames in sets.items()},
        }
        if job.parent is not None and job.fine_tuning is not None:
            settings = _parent_settings(job, job.parent, job.fine_tuning)
            files[PARENT_SETTINGS] = (json.dumps(settings, indent=2) + '\n').encode()
        return files

    def commands(self, job: TrainingJob) -> Sequence[Command]:
        """Return up to three commands: prepare the parent, train, and save the last weights alone."""
        train = Command(
            arguments=('-m', 'sevenn.main.sevenn', 'train', INPUT, '--screen'),
            stdout=STDOUT,
            timeout_seconds=job.walltime_seconds,
            keep_newest=(CHECKPOINTS,),
        )
        # A checkpoint beyond the last epoch, from a plan with other checkpoints, is exported as it is.
        epoch = max(_plan(job).n_epochs, epoch_of(_checkpoint(job)) if job.is_restart else 0)
        export = Command(('-c', EXPORT.format(epoch=epoch)), EXPORT_STDOUT, is_export=True)
        if job.parent is None or job.is_restart:
            return (train, export)
        return (Command(('-c', PREPARE_PARENT), PARENT_STDOUT), train, export)

    def retrieve(self, job: TrainingJob) -> Retrieval:
        """Keep the model, the newest checkpoint and the logs."""
        return Retrieval(keep=(MODEL, CHECKPOINTS, TABLES, EPOCHS, PARENT_STDOUT, STDOUT, EXPORT_STDOUT))

    def read_training(self, folder: Path) -> TrainingResult:
        """Read the tables of errors, one for each start, and judge how the training ended."""
        updates_per_epoch = updates_per_epoch_of(folder)
        checkpoint = newest_whole_checkpoint(folder)
        curve = read_tables(folder, updates_per_epoch)
        # A restart begins at the epoch of the checkpoint, whatever was logged after it.
        done = 0 if checkpoint is None else epoch_of(checkpoint) * updates_per_epoch
        kept = [checkpoint, *tables(folder)] if checkpoint is not None else []
        log = TrainingLog(
            learning_curve=curve,
            gradient_updates_done=done,
            is_complete=COMPLETE in read_tail(folder / STDOUT),
            model_path=MODEL,
            checkpoint_files=tuple(path.relative_to(folder).as_posix() for path in kept),
            last_line=last_line(folder / STDOUT),
        )
        return judge_training(folder, log)


@dataclass(frozen=True)
class _Plan:
    """Epochs that come to the asked number of gradient updates."""

    updates_per_epoch: int
    n_epochs: int
    checkpoint_interval: int


def _plan(job: TrainingJob) -> _Plan:
    """Return the smallest number of epochs that reaches the target and ends with a checkpoint."""
    chosen: SevennetHyperparameters = job.hyperparameters
    updates_per_epoch = math.ceil(len(job.training_set) / chosen.batch_size)
    at_least = math.ceil(job.gradient_updates / updates_per_epoch)
    return _Plan(updates_per_epoch, *steps_with_evaluations(at_least, chosen.n_evaluations))


def _model_options(chosen: SevennetHyperparameters) -> dict[str, Any]:
    """Return the options of the model, without the elements."""
    polynomial = {'cutoff_function_name': 'poly_cut', 'poly_cut_p_value': 6}
    smooth = {'cutoff_function_name': 'XPLOR', 'cutoff_on': float(chosen.smoothing_radius)}
    return {
        'cutoff': float(chosen.cutoff_radius),
        'channel': chosen.n_channels,
        'lmax': chosen.max_l,
        'is_parity': False,
        'num_convolution_layer': chosen.n_interactions,
        'irreps_manual': chosen.features.split() or False,
        'weight_nn_hidden_neurons': list(chosen.radial_network),
        'radial_basis': {'radial_basis_name': 'bessel', 'bessel_basis_num': chosen.n_radial_functions},
        'cutoff_function': smooth if chosen.smoothing_radius else polynomial,
        'self_connection_type': chosen.self_connection,
    }


def _parent_settings(job: TrainingJob, parent: ParentModel, settings: FineTuning) -> dict[str, Any]:
    """Return what the program that prepares the parent reads.

    :raises TrainingJobError: if the parent is of another shape, or the trainer lacks the policy of atomic energies.
    """
    chosen: SevennetHyperparameters = job.hyperparameters
    if (parent.cutoff_radius, parent.n_layers) != (chosen.cutoff_radius, chosen.n_interactions):
        raise TrainingJobError(
            f'the parent has {parent.n_layers} layers with a cutoff radius of {parent.cutoff_radius} Å, the '
            f'hyperparameters say {chosen.n_interactions} and {chosen.cutoff_radius} Å; use those of the parent'
        )
    if settings.atomic_energies is AtomicEnergyPolicy.ESTIMATED:
        raise TrainingJobError(
            "atomic_energies of fine_tuning is 'estimated', which the trainer of sevennet cannot do; "
            "use 'given' or 'parent'"
        )
    is_given = settings.atomic_energies is AtomicEnergyPolicy.GIVEN
    energies = {str(atomic_numbers[element]): float(job.atomic_energies[element]) for element in job.elements}
    return {
        'path': parent.path,
        'model': _model_options(chosen),
        'atomic_energies': energies if is_given else {},
    }


def _checkpoint(job: TrainingJob) -> Path:
    """Return the file from which a restart goes on: that of the latest epoch.

    :raises TrainingJobError: if the checkpoint holds none.
    """
    found = [path for path in map(Path, job.checkpoint_files) if path.match(CHECKPOINTS)]
    if not found:
        raise TrainingJobError(
            f'the checkpoint holds {", ".join(job.checkpoint_files) or "no file"}, sevennet goes on from a file '
            f'{CHECKPOINTS}; give a checkpoint that a training of sevennet left'
        )
    return max(found, key=epoch_of)


def _starting_point(job: TrainingJob) -> dict[str, Any]:
    """Return the checkpoint from which the trainer goes on, and what of its state it keeps."""
    if job.is_restart:
        return {'continue': {'checkpoint': _checkpoint(job).name}}
    if job.parent is None:
        return {}
    reset = dict.fromkeys(('reset_optimizer', 'reset_scheduler', 'reset_epoch'), True)
    return {'continue': {'checkpoint': PREPARED_PARENT, **reset}}


def _trainer_input(job: TrainingJob, plan: _Plan) -> dict[str, Any]:
    """Return the input of the trainer."""
    chosen: SevennetHyperparameters = job.hyperparameters
    # The trainer numbers elements by the alphabet.
    elements = sorted(job.elements)
    loss = {'loss': 'huber', 'loss_param': {'delta': float(chosen.huber_delta)}} if chosen.huber_delta else {}
    return {
        'model': {'chemical_species': elements, **_model_options(chosen)},
        'train': {
            'random_seed': job.seed,
            'device': job.device,
            'is_train_stress': False,
            'epoch': plan.n_epochs,
            'per_epoch': plan.checkpoint_interval,
            'optimizer': 'adam',
            'optim_param': {'lr': float(chosen.learning_rate)},
            'scheduler': 'exponentiallr',
            'scheduler_param': {'gamma': chosen.learning_rate_ratio ** (1.0 / max(plan.n_epochs - 1, 1))},
            'force_loss_weight': float(chosen.force_weight),
            'error_record': [['Energy', 'RMSE'], ['Force', 'ComponentRMSE'], ['TotalLoss', 'None']],
            **loss,
            **_starting_point(job),
        },
        'data': {
            'dtype': 'single' if job.precision is Precision.SINGLE else 'double',
            'batch_size': chosen.batch_size,
            'shift': [float(job.atomic_energies[element]) for element in elements],
            'scale': 'force_rms',
            'data_format_args': {'energy_key': ENERGY_KEY, 'force_key': FORCES_KEY, 'index': ':'},
            'load_trainset_path': [TRAINING_FILE],
            'load_validset_path': [VALIDATION_FILE],
        },
    }
