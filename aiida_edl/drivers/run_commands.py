"""Run the commands of a job one after the other and report how each of them ended.

``python run_commands.py commands.json``, with the interpreter of the environment in which the commands shall run.
The input holds ``threads`` (of each command), ``packages`` (distributions whose versions are recorded), ``device``
(``cpu``, as without it, or ``cuda``), ``needed_versions`` (version by distribution, may be left out) and ``commands``,
each with

- ``arguments``: arguments of this same interpreter;
- ``stdout``: file that takes standard output and standard error;
- ``environment``: environment variables of this command alone;
- ``is_export``: whether the command exports a model;
- ``timeout_seconds``: time after which it is told to stop [s], or null;
- ``keep_newest``: globs of which only the newest whole file is left when the command has ended.

The first command that fails is the last that runs. ``run_commands.json`` is written at the start and after each
command, so that a job that is killed leaves what was known by then; the file is replaced in one step. Each command has
one ``outcome``:

=============== ====================================================================================
finished        its return code is 0
failed          its return code is not 0 and nothing below applies
out_of_memory   it was killed by SIGKILL from outside, or its output says that memory was exhausted
device_lost     its output says that the accelerator failed or went away
device_missing  ``device`` is ``cuda``, but PyTorch or TensorFlow finds no GPU: it was not run, which is
                said in its output
version_differs a distribution is not of its version in ``needed_versions``: it was not run, which is said
                in its output
timed_out       ``timeout_seconds`` had passed
terminated      this program was told to stop by SIGTERM or SIGINT, e.g. by the scheduler
running         this program was killed while the command ran
not_run         an earlier command did not finish
=============== ====================================================================================

Trainers differ in what they do without the GPU they are told to use: some train on the processor and keep quiet.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from types import FrameType
from typing import Any

REPORT = 'run_commands.json'
POLLING_SECONDS = 0.02
"""Time between two looks at a running command [s]."""
GRACE_SECONDS = 20.0
"""Time between SIGTERM and SIGKILL [s]."""
TAIL_BYTES = 65536
"""Part of the output, from its end, in which signs of exhausted memory are sought."""
OUT_OF_MEMORY = re.compile(
    r'out of memory|MemoryError|bad_alloc|not enough memory|can.t allocate memory|Cannot allocate memory|^Killed$'
    r'|OOM when allocating',
    re.MULTILINE | re.IGNORECASE,
)
"""What Python, C++, PyTorch, TensorFlow, CUDA and shells print when memory of host or accelerator is exhausted."""
DEVICE_LOST = re.compile(
    r'CUDA error: (unspecified launch failure|unknown error|uncorrectable ECC error|.*busy or unavailable)'
    r'|CUDA_ERROR_(LAUNCH_FAILED|ECC_UNCORRECTABLE|UNKNOWN)|GPU is lost|fallen off the bus',
    re.IGNORECASE,
)
"""What PyTorch, TensorFlow and the driver print when an accelerator fails under a program that was using it."""
FIND_GPU = """
import importlib.util, sys
found = []
if importlib.util.find_spec('torch'):
    import torch
    found.append(torch.cuda.is_available())
if not any(found) and importlib.util.find_spec('tensorflow'):
    import tensorflow
    found.append(bool(tensorflow.config.list_physical_devices('GPU')))
sys.exit(MISSING if found and not any(found) else 0)
"""
"""Program that ends with the status ``MISSING`` if what could use a GPU in this environment finds none. It runs in a
process of its own, for a process that has looked for a GPU may occupy a part of it."""
MISSING_STATUS = 86
GPU_SEARCH_SECONDS = 300.0
"""Time after which the search is given up, and the command is left to find out [s]."""
MISSING_GPU = (
    "device is 'cuda', but neither PyTorch nor TensorFlow of this environment finds a GPU; use a node and an "
    "environment with one, or device 'cpu'\n"
)
THREAD_VARIABLES = (
    'OMP_NUM_THREADS',
    'MKL_NUM_THREADS',
    'OPENBLAS_NUM_THREADS',
    'NUMEXPR_NUM_THREADS',
    'TF_NUM_INTRAOP_THREADS',
)
ARCHIVE_SUFFIXES = ('.pt', '.pth', '.ckpt', '.npz')
"""Files that are zip archives, so that a truncated one can be told from a whole one."""

received_signals: list[int] = []
"""Signals that told this program to stop."""


def remember_signal(number: int, _: FrameType | None) -> None:
    """Take note that this program shall stop."""
    received_signals.append(number)


def distribution_versions(names: list[str]) -> dict[str, str | None]:
    """Return the version of each distribution, None for one that is not installed."""
    versions: dict[str, str | None] = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def tail(path: Path) -> str:
    """Return the last part of a text file."""
    with path.open('rb') as handle:
        size = handle.seek(0, os.SEEK_END)
        handle.seek(max(0, size - TAIL_BYTES))
        return handle.read().decode(errors='replace')


def signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to a command and all processes it started."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return  # it has ended meanwhile, which is what the signal was for


def wait(process: subprocess.Popen[bytes], timeout: float | None) -> tuple[int, Any, str | None]:
    """Wait for a command, and stop it when its time is over or this program shall stop.

    :param process: the command, leader of a process group of its own.
    :param timeout: time it may take [s].
    :return: return code (negative for a signal), resource usage, and why it was stopped or None.
    """
    start = time.monotonic()
    stopped_at, reason = None, None
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, usage, reason
        now = time.monotonic()
        if reason is None and (received_signals or (timeout is not None and now - start > timeout)):
            reason, stopped_at = 'terminated' if received_signals else 'timed_out', now
            signal_group(process, signal.SIGTERM)
        if stopped_at is not None and now - stopped_at > GRACE_SECONDS:
            signal_group(process, signal.SIGKILL)
        time.sleep(POLLING_SECONDS)


def is_whole(path: Path) -> bool:
    """Return whether a file is complete, as far as its suffix allows to tell."""
    return path.suffix not in ARCHIVE_SUFFIXES or zipfile.is_zipfile(path)


def keep_newest(pattern: str) -> None:
    """Remove all files that match a glob but the newest whole one.

    :param pattern: glob relative to the working directory.
    """
    paths = sorted(Path().glob(pattern), key=lambda path: (path.stat().st_mtime_ns, path.name))
    whole = [path for path in paths if is_whole(path)]
    for path in paths:
        if not whole or path != whole[-1]:
            path.unlink()


def failure_in(output: str) -> str:
    """Return the outcome of a command that failed, from the end of its output.

    :param output: text.
    """
    if OUT_OF_MEMORY.search(output):
        return 'out_of_memory'
    return 'device_lost' if DEVICE_LOST.search(output) else 'failed'


def is_gpu_missing(environment: dict[str, str]) -> bool:
    """Return whether the modules of this environment that could use a GPU find none.

    :param environment: environment variables of the command that shall use it.
    """
    program = FIND_GPU.replace('MISSING', str(MISSING_STATUS))
    try:
        done = subprocess.run(
            [sys.executable, '-c', program],
            env={**os.environ, **environment},
            capture_output=True,
            check=False,
            timeout=GPU_SEARCH_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == MISSING_STATUS


def obstacle(document: dict[str, Any], environment: dict[str, str]) -> tuple[str, str] | None:
    """Return the outcome and one sentence if no command can run in this environment, else None.

    :param document: the input.
    :param environment: environment variables of the first command.
    """
    needed = document.get('needed_versions', {})
    for name, version in distribution_versions(list(needed)).items():
        if version != needed[name]:
            found = 'none' if version is None else version
            return 'version_differs', (
                f'needed is {name} {needed[name]}, this environment has {found}; use an environment with '
                f'{needed[name]}, or leave out what another version made\n'
            )
    if document.get('device') == 'cuda' and is_gpu_missing(environment):
        return 'device_missing', MISSING_GPU
    return None


def run(command: dict[str, Any], threads: int) -> dict[str, Any]:
    """Run one command and return what is known of it.

    :param command: entry of ``commands``.
    :param threads: number of threads.
    """
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), **command['environment']}
    output = Path(command['stdout'])
    start = time.monotonic()
    with output.open('ab') as handle:
        process = subprocess.Popen(
            [sys.executable, *command['arguments']],
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        returncode, usage, reason = wait(process, command['timeout_seconds'])
    wall_seconds = time.monotonic() - start
    for pattern in command['keep_newest']:
        keep_newest(pattern)
    if reason is None and returncode != 0:
        is_killed = returncode == -signal.SIGKILL
        reason = 'out_of_memory' if is_killed else failure_in(tail(output))
    # Linux counts in kibibytes, macOS in bytes.
    peak_bytes = usage.ru_maxrss * (1 if sys.platform == 'darwin' else 1024)
    return {
        'outcome': reason or 'finished',
        'returncode': returncode,
        'wall_seconds': round(wall_seconds, 3),
        'cpu_seconds': round(usage.ru_utime + usage.ru_stime, 3),
        'peak_memory_megabyte': round(peak_bytes / 1e6, 1),
    }


def write_report(report: dict[str, Any]) -> None:
    """Replace the report in one step."""
    temporary = Path(REPORT + '.tmp')
    temporary.write_text(json.dumps(report, indent=2, sort_keys=True) + '\n', encoding='utf-8')
    temporary.replace(REPORT)


def main(arguments: list[str]) -> int:
    """Run all commands and return 0 if every one of them finished.

    :param arguments: path of the input.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, remember_signal)
    document = json.loads(Path(arguments[0]).read_text(encoding='utf-8'))
    defaults = {'environment': {}, 'is_export': False, 'timeout_seconds': None, 'keep_newest': []}
    commands = [{**defaults, **command} for command in document['commands']]
    not_run = {'outcome': 'not_run', 'returncode': None}
    costs = dict.fromkeys(('wall_seconds', 'cpu_seconds', 'peak_memory_megabyte'), None)
    stated = ('arguments', 'stdout', 'is_export')
    entries = [{**{key: command[key] for key in stated}, **not_run, **costs} for command in commands]
    report = {
        'commands': entries,
        'versions': distribution_versions(document['packages']),
        'python': platform.python_version(),
        'platform': platform.machine(),
        'threads': document['threads'],
    }
    found = obstacle(document, commands[0]['environment']) if commands else None
    if found is not None:
        entries[0]['outcome'], message = found
        Path(commands[0]['stdout']).write_text(message, encoding='utf-8')
        commands = []
    for command, entry in zip(commands, entries):
        if received_signals:
            entry['outcome'] = 'terminated'
            break
        entry['outcome'] = 'running'
        write_report(report)
        entry.update(run(command, document['threads']))
        if entry['outcome'] != 'finished':
            break
    write_report(report)
    return 0 if all(entry['outcome'] == 'finished' for entry in entries) else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
