"""Volume and wave vectors of oblique cells beside numpy's."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('torch')

import torch

from aiida_edl.science.electrostatics.torch_cell import (
    cell_volume,
    mesh_wave_vectors,
    reciprocal_vectors,
    sphere_wave_vectors,
)

CELL = torch.tensor([[4.0, 0.1, 0.3], [-1.5, 5.1, 0.2], [0.7, 1.4, 6.4]], dtype=torch.float64)


def test_the_volume_is_the_determinant_of_a_left_handed_cell_too():
    expected = abs(np.linalg.det(CELL.numpy()))
    assert cell_volume(CELL).item() == pytest.approx(expected, rel=1e-14)
    assert cell_volume(CELL[[1, 0, 2]]).item() == pytest.approx(expected, rel=1e-14)


def test_the_volume_has_a_gradient_in_single_precision_whatever_the_default_type_is():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        cell = CELL.to(torch.float32).requires_grad_()
        (gradient,) = torch.autograd.grad(cell_volume(cell), cell)
    finally:
        torch.set_default_dtype(before)
    expected = np.linalg.det(CELL.numpy()) * np.linalg.inv(CELL.numpy()).T
    np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-5)


def test_reciprocal_vectors_times_cell_vectors_are_two_pi():
    torch.testing.assert_close(reciprocal_vectors(CELL) @ CELL.T, 2.0 * np.pi * torch.eye(3, dtype=torch.float64))


@pytest.mark.parametrize('mesh', [(5, 7, 9), (4, 6, 8)])
def test_wave_vectors_of_a_mesh_are_those_of_a_transform(mesh):
    index = [np.fft.fftfreq(count) * count for count in mesh[:2]] + [np.fft.rfftfreq(mesh[2]) * mesh[2]]
    for axis in range(2):
        index[axis][2 * index[axis] == -mesh[axis]] *= -1.0  # the edge of the zone is taken as the positive one
    expected = np.stack(np.meshgrid(*index, indexing='ij'), axis=-1) @ reciprocal_vectors(CELL).numpy()
    np.testing.assert_allclose(mesh_wave_vectors(CELL, mesh).numpy(), expected, atol=1e-12)


def test_a_sphere_holds_one_of_each_pair_of_wave_vectors():
    vectors = sphere_wave_vectors(CELL, 4.0).numpy()
    grid = np.stack(np.meshgrid(*[np.arange(-9, 10)] * 3, indexing='ij'), axis=-1).reshape(-1, 3)
    everywhere = grid @ reciprocal_vectors(CELL).numpy()
    inside = everywhere[np.linalg.norm(everywhere, axis=1) <= 4.0]
    both = np.concatenate([vectors, -vectors[1:]])
    assert np.array_equal(vectors[0], np.zeros(3))
    assert sorted(map(tuple, both.round(9) + 0.0)) == sorted(map(tuple, inside.round(9) + 0.0))
