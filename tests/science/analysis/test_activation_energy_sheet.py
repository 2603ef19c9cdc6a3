"""Our activation energies beside published ones."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis.activation_energy_sheet import (
    MARGIN,
    activation_energy_sheet,
    half_width_of,
    verdict_of,
)
from aiida_edl.science.analysis.fine_tuning_table import CurvePoint, mean_over_models


def point(mean, error, **changes):
    values = {
        'family': 'replay_100',
        'strategy': 'labelled_frames',
        'start': 'foundation',
        'architecture': 'mace',
        'system': 'interstitial',
        'n_frames': 200,
        'n_replay': 100,
        'round_number': 0,
        'quantity': 'activation_energy_ev',
        'mean': mean,
        'error': error,
        'degrees_of_freedom': 2,
        'n_models': 3,
        'n_without': 0,
    }
    return CurvePoint(**{**values, **changes})


def test_every_published_value_has_a_row_even_without_a_model_of_ours():
    rows = activation_energy_sheet([])
    assert [(row['published_ev'], row['verdict']) for row in rows] == [
        (0.22, 'not in this study'),
        (0.20, 'not in this study'),
        (0.24, 'not in this study'),
    ]


@pytest.mark.parametrize(
    ('changes', 'published'),
    [
        ({'strategy': 'zero_shot', 'n_frames': 0, 'n_replay': 0}, 0.22),
        ({}, 0.20),
        ({'start': 'scratch', 'architecture': 'deep_potential', 'n_frames': 1600, 'n_replay': 0}, 0.24),
    ],
)
def test_model_of_ours_stands_beside_the_one_that_was_made_alike(changes, published):
    rows = activation_energy_sheet([point(0.21, 0.005, **changes)])
    assert [row['published_ev'] for row in rows if row['ours_ev'] is not None] == [published]


def test_two_hundred_frames_without_replay_are_not_the_published_model():
    rows = activation_energy_sheet([point(0.21, 0.005, n_replay=0)])
    assert all(row['verdict'] == 'not in this study' for row in rows)


def test_other_quantities_are_no_activation_energy():
    rows = activation_energy_sheet([point(0.21, 0.005, quantity='test_force_rmse_ev_per_angstrom')])
    assert all(row['verdict'] == 'not in this study' for row in rows)


@pytest.mark.parametrize(
    'changes', [{'architecture': 'mace'}, {'start': 'foundation'}, {'architecture': 'deep_potential_mp'}]
)
def test_name_of_a_family_makes_no_deep_potential(changes):
    values = {'start': 'scratch', 'architecture': 'deep_potential', 'n_replay': 0, 'round_number': 0, **changes}
    rows = activation_energy_sheet([point(0.21, 0.005, family='scratch_deep_potential', **values)])
    assert all(row['verdict'] == 'not in this study' for row in rows)


def test_only_the_largest_deep_potential_of_each_system_counts():
    alike = {'start': 'scratch', 'architecture': 'deep_potential', 'n_replay': 0}
    sizes = {('interstitial', 100), ('interstitial', 1600), ('vacancy', 100), ('vacancy', 400)}
    points = [point(0.21, 0.005, system=system, n_frames=n_frames, **alike) for system, n_frames in sorted(sizes)]
    rows = [row for row in activation_energy_sheet(points) if row['published_ev'] == 0.24]
    assert [(row['system'], row['n_frames']) for row in rows] == [('interstitial', 1600), ('vacancy', 400)]


def test_row_says_which_foundation_model_was_run_as_it_is():
    as_it_is = {'strategy': 'zero_shot', 'n_frames': 0, 'n_replay': 0}
    rows = activation_energy_sheet([point(0.21, 0.005, start='small', architecture='sevennet', **as_it_is)])
    (row,) = [row for row in rows if row['ours_ev'] is not None]
    assert (row['published_model'], row['start'], row['architecture']) == ('MACE-MPA-0 as it is', 'small', 'sevennet')


@pytest.mark.parametrize(
    ('degrees', 'errors'),
    [(1, 12.706), (2, 4.303), (3, 3.182), (None, 1.960)],  # tables of Student's t, two-sided at 95 %
)
def test_interval_is_that_of_student(degrees, errors):
    assert half_width_of(0.01, degrees) == pytest.approx(0.01 * errors, abs=0.5e-5)  # rounding of the tables


@pytest.mark.parametrize(
    ('degrees', 'verdict'),
    [(1, 'undecided'), (2, 'undecided'), (4, 'agrees'), (None, 'agrees')],  # 0.02 + t 0.01, t = 12.7, 4.3, 2.78, 1.96
)
def test_few_seeds_decide_less(degrees, verdict):
    rows = activation_energy_sheet([point(0.22, 0.01, degrees_of_freedom=degrees)])
    (row,) = [row for row in rows if row['ours_ev'] is not None]
    assert (row['published_ev'], row['verdict'], row['degrees_of_freedom']) == (0.20, verdict, degrees)


@pytest.mark.parametrize('n_seeds', [2, 3, 5])
def test_truth_at_the_margin_is_taken_for_alike_in_no_more_than_one_of_forty_studies(n_seeds):
    """Two standard errors in place of Student's t would take it for alike in 9 of 100 studies with 3 seeds."""
    generator = np.random.default_rng(5)
    energies = generator.normal(0.20 + MARGIN, 0.01, (2000, n_seeds))
    agreeing = 0
    for values in energies:
        found = mean_over_models(values.tolist(), [None] * n_seeds)
        half_width = half_width_of(found.error, found.degrees_of_freedom)
        agreeing += verdict_of(0.20, found.mean, half_width, MARGIN) == 'agrees'
    assert agreeing / 2000 <= 0.025 + 3.0 * np.sqrt(0.025 * 0.975 / 2000)


@pytest.mark.parametrize(
    ('ours', 'half_width', 'verdict'),
    [
        (0.25, 0.018, 'agrees'),  # 0.03 + 0.018 < 0.05
        (0.25, 0.022, 'undecided'),  # 0.03 + 0.022 > 0.05
        (0.30, 0.028, 'differs'),  # 0.08 - 0.028 > 0.05
        (0.30, 0.032, 'undecided'),
        (0.22, None, 'undecided'),
        (None, None, 'no value'),
    ],
)
def test_verdict_is_a_test_of_equivalence(ours, half_width, verdict):
    assert verdict_of(0.22, ours, half_width, 0.05) == verdict
