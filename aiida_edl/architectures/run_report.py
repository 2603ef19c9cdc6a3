"""What ``drivers/run_commands.py`` reports of a job, and which outcome of a training follows from it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aiida_edl.architectures.base import LearningCurve, TrainingOutcome, TrainingResult

RUN_REPORT = 'run_commands.json'
"""File the driver writes."""
TAIL_BYTES = 65536
"""Part of an output file, from its end, that is read."""
DIVERGENCE_FACTOR = 10.0
"""By how much the force error may rise above that of the first point; dimensionless, chosen here."""
LARGEST_ENERGY_ERROR = 100.0
"""Error above which a trained model cannot be meant seriously [eV/atom]; chosen here."""
OUTCOME_OF_COMMAND = {
    'out_of_memory': TrainingOutcome.OUT_OF_MEMORY,
    'device_lost': TrainingOutcome.DEVICE_LOST,
    'device_missing': TrainingOutcome.DEVICE_MISSING,
    'version_differs': TrainingOutcome.VERSION_DIFFERS,
    'timed_out': TrainingOutcome.OUT_OF_WALLTIME,
    'terminated': TrainingOutcome.OUT_OF_WALLTIME,
}
"""Outcomes of a command that say by themselves how the training ended."""
FAILURES_OF_EXPORT = ('failed', 'out_of_memory')
"""Outcomes of an export that are no fault of the training before it: with a smaller batch it would be done again."""

HOW_COMMAND_ENDED = {
    'failed': 'failed',
    'out_of_memory': 'ran out of memory',
    'device_lost': 'lost its accelerator',
    'device_missing': 'was not run',
    'version_differs': 'was not run',
    'timed_out': 'was stopped at its time limit',
    'terminated': 'was told to stop from outside',
    'running': 'was still running when the job was killed',
    'not_run': 'was not run',
}
"""Outcomes of a command in words."""


@dataclass(frozen=True)
class CommandReport:
    """How one command ended."""

    stdout: str
    """File with its output."""
    is_export: bool
    """Whether it exports the model."""
    outcome: str
    """``'finished'``, ``'failed'``, ``'out_of_memory'``, ``'device_lost'``, ``'device_missing'``,
    ``'version_differs'``, ``'timed_out'``, ``'terminated'``, ``'running'`` or ``'not_run'``."""
    returncode: int | None
    """Return code, negative for a signal; None if it did not end."""
    wall_seconds: float | None
    """Time it took [s]; None if it did not end."""


@dataclass(frozen=True)
class TrainingLog:
    """What an architecture read from the files of its trainer, before the outcome is judged."""

    learning_curve: LearningCurve | None
    """None if no point was logged."""
    gradient_updates_done: int
    """Optimiser steps done, all restarts together; without those that a restart from the checkpoint does again."""
    is_complete: bool
    """Whether the trainer said that it reached its target."""
    model_path: str
    """Where the exported model should be, relative to the folder: a file or a folder."""
    checkpoint_files: tuple[str, ...]
    """Files from which the training can go on, relative to the folder; empty if there is no checkpoint."""
    last_line: str
    """Last line of the trainer's output, in words for a message."""
    reported_divergence: str | None = None
    """One sentence if the trainer itself said that it diverged."""


def read_run_report(folder: Path) -> tuple[CommandReport, ...] | None:
    """Return how the commands ended, None if there is no readable report.

    :param folder: folder with the retrieved files.
    """
    try:
        document = json.loads((folder / RUN_REPORT).read_text(encoding='utf-8'))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return tuple(
        CommandReport(
            stdout=str(entry['stdout']),
            is_export=bool(entry['is_export']),
            outcome=str(entry['outcome']),
            returncode=entry['returncode'],
            wall_seconds=entry['wall_seconds'],
        )
        for entry in document['commands']
    )


def read_tail(path: Path) -> str:
    """Return the last part of a text file, ``''`` if there is none.

    :param path: the file.
    """
    if not path.is_file():
        return ''
    with path.open('rb') as handle:
        handle.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return handle.read().decode(errors='replace')


def last_line(path: Path) -> str:
    """Return the last line of a text file that is not empty, in words for a message.

    :param path: the file.
    """
    lines = [line.strip() for line in read_tail(path).splitlines() if line.strip()]
    return f"the last line of {path.name} is '{lines[-1]}'" if lines else f'{path.name} is empty'


def outcome_of_commands(folder: Path) -> tuple[TrainingOutcome, str]:
    """Return how a training ended as far as its commands tell, and one sentence that says why.

    :param folder: folder with the retrieved files.
    """
    commands = read_run_report(folder)
    if commands is None:
        return TrainingOutcome.LOG_INCOMPLETE, f'{RUN_REPORT} is missing or truncated'
    for command in commands:
        if command.outcome == 'finished':
            continue
        seen = last_line(folder / command.stdout)
        if command.is_export and command.outcome in FAILURES_OF_EXPORT:
            outcome = TrainingOutcome.EXPORT_FAILED
        elif command.outcome in OUTCOME_OF_COMMAND:
            outcome = OUTCOME_OF_COMMAND[command.outcome]
        else:
            outcome = TrainingOutcome.LOG_INCOMPLETE
        after = '' if command.wall_seconds is None else f' after {command.wall_seconds:.0f} s'
        code = '' if command.returncode is None else f' with return code {command.returncode}'
        how = HOW_COMMAND_ENDED[command.outcome]
        return outcome, f'the command that writes {command.stdout} {how}{after}{code}, and {seen}'
    return TrainingOutcome.FINISHED, 'all commands finished'


def divergence(curve: LearningCurve) -> str | None:
    """Return one sentence if a training diverged, else None.

    It did if an error or a loss is not a finite number, if the last force error on the validation set exceeds the first
    by more than :data:`DIVERGENCE_FACTOR`, or if the last energy error exceeds :data:`LARGEST_ENERGY_ERROR`: networks
    that have saturated have energies beyond all bounds and no forces.

    :param curve: learning curve with at least one point.
    """
    errors = {'energy error': curve.validation_energy_rmse, 'force error': curve.validation_force_rmse}
    for name, values in errors.items():
        if not np.isfinite(values).all():
            first = int(np.flatnonzero(~np.isfinite(values))[0])
            return f'the validation {name} is {values[first]} after {curve.gradient_updates[first]} gradient updates'
    # NaN may mean that no loss was reported for this point, so only the last one can tell, and only after updates.
    has_trained = len(curve.training_loss) > 1 and curve.gradient_updates[-1] > curve.gradient_updates[-2]
    if has_trained and not np.isfinite(curve.training_loss[-1]):
        return f'the training loss is {curve.training_loss[-1]} after {curve.gradient_updates[-1]} gradient updates'
    forces = curve.validation_force_rmse
    if forces[-1] > DIVERGENCE_FACTOR * forces[0]:
        return (
            f'the validation force error rose from {forces[0]:.3g} to {forces[-1]:.3g} eV/Å '
            f'in {curve.gradient_updates[-1]} gradient updates'
        )
    if (energy := curve.validation_energy_rmse[-1]) > LARGEST_ENERGY_ERROR:
        return (
            f'the validation energy error is {energy:.3g} eV/atom after {curve.gradient_updates[-1]} gradient updates'
        )
    return None


def is_there(model: Path) -> bool:
    """Return whether a model is a file with something in it, or a folder that holds such files."""
    files = list(model.rglob('*')) if model.is_dir() else [model]
    return any(path.is_file() and path.stat().st_size for path in files)


def judge_training(folder: Path, log: TrainingLog) -> TrainingResult:
    """Return the result of a training from its log and from how its commands ended.

    :param folder: folder with the retrieved files.
    :param log: what the architecture read.
    """
    outcome, message = outcome_of_commands(folder)
    diverged = log.reported_divergence
    if diverged is None and log.learning_curve is not None:
        diverged = divergence(log.learning_curve)
    model_path = log.model_path if is_there(folder / log.model_path) else None
    if diverged is not None:
        outcome, message = TrainingOutcome.LOSS_DIVERGED, diverged
    elif outcome is TrainingOutcome.LOG_INCOMPLETE and log.is_complete and model_path is None:
        outcome = TrainingOutcome.EXPORT_FAILED
    elif outcome is TrainingOutcome.FINISHED and (not log.is_complete or log.learning_curve is None):
        outcome, message = TrainingOutcome.LOG_INCOMPLETE, f'the log does not reach its end, and {log.last_line}'
    elif outcome is TrainingOutcome.FINISHED and model_path is None:
        outcome, message = TrainingOutcome.EXPORT_FAILED, f'the model {log.model_path} is missing or empty'
    return TrainingResult(
        outcome=outcome,
        learning_curve=log.learning_curve,
        model_path=model_path,
        checkpoint_files=log.checkpoint_files,
        gradient_updates_done=log.gradient_updates_done,
        message=message,
    )
