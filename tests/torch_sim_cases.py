"""Small systems and models on which the driver of torch-sim is tested, and how to run it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase_cases
import numpy as np
from ase_cases import SETTINGS

from aiida_edl.md_engines.base import MDJob, MDResult, MDSettings, ReplicaResults
from aiida_edl.md_engines.torch_sim import DRIVER, INPUT, TorchSimEngine
from aiida_edl.science.frames import Frame

DISPLACEMENT = 0.15
"""Standard deviation of displacements from the lattice whose energy heats gold far above 300 K [Å]."""
TESTS = Path(__file__).parent
PYTHON = TESTS.parent / '.environments' / 'engines' / 'bin' / 'python'
"""Interpreter of the environment with torch-sim."""
ENGINE = TorchSimEngine()
PARAMETERS = {'sigma': 2.6, 'epsilon': 0.3}
"""Of Lennard-Jones [Å, eV], whose gold has about the right lattice constant."""
CUTOFF_RADIUS = 5.3
"""Between the third and the fourth shell of neighbours [Å]."""
LENNARD_JONES: Mapping[str, Any] = {
    'module': 'toy.torch_sim_model',
    'attribute': 'PairModel',
    'keyword_arguments': {**PARAMETERS, 'cutoff': CUTOFF_RADIUS, 'device': 'cpu', 'dtype': 'float64'},
    'environment': {},
}
"""Shifted so that energies vanish at the cutoff radius."""
ASE_LENNARD_JONES: Mapping[str, Any] = {
    'module': 'ase.calculators.lj',
    'attribute': 'LennardJones',
    'keyword_arguments': {**PARAMETERS, 'rc': CUTOFF_RADIUS},
    'environment': {},
}
"""The same in ASE."""


def toy(attribute: str, **arguments: Any) -> Mapping[str, Any]:
    """Return the recipe of a model that fails.

    :param attribute: class of :mod:`toy.torch_sim_model`.
    :param arguments: arguments beside those of the potential.
    """
    return {
        **LENNARD_JONES,
        'attribute': attribute,
        'keyword_arguments': {**LENNARD_JONES['keyword_arguments'], **arguments},
    }


def job(frame: Frame | None = None, settings: MDSettings = SETTINGS, **changes: Any) -> MDJob:
    """Return a job with the potential of Lennard and Jones."""
    values: dict[str, Any] = {'model_recipe': LENNARD_JONES, 'atomic_energies': {}, **changes}
    return MDJob(frame=frame or ase_cases.gold(), settings=settings, **values)


def replicas(settings: MDSettings = SETTINGS, **changes: Any) -> dict[str, MDJob]:
    """Return jobs of cells of 32 atoms, of 31 that begin far from the lattice, and of 32 open along z."""
    gold = ase_cases.gold()
    displaced = gold.positions[1:] + np.random.default_rng(5).normal(0.0, DISPLACEMENT, (31, 3))
    frames = {
        'bulk': gold,
        'displaced': replace(gold, numbers=gold.numbers[1:], positions=displaced, velocities=np.zeros((31, 3))),
        'film': replace(gold, pbc=np.array([True, True, False])),
    }
    return {label: job(frame, settings, **changes) for label, frame in frames.items()}


def with_seeds(jobs: Mapping[str, MDJob], *seeds: int) -> dict[str, MDJob]:
    """Return jobs with other seeds."""
    pairs = zip(jobs.items(), seeds)
    return {label: replace(one, settings=replace(one.settings, seed=seed)) for (label, one), seed in pairs}


def stage(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, which may exist."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def run_driver(folder: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the driver in a folder that has its input."""
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(TESTS), 'PYTHONWARNINGS': 'ignore'}
    arguments = [str(PYTHON), DRIVER, INPUT]
    return subprocess.run(arguments, cwd=folder, env=environment, check=check, capture_output=True, text=True)


RUN_ALL = """
import os, signal, sys
import run_torch_sim_md as driver

signal.signal(signal.SIGTERM, driver.remember_signal)
for folder in sys.argv[1:]:
    os.chdir(folder)
    driver.received_signals.clear()
    driver.main(['md.json'])
"""
"""Several runs in one process, as torch takes seconds to import."""


def run_folders(*folders: Path) -> None:
    """Run the driver in folders that have its input, one after the other."""
    paths = os.pathsep.join([str(TESTS), str(folders[0])])
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': paths, 'PYTHONWARNINGS': 'ignore'}
    arguments = [str(PYTHON), '-c', RUN_ALL, *map(str, folders)]
    subprocess.run(arguments, env=environment, check=True, capture_output=True, text=True)


def read_replicas(folder: Path, jobs: Mapping[str, MDJob]) -> ReplicaResults:
    """Read what jobs left that ran as one batch."""
    frames = {label: one.frame for label, one in jobs.items()}
    return ENGINE.read_replicas(folder, frames, next(iter(jobs.values())).settings)


def run_replicas(folder: Path, jobs: Mapping[str, MDJob]) -> ReplicaResults:
    """Run jobs as one batch and read what they left."""
    stage(folder, ENGINE.replica_files(jobs))
    run_folders(folder)
    return read_replicas(folder, jobs)


def run(folder: Path, one: MDJob) -> MDResult:
    """Run one job and read what it left."""
    stage(folder, ENGINE.files(one))
    run_folders(folder)
    return ENGINE.read(folder, one.frame, one.settings)
