"""Analyses that were announced are found in one pass; each is what it is alone, and depends on its own inputs alone."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.orm import Dict
from calculation_cases import stored_once
from frame_cases import frame_set, shaken

from aiida_edl.calculations import shared_pass
from aiida_edl.calculations.functions.angular_distributions import angular_distributions
from aiida_edl.calculations.functions.interface_profiles import interface_profiles
from aiida_edl.calculations.functions.potential_profile import potential_profile
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.structures.metal_water_interface import InterfaceSettings, build_interface
from aiida_edl.workflows.interface_analysis import InterfaceAnalysisWorkChain

FUNCTIONS = {
    'interface_profiles': interface_profiles,
    'angular_distributions': angular_distributions,
    'potential_profile': potential_profile,
}
SETTINGS = {'interface_profiles': {'z_max': 6.0}, 'angular_distributions': {}, 'potential_profile': {'z_max': 6.0}}


@pytest.fixture
def trajectory(aiida_profile):
    """Return a trajectory that can be analysed."""

    def make():
        interface = build_interface(InterfaceSettings.from_dict({'repeat': [2, 2, 2], 'n_water': 6})).frame
        frames = frame_set(*(shaken(interface, 0.02, seed) for seed in range(8)), time=np.arange(8.0))
        return DatasetData.from_frames(frames, origin='made by hand')

    return stored_once('interfaces of a shared pass', make)


@pytest.fixture
def passes(monkeypatch):
    """Return a list that grows by the number of analyses of each pass that several share."""
    made = []

    def counted(frames, *settings):
        made.append(sum(item is not None for item in settings))
        return wanted_observables(frames, *settings)

    wanted_observables = shared_pass.wanted_observables
    monkeypatch.setattr(shared_pass, 'wanted_observables', counted)
    return made


def found_by(trajectory, settings):
    """Return the result of each calcfunction."""
    return {name: FUNCTIONS[name](trajectory, Dict(values)) for name, values in settings.items()}


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, node in first.items():
        other = second[name]
        for array in node.get_arraynames():
            assert np.allclose(node.get_array(array), other.get_array(array), rtol=1e-10, atol=1e-10, equal_nan=True)
        assert node.base.attributes.all.keys() == other.base.attributes.all.keys()


@pytest.mark.parametrize('left_out', [None, *SETTINGS])
def test_announced_analyses_share_a_pass_and_are_what_they_are_alone(trajectory, passes, left_out):
    settings = {name: values for name, values in SETTINGS.items() if name != left_out}
    alone = found_by(trajectory, settings)
    assert passes == []
    shared_pass.announce(trajectory, settings)
    assert_same(found_by(trajectory, settings), alone)
    assert passes == [len(settings)]
    assert_same(found_by(trajectory, settings), alone)
    assert passes == [len(settings)]


def test_one_that_cannot_be_had_costs_itself_alone(trajectory):
    settings = SETTINGS | {'potential_profile': {'z_max': 6.0, 'charge_source': 'frames'}}
    shared_pass.announce(trajectory, settings)
    assert interface_profiles(trajectory, Dict(settings['interface_profiles'])).get_array('z').size == 60
    with pytest.raises(NotAnalysableError, match=r"^the frames carry no charges: choose charge_source 'fixed'$"):
        potential_profile(trajectory, Dict(settings['potential_profile']))


def test_analysis_of_other_frames_is_made_alone(trajectory, passes):
    settings = SETTINGS | {'angular_distributions': {'equilibration_frames': 2}}
    shared_pass.announce(trajectory, settings)
    found = found_by(trajectory, settings)
    assert passes == [2]
    assert found['angular_distributions'].base.attributes.get('n_frames') == 6


def test_other_settings_than_the_announced_are_honoured(trajectory):
    shared_pass.announce(trajectory, SETTINGS)
    assert interface_profiles(trajectory, Dict({'z_max': 5.0})).get_array('z').size == 50


def test_workflow_makes_one_pass_and_a_node_of_each(trajectory, passes):
    analyses = {name: Dict(values) for name, values in SETTINGS.items() if name != 'interface_profiles'}
    settings = Dict(SETTINGS['interface_profiles'])
    _, node = run_get_node(InterfaceAnalysisWorkChain, trajectory=trajectory, settings=settings, analyses=analyses)
    assert node.exit_status == 0
    assert passes == [3]
    assert {child.process_label for child in node.called} == set(FUNCTIONS)
    made = node.outputs.analyses.potential_profile.creator
    assert {entry.link_label for entry in made.base.links.get_incoming().all()} == {
        'trajectory',
        'settings',
        'analysis_potential_profile',
    }
