"""The comparison of structures as flat tables of JSON types."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np

from aiida_edl.science.analysis.structure_comparison import (
    ModelStructure,
    distribution_deviations,
    models_without_reference,
    number_deviations,
)
from aiida_edl.science.analysis.structure_groups import group_deviations, training_contrasts

TAG_COLUMNS = ('training_set', 'architecture', 'seed', 'charge_state')


def structure_tables(runs: Sequence[ModelStructure]) -> dict[str, list[dict[str, Any]]]:
    """Return all deviations as flat tables, NaN as None.

    :param runs: models and references.
    :return: ``distributions`` and ``numbers`` by model, ``groups`` by training set, ``contrasts`` of mixed and single
        training, ``without_reference``, the models that could not be compared, and ``excluded``, the runs that left
        physics, which count nowhere else.
    :raises ValueError: if settings or ranges differ.
    """
    excluded = [{**_tag_columns(run.tag), 'reason': run.why_excluded} for run in runs if run.why_excluded]
    runs = [run for run in runs if not run.why_excluded]
    # Where every model left physics, what is left to say is why.
    has_models = any(not run.tag.is_reference for run in runs) or not excluded
    distributions = distribution_deviations(runs) if has_models else []
    groups = group_deviations(distributions)
    numbers = [
        {**_row(item), 'difference': item.difference, 'difference_error': item.difference_error}
        for item in (number_deviations(runs) if has_models else [])
    ]
    tables = {
        'distributions': [_row(item) for item in distributions],
        'numbers': numbers,
        'groups': [dict(vars(item)) for item in groups],
        'contrasts': [dict(vars(item)) for item in training_contrasts(distributions)],
        'excluded': excluded,
        'without_reference': [_tag_columns(tag) for tag in models_without_reference(runs)],
    }
    return {name: [_json(row) for row in rows] for name, rows in tables.items()}


def _row(item: Any) -> dict[str, Any]:
    """Return a deviation with the columns of its tag in front."""
    return {**_tag_columns(item.tag), **{name: value for name, value in vars(item).items() if name != 'tag'}}


def _tag_columns(tag: Any) -> dict[str, Any]:
    """Return the columns that name a model."""
    return {name: getattr(tag, name) for name in TAG_COLUMNS}


def _json(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with NaN as None, and values of enums."""
    values = {name: value.value if isinstance(value, Enum) else value for name, value in row.items()}
    return {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in values.items()}
