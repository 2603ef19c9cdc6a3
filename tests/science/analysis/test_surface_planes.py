"""Surface planes, normals and heights."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis import surface_planes
from aiida_edl.science.analysis.atom_groups import atom_groups
from aiida_edl.science.frames import Frame

from . import synthetic

UP = np.array([[0.0, 0.0, 1.0]])


def with_water_at(*heights: float, is_film: bool = True) -> Frame:
    """Frame with nine waters at each height."""
    places = [np.column_stack([synthetic.lattice(), np.full(9, height)]) for height in heights]
    oxygen = np.concatenate(places)
    return synthetic.frame(oxygen, np.tile(UP, (len(oxygen), 1)), is_film=is_film)


def found(frame: Frame) -> list[tuple[str, float]]:
    """Names and heights of the wet surfaces."""
    result = []
    cells = frame.cell[None]
    normals = surface_planes.surface_normals(cells)
    periods, periodic = surface_planes.periods_along(cells, normals), frame.pbc[None, 2]
    heights = frame.positions[None] @ normals[0]
    for surface in surface_planes.surfaces_of_frame(frame, atom_groups(frame.numbers)):
        plane = surface_planes.plane_heights(heights, surface, periods, periodic)
        result.append((surface.name, float(plane[0])))
    return result


def test_film_above_the_metal_wets_the_lower_surface():
    assert found(with_water_at(8.0, 11.0)) == [('lower', 5.0)]


def test_film_below_the_metal_wets_the_upper_surface():
    assert found(with_water_at(-2.0, -5.0)) == [('upper', 1.0)]


def test_liquid_between_slab_and_image_wets_both_surfaces():
    assert found(with_water_at(8.0, 13.0, 18.0, 23.0, 28.0, is_film=False)) == [('lower', 5.0), ('upper', 1.0)]


def test_vacuum_in_a_periodic_cell_leaves_one_surface_dry():
    assert found(with_water_at(8.0, 11.0, is_film=False)) == [('lower', 5.0)]


def test_one_evaporated_molecule_does_not_wet_a_surface():
    oxygen = np.column_stack([synthetic.lattice(), np.full(9, 8.0)])
    oxygen = np.concatenate([oxygen, [[6.0, 6.0, 28.0]]])
    assert found(synthetic.frame(oxygen, np.tile(UP, (10, 1)))) == [('lower', 5.0)]


def test_liquid_between_two_slabs_wets_both():
    base = with_water_at(8.0, 12.0, 16.0)
    second = synthetic.metal() + np.array([0.0, 0.0, 18.0])
    frame = Frame(
        np.concatenate([base.numbers, np.full(27, 79, dtype=np.uint8)]),
        np.concatenate([base.positions, second]),
        base.cell,
        base.pbc,
    )
    assert found(frame) == [('lower', 5.0), ('upper', 19.0)]


def test_metal_without_liquid_has_no_wet_surface():
    frame = synthetic.frame(np.zeros((0, 3)), np.zeros((0, 3)))
    assert found(frame) == []


def test_plane_is_the_mean_of_the_outermost_layer():
    frame = with_water_at(8.0)
    positions = frame.positions.copy()
    positions[18:27, 2] += np.array([0.3, -0.3, 0.2, -0.2, 0.1, -0.1, 0.0, 0.0, 0.09])
    assert found(Frame(frame.numbers, positions, frame.cell, frame.pbc)) == [('lower', pytest.approx(5.01, abs=1e-12))]


def test_adatom_is_not_the_surface():
    frame = with_water_at(9.0)
    numbers = np.concatenate([frame.numbers, np.array([79], dtype=np.uint8)])
    positions = np.concatenate([frame.positions, [[2.0, 2.0, 7.0]]])
    assert found(Frame(numbers, positions, frame.cell, frame.pbc)) == [('lower', 5.0)]


@pytest.mark.parametrize('shift', [-7.0, -4.0, 12.0, 26.5, 29.0])
def test_slab_may_cross_the_boundary_of_the_cell(shift):
    frame = with_water_at(8.0, 13.0, 18.0, 23.0, 28.0, is_film=False)
    positions = frame.positions + np.array([0.0, 0.0, shift])
    positions[:, 2] %= synthetic.HEIGHT
    planes = found(Frame(frame.numbers, positions, frame.cell, frame.pbc))
    assert [name for name, _ in planes] == ['lower', 'upper']
    for (_, height), expected in zip(planes, (5.0, 1.0), strict=True):
        difference = (height - expected - shift) % synthetic.HEIGHT
        assert min(difference, synthetic.HEIGHT - difference) == pytest.approx(0.0, abs=1e-9)


def test_heights_run_into_the_liquid_from_both_surfaces():
    heights, planes = np.array([[8.0, 28.0]]), {1: np.array([5.0]), -1: np.array([1.0])}
    period, periodic = np.array([30.0]), np.array([True])
    for sign, expected in ((1, [3.0, 23.0]), (-1, [23.0, 3.0])):
        surface = surface_planes.Surface(np.array([0]), sign)
        above = surface_planes.heights_above(heights, planes[sign], surface, period, periodic)
        assert above.tolist() == [expected]


def test_left_handed_cell_has_its_normal_along_the_third_vector():
    cell = np.array([[0.0, 12.0, 0.0], [12.0, 0.0, 0.0], [0.0, 0.0, 30.0]])[None]
    assert surface_planes.surface_normals(cell).tolist() == [[0.0, 0.0, 1.0]]


def test_height_of_a_tilted_cell_is_not_the_length_of_its_third_vector():
    cell = np.array([[12.0, 0.0, 0.0], [0.0, 12.0, 0.0], [3.0, 4.0, 30.0]])[None]
    normals = surface_planes.surface_normals(cell)
    assert surface_planes.periods_along(cell, normals).tolist() == [30.0]
    assert surface_planes.areas(cell).tolist() == [144.0]
