"""Near-duplicates, and frames of one geometry."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from ase.geometry import find_mic
from frame_cases import CELL, frame_set, interface_frame, permuted, shaken
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_edl.science.duplicates import (
    DuplicateError,
    DuplicateSettings,
    duplicates_between,
    find_duplicates,
    geometry_groups,
    without_ions,
)
from aiida_edl.science.frames import Frame
from aiida_edl.science.neighbour_distances import neighbour_fingerprints

MEASURES = ('fingerprint', 'displacement')


def dimers(*lengths: float) -> list[Frame]:
    """Return dimers along x in a large cell; both measures of two of them are proportional to the change of length."""
    return [
        Frame(np.array([8, 8], np.uint8), np.array([[0.0, 0, 0], [x, 0, 0]]), np.eye(3) * 20.0, np.ones(3, bool))
        for x in lengths
    ]


@pytest.mark.parametrize('measure', MEASURES)
def test_the_first_of_each_cluster_stays(measure):
    frames = frame_set(*dimers(1.0, 1.5, 1.001, 1.501, 2.0, 0.999))
    found = find_duplicates(frames, 0.01, measure)
    assert found.kept.tolist() == [0, 1, 4]
    assert found.removed.tolist() == [2, 3, 5]
    assert found.duplicate_of.tolist() == [0, 1, 0]


def test_displacement_of_a_duplicate_is_reported():
    """One of two atoms moves by 0.002 Å."""
    found = find_duplicates(frame_set(*dimers(1.0, 1.002)), 0.01, 'displacement')
    assert found.distances == pytest.approx([0.002 / np.sqrt(2.0)])


def test_fingerprint_distance_of_a_duplicate_is_reported():
    """One of 8 neighbour distances of both atoms changes by 0.004 Å, the others are capped."""
    found = find_duplicates(frame_set(*dimers(1.0, 1.004)), 0.01, 'fingerprint')
    assert found.distances == pytest.approx([0.004 / np.sqrt(8.0)])


@pytest.mark.parametrize('measure', MEASURES)
def test_slow_drift_is_thinned_but_not_taken_for_one_frame(measure):
    """Steps of 0.004 Å: displacements per atom of 0.0028, and those of fingerprints of 0.0014 Å."""
    frames = frame_set(*dimers(*(1.0 + 0.004 * np.arange(50))))
    found = find_duplicates(frames, 0.01, measure)
    assert 5 < len(found.kept) < 20
    assert found.distances.max() <= 0.01
    assert np.isin(found.duplicate_of, found.kept).all()
    assert (found.duplicate_of < found.removed).all()


@pytest.mark.parametrize('measure', MEASURES)
def test_frames_of_different_charge_are_no_duplicates(measure):
    """One geometry: with ions of another column of charges, or another total charge."""
    frame = interface_frame(0)
    for name, values in {
        'total_charge': [0.0, -1.0],
        'charge_state': [0, 2],
        'bias_charge': [0.25, -0.25],
        'n_electrons': [100, 101],
    }.items():
        frames = frame_set(frame, frame, **{name: np.array(values)})
        assert find_duplicates(frames, 0.1, measure).removed.tolist() == []
        assert find_duplicates(frames.with_columns(**{name: values[0]}), 0.1, measure).removed.tolist() == [1]


def test_a_geometry_with_an_ion_more_is_no_duplicate():
    frames = frame_set(interface_frame(0), interface_frame(0, n_ions=1))
    assert find_duplicates(frames, 10.0).removed.tolist() == []


def test_further_columns_tell_frames_apart():
    frames = frame_set(interface_frame(0), interface_frame(0), temperature=np.array([300.0, 330.0]))
    assert find_duplicates(frames, 0.1).removed.tolist() == [1]
    assert find_duplicates(frames, 0.1, columns=['temperature']).removed.tolist() == []


def test_another_order_of_equal_atoms_is_a_duplicate_by_fingerprint_alone():
    frame = interface_frame(0, n_ions=1)
    frames = frame_set(frame, permuted(frame, 1))
    assert find_duplicates(frames, 1e-6, 'fingerprint').removed.tolist() == [1]
    assert find_duplicates(frames, 1e-6, 'displacement').removed.tolist() == []


@pytest.mark.parametrize('measure', MEASURES)
def test_an_atom_that_crosses_the_boundary_makes_no_difference(measure):
    frame = interface_frame(0)
    shifts = np.zeros((17, 3))
    shifts[0], shifts[5] = [9.0, 0.0, 0.0], [0.0, -18.0, 0.0]
    crossed = replace(frame, positions=frame.positions + shifts)
    found = find_duplicates(frame_set(frame, crossed), 1e-6, measure)
    assert found.removed.tolist() == [1]
    assert found.distances == pytest.approx([0.0], abs=1e-9)


def test_frames_of_different_cells_have_no_displacement():
    frame = interface_frame(0)
    frames = frame_set(frame, replace(frame, cell=CELL * 1.01), replace(frame, cell=CELL + 1e-4))
    assert find_duplicates(frames, 0.1, 'displacement').removed.tolist() == [2]


def leaders_by_hand(distances: np.ndarray, threshold: float) -> dict[int, int]:
    """Return the nearest leader of each frame that goes, from the table of all distances."""
    leaders: list[int] = []
    owners = {}
    for index, row in enumerate(distances):
        near = [(row[leader], leader) for leader in leaders if row[leader] <= threshold]
        if near:
            owners[index] = min(near)[1]
        else:
            leaders.append(index)
    return owners


def table_of_displacements(frames: list[Frame]) -> np.ndarray:
    """Return all root-mean-square displacements, by the minimum images of ASE."""
    table = np.zeros((len(frames), len(frames)))
    for first, one in enumerate(frames):
        for second, other in enumerate(frames):
            lengths = find_mic(other.positions - one.positions, one.cell, one.pbc)[1]
            table[first, second] = np.sqrt((lengths**2).mean())
    return table


@pytest.mark.parametrize('measure', MEASURES)
@pytest.mark.parametrize('seed', range(3))
def test_same_as_comparing_all_pairs(measure, seed, monkeypatch):
    """Clusters of frames around a few geometries, in blocks of 7, some through the boundary."""
    monkeypatch.setattr('aiida_edl.science.duplicates.BLOCK', 7)
    generator = np.random.default_rng(seed)
    frames = [
        shaken(interface_frame(int(generator.integers(5))), 0.03, int(generator.integers(1 << 30))) for _ in range(40)
    ]
    frames = [
        replace(frame, positions=frame.positions + generator.integers(-1, 2, (17, 3)) * [9.0, 9.0, 0.0])
        for frame in frames
    ]
    points = neighbour_fingerprints(frame_set(*frames))
    table = np.linalg.norm(points[:, None] - points, axis=2)
    table = table if measure == 'fingerprint' else table_of_displacements(frames)
    threshold = float(np.quantile(table[table > 0], 0.1))
    found = find_duplicates(frame_set(*frames), threshold, measure)
    assert dict(zip(found.removed.tolist(), found.duplicate_of.tolist())) == leaders_by_hand(table, threshold)
    assert 0 < len(found.removed) < 40
    np.testing.assert_allclose(found.distances, table[found.removed, found.duplicate_of], atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.integers(0, 2**31))
def test_order_of_equal_atoms_decides_nothing(kinds, seed):
    frames = [shaken(interface_frame(kind), 1e-4, number) for number, kind in enumerate(kinds)]
    mixed = [permuted(frame, seed + number) for number, frame in enumerate(frames)]
    one, other = (find_duplicates(frame_set(*some), 0.01) for some in (frames, mixed))
    assert one.kept.tolist() == other.kept.tolist()
    assert one.duplicate_of.tolist() == other.duplicate_of.tolist()
    assert len(one.kept) == len(set(kinds))
    assert geometry_groups(frame_set(*frames), 0.01).tolist() == geometry_groups(frame_set(*mixed), 0.01).tolist()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((0.0,), 'threshold is 0 Å, it must be positive'),
        (
            (0.1, 'fingerprints'),
            "unknown measure of duplicates 'fingerprints': did you mean 'fingerprint'? Known: displacement, "
            'fingerprint.',
        ),
        (
            (0.1, 'fingerprint', ['temprature']),
            "unknown column 'temprature': did you mean 'temperature'? Known: charge_state, composition, n_atoms, "
            'temperature.',
        ),
    ],
)
def test_wrong_settings_are_refused(arguments, message):
    frames = frame_set(interface_frame(0), interface_frame(1), temperature=300.0)
    with pytest.raises(ValueError, match=f'^{re.escape(message)}$'):
        find_duplicates(frames, *arguments)


def test_settings_need_a_threshold():
    message = 'no threshold is given; state the distance within which frames are duplicates [Å]'
    with pytest.raises(DuplicateError, match=f'^{re.escape(message)}$'):
        DuplicateSettings.from_dict({})


def test_ions_are_taken_away_unless_there_is_nothing_else():
    salt = Frame(np.array([3, 9], np.uint8), np.array([[0.0, 0, 0], [2.0, 0, 0]]), np.eye(3) * 8.0, np.ones(3, bool))
    found = without_ions(frame_set(interface_frame(0, n_ions=2), salt))
    assert np.diff(found.offsets).tolist() == [17, 2]
    assert found.frame(1).numbers.tolist() == [3, 9]


def test_geometry_is_the_same_whatever_the_ions_and_charges():
    frames = frame_set(
        interface_frame(0),
        interface_frame(1),
        interface_frame(0, n_ions=2),
        interface_frame(1, n_ions=1),
        interface_frame(2),
        total_charge=np.array([0.0, 0.5, -1.0, 0.0, 0.0]),
    )
    assert geometry_groups(frames).tolist() == [0, 1, 0, 1, 2]


def test_a_chain_of_near_geometries_is_one(monkeypatch):
    monkeypatch.setattr('aiida_edl.science.duplicates.BLOCK', 3)
    frames = frame_set(*dimers(*(1.0 + 0.002 * np.arange(10)), *(1.5 + 0.002 * np.arange(4))))
    assert geometry_groups(frames, 1e-3).tolist() == [0] * 10 + [1] * 4


def test_geometries_of_another_part_are_found(monkeypatch):
    monkeypatch.setattr('aiida_edl.science.duplicates.BLOCK', 2)
    frames = [interface_frame(seed) for seed in range(4)]
    near = [permuted(shaken(frames[2], 1e-4), 5), interface_frame(9), interface_frame(1, n_ions=2)]
    found = duplicates_between(frame_set(*frames, *near), np.array([4, 5, 6]), np.array([0, 1, 2, 3]), 0.01)
    assert [pair[:2] for pair in found] == [(4, 2), (6, 1)]
    assert 0.0 < found[0][2] < 2e-4
    assert found[1][2] == pytest.approx(0.0, abs=1e-9)
