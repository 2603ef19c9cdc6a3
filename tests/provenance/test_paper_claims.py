"""Verdicts on the claims of the paper follow from the numbers by the stated rules."""

from __future__ import annotations

import dataclasses
import datetime

import pytest

from aiida_edl.provenance.locality_queries import LocalityResult
from aiida_edl.provenance.paper_claims import claim_rows
from aiida_edl.provenance.results import BenchmarkResults, Study
from aiida_edl.provenance.study_findings import GivenPotential

MOMENT = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


def results(**values) -> BenchmarkResults:
    nothing = {'settings': {}, 'charge_states': (), 'level_of_theory': '', 'n_frames': 0, 'potentials': ()}
    nothing |= {'profiles': (), 'learning_curves': (), 'errors': (), 'answer': {}, 'cost': (), 'rejected': ()}
    nothing |= {'n_labelled': 0, 'failures': (), 'versions': {}}
    return BenchmarkResults(study=Study('', '', '', 0, '', MOMENT, MOMENT), **{**nothing, **values})


def verdict(claim: str, **values) -> str:
    (row,) = [row for row in claim_rows(results(**values)) if row['claim'].startswith(claim)]
    return row['verdict']


def comparison(made: str, observable: str = 'mean_cosine') -> dict:
    names = {'architecture': 'all', 'observable': observable, 'charge_state': '2Na', 'decision': made}
    numbers = {'variance_ratio': 4.0, 'variance_ratio_low': 2.0, 'variance_ratio_high': 8.0, 'equal_frames': 'in_all'}
    return {**names, **numbers}


def group(low: float, high: float) -> dict:
    names = {'architecture': 'all', 'observable': 'mean_cosine', 'charge_state': '2Na', 'training_set': 'single_2'}
    numbers = {'spread_rms': 0.1, 'noise_rms': 0.1, 'excess_variance': (low + high) / 2, 'n_models': 6}
    return {**names, **numbers, 'excess_variance_low': low, 'excess_variance_high': high}


def test_without_numbers_nothing_is_tested_and_no_value_of_the_paper_is_invented():
    rows = claim_rows(results())
    assert {row['verdict'] for row in rows} == {'not tested'}
    assert all('not known' in row['paper'] or row['claim'].startswith('5') for row in rows)


@pytest.mark.parametrize(
    ('decisions', 'expected'),
    [
        (['mixed_spreads_more', 'mixed_spreads_more'], 'reproduced'),
        (['mixed_spreads_more', 'md_too_short'], 'undecided'),
        (['mixed_spreads_more', 'single_spreads_more'], 'undecided'),
        (['single_spreads_more'], 'not reproduced'),
        (['too_few_models'], 'undecided'),
        (['nothing_to_compare'], 'not tested'),
    ],
)
def test_disagreement_of_mixed_models(decisions, expected):
    assert verdict('2.', answer={'comparisons': [comparison(made) for made in decisions]}) == expected


def test_density_of_oxygen_is_not_part_of_the_claim():
    rows = [comparison('mixed_spreads_more', 'oxygen_number_density')]
    assert verdict('2.', answer={'comparisons': rows}) == 'not tested'


@pytest.mark.parametrize(
    ('trend', 'expected'),
    [('falls', 'reproduced'), ('rises', 'not reproduced'), ('too_few_architectures', 'undecided')],
)
def test_receptive_field(trend, expected):
    row = {'quantity': 'forces', 'tau': -1.0, 'p_falls': 0.04, 'smallest_p': 0.04, 'n_architectures': 4, 'trend': trend}
    assert verdict('3.', ranking={'correlations': [row]}) == expected


@pytest.mark.parametrize(
    ('groups', 'expected'),
    [
        ([group(-0.001, 0.005)], 'reproduced'),
        ([group(-0.001, 0.05)], 'undecided'),
        ([group(0.001, 0.05)], 'not reproduced'),
        ([group(-0.001, 0.005), group(0.001, 0.05)], 'not reproduced'),
        ([{**group(0.001, 0.05), 'noise_rms': None, 'excess_variance_low': None}], 'undecided'),
    ],
)
def test_agreement_of_single_charge_models(groups, expected):
    assert verdict('4.', answer={'groups': groups}) == expected


def test_noise_that_is_not_known_is_said_to_be_so():
    unknown = {**group(0.001, 0.05), 'noise_rms': None, 'excess_variance_low': None}
    (row,) = [row for row in claim_rows(results(answer={'groups': [unknown]})) if row['claim'].startswith('4.')]
    assert 'noise not known' in row['ours']


def test_surface_charge_falls_with_every_ion():
    states = [
        {'label': label, 'surface_charge_microcoulomb_per_cm2': value, 'ions': {}}
        for label, value in (('0', 0.0), ('1Na', -13.4))
    ]
    assert verdict('1a', charge_states=tuple(states)) == 'reproduced'
    assert verdict('1a', charge_states=tuple(states[::-1])) == 'not reproduced'


def locality(verdict: str, is_blind: bool | None, is_told: bool = False) -> LocalityResult:
    distances = dict.fromkeys(field.name for field in dataclasses.fields(LocalityResult))
    names = {'potential': 'mace_1', 'architecture': 'mace', 'stated_field_angstrom': 9.0, 'report': ''}
    return LocalityResult(
        **{**distances, **names, 'verdict': verdict, 'is_charge_blind': is_blind, 'takes_total_charge': is_told}
    )


@pytest.mark.parametrize(
    ('found', 'expected'),
    [
        ([], 'not tested'),
        ([locality('local', True), locality('local', None)], 'reproduced'),
        ([locality('local', True), locality('local', False)], 'not reproduced'),
        ([locality('not_local', False)], 'undecided'),
        ([locality('undecided', None)], 'undecided'),
        ([locality('local', False, is_told=True)], 'not tested'),
    ],
)
def test_blindness_of_local_models_follows_from_locality_tests(found, expected):
    assert verdict('1b.', locality=tuple(found)) == expected


def given(architecture: str, error: float) -> GivenPotential:
    return GivenPotential(architecture, 'OC25', error, 0.01, 0.001, 4, 0, '', '')


def mixed(error: float) -> dict:
    names = {'scope': 'all', 'architecture': 'mace', 'training_set': 'mixed', 'charge_state': 'all'}
    return {**names, 'force_rmse_ev_per_angstrom': error, 'force_rmse_error_ev_per_angstrom': 0.01}


@pytest.mark.parametrize(
    ('potentials', 'expected'),
    [
        ([], 'not tested'),
        ([given('mace', 0.15)], 'not tested'),
        ([given('esen', 0.15)], 'reproduced'),
        ([given('esen', 0.25)], 'not reproduced'),
        ([given('esen', 0.09)], 'not reproduced'),
    ],
)
def test_foundation_model_follows_from_what_was_given(potentials, expected):
    assert verdict('5.', given=tuple(potentials), errors=(mixed(0.1), mixed(0.2))) == expected


def test_other_given_potentials_are_named_with_their_errors():
    (row,) = [
        r for r in claim_rows(results(given=(given('mace', 0.15),), errors=(mixed(0.1),))) if r['claim'][0] == '5'
    ]
    assert row['ours'] == (
        'no esen from elsewhere was tested on these frames (its checkpoint is gated); mace (OC25): 150 meV/Å on 4 '
        'frames; best model trained here on all charge states: 100 meV/Å'
    )
