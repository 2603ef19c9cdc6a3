"""A trajectory that cannot be analysed ends in one sentence, not in a traceback."""

from __future__ import annotations

import ase_cases
import pytest
from aiida.engine import run_get_node
from aiida.orm import Dict
from calculation_cases import stored_once

from aiida_edl.data.dataset import DatasetData
from aiida_edl.workflows.interface_analysis import InterfaceAnalysisWorkChain


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
