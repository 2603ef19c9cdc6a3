"""Factors of the influence function along one axis, beside a sum over many images."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.electrostatics.spline_factors import spline_factors


def test_nothing_is_undone_at_long_wavelengths():
    assert spline_factors(32, 5)[0] == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize('count', [9, 12])
def test_both_directions_are_alike(count):
    factors = spline_factors(count, 4)
    np.testing.assert_allclose(factors[1:], factors[:0:-1], rtol=1e-14)


@pytest.mark.parametrize('nodes', [3, 5, 8])
def test_the_images_that_are_left_out_do_not_matter(nodes):
    # the largest that is left out is (1/17)^(2 nodes) of the first at the edge of the zone, 4e-8 for three nodes
    index = np.fft.fftfreq(16)
    squares = np.sinc(index[:, None] + np.arange(-500, 501)) ** (2 * nodes)
    np.testing.assert_allclose(spline_factors(16, nodes), squares[:, 500] / squares.sum(axis=1) ** 2, rtol=1e-6)
