"""What ``drivers/run_commands.py`` reports of a job, and which outcome of a training follows from it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from aiida_edl.architectures.base import TrainingOutcome

RUN_REPORT = 'run_commands.json'
"""File the driver writes."""
TAIL_BYTES = 65536
"""Part of an output file, from its end, that is read."""
OUTCOME_OF_COMMAND = {
    'out_of_memory': TrainingOutcome.OUT_OF_MEMORY,
    'timed_out': TrainingOutcome.OUT_OF_WALLTIME,
    'terminated': TrainingOutcome.OUT_OF_WALLTIME,
}
"""Outcomes of a command that say by themselves how the training ended."""


@dataclass(frozen=True)
class CommandReport:
    """How one command ended."""

    stdout: str
    """File with its output."""
    is_export: bool
    """Whether it exports the model."""
    outcome: str
    """``'finished'``, ``'failed'``, ``'out_of_memory'``, ``'timed_out'``, ``'terminated'``, ``'running'`` or
    ``'not_run'``."""
    returncode: int | None
    """Return code, negative for a signal; None if it did not end."""
    wall_seconds: float | None
    """Time it took [s]; None if it did not end."""


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
        if command.outcome in OUTCOME_OF_COMMAND:
            outcome = OUTCOME_OF_COMMAND[command.outcome]
        elif command.is_export and command.outcome == 'failed':
            outcome = TrainingOutcome.EXPORT_FAILED
        else:
            outcome = TrainingOutcome.LOG_INCOMPLETE
        after = '' if command.wall_seconds is None else f' after {command.wall_seconds:.0f} s'
        code = '' if command.returncode is None else f' with return code {command.returncode}'
        state = command.outcome.replace('_', ' ')
        return outcome, f'the command that writes {command.stdout} was {state}{after}{code}, and {seen}'
    return TrainingOutcome.FINISHED, 'all commands finished'
