"""A process whose task was lost with a killed worker is found and goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager
from aiida.orm import Int
from toy.interruption import ChildWorkChain

PROGRAM = Path(__file__).parents[3] / 'examples/demo/start_daemon.py'

pytestmark = pytest.mark.slow


def start_daemon(profile):
    """Run the program as a user does and return what it prints."""
    arguments = [sys.executable, str(PROGRAM), '--profile', profile.name]
    done = subprocess.run(arguments, env=dict(os.environ), capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def orphan():
    """Return a process with a checkpoint and without a task, as a killed worker leaves it."""
    manager = get_manager()
    process = instantiate_process(manager.get_runner(), ChildWorkChain, number=Int(7))
    manager.get_persister().save_checkpoint(process)
    process.close()
    return process.node


@pytest.mark.parametrize('is_running', [False, True], ids=['daemon stopped', 'daemon running'])
def test_orphan_is_revived(aiida_profile, daemon_client, is_running):
    if is_running:
        daemon_client.start_daemon()
    node = orphan()
    try:
        assert f'revived 1 processes whose task was lost: {node.pk}' in start_daemon(aiida_profile)
        deadline = time.monotonic() + 60
        while not node.is_terminated:
            assert time.monotonic() < deadline, 'the process was not revived'
            time.sleep(0.2)
        assert node.outputs.number.value == 7
        assert start_daemon(aiida_profile) == ''
    finally:
        daemon_client.stop_daemon(wait=True)
