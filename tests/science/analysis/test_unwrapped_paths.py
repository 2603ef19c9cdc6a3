"""Paths through periodic cells, also ones that breathe, and what cannot be unwrapped."""

from __future__ import annotations

import re

import numpy as np
import pytest

from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.trajectory_parts import checked_interval
from aiida_edl.science.analysis.unwrapped_paths import mobile_atoms, unwrapped_paths
from aiida_edl.science.frames import FrameSet

ROUNDING = 1e-9
"""Å: rounding of a few hundred additions."""


def frames_of(positions: np.ndarray, numbers: list[int], cells: np.ndarray) -> FrameSet:
    """Return frames every 10 fs."""
    n_frames, n_atoms = positions.shape[:2]
    return FrameSet(
        numbers=np.tile(np.array(numbers, dtype=np.uint8), n_frames),
        positions=positions.reshape(-1, 3).astype(np.float64),
        offsets=np.arange(n_frames + 1, dtype=np.int64) * n_atoms,
        cells=np.broadcast_to(cells, (n_frames, 3, 3)).astype(np.float64),
        pbc=np.ones((n_frames, 3), dtype=bool),
        columns={'time': 10.0 * np.arange(n_frames)},
    )


def paths_of(frames: FrameSet, reference: tuple[str, ...] = ()) -> np.ndarray:
    return unwrapped_paths(frames, 0, len(frames), mobile_atoms(frames, 'Li', reference))


TRICLINIC = np.array([[8.0, 0.0, 0.0], [2.0, 7.0, 0.0], [-1.0, 1.5, 9.0]])


@pytest.mark.parametrize('is_wrapped', [True, False])
def test_walk_through_a_triclinic_cell(is_wrapped):
    walk = np.cumsum(np.random.default_rng(1).normal(scale=0.4, size=(600, 2, 3)), axis=0)
    positions = walk.copy()
    if is_wrapped:
        scaled = positions @ np.linalg.inv(TRICLINIC)
        positions = (scaled % 1.0) @ TRICLINIC
    np.testing.assert_allclose(paths_of(frames_of(positions, [3, 3], TRICLINIC)), walk - walk[0], atol=ROUNDING)


def test_drift_of_the_reference_is_removed():
    times = np.arange(40.0)[:, None, None]
    positions = np.tile(np.array([[0.0, 0.0, 0.0], [2.0, 2.0, 2.0], [4.0, 4.0, 4.0]]), (40, 1, 1))
    positions = positions + times * np.array([0.3, -0.2, 0.1])
    positions[:, 0, 2] += 0.05 * np.arange(40)
    paths = paths_of(frames_of(positions % 10.0, [3, 9, 9], 10.0 * np.eye(3)))
    np.testing.assert_allclose(paths[:, 0, 2], 0.05 * np.arange(40), atol=ROUNDING)
    np.testing.assert_allclose(paths[:, 0, :2], 0.0, atol=ROUNDING)


def test_centre_of_mass_of_a_chosen_reference():
    positions = np.zeros((5, 3, 3))
    positions[:, 1, 0] = np.arange(5)
    positions[:, 2, 1] = np.arange(5)
    frames = frames_of(positions, [3, 9, 6], 100.0 * np.eye(3))
    assert paths_of(frames, ('C',))[-1, 0].tolist() == pytest.approx([0.0, -4.0, 0.0])
    both = paths_of(frames)[-1, 0]
    fluorine, carbon = 18.998403163, 12.011
    expected = [-4.0 * fluorine / (fluorine + carbon), -4.0 * carbon / (fluorine + carbon), 0.0]
    assert both.tolist() == pytest.approx(expected, rel=1e-6)


def test_breathing_cell_moves_no_atom():
    """Far from the origin, images of Cartesian positions would jump by what the cell has grown since."""
    scaled = np.random.default_rng(3).random((1, 6, 3))
    sizes = 10.0 * (1.0 + 0.05 * np.sin(np.arange(300)))[:, None, None]
    positions = np.tile(scaled, (300, 1, 1)) * sizes
    frames = frames_of(positions, [3, 3, 9, 9, 9, 9], sizes * np.eye(3))
    np.testing.assert_allclose(paths_of(frames), 0.0, atol=ROUNDING)


def test_way_beyond_the_images_is_refused():
    positions = np.zeros((5, 2, 3))
    positions[3:, 0, 1] = 4.5
    message = (
        'up to frame 3 atom 0 (Li) moves by 0.45 of the cell along cell vector 1 since the frame before; beyond 0.4 '
        'the way cannot be told from its images: store frames more often'
    )
    with pytest.raises(NotAnalysableError, match=f'^{re.escape(message)}$'):
        paths_of(frames_of(positions, [3, 9], 10.0 * np.eye(3)))


def test_element_that_does_not_occur():
    frames = frames_of(np.zeros((5, 2, 3)), [11, 9], 10.0 * np.eye(3))
    with pytest.raises(NotAnalysableError, match=r"^the trajectory holds no 'Li', but F, Na$"):
        mobile_atoms(frames, 'Li', ())


def test_unequal_intervals():
    frames = frames_of(np.zeros((5, 2, 3)), [3, 9], 10.0 * np.eye(3))
    frames = frames.with_columns(time=np.array([0.0, 10.0, 20.0, 35.0, 45.0]))
    message = 'the time between frames varies from 10 to 15 fs; give frames at equal intervals'
    with pytest.raises(NotAnalysableError, match=f'^{re.escape(message)}$'):
        checked_interval(frames, [(0, 5)])
