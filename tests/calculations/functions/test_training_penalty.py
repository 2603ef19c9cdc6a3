"""The calcfunctions join errors, tags and potentials, and return tables and a verdict."""

from __future__ import annotations

import pytest
from aiida.orm import Dict

from aiida_edl.calculations.functions.receptive_field_ranking import receptive_field_ranking
from aiida_edl.calculations.functions.training_penalty import training_penalty
from aiida_edl.data.potential import PotentialData

pytestmark = pytest.mark.usefixtures('aiida_profile')


def errors(force: float) -> Dict:
    row = {
        'scope': 'charge_state',
        'name': '2Na',
        'charge_state': '2Na',
        'force_rmse_ev_per_angstrom': force,
        'energy_signed_error_ev_per_atom': 0.001,
        'energy_signed_error_error_ev_per_atom': None,
    }
    return Dict({'rows': [row], 'summary': {}})


def potential(architecture: str, cutoff_radius: float) -> PotentialData:
    return PotentialData.from_model(
        {'model.pt': b'weights'},
        architecture=architecture,
        elements=['H'],
        cutoff_radius=cutoff_radius,
        n_layers=2,
        level_of_theory='toy',
        atomic_energies={'H': 0.0},
        embeds_atomic_energies=True,
        precision='float32',
    )


@pytest.fixture
def penalty() -> Dict:
    forces = {'mixed': (0.20, 0.21), 'single_2': (0.10, 0.11)}
    tags, given = {}, {}
    for architecture, factor in (('grace', 2.0), ('mace', 1.0)):
        for training_set, values in forces.items():
            for seed, force in enumerate(values):
                key = f'{architecture}_{training_set}_{seed}'
                tags[key] = {'training_set': training_set, 'architecture': architecture, 'seed': seed}
                given[key] = errors(force * (factor if training_set == 'mixed' else 1.0))
    return training_penalty(tags=Dict(tags), **given)


def test_ratios_and_shifts_come_from_the_tagged_errors(penalty):
    found = penalty.get_dict()
    assert [(row['architecture'], round(row['ratio'], 2)) for row in found['ratios']] == [
        ('grace', 3.91),
        ('mace', 1.95),
    ]
    assert {row['energy_signed_error_ev_per_atom'] for row in found['shifts']} == {0.001}
    assert found['verdict'].startswith('Mixed training makes force errors')


def test_errors_without_tags_are_refused():
    message = r"^errors need tags and each tag needs errors; only one of them is given for \['b'\]$"
    tags = Dict({'a': {'training_set': 'mixed', 'architecture': 'mace', 'seed': 1}})
    with pytest.raises(ValueError, match=message):
        training_penalty(tags=tags, a=errors(0.1), b=errors(0.2))


def test_receptive_fields_come_from_the_potentials(penalty):
    result = receptive_field_ranking(
        penalty=penalty, one=potential('grace', 3.0), two=potential('mace', 5.0)
    ).get_dict()
    assert [(row['architecture'], row['receptive_field_angstrom']) for row in result['points']] == [
        ('grace', 6.0),
        ('mace', 10.0),
    ]
    (row,) = result['correlations']
    assert (row['tau'], row['trend']) == (-1.0, 'too_few_architectures')
    assert '2 architectures cannot decide' in result['verdict']


def test_one_architecture_under_two_names_is_ranked_by_name(penalty):
    potentials = {'one': potential('grace', 3.0), 'two': potential('grace', 6.0)}
    tags = Dict({'one': {'architecture': 'grace'}, 'two': {'architecture': 'mace'}})
    result = receptive_field_ranking(penalty=penalty, tags=tags, **potentials).get_dict()
    assert [(row['architecture'], row['receptive_field_angstrom']) for row in result['points']] == [
        ('grace', 6.0),
        ('mace', 12.0),
    ]


def test_one_architecture_of_two_receptive_fields_is_refused(penalty):
    potentials = {'one': potential('mace', 3.0), 'two': potential('mace', 5.0)}
    message = '^the potentials of mace differ in receptive field; rank those of one each$'
    with pytest.raises(ValueError, match=message):
        receptive_field_ranking(penalty=penalty, **potentials)
