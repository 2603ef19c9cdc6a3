"""The calcfunction reads from each potential what it was trained on and whether it is told a charge."""

from __future__ import annotations

import pytest
from aiida.orm import Dict

from aiida_edl.calculations.functions.compare_remedies import compare_remedies
from aiida_edl.data.potential import PotentialData

pytestmark = pytest.mark.usefixtures('aiida_profile')


def potential(states: list[str], column: str | None, seed: int) -> PotentialData:
    """Return a potential of no content."""
    return PotentialData.from_model(
        {'model': b'weights'},
        architecture='mace',
        elements=['H'],
        cutoff_radius=5.0,
        n_layers=2,
        level_of_theory='none',
        atomic_energies={'H': 0.0},
        embeds_atomic_energies=True,
        precision='float64',
        training_charge_labels=states,
        total_charge_column=column,
        seed=seed,
    )


def errors(force: float) -> Dict:
    """Return errors at two charge states."""
    rows = [
        {
            'scope': 'charge_state',
            'charge_state': state,
            'force_rmse_ev_per_angstrom': force,
            'energy_signed_error_ev_per_atom': 0.0,
        }
        for state in ('0', '2Na')
    ]
    return Dict({'rows': rows})


def models() -> dict:
    """Return two seeds of plain mixed, conditioned mixed and single models."""
    nodes = {}
    kinds = {
        'mixed': (['0', '2Na'], None, 0.3),
        'told': (['0', '2Na'], 'metal_charge', 0.1),
        'single': (['2Na'], None, 0.1),
    }
    for name, (states, column, force) in kinds.items():
        for seed in (1, 2):
            nodes[f'potential_{name}_{seed}'] = potential(states, column, seed)
            nodes[f'errors_{name}_{seed}'] = errors(force + 0.001 * seed)
    return nodes


def test_conditioned_models_are_told_from_plain_ones_by_their_nodes():
    result = compare_remedies(Dict({}), **models()).get_dict()
    kinds = {(row['charge_state'], row['training'], row['remedy'], row['n_models']) for row in result['rows']}
    assert kinds == {
        ('0', 'mixed', 'plain', 2),
        ('2Na', 'mixed', 'plain', 2),
        ('0', 'mixed', 'charge_conditioned', 2),
        ('2Na', 'mixed', 'charge_conditioned', 2),
        ('2Na', 'single', 'plain', 2),
    }
    (forces,) = (row for row in result['comparisons'] if row['quantity'] == 'force_rmse')
    assert (forces['charge_state'], forces['decision']) == ('2Na', 'reaches_single')
    assert forces['cost_of_mixing'] == pytest.approx(0.2)
    assert 'reaches the error of the plain single models, up to 20 % of the cost of mixing' in result['verdict']
    assert result['settings'] == {'confidence': 0.95, 'margin': 0.2}


def test_tags_name_family_and_remedy():
    tags = {f'told_{seed}': {'family': 'polar', 'remedy': 'long_range'} for seed in (1, 2)}
    result = compare_remedies(Dict({'tags': tags}), **models()).get_dict()
    assert {(row['family'], row['remedy']) for row in result['rows']} == {('mace', 'plain'), ('polar', 'long_range')}


@pytest.mark.parametrize(
    ('settings', 'extra', 'message'),
    [
        (
            {'tag': {}},
            {},
            "unknown setting of the comparison of remedies 'tag': did you mean 'tags'? Known: confidence, margin, "
            'tags.',
        ),
        (
            {'tags': {'tolt_1': {}}},
            {},
            "unknown model with a tag 'tolt_1': did you mean 'told_1'? Known: mixed_1, mixed_2, single_1, single_2, "
            'told_1, told_2.',
        ),
        (
            {'tags': {'told_1': {'remedi': 'x'}}},
            {},
            "unknown tag 'remedi': did you mean 'remedy'? Known: family, remedy.",
        ),
        (
            {},
            {'errors_other': 'errors'},
            "give potential_<key> and errors_<key> for each model; something else is given for ['other']",
        ),
    ],
)
def test_what_does_not_belong_together_is_refused(settings, extra, message):
    nodes = {**models(), **{name: errors(0.1) for name in extra}}
    with pytest.raises(ValueError) as caught:  # noqa: PT011 the whole message is compared
        compare_remedies(Dict(settings), **nodes)
    assert str(caught.value) == message


def test_potential_of_unknown_training_is_refused():
    nodes = {**models(), 'potential_foreign': potential([], None, 1), 'errors_foreign': errors(0.1)}
    message = '^the mace potential does not say on which charge states it was trained$'
    with pytest.raises(ValueError, match=message):
        compare_remedies(Dict({}), **nodes)
