"""What the models of mace-torch share: how its trainer is told what to train, and read back."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from ase.data import atomic_numbers

from aiida_edl.architectures.base import (
    Architecture,
    Command,
    Reference,
    Retrieval,
    TrainingJob,
    TrainingResult,
    check_below,
    check_positive,
)
from aiida_edl.architectures.bindings import DEVICE, MODEL_PATH, PRECISION, TOTAL_CHARGE, AseBinding
from aiida_edl.architectures.fine_tuning import FineTuningMode
from aiida_edl.architectures.mace_fine_tuning import (
    PROGRAM,
    REPLAY_FILE,
    check_start,
    export_command,
    fine_tuning_options,
    program_files,
    replayed_frames,
)
from aiida_edl.architectures.mace_log import (
    HEAD,
    newest_whole_checkpoint,
    plan_epochs,
    read_atomic_energies,
    read_results,
)
from aiida_edl.architectures.run_report import TrainingLog, judge_training, last_line, read_tail
from aiida_edl.architectures.training_data import (
    check_no_isolated_atoms,
    check_training_job,
    energies_and_forces_only,
    total_charges,
)
from aiida_edl.science.formats.extended_xyz import KeyMapping, write_extended_xyz
from aiida_edl.science.frames import FrameSet

STDOUT = 'train.out'
EXPORT_STDOUT = 'export.out'
TRAINING_FILE = 'training.xyz'
VALIDATION_FILE = 'validation.xyz'
ENERGY_KEY = 'REF_energy'
FORCES_KEY = 'REF_forces'
CHARGE_KEY = 'total_charge'
COMPLETE = 'Training complete'
"""What the trainer prints when it has done its last epoch, before it saves the model."""

MACE = Reference(
    title='MACE: Higher Order Equivariant Message Passing Neural Networks for Fast and Accurate Force Fields',
    authors='I. Batatia, D. P. Kovács, G. N. C. Simm, C. Ortner, G. Csányi',
    year=2022,
    doi='10.48550/arXiv.2206.07697',
)
"""The architecture, to be cited with every model of it."""


@dataclass(frozen=True)
class MaceTorchHyperparameters:
    """Hyperparameters of the network and of its training, the same for all models of mace-torch."""

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
    charge_column: str = ''
    """Column of the frames that the model takes as total charge [e], ``metal_charge`` follows from the atoms; empty for
    a model that is told no charge."""
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


def check_mace_hyperparameters(chosen: Any, architecture: str, may_vanish: Sequence[str] = ()) -> None:
    """Check the ranges of hyperparameters.

    :param chosen: the hyperparameters.
    :param architecture: its name, for the message.
    :param may_vanish: further fields that may be zero.
    :raises HyperparameterError: with the name, the value and the remedy.
    """
    check_positive(chosen, architecture, may_vanish=('max_l', 'energy_weight', 'ema_decay', *may_vanish))
    check_below(chosen, architecture, 'ema_decay', 1)


def mace_binding(model_type: str) -> AseBinding:
    """Return how ASE loads a model.

    :param model_type: what the calculator calls the kind of model.
    """
    return AseBinding(
        module='mace.calculators',
        attribute='MACECalculator',
        keyword_arguments={
            'model_paths': MODEL_PATH,
            'device': DEVICE,
            'default_dtype': PRECISION,
            'model_type': model_type,
        },
        info={'charge': TOTAL_CHARGE},
        atomic_energies='ase',
    )


class MaceArchitecture(Architecture):
    """A model of mace-torch; a subclass has the options of its kind of model."""

    packages: ClassVar[tuple[str, ...]] = ('mace-torch', 'torch', 'e3nn', 'matscipy', 'ase', 'numpy')
    install_command = 'aiida-edl environment create mace'
    environment = 'mace'
    embeds_atomic_energies = True
    fine_tuning_modes: ClassVar[tuple[FineTuningMode, ...]] = (
        FineTuningMode.NAIVE,
        FineTuningMode.LORA,
        FineTuningMode.MULTIHEAD_REPLAY,
    )
    references: ClassVar[tuple[Reference, ...]] = (MACE,)

    @abc.abstractmethod
    def model_options(self, hyperparameters: Any) -> Mapping[str, Any]:
        """Return the options of the trainer that say which kind of model it trains.

        :param hyperparameters: the hyperparameters.
        """

    def prepared(self, frames: FrameSet, job: TrainingJob) -> FrameSet:
        """Return frames as the model will see them, with their columns.

        :param frames: labelled frames.
        :param job: the training.
        """
        return frames

    def cutoff_radius(self, hyperparameters: MaceTorchHyperparameters) -> float:
        """Return the cutoff radius of one layer [Å]."""
        return float(hyperparameters.cutoff_radius)

    def n_layers(self, hyperparameters: MaceTorchHyperparameters) -> int:
        """Return the number of message-passing layers."""
        return hyperparameters.n_interactions

    def total_charge_column(self, hyperparameters: MaceTorchHyperparameters) -> str | None:
        """Return the column of the frames that the model takes as total charge [e]; None if it is told none."""
        return hyperparameters.charge_column or None

    @property
    def checkpoints(self) -> str:
        """Glob of the checkpoints."""
        return f'checkpoints/{self.name}_run-*_epoch-*.pt'

    @property
    def results(self) -> str:
        """Glob of the log of errors."""
        return f'results/{self.name}_run-*_train.txt'

    def training_files(self, job: TrainingJob) -> Mapping[str, bytes]:
        """Return the frames as extended XYZ with the label keys the trainer is told.

        :raises TrainingJobError: if the job cannot be done.
        """
        check_training_job(job, job.hyperparameters.batch_size)
        cutoff_radius = self.cutoff_radius(job.hyperparameters)
        check_start(job, cutoff_radius, self.n_layers(job.hyperparameters))
        sets = {TRAINING_FILE: job.training_set, VALIDATION_FILE: job.validation_set}
        if job.replay_set is not None:
            sets[REPLAY_FILE] = job.replay_set
        files: dict[str, bytes] = {}
        for name, frames in sets.items():
            check_no_isolated_atoms(frames, name.removesuffix('.xyz'), cutoff_radius)
            files[name] = self._extended_xyz(frames, name, job)
        return {**files, **program_files(job)}

    def _extended_xyz(self, frames: FrameSet, name: str, job: TrainingJob) -> bytes:
        """Return frames with energies, forces and, if it was asked for, the total charge, and nothing else."""
        column = self.total_charge_column(job.hyperparameters)
        reduced = energies_and_forces_only(self.prepared(frames, job))
        if column is not None:
            reduced = reduced.with_columns(**{CHARGE_KEY: total_charges(frames, column)})
        if name == REPLAY_FILE:
            reduced = replayed_frames(reduced, job)
        return write_extended_xyz(reduced, KeyMapping(energy=ENERGY_KEY, forces=FORCES_KEY))

    def commands(self, job: TrainingJob) -> Sequence[Command]:
        """Return the command that trains and saves the model, and one that takes out its new head if it has two."""
        flags = ['--ema', '--save_all_checkpoints', *(['--restart_latest'] if job.is_restart else [])]
        options = [f'--{name}={value}' for name, value in self._options(job).items()]
        program = ('-m', 'mace.cli.run_train') if job.parent is None else (PROGRAM,)
        train = Command(
            arguments=(*program, *options, *flags),
            stdout=STDOUT,
            timeout_seconds=job.walltime_seconds,
            keep_newest=(self.checkpoints,),
        )
        return (train, *export_command(job, self.model_file_name, EXPORT_STDOUT))

    def retrieve(self, job: TrainingJob) -> Retrieval:
        """Keep the model, the newest checkpoint and the logs."""
        # The last is a glob because most trainings need no export and leave no such file.
        return Retrieval(keep=(self.model_file_name, self.checkpoints, self.results, STDOUT, 'export*.out'))

    def read_training(self, folder: Path) -> TrainingResult:
        """Read the log of the trainer, one JSON object a line, and judge how the training ended."""
        results = sorted(folder.glob(self.results))
        curve, updates = read_results(results[-1]) if results else (None, 0)
        checkpoint = newest_whole_checkpoint(folder, self.checkpoints)
        # The log belongs to the checkpoint: a restart appends to it.
        kept = [checkpoint, *results] if checkpoint is not None else []
        is_complete = COMPLETE in read_tail(folder / STDOUT)
        log = TrainingLog(
            learning_curve=curve,
            # The checkpoint is written at an evaluation: updates after the last one are lost.
            gradient_updates_done=updates if is_complete or curve is None else int(curve.gradient_updates[-1]),
            is_complete=is_complete,
            model_path=self.model_file_name,
            checkpoint_files=tuple(path.relative_to(folder).as_posix() for path in kept),
            last_line=last_line(folder / STDOUT),
        )
        return replace(judge_training(folder, log), atomic_energies=read_atomic_energies(folder / STDOUT))

    def _options(self, job: TrainingJob) -> dict[str, Any]:
        """Return the options of the trainer."""
        chosen: MaceTorchHyperparameters = job.hyperparameters
        n_frames = len(job.training_set) + (0 if job.replay_set is None else len(job.replay_set))
        plan = plan_epochs(n_frames, chosen.batch_size, job.gradient_updates, chosen.n_evaluations)
        numbers = {atomic_numbers[element]: float(job.atomic_energies[element]) for element in job.elements}
        return {
            'name': self.name,
            **self.model_options(chosen),
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
            'skip_evaluate_heads': HEAD,
            'plot': False,
            # The trainer would otherwise stop early, and updates could not be compared.
            'patience': plan.n_epochs + 1,
            **fine_tuning_options(job),
        }
