"""The calcfunction stores what the analysis returns."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.orm import Dict

from aiida_edl.calculations.functions.angular_distributions import angular_distributions
from aiida_edl.calculations.stored_results import stored_result
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis import angular_distributions as analysis
from aiida_edl.science.frames import Frame, FrameSet

pytestmark = pytest.mark.usefixtures('aiida_profile')


def test_distributions_become_arrays_and_attributes_and_distributions_again():
    random = np.random.default_rng(1)
    metal = [(x, y, z) for z in (0.0, 2.0) for x in (0.0, 3.0, 6.0) for y in (0.0, 3.0, 6.0)]
    frames = []
    for _ in range(6):
        oxygen = np.array([(2.0, 2.0, 5.0), (6.0, 6.0, 8.0)]) + random.uniform(-0.3, 0.3, (2, 3))
        water = (oxygen[:, None] + np.array([[0, 0, 0], [0.76, 0, 0.59], [-0.76, 0, 0.59]])).reshape(-1, 3)
        numbers = np.array([79] * 18 + [8, 1, 1] * 2, dtype=np.uint8)
        pbc = np.array([True, True, False])
        frames.append(Frame(numbers, np.concatenate([metal, water]), np.diag([9.0, 9.0, 30.0]), pbc))
    trajectory = FrameSet.from_frames(frames)
    node = angular_distributions(DatasetData.from_frames(trajectory), Dict({'layer_bounds': [0, 5, 10]}))
    expected = analysis.angular_distributions(trajectory, analysis.AngularSettings(layer_bounds=(0, 5, 10)))
    found = stored_result(analysis.AngularDistributions, node)
    assert found.bond_distribution == pytest.approx(expected.bond_distribution, nan_ok=True)
    assert found.water_count == pytest.approx([1.0, 1.0])
