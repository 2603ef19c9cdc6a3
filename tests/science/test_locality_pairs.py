"""Pairs of cells: what is changed is stated, all other atoms stay, and distances count images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.science.locality_pairs import (
    ADDED,
    BASE,
    BASE_INDEX,
    CHANGED,
    CHARGE,
    CONTROL,
    KIND,
    MOVED,
    REMOVED,
    LocalityError,
    LocalitySettings,
    locality_pairs,
    pairs_of,
)


def film(numbers=(79, 79, 8, 1, 1, 11), columns=None) -> FrameSet:
    generator = np.random.default_rng(3)
    positions = generator.uniform([0, 0, 2], [8, 8, 9], size=(len(numbers), 3))
    values = {'charge_state': 1, 'metal_charge': -1.0} if columns is None else columns
    frame = Frame(
        np.array(numbers, np.uint8), positions, np.diag([8.0, 8.0, 20.0]), np.array([True, True, False]), columns=values
    )
    return FrameSet.from_frames([frame])


def made(frames=None, **settings):
    return locality_pairs(frames or film(), LocalitySettings.from_dict(settings))


def test_every_kind_follows_its_base():
    pairs = made(n_moved=1, heights=[3.0, 5.0], charge_column='total_charge', charges=[-1, 1])
    assert pairs.columns[KIND].tolist() == [BASE, CONTROL, *[MOVED] * 4, REMOVED, *[ADDED] * 2, *[CHARGE] * 2]
    assert set(pairs.columns[BASE_INDEX]) == {0}
    assert pairs.columns['total_charge'].tolist() == [*[0.0] * 9, -1.0, 1.0]


def test_ions_and_charge_of_the_metal_are_counted_anew():
    pairs = made(n_moved=0, heights=[3.0])
    assert pairs.columns['charge_state'].tolist() == [1, 1, 0, 2]
    assert pairs.columns['metal_charge'].tolist() == [-1.0, -1.0, 0.0, -2.0]


def test_charge_that_follows_from_the_atoms_is_that_of_the_base():
    pairs = made(film(columns={}), repeat=[2, 1, 1], n_moved=0, charge_column='metal_charge', charges=[0.0])
    assert pairs.columns['metal_charge'].tolist() == [-2.0, -2.0, -1.0, -1.0, 0.0]


def test_atoms_that_are_compared_are_at_the_same_place():
    pairs = made(n_moved=2, heights=[3.0])
    for pair in pairs_of(pairs):
        if pair.kind == CONTROL:
            continue
        base, variant = pairs.frame(pair.base), pairs.frame(pair.variant)
        np.testing.assert_array_equal(base.positions[pair.base_atoms], variant.positions[pair.variant_atoms])
        np.testing.assert_array_equal(base.numbers[pair.base_atoms], variant.numbers[pair.variant_atoms])
        n_untouched = len(base.numbers) - (pair.kind in {MOVED, REMOVED})
        assert len(pair.base_atoms) == n_untouched


def test_displacement_has_its_length():
    pairs = made(displacement=0.25)
    for pair in pairs_of(pairs):
        if pair.kind == MOVED:
            step = pairs.frame(pair.variant).positions[pair.changed] - pairs.frame(pair.base).positions[pair.changed]
            assert np.linalg.norm(step) == pytest.approx(0.25, rel=1e-12)


def test_distance_is_to_the_nearest_image_and_the_nearer_place():
    positions = np.array([[0.5, 0.0, 5.0], [7.5, 0.0, 5.0], [4.0, 0.0, 5.0]])
    frame = Frame(np.array([11, 8, 1], np.uint8), positions, np.diag([8.0, 8.0, 20.0]), np.array([True, True, False]))
    pairs = made(FrameSet.from_frames([frame]), n_moved=0)
    (removed,) = [pair for pair in pairs_of(pairs) if pair.kind == REMOVED]
    assert removed.distances == pytest.approx([1.0, 3.5], rel=1e-12)
    moved = next(pair for pair in pairs_of(made(FrameSet.from_frames([frame]), n_moved=1)) if pair.kind == MOVED)
    assert np.all(moved.distances <= np.array([3.5, 3.5]) + 0.3)


def test_distances_do_not_depend_on_the_image_of_atoms():
    frames = film()
    elsewhere = replace(frames, positions=frames.positions + 8.0 * np.array([[1, -2, 0]] * 3 + [[0, 1, 0]] * 3))
    for one, other in zip(pairs_of(made(frames)), pairs_of(made(elsewhere)), strict=True):
        np.testing.assert_allclose(one.distances, other.distances, rtol=1e-10)


def test_added_ion_is_at_its_height_and_the_vacuum_stays():
    pairs = made(n_moved=0, n_removed=0, heights=[3.0, 6.0])
    for pair, height in zip([pair for pair in pairs_of(pairs) if pair.kind == ADDED], (3.0, 6.0), strict=True):
        assert pair.distances.min() == pytest.approx(height, rel=1e-12)
    assert pairs.cells[:, 2, 2].tolist() == [26.0] * 4


def test_repeated_cell_has_one_changed_atom():
    pairs = made(repeat=[2, 3, 1], n_moved=1)
    assert len(pairs.frame(0).numbers) == 36
    assert pairs.frame(0).columns['charge_state'] == 6
    removed = [pair for pair in pairs_of(pairs) if pair.kind == REMOVED]
    assert len(removed) == 4
    assert {len(pair.base_atoms) for pair in removed} == {35}
    assert pairs.cells[0].tolist() == np.diag([16.0, 24.0, 20.0]).tolist()


def test_choice_is_that_of_the_seed():
    frames = film(numbers=[8] * 12, columns={})
    assert made(frames, seed=1).columns[CHANGED].tolist() == made(frames, seed=1).columns[CHANGED].tolist()
    assert made(frames, seed=1).columns[CHANGED].tolist() != made(frames, seed=2).columns[CHANGED].tolist()


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'displacment': 0.1}, "unknown locality setting 'displacment': did you mean 'displacement'?"),
        ({'displacement': 0.0}, 'displacement is 0.0, it must be positive'),
        ({'repeat': [1, 1, 0]}, 'repeat is [1, 1, 0], each number must be at least 1'),
        ({'n_moved': -1}, 'n_moved is -1, it must not be negative'),
        ({'charges': [1.0]}, 'charges and charge_column belong together; give both or neither'),
        ({'heights': [-1.0]}, 'heights are [-1.0], they must be positive'),
        ({'frame_indices': []}, 'frame_indices are empty; give at least one frame'),
        ({'frame_indices': [4]}, 'frame_indices holds 4, the structure has 1 frames'),
    ],
)
def test_what_makes_no_test_is_refused(settings, message):
    with pytest.raises(LocalityError) as error:
        made(**settings)
    assert str(error.value).startswith(message)


def test_two_kinds_of_ions_have_to_be_told_apart():
    with pytest.raises(LocalityError, match='the frame holds Cl, Na; state the ion that is removed or added'):
        made(film(numbers=(79, 11, 17)))


def test_ion_above_a_periodic_cell_is_refused():
    frames = film()
    with pytest.raises(LocalityError, match='ions are to be added above a film, but the frame has pbc'):
        made(replace(frames, pbc=np.ones((1, 3), dtype=bool)), heights=[3.0])
