"""The verdict in words says what the numbers say."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from aiida_edl.science.analysis.model_spread import GroupSpread, ModelSpread, SpreadComparison, SpreadSettings
from aiida_edl.science.analysis.model_tags import ModelProfile, ModelTag
from aiida_edl.science.analysis.spread_verdict import (
    Decision,
    bin_rows,
    comparison_rows,
    decision,
    deviation_rows,
    excluded_rows,
    group_rows,
    md_factor,
    sentence,
    verdict,
)


def group(training_set: str, excess: float, noise: float, n_models: int = 6, n_bins: int = 20) -> GroupSpread:
    total = float(np.sqrt(max(excess + noise**2, 0.0)))
    return GroupSpread(
        charge_state='2Na',
        observable='mean_cosine',
        training_set=training_set,
        architecture='all',
        n_models=n_models,
        n_bins=n_bins,
        n_masked_bins=20 - n_bins,
        spread=np.full(20, total),
        noise=np.full(20, noise),
        integrated_spread=10 * total,
        integrated_noise=10 * noise,
        spread_rms=total,
        noise_rms=noise,
        excess_variance=excess,
        excess_variance_low=0.5 * excess,
        excess_variance_high=2 * excess,
        deviation_rms=0.1,
        deviation_noise_rms=noise,
    )


def compare(mixed: float, single: float, interval: tuple[float, float], **values) -> SpreadComparison:
    noise, n_models, n_bins = values.get('noise', 0.01), values.get('n_models', 6), values.get('n_bins', 20)
    return SpreadComparison(
        charge_state='2Na',
        observable='mean_cosine',
        architecture='all',
        mixed=group('mixed', mixed, noise, n_models, n_bins),
        single=group('single_2', single, noise, n_models, n_bins),
        difference=mixed - single,
        difference_low=interval[0],
        difference_high=interval[1],
        md_length=20000.0,
    )


def test_clear_difference_is_said():
    item = compare(0.04, 0.0001, (0.02, 0.06))
    assert decision(item) is Decision.MIXED_SPREADS_MORE
    assert sentence(item) == (
        'Charge state 2Na, the water orientation ⟨cos θ⟩(z): 6 mixed and 6 single_2 models spread by 0.2 and 0.014 '
        '(root mean square over 20 bins), where noise of the MD alone gives 0.01 and 0.01; mixed models disagree more '
        'with one another than single_2 ones (interval of the difference of variances: 0.02 to 0.06).'
    )


def test_the_opposite_is_said_too():
    item = compare(0.0001, 0.04, (-0.06, -0.02))
    assert decision(item) is Decision.SINGLE_SPREADS_MORE
    assert 'single_2 models disagree more with one another than mixed ones' in sentence(item)


def test_short_md_is_named_with_the_length_it_needs():
    # Noise variance 0.01 has to fall to a quarter of the difference 0.004: 10 times longer.
    item = compare(0.005, 0.001, (-0.01, 0.02), noise=0.1)
    assert md_factor(item) == pytest.approx(10.0, rel=1e-9)
    assert decision(item) is Decision.MD_TOO_SHORT
    assert sentence(item).endswith(
        'the statistics do not suffice to decide (interval -0.01 to 0.02): the MD of each model must be about 10 times '
        'longer (2e+02 ps instead of 20 ps).'
    )


def test_factor_falls_as_one_over_the_length_of_the_md():
    short, long = (compare(0.005, 0.001, (-0.01, 0.02), noise=0.1 / np.sqrt(length)) for length in (1.0, 4.0))
    assert md_factor(short) / md_factor(long) == pytest.approx(4.0, rel=1e-9)


def test_enough_md_but_no_decision_asks_for_models():
    item = compare(0.02, 0.01, (-0.01, 0.02))
    assert decision(item) is Decision.TOO_FEW_MODELS
    assert sentence(item).endswith('the MD is long enough, but more models (seeds, architectures) are needed.')


def test_three_models_are_said_to_be_too_few():
    item = compare(0.02, 0.01, (-0.01, 0.02), n_models=3)
    assert decision(item) is Decision.TOO_FEW_MODELS
    assert sentence(item).endswith('(interval -0.01 to 0.02): at least 4 models of each kind are needed.')


@pytest.mark.parametrize(('n_mixed', 'n_single'), [(2, 4), (4, 2), (3, 8)])
def test_too_few_models_of_one_kind_decide_nothing_whatever_the_interval(n_mixed, n_single):
    item = dataclasses.replace(
        compare(0.04, 0.0001, (0.02, 0.06)),
        mixed=group('mixed', 0.04, 0.01, n_mixed),
        single=group('single_2', 0.0001, 0.01, n_single),
    )
    assert decision(item) is Decision.TOO_FEW_MODELS
    assert sentence(item).endswith('(interval 0.02 to 0.06): at least 4 models of each kind are needed.')


def test_single_models_cannot_show_a_spread():
    item = compare(np.nan, np.nan, (np.nan, np.nan), n_models=1)
    assert decision(item) is Decision.TOO_FEW_MODELS
    assert sentence(item).endswith(
        '1 mixed and 1 single_2 models cannot show a spread; each training set needs at least 2.'
    )


def test_vanishing_difference_is_called_hopeless():
    item = compare(0.001, 0.001, (-0.01, 0.01))
    assert md_factor(item) == float('inf')
    assert sentence(item).endswith('the difference is so small that even 1000 times longer MD would not resolve it.')


def test_no_common_bin_is_said():
    item = compare(0.1, 0.1, (-1.0, 1.0), n_bins=0)
    assert decision(item) is Decision.NOTHING_TO_COMPARE
    assert sentence(item).endswith(
        'no bin in which all profiles have a value and an error, so nothing can be compared.'
    )


def spread_of(*comparisons: SpreadComparison) -> ModelSpread:
    groups = tuple(side for item in comparisons for side in (item.mixed, item.single))
    return ModelSpread(np.arange(20) * 0.5 + 0.25, groups, comparisons, (), (), SpreadSettings())


def test_verdict_counts_what_was_found():
    text = verdict(spread_of(compare(0.04, 0.0001, (0.02, 0.06)), compare(0.02, 0.01, (-0.01, 0.02))))
    assert text.startswith(
        'Mixed training is less consistent than single training in 1 of 2 comparisons, more consistent in 0, undecided '
        'in 1. Charge state 2Na'
    )


def test_verdict_counts_only_what_can_be_compared():
    text = verdict(spread_of(compare(0.04, 0.0001, (0.02, 0.06)), compare(0.1, 0.1, (-1.0, 1.0), n_bins=0)))
    assert text.startswith(
        'Mixed training is less consistent than single training in 1 of 1 comparisons, more consistent in 0, undecided '
        'in 0. Charge state 2Na'
    )


def test_verdict_without_anything_to_compare_counts_nothing():
    text = verdict(spread_of(compare(0.1, 0.1, (-1.0, 1.0), n_bins=0)))
    assert text.startswith('Nothing could be compared. Charge state 2Na')


def test_verdict_names_training_sets_that_cannot_be_compared():
    spread = dataclasses.replace(spread_of(), groups=(group('everything', 0.1, 0.01),))
    assert verdict(spread) == (
        "No charge state has models of both kinds of training: the training sets are ['everything'], and those to "
        "compare must be named 'mixed' and 'single', alone or followed by an underscore."
    )


def test_verdict_counts_the_runs_that_do_not_count():
    tags = [ModelTag('mixed', 'mace', seed, '2Na') for seed in (1, 2)]
    excluded = tuple(ModelProfile(tag, None, 'the film evaporated') for tag in tags)
    spread = dataclasses.replace(spread_of(compare(0.04, 0.0001, (0.02, 0.06))), excluded=excluded)
    assert verdict(spread).endswith(
        ' Not counted, since they left physics by the rule of their quality: 2 of mixed at 2Na.'
    )
    assert [(row['seed'], row['reason']) for row in excluded_rows(spread)] == [
        (1, 'the film evaporated'),
        (2, 'the film evaporated'),
    ]


def test_tables_are_json():
    spread = spread_of(compare(0.001, 0.001, (np.nan, np.nan)))
    tables = [function(spread) for function in (group_rows, comparison_rows, deviation_rows, bin_rows)]
    assert json.loads(json.dumps(tables, allow_nan=False)) == tables
    assert comparison_rows(spread)[0]['required_md_factor'] is None
    assert len(bin_rows(spread)) == 40
