"""The calcfunction stores what the analysis returns."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.orm import Dict
from run_cases import TARGET, run

from aiida_edl.calculations.functions.interface_dynamics import interface_dynamics
from aiida_edl.calculations.stored_results import stored_result
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis.interface_dynamics import InterfaceDynamics

pytestmark = pytest.mark.usefixtures('aiida_profile')


def test_dynamics_become_arrays_and_scalars_attributes():
    trajectory = DatasetData.from_frames(run(30), attributes={'temperature': TARGET}, in_single_precision=True)
    node = interface_dynamics(trajectory, Dict({'layer_bounds': [0.0, 5.0]}))
    found = stored_result(InterfaceDynamics, node)
    assert found.settings.temperature == TARGET
    assert found.layer_upper.tolist() == [5.0, np.inf]
    assert found.water_count.tolist() == [9.0, 9.0]
