"""Coverage of surfaces with waters of known place and direction."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis.first_layer_coverage import FirstLayerCoverage
from aiida_edl.science.analysis.interface_structure import interface_structure
from aiida_edl.science.analysis.structure_settings import StructureSettings
from aiida_edl.science.frames import FrameSet

from . import synthetic


def coverage(
    heights: list[float], cosines: list[float], is_film: bool = True, **settings: object
) -> FirstLayerCoverage:
    """Coverage by one water at each height above the top of the slab; four equal frames."""
    places = np.column_stack([np.resize(synthetic.lattice(), (len(heights), 2)), np.array(heights) + synthetic.TOP])
    frame = synthetic.frame(places, synthetic.directions(np.array(cosines)), is_film=is_film)
    return interface_structure(FrameSet.from_frames([frame] * 4), StructureSettings(**settings)).coverage


def test_waters_by_surface_atom_and_area():
    found = coverage([2.69, 2.71, 3.0, 3.99, 4.01, 8.0], [0.0] * 6)
    assert found.per_metal_atom == pytest.approx(4 / 9, rel=1e-12)
    assert found.per_nm2 == pytest.approx(4 / 1.44, rel=1e-12)
    assert found.adsorbed_per_metal_atom == pytest.approx(1 / 9, rel=1e-12)
    assert found.adsorbed_per_nm2 == pytest.approx(1 / 1.44, rel=1e-12)


def test_directions_of_the_first_layer():
    found = coverage([3.0] * 8 + [7.0], [0.51, 0.9, 0.49, -0.49, 0.0, -0.51, -0.7, -0.99, 1.0])
    assert (found.up_fraction, found.flat_fraction, found.down_fraction) == pytest.approx((2 / 8, 3 / 8, 3 / 8))


def test_bounds_are_settings():
    found = coverage([2.0, 3.0], [0.3, 0.0], first_layer_bound=2.5, adsorption_bound=3.5, pointing_cosine=0.2)
    assert (found.per_metal_atom, found.adsorbed_per_metal_atom) == pytest.approx((1 / 9, 2 / 9))
    assert found.up_fraction == 1.0


def test_two_surfaces_are_averaged_each_with_its_normal():
    # The upper surface lies at 31 Å: hydrogen of cos -0.8 points into the liquid there.
    found = coverage([3.0] * 3 + [23.0] * 2, [0.8] * 3 + [-0.8] * 2, is_film=False)
    assert found.per_metal_atom == pytest.approx(5 / 18)
    assert found.up_fraction == 1.0


def test_no_water_in_the_first_layer_leaves_fractions_unknown():
    found = coverage([5.0] * 3, [0.0] * 3)
    assert found.per_metal_atom == 0.0
    assert np.isnan(found.up_fraction)
