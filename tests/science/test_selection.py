"""Few frames out of many."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.science.selection import (
    SelectionError,
    select_evenly_spaced,
    select_farthest_points,
    select_frames,
    select_random,
    sorted_distance_descriptors,
)

WATER = np.array([[5.0, 5.0, 5.0], [5.96, 5.0, 5.0], [4.76, 5.93, 5.0]])


def make_frame(positions: np.ndarray, numbers: tuple[int, ...] = (8, 1, 1), pbc: bool = True) -> Frame:
    """Return a frame in a cube of 12 Å."""
    return Frame(
        numbers=np.array(numbers, dtype=np.uint8), positions=positions, cell=np.eye(3) * 12.0, pbc=np.full(3, pbc)
    )


def test_even_spacing_holds_both_ends():
    assert select_evenly_spaced(11, 3).tolist() == [0, 5, 10]


def test_single_evenly_spaced_frame_is_the_last():
    assert select_evenly_spaced(11, 1).tolist() == [10]


@pytest.mark.parametrize(('n_frames', 'n_selected'), [(10, 9), (10, 10), (1000, 3), (7, 5)])
def test_even_spacing_never_repeats(n_frames, n_selected):
    assert len(np.unique(select_evenly_spaced(n_frames, n_selected))) == n_selected


def test_random_selection_is_seeded_and_ascending():
    one, same, other = (select_random(100, 10, seed).tolist() for seed in (1, 1, 2))
    assert one == same == sorted(set(one))
    assert one != other


def test_farthest_points_on_a_line_are_its_ends():
    chosen = select_farthest_points(np.array([[0.0], [1.0], [2.0], [10.0]]), 3, seed=0)
    assert {0, 3} <= set(chosen.tolist())


def test_farthest_points_take_one_of_each_cluster():
    generator = np.random.default_rng(0)
    centres = np.repeat(100.0 * np.eye(4), 25, axis=0)
    chosen = select_farthest_points(centres + generator.normal(size=centres.shape), 4, seed=3)
    assert sorted((chosen // 25).tolist()) == [0, 1, 2, 3]


def test_farthest_points_of_equal_points_do_not_repeat():
    assert sorted(select_farthest_points(np.zeros((5, 2)), 5, seed=0).tolist()) == [0, 1, 2, 3, 4]


def test_smaller_selection_is_the_first_part_of_a_larger():
    points = np.random.default_rng(0).normal(size=(50, 3))
    np.testing.assert_array_equal(select_farthest_points(points, 20, 1)[:5], select_farthest_points(points, 5, 1))


def test_descriptors_hold_inverse_distances():
    """Two hydrogen atoms 2 Å apart see each other once within 5 Å."""
    frames = FrameSet.from_frames([make_frame(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]]), (1, 1))])
    np.testing.assert_allclose(sorted_distance_descriptors(frames, n_distances=2), [[0.5, 0.0, 0.0, 0.0]])


def test_descriptors_do_not_change_under_symmetries():
    generator = np.random.default_rng(0)
    positions = WATER + generator.normal(scale=0.1, size=WATER.shape)
    rotated = positions @ Rotation.random(random_state=1).as_matrix().T
    frames = FrameSet.from_frames(
        make_frame(variant) for variant in (positions, positions + 8.0, rotated, positions[[0, 2, 1]])
    )
    descriptors = sorted_distance_descriptors(frames)
    np.testing.assert_allclose(descriptors[1:], np.tile(descriptors[0], (3, 1)), atol=1e-10)


def test_descriptors_tell_geometries_apart():
    frames = FrameSet.from_frames([make_frame(WATER), make_frame(WATER * 1.1)])
    first, second = sorted_distance_descriptors(frames)
    assert np.abs(first - second).max() > 0.05


def test_element_that_is_absent_has_no_neighbours():
    frames = FrameSet.from_frames([make_frame(WATER), make_frame(WATER[:2], (8, 1)), make_frame(WATER[1:], (1, 1))])
    per_element = sorted_distance_descriptors(frames, n_distances=3).reshape(3, 2, 2, 3)
    assert not per_element[2, 1].any()


def make_set(n_frames: int = 12) -> FrameSet:
    """Return water molecules stretched more and more."""
    return FrameSet.from_frames(make_frame(WATER * (1.0 + 0.02 * step)) for step in range(n_frames))


@pytest.mark.parametrize('method', ['evenly_spaced', 'random', 'farthest_point'])
def test_every_method_gives_ascending_distinct_indices(method):
    chosen = select_frames(make_set(), 5, method, seed=0).tolist()
    assert chosen == sorted(set(chosen))
    assert len(chosen) == 5


def test_given_descriptors_are_used():
    descriptors = np.zeros((12, 1))
    descriptors[7] = 1.0
    assert 7 in select_frames(make_set(), 2, 'farthest_point', seed=0, descriptors=descriptors)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((13, 'random', 0), '13 frames are asked for out of 12; ask for 1 to 12'),
        ((0, 'farthest_point', 0), '0 frames are asked for out of 12; ask for 1 to 12'),
        (
            (3, 'randon', 0),
            "unknown selection method 'randon': did you mean 'random'? Known: evenly_spaced, farthest_point, random.",
        ),
        (
            (3, 'farthest_point', 0, np.zeros((4, 2))),
            '4 rows of descriptors are given for 12 frames; give one per frame',
        ),
        (
            (3, 'farthest_point', 0, np.full((12, 2), np.nan)),
            'descriptors hold values that are not finite; remove those frames first',
        ),
        ((3, 'farthest_point', 0, np.zeros(12)), 'descriptors have shape (12,); give one row per frame'),
    ],
)
def test_impossible_selections_are_refused(arguments, message):
    with pytest.raises(SelectionError, match=f'^{re.escape(message)}$'):
        select_frames(make_set(), *arguments)
