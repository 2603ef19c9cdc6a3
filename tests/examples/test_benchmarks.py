"""The benchmarks that run engines run through and state all they promise; how fast anything is, is not asserted."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from lammps_cases import missing

ROOT = Path(__file__).parents[2]
SHORT = ('--pairs', '1', '--seconds', '1', '--replica-seconds', '1', '--replicas', '1,2', '--updates', '20')

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        missing('engines', 'deepmd_lammps') is not None, reason=str(missing('engines', 'deepmd_lammps'))
    ),
]


def run(tmp_path: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a benchmark without a profile; status 1 says that something was slow, which is no failure here."""
    (tmp_path / '.aiida').mkdir(exist_ok=True)
    command = [sys.executable, str(ROOT / 'examples' / 'benchmarks' / program), *arguments]
    environment = {**os.environ, 'AIIDA_PATH': str(tmp_path), 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    assert 'Traceback' not in done.stderr, done.stderr
    return done


def report(tmp_path: Path, engines: str) -> dict[str, object]:
    """Return all numbers of a short run of the given engines."""
    target = tmp_path / 'report.json'
    run(tmp_path, 'md_engines.py', *SHORT, '--engines', engines, '--json', str(target))
    return json.loads(target.read_text())


def test_table_of_engines_and_replicas_is_complete(tmp_path):
    found = report(tmp_path, 'ase,torch_sim')
    assert [(row['engine'], row['architecture']) for row in found['pairs']] == [('ase', 'mace'), ('torch_sim', 'mace')]
    for row in found['pairs']:
        assert row['atoms'] == 108
        assert min(*row['steps_per_second'].values(), *row['ratio'].values()) > 0
    assert [(row['replicas'], row['atoms']) for row in found['replicas']] == [(1, 240), (2, 240)]
    for row in found['replicas']:
        assert min(row['atom_steps_per_second'], row['nanoseconds_per_day']) > 0
        assert row['peak_memory']['host_megabyte'] > 0
        assert row['peak_memory']['device_megabyte'] is None
    assert found['hardware']['processor']
    assert found['hardware']['cores'] == os.cpu_count()


def test_table_has_lammps(tmp_path):
    found = report(tmp_path, 'lammps')
    assert [(row['engine'], row['architecture']) for row in found['pairs']] == [('lammps', 'deep_potential')]
    assert found['replicas'] == []


def test_trainings_are_compared(tmp_path):
    output = run(tmp_path, 'training.py', '--pairs', '1', '--updates', '40').stdout
    ratios = re.findall(r'^(\w+): updates per second over those of the bare command [\d.]+ ', output, re.MULTILINE)
    assert ratios == ['mace', 'deep_potential']


def test_overhead_without_a_profile_says_so(tmp_path):
    assert run(tmp_path, 'overhead.py').stdout == (
        'there is no AiiDA profile; run `make demo` first, or `source examples/demo/activate`\n'
    )
