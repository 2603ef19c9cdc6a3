"""Runs of molecular dynamics with known faults: a slab, water above it, velocities of a known temperature."""

from __future__ import annotations

import numpy as np
from ase.data import atomic_masses

from aiida_edl.science import units
from aiida_edl.science.frames import FrameSet

WIDTH, HEIGHT = 12.0, 30.0
"""Edges of the cell [Å]."""
LAYERS = (1.0, 3.0)
"""Heights of the two layers of nine gold atoms [Å]."""
WATER = np.array([[0.0, 0.0, 0.0], [0.76, 0.0, 0.59], [-0.76, 0.0, 0.59]])
"""Geometry of a water [Å]."""
NUMBERS = np.array([79] * 18 + [8, 1, 1] * 9, dtype=np.uint8)
FIRST_WATER = 18
TARGET = 330.0
"""Temperature of the runs [K]."""


def still_positions() -> np.ndarray:
    """Return the positions of one frame [Å], shape ``(45, 3)``."""
    places = np.array([(x, y) for x in (2.0, 6.0, 10.0) for y in (2.0, 6.0, 10.0)])
    metal = np.array([(x, y, z) for z in LAYERS for x, y in places])
    oxygen = np.column_stack([places, np.full(9, 6.0)])
    return np.concatenate([metal, (oxygen[:, None] + WATER).reshape(-1, 3)])


def run(
    n_frames: int, seed: int = 1, temperature: float = TARGET, interval: float = 10.0, pbc_z: bool = False
) -> FrameSet:
    """Return a run whose water trembles by 0.02 Å with independent velocities of Maxwell and Boltzmann; gold is fixed.

    Single precision, as trajectories are stored.
    """
    random = np.random.default_rng(seed)
    positions = np.tile(still_positions(), (n_frames, 1, 1))
    mobile = positions[:, FIRST_WATER:]
    mobile += random.uniform(-0.02, 0.02, mobile.shape)
    velocities = np.zeros_like(positions)
    spread = np.sqrt(units.BOLTZMANN * temperature / (atomic_masses[NUMBERS[FIRST_WATER:]] * units.ATOMIC_MASS))
    velocities[:, FIRST_WATER:] = random.normal(size=mobile.shape) * spread[:, None]
    return frame_set(positions, velocities, interval, pbc_z)


def frame_set(
    positions: np.ndarray, velocities: np.ndarray | None = None, interval: float = 10.0, pbc_z: bool = False
) -> FrameSet:
    """Return frames at ``interval`` [fs] from arrays of shape ``(n_frames, 45, 3)``."""
    n_frames = len(positions)
    return FrameSet(
        numbers=np.tile(NUMBERS, n_frames),
        positions=positions.reshape(-1, 3).astype(np.float32),
        offsets=np.arange(n_frames + 1, dtype=np.int64) * len(NUMBERS),
        cells=np.tile(np.diag([WIDTH, WIDTH, HEIGHT]), (n_frames, 1, 1)),
        pbc=np.tile([True, True, pbc_z], (n_frames, 1)),
        velocities=None if velocities is None else velocities.reshape(-1, 3).astype(np.float32),
        columns={'time': interval * np.arange(1, n_frames + 1)},
    )


def series_of(frames: FrameSet) -> dict[str, np.ndarray]:
    """Return the thermodynamic series that belong to a run of :func:`run`, with a constant conserved energy."""
    velocities = frames.velocities.reshape(len(frames), -1, 3).astype(np.float64)
    kinetic = 0.5 * units.ATOMIC_MASS * np.einsum('fax,a->f', velocities**2, atomic_masses[NUMBERS])
    freedom = 3 * (len(NUMBERS) - FIRST_WATER)
    return {
        'time': np.array(frames.columns['time']),
        'temperature': 2.0 * kinetic / (freedom * units.BOLTZMANN),
        'kinetic_energy': kinetic,
        'potential_energy': -1e5 - kinetic,
        'conserved_energy': np.full(len(frames), -1e5),
    }
