r"""Models of a fine-tuning study beside each other: a row for each, and learning curves over families and sizes.

A point of a learning curve is the mean over models that differ in their seed alone, which is the seed of their weights
and of the choice of their frames. Where models state an error of their own value (an activation energy has one, from
its runs), the error of the mean is the larger of what the scatter between the models and what these errors give:

.. math:: \Delta^2 = \max\Big( \frac{1}{k(k-1)} \sum_i (x_i - \bar x)^2,\; \frac{1}{k^2} \sum_i \sigma_i^2 \Big).

Models without a value are counted. One model without an error of its own gives a point without an error.

Where the scatter of k models counts, the error has k - 1 degrees of freedom. Where stated errors count, or those of one
model alone, its degrees are not known here and are taken as large: a stated error comes from replicas and temperatures
of its own, not from seeds, and one model says nothing of other seeds.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

QUANTITIES: Mapping[str, str | None] = {
    'test_force_rmse_ev_per_angstrom': None,
    'test_energy_rmse_ev_per_atom': None,
    'holdout_force_rmse_ev_per_angstrom': None,
    'physical_time_ps': 'physical_time_error_ps',
    'activation_energy_ev': 'activation_energy_error_ev',
    'rate_activation_energy_ev': 'rate_activation_energy_error_ev',
    'training_core_hours': None,
    'dynamics_core_hours': None,
}
"""Columns of the rows that have a learning curve, with the column of their own error if they have one that counts.

The error bar of an RMSE is for the choice of the test frames, which all models share: it is no part of the error of a
mean over models."""
POINT = ('family', 'strategy', 'start', 'architecture', 'system', 'n_replay', 'round_number', 'n_frames')
"""What models of one point of a curve have in common; of models of a round, the number of frames is their mean, for not
every seed finds as many."""
BY_TEMPERATURE = re.compile(r'(tracer_diffusion|knock_off_share|migration_rate)_at_.*')
"""Columns of the rows that have a learning curve for each temperature; that of their error ends in ``_error``."""


@dataclass(frozen=True)
class CurvePoint:
    """One quantity at one point of a learning curve."""

    family: str
    """Name of the family of models."""
    strategy: str
    """Where its frames come from."""
    start: str
    """Label of the foundation model, or ``scratch``."""
    architecture: str
    """Entry-point name of the architecture."""
    system: str
    """Label of the structure that is run."""
    n_replay: int
    """Replayed frames."""
    round_number: int
    """Round of models that find their own frames; 0 for others."""
    n_frames: int
    """Training frames."""
    quantity: str
    """Name of a column of the rows, with its unit."""
    mean: float | None
    """Mean over the models; None if none has a value."""
    error: float | None
    """Its standard error; None if it is not known."""
    degrees_of_freedom: int | None
    """Of the error: models less one where it is their scatter; None, taken as large, where it is that of stated errors
    or there is no error."""
    n_models: int
    """Models with a value."""
    n_without: int
    """Models without one."""


@dataclass(frozen=True)
class MeanOfModels:
    """A mean over models."""

    mean: float
    error: float | None
    """Its standard error; None if it is not known."""
    degrees_of_freedom: int | None
    """Of the scatter, if that is the error; None otherwise."""


def mean_over_models(values: Sequence[float], errors: Sequence[float | None]) -> MeanOfModels:
    """Return the mean of values and its standard error, the larger of scatter and stated errors.

    >>> mean_over_models([0.25, 0.75], [0.01, 0.01])
    MeanOfModels(mean=0.5, error=0.25, degrees_of_freedom=1)
    >>> mean_over_models([0.3], [None])
    MeanOfModels(mean=0.3, error=None, degrees_of_freedom=None)

    :param values: at least one.
    :param errors: standard error of each, None where it is not known.
    """
    count = len(values)
    mean = math.fsum(values) / count
    known = [error for error in errors if error is not None]
    stated = math.sqrt(math.fsum(error**2 for error in known)) / count if len(known) == count else None
    if count == 1:
        return MeanOfModels(mean, stated, None)
    scatter = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count * (count - 1)))
    if stated is not None and stated > scatter:
        return MeanOfModels(mean, stated, None)
    return MeanOfModels(mean, scatter, count - 1)


def learning_curves(rows: Iterable[Mapping[str, Any]]) -> list[CurvePoint]:
    """Return the points of all learning curves, ordered by family, system and size.

    :param rows: one for each model and system, with the columns of :data:`POINT` and of :data:`QUANTITIES`; a value
        that does not exist is None.
    """
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        n_frames = 0 if row['round_number'] else row['n_frames']
        groups.setdefault((*(row[name] for name in POINT[:-1]), n_frames), []).append(row)
    points = []
    for key, members in sorted(groups.items()):
        common = dict(zip(POINT, key))
        common['n_frames'] = round(math.fsum(row['n_frames'] for row in members) / len(members))
        for quantity, own_error in _quantities(members).items():
            known = [row for row in members if row.get(quantity) is not None]
            found = None
            if known:
                errors = [row.get(own_error) if own_error else None for row in known]
                found = mean_over_models([float(row[quantity]) for row in known], errors)
            points.append(
                CurvePoint(
                    **common,
                    quantity=quantity,
                    mean=found.mean if found else None,
                    error=found.error if found else None,
                    degrees_of_freedom=found.degrees_of_freedom if found else None,
                    n_models=len(known),
                    n_without=len(members) - len(known),
                )
            )
    return points


def _quantities(rows: Iterable[Mapping[str, Any]]) -> dict[str, str | None]:
    """Return the quantities of some models, with the columns of their own errors."""
    columns = {name for row in rows for name in row}
    found = sorted(name for name in columns if BY_TEMPERATURE.fullmatch(name) and not name.endswith('_error'))
    return {**QUANTITIES, **{name: f'{name}_error' for name in found}}


def curve_table(points: Iterable[CurvePoint]) -> list[dict[str, Any]]:
    """Return the points as rows of JSON types; quantities that no model has are left out.

    :param points: points of learning curves.
    """
    return [dataclasses.asdict(point) for point in points if point.n_models]
