"""The calcfunction stores what the analysis returns."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.orm import Dict

from aiida_edl.calculations.functions.potential_profile import potential_profile
from aiida_edl.calculations.stored_results import stored_result
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis import potential_profile as analysis
from aiida_edl.science.frames import Frame, FrameSet

pytestmark = pytest.mark.usefixtures('aiida_profile')


@pytest.fixture
def trajectory() -> FrameSet:
    """Eight frames of a slab, two waters and one ion."""
    random = np.random.default_rng(1)
    metal = [(x, y, z) for z in (0.0, 2.0) for x in (0.0, 3.0, 6.0) for y in (0.0, 3.0, 6.0)]
    frames = []
    for _ in range(8):
        oxygen = np.array([(2.0, 2.0, 5.0), (6.0, 6.0, 9.0)]) + random.uniform(-0.3, 0.3, (2, 3))
        water = (oxygen[:, None] + np.array([[0, 0, 0], [0.76, 0, 0.59], [-0.76, 0, 0.59]])).reshape(-1, 3)
        positions = np.concatenate([metal, water, [[4.5, 4.5, 12.0]]])
        numbers = np.array([79] * 18 + [8, 1, 1] * 2 + [11], dtype=np.uint8)
        frames.append(Frame(numbers, positions, np.diag([9.0, 9.0, 30.0]), np.array([True, True, False])))
    return FrameSet.from_frames(frames)


def test_profile_becomes_arrays_and_attributes_and_a_profile_again(trajectory):
    settings = {'bulk_region': [6.0, 8.0], 'bin_width': 0.5}
    node = potential_profile(DatasetData.from_frames(trajectory), Dict(settings))
    expected = analysis.potential_profile(trajectory, analysis.PotentialSettings.from_dict(settings))
    found = stored_result(analysis.PotentialProfile, node)
    assert found.potential == pytest.approx(expected.potential)
    assert node.base.attributes.get('potential_drop') == pytest.approx(expected.potential_drop)
    assert found.settings == expected.settings
