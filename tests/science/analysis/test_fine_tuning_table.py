"""Learning curves over families and sizes."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis.fine_tuning_table import MeanOfModels, curve_table, learning_curves, mean_over_models


def row(seed, force, energy=None, energy_error=None, **changes):
    return {
        'family': 'naive',
        'strategy': 'labelled_frames',
        'start': 'foundation',
        'architecture': 'mace',
        'system': 'interstitial',
        'n_frames': 50,
        'n_replay': 0,
        'round_number': 0,
        'seed': seed,
        'test_force_rmse_ev_per_angstrom': force,
        'activation_energy_ev': energy,
        'activation_energy_error_ev': energy_error,
        **changes,
    }


def points(rows, quantity):
    return [point for point in learning_curves(rows) if point.quantity == quantity]


def test_error_is_the_scatter_where_that_is_larger():
    found = mean_over_models([0.2, 0.3, 0.4], [0.001, 0.001, 0.001])
    assert found.mean == pytest.approx(0.3)
    assert found.error == pytest.approx(np.std([0.2, 0.3, 0.4], ddof=1) / np.sqrt(3))
    assert found.degrees_of_freedom == 2


def test_error_is_that_of_the_models_where_that_is_larger():
    found = mean_over_models([0.3, 0.3], [0.06, 0.08])
    assert found.error == pytest.approx(0.05)  # sqrt(0.06² + 0.08²) / 2
    assert found.degrees_of_freedom is None


def test_stated_errors_count_only_if_every_model_has_one():
    assert mean_over_models([0.3, 0.3], [0.06, None]) == MeanOfModels(0.3, 0.0, 1)


def test_one_model_has_its_own_error():
    assert mean_over_models([0.3], [0.02]) == MeanOfModels(0.3, 0.02, None)


def test_scatter_covers_the_truth_as_often_as_one_standard_error_of_few_should():
    """Of three normal numbers the truth lies within one standard error in 57.7 % of trials (Student, 2 degrees)."""
    generator = np.random.default_rng(3)
    trials = [mean_over_models(generator.normal(size=3).tolist(), [None] * 3) for _ in range(4000)]
    share = np.mean([abs(found.mean) < found.error for found in trials])
    assert share == pytest.approx(0.577, abs=4 * np.sqrt(0.577 * 0.423 / 4000))


def test_seeds_of_one_size_make_one_point():
    (found,) = points([row(1, 0.1), row(2, 0.3)], 'test_force_rmse_ev_per_angstrom')
    assert (found.mean, found.n_models, found.n_without) == (0.2, 2, 0)
    assert found.error == pytest.approx(0.1)
    assert found.degrees_of_freedom == 1


@pytest.mark.parametrize(
    'change',
    [{'n_frames': 100}, {'n_replay': 10}, {'system': 'vacancy'}, {'family': 'scratch'}, {'architecture': 'sevennet'}],
)
def test_what_differs_in_more_than_its_seed_makes_another_point(change):
    found = points([row(1, 0.1), row(2, 0.3, **change)], 'test_force_rmse_ev_per_angstrom')
    assert sorted(point.mean for point in found) == [0.1, 0.3]


def test_models_without_a_value_are_counted():
    rows = [row(1, 0.1, 0.25, 0.01), row(2, 0.1), row(3, 0.1)]
    (found,) = points(rows, 'activation_energy_ev')
    assert (found.mean, found.error, found.n_models, found.n_without) == (0.25, 0.01, 1, 2)


def test_quantity_that_no_model_has_is_no_row_of_the_table():
    quantities = {entry['quantity'] for entry in curve_table(learning_curves([row(1, 0.1)]))}
    assert quantities == {'test_force_rmse_ev_per_angstrom'}


def test_models_of_a_round_make_one_point_though_seeds_find_other_numbers_of_frames():
    rows = [row(1, 0.1, n_frames=44, round_number=2), row(2, 0.3, n_frames=46, round_number=2)]
    (found,) = points(rows, 'test_force_rmse_ev_per_angstrom')
    assert (found.n_frames, found.round_number, found.n_models) == (45, 2, 2)


def test_coefficients_have_a_curve_at_each_temperature():
    column = 'tracer_diffusion_at_700_kelvin_angstrom2_per_fs'
    rows = [row(seed, 0.1, **{column: value, f'{column}_error': 0.1}) for seed, value in ((1, 1.0), (2, 1.2))]
    (found,) = points(rows, column)
    assert (found.mean, found.n_models) == (pytest.approx(1.1), 2)
    assert found.error == pytest.approx(0.1)  # the scatter; of the stated errors it would be 0.07
