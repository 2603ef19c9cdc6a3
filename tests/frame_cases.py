"""Small cells of metal, water and ions for tests of data-set tools."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aiida_edl.science.frames import Frame, FrameSet

CELL = np.diag([9.0, 9.0, 14.0])


def interface_frame(seed: int, n_ions: int = 0, scale: float = 0.3) -> Frame:
    """Return eight gold atoms, three molecules' worth of water atoms and ions on a grid, displaced at random.

    :param seed: of the displacements of metal and water, which do not depend on the ions.
    :param n_ions: sodium atoms, appended.
    :param scale: standard deviation of the displacements [Å].
    """
    grid = 2.6 * np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing='ij'), axis=-1).reshape(-1, 3)
    numbers = np.array([79] * 8 + [8, 1, 1] * 3 + [11] * n_ions, dtype=np.uint8)
    positions = grid[: len(numbers)] + np.random.default_rng(seed).normal(0.0, scale, (27, 3))[: len(numbers)]
    return Frame(numbers=numbers, positions=positions, cell=CELL, pbc=np.array([True, True, False]))


def frame_set(*frames: Frame, **columns: object) -> FrameSet:
    """Return frames with columns."""
    return FrameSet.from_frames(frames).with_columns(**columns)


def permuted(frame: Frame, seed: int) -> Frame:
    """Return a frame with its atoms in another order."""
    order = np.random.default_rng(seed).permutation(len(frame.numbers))
    return replace(frame, numbers=frame.numbers[order], positions=frame.positions[order])


def shaken(frame: Frame, scale: float, seed: int = 0) -> Frame:
    """Return a frame whose atoms are displaced at random with a standard deviation [Å]."""
    noise = np.random.default_rng(seed).normal(0.0, scale, frame.positions.shape)
    return replace(frame, positions=frame.positions + noise)


def labelled(frames: FrameSet, energies: object) -> FrameSet:
    """Return frames with energies [eV] and forces that vanish."""
    return replace(frames, energies=np.asarray(energies, dtype=float), forces=np.zeros_like(frames.positions))
