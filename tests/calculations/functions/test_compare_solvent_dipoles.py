"""The check for false metallisation: how strongly the total solvent dipole fluctuates against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.functions.compare_solvent_dipoles import compare_solvent_dipoles

pytestmark = pytest.mark.usefixtures('aiida_profile')


def dynamics(variance: float, n_water: int = 9, charge: float = 0.41, n_frames: int = 20) -> ArrayData:
    """Return what is compared of a result."""
    node = ArrayData({'lag_time': np.zeros(1)})
    values = {'dipole_normal_variance': variance, 'dipole_normal_variance_error': 0.1, 'n_water': n_water}
    node.base.attributes.set_many({**values, 'n_frames': n_frames, 'settings': {'hydrogen_charge': charge}})
    return node


def tag(architecture: str, state: str = '2Na', seed: int = 1) -> dict[str, Any]:
    is_reference = architecture == 'reference'
    names = {'architecture': architecture, 'training_set': 'reference' if is_reference else 'mixed'}
    return {**names, 'seed': seed, 'charge_state': state, 'is_reference': is_reference}


TAGS = {name: tag(name) for name in ('dp', 'mace', 'reference')}


def test_models_are_compared_with_the_reference():
    nodes = {'reference': dynamics(1.0), 'mace': dynamics(1.0), 'dp': dynamics(3.0)}
    found = compare_solvent_dipoles(Dict(TAGS), **nodes).get_dict()
    dp, mace = found['rows']
    assert (dp['architecture'], mace['architecture']) == ('dp', 'mace')
    assert dp['ratio'] == pytest.approx(3.0, rel=1e-12)
    assert dp['ratio_error'] == pytest.approx(np.hypot(0.1, 0.3), rel=1e-12)
    assert dp['sentence'].startswith('dp, mixed, seed 1 at 2Na: the total solvent dipole fluctuates 3.00 ± 0.32 times')
    assert dp['sentence'].endswith('too strong: a sign of false metallisation')
    assert mace['sentence'].endswith('not told apart from the reference')
    assert found['statements'] == [
        'At 2Na the total solvent dipole fluctuates too strongly in 1 of 2 runs, a sign of false metallisation, and '
        'too weakly in 0; its variance is 1.00 to 3.00 times that of the reference.'
    ]


def test_replicas_of_the_reference_count_by_their_frames():
    tags = {'dp': tag('dp'), 'r1': tag('reference'), 'r2': tag('reference', seed=2)}
    nodes = {'dp': dynamics(2.0), 'r1': dynamics(1.0, n_frames=30), 'r2': dynamics(2.0, n_frames=10)}
    (row,) = compare_solvent_dipoles(Dict(tags), **nodes).get_dict()['rows']
    assert row['reference_variance'] == pytest.approx(1.25, rel=1e-12)
    # The replicas scatter by more than their own errors: sqrt(2 sum (w d)^2) with w d of 0.1875 each.
    assert row['reference_variance_error'] == pytest.approx(0.375, rel=1e-12)


def test_each_charge_state_has_its_own_reference():
    tags = {'dp': tag('dp'), 'dp_0': tag('dp', '0'), 'r': tag('reference')}
    found = compare_solvent_dipoles(Dict(tags), dp=dynamics(1.0), dp_0=dynamics(1.0), r=dynamics(1.0)).get_dict()
    assert [row['charge_state'] for row in found['rows']] == ['2Na']
    assert [row['charge_state'] for row in found['without_reference']] == ['0']


def test_run_that_left_physics_is_listed_and_not_counted():
    bad = ArrayData({'temperature': np.zeros(1)})
    bad.base.attributes.set_many({'is_physical': False, 'reasons': [{'sentence': 'the film evaporated'}]})
    nodes = {'reference': dynamics(1.0), 'mace': dynamics(1.0), 'dp': dynamics(3.0), 'quality_dp': bad}
    found = compare_solvent_dipoles(Dict(TAGS), **nodes).get_dict()
    assert [row['architecture'] for row in found['rows']] == ['mace']
    assert [(row['architecture'], row['reason']) for row in found['excluded']] == [('dp', 'the film evaporated')]


def test_models_in_another_cell_are_not_compared():
    nodes = {'reference': dynamics(1.0), 'mace': dynamics(1.0), 'dp': dynamics(1.0, n_water=8)}
    message = '^dp, mixed, seed 1 at 2Na has 8 waters, reference, seed 1 at 2Na has 9; compare runs of the same cell$'
    with pytest.raises(ValueError, match=message):
        compare_solvent_dipoles(Dict(TAGS), **nodes)


def test_dipoles_of_other_charges_are_not_compared():
    nodes = {'reference': dynamics(1.0), 'mace': dynamics(1.0), 'dp': dynamics(1.0, charge=0.4)}
    message = (
        r'^hydrogen_charge is 0\.4 for dp, mixed, seed 1 at 2Na and 0\.41 for reference, seed 1 at 2Na; analyse both '
        'with the same$'
    )
    with pytest.raises(ValueError, match=message):
        compare_solvent_dipoles(Dict(TAGS), **nodes)


def test_result_without_tags_is_refused():
    message = r"^each result needs tags and each tag a result; only one of them is given for \['mace'\]$"
    with pytest.raises(ValueError, match=message):
        compare_solvent_dipoles(Dict(TAGS), reference=dynamics(1.0), dp=dynamics(1.0))
