"""What test frames share with training frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.geometry import find_mic
from frame_cases import frame_set, interface_frame, permuted, shaken

from aiida_edl.science.frames import FrameSet
from aiida_edl.science.leak_report import leak_report
from aiida_edl.science.splitting import Split


def make_frames(shifts: list[float], **columns: object) -> FrameSet:
    """Return frames of two hydrogen atoms in a cube of 10 Å, all shifted along x."""
    n_frames = len(shifts)
    positions = np.tile([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]], (n_frames, 1))
    positions[:, 0] += np.repeat(shifts, 2)
    frames = FrameSet(
        numbers=np.ones(2 * n_frames, dtype=np.uint8),
        positions=positions,
        offsets=2 * np.arange(n_frames + 1),
        cells=np.tile(np.eye(3) * 10.0, (n_frames, 1, 1)),
        pbc=np.ones((n_frames, 3), dtype=bool),
    )
    return frames.with_columns(**columns)


SPLIT = Split(training=np.array([0, 1]), validation=np.array([], dtype=np.int64), test=np.array([2, 3]))


def test_nearest_geometry_distance_is_the_shift():
    report = leak_report(make_frames([0.0, 1.0, 1.3, 4.0]), SPLIT)
    np.testing.assert_allclose(report.nearest_geometry_distances, [0.3, 3.0])
    assert report.n_duplicates == 0


def test_nearest_geometry_is_found_through_the_boundary():
    report = leak_report(make_frames([0.0, 3.0, 9.9, 6.0]), SPLIT)
    np.testing.assert_allclose(report.nearest_geometry_distances, [0.1, 3.0])


def test_duplicates_are_a_leak():
    report = leak_report(make_frames([0.0, 1.0, 10.0, 4.0]), SPLIT)
    assert report.n_duplicates == 1


def test_shared_groups_are_named():
    report = leak_report(make_frames([0.0, 1.0, 2.0, 4.0], group=np.array(['a', 'b', 'b', 'c'])), SPLIT)
    assert report.shared_groups == {'group': ('b',)}


def test_distance_in_time_counts_within_a_trajectory_only():
    frames = make_frames([0.0, 1.0, 2.0, 4.0], group=np.array([0, 1, 0, 1]), time=np.array([0.0, 50.0, 49.0, 20.0]))
    assert leak_report(frames, SPLIT).nearest_time_distance == pytest.approx(30.0)


def test_distance_in_time_is_infinite_without_a_shared_trajectory():
    frames = make_frames([0.0, 1.0, 2.0, 4.0], group=np.array([0, 0, 1, 1]), time=np.arange(4.0))
    assert leak_report(frames, SPLIT).nearest_time_distance == np.inf


def test_distance_in_time_is_unknown_without_times():
    assert np.isnan(leak_report(make_frames([0.0, 1.0, 2.0, 4.0]), SPLIT).nearest_time_distance)


def test_frames_of_other_atoms_are_infinitely_far():
    frames = make_frames([0.0, 1.0, 2.0, 4.0])
    numbers = frames.numbers.copy()
    numbers[6:] = 8
    arrays = {**frames.to_arrays(), 'numbers': numbers}
    assert leak_report(FrameSet.from_arrays(arrays), SPLIT).nearest_geometry_distances.tolist() == [1.0, np.inf]


def test_near_duplicates_are_found_whatever_charge_and_order_of_atoms():
    frames = frame_set(
        interface_frame(0),
        interface_frame(1),
        permuted(shaken(interface_frame(1, n_ions=2), 1e-3), 0),
        interface_frame(2),
    )
    report = leak_report(frames, SPLIT, duplicate_threshold=0.01)
    assert [pair[:2] for pair in report.near_duplicates] == [(2, 1)]
    assert report.n_duplicates == 0
    assert leak_report(frames, SPLIT).near_duplicates is None


@pytest.mark.parametrize('has_equal_cells', [True, False])
def test_nearest_geometry_is_that_of_all_pairs(has_equal_cells, monkeypatch):
    """Every pair by the minimum images of ASE; frames in chunks of 3."""
    monkeypatch.setattr('aiida_edl.science.leak_report.CHUNK', 3)
    generator = np.random.default_rng(0)
    frames = [shaken(interface_frame(int(generator.integers(4))), 0.2, seed) for seed in range(24)]
    if not has_equal_cells:
        frames = [replace(frame, cell=frame.cell * (1.0 + 0.001 * number)) for number, frame in enumerate(frames)]
    split = Split(training=np.arange(18), validation=np.array([], dtype=np.int64), test=np.arange(18, 24))
    expected = []
    for test in frames[18:]:
        lengths = [find_mic(other.positions - test.positions, test.cell, test.pbc)[1] for other in frames[:18]]
        expected.append(min(np.sqrt((one**2).mean()) for one in lengths))
    found = leak_report(frame_set(*frames), split).nearest_geometry_distances
    np.testing.assert_allclose(found, expected, rtol=1e-12)
