"""Ratios of force errors and energy shifts against numbers worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aiida_edl.science.analysis.penalty_verdict import contrast_rows, penalty_verdict, ratio_rows, shift_rows
from aiida_edl.science.analysis.training_penalty import (
    Contrast,
    ErrorTag,
    ModelErrors,
    TrainingPenalty,
    training_penalty,
)


def row(state: str, force: float, shift: float = 0.0, region: str = '') -> dict:
    return {
        'scope': 'region' if region else 'charge_state',
        'name': region or state,
        'charge_state': state,
        'force_rmse_ev_per_angstrom': force,
        'energy_signed_error_ev_per_atom': None if region else shift,
        'energy_signed_error_error_ev_per_atom': None if region else 0.0003,
    }


def errors(training_set: str, seed: int, forces: dict[str, float], shift: float = 0.0, architecture: str = 'mace'):
    rows = [row(state, force, shift) for state, force in forces.items()]
    rows += [row(state, 2 * force, region='mobile') for state, force in forces.items()]
    rows.append({**row('all', 9.0), 'scope': 'all', 'name': 'all'})
    return ModelErrors(ErrorTag(architecture, training_set, seed), rows)


FACTORS = (1.0, 1.1, 1 / 1.1)
"""Scatter over seeds, with geometric mean one."""


def matrix(**forces: dict[str, float]) -> list[ModelErrors]:
    """Models of three seeds of each set, with these geometric means."""
    return [
        errors(name, seed, {state: factor * value for state, value in values.items()})
        for name, values in forces.items()
        for seed, factor in enumerate(FACTORS)
    ]


@pytest.fixture
def penalty() -> TrainingPenalty:
    return training_penalty(
        matrix(
            mixed={'0': 0.2, '1Na': 0.3, '2Na': 0.4},
            single_0={'0': 0.1, '1Na': 0.9, '2Na': 0.9},
            single_2={'0': 0.9, '1Na': 0.9, '2Na': 0.1},
            without_1={'0': 0.2, '1Na': 0.6, '2Na': 0.4},
            without_2={'0': 0.2, '1Na': 0.3, '2Na': 1.2},
            pair_0_2={'0': 0.15, '1Na': 0.9, '2Na': 0.15},
        )
    )


def find(penalty: TrainingPenalty, contrast: Contrast, state: str, region: str = 'all', above: str = ''):
    (item,) = [
        item
        for item in penalty.ratios
        if (item.contrast, item.charge_state, item.region) == (contrast, state, region) and above in item.training_set
    ]
    return item


def test_ratio_is_that_of_geometric_means(penalty):
    item = find(penalty, Contrast.MIXED_OVER_SINGLE, '2Na')
    assert item.ratio == pytest.approx(4.0, rel=1e-12)
    assert (item.force_rmse, item.baseline_force_rmse) == pytest.approx((0.4, 0.1), rel=1e-12)
    # Both sides scatter by log 1.1 over three seeds: each squared error is (log 1.1)²/3.
    assert item.logarithm.error == pytest.approx(np.log(1.1) * np.sqrt(2.0 / 3.0), rel=1e-9)


def test_models_are_compared_only_where_both_were_trained(penalty):
    found = {
        (item.charge_state, item.baseline)
        for item in penalty.ratios
        if item.contrast is Contrast.MIXED_OVER_SINGLE and item.region == 'all'
    }
    assert found == {('0', 'single_0'), ('2Na', 'single_2'), ('all', 'single_0, single_2')}


def test_mean_over_charge_states_keeps_the_scatter_of_a_seed_together(penalty):
    item = find(penalty, Contrast.MIXED_OVER_SINGLE, 'all')
    assert item.ratio == pytest.approx(np.sqrt(2.0 * 4.0), rel=1e-12)
    # The factor of a seed is the same at both states, so averaging over states does not lower the error.
    assert item.logarithm.error == pytest.approx(np.log(1.1) * np.sqrt(2.0 / 3.0), rel=1e-9)


def test_regions_are_compared_on_their_own(penalty):
    item = find(penalty, Contrast.MIXED_OVER_SINGLE, '2Na', region='mobile')
    assert item.baseline_force_rmse == pytest.approx(0.2, rel=1e-12)


def test_leave_one_out_is_tested_on_the_state_left_out(penalty):
    between = find(penalty, Contrast.LEFT_OUT_OVER_MIXED, '1Na')
    beyond = find(penalty, Contrast.LEFT_OUT_OVER_MIXED, '2Na')
    assert (between.ratio, beyond.ratio) == pytest.approx((2.0, 3.0), rel=1e-12)
    assert (between.is_interpolation, beyond.is_interpolation) == (True, False)
    assert find(penalty, Contrast.LEFT_OUT_OVER_SINGLE, '2Na').ratio == pytest.approx(12.0, rel=1e-12)


def test_pairs_are_compared_with_single_training(penalty):
    assert find(penalty, Contrast.PAIR_OVER_SINGLE, 'all').ratio == pytest.approx(1.5, rel=1e-12)


def test_sets_of_different_size_are_not_compared():
    penalty = training_penalty(matrix(mixed_size_8={'0': 0.2}, single_0_size_16={'0': 0.1}))
    assert penalty.ratios == ()


def test_shift_joins_the_scatter_over_seeds_and_that_of_the_frames():
    models = [errors('mixed', seed, {'0': 0.1}, shift) for seed, shift in enumerate((0.001, 0.003))]
    (item,) = training_penalty(models).shifts
    assert item.shift.value == pytest.approx(0.002, rel=1e-12)
    assert item.seed_error == pytest.approx(0.001, rel=1e-12)
    assert item.shift.error == pytest.approx(np.hypot(0.001, 0.0003), rel=1e-9)


def test_shift_says_whether_the_state_was_trained_on(penalty):
    seen = {(item.training_set, item.charge_state): item.is_trained_on for item in penalty.shifts}
    assert [seen[key] for key in (('single_0', '0'), ('single_0', '2Na'), ('without_1', '1Na'))] == [True, False, False]


def test_clear_penalty_is_said_in_words(penalty):
    text = penalty_verdict(penalty)
    assert text.startswith(
        'Mixed training makes force errors larger in 1 of 1 comparisons, smaller in 0, undecided in 0. mace over all '
        'charge states: 3 models trained on mixed have 2.83 times the force RMSE of 3 trained on single_0, single_2 '
        '(283 against 100 meV/Å; interval of this question alone 2.28 to 3.51, corrected p = 0.00018): larger.'
    )
    assert '3 mace models trained on mixed shift energies by +0 ± 0.3 meV/atom (rms over seeds 0) at 0' in text


def test_seeds_that_are_shifted_to_either_side_are_said_to_be():
    shifts = (0.010, -0.010, 0.001)
    text = penalty_verdict(
        training_penalty(
            [errors('mixed', seed, {'0': 0.2}, shift) for seed, shift in enumerate(shifts)]
            + [errors('single_0', seed, {'0': 0.1}) for seed in range(3)]
        )
    )
    assert (
        '3 mace models trained on mixed shift energies by +0.33 ± 5.8 meV/atom (rms over seeds 8.2, single seeds are '
        'shifted) at 0.'
    ) in text


def test_one_seed_is_said_to_be_too_few():
    penalty = training_penalty([errors('mixed', 1, {'0': 0.2}), errors('single_0', 1, {'0': 0.1})])
    assert penalty_verdict(penalty).startswith(
        'Mixed training makes force errors larger in 0 of 1 comparisons, smaller in 0, undecided in 0, 1 with too few '
        'seeds. mace at charge state 0: 1 models trained on mixed have 2 times the force RMSE of 1 trained on single_0 '
        '(200 against 100 meV/Å), without error, as two seeds of each are needed.'
    )


def test_sets_that_cannot_be_compared_are_named():
    text = penalty_verdict(training_penalty([errors('everything', 1, {'0': 0.2})]))
    assert text == (
        "No charge state was tested with models of both kinds of training: the training sets are ['everything'], and "
        "those to compare must be named 'mixed', 'single_<ions>', 'without_<ions>' or 'pair_<ions>_<ions>'."
    )


def test_error_of_zero_has_no_logarithm_and_is_not_counted():
    models = [*matrix(single_0={'0': 0.1}), errors('mixed', 0, {'0': 0.0}), errors('mixed', 1, {'0': 0.2})]
    item = find(training_penalty(models), Contrast.MIXED_OVER_SINGLE, '0')
    assert (item.n_models, item.force_rmse) == (1, pytest.approx(0.2))


def test_tables_are_json(penalty):
    tables = [ratio_rows(penalty), shift_rows(penalty), contrast_rows(penalty)]
    assert json.loads(json.dumps(tables, allow_nan=False)) == tables


def test_nothing_and_the_same_potential_twice_are_refused():
    with pytest.raises(ValueError, match=r'^no errors are given, a comparison needs those of at least one potential$'):
        training_penalty([])
    twice = [errors('mixed', 1, {'0': 0.2})] * 2
    message = r'^several errors are given for ErrorTag\(.*\); give those of each potential once$'
    with pytest.raises(ValueError, match=message):
        training_penalty(twice)


def test_unknown_and_missing_tags_are_refused():
    message = r"^unknown tag 'sed': did you mean 'seed'\? Known: architecture, seed, training_set\.$"
    with pytest.raises(ValueError, match=message):
        ErrorTag.from_dict({'sed': 1})
    with pytest.raises(
        ValueError, match=r"^tags \['seed'\] are missing, given were \['architecture', 'training_set'\]$"
    ):
        ErrorTag.from_dict({'training_set': 'mixed', 'architecture': 'mace'})


def test_mixed_training_is_also_compared_at_equal_frames_per_state():
    given = [
        errors(name, seed, {'0': value + 0.001 * seed, '2Na': value + 0.001 * seed})
        for name, value in (
            ('mixed_size_8', 0.2),
            ('single_0_size_8', 0.1),
            ('single_0_size_4', 0.15),
            ('single_2_size_4', 0.16),
        )
        for seed in (1, 2, 3)
    ]
    penalty = training_penalty(given)
    found = {(item.contrast.value, item.charge_state, item.baseline) for item in penalty.ratios if item.region == 'all'}
    assert found == {
        ('mixed_over_single', '0', 'single_0_size_8'),
        ('mixed_over_single_per_state', '0', 'single_0_size_4'),
        ('mixed_over_single_per_state', '2Na', 'single_2_size_4'),
        ('mixed_over_single_per_state', 'all', 'single_0_size_4, single_2_size_4'),
    }
    assert 'With as many frames of each charge state as single training has, mixed' in penalty_verdict(penalty)
    assert penalty_verdict(penalty).endswith('so all of this holds for these training frames.')
