"""Plain, remedied and single models side by side: means over seeds, tests, decisions and words."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from aiida_edl.science.analysis.remedies import RemedyTag, SeedMean, compare_remedies, is_larger

BOTH = ('0', '1Na')


def table(force: float, energy: float, states=BOTH) -> list[dict]:
    """Return a table of errors that are the same at each charge state."""
    rows = [{'scope': 'all', 'charge_state': 'all'}]
    for state in states:
        rows.append(
            {
                'scope': 'charge_state',
                'charge_state': state,
                'force_rmse_ev_per_angstrom': force,
                'energy_signed_error_ev_per_atom': energy,
            }
        )
    return rows


def kind(remedy: str, states: tuple[str, ...], forces: list[float], energies: list[float]) -> list:
    """Return the models of one kind, one for each seed."""
    tag = RemedyTag('mace', remedy, states)
    return [(tag, table(force, energy)) for force, energy in zip(forces, energies)]


def decisions(remedied: list[float], mixed: list[float], single: list[float]) -> set[str]:
    """Return the decisions for given force errors at charge state 1Na."""
    models = [
        *kind('charge_conditioned', BOTH, remedied, remedied),
        *kind('plain', BOTH, mixed, mixed),
        *kind('plain', ('1Na',), single, single),
    ]
    return {item.decision for item in compare_remedies(models).verdicts}


def test_rows_hold_means_errors_and_spread_over_seeds():
    (zero, one) = compare_remedies(kind('plain', BOTH, [0.1, 0.2, 0.3], [-0.01, 0.0, 0.01])).rows
    assert (zero.charge_state, one.charge_state, zero.training, zero.n_models) == ('0', '1Na', 'mixed', 3)
    assert zero.force_rmse_ev_per_angstrom == pytest.approx(0.2)
    assert zero.force_rmse_spread_ev_per_angstrom == pytest.approx(0.1)
    assert zero.force_rmse_error_ev_per_angstrom == pytest.approx(0.1 / np.sqrt(3.0))
    assert zero.energy_signed_error_ev_per_atom == pytest.approx(0.0, abs=1e-12)


def test_single_models_count_at_their_own_charge_state_alone():
    rows = compare_remedies(kind('plain', ('1Na',), [0.1], [0.0])).rows
    assert [(row.charge_state, row.training) for row in rows] == [('1Na', 'single')]


@pytest.mark.parametrize(
    ('remedied', 'mixed', 'single', 'decision'),
    [
        ([0.10, 0.11, 0.09], [0.30, 0.31, 0.29], [0.10, 0.09, 0.11], 'cured'),
        ([0.20, 0.21, 0.19], [0.30, 0.31, 0.29], [0.10, 0.09, 0.11], 'reduced'),
        ([0.29, 0.31, 0.30], [0.30, 0.31, 0.29], [0.10, 0.09, 0.11], 'not_reduced'),
        ([0.50, 0.51, 0.49], [0.30, 0.31, 0.29], [0.10, 0.09, 0.11], 'worse'),
        ([0.10, 0.11, 0.09], [0.10, 0.11, 0.09], [0.10, 0.09, 0.11], 'nothing_to_cure'),
        ([0.10], [0.30], [0.10], 'too_few_seeds'),
    ],
)
def test_decisions(remedied, mixed, single, decision):
    assert decisions(remedied, mixed, single) == {decision}


def test_energies_are_judged_by_their_magnitude():
    models = [
        *kind('charge_conditioned', BOTH, [0.1] * 3, [0.001, -0.001, 0.0]),
        *kind('plain', BOTH, [0.1] * 3, [-0.03, -0.031, -0.029]),
        *kind('plain', ('0',), [0.1] * 3, [0.001, 0.0, -0.001]),
    ]
    verdicts = {(item.charge_state, item.quantity): item for item in compare_remedies(models).verdicts}
    assert verdicts['0', 'energy_signed_error'].decision == 'cured'
    assert verdicts['0', 'energy_signed_error'].cost_of_mixing == pytest.approx(0.03)
    assert verdicts['0', 'force_rmse'].decision == 'nothing_to_cure'
    assert {state for state, _ in verdicts} == {'0'}  # no single model at the other


def test_test_is_that_of_welch():
    first, second = [0.31, 0.29, 0.33, 0.30], [0.27, 0.28, 0.29]
    p_value = stats.ttest_ind(first, second, equal_var=False, alternative='greater').pvalue
    means = SeedMean.of(first), SeedMean.of(second)
    assert is_larger(*means, confidence=1.0 - p_value - 1e-6)
    assert not is_larger(*means, confidence=1.0 - p_value + 1e-6)


def test_long_range_models_enter_by_their_tag():
    models = [
        *kind('long_range', BOTH, [0.1, 0.11], [0.0, 0.0]),
        *kind('plain', BOTH, [0.3, 0.31], [0.0, 0.0]),
        *kind('plain', ('0',), [0.1, 0.11], [0.0, 0.0]),
    ]
    comparison = compare_remedies(models)
    assert {item.remedy for item in comparison.verdicts} == {'long_range'}
    assert comparison.tables()['verdict'].startswith(
        'mace, 0, long_range against plain training on 0,1Na: the cost of mixing is gone within the error over seeds '
        '(force RMSE over that of single models 0.2 ± 0.007 plain, 0 ± 0.007 long_range, eV/Å).'
    )


def test_without_remedy_the_verdict_says_so():
    tables = compare_remedies(kind('plain', BOTH, [0.1], [0.0])).tables()
    assert tables['verdict'] == (
        'There is no remedied model beside plain mixed and plain single ones of its family at one charge state.'
    )
    assert tables['rows'][0]['force_rmse_error_ev_per_angstrom'] is None


def test_models_without_errors_at_their_charge_state_are_refused():
    message = '^no model has errors at a charge state it was trained on; give those of at least one$'
    with pytest.raises(ValueError, match=message):
        compare_remedies(kind('plain', ('4Na',), [0.1], [0.0]))


def test_confidence_is_checked():
    with pytest.raises(ValueError, match=r'^confidence is 95, it must lie between 0 and 1$'):
        compare_remedies(kind('plain', BOTH, [0.1], [0.0]), confidence=95)
