"""Atoms that hardly interact, in a thermostat whose friction is known: their diffusion is known, too."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.calculators.lj import LennardJones

from aiida_edl.science.frames import Frame, FrameSet

SODIUM = 22.98976928
"""Mass [u]."""
RELAXATION_TIME = 10.0
"""Of the Langevin thermostat [fs]."""
TEMPERATURES = (400.0, 700.0, 1400.0)
MD = {
    'thermostat': 'langevin',
    'relaxation_time': RELAXATION_TIME,
    'time_step': 1.0,
    'steps': 3000,
    'sampling_interval': 10,
    'maximum_temperature': 20000.0,
}
DIFFUSION = {'mobile': 'Na', 'hop_length': 0.3, 'window': [100.0, 400.0]}


RECIPE = {
    'module': 'ase.calculators.lj',
    'attribute': 'LennardJones',
    'keyword_arguments': {'sigma': 2.3, 'epsilon': 0.001, 'rc': 4.0, 'smooth': True},
}
"""The calculator of the labels."""


def gas(n_frames: int, seed: int, spacing: float = 9.0) -> FrameSet:
    """Return sodium atoms, far from each other at the default spacing [Å], with labels of a Lennard-Jones model."""
    generator = np.random.default_rng(seed)
    grid = spacing * np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing='ij'), axis=-1).reshape(-1, 3)
    frames = []
    for _ in range(n_frames):
        atoms = Atoms('Na8', grid + generator.normal(0, 0.3, grid.shape), cell=[18.0] * 3, pbc=True)
        atoms.calc = LennardJones(**RECIPE['keyword_arguments'])
        frames.append(
            Frame(
                numbers=atoms.numbers.astype(np.uint8),
                positions=atoms.positions,
                cell=np.array(atoms.cell),
                pbc=np.array(atoms.pbc),
                energy=float(atoms.get_potential_energy()),
                forces=atoms.get_forces(),
            )
        )
    return FrameSet.from_frames(frames)
