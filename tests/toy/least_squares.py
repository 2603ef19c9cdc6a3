"""Toy architecture: a pair potential by linear least squares, with the interface of the real ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

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
from aiida_edl.architectures.bindings import AseBinding
from aiida_edl.architectures.run_report import TrainingLog, judge_training, last_line, read_tail
from aiida_edl.architectures.training_data import (
    check_training_job,
    energies_and_forces_only,
    subtract_atomic_energies,
)

SOURCE = Path(__file__).with_name('least_squares_calculator.py')
PROGRAM = 'least_squares_program.py'
INPUT = 'training.json'
MODEL = 'least_squares_calculator.py'
CHECKPOINT = 'checkpoint.npz'
LOG = 'log.jsonl'
STDOUT = 'train.out'
EXPORT_STDOUT = 'export.out'
COMPLETE = 'training complete'


@dataclass(frozen=True)
class LeastSquaresHyperparameters:
    """Hyperparameters of the pair potential and of its training."""

    cutoff_radius: float = 4.0
    """Cutoff radius [Å]."""
    n_radial_functions: int = 12
    """Gaussians of the distance for each pair of elements; dimensionless."""
    batch_size: int = 8
    """Frames whose features are held in memory at once; the result does not depend on it; dimensionless."""
    learning_rate: float = 0.7
    """Fraction of the way to the least-squares solution that one update goes; above 2 it diverges; dimensionless."""
    energy_weight: float = 1.0
    """Weight of the squared energy error per atom over that of force components [1/Å²]."""
    pause_seconds: float = 0.0
    """Time to wait after each update, so that a training can be made to meet its walltime [s]."""


class LeastSquares(Architecture):
    """Pair potential, linear in its coefficients; its gradient updates are damped least-squares steps."""

    name = 'least_squares'
    references = (
        Reference(
            title='Interatomic Potentials from First-Principles Calculations: The Force-Matching Method',
            authors='F. Ercolessi, J. B. Adams',
            year=1994,
            doi='10.1209/0295-5075/26/8/005',
        ),
    )
    hyperparameters_class = LeastSquaresHyperparameters
    bindings: ClassVar[Mapping[str, AseBinding]] = {
        # The model file is the module itself, with the coefficients written into it.
        'ase': AseBinding(module='least_squares_calculator', attribute='LeastSquaresCalculator')
    }
    model_file_name = MODEL
    packages = ('numpy', 'ase')
    install_command = 'pip install ase'
    embeds_atomic_energies = False

    def cutoff_radius(self, hyperparameters: LeastSquaresHyperparameters) -> float:
        """Return the cutoff radius [Å]."""
        return float(hyperparameters.cutoff_radius)

    def n_layers(self, hyperparameters: LeastSquaresHyperparameters) -> int:
        """Return 1: the model is strictly local."""
        return 1

    def training_files(self, job: TrainingJob) -> Mapping[str, bytes]:
        """Return the program, its input and the frames."""
        check_training_job(job, min(job.hyperparameters.batch_size, len(job.training_set)))
        settings = {
            **asdict(job.hyperparameters),
            'elements': list(job.elements),
            'gradient_updates': job.gradient_updates,
            'seed': job.seed,
            'precision': job.precision.value,
            'is_restart': job.is_restart,
            **({} if job.parent is None else {'parent': job.parent.path}),
        }
        files = {PROGRAM: SOURCE.read_bytes(), INPUT: (json.dumps(settings, indent=2, sort_keys=True) + '\n').encode()}
        for name, frames in (('training', job.training_set), ('validation', job.validation_set)):
            reduced = subtract_atomic_energies(energies_and_forces_only(frames), job.atomic_energies)
            files[f'{name}.npz'] = reduced.to_npz_bytes()
        return files

    def commands(self, job: TrainingJob) -> Sequence[Command]:
        """Return two commands: train, then export."""
        return (
            Command((PROGRAM, 'train'), STDOUT, timeout_seconds=job.walltime_seconds),
            Command((PROGRAM, 'export'), EXPORT_STDOUT, is_export=True),
        )

    def retrieve(self, job: TrainingJob) -> Retrieval:
        """Keep the model, the checkpoint and the logs."""
        return Retrieval(keep=(MODEL, CHECKPOINT, LOG, STDOUT, EXPORT_STDOUT))

    def read_training(self, folder: Path) -> TrainingResult:
        """Read the log of the program, one JSON object a line, and judge how the training ended."""
        curve = read_log(folder / LOG)
        log = TrainingLog(
            learning_curve=curve,
            gradient_updates_done=0 if curve is None else int(curve.gradient_updates[-1]),
            is_complete=COMPLETE in read_tail(folder / STDOUT),
            model_path=MODEL,
            checkpoint_files=(CHECKPOINT, LOG) if (folder / CHECKPOINT).is_file() else (),
            last_line=last_line(folder / STDOUT),
        )
        return judge_training(folder, log)


def read_log(path: Path) -> LearningCurve | None:
    """Return the learning curve, None if there is no row; a truncated last line is left out."""
    rows: dict[int, tuple[float, float, float]] = {}
    for line in path.read_text(encoding='utf-8').splitlines(keepends=True) if path.is_file() else ():
        if line.endswith('\n'):
            row = json.loads(line)
            rows[int(row['updates'])] = (row['energy_rmse'], row['force_rmse'], row['loss'])
    if not rows:
        return None
    energies, forces, losses = (np.array(column) for column in zip(*rows.values()))
    return LearningCurve(np.array(list(rows), dtype=np.int64), energies, forces, losses)
