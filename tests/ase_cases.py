"""Small systems and calculators on which the ASE drivers are tested; they need numpy and ASE alone."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase.build import bulk

from aiida_edl.drivers import run_ase_md
from aiida_edl.md_engines.ase import AseEngine
from aiida_edl.md_engines.base import MDJob, MDResult, MDSettings
from aiida_edl.science.frames import Frame, FrameSet

FIXTURES = Path(__file__).parent / 'fixtures'
EMT: Mapping[str, Any] = {'module': 'ase.calculators.emt', 'attribute': 'EMT', 'keyword_arguments': {}}
MORSE: Mapping[str, Any] = {
    'module': 'ase.calculators.morse',
    'attribute': 'MorsePotential',
    'keyword_arguments': {'epsilon': 0.5, 'r0': 2.9, 'rho0': 5.0, 'rcut1': 1.5, 'rcut2': 1.9},
}
"""Its neighbour list is made anew for each call, so its results do not depend on what was computed before."""
ENGINE = AseEngine()
SETTINGS = MDSettings(ensemble='nve', temperature=300.0, time_step=2.0, steps=40, sampling_interval=10, seed=3)


def gold(repeat: int = 2) -> Frame:
    """Return a cube of gold, periodic in all directions."""
    atoms = bulk('Au', cubic=True) * (repeat, repeat, repeat)
    return Frame(
        numbers=atoms.numbers.astype(np.uint8),
        positions=atoms.positions,
        cell=np.array(atoms.cell),
        pbc=np.array([True, True, True]),
    )


def copper_on_gold() -> Frame:
    """Return a gold slab with copper atoms above it, open along z."""
    frame = gold()
    copper = np.array([[1.0, 1.0, 8.3], [5.1, 3.1, 8.3], [3.0, 6.2, 8.6]])
    return replace(
        frame,
        numbers=np.concatenate([frame.numbers, [29, 29, 29]]).astype(np.uint8),
        positions=np.concatenate([frame.positions, copper]),
        cell=frame.cell + np.diag([0.0, 0.0, 20.0]),
        pbc=np.array([True, True, False]),
    )


def job(frame: Frame | None = None, settings: MDSettings = SETTINGS, **changes: Any) -> MDJob:
    """Return a job with the potential of effective-medium theory."""
    values: dict[str, Any] = {'model_recipe': EMT, 'atomic_energies': {}, **changes}
    return MDJob(frame=frame or gold(), settings=settings, **values)


def stage(folder: Path, an_md_job: MDJob) -> None:
    """Write the input files of a job, but the driver, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in ENGINE.files(an_md_job).items():
        (folder / name).write_bytes(content)


def run(folder: Path, an_md_job: MDJob) -> MDResult:
    """Run a job in this process and read it."""
    stage(folder, an_md_job)
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert run_ase_md.main(['md.json']) == 0
    finally:
        os.chdir(before)
    return ENGINE.read(folder, an_md_job.frame, an_md_job.settings)


def frames(n_frames: int = 4, seed: int = 0) -> FrameSet:
    """Return distorted gold cubes of 4 atoms with an atom of copper in every second one."""
    generator = np.random.default_rng(seed)
    made = []
    for index in range(n_frames):
        frame = gold(1)
        numbers = frame.numbers.copy()
        numbers[0] = 29 if index % 2 else 79
        made.append(
            replace(frame, numbers=numbers, positions=frame.positions + generator.normal(0, 0.1, frame.positions.shape))
        )
    return FrameSet.from_frames(made)


def evaluate_input(folder: Path, a_set: FrameSet, recipe: Mapping[str, Any], **changes: Any) -> None:
    """Write the input of ``evaluate_model.py`` into a folder."""
    a_set.to_npz(folder / 'frames.npz')
    document = {
        'recipe': dict(recipe),
        'frames': 'frames.npz',
        'predictions': 'predictions.npz',
        'energy_shifts': {},
        'walltime_seconds': None,
        **changes,
    }
    (folder / 'evaluate.json').write_text(json.dumps(document))
