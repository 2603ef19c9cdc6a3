"""Planar averages of volumetric data."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.io.cube import write_cube

from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.gaussian_cube import planar_average


@pytest.fixture
def cube(tmp_path):
    """Return a file whose values are 100 i + 10 j + k."""
    i, j, k = np.indices((2, 3, 4))
    with (tmp_path / 'a.cube').open('w') as handle:
        write_cube(handle, Atoms('H', cell=[2.0, 6.0, 10.0]), data=100.0 * i + 10.0 * j + k)
    return tmp_path / 'a.cube'


@pytest.mark.parametrize(
    ('axis', 'step', 'average'),
    [(0, 1.0, [11.5, 111.5]), (1, 2.0, [51.5, 61.5, 71.5]), (2, 2.5, [60.0, 61.0, 62.0, 63.0])],
)
def test_average_along_each_axis(cube, axis, step, average):
    heights, values = planar_average(cube, axis)
    assert values == pytest.approx(average, abs=1e-9)
    assert heights == pytest.approx(step * np.arange(len(average)), abs=1e-5)


def test_truncated_file_is_refused(cube):
    cube.write_text(cube.read_text()[:300])
    with pytest.raises(FormatError, match=r'^a\.cube is truncated or no cube file \(.*\); write it again$'):
        planar_average(cube, 0)
