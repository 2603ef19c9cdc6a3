"""The verdict in words says what the numbers say."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from aiida_edl.science.analysis.model_spread import GroupSpread, ModelSpread, SpreadComparison, SpreadSettings
from aiida_edl.science.analysis.model_tags import ModelProfile, ModelTag
from aiida_edl.science.analysis.spread_runs import NoiseSource
from aiida_edl.science.analysis.spread_tables import (
    bin_rows,
    comparison_rows,
    deviation_rows,
    excluded_rows,
    group_rows,
)
from aiida_edl.science.analysis.spread_verdict import Decision, decision, md_factor, sentence, verdict
from aiida_edl.science.analysis.training_sets import EqualFrames
from aiida_edl.science.analysis.variance_ratio import VarianceRatio


def group(training_set: str, excess: float, noise: float, n_models: int = 6, n_bins: int = 20) -> GroupSpread:
    total = float(np.sqrt(max(excess + np.nan_to_num(noise) ** 2, 0.0)))
    return GroupSpread(
        charge_state='2Na',
        observable='mean_cosine',
        training_set=training_set,
        architecture='all',
        n_models=n_models,
        n_architectures=2,
        n_bins=n_bins,
        n_masked_bins=20 - n_bins,
        spread=np.full(20, total),
        noise=np.full(20, noise),
        integrated_spread=10 * total,
        integrated_noise=10 * noise,
        spread_rms=total,
        seed_spread_rms=0.5 * total,
        noise_rms=noise,
        noise_source=NoiseSource.UNKNOWN if np.isnan(noise) else NoiseSource.REPLICAS,
        excess_variance=excess,
        excess_variance_low=0.5 * excess,
        excess_variance_high=2 * excess,
        deviation_rms=0.1,
        deviation_noise_rms=noise,
    )


def compare(mixed: float, single: float, p_value: float = 0.001, ratio: float = 4.0, **values) -> SpreadComparison:
    noise, n_models, n_bins = values.pop('noise', 0.01), values.pop('n_models', 6), values.pop('n_bins', 20)
    given = {
        'charge_state': '2Na',
        'observable': 'mean_cosine',
        'architecture': 'all',
        'equal': EqualFrames.IN_ALL,
        'mixed': group('mixed', mixed, noise, n_models, n_bins),
        'single': group('single_2', single, noise, n_models, n_bins),
        'difference': mixed - single,
        'difference_error': 0.01,
        'ratio': VarianceRatio(ratio, 0.5 * ratio, 2 * ratio, p_value, 5.5, 2),
        'has_like_noise': True,
        'n_runs': (n_models, n_models),
        'n_excluded': (0, 0),
        'exclusion_p': 1.0,
        'n_independent': 3.1,
        'md_length': 20000.0,
        'confidence': 0.95,
        'adjusted_p': min(3 * p_value, 1.0),
    }
    return SpreadComparison(**{**given, **values})


def test_clear_difference_is_said():
    item = compare(0.04, 0.0001)
    assert decision(item) is Decision.MIXED_SPREADS_MORE
    assert sentence(item) == (
        'Charge state 2Na, the water orientation ⟨cos θ⟩(z): 6 mixed and 6 single_2 models spread by 0.2 and 0.014 '
        '(root mean square over 20 bins), seeds of one of 2 architectures by 0.1 and 0.0071, where noise of the MD '
        'alone gives 0.01 and 0.01; for these training frames mixed models disagree more with one another than '
        'single_2 ones (variance among seeds 4 times as large, 2 to 8, p = 0.001, corrected 0.003).'
    )


def test_the_opposite_is_said_too():
    item = compare(0.0001, 0.04, ratio=0.25)
    assert decision(item) is Decision.SINGLE_SPREADS_MORE
    assert 'single_2 models disagree more with one another than mixed ones' in sentence(item)


def test_p_value_that_the_number_of_comparisons_spoils_decides_nothing():
    assert decision(compare(0.04, 0.0001, 0.03)) is Decision.UNDECIDED
    assert decision(compare(0.04, 0.0001, 0.03, adjusted_p=0.03)) is Decision.MIXED_SPREADS_MORE


def test_short_md_is_named_with_the_length_it_needs():
    # Noise variance 0.01 has to fall to a quarter of the difference 0.004: 10 times longer.
    item = compare(0.005, 0.001, 0.5, noise=0.1)
    assert md_factor(item) == pytest.approx(10.0, rel=1e-9)
    assert decision(item) is Decision.MD_TOO_SHORT
    assert sentence(item).endswith(
        'undecided (variance among seeds 4 times as large, 2 to 8, p = 0.5, corrected 1): with so few models only '
        'variances that differ by a factor above 5.5 can be told apart, and for a difference like this the MD must be '
        'about 10 times longer (2e+02 ps instead of 20 ps).'
    )


def test_factor_falls_as_one_over_the_length_of_the_md():
    short, long = (compare(0.005, 0.001, 0.5, noise=0.1 / np.sqrt(length)) for length in (1.0, 4.0))
    assert md_factor(short) / md_factor(long) == pytest.approx(4.0, rel=1e-9)


def test_unknown_noise_is_said_and_no_length_is_named():
    item = compare(0.04, 0.0001, 0.5, noise=np.nan)
    assert np.isnan(md_factor(item))
    assert decision(item) is Decision.UNDECIDED
    assert (
        '; how much of that is noise of the MD is not known, as single runs hold as few as 3.1 independent samples '
        '(25, or two runs of each model, are needed); undecided ('
    ) in sentence(item)
    assert 'times longer' not in sentence(item)


def test_undecided_names_the_ratio_that_could_be_decided():
    item = compare(0.02, 0.01, 0.5)
    assert decision(item) is Decision.UNDECIDED
    assert sentence(item).endswith(
        ': with so few models only variances that differ by a factor above 5.5 can be told apart.'
    )


def test_difference_that_unlike_noise_may_explain_is_not_decided():
    item = compare(0.04, 0.0001, has_like_noise=False)
    assert decision(item) is Decision.UNLIKE_NOISE
    assert sentence(item).endswith(
        ': the runs of the two kinds differ in length or in their errors, which may explain it.'
    )


def test_survivors_of_more_explosions_are_not_called_more_consistent():
    item = compare(0.0001, 0.04, ratio=0.25, n_runs=(9, 9), n_excluded=(3, 0), exclusion_p=0.2)
    assert decision(item) is Decision.SURVIVORS_ONLY
    assert sentence(item).endswith(
        ': 3 of 9 mixed and 0 of 9 single runs left physics, and those that are left may agree because they are.'
    )
    assert decision(compare(0.04, 0.0001, n_runs=(9, 9), n_excluded=(3, 0))) is Decision.MIXED_SPREADS_MORE


def test_single_models_cannot_show_a_spread():
    item = compare(np.nan, np.nan, np.nan, n_models=1)
    assert decision(item) is Decision.TOO_FEW_MODELS
    assert sentence(item).endswith(
        '1 mixed and 1 single_2 models cannot show a spread; each training set needs at least 2.'
    )


def test_models_without_two_seeds_of_one_architecture_decide_nothing():
    item = compare(0.04, 0.01, np.nan)
    assert decision(item) is Decision.TOO_FEW_MODELS
    assert sentence(item).endswith(
        '; nothing can be decided: at least two seeds of one architecture that differ are needed of each kind.'
    )


def test_three_architectures_do_not_decide_on_the_spread_between_them():
    item = compare(0.04, 0.0001, architecture='between_architectures', n_models=3)
    assert decision(item) is Decision.TOO_FEW_MODELS
    assert sentence(item).endswith(': at least 4 architectures are needed.')
    four = dataclasses.replace(item, mixed=group('mixed', 0.04, 0.01, 4), single=group('single_2', 0.0001, 0.01, 4))
    assert decision(four) is Decision.MIXED_SPREADS_MORE
    assert ' (between architectures): 4 mixed and 4 single_2 architectures spread by' in sentence(four)


def test_vanishing_difference_is_called_hopeless():
    item = compare(0.001, 0.001, 0.9, ratio=1.0)
    assert md_factor(item) == float('inf')
    assert sentence(item).endswith(', and even 1000 times longer MD would not resolve a difference like this.')


def test_no_common_bin_is_said():
    item = compare(0.1, 0.1, n_bins=0)
    assert decision(item) is Decision.NOTHING_TO_COMPARE
    assert sentence(item).endswith('no bin in which all profiles have a value, so nothing can be compared.')


def test_bins_that_are_left_out_are_counted():
    assert '(root mean square over 16 bins, 4 left out)' in sentence(compare(0.04, 0.0001, n_bins=16))


def spread_of(*comparisons: SpreadComparison) -> ModelSpread:
    groups = tuple(side for item in comparisons for side in (item.mixed, item.single))
    return ModelSpread(np.arange(20) * 0.5 + 0.25, groups, comparisons, (), (), SpreadSettings())


def test_verdict_counts_what_was_found():
    text = verdict(spread_of(compare(0.04, 0.0001), compare(0.02, 0.01, 0.5)))
    assert text.startswith(
        'Mixed training is less consistent than single training in 1 of 2 comparisons, more consistent in 0, undecided '
        'in 1 (seeds within 2 architectures, 6 models of each kind, corrected for the number of comparisons; as many '
        'frames in all, so that mixed training has fewer of this charge state). Seeds vary the training alone, so this '
        'holds for these training frames. Charge state 2Na'
    )


def test_verdict_tells_equal_frames_per_state_apart():
    text = verdict(spread_of(compare(0.04, 0.0001), compare(0.02, 0.01, 0.5, equal=EqualFrames.PER_STATE)))
    assert 'in 1 of 1 comparisons, more consistent in 0, undecided in 0 (seeds within 2' in text
    assert 'as many frames of this charge state, so that mixed training has more in all' in text


def test_verdict_counts_only_what_can_be_compared():
    text = verdict(spread_of(compare(0.04, 0.0001), compare(0.1, 0.1, n_bins=0)))
    assert text.startswith(
        'Mixed training is less consistent than single training in 1 of 1 comparisons, more consistent in 0, undecided '
        'in 0 ('
    )


def test_verdict_without_anything_to_compare_counts_nothing():
    text = verdict(spread_of(compare(0.1, 0.1, n_bins=0)))
    assert text.startswith('Nothing could be compared. Charge state 2Na')


def test_verdict_says_that_architectures_are_too_few():
    between = compare(0.04, 0.0001, architecture='between_architectures', n_models=3)
    assert verdict(spread_of(compare(0.04, 0.0001), between)).endswith(
        ' Whether architectures disagree more with one another is not decided by 3 of them; 4 are needed.'
    )


def test_verdict_names_training_sets_that_cannot_be_compared():
    spread = dataclasses.replace(spread_of(), groups=(group('everything', 0.1, 0.01),))
    assert verdict(spread) == (
        "No charge state has models of both kinds of training: the training sets are ['everything'], and those to "
        "compare must be named 'mixed' and 'single', alone or followed by an underscore."
    )


def test_verdict_counts_the_runs_that_do_not_count():
    tags = [ModelTag('mixed', 'mace', seed, '2Na') for seed in (1, 2)]
    excluded = tuple(ModelProfile(tag, None, 'the film evaporated') for tag in tags)
    item = compare(0.04, 0.0001, n_runs=(8, 6), n_excluded=(2, 0), exclusion_p=0.47)
    spread = dataclasses.replace(spread_of(item), excluded=excluded)
    assert verdict(spread).endswith(
        ' Not counted, since they left physics by the rule of their quality: 2 of mixed at 2Na (at 2Na 2 of 8 mixed '
        'and 0 of 6 single runs, p = 0.47).'
    )
    assert [(row['seed'], row['reason']) for row in excluded_rows(spread)] == [
        (1, 'the film evaporated'),
        (2, 'the film evaporated'),
    ]


def test_tables_are_json():
    spread = spread_of(compare(0.001, 0.001, np.nan))
    tables = [function(spread) for function in (group_rows, comparison_rows, deviation_rows, bin_rows)]
    assert json.loads(json.dumps(tables, allow_nan=False)) == tables
    assert comparison_rows(spread)[0]['required_md_factor'] is None
    assert len(bin_rows(spread)) == 40
