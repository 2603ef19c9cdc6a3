"""The calcfunctions store what the analyses return."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.functions.compare_structures import compare_structures
from aiida_edl.calculations.functions.interface_structure import interface_structure
from aiida_edl.calculations.stored_results import result_node
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis import interface_structure as analysis
from aiida_edl.science.analysis.structure_settings import StructureSettings
from aiida_edl.science.frames import Frame, FrameSet

pytestmark = pytest.mark.usefixtures('aiida_profile')

TAG = {'training_set': 'single_2', 'architecture': 'mace', 'seed': 1, 'charge_state': '2Na'}


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


def test_structure_becomes_arrays_and_attributes(trajectory):
    settings = {'rdf_range': 4.0, 'layer_bounds': [0, 4, 8]}
    node = interface_structure(DatasetData.from_frames(trajectory), Dict(settings))
    expected = analysis.interface_structure(trajectory, StructureSettings.from_dict(settings))
    assert set(node.get_arraynames()) == set(expected.arrays())
    assert node.get_array('rdf_g') == pytest.approx(expected.rdf.g, nan_ok=True)
    assert node.base.attributes.get('rdf_pairs') == list(expected.rdf.pairs)
    assert node.base.attributes.get('coverage_per_nm2') == pytest.approx(expected.coverage.per_nm2)


@pytest.fixture
def node(trajectory: FrameSet) -> ArrayData:
    """The structure of that trajectory."""
    return result_node(analysis.interface_structure(trajectory))


def test_structures_are_compared(node):
    tags = {'model': TAG, 'reference': {**TAG, 'is_reference': True}, 'lonely': {**TAG, 'charge_state': '0'}}
    result = compare_structures(Dict(tags), model=node, reference=node, lonely=node).get_dict()
    assert {row['error_integral'] for row in result['distributions']} == {0.0}
    assert 'Na-O' in {row['pair'] for row in result['distributions']}
    assert {row['charge_state'] for row in result['numbers']} == {'2Na'}
    assert result['excluded'] == []
    assert result['without_reference'] == [{**TAG, 'charge_state': '0'}]


def test_run_that_left_physics_is_excluded(node):
    quality = ArrayData()
    quality.base.attributes.set_many({'is_physical': False, 'reasons': [{'sentence': 'it melted'}]})
    tags = {'model': TAG, 'other': {**TAG, 'seed': 2}, 'reference': {**TAG, 'is_reference': True}}
    nodes = {'model': node, 'other': node, 'reference': node, 'quality_other': quality}
    result = compare_structures(Dict(tags), **nodes).get_dict()
    assert [(row['seed'], row['reason']) for row in result['excluded']] == [(2, 'it melted')]
    assert {row['seed'] for row in result['distributions']} == {1}


def test_tags_must_fit(node):
    message = r"^each structure needs tags and each tag a structure; only one is given for \['other'\]$"
    with pytest.raises(ValueError, match=message):
        compare_structures(Dict({'other': TAG, 'model': TAG}), model=node)
