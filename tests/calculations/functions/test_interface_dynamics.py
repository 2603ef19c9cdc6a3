"""The calcfunction stores what the analysis returns."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.orm import ArrayData, Dict
from run_cases import TARGET, run

from aiida_edl.calculations.functions.compare_solvent_dipoles import compare_solvent_dipoles
from aiida_edl.calculations.functions.interface_dynamics import interface_dynamics
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis.interface_dynamics import InterfaceDynamics

pytestmark = pytest.mark.usefixtures('aiida_profile')


def test_dynamics_become_arrays_and_scalars_attributes():
    trajectory = DatasetData.from_frames(run(30), attributes={'temperature': TARGET}, in_single_precision=True)
    node = interface_dynamics(trajectory, Dict({'layer_bounds': [0.0, 5.0]}))
    arrays = {name: node.get_array(name) for name in node.get_arraynames()}
    found = InterfaceDynamics.from_parts(arrays, node.base.attributes.all)
    assert found.settings.temperature == TARGET
    assert found.layer_upper.tolist() == [5.0, np.inf]
    assert found.water_count.tolist() == [9.0, 9.0]


def dynamics(variance: float, n_water: int = 9, charge: float = 0.41) -> ArrayData:
    """Return what is compared of a result."""
    node = ArrayData()
    node.set_array('lag_time', np.zeros(1))
    values = {'dipole_normal_variance': variance, 'dipole_normal_variance_error': 0.1, 'n_water': n_water}
    node.base.attributes.set_many({**values, 'settings': {'hydrogen_charge': charge}})
    return node


def test_models_are_compared_with_the_reference():
    rows = compare_solvent_dipoles(dynamics(1.0), mace=dynamics(1.0), dp=dynamics(3.0)).get_dict()['rows']
    assert [row['model'] for row in rows] == ['dp', 'mace']
    assert rows[0]['ratio'] == pytest.approx(3.0)
    assert rows[0]['sentence'].endswith('times as much, too strong: a sign of false metallisation')
    assert rows[1]['sentence'].endswith('times as much, not told apart from the reference')


def test_models_in_another_cell_are_not_compared():
    with pytest.raises(ValueError, match=r'^dp has 8 waters, the reference 9; compare runs of the same cell$'):
        compare_solvent_dipoles(dynamics(1.0), dp=dynamics(1.0, n_water=8))


def test_dipoles_of_other_charges_are_not_compared():
    message = r'^hydrogen_charge is 0\.4 for dp and 0\.41 for the reference; analyse both with the same$'
    with pytest.raises(ValueError, match=message):
        compare_solvent_dipoles(dynamics(1.0), dp=dynamics(1.0, charge=0.4))
