"""Remedies are found in the graph by what potentials say of themselves."""

from __future__ import annotations

import pytest

from aiida_edl.provenance.remedy_queries import compared
from aiida_edl.science.analysis.remedies import RemedyTag

BOTH = ('0', '2Na')


def rows(uuid: str, seed: int, force: float) -> list[dict]:
    """Return the errors of a potential at two charge states."""
    return [
        {
            'potential': uuid,
            'seed': seed,
            'scope': 'charge_state',
            'charge_state': state,
            'force_rmse_ev_per_angstrom': force,
            'energy_signed_error_ev_per_atom': 0.0,
        }
        for state in BOTH
    ]


def test_models_of_one_kind_are_seeds_of_each_other():
    kinds = {
        'plain': (RemedyTag('mace', 'plain', BOTH), 0.3),
        'told': (RemedyTag('mace', 'charge_conditioned', BOTH), 0.1),
        'single': (RemedyTag('mace', 'plain', ('2Na',)), 0.1),
    }
    table, tags = [], {}
    for name, (tag, force) in kinds.items():
        for seed in (1, 2):
            table += rows(f'{name}{seed}', seed, force + seed / 1000)
            tags[f'{name}{seed}'] = tag
    comparison = compared(table, tags)
    assert {row.n_models for row in comparison.rows} == {2}
    found = {(item.charge_state, item.quantity): item.decision.value for item in comparison.verdicts}
    assert found == {('2Na', 'force_rmse'): 'reaches_single', ('2Na', 'energy_shift'): 'cost_undecided'}


def test_seed_that_occurs_twice_is_refused():
    tags = dict.fromkeys(('a', 'b'), RemedyTag('mace', 'plain', BOTH))
    message = (
        '^two plain potentials of mace trained on 0,2Na have seed 1, so that more than the seed differs; name one '
        'study, or use edl.compare_remedies$'
    )
    with pytest.raises(ValueError, match=message):
        compared([*rows('a', 1, 0.1), *rows('b', 1, 0.2)], tags)


def test_without_errors_there_is_nothing_to_compare():
    assert compared([], {}) is None
