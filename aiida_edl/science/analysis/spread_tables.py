"""The spread of models as flat tables of JSON types."""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import Any

import numpy as np

from aiida_edl.science.analysis.model_spread import OBSERVABLES, GroupSpread, ModelSpread, SpreadComparison
from aiida_edl.science.analysis.spread_verdict import decision, md_factor, sentence
from aiida_edl.science.analysis.training_sets import training_kind


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
    return [_comparison_row(item) for item in spread.comparisons]


def _comparison_row(item: SpreadComparison) -> dict[str, Any]:
    row: dict[str, Any] = {
        'charge_state': item.charge_state,
        'observable': item.observable,
        'architecture': item.architecture,
        'unit': OBSERVABLES[item.observable],
        'equal_frames': item.equal.value,
        'n_architectures': item.ratio.n_clusters,
        'n_bins': item.mixed.n_bins,
        'n_masked_bins': item.mixed.n_masked_bins,
        'variance_difference': item.difference,
        'variance_difference_error': item.difference_error,
        'variance_ratio': item.ratio.ratio,
        'variance_ratio_low': item.ratio.low,
        'variance_ratio_high': item.ratio.high,
        'p_value': item.ratio.p_value,
        'adjusted_p_value': item.adjusted_p,
        'resolvable_ratio': item.ratio.resolvable,
        'has_like_noise': item.has_like_noise,
        'n_independent': item.n_independent,
        'exclusion_p_value': item.exclusion_p,
        'decision': decision(item).value,
        'required_md_factor': md_factor(item),
        'sentence': sentence(item),
    }
    for kind, group, n_runs, n_excluded in zip(
        ('mixed', 'single'), (item.mixed, item.single), item.n_runs, item.n_excluded
    ):
        row |= {
            f'{kind}_training_set': group.training_set,
            f'n_{kind}_models': group.n_models,
            f'n_{kind}_runs': n_runs,
            f'n_{kind}_excluded': n_excluded,
            f'{kind}_integrated_spread': group.integrated_spread,
            f'{kind}_integrated_noise': group.integrated_noise,
            f'{kind}_seed_spread_rms': group.seed_spread_rms,
            f'{kind}_deviation_rms': group.deviation_rms,
            f'{kind}_noise_source': group.noise_source.value,
        }
    return {key: _json_value(value) for key, value in row.items()}


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
    """Return the value of an enum, and None for what JSON cannot hold."""
    if isinstance(value, Enum):
        return value.value
    return None if isinstance(value, float) and not np.isfinite(value) else value
