"""The profile of the demo: no more jobs run at once than there are slots, and readers keep nobody from writing."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[3]
JOB = 'echo start >> ../../../log\nsleep {seconds}\necho stop >> ../../../log\n'

pytestmark = pytest.mark.skipif(shutil.which('flock') is None, reason='flock of util-linux is not installed')


@pytest.fixture(scope='module')
def setup_profile():
    """Return the program as a module."""
    spec = importlib.util.spec_from_file_location('setup_profile', ROOT / 'examples/demo/setup_profile.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def slots(setup_profile):
    """Return the text."""
    return setup_profile.SLOTS


def start(directory: Path, name: str, script: str) -> subprocess.Popen[bytes]:
    """Start a job in a directory three levels down, as AiiDA does."""
    folder = directory / 'ab' / 'cd' / name
    folder.mkdir(parents=True)
    (folder / 'job.sh').write_text(script)
    return subprocess.Popen(['bash', 'job.sh'], cwd=folder, start_new_session=True)


@pytest.mark.parametrize('n_slots', [1, 2])
def test_no_more_jobs_than_slots(tmp_path, slots, n_slots):
    script = slots.format(slots=n_slots) + JOB.format(seconds=0.1)
    jobs = [start(tmp_path, f'job_{number}', script) for number in range(5)]
    assert [job.wait(timeout=30) for job in jobs] == [0] * 5
    running, most = 0, 0
    for line in (tmp_path / 'log').read_text().split():
        running += 1 if line == 'start' else -1
        most = max(most, running)
    assert most == n_slots


def test_a_killed_job_frees_its_slot(tmp_path, slots):
    first = start(tmp_path, 'first', slots.format(slots=1) + JOB.format(seconds=60))
    deadline = time.monotonic() + 30
    while not (tmp_path / 'log').exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    second = start(tmp_path, 'second', slots.format(slots=1) + JOB.format(seconds=0))
    subprocess.run(['kill', f'-{int(signal.SIGKILL)}', '--', f'-{first.pid}'], check=True)
    assert second.wait(timeout=30) == 0
    assert (tmp_path / 'log').read_text().split() == ['start', 'start', 'stop']
    first.wait()


def test_a_reader_keeps_nobody_from_writing(tmp_path, setup_profile):
    path = tmp_path / 'database.sqlite'
    with closing(sqlite3.connect(path)) as database:
        database.execute('CREATE TABLE nodes (pk INTEGER)')
    setup_profile.log_ahead(SimpleNamespace(storage_config={'filepath': str(tmp_path)}))
    with closing(sqlite3.connect(path)) as reader, closing(sqlite3.connect(path, timeout=0.1)) as writer:
        reader.execute('BEGIN')
        assert reader.execute('SELECT count(*) FROM nodes').fetchone() == (0,)
        with writer:
            writer.execute('INSERT INTO nodes VALUES (1)')
