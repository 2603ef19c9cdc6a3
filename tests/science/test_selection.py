"""Few frames out of many."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.science.neighbour_distances import sorted_distance_descriptors
from aiida_edl.science.selection import (
    SelectionError,
    SelectionSettings,
    choose_frames,
    select_coverage,
    select_evenly_spaced,
    select_farthest_points,
    select_frames,
    select_largest_deviations,
    select_random,
    within_window,
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


@pytest.mark.parametrize('method', ['evenly_spaced', 'random', 'farthest_point', 'coverage'])
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
            "unknown selection method 'randon': did you mean 'random'? Known: coverage, evenly_spaced, farthest_point, "
            'largest_deviation, random.',
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


def test_coverage_takes_the_middle_of_dense_regions_first():
    """Two clusters of five points and two of three on a line, and an outlier, which farthest points would take."""
    points = np.array([0, 1, 2, 3, 4, 100, 101, 102, 50, 51, 52, 20, 21, 22, 23, 24, 1000.0])[:, None]
    found = select_coverage(points, 4, seed=0, radius=2.0)
    assert found.chosen.tolist() == [2, 13, 5, 8]
    assert found.covered_share == pytest.approx(16 / 17)


def test_once_all_is_covered_the_farthest_are_chosen():
    found = select_coverage(np.array([[0.0], [1.0], [2.0], [3.0]]), 4, seed=0, radius=10.0)
    assert found.chosen.tolist() == [0, 3, 1, 2]
    assert found.covered_share == 1.0


def test_coverage_is_what_brute_force_finds():
    """Each choice covers the most of what is left, in blocks that do not divide the number of points."""
    points = np.random.default_rng(0).normal(size=(600, 2))
    is_near = np.linalg.norm(points[:, None] - points, axis=2) <= 0.3
    is_covered, expected = np.zeros(600, bool), []
    for _ in range(10):
        expected.append(int(np.argmax((is_near & ~is_covered).sum(axis=1))))
        is_covered |= is_near[expected[-1]]
    found = select_coverage(points, 10, seed=0, radius=0.3)
    assert found.chosen.tolist() == expected
    assert found.covered_share == pytest.approx(is_covered.mean())


def test_radius_of_coverage_is_half_that_of_farthest_points():
    found = select_coverage(np.array([[0.0], [1.0], [4.0], [10.0]]), 2, seed=0)
    assert found.radius == pytest.approx(2.0)


def test_largest_deviations_without_those_that_are_unknown():
    assert select_largest_deviations([0.1, np.nan, 0.5, 0.5, 0.3], 3).tolist() == [2, 3, 4]


def test_window_of_deviations_holds_its_ends():
    values = [0.1, 0.12, np.nan, 0.2, 0.25, 0.3]
    assert within_window(values, 0.12, 0.25).tolist() == [1, 3, 4]
    assert within_window(values, None, 0.12).tolist() == [0, 1]
    assert within_window(values, 0.2, None).tolist() == [3, 4, 5]


def test_strata_are_in_the_selection_as_in_the_set():
    """6 of 12 frames in strata of 2, 4 and 6."""
    frames = make_set().with_columns(region=np.repeat(['a', 'b', 'c'], [2, 4, 6]))
    chosen = choose_frames(frames, SelectionSettings(n_frames=6, stratify_by='region', seed=1))
    assert np.bincount(np.repeat([0, 1, 2], [2, 4, 6])[chosen]).tolist() == [1, 2, 3]


@pytest.mark.parametrize('method', ['random', 'evenly_spaced', 'farthest_point', 'coverage', 'largest_deviation'])
def test_every_method_works_stratum_by_stratum_inside_a_window(method):
    frames = make_set().with_columns(temperature=np.tile([300.0, 330.0], 6))
    settings = SelectionSettings(
        n_frames=4, method=method, stratify_by='temperature', shares='equal', lower=0.15, upper=0.95
    )
    deviations = np.where(np.arange(12) == 7, np.nan, 0.1 * np.arange(12))
    chosen = choose_frames(frames, settings, deviations=deviations)
    assert set(chosen.tolist()) <= {2, 3, 4, 5, 6, 8, 9}
    assert sorted((chosen % 2).tolist()) == [0, 0, 1, 1]


def test_selections_of_one_size_differ_in_the_share_of_a_stratum():
    frames = make_set().with_columns(defect=np.repeat(['interstitial', 'none'], 6))
    # 1.5 and 4.5 frames have equal remainders, and the first of equal strata goes first.
    for share, n_defective in ((0.0, 0), (0.25, 2), (0.5, 3), (0.75, 5), (1.0, 6)):
        settings = SelectionSettings(
            n_frames=6, stratify_by='defect', shares={'interstitial': share, 'none': 1.0 - share}
        )
        chosen = choose_frames(frames, settings)
        assert (len(set(chosen.tolist())), np.count_nonzero(chosen < 6)) == (6, n_defective)


def test_strata_of_two_columns_are_in_the_selection_as_in_the_set():
    """6 of 12 frames in four strata of 2, 4, 4 and 2."""
    frames = make_set().with_columns(
        temperature=np.repeat([300.0, 600.0], 6), defect=np.array(['a'] * 2 + ['b'] * 8 + ['c'] * 2)
    )
    settings = SelectionSettings(n_frames=6, stratify_by='temperature+defect', seed=2)
    chosen = choose_frames(frames, settings)
    assert np.bincount(np.repeat([0, 1, 2, 3], [2, 4, 4, 2])[chosen]).tolist() == [1, 2, 2, 1]


def test_equal_strata_draw_different_frames():
    """Two charges of each geometry: the draws of both are independent of each other."""
    frames = FrameSet.concatenate([make_set(), make_set()]).with_columns(total_charge=np.repeat([0.0, 1.0], 12))
    chosen = choose_frames(frames, SelectionSettings(n_frames=12, stratify_by='total_charge', seed=0))
    assert set(chosen[:6].tolist()) != set((chosen[6:] - 12).tolist())


def test_choice_without_strata_is_that_of_the_method():
    settings = SelectionSettings(n_frames=5, method='farthest_point', seed=3)
    assert choose_frames(make_set(), settings).tolist() == select_frames(make_set(), 5, 'farthest_point', 3).tolist()


@pytest.mark.parametrize(
    ('settings', 'deviations', 'message'),
    [
        ({'n_frames': 13}, None, '13 frames are asked for out of 12; ask for 1 to 12'),
        ({'n_frames': 3, 'lower': 0.1}, None, 'a window of deviations is given, but no deviations; give both or none'),
        (
            {'n_frames': 3, 'lower': 0.95, 'method': 'random'},
            np.linspace(0.0, 1.0, 12),
            '3 frames are asked for, 1 of 12 have a deviation inside the window; ask for fewer or widen it',
        ),
        (
            {'n_frames': 3, 'lower': 0.3, 'upper': 0.2},
            np.zeros(12),
            'the window of deviations is 0.3 to 0.2; give the lower end first',
        ),
        (
            {'n_frames': 3, 'method': 'largest_deviation'},
            None,
            "method 'largest_deviation' needs deviations, none were given",
        ),
        (
            {'n_frames': 3, 'method': 'largest_deviation'},
            np.array([1.0, 2.0, *[np.nan] * 10]),
            '3 frames are asked for, 2 of 12 have a deviation',
        ),
        ({'n_frames': 3}, np.zeros(4), '4 rows of deviations are given for 12 frames; give one per frame'),
        (
            {'n_frames': 9, 'stratify_by': 'region', 'shares': 'equal'},
            None,
            "3 frames with region 'a' are asked for, there are 2; ask for fewer, or for proportional shares",
        ),
        (
            {'n_frames': 6, 'stratify_by': 'region', 'shares': {'a': 0.5, 'c': 0.5}},
            None,
            "3 frames with region 'a' are asked for, there are 2; ask for fewer, or for proportional shares",
        ),
        (
            {'n_frames': 6, 'shares': {'a': 0.5, 'c': 0.5}},
            None,
            "shares are given by name, but no strata; give stratify_by, e.g. 'defect'",
        ),
        (
            {'n_frames': 3, 'method': 'coverage', 'coverage_radius': -1.0},
            None,
            'coverage_radius is -1, it must be positive',
        ),
    ],
)
def test_impossible_choices_are_refused(settings, deviations, message):
    frames = make_set().with_columns(region=np.repeat(['a', 'b', 'c'], [2, 4, 6]))
    with pytest.raises(ValueError, match=f'^{re.escape(message)}$'):
        choose_frames(frames, SelectionSettings.from_dict(settings), deviations=deviations)
