"""The calcfunction joins profiles and tags, and returns tables and a verdict."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.functions.model_spread import model_spread
from aiida_edl.science.analysis.interface_profiles import InterfaceProfiles
from aiida_edl.science.analysis.profile_settings import ProfileSettings

pytestmark = pytest.mark.usefixtures('aiida_profile')


def profile(cosine: float) -> ArrayData:
    """Profiles with one ⟨cos θ⟩ throughout; fields that are not compared are empty."""
    settings = ProfileSettings()
    node = ArrayData()
    scalars = {'settings': settings.to_dict(), 'n_frames': 100, 'frame_interval': 10.0}
    for name, kind in InterfaceProfiles.__annotations__.items():
        if kind in ('Floats', 'Integers'):
            node.set_array(name, np.full(settings.coarse_bins.n_bins, 0.001))
        elif name not in scalars:
            scalars[name] = 'Na' if kind == 'str' else 0
    node.set_array('coarse_z', settings.coarse_bins.centres)
    node.set_array('coarse_mean_cosine', np.full(settings.coarse_bins.n_bins, cosine))
    node.base.attributes.set_many(scalars)
    return node


def tag(training_set: str, seed: int, is_reference: bool = False) -> dict:
    return {
        'training_set': training_set,
        'architecture': 'mace',
        'seed': seed,
        'charge_state': '2Na',
        'is_reference': is_reference,
    }


def test_verdict_and_tables_come_from_the_tagged_profiles():
    mixed, single = [-0.8, -0.2, 0.3, 0.9, 0.1], [0.10, 0.11, 0.09, 0.12, 0.10]
    profiles = {f'mixed_{seed}': profile(value) for seed, value in enumerate(mixed)}
    profiles |= {f'single_{seed}': profile(value) for seed, value in enumerate(single)}
    tags = {key: tag(key.split('_')[0], int(key.split('_')[1])) for key in profiles}
    profiles['reference_2Na_01'] = profile(0.1)
    tags['reference_2Na_01'] = tag('reference', 1, is_reference=True)
    result = model_spread(tags=Dict(tags), **profiles).get_dict()
    assert 'mixed models disagree more with one another than single ones' in result['verdict']
    decisions = {row['observable']: row['decision'] for row in result['comparisons']}
    assert decisions['mean_cosine'] == 'mixed_spreads_more'
    assert len(result['models']) == 3 * 10
    assert {row['training_set'] for row in result['groups']} == {'mixed', 'single'}
    assert {row['z_angstrom'] for row in result['bins']} == {0.25 + 0.5 * index for index in range(20)}


def test_run_of_bad_quality_is_listed_and_not_counted():
    quality = ArrayData({'temperature': np.zeros(1)})
    quality.base.attributes.set_many({'is_physical': False, 'reasons': [{'sentence': 'the film evaporated'}]})
    fine = ArrayData({'temperature': np.zeros(1)})
    fine.base.attributes.set('is_physical', True)
    tags = {f'mixed_{seed}': tag('mixed', seed) for seed in range(3)}
    profiles = {key: profile(0.1) for key in tags} | {'quality_mixed_1': quality, 'quality_mixed_2': fine}
    result = model_spread(tags=Dict(tags), **profiles).get_dict()
    assert [(row['seed'], row['reason']) for row in result['excluded']] == [(1, 'the film evaporated')]
    assert {row['n_models'] for row in result['groups']} == {2}


def test_one_bad_replica_excludes_the_joined_run():
    bad, fine = (ArrayData({'temperature': np.zeros(1)}) for _ in range(2))
    bad.base.attributes.set_many({'is_physical': False, 'reasons': [{'sentence': 'the film evaporated'}]})
    fine.base.attributes.set('is_physical', True)
    tags = {f'mixed_{seed}': tag('mixed', seed) for seed in range(3)}
    profiles = {key: profile(0.1) for key in tags}
    qualities = {'quality_mixed_1_replica_01': fine, 'quality_mixed_1_replica_02': bad}
    result = model_spread(tags=Dict(tags), **profiles, **qualities).get_dict()
    assert [(row['seed'], row['reason']) for row in result['excluded']] == [(1, 'the film evaporated')]


def test_profile_without_tags_is_refused():
    message = r"^each profile needs tags and each tag a profile; only one of them is given for \['b'\]$"
    with pytest.raises(ValueError, match=message):
        model_spread(tags=Dict({'a': tag('mixed', 1)}), a=profile(0.1), b=profile(0.2))
