"""Run trainings as a compute node does: files in a folder, the driver in the environment of the trainer."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from ase.build import fcc111
from ase.calculators.lj import LennardJones

from aiida_edl.architectures.base import Architecture, TrainingJob, TrainingResult
from aiida_edl.drivers import run_commands
from aiida_edl.science.frames import Frame, FrameSet

ELEMENTS = ('H', 'O', 'Na', 'Au')
ATOMIC_ENERGIES = {'H': -1.5, 'O': -2.5, 'Na': -0.5, 'Au': -3.5}


def film_frames(n_frames: int, seed: int) -> FrameSet:
    """Return small gold films with oxygen and hydrogen on top, open along z, labelled by a Lennard-Jones potential.

    The energies have :data:`ATOMIC_ENERGIES` in them.

    :param n_frames: number of frames.
    :param seed: seed of the displacements.
    """
    generator = np.random.default_rng(seed)
    frames = []
    for _ in range(n_frames):
        atoms = fcc111('Au', (2, 2, 3), a=4.0, vacuum=8.0, orthogonal=True)
        atoms.symbols[-4:] = ['O', 'H', 'O', 'H']
        atoms.rattle(0.12, rng=generator)
        atoms.calc = LennardJones(sigma=2.5, epsilon=0.05, rc=4.0, smooth=True)
        atomic = sum(ATOMIC_ENERGIES[symbol] for symbol in atoms.get_chemical_symbols())
        frames.append(
            Frame(
                numbers=atoms.numbers.astype(np.uint8),
                positions=atoms.positions,
                cell=atoms.cell.array,
                pbc=atoms.pbc,
                energy=atoms.get_potential_energy() + atomic,
                forces=atoms.get_forces(),
                columns={'charge_state': 0},
            )
        )
    return FrameSet.from_frames(frames)


def train(
    architecture: Architecture, job: TrainingJob, folder: Path, python: str = sys.executable, timeout: float = 300.0
) -> TrainingResult:
    """Run a training and return how it ended.

    :param architecture: architecture.
    :param job: the training.
    :param folder: working directory; for a restart the one of the earlier run.
    :param python: interpreter of the environment of the trainer.
    :param timeout: time after which the test gives up [s].
    """
    for name, content in architecture.training_files(job).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    commands = [command.to_dict() for command in architecture.commands(job)]
    document = {'device': job.device, 'threads': 1, 'packages': list(architecture.packages), 'commands': commands}
    (folder / 'commands.json').write_text(json.dumps(document))
    shutil.copy(run_commands.__file__, folder)
    subprocess.run([python, 'run_commands.py', 'commands.json'], cwd=folder, check=False, timeout=timeout)
    return architecture.read_training(folder)
