"""Descriptors of a data set as a node."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.orm import Dict

pytest.importorskip('featomic')

from aiida_edl.calculations.functions.lode_descriptors import lode_descriptors
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.electrostatics.lode import LodeSettings
from aiida_edl.science.electrostatics.lode import lode_descriptors as describe
from aiida_edl.science.frames import Frame, FrameSet

SETTINGS = {'max_angular': 1, 'max_radial': 1}


def dataset():
    positions = np.random.default_rng(4).uniform(0.0, 7.0, (5, 3))
    numbers = np.array([11, 17, 8, 1, 1], dtype=np.uint8)
    frames = [Frame(numbers[:n], positions[:n], np.eye(3) * 12.0, np.ones(3, dtype=bool)) for n in (5, 2)]
    return DatasetData.from_frames(FrameSet.from_frames(frames))


def test_rows_are_those_of_the_atoms_frame_by_frame():
    node = dataset()
    found = lode_descriptors(node, Dict(SETTINGS))
    expected = describe(node.frames(), LodeSettings.from_dict(SETTINGS))
    np.testing.assert_allclose(found.get_array('descriptors'), expected.values)
    assert found.get_array('offsets').tolist() == [0, 5, 7]
    assert found.base.attributes.get('features')[0] == list(expected.features[0])


def test_elements_give_the_order_of_the_columns():
    found = lode_descriptors(dataset(), Dict({**SETTINGS, 'elements': ['Cl', 'H', 'Na', 'O']}))
    assert found.base.attributes.get('features')[0][:2] == ['Cl', 'Cl']
