"""A trajectory that cannot be analysed ends in one sentence, not in a traceback."""

from __future__ import annotations

import re

import ase_cases
import numpy as np
import pytest
from aiida.common.exceptions import MissingEntryPointError
from aiida.engine import calcfunction, run_get_node
from aiida.orm import Dict, Int
from calculation_cases import stored_once
from frame_cases import frame_set, shaken
from toy.run_length import register_run_length

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.structures.metal_water_interface import InterfaceSettings, build_interface
from aiida_edl.workflows import registered_analyses
from aiida_edl.workflows.interface_analysis import InterfaceAnalysisWorkChain, analysis_function


def test_trajectory_without_water_is_refused_with_the_reason(aiida_profile):
    metals = stored_once('metals', lambda: DatasetData.from_frames(ase_cases.frames(), origin='made by hand'))
    _, node = run_get_node(InterfaceAnalysisWorkChain, trajectory=metals, settings=Dict({}))
    assert node.exit_status == 460
    assert node.exit_message.startswith('The trajectory cannot be analysed: ')


def test_error_of_the_program_is_not_taken_for_one_of_the_trajectory(aiida_profile, monkeypatch):
    def broken(*_):
        raise ValueError('operands could not be broadcast together')

    monkeypatch.setattr('aiida_edl.calculations.functions.interface_profiles.analysis.interface_profiles', broken)
    metals = stored_once('metals', lambda: DatasetData.from_frames(ase_cases.frames(), origin='made by hand'))
    with pytest.raises(ValueError, match=r'^operands could not be broadcast together$'):
        run_get_node(InterfaceAnalysisWorkChain, trajectory=metals, settings=Dict({}))


@pytest.fixture
def interfaces():
    """Return a trajectory that can be analysed."""
    frames = frame_set(*(shaken(water_on_gold(), 0.02, seed) for seed in range(8)), time=np.arange(8.0))
    return stored_once('interfaces', lambda: DatasetData.from_frames(frames, origin='made by hand'))


def water_on_gold():
    settings = {'repeat': [2, 2, 2], 'n_water': 6}
    return build_interface(InterfaceSettings.from_dict(settings)).frame


@pytest.fixture
def toy_analysis(monkeypatch):
    """Register the analysis that counts frames."""
    register_run_length(monkeypatch)


def analyse(trajectory, analyses, **inputs):
    settings = {name: Dict(values) for name, values in analyses.items()}
    chain = InterfaceAnalysisWorkChain
    return run_get_node(chain, trajectory=trajectory, settings=Dict({}), analyses=settings, **inputs)[1]


@pytest.mark.usefixtures('toy_analysis')
def test_registered_analyses_are_done_besides_the_profiles(aiida_profile, interfaces):
    node = analyse(interfaces, {'run_length': {}, 'interface_profiles': {'bin_width': 0.25}}, training=interfaces)
    assert (node.exit_status, node.exit_message) == (0, None)
    assert node.outputs.analyses.run_length.get_dict() == {'frames': 8, 'rows': None, 'training_frames': 8}
    assert len(node.outputs.analyses.interface_profiles.get_array('z')) == 60
    assert len(node.outputs.profiles.get_array('z')) == 150


@pytest.mark.usefixtures('toy_analysis')
def test_analysis_that_finds_nothing_is_a_warning_with_its_reason(aiida_profile, interfaces):
    node = analyse(interfaces, {'run_length': {'fewest_frames': 9}, 'interface_profiles': {}})
    assert node.exit_status == 700
    expected = 'The profiles are there, but analyses found nothing: run_length (8 frames are fewer than 9)'
    assert node.exit_message == expected
    assert list(node.outputs.analyses) == ['interface_profiles']


@pytest.mark.usefixtures('toy_analysis')
@pytest.mark.parametrize(
    ('analyses', 'message'),
    [
        ({'run_lenth': {}}, "unknown analysis 'run_lenth': did you mean 'run_length'? Known: "),
        (
            {'run_length': {'fewest_frame': 3}},
            "analysis 'run_length': unknown setting 'fewest_frame': did you mean 'fewest_frames'?",
        ),
    ],
)
def test_analysis_that_does_not_exist_is_answered_with_the_nearest(aiida_profile, interfaces, analyses, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        analyse(interfaces, analyses)


@calcfunction
def broken_analysis(trajectory, settings):
    """Look for what is not there."""
    raise KeyError('layers')


@calcfunction
def foreign_analysis(trajectory, settings):
    """Give a number."""
    return Int(trajectory.n_frames)


@pytest.mark.usefixtures('toy_analysis')
@pytest.mark.parametrize(
    ('function', 'failure'),
    [
        (broken_analysis, "run_length (KeyError: 'layers')"),
        (foreign_analysis, 'run_length (its result is of type Int, it must be ArrayData or Dict)'),
    ],
)
def test_analysis_of_others_that_is_broken_costs_itself_only(aiida_profile, interfaces, monkeypatch, function, failure):
    monkeypatch.setattr(
        'aiida_edl.workflows.interface_analysis.analysis_function',
        lambda name: function if name == 'run_length' else analysis_function(name),
    )
    node = analyse(interfaces, {'run_length': {}, 'interface_profiles': {}})
    assert node.exit_status == 700
    assert node.exit_message == f'The profiles are there, but analyses found nothing: {failure}'
    assert list(node.outputs.analyses) == ['interface_profiles']


@calcfunction
def of_no_settings(trajectory):
    """Take no settings."""
    return Dict({'frames': trajectory.n_frames})


@pytest.mark.usefixtures('toy_analysis')
def test_analysis_without_its_calcfunction_is_refused_before_it_is_submitted(aiida_profile, monkeypatch):
    def missing(name):
        raise MissingEntryPointError(f"Entry point '{name}' not found")

    monkeypatch.setattr(registered_analyses, 'CalculationFactory', missing)
    expected = (
        "analysis 'run_length' is registered without a calcfunction 'edl.run_length' (Entry point 'edl.run_length' not "
        'found); the package that registers it must give it in the entry-point group aiida.calculations'
    )
    with pytest.raises(ValueError, match=f'^{re.escape(expected)}$'):
        registered_analyses.check_analyses({'run_length': {}})


@pytest.mark.usefixtures('toy_analysis')
def test_analysis_whose_calcfunction_takes_no_settings_is_refused(aiida_profile, monkeypatch):
    monkeypatch.setattr(registered_analyses, 'CalculationFactory', lambda _: of_no_settings)
    expected = (
        "the calcfunction 'edl.run_length' of analysis 'run_length' takes no settings; it is called with trajectory "
        'and settings'
    )
    with pytest.raises(ValueError, match=f'^{re.escape(expected)}$'):
        registered_analyses.check_analyses({'run_length': {}})
