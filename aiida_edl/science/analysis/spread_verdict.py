"""The spread of models in words, generated from the numbers, and as tables.

A comparison is decided if there are enough models of each kind and the confidence interval of the difference of the
excess variances leaves out zero. If it is not decided, the limit is the MD, the number of models, or both. The MD
is a limit while the variance of its noise exceeds a quarter of the difference that is to be seen: noise variances fall
as one over the length of the MD, so their ratio is the factor by which the MD must grow.
"""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import Any

import numpy as np

from aiida_edl.science.analysis.model_spread import (
    ALL,
    MINIMUM_MODELS,
    OBSERVABLES,
    GroupSpread,
    ModelSpread,
    SpreadComparison,
)
from aiida_edl.science.analysis.training_sets import training_kind

RESOLVABLE_NOISE_RATIO = 0.25
"""Noise variance over the difference of variances up to which the MD counts as long enough: noise of half the size."""
MODELS_TO_DECIDE = 4
"""Models of each kind below which nothing is decided, whatever the interval: of 3 models one resample in nine, of 2 one
in two holds a single one, whose variance is nil. With 4 to 8 models per kind the interval leaves out zero wrongly in at
most 6 % of simulated cases without difference."""
HOPELESS_FACTOR = 1000.0
"""Beyond this factor it is not stated how much longer the MD would have to be."""
FEMTOSECOND_PER_PICOSECOND = 1000.0
NAMES = {
    'mean_cosine': 'the water orientation ⟨cos θ⟩(z)',
    'ion_number_density': 'the ion density',
    'oxygen_number_density': 'the oxygen density',
}


class Decision(str, Enum):
    """What the numbers say about mixed against single training; the set is closed."""

    MIXED_SPREADS_MORE = 'mixed_spreads_more'
    SINGLE_SPREADS_MORE = 'single_spreads_more'
    TOO_FEW_MODELS = 'too_few_models'
    MD_TOO_SHORT = 'md_too_short'
    NOTHING_TO_COMPARE = 'nothing_to_compare'


def md_factor(comparison: SpreadComparison) -> float:
    """Return by which factor the MD must be longer for its noise to be half of what it has to resolve.

    :param comparison: the comparison; NaN comes from NaN.
    :return: factor; at most 1 if the MD is long enough, infinite if the difference vanishes.
    """
    noise = max(comparison.mixed.noise_rms**2, comparison.single.noise_rms**2)
    needed = RESOLVABLE_NOISE_RATIO * abs(comparison.difference)
    if noise == 0.0:
        return 0.0
    return noise / needed if needed != 0.0 else float('inf')


def decision(comparison: SpreadComparison) -> Decision:
    """Return what one comparison says.

    :param comparison: the comparison.
    """
    if comparison.mixed.n_bins == 0:
        return Decision.NOTHING_TO_COMPARE
    if min(comparison.mixed.n_models, comparison.single.n_models) < MODELS_TO_DECIDE:
        return Decision.TOO_FEW_MODELS
    if comparison.difference_low > 0:
        return Decision.MIXED_SPREADS_MORE
    if comparison.difference_high < 0:
        return Decision.SINGLE_SPREADS_MORE
    if md_factor(comparison) <= 1.0:
        return Decision.TOO_FEW_MODELS
    return Decision.MD_TOO_SHORT


def sentence(comparison: SpreadComparison) -> str:
    """Return one comparison in words.

    :param comparison: the comparison.
    """
    mixed, single, made = comparison.mixed, comparison.single, decision(comparison)
    unit = OBSERVABLES[comparison.observable]
    unit = '' if unit == '1' else f' {unit}'
    who = '' if comparison.architecture == ALL else f' ({comparison.architecture} alone)'
    head = f'Charge state {comparison.charge_state}, {NAMES[comparison.observable]}{who}: '
    if made is Decision.NOTHING_TO_COMPARE:
        return head + 'no bin in which all profiles have a value and an error, so nothing can be compared.'
    counts = f'{mixed.n_models} {mixed.training_set} and {single.n_models} {single.training_set} models'
    if min(mixed.n_models, single.n_models) < MINIMUM_MODELS:
        return head + f'{counts} cannot show a spread; each training set needs at least {MINIMUM_MODELS}.'
    numbers = (
        f'{counts} spread by {mixed.spread_rms:.2g} and {single.spread_rms:.2g}{unit} (root mean square over '
        f'{mixed.n_bins} bins), where noise of the MD alone gives {mixed.noise_rms:.2g} and '
        f'{single.noise_rms:.2g}{unit}'
    )
    interval = f'{comparison.difference_low:.2g} to {comparison.difference_high:.2g}'
    if made in (Decision.MIXED_SPREADS_MORE, Decision.SINGLE_SPREADS_MORE):
        more, less = (mixed, single) if made is Decision.MIXED_SPREADS_MORE else (single, mixed)
        verdict = f'{more.training_set} models disagree more with one another than {less.training_set} ones'
        return head + f'{numbers}; {verdict} (interval of the difference of variances: {interval}).'
    return head + f'{numbers}; the statistics do not suffice to decide (interval {interval}): {_remedy(comparison)}.'


def _remedy(comparison: SpreadComparison) -> str:
    """Return what would decide an undecided comparison."""
    factor = md_factor(comparison)
    has_few = min(comparison.mixed.n_models, comparison.single.n_models) < MODELS_TO_DECIDE
    if factor > HOPELESS_FACTOR and not has_few:
        return f'the difference is so small that even {HOPELESS_FACTOR:.0f} times longer MD would not resolve it'
    needs = []
    if has_few:
        needs.append(f'at least {MODELS_TO_DECIDE} models of each kind are needed')
    if 1.0 < factor <= HOPELESS_FACTOR:
        length = comparison.md_length / FEMTOSECOND_PER_PICOSECOND
        now = f' ({factor * length:.2g} ps instead of {length:.2g} ps)' if np.isfinite(length) else ''
        needs.append(f'the MD of each model must be about {factor:.2g} times longer{now}')
    elif not has_few:
        needs.append('the MD is long enough, but more models (seeds, architectures) are needed')
    return ', and '.join(needs)


def verdict(spread: ModelSpread) -> str:
    """Return the answer in words: one sentence for each comparison over all architectures.

    :param spread: the numbers.
    """
    sentences = [sentence(item) for item in spread.comparisons if item.architecture == ALL]
    if spread.excluded:
        sentences.append(exclusion_sentence(spread))
    if not any(item.architecture == ALL for item in spread.comparisons):
        names = sorted({group.training_set for group in spread.groups})
        lead = (
            f'No charge state has models of both kinds of training: the training sets are {names}, and those to '
            "compare must be named 'mixed' and 'single', alone or followed by an underscore."
        )
        return ' '.join([lead, *sentences])
    made = [decision(item) for item in spread.comparisons if item.architecture == ALL]
    made = [item for item in made if item is not Decision.NOTHING_TO_COMPARE]
    if not made:
        return ' '.join(['Nothing could be compared.', *sentences])
    less, more = made.count(Decision.MIXED_SPREADS_MORE), made.count(Decision.SINGLE_SPREADS_MORE)
    counts = (
        f'Mixed training is less consistent than single training in {less} of {len(made)} comparisons, more consistent '
        f'in {more}, undecided in {len(made) - less - more}.'
    )
    return ' '.join([counts, *sentences])


def exclusion_sentence(spread: ModelSpread) -> str:
    """Return how many runs do not count, by charge state and training set.

    :param spread: the numbers.
    """
    counts: dict[str, int] = {}
    for item in spread.excluded:
        where = f'{item.tag.training_set} at {item.tag.charge_state}'
        counts[where] = counts.get(where, 0) + 1
    listed = ', '.join(f'{count} of {where}' for where, count in sorted(counts.items()))
    return f'Not counted, since they left physics by the rule of their quality: {listed}.'


def group_rows(spread: ModelSpread) -> list[dict[str, Any]]:
    """Return the groups as flat rows of JSON types, without the arrays; NaN becomes None.

    The unit of an observable is in the column ``unit``, integrals are in that unit times Å.

    :param spread: the numbers.
    """
    return [
        _json_row(group)
        | {'unit': OBSERVABLES[group.observable], 'training_kind': training_kind(group.training_set).value}
        for group in spread.groups
    ]


def comparison_rows(spread: ModelSpread) -> list[dict[str, Any]]:
    """Return the comparisons as flat rows of JSON types; NaN becomes None.

    :param spread: the numbers.
    """
    rows = []
    for item in spread.comparisons:
        row = {
            'charge_state': item.charge_state,
            'observable': item.observable,
            'architecture': item.architecture,
            'unit': OBSERVABLES[item.observable],
            'mixed_training_set': item.mixed.training_set,
            'single_training_set': item.single.training_set,
            'n_mixed_models': item.mixed.n_models,
            'n_single_models': item.single.n_models,
            'mixed_integrated_spread': item.mixed.integrated_spread,
            'single_integrated_spread': item.single.integrated_spread,
            'mixed_integrated_noise': item.mixed.integrated_noise,
            'single_integrated_noise': item.single.integrated_noise,
            'mixed_deviation_rms': item.mixed.deviation_rms,
            'single_deviation_rms': item.single.deviation_rms,
            'variance_difference': item.difference,
            'variance_difference_low': item.difference_low,
            'variance_difference_high': item.difference_high,
            'decision': decision(item).value,
            'required_md_factor': md_factor(item),
            'sentence': sentence(item),
        }
        rows.append({key: _json_value(value) for key, value in row.items()})
    return rows


def deviation_rows(spread: ModelSpread) -> list[dict[str, Any]]:
    """Return the deviation of each model from the reference as flat rows of JSON types; NaN becomes None.

    :param spread: the numbers.
    """
    return [
        {
            **dataclasses.asdict(item.tag),
            'observable': item.observable,
            'unit': OBSERVABLES[item.observable],
            'deviation_rms': _json_value(item.deviation_rms),
            'noise_rms': _json_value(item.noise_rms),
        }
        for item in spread.deviations
    ]


def excluded_rows(spread: ModelSpread) -> list[dict[str, Any]]:
    """Return the runs that do not count as flat rows of JSON types, with the reason.

    :param spread: the numbers.
    """
    return [{**dataclasses.asdict(item.tag), 'reason': item.why_excluded} for item in spread.excluded]


def bin_rows(spread: ModelSpread) -> list[dict[str, Any]]:
    """Return spread and noise of each group in each bin as flat rows; NaN becomes None.

    :param spread: the numbers.
    """
    names = ('charge_state', 'observable', 'training_set', 'architecture')
    return [
        {
            **{name: getattr(group, name) for name in names},
            'z_angstrom': float(z),
            'spread': _json_value(float(value)),
            'noise': _json_value(float(noise)),
        }
        for group in spread.groups
        for z, value, noise in zip(spread.z, group.spread, group.noise)
    ]


def _json_row(group: GroupSpread) -> dict[str, Any]:
    return {key: _json_value(value) for key, value in vars(group).items() if not isinstance(value, np.ndarray)}


def _json_value(value: Any) -> Any:
    """Return None for what JSON cannot hold."""
    return None if isinstance(value, float) and not np.isfinite(value) else value
