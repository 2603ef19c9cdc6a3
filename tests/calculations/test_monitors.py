"""A job that writes nothing is told from one that waits, has just begun, or writes."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiida.orm import CalcJobNode, Dict
from aiida.schedulers import JobState
from aiida.transports.plugins.local import LocalTransport
from calculation_cases import md_inputs, refusal, replica_inputs

from aiida_edl.calculations.monitors import STALLED, has_stalled, stop_stalled_dynamics


@dataclass
class Job:
    """What a monitor asks of the node of a running job."""

    folder: Path
    state: JobState = JobState.RUNNING
    computer = SimpleNamespace(label='here')

    def get_scheduler_state(self):
        return self.state

    def get_remote_workdir(self):
        return str(self.folder)

    def get_retrieve_list(self):
        return [('checkpoint.npz', '.', 1), 'run_commands.out']

    def get_retrieve_temporary_list(self):
        return [('trajectory_*.npz', '.', 1)]


def write(folder: Path, **ages: float) -> None:
    """Write files of an age [s]; double underscores stand for the dot."""
    for name, age in ages.items():
        path = folder / name.replace('__', '.')
        path.write_text('')
        os.utime(path, (time.time() - age, time.time() - age))


def verdict(job: Job, stall_seconds: float = 100.0):
    with LocalTransport() as transport:
        return stop_stalled_dynamics(job, transport, stall_seconds)


def test_job_that_writes_nothing_is_ended(tmp_path):
    write(tmp_path, run_commands__out=900, checkpoint__npz=700, trajectory_00001__npz=500, input__json=0)
    message = verdict(Job(tmp_path))
    found = re.fullmatch(rf'{STALLED} (\d+) s, allowed are 100 s; the last was trajectory_00001\.npz', message)
    assert found is not None, message
    assert 499 <= int(found[1]) <= 510  # the computer tells its time in whole seconds; the test may have to wait


def test_job_that_writes_goes_on(tmp_path):
    write(tmp_path, run_commands__out=900, checkpoint__npz=700, trajectory_00001__npz=50)
    assert verdict(Job(tmp_path)) is None


@pytest.mark.parametrize('state', [JobState.QUEUED, JobState.SUSPENDED, JobState.DONE, None])
def test_job_that_does_not_run_is_left_alone(tmp_path, state):
    write(tmp_path, run_commands__out=900)
    assert verdict(Job(tmp_path, state)) is None


def test_job_that_has_only_the_checkpoint_it_was_given_has_not_begun(tmp_path):
    write(tmp_path, checkpoint__npz=900)
    assert verdict(Job(tmp_path)) is None


@pytest.mark.parametrize('given', [119.0, 'long', True, float('nan')])
@pytest.mark.parametrize(
    ('entry_point', 'make'), [('edl.molecular_dynamics', md_inputs), ('edl.replica_dynamics', replica_inputs)]
)
def test_limit_that_a_healthy_run_passes_is_refused(python_code, entry_point, make, given):
    monitors = {'stall': Dict({'entry_point': 'edl.md_stall', 'kwargs': {'stall_seconds': given}})}
    said = refusal(entry_point, {**make(python_code), 'monitors': monitors})
    assert said.endswith(
        f'stall_seconds of monitor stall is {given!r}, but a healthy run may write nothing for 60 s; give 120 or more'
    )


def test_unknown_setting_is_refused(python_code):
    monitors = {'stall': Dict({'entry_point': 'edl.md_stall', 'kwargs': {'seconds': 600}})}
    said = refusal('edl.molecular_dynamics', {**md_inputs(python_code), 'monitors': monitors})
    assert 'The monitor `edl.md_stall` does not accept the keywords' in said


@pytest.mark.parametrize(
    ('status', 'message', 'expected'),
    [(150, f'{STALLED} 500 s', True), (150, 'too hot', False), (150, None, False), (312, STALLED, False)],
)
def test_stall_is_told_from_what_other_monitors_end(status, message, expected):
    node = CalcJobNode()
    node.set_exit_status(status)
    if message is not None:
        node.set_exit_message(message)
    assert has_stalled(node) is expected
