"""Small systems on which LAMMPS runs trained potentials, and how a potential is trained, converted and run there."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase.build import bulk
from toy.training import ATOMIC_ENERGIES, ELEMENTS, film_frames, train
from toy.training_cases import training_case

from aiida_edl.architectures.base import Architecture, TrainingJob
from aiida_edl.architectures.conversion import conversion_chain
from aiida_edl.architectures.precision import Precision
from aiida_edl.md_engines.base import MDJob, MDResult, MDSettings
from aiida_edl.md_engines.lammps import LammpsEngine
from aiida_edl.registry import ARCHITECTURES, load_member
from aiida_edl.science.frames import Frame

FIXTURES = Path(__file__).parent / 'fixtures'
ENVIRONMENTS = Path(__file__).parents[1] / '.environments'
ENGINE = LammpsEngine()
SAVED_MODEL = 'savedmodeltf'
LENNARD_JONES = {
    'pair_style': 'lj/cut 5.0',
    'pair_coeff': '* * 0.02 2.5',
    'final_commands': ['pair_modify shift yes'],
    'level_of_theory': 'Lennard-Jones',
}
"""A model that every LAMMPS has."""
FIXED = (0, 1, 2, 3)
"""The lowest layer of the film."""
SETTINGS = MDSettings(
    ensemble='nve',
    temperature=200.0,
    time_step=1.0,
    steps=40,
    equilibration_steps=5,
    sampling_interval=10,
    seed=3,
    fixed_atoms=FIXED,
    wall_height=9.0,
)
"""Short dynamics; the equilibration is no multiple of the sampling interval."""


def environment(name: str) -> Path:
    """Return the folder with the programs of an environment; ``AIIDA_EDL_<NAME>_BIN`` names another."""
    name = {'deepmd': 'engines', 'mace': 'engines'}.get(name, name)  # the tests have one environment for both
    return Path(os.environ.get(f'AIIDA_EDL_{name.upper()}_BIN', ENVIRONMENTS / name / 'bin'))


def missing(*names: str) -> str | None:
    """Return one sentence if an environment is not there."""
    absent = [name for name in names if not (environment(name) / 'python').exists()]
    return f'the environments {", ".join(absent)} are not installed' if absent else None


def film(seed: int = 5) -> Frame:
    """Return 12 atoms of gold with oxygen and hydrogen, open along z."""
    return film_frames(1, seed).frame(0)


def crystal(n_cells: int = 2) -> Frame:
    """Return gold with some oxygen in a cell that is periodic in all directions and leans along x."""
    atoms = bulk('Au', cubic=True, a=4.1) * (n_cells, n_cells, n_cells)
    atoms.rattle(0.05, seed=2)
    atoms.symbols[::7] = 'O'
    atoms.set_cell(atoms.cell.array @ np.array([[1, 0, 0], [0.1, 1, 0], [0, 0.05, 1]]), scale_atoms=True)
    return Frame(
        numbers=atoms.numbers.astype(np.uint8),
        positions=atoms.positions,
        cell=atoms.cell.array,
        pbc=np.array([True, True, True]),
    )


def job(frame: Frame | None = None, settings: MDSettings = SETTINGS, **changes: Any) -> MDJob:
    """Return a job with a Lennard-Jones model, unless another recipe is given."""
    values: dict[str, Any] = {'model_recipe': LENNARD_JONES, 'atomic_energies': {}, **changes}
    return MDJob(frame=frame or film(), settings=settings, **values)


def free(settings: MDSettings = SETTINGS, **changes: Any) -> MDSettings:
    """Return settings in which all atoms move."""
    return replace(settings, **{'fixed_atoms': (), 'wall_height': 0.0, 'equilibration_steps': 0, **changes})


def run(folder: Path, a_job: MDJob, model: Path | None = None, lammps: str = 'deepmd_lammps') -> MDResult:
    """Run a job with LAMMPS on one thread and read it.

    :param folder: working directory, with the checkpoint if the job is a restart.
    :param model: file or folder that is linked there.
    :param lammps: environment whose LAMMPS runs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in ENGINE.files(a_job).items():
        (folder / name).write_bytes(content)
    if model is not None and not (folder / model.name).exists():
        (folder / model.name).symlink_to(model)
    (command,) = ENGINE.commands(a_job)
    variables = {**os.environ, 'OMP_NUM_THREADS': '1', **command.environment}
    with (folder / command.stdout).open('w') as handle:
        subprocess.run(
            [environment(lammps) / 'lmp', *command.arguments],
            cwd=folder,
            env=variables,
            check=False,
            stdout=handle,
            stderr=subprocess.STDOUT,
        )
    return ENGINE.read(folder, a_job.frame, a_job.settings)


def trained(name: str, folder: Path, elements: tuple[str, ...] = ELEMENTS) -> Path:
    """Train a small model of an architecture and return its file.

    :param name: entry-point name.
    :param folder: working directory.
    :param elements: chemical symbols in the order of the types of the model.
    """
    case, architecture = training_case(name), load_member(ARCHITECTURES, name)
    training = TrainingJob(
        training_set=film_frames(20, seed=1),
        validation_set=film_frames(4, seed=2),
        elements=elements,
        hyperparameters=architecture.make_hyperparameters(case.training['hyperparameters']),
        atomic_energies=ATOMIC_ENERGIES,
        gradient_updates=case.training['gradient_updates'],
        seed=11,
        precision=Precision.DOUBLE,
    )
    result = train(architecture, training, folder, str(case.python))
    assert result.model_path is not None, result.message
    return folder / result.model_path


def converted(architecture: Architecture, model: Path, target: str = SAVED_MODEL) -> Path:
    """Convert a model step by step beside itself and return the converted file or folder.

    :param architecture: its architecture.
    :param model: file of the trainer.
    :param target: wished format.
    """
    for name in conversion_chain(architecture.conversions, 'native', target):
        step = architecture.conversions[name]
        for words in step.arguments_for(model.name, Precision.DOUBLE):
            subprocess.run(
                [environment(step.environment) / 'python', *words],
                cwd=model.parent,
                env={**os.environ, 'OMP_NUM_THREADS': '1', **step.variables},
                check=True,
                capture_output=True,
            )
        model = model.parent / step.file_name
    return model
