"""The calcfunction joins potential profiles and tags, and returns tables and statements."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.functions.capacitance import capacitance
from aiida_edl.science.analysis.potential_profile import PotentialProfile
from aiida_edl.science.analysis.potential_settings import PotentialSettings

pytestmark = pytest.mark.usefixtures('aiida_profile')


def profile(charge: float, drop: float) -> ArrayData:
    """Potential profile with this charge [µC/cm²] and drop [V]; other fields are empty."""
    node = ArrayData()
    scalars = {'settings': PotentialSettings().to_dict(), 'n_effective': 10.0, 'boundary': 'vacuum'}
    for name, kind in PotentialProfile.__annotations__.items():
        if kind == 'Floats':
            node.set_array(name, np.zeros(3))
        elif name not in scalars:
            scalars[name] = 'fixed' if kind == 'str' else 0
    values = {'surface_charge_microcoulomb_per_cm2': charge, 'potential_drop': drop, 'potential_drop_error': 0.01}
    node.base.attributes.set_many(scalars | values)
    return node


def test_capacitance_follows_from_tagged_profiles():
    tags = {'a': {'charge_state': '0', 'series': 'mace'}, 'b': {'charge_state': '1Na', 'series': 'mace'}}
    result = capacitance(tags=Dict(tags), a=profile(0.0, 0.0), b=profile(-10.0, -0.5)).get_dict()
    assert result['series'][0]['capacitance'] == pytest.approx(20.0)
    assert result['statements']['mace'].startswith('mace: C = 20 µF/cm² ')
    assert [row['charge_state'] for row in result['points']] == ['1Na', '0']


def test_run_that_left_physics_does_not_count():
    tags = {
        'a': {'charge_state': '0', 'series': 'mace, seed 1', 'group': 'mace'},
        'b': {'charge_state': '1Na', 'series': 'mace, seed 1', 'group': 'mace'},
        'c': {'charge_state': '2Na', 'series': 'mace, seed 1', 'group': 'mace'},
    }
    quality = ArrayData()
    quality.base.attributes.set_many({'is_physical': False, 'reasons': [{'sentence': 'it boiled'}]})
    profiles = {'a': profile(0.0, 0.0), 'b': profile(-10.0, -0.5), 'c': profile(-20.0, 3.0)}
    result = capacitance(tags=Dict(tags), quality_c=quality, **profiles).get_dict()
    assert result['series'][0]['capacitance'] == pytest.approx(20.0)
    assert result['groups'][0]['capacitance'] == pytest.approx(20.0)
    assert result['excluded'] == [{'series': 'mace, seed 1', 'charge_state': '2Na', 'reason': 'it boiled'}]
    assert set(result['statements']) == {'mace, seed 1', 'mace, all seeds'}


def test_profile_without_tags_is_refused():
    message = r"^each profile needs tags and each tag a profile; only one of them is given for \['b'\]$"
    with pytest.raises(ValueError, match=message):
        capacitance(tags=Dict({'a': {'charge_state': '0'}}), a=profile(0.0, 0.0), b=profile(-10.0, -0.5))
