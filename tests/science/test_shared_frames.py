"""Frames that two sets share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.science.shared_frames import shared_frames


def frames(n_frames: int, seed: int, n_atoms: int = 4, is_moving: bool = True) -> FrameSet:
    """Return frames of lithium fluoride whose first atom lies at the origin."""
    random = np.random.default_rng(seed)
    base = np.arange(3 * n_atoms, dtype=np.float64).reshape(n_atoms, 3)
    return FrameSet.from_frames(
        [
            Frame(
                numbers=np.array([3, 9] * (n_atoms // 2), dtype=np.uint8),
                positions=base + (random.normal(0, 0.1, base.shape) * (np.arange(n_atoms) > 0)[:, None] * is_moving),
                cell=np.eye(3) * 9.0,
                pbc=np.ones(3, dtype=bool),
            )
            for _ in range(n_frames)
        ]
    )


def test_frames_that_are_in_both_are_found():
    own = frames(20, seed=1)
    others = FrameSet.concatenate([frames(15, seed=2), own.select([7, 3]), frames(5, seed=3, n_atoms=6)])
    assert shared_frames(own, others) == ((3, 16), (7, 15))


def test_sets_that_share_nothing():
    assert shared_frames(frames(20, seed=1), frames(20, seed=2)) == ()
    assert shared_frames(frames(3, seed=1), frames(3, seed=1, n_atoms=6)) == ()


def test_rounding_of_a_file_does_not_hide_a_frame_and_a_step_does():
    own = frames(5, seed=1)
    rounded = replace(own, positions=np.round(own.positions, 4))
    moved = own.positions.copy()
    moved[own.offsets[2], 0] += 2e-4
    assert shared_frames(own, rounded) == tuple((index, index) for index in range(5))
    assert shared_frames(own, replace(own, positions=moved)) == ((0, 0), (1, 1), (3, 3), (4, 4))


def test_another_cell_or_another_order_of_atoms_is_another_frame():
    own = frames(2, seed=1)
    cells = own.cells.copy()
    cells[1, 2, 2] += 0.01
    assert shared_frames(own, replace(own, cells=cells)) == ((0, 0),)
    assert shared_frames(own, replace(own, numbers=own.numbers[::-1].copy())) == ()


def test_first_of_several_copies_is_named():
    own = frames(3, seed=1, is_moving=False)
    assert shared_frames(own.select([0]), own) == ((0, 0),)
