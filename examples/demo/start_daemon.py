"""Start the daemon, and find the processes that a kill has orphaned.

Run after ``source examples/demo/activate``::

    python examples/demo/start_daemon.py [--profile NAME]

A process runs as long as the broker holds a task for it. A worker that is killed while it hands over a child takes the
task with it, and then nobody works on the child, whose state stays as it was for ever. This program asks every
unfinished process whether it is alive. If one does not answer, the daemon is stopped, so that the tasks in the broker
can be read, started again, and a task is made for each process that has none.

Unlike ``verdi process repair`` it makes tasks that outlive the worker: another kill does not orphan the process again.
It needs aiida-core's built-in broker, ``core.zeromq``.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress

from aiida import load_profile
from aiida.engine.daemon.client import (
    DaemonClient,
    DaemonException,
    DaemonNotRunningException,
    DaemonStalePidException,
)
from aiida.engine.processes.control import get_process_tasks
from aiida.manage import get_config_option, get_manager
from aiida.orm import ProcessNode, QueryBuilder

UNFINISHED = ['created', 'running', 'waiting']
"""States of processes that need a task."""
STALE_TIMEOUT_SECONDS = 5
"""How long a daemon that was killed may fail to answer [s]."""
ANSWER_TIMEOUT_SECONDS = 5.0
"""How long a process may take to answer [s]."""
NOBODY = 'Recipient not found'
"""How the built-in broker says that nobody listens for a process; it has no exception of its own for that."""
SECOND_LOOK_SECONDS = 5.0
"""How long after the first look a silent process is asked again: it may have been on its way to a worker [s]."""


def unfinished_processes() -> set[int]:
    """Return the processes that have not ended and can go on from a checkpoint, by PK."""
    query = QueryBuilder().append(ProcessNode, filters={'attributes.process_state': {'in': UNFINISHED}})
    return {node.pk for node in query.all(flat=True) if node.checkpoint is not None}


def is_running(client: DaemonClient) -> bool:
    """Return whether the daemon runs; the PID file that a killed one leaves behind is removed."""
    if client.get_daemon_pid() is None:
        return False  # else the next question waits for as long as a busy daemon may take to answer
    try:
        client.get_status()
    except DaemonNotRunningException:
        return False
    except DaemonStalePidException:
        with suppress(DaemonNotRunningException):
            client.stop_daemon(timeout=STALE_TIMEOUT_SECONDS)
        return False
    return True


def silent_processes() -> set[int]:
    """Return the unfinished processes that do not answer twice, by PK."""
    silent = {pk for pk in unfinished_processes() if not answers(pk)}
    if not silent:
        return set()
    time.sleep(SECOND_LOOK_SECONDS)
    return {pk for pk in silent & unfinished_processes() if not answers(pk)}


def answers(pk: int) -> bool:
    """Return whether a process lives in a worker."""
    future = get_manager().get_process_controller().get_status(pk)
    try:
        error = future.exception(timeout=ANSWER_TIMEOUT_SECONDS)
    except FutureTimeoutError:
        return True  # somebody is there, and busy
    return error is None or NOBODY not in str(error)


def main() -> None:
    """Start the daemon unless it runs, and give every orphaned process a task."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--profile', help='profile of AiiDA; the default one without it')
    profile = load_profile(parser.parse_args().profile)
    client = DaemonClient(profile)
    if is_running(client):
        if not silent_processes():
            return
        print('some processes do not answer: starting the daemon again')
        client.stop_daemon(wait=True)
        get_manager().reset_profile()
        load_profile(profile.name, allow_switch=True)
    orphans = unfinished_processes()
    if orphans:
        orphans -= set(get_process_tasks(get_manager().get_broker()))
    client.start_daemon(number_workers=get_config_option('daemon.default_workers'))
    if orphans:
        controller = get_manager().get_process_controller()
        for pk in sorted(orphans):
            controller.continue_process(pk, nowait=False, no_reply=True)
        print(f'revived {len(orphans)} processes whose task was lost: {", ".join(map(str, sorted(orphans)))}')


if __name__ == '__main__':
    try:
        main()
    except DaemonException as error:
        sys.exit(f'error: the daemon could not be started: {error}')
