r"""Do models of mixed training get the structure of the interface less right than models of single training?

For each charge state and pair the error integrals of the models of one training set are averaged over architectures and
seeds; the standard error is that of the mean of M numbers. Mixed less single training is the difference of two such
means. As noise adds to a deviation at most its own size,

.. math:: \bar E - \bar E_\mathrm{noise} \le \int |\langle g_m \rangle - \langle g_r \rangle|\,\mathrm dr

on average: the excess, by which training sets are compared, is at most the true deviation, however short the runs.
Where both groups have the same noise, the difference of their excesses is that of the integrals themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aiida_edl.science.analysis.structure_comparison import DistributionDeviation
from aiida_edl.science.analysis.training_sets import TrainingKind, training_kind
from aiida_edl.science.frames import Floats


@dataclass(frozen=True)
class GroupDeviation:
    """Error integrals of all models of one training set at one charge state."""

    charge_state: str
    pair: str
    """Pair of elements, e.g. ``'Na-O'``."""
    training_set: str
    n_models: int
    error_integral: float
    """Mean over the models [Å]."""
    error_integral_error: float
    """Standard error of that mean [Å]; NaN for a single model."""
    noise_integral: float
    """Mean of what noise alone would give [Å]."""
    excess: float
    """Mean less that of noise [Å]; negative by chance."""


@dataclass(frozen=True)
class TrainingContrast:
    """Mixed against single training."""

    charge_state: str
    pair: str
    """Pair of elements, e.g. ``'Na-O'``."""
    mixed: str
    """Training set of mixed charge states."""
    single: str
    """Training set of a single charge state."""
    difference: float
    """Excess of mixed less that of single training [Å]."""
    difference_error: float
    """Its standard error [Å]; NaN if a group has a single model."""


def group_deviations(deviations: Sequence[DistributionDeviation]) -> list[GroupDeviation]:
    """Return the error integrals averaged over the models of each training set.

    :param deviations: deviations of single models.
    """
    keys = sorted({(item.tag.charge_state, item.pair, item.tag.training_set) for item in deviations})
    groups = []
    for charge_state, pair, training_set in keys:
        members = [
            item
            for item in deviations
            if (item.tag.charge_state, item.pair, item.tag.training_set) == (charge_state, pair, training_set)
        ]
        integrals = np.array([item.error_integral for item in members])
        noise = np.array([item.noise_integral for item in members])
        groups.append(
            GroupDeviation(
                charge_state=charge_state,
                pair=pair,
                training_set=training_set,
                n_models=len(members),
                error_integral=float(integrals.mean()),
                error_integral_error=_standard_error(integrals),
                noise_integral=float(noise.mean()),
                excess=float((integrals - noise).mean()),
            )
        )
    return groups


def training_contrasts(groups: Sequence[GroupDeviation]) -> list[TrainingContrast]:
    """Return mixed less single training, for each charge state, pair and couple of such training sets.

    :param groups: result of :func:`group_deviations`.
    """
    return [
        TrainingContrast(
            charge_state=mixed.charge_state,
            pair=mixed.pair,
            mixed=mixed.training_set,
            single=single.training_set,
            difference=mixed.excess - single.excess,
            difference_error=float(np.hypot(mixed.error_integral_error, single.error_integral_error)),
        )
        for mixed in groups
        for single in groups
        if training_kind(mixed.training_set) is TrainingKind.MIXED
        and training_kind(single.training_set) is TrainingKind.SINGLE
        and (mixed.charge_state, mixed.pair) == (single.charge_state, single.pair)
    ]


def _standard_error(values: Floats) -> float:
    """Return the standard error of the mean, NaN for a single value."""
    if values.size < 2:
        return float('nan')
    return float(values.std(ddof=1) / np.sqrt(values.size))
