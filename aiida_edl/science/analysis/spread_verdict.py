"""The spread of models in words, generated from the numbers.

A comparison is decided if its p value, corrected for the number of comparisons, is below one less the confidence,
unless unlike noise may explain it, or the group that agrees better lost more of its runs: the survivors of a group of
which some left physics agree better than the group does. If it is not decided, the smallest ratio of variances is named
that such numbers of models could tell from one. Where the noise is known, it is said by which factor the MD must be
longer for the variance of its noise, which falls as one over the length, to be a quarter of the difference found.
"""

from __future__ import annotations

from enum import Enum

import numpy as np

from aiida_edl.science.analysis.model_spread import (
    ALL,
    BETWEEN,
    MINIMUM_MODELS,
    OBSERVABLES,
    ModelSpread,
    SpreadComparison,
)
from aiida_edl.science.analysis.spread_runs import MINIMUM_INDEPENDENT, NoiseSource
from aiida_edl.science.analysis.training_sets import EqualFrames

RESOLVABLE_NOISE_RATIO = 0.25
"""Noise variance over the difference of variances up to which the MD counts as long enough: noise of half the size."""
MINIMUM_ARCHITECTURES = 4
"""Architectures below which nothing is decided on the spread between them."""
HOPELESS_FACTOR = 1000.0
"""Beyond this factor it is not stated how much longer the MD would have to be."""
FEMTOSECOND_PER_PICOSECOND = 1000.0
NAMES = {
    'mean_cosine': 'the water orientation ⟨cos θ⟩(z)',
    'ion_number_density': 'the ion density',
    'oxygen_number_density': 'the oxygen density',
}
FRAMES = {
    EqualFrames.IN_ALL: 'as many frames in all, so that mixed training has fewer of this charge state',
    EqualFrames.PER_STATE: 'as many frames of this charge state, so that mixed training has more in all',
}
"""In what compared training sets are alike, in words."""


class Decision(str, Enum):
    """What the numbers say about mixed against single training; the set is closed."""

    MIXED_SPREADS_MORE = 'mixed_spreads_more'
    SINGLE_SPREADS_MORE = 'single_spreads_more'
    UNDECIDED = 'undecided'
    """The models are too few for the ratio that was found, whose noise is not known or small."""
    TOO_FEW_MODELS = 'too_few_models'
    """Nothing could be decided, whatever the numbers."""
    MD_TOO_SHORT = 'md_too_short'
    """Undecided, and known noise is a good part of what was found."""
    UNLIKE_NOISE = 'unlike_noise'
    """A difference, which runs of unlike length or unlike errors may explain."""
    SURVIVORS_ONLY = 'survivors_only'
    """The group that agrees better lost more of its runs."""
    NOTHING_TO_COMPARE = 'nothing_to_compare'


def md_factor(comparison: SpreadComparison) -> float:
    """Return by which factor the MD must be longer for its noise to be half of what it has to resolve.

    :param comparison: the comparison.
    :return: factor; at most 1 if the MD is long enough, infinite if the difference vanishes, NaN if the noise is not
        known.
    """
    noise = float(np.maximum(comparison.mixed.noise_rms, comparison.single.noise_rms)) ** 2
    needed = RESOLVABLE_NOISE_RATIO * abs(comparison.difference)
    if noise == 0.0 or np.isnan(noise):
        return noise
    return noise / needed if needed != 0.0 else float('inf')


def decision(comparison: SpreadComparison) -> Decision:
    """Return what one comparison says.

    :param comparison: the comparison.
    """
    if comparison.mixed.n_bins == 0:
        return Decision.NOTHING_TO_COMPARE
    is_between = comparison.architecture == BETWEEN
    has_few = is_between and comparison.mixed.n_models < MINIMUM_ARCHITECTURES
    if has_few or not np.isfinite(comparison.adjusted_p):
        return Decision.TOO_FEW_MODELS
    if comparison.adjusted_p > 1.0 - comparison.confidence:
        return Decision.MD_TOO_SHORT if md_factor(comparison) > 1.0 else Decision.UNDECIDED
    if not comparison.has_like_noise:
        return Decision.UNLIKE_NOISE
    mixed_share, single_share = comparison.excluded_shares
    if comparison.ratio.ratio > 1.0:
        return Decision.MIXED_SPREADS_MORE if single_share <= mixed_share else Decision.SURVIVORS_ONLY
    return Decision.SINGLE_SPREADS_MORE if mixed_share <= single_share else Decision.SURVIVORS_ONLY


def sentence(comparison: SpreadComparison) -> str:
    """Return one comparison in words.

    :param comparison: the comparison.
    """
    mixed, single, made = comparison.mixed, comparison.single, decision(comparison)
    who = {ALL: '', BETWEEN: ' (between architectures)'}.get(
        comparison.architecture, f' ({comparison.architecture} alone)'
    )
    head = f'Charge state {comparison.charge_state}, {NAMES[comparison.observable]}{who}: '
    if made is Decision.NOTHING_TO_COMPARE:
        return head + 'no bin in which all profiles have a value, so nothing can be compared.'
    what = 'architectures' if comparison.architecture == BETWEEN else 'models'
    counts = f'{mixed.n_models} {mixed.training_set} and {single.n_models} {single.training_set} {what}'
    if min(mixed.n_models, single.n_models) < MINIMUM_MODELS:
        return head + f'{counts} cannot show a spread; each training set needs at least {MINIMUM_MODELS}.'
    body = f'{head}{counts} spread by {_spreads(comparison)}{_noise(comparison)}'
    numbers = _numbers(comparison)
    if made in (Decision.MIXED_SPREADS_MORE, Decision.SINGLE_SPREADS_MORE):
        more, less = (mixed, single) if made is Decision.MIXED_SPREADS_MORE else (single, mixed)
        return (
            f'{body}; for these training frames {more.training_set} {what} disagree more with one another than '
            f'{less.training_set} ones ({numbers}).'
        )
    return (
        f'{body}; undecided ({numbers}): {_reason(comparison, made)}.'
        if numbers
        else (f'{body}; nothing can be decided: {_reason(comparison, made)}.')
    )


def _spreads(comparison: SpreadComparison) -> str:
    """Return how far the models of each kind are apart."""
    mixed, single = comparison.mixed, comparison.single
    unit = OBSERVABLES[comparison.observable]
    unit = '' if unit == '1' else f' {unit}'
    left_out = f', {mixed.n_masked_bins} left out' if mixed.n_masked_bins else ''
    bins = f'{mixed.n_bins} bins{left_out}'
    text = f'{mixed.spread_rms:.2g} and {single.spread_rms:.2g}{unit} (root mean square over {bins})'
    if comparison.architecture == ALL and max(mixed.n_architectures, single.n_architectures) > 1:
        text += (
            f', seeds of one of {mixed.n_architectures} architectures by {mixed.seed_spread_rms:.2g} and '
            f'{single.seed_spread_rms:.2g}{unit}'
        )
    return text


def _noise(comparison: SpreadComparison) -> str:
    """Return what noise of the MD gives, or why that is not known."""
    unit = OBSERVABLES[comparison.observable]
    unit = '' if unit == '1' else f' {unit}'
    if NoiseSource.UNKNOWN not in (comparison.mixed.noise_source, comparison.single.noise_source):
        mixed, single = comparison.mixed.noise_rms, comparison.single.noise_rms
        return f', where noise of the MD alone gives {mixed:.2g} and {single:.2g}{unit}'
    known = f'as few as {comparison.n_independent:.2g}' if np.isfinite(comparison.n_independent) else 'too few'
    return (
        f'; how much of that is noise of the MD is not known, as single runs hold {known} independent samples '
        f'({MINIMUM_INDEPENDENT:g}, or two runs of each model, are needed)'
    )


def _numbers(comparison: SpreadComparison) -> str:
    """Return ratio and p values; nothing where there is no test."""
    ratio = comparison.ratio
    if not np.isfinite(ratio.p_value):
        return ''
    of = 'architectures' if comparison.architecture == BETWEEN else 'seeds'
    return (
        f'variance among {of} {ratio.ratio:.2g} times as large, {ratio.low:.2g} to {ratio.high:.2g}, p = '
        f'{ratio.p_value:.2g}, corrected {comparison.adjusted_p:.2g}'
    )


def _reason(comparison: SpreadComparison, made: Decision) -> str:
    """Return why a comparison is not decided, and what would help."""
    if made is Decision.UNLIKE_NOISE:
        return 'the runs of the two kinds differ in length or in their errors, which may explain it'
    if made is Decision.SURVIVORS_ONLY:
        mixed, single = comparison.n_excluded
        return (
            f'{mixed} of {comparison.n_runs[0]} mixed and {single} of {comparison.n_runs[1]} single runs left physics, '
            'and those that are left may agree because they are'
        )
    if made is Decision.TOO_FEW_MODELS:
        if comparison.architecture == BETWEEN:
            return f'at least {MINIMUM_ARCHITECTURES} architectures are needed'
        return 'at least two seeds of one architecture that differ are needed of each kind'
    reason = (
        f'with so few models only variances that differ by a factor above {comparison.ratio.resolvable:.2g} can be '
        'told apart'
    )
    factor = md_factor(comparison)
    if made is Decision.MD_TOO_SHORT and factor <= HOPELESS_FACTOR:
        length = comparison.md_length / FEMTOSECOND_PER_PICOSECOND
        now = f' ({factor * length:.2g} ps instead of {length:.2g} ps)' if np.isfinite(length) else ''
        reason += f', and for a difference like this the MD must be about {factor:.2g} times longer{now}'
    elif made is Decision.MD_TOO_SHORT:
        reason += f', and even {HOPELESS_FACTOR:.0f} times longer MD would not resolve a difference like this'
    return reason


def verdict(spread: ModelSpread) -> str:
    """Return the answer in words: one sentence for each comparison over all architectures.

    :param spread: the numbers.
    """
    headline = [item for item in spread.comparisons if item.architecture == ALL]
    sentences = [sentence(item) for item in headline]
    ending = [exclusion_sentence(spread)] if spread.excluded else []
    if not headline:
        names = sorted({group.training_set for group in spread.groups})
        lead = (
            f'No charge state has models of both kinds of training: the training sets are {names}, and those to '
            "compare must be named 'mixed' and 'single', alone or followed by an underscore."
        )
        return ' '.join([lead, *ending])
    parts = [_counts(spread, equal) for equal in EqualFrames if any(item.equal is equal for item in headline)]
    return ' '.join([*parts, *sentences, *_between(spread), *ending])


def _counts(spread: ModelSpread, equal: EqualFrames) -> str:
    """Return in how many comparisons over all architectures mixed training is more or less consistent."""
    items = [item for item in spread.comparisons if item.architecture == ALL and item.equal is equal]
    made = [decision(item) for item in items]
    made = [item for item in made if item is not Decision.NOTHING_TO_COMPARE]
    if not made:
        return 'Nothing could be compared.'
    less, more = made.count(Decision.MIXED_SPREADS_MORE), made.count(Decision.SINGLE_SPREADS_MORE)
    n_architectures = max(item.ratio.n_clusters for item in items)
    n_models = min(min(item.mixed.n_models, item.single.n_models) for item in items)
    of = f'{n_architectures} architecture{"" if n_architectures == 1 else "s"}, {n_models} models of each kind'
    return (
        f'Mixed training is less consistent than single training in {less} of {len(made)} comparisons, more consistent '
        f'in {more}, undecided in {len(made) - less - more} (seeds within {of}, corrected for the number of '
        f'comparisons; {FRAMES[equal]}). Seeds vary the training alone, so this holds for these training frames.'
    )


def _between(spread: ModelSpread) -> list[str]:
    """Return what is said of the spread between architectures, if there are several."""
    items = [item for item in spread.comparisons if item.architecture == BETWEEN]
    made = [decision(item) for item in items]
    if not made:
        return []
    less, more = made.count(Decision.MIXED_SPREADS_MORE), made.count(Decision.SINGLE_SPREADS_MORE)
    if (n_most := max(item.mixed.n_models for item in items)) < MINIMUM_ARCHITECTURES:
        return [
            f'Whether architectures disagree more with one another is not decided by {n_most} of them; '
            f'{MINIMUM_ARCHITECTURES} are needed.'
        ]
    return [
        f'Between {n_most} architectures mixed training is less consistent in {less} of {len(made)} comparisons, more '
        f'consistent in {more}.'
    ]


def exclusion_sentence(spread: ModelSpread) -> str:
    """Return how many runs do not count, by charge state and training set, and whether the kinds differ in that.

    :param spread: the numbers.
    """
    counts: dict[str, int] = {}
    for item in spread.excluded:
        where = f'{item.tag.training_set} at {item.tag.charge_state}'
        counts[where] = counts.get(where, 0) + 1
    listed = ', '.join(f'{count} of {where}' for where, count in sorted(counts.items()))
    text = f'Not counted, since they left physics by the rule of their quality: {listed}'
    first = {
        (item.charge_state, item.mixed.training_set, item.single.training_set): item
        for item in spread.comparisons
        if item.architecture == ALL
    }
    shares = [
        f'at {item.charge_state} {item.n_excluded[0]} of {item.n_runs[0]} mixed and {item.n_excluded[1]} of '
        f'{item.n_runs[1]} single runs, p = {item.exclusion_p:.2g}'
        for item in first.values()
        if any(item.n_excluded)
    ]
    return f'{text} ({"; ".join(shares)}).' if shares else f'{text}.'
