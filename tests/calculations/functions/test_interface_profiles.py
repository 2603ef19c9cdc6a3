"""The calcfunction stores what the analysis returns."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.orm import Dict

from aiida_edl.calculations.functions.interface_profiles import interface_profiles
from aiida_edl.calculations.stored_results import stored_result
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis import interface_profiles as analysis
from aiida_edl.science.analysis.profile_settings import ProfileSettings
from aiida_edl.science.frames import Frame, FrameSet

pytestmark = pytest.mark.usefixtures('aiida_profile')


@pytest.fixture
def trajectory() -> FrameSet:
    """Eight frames of a slab, four waters and one ion."""
    random = np.random.default_rng(1)
    metal = [(x, y, z) for z in (0.0, 2.0) for x in (0.0, 3.0, 6.0) for y in (0.0, 3.0, 6.0)]
    sites = np.array([(2.0, 2.0, 5.0), (6.0, 2.0, 5.0), (2.0, 6.0, 5.0), (6.0, 6.0, 9.0)])
    frames = []
    for _ in range(8):
        oxygen = sites + random.uniform(-0.3, 0.3, sites.shape)
        water = (oxygen[:, None] + np.array([[0, 0, 0], [0.76, 0, 0.59], [-0.76, 0, 0.59]])).reshape(-1, 3)
        positions = np.concatenate([metal, water, [[4.5, 4.5, 12.0]]])
        numbers = np.array([79] * 18 + [8, 1, 1] * 4 + [11], dtype=np.uint8)
        frames.append(Frame(numbers, positions, np.diag([9.0, 9.0, 30.0]), np.array([True, True, False])))
    return FrameSet.from_frames(frames)


def test_profiles_become_arrays_and_scalars_attributes(trajectory):
    settings = {'bin_width': 0.5, 'z_max': 14.0}
    node = interface_profiles(DatasetData.from_frames(trajectory), Dict(settings))
    expected = analysis.interface_profiles(trajectory, ProfileSettings.from_dict(settings))
    assert set(node.get_arraynames()) == set(expected.arrays())
    assert node.get_array('mean_cosine') == pytest.approx(expected.mean_cosine, nan_ok=True)
    assert node.base.attributes.get('first_layer_count') == expected.first_layer_count
    assert node.base.attributes.get('settings') == expected.settings.to_dict()


def test_result_can_be_turned_into_profiles_again(trajectory):
    node = interface_profiles(DatasetData.from_frames(trajectory), Dict({}))
    profiles = stored_result(analysis.InterfaceProfiles, node)
    assert profiles.z.tolist() == ProfileSettings().bins.centres.tolist()
    assert (profiles.ion, profiles.n_frames) == ('Na', 8)
