"""Frames laid end to end."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

from aiida_edl.science.frames import Frame, FrameSet


def make_frames(sizes: tuple[int, ...] = (3, 2, 4), seed: int = 0) -> FrameSet:
    """Return labelled frames of different sizes with random content."""
    generator = np.random.default_rng(seed)
    return FrameSet.from_frames(
        Frame(
            numbers=generator.choice(np.array([1, 8, 79], dtype=np.uint8), size=size),
            positions=generator.normal(size=(size, 3)),
            cell=np.diag([10.0, 11.0, 12.0]),
            pbc=np.array([True, True, False]),
            energy=float(index),
            forces=generator.normal(size=(size, 3)),
            stress=np.eye(3) * index,
            charges=generator.normal(size=size),
            columns={'group': 'abc'[index % 3], 'charge_state': index},
        )
        for index, size in enumerate(sizes)
    )


def assert_equal(one: FrameSet, two: FrameSet) -> None:
    """Assert that two sets hold the same arrays."""
    first, second = one.to_arrays(), two.to_arrays()
    assert set(first) == set(second)
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


def test_frames_come_back_as_given():
    frames = make_frames()
    assert_equal(FrameSet.from_frames(frames), frames)


def test_negative_index_counts_from_the_end():
    frames = make_frames()
    np.testing.assert_array_equal(frames.frame(-1).positions, frames.positions[5:9])
    assert frames.frame(-1).energy == 2.0


def test_index_out_of_range_is_refused():
    with pytest.raises(IndexError, match=r'^frame 3 of a set of 3 frames$'):
        make_frames().frame(3)


def test_select_keeps_order_and_repeats():
    frames = make_frames()
    expected = FrameSet.from_frames([frames.frame(2), frames.frame(0), frames.frame(2)])
    assert_equal(frames.select([2, 0, 2]), expected)


def test_select_nothing_gives_an_empty_set():
    assert len(make_frames().select([])) == 0


def test_select_refuses_a_mask():
    message = 'frame indices are of type bool; give integers, for a mask np.flatnonzero(mask)'
    with pytest.raises(ValueError, match=f'^{re.escape(message)}$'):
        make_frames().select(np.array([True, False, True]))


def test_select_out_of_range_is_refused():
    with pytest.raises(IndexError, match=r'^frame indices 0 to 7 of a set of 3 frames$'):
        make_frames().select([0, 7])


def test_concatenate_is_the_inverse_of_select():
    frames = make_frames()
    assert_equal(FrameSet.concatenate([frames.select([0]), frames.select([1, 2])]), frames)


def test_concatenate_refuses_different_labels():
    frames = make_frames()
    message = "set 1 and set 0 do not both carry ['charges', 'energies', 'forces', 'stresses']"
    with pytest.raises(ValueError, match=f'^{re.escape(message)}$'):
        FrameSet.concatenate([frames, frames.without_labels()])


def test_npz_round_trip():
    frames = make_frames()
    assert_equal(FrameSet.from_npz(io.BytesIO(frames.to_npz_bytes())), frames)


@pytest.mark.parametrize('fraction', [0.3, 0.9])
def test_truncated_npz_is_refused(fraction):
    content = make_frames().to_npz_bytes()
    with pytest.raises(ValueError, match=r'^the file of frames is truncated or no \.npz file \(.*\); write it again$'):
        FrameSet.from_npz(io.BytesIO(content[: int(fraction * len(content))]))


def test_partial_labels_are_refused():
    one = make_frames().frame(0)
    other = Frame(numbers=one.numbers, positions=one.positions, cell=one.cell, pbc=one.pbc, columns=one.columns)
    with pytest.raises(ValueError, match=r"^1 of 2 frames lack 'energy'$"):
        FrameSet.from_frames([one, other])


def test_no_frame_is_refused():
    with pytest.raises(ValueError, match=r'^a set of frames needs at least one frame, none was given$'):
        FrameSet.from_frames([])


def test_wrong_shape_is_refused():
    arrays = make_frames().to_arrays()
    arrays['forces'] = arrays['forces'][:-1]
    with pytest.raises(ValueError, match=r"^array 'forces' has shape \(8, 3\), expected \(9, 3\)$"):
        FrameSet.from_arrays(arrays)


def test_missing_array_is_refused():
    with pytest.raises(
        ValueError, match=r"^a set of frames needs the arrays \['cells', 'offsets', 'pbc', 'positions'\]"
    ):
        FrameSet.from_arrays({'numbers': np.array([1], dtype=np.uint8)})


def test_column_of_objects_is_refused():
    message = "column 'note' holds Python objects; give numbers or strings of one type"
    with pytest.raises(ValueError, match=f'^{message}$'):
        make_frames().with_columns(note=np.array([None, 'a', 1], dtype=object))


def test_with_columns_repeats_a_scalar():
    assert make_frames().with_columns(charge_state=2).columns['charge_state'].tolist() == [2, 2, 2]


def test_elements_are_ordered_by_atomic_number():
    assert make_frames(seed=3).elements == ('H', 'O', 'Au')
