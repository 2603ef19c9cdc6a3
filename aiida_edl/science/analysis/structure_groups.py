r"""Do models of mixed training get the structure of the interface less right than models of single training?

For each charge state and pair the deviations of the models of one training set are averaged over architectures and
seeds; the standard error is that of the mean of M numbers. As noise adds to a deviation at most its own size,

.. math:: \bar E - \bar E_\mathrm{noise} \le \int |\langle g_m \rangle - \langle g_r \rangle|\,\mathrm dr

on average: the excess is at most the true deviation. A difference of two such bounds bounds nothing, so training sets
are compared by the squared deviation D of :mod:`~aiida_edl.science.analysis.structure_comparison`, which has no such
bias. Noise that is too small by as much in both drops out of the difference.

Compared are sets of equal size, within each architecture that has both; the differences are averaged over
architectures, with an error from the scatter of their seeds (B. L. Welch, Biometrika 34, 28 (1947)). Seeds vary the
training alone: what is found holds for these training frames. p values are corrected after Holm.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aiida_edl.science.analysis.small_samples import TestedMean, holm_adjusted, stratified_test
from aiida_edl.science.analysis.structure_comparison import DistributionDeviation
from aiida_edl.science.analysis.training_sets import ComparedSets, EqualFrames, compared_sets
from aiida_edl.science.frames import Floats


@dataclass(frozen=True)
class GroupDeviation:
    """Deviations of all models of one training set at one charge state."""

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
    squared_deviation: float
    """Mean of the squared deviation less noise [Å]; negative by chance."""
    squared_deviation_error: float
    """Standard error of that mean [Å]; NaN for a single model."""


@dataclass(frozen=True)
class TrainingContrast:
    """Mixed against single training, within architectures."""

    charge_state: str
    pair: str
    """Pair of elements, e.g. ``'Na-O'``."""
    mixed: str
    """Training set of mixed charge states."""
    single: str
    """Training set of a single charge state."""
    equal_frames: EqualFrames
    """In what the two sets are alike."""
    n_architectures: int
    """Architectures that have both."""
    difference: float
    """Error integral of mixed less that of single training [Å]; noise of unlike size in both is part of it."""
    difference_error: float
    """Its standard error [Å]; NaN if an architecture has a single seed."""
    squared_difference: float
    """Squared deviation less noise, mixed less single training [Å]."""
    squared_difference_error: float
    """Its standard error [Å]; NaN if an architecture has a single seed."""
    squared_difference_low: float
    """Lower end of its interval at 95 %, not corrected for the number of contrasts [Å]."""
    squared_difference_high: float
    """Upper end of that interval [Å]."""
    p_value: float
    """Of the squared difference against none."""
    adjusted_p_value: float
    """Corrected for the number of contrasts."""


def group_deviations(deviations: Sequence[DistributionDeviation]) -> list[GroupDeviation]:
    """Return the deviations averaged over the models of each training set.

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
        squares = np.array([item.squared_deviation for item in members])
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
                squared_deviation=float(squares.mean()),
                squared_deviation_error=_standard_error(squares),
            )
        )
    return groups


def training_contrasts(deviations: Sequence[DistributionDeviation]) -> list[TrainingContrast]:
    """Return mixed less single training, for each charge state, pair and couple of training sets of equal size.

    :param deviations: deviations of single models.
    """
    names = {item.tag.training_set for item in deviations}
    n_states = len({item.tag.charge_state for item in deviations})
    found = []
    for charge_state, pair in sorted({(item.tag.charge_state, item.pair) for item in deviations}):
        here = [item for item in deviations if (item.tag.charge_state, item.pair) == (charge_state, pair)]
        for sets in compared_sets(names, charge_state, n_states):
            if strata := _strata(here, sets):
                found.append(_contrast((charge_state, pair), sets, strata))
    adjusted = holm_adjusted([item.p_value for item in found])
    return [dataclasses.replace(item, adjusted_p_value=value) for item, value in zip(found, adjusted)]


_Models = list[DistributionDeviation]


def _strata(here: Sequence[DistributionDeviation], sets: ComparedSets) -> list[tuple[_Models, _Models]]:
    """Return the models of both sets of each architecture that has both."""
    pairs = []
    for architecture in sorted({item.tag.architecture for item in here}):
        of_it = [item for item in here if item.tag.architecture == architecture]
        mixed, single = (
            [item for item in of_it if item.tag.training_set == name] for name in (sets.mixed, sets.single)
        )
        if mixed and single:
            pairs.append((mixed, single))
    return pairs


def _contrast(
    where: tuple[str, str], sets: ComparedSets, strata: Sequence[tuple[_Models, _Models]]
) -> TrainingContrast:
    """Return the contrast of two training sets at a charge state, for one pair."""

    def tested(name: str) -> TestedMean:
        return stratified_test([([getattr(m, name) for m in a], [getattr(m, name) for m in b]) for a, b in strata])

    integral, square = tested('error_integral'), tested('squared_deviation')
    return TrainingContrast(
        charge_state=where[0],
        pair=where[1],
        mixed=sets.mixed,
        single=sets.single,
        equal_frames=sets.equal,
        n_architectures=len(strata),
        difference=integral.value,
        difference_error=integral.error,
        squared_difference=square.value,
        squared_difference_error=square.error,
        squared_difference_low=square.low,
        squared_difference_high=square.high,
        p_value=square.p_value,
        adjusted_p_value=float('nan'),
    )


def _standard_error(values: Floats) -> float:
    """Return the standard error of the mean, NaN for a single value."""
    if values.size < 2:
        return float('nan')
    return float(values.std(ddof=1) / np.sqrt(values.size))
