"""The power spectrum: spherical harmonics against another program, and radial functions against their definition."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('torch')

import torch
from scipy.integrate import quad

from aiida_edl.science.electrostatics.charge_models.descriptor import PowerSpectrum
from aiida_edl.science.electrostatics.charge_models.spherical_harmonics import real_spherical_harmonics

MAX_ANGULAR = 6


@pytest.fixture
def directions():
    vectors = np.random.default_rng(1).normal(size=(20, 3))
    return torch.as_tensor(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_harmonics_are_those_of_scipy(directions):
    special = pytest.importorskip('scipy.special')
    if not hasattr(special, 'sph_harm_y'):
        pytest.skip('scipy before 1.15 has no sph_harm_y')
    polar = np.arccos(directions[:, 2].numpy())
    azimuth = np.arctan2(directions[:, 1].numpy(), directions[:, 0].numpy())
    for angular, found in enumerate(real_spherical_harmonics(directions, MAX_ANGULAR)):
        for order in range(-angular, angular + 1):
            values = special.sph_harm_y(angular, abs(order), polar, azimuth) * (-1) ** order
            part = values.imag if order < 0 else values.real
            expected = part * (np.sqrt(2.0) if order else 1.0)
            np.testing.assert_allclose(found[:, angular + order], expected, atol=1e-13)


def test_harmonics_obey_the_addition_theorem(directions):
    for angular, found in enumerate(real_spherical_harmonics(directions, MAX_ANGULAR)):
        squares = torch.sum(found**2, dim=1) * 4.0 * np.pi / (2 * angular + 1)
        np.testing.assert_allclose(squares, 1.0, atol=1e-12)


def test_harmonics_have_derivatives_at_the_pole():
    pole = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda u: real_spherical_harmonics(u, 3)[3], (pole,))


def test_radial_functions_are_orthonormal_where_nothing_fades():
    spectrum = PowerSpectrum(3.0, 1e-6, 4, 0, 1)

    def overlap(first, second):
        def integrand(r):
            values = spectrum.radial_functions(torch.tensor([r], dtype=torch.float64))[0]
            return float(values[first] * values[second]) * r**2

        return quad(integrand, 1e-9, 3.0, limit=200)[0]

    found = [[overlap(first, second) for second in range(4)] for first in range(4)]
    np.testing.assert_allclose(found, np.eye(4), atol=1e-6)


def test_neighbours_fade_smoothly():
    spectrum = PowerSpectrum(3.0, 0.5, 4, 2, 1)
    distances = torch.tensor([1.0, 2.5, 2.75, 3.0, 3.5], dtype=torch.float64, requires_grad=True)
    values = spectrum.fading(distances)
    np.testing.assert_allclose(values.detach(), [1.0, 1.0, 0.5, 0.0, 0.0], atol=1e-15)
    (slopes,) = torch.autograd.grad(values.sum(), distances)
    np.testing.assert_allclose(slopes, [0.0, 0.0, -np.pi, 0.0, 0.0], atol=1e-12)


def test_number_of_features():
    spectrum = PowerSpectrum(3.0, 0.5, 5, 4, 4)
    assert spectrum.n_features == 20 * 21 // 2 * 5
    vectors, pairs = torch.ones((1, 3), dtype=torch.float64), torch.tensor([[0, 1]])
    assert spectrum(vectors, pairs, torch.tensor([0, 3])).shape == (2, spectrum.n_features)


def test_elements_are_told_apart():
    spectrum = PowerSpectrum(3.0, 0.5, 2, 1, 2)
    vectors, pairs = torch.ones((1, 3), dtype=torch.float64), torch.tensor([[0, 1]])
    found = spectrum(vectors, pairs, torch.tensor([0, 1]))
    other = spectrum(vectors, pairs, torch.tensor([0, 0]))
    torch.testing.assert_close(other[0], other[1])
    assert not torch.allclose(found[0], other[0])
