"""Trainings that are really stopped, and really go on: by the walltime of a Slurm, by want of memory, by divergence."""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.orm import Computer, InstalledCode, Int
from ase import Atoms
from calculation_cases import dataset, register_toy, split, training_inputs
from slurm.one_host import missing, one_host_slurm
from toy.training import film_frames
from toy.training_cases import training_case

from aiida_edl.calculations.jobs import walltime_of_program
from aiida_edl.science.frames import FrameSet
from aiida_edl.workflows.training import TrainingWorkChain

pytestmark = pytest.mark.slow

SHORTEST_WALLTIME = 60
"""Smallest limit that Slurm knows [s]."""
PAUSE = 0.5
"""Time between two updates of the toy [s]."""
UPDATES = int(1.3 * SHORTEST_WALLTIME / PAUSE)
"""More than fit into one job, less than fit into two."""


@pytest.fixture
def toy_architecture(monkeypatch):
    """Register the toy architecture."""
    register_toy(monkeypatch)


@pytest.fixture(scope='module')
def slurm(tmp_path_factory):
    """Start Slurm for the tests of this file."""
    if reason := missing():
        pytest.skip(reason)
    with one_host_slurm(tmp_path_factory.mktemp('slurm') / 'state') as configuration:
        yield configuration


@pytest.fixture
def slurm_code(slurm, aiida_profile_clean, toy_architecture, tmp_path):
    """Return the interpreter of the tests as a code whose jobs go through Slurm."""
    computer = Computer('slurm', 'localhost', '', 'core.local', 'core.slurm', str(tmp_path)).store()
    computer.set_minimum_job_poll_interval(1.0)
    computer.configure(safe_interval=0.0, use_login_shell=False)
    return InstalledCode(computer, sys.executable, label='python').store()


def toy_training(code, options, **changes: Any):
    """Run a training of the toy that needs more time than one job has; return its node."""
    inputs = training_inputs(
        code,
        dataset=dataset(),
        split=split(),
        hyperparameters={'batch_size': 2, 'n_radial_functions': 6, 'pause_seconds': PAUSE},
        gradient_updates=UPDATES,
        metadata={'options': options},
        **changes,
    )
    return run_get_node(TrainingWorkChain, training=inputs).node


@dataclass(frozen=True)
class Attempts:
    """Trainings of one chain in order."""

    statuses: list[int]
    jobs: list[Any]


def attempts(node) -> Attempts:
    jobs = sorted((child for child in node.called if child.process_label == 'TrainingCalculation'), key=lambda n: n.pk)
    return Attempts([job.exit_status for job in jobs], jobs)


def test_training_stops_before_the_walltime_and_goes_on_to_its_target(slurm_code):
    node = toy_training(slurm_code, {'max_wallclock_seconds': SHORTEST_WALLTIME})
    assert node.is_finished_ok, node.exit_message
    made = attempts(node)
    assert made.statuses == [400, 0]
    first, second = (job.outputs.training_summary.get_dict() for job in made.jobs)
    assert first['wall_seconds'] < SHORTEST_WALLTIME
    assert first['wall_seconds'] == pytest.approx(walltime_of_program(SHORTEST_WALLTIME), abs=3.0)
    assert 0 < first['gradient_updates_done'] < UPDATES
    assert (second['is_restart'], second['gradient_updates_done']) == (True, UPDATES)
    updates = node.outputs.learning_curve.get_array('gradient_updates')
    assert updates.tolist() == list(range(UPDATES + 1))


def test_training_killed_by_slurm_goes_on_from_its_checkpoint(slurm_code):
    # The program is not told of this limit: it does not stop by itself, and ends with Slurm's signals.
    options = {'custom_scheduler_commands': '#SBATCH --time=00:01:00\n#SBATCH --signal=KILL@0'}
    node = toy_training(slurm_code, options)
    assert node.is_finished_ok, node.exit_message
    made = attempts(node)
    assert made.statuses[-1] == 0
    assert made.statuses[0] == 120
    assert made.jobs[1].inputs.checkpoint.uuid == made.jobs[0].outputs.checkpoint.uuid
    assert made.jobs[1].outputs.training_summary.get_dict()['gradient_updates_done'] == UPDATES


def local_code(tmp_path, label: str, python: str) -> InstalledCode:
    computer = Computer(label, 'localhost', '', 'core.local', 'core.direct', str(tmp_path)).store()
    computer.set_minimum_job_poll_interval(0.0)
    computer.configure(safe_interval=0.0, use_login_shell=False)
    return InstalledCode(computer, python, label='python').store()


def large_frames(n_frames: int) -> FrameSet:
    """Return films of sixteen times the usual area, whose features take megabytes."""
    frames = []
    for frame in film_frames(n_frames, seed=3):
        atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc).repeat((4, 4, 1))
        frames.append(
            replace(
                frame,
                numbers=atoms.numbers.astype(np.uint8),
                positions=atoms.positions,
                cell=np.array(atoms.cell),
                energy=16 * frame.energy,
                forces=np.tile(frame.forces, (16, 1)),
            )
        )
    return FrameSet.from_frames(frames)


def idle_memory_kibibyte() -> int:
    """Return the address space of an interpreter that has loaded what the toy needs [KiB]."""
    program = 'import numpy, ase, ase.neighborlist, numpy.linalg; print(open("/proc/self/status").read())'
    status = subprocess.run(
        [sys.executable, '-c', program],
        check=True,
        capture_output=True,
        text=True,
        env={'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1', 'PATH': '/usr/bin:/bin'},
    ).stdout
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith('VmPeak'))


def test_training_out_of_memory_goes_on_with_half_the_batch(aiida_profile_clean, toy_architecture, tmp_path):
    code = local_code(tmp_path, 'small', sys.executable)
    n_frames = 64
    inputs = training_inputs(
        code,
        dataset=dataset(large_frames(n_frames + 2)),
        split=split(training=list(range(n_frames)), validation=[n_frames], test=[n_frames + 1]),
        hyperparameters={'batch_size': n_frames, 'n_radial_functions': 12},
        metadata={'options': {'prepend_text': f'ulimit -v {idle_memory_kibibyte() + 70_000}'}},
    )
    node = run_get_node(TrainingWorkChain, training=inputs, max_iterations=Int(7)).node
    assert node.is_finished_ok, node.exit_message
    made = attempts(node)
    assert len(made.statuses) > 1
    assert set(made.statuses[:-1]) == {410}
    batches = [job.inputs.hyperparameters.get_dict()['batch_size'] for job in made.jobs]
    assert batches == [n_frames // 2**number for number in range(len(batches))]
    remedies = made.jobs[-1].outputs.training_summary.get_dict()['remedies']
    assert [(entry['exit_status'], entry['changed'], entry['from'], entry['to']) for entry in remedies] == [
        (410, 'batch_size', larger, smaller) for larger, smaller in itertools.pairwise(batches)
    ]


@pytest.mark.parametrize('name', ['least_squares', 'mace'])
def test_training_that_diverges_goes_on_with_a_lower_rate(aiida_profile_clean, toy_architecture, tmp_path, name):
    case = training_case(name)
    if case.missing:
        pytest.skip(case.missing)
    rate = {'least_squares': 2.5, 'mace': 1e8}[name]
    hyperparameters = {
        'least_squares': {'n_radial_functions': 6, 'learning_rate': rate},
        'mace': {**case.recording['hyperparameters'], 'learning_rate': rate, 'n_evaluations': 2},
    }[name]
    inputs = training_inputs(
        local_code(tmp_path, name, str(case.python.absolute())),
        architecture=name,
        hyperparameters=hyperparameters,
        gradient_updates={'least_squares': 1000, 'mace': 6}[name],
    )
    node = run_get_node(TrainingWorkChain, training=inputs, max_iterations=Int(2)).node
    made = attempts(node)
    assert made.statuses[0] == 450, made.jobs[0].exit_message
    second = made.jobs[1].inputs
    assert second.hyperparameters.get_dict()['learning_rate'] == pytest.approx(0.3 * rate)
    assert 'checkpoint' not in second
    (remedy,) = made.jobs[1].outputs.training_summary.get_dict()['remedies']
    assert (remedy['exit_status'], remedy['changed'], remedy['from']) == (450, 'learning_rate', rate)
