"""What AiiDA asks of a job while it runs, and for what it ends one before its walltime.

A run that becomes too hot or loses atoms is ended by its own program at once, see the exit code 451. A program that
hangs cannot tell; from outside it shows by files that stop growing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from aiida.orm import CalcJobNode
from aiida.schedulers import JobState
from aiida.transports import Transport

from aiida_edl.calculations.jobs import RUN_COMMANDS_OUTPUT
from aiida_edl.md_engines import ase as ase_engine
from aiida_edl.md_engines.lammps import STDOUT as LAMMPS_OUTPUT

MD_STALL = 'edl.md_stall'
"""Entry point of :func:`stop_stalled_dynamics`."""
STALL_SECONDS = 1800.0
"""Default of how long a job may write nothing [s]."""
FLUSH_INTERVALS = 2
"""Least number of times that a healthy program must have been due to write before it counts as stalled."""
STALLED = 'the program has written nothing for'
"""How the message of a job that was ended so begins."""
STOPPED_BY_MONITOR = 150
"""Exit status of AiiDA for a job that a monitor has ended."""


def stop_stalled_dynamics(node: CalcJobNode, transport: Transport, stall_seconds: float = STALL_SECONDS) -> str | None:
    """Return one sentence, for which AiiDA ends the job, if none of its output files has changed for too long.

    Files count that come back at the end. A job that waits in the queue, is suspended, or whose code has not begun is
    left alone. Times are those of the computer, its files and its clock.

    :param node: the job.
    :param transport: open connection to its computer.
    :param stall_seconds: how long it may write nothing [s].
    :raises OSError: if the computer does not tell the time.
    """
    if node.get_scheduler_state() is not JobState.RUNNING:
        return None
    folder = PurePosixPath(node.get_remote_workdir())
    if not any(transport.isfile(str(folder / name)) for name in (RUN_COMMANDS_OUTPUT, LAMMPS_OUTPUT)):
        return None
    entries = [*(node.get_retrieve_list() or ()), *(node.get_retrieve_temporary_list() or ())]
    patterns = [entry if isinstance(entry, str) else entry[0] for entry in entries]
    paths = {path for pattern in patterns for path in transport.glob(str(folder / pattern))}
    newest, name = max((float(transport.get_attribute(path).st_mtime), path) for path in paths)
    status, output, error = transport.exec_command_wait('date +%s')
    if status != 0:
        raise OSError(f"'date' failed on computer {node.computer.label}: {error.strip()}")
    silent = float(output) - newest
    if silent <= stall_seconds:
        return None
    return f'{STALLED} {silent:.0f} s, allowed are {stall_seconds:.0f} s; the last was {PurePosixPath(name).name}'


def validate_monitors(inputs: Mapping[str, Any]) -> str | None:
    """Return one sentence if a monitor would end a healthy run: the programs write at intervals.

    :param inputs: inputs of a calculation of molecular dynamics.
    """
    shortest = FLUSH_INTERVALS * ase_engine.FLUSH_INTERVAL_SECONDS
    for key, monitor in (inputs.get('monitors') or {}).items():
        if monitor.get_dict().get('entry_point') != MD_STALL:
            continue
        given = monitor.get_dict().get('kwargs', {}).get('stall_seconds', STALL_SECONDS)
        if not isinstance(given, (int, float)) or isinstance(given, bool) or not given >= shortest:
            return (
                f'stall_seconds of monitor {key} is {given!r}, but a healthy run may write nothing for '
                f'{ase_engine.FLUSH_INTERVAL_SECONDS:.0f} s; give {shortest:.0f} or more'
            )
    return None


def has_stalled(node: CalcJobNode) -> bool:
    """Return whether a calculation was ended because it wrote nothing.

    :param node: a calculation that has ended.
    """
    return node.exit_status == STOPPED_BY_MONITOR and (node.exit_message or '').startswith(STALLED)
