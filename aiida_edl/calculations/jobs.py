"""What a job of a calculation consists of: programs, files and commands as plain values, and how AiiDA stages them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files as package_files
from typing import Any

from aiida.common.datastructures import CalcInfo, CodeInfo, CodeRunMode
from aiida.common.folders import Folder
from aiida.orm import AbstractCode, FolderData

from aiida_edl.architectures.base import Command, Retrieval

RUN_COMMANDS = 'run_commands.py'
"""Driver that runs the commands one after the other in the environment of the code."""
COMMANDS_FILE = 'commands.json'
"""What it reads."""
RUN_COMMANDS_REPORT = 'run_commands.json'
"""What it writes: return codes, times, versions."""
RUN_COMMANDS_OUTPUT = 'run_commands.out'
"""Standard output and error of the driver itself."""
WALLTIME_MARGIN_SECONDS = 120.0
"""Largest part of the walltime that a program leaves for stopping in good order [s]."""
WALLTIME_MARGIN_FRACTION = 0.1
"""The same, as a fraction of the walltime, for short jobs."""
LARGE_FILE_BYTES = 100_000
"""Size from which a file that follows from the input nodes is not stored with the calculation again."""


@dataclass(frozen=True)
class NodeFile:
    """A file that already is part of an input node and is copied from there to the computer."""

    uuid: str
    """Node that holds the file."""
    source: str
    """Path inside the node."""
    target: str
    """Path in the working directory."""


@dataclass(frozen=True)
class JobFiles:
    """Everything a job needs in its working directory."""

    files: Mapping[str, bytes]
    """Content by relative path."""
    node_files: Sequence[NodeFile] = ()
    """Files copied from input nodes."""
    derived: Sequence[str] = ()
    """Paths of ``files`` that input nodes hold already; they are not stored once more with the calculation."""
    retrieval: Retrieval = field(default_factory=lambda: Retrieval(keep=()))
    """What comes back."""
    needed_versions: Mapping[str, str] = field(default_factory=dict)
    """Version that a distribution must have, or no command of the job runs."""


def driver_source(name: str) -> bytes:
    """Return the source of a program of :mod:`aiida_edl.drivers`.

    :param name: file name, e.g. ``'evaluate_model.py'``.
    """
    return package_files('aiida_edl.drivers').joinpath(name).read_bytes()


def to_json_bytes(values: Mapping[str, Any]) -> bytes:
    """Return JSON with sorted keys: the same values give the same bytes."""
    return (json.dumps(values, indent=2, sort_keys=True) + '\n').encode()


def commands_document(
    commands: Sequence[Command],
    packages: Sequence[str],
    threads: int,
    device: str = 'cpu',
    needed_versions: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return what ``run_commands.py`` reads.

    :param commands: commands in the order in which they run.
    :param packages: distributions whose versions are recorded.
    :param threads: threads of each command.
    :param device: ``'cpu'`` or ``'cuda'``.
    :param needed_versions: version that a distribution must have.
    """
    return {
        'device': device,
        'needed_versions': dict(needed_versions or {}),
        'threads': threads,
        'packages': list(packages),
        'commands': [command.to_dict() for command in commands],
    }


def python_job(
    job: JobFiles, commands: Sequence[Command], packages: Sequence[str], threads: int, device: str = 'cpu'
) -> JobFiles:
    """Return the job with the driver that runs its commands, and the files this driver leaves behind.

    :param job: files of the job itself.
    :param commands: commands in the order in which they run.
    :param packages: distributions whose versions are recorded.
    :param threads: threads of each command.
    :param device: ``'cpu'`` or ``'cuda'``; no command runs if it is not there.
    """
    document = commands_document(commands, packages, threads, device, job.needed_versions)
    files = {**job.files, RUN_COMMANDS: driver_source(RUN_COMMANDS), COMMANDS_FILE: to_json_bytes(document)}
    reports = (RUN_COMMANDS_REPORT, RUN_COMMANDS_OUTPUT)
    retrieval = Retrieval(keep=(*job.retrieval.keep, *reports), parse_only=job.retrieval.parse_only)
    return JobFiles(files=files, node_files=job.node_files, derived=job.derived, retrieval=retrieval)


def folder_files(folder: FolderData, target: str = '') -> list[NodeFile]:
    """Return all files of a folder node, to be copied to the same paths in the working directory.

    :param folder: e.g. the checkpoint of an earlier run.
    :param target: folder of the working directory below which the paths begin; the directory itself by default.
    """
    found = []
    for root, _, names in folder.base.repository.walk():
        for name in names:
            path = (root / name).as_posix()
            found.append(NodeFile(folder.uuid, path, f'{target}/{path}' if target else path))
    return sorted(found, key=lambda entry: entry.source)


def walltime_of_program(max_wallclock_seconds: float | None) -> float | None:
    """Return after how many seconds a program should stop by itself, None if the job has no limit.

    >>> walltime_of_program(3600), walltime_of_program(600), walltime_of_program(None)
    (3480.0, 540.0, None)

    :param max_wallclock_seconds: limit of the scheduler [s].
    """
    if max_wallclock_seconds is None:
        return None
    return max_wallclock_seconds - min(WALLTIME_MARGIN_SECONDS, WALLTIME_MARGIN_FRACTION * max_wallclock_seconds)


def large_files(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return the paths of files that are too large to be stored with the calculation beside the nodes they follow from.

    :param files: content by path; the same inputs give the same bytes.
    """
    return tuple(path for path, content in files.items() if len(content) > LARGE_FILE_BYTES)


def retrieve_entry(path: str) -> tuple[str, str, int]:
    """Return how AiiDA is told to bring back a path or glob without flattening its folders.

    >>> retrieve_entry('checkpoints/*.pt')
    ('checkpoints/*.pt', '.', 2)
    """
    return path, '.', path.count('/') + 1


def stage(folder: Folder, job: JobFiles, code: AbstractCode, runs: Mapping[str, Sequence[str]]) -> CalcInfo:
    """Write the files of a job and return what AiiDA must know to submit it.

    :param folder: sandbox folder of the calculation.
    :param job: files of the job.
    :param code: code that runs, as often as there are entries in ``runs``, one after the other.
    :param runs: command-line arguments by the file that takes standard output and error.
    """
    for path, content in job.files.items():
        if '/' in path:
            folder.get_subfolder(path.rsplit('/', 1)[0], create=True)
        with folder.open(path, 'wb') as handle:
            handle.write(content)

    calc_info = CalcInfo()
    calc_info.codes_info = [_run(code, arguments, stdout) for stdout, arguments in runs.items()]
    calc_info.codes_run_mode = CodeRunMode.SERIAL
    calc_info.local_copy_list = [(entry.uuid, entry.source, entry.target) for entry in job.node_files]
    calc_info.provenance_exclude_list = sorted(job.derived)
    calc_info.retrieve_list = [retrieve_entry(path) for path in job.retrieval.keep]
    calc_info.retrieve_temporary_list = [retrieve_entry(path) for path in job.retrieval.parse_only]
    return calc_info


def _run(code: AbstractCode, arguments: Sequence[str], stdout: str) -> CodeInfo:
    """Return how AiiDA is told to run a code once."""
    info = CodeInfo()
    info.code_uuid = code.uuid
    info.cmdline_params = list(arguments)
    info.stdout_name = stdout
    info.join_files = True
    return info
