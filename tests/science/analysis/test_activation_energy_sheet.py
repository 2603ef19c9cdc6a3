"""Our activation energies beside published ones."""

from __future__ import annotations

import pytest

from aiida_edl.science.analysis.activation_energy_sheet import activation_energy_sheet, verdict_of
from aiida_edl.science.analysis.fine_tuning_table import CurvePoint


def point(mean, error, **changes):
    values = {
        'family': 'replay_100',
        'strategy': 'labelled_frames',
        'start': 'foundation',
        'system': 'interstitial',
        'n_frames': 200,
        'n_replay': 100,
        'quantity': 'activation_energy_ev',
        'mean': mean,
        'error': error,
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
        ({'family': 'scratch_deep_potential', 'start': 'scratch', 'n_frames': 1600, 'n_replay': 0}, 0.24),
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
    ('ours', 'error', 'verdict'),
    [
        (0.25, 0.009, 'agrees'),  # 0.03 + 0.018 < 0.05
        (0.25, 0.011, 'undecided'),  # 0.03 + 0.022 > 0.05
        (0.30, 0.014, 'differs'),  # 0.08 - 0.028 > 0.05
        (0.30, 0.016, 'undecided'),
        (0.22, None, 'undecided'),
        (None, None, 'no value'),
    ],
)
def test_verdict_is_a_test_of_equivalence(ours, error, verdict):
    assert verdict_of(0.22, ours, error, 0.05) == verdict
