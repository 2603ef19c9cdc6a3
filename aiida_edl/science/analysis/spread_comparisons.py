"""The spread of mixed models against that of models of one charge state, at one charge state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from aiida_edl.science.analysis.model_tags import ModelTag
from aiida_edl.science.analysis.spread_groups import (
    ALL,
    BETWEEN,
    GroupName,
    GroupSpread,
    Measure,
    architecture_means,
    clusters_of,
    group_spread,
)
from aiida_edl.science.analysis.spread_runs import NoiseSource, Runs
from aiida_edl.science.analysis.training_sets import ComparedSets, EqualFrames
from aiida_edl.science.analysis.variance_ratio import VarianceRatio, centred, effective_bins, variance_ratio
from aiida_edl.science.frames import Floats

LIKE_LENGTH = 1.1
"""Ratio of the longest to the shortest run up to which runs count as equally long."""
LIKE_NOISE = 3.0
"""Ratio of the noise variances of two groups up to which their runs count as equally noisy."""
SMALL_NOISE = 0.25
"""Share of the larger variance that is known to be noise, up to which unlike noise does not matter."""


@dataclass(frozen=True)
class SpreadComparison:
    """Mixed against single training at one charge state."""

    charge_state: str
    observable: str
    architecture: str
    """Architecture, ``'all'`` for the seeds of each of all architectures, or ``'between_architectures'``."""
    equal: EqualFrames
    """In what the two training sets are alike."""
    mixed: GroupSpread
    single: GroupSpread
    difference: float
    """Variance of mixed less that of single training, mean over architectures, in the squared unit."""
    difference_error: float
    """Its standard error, that of normal numbers; it is not too small in the median over draws of three models."""
    ratio: VarianceRatio
    """Variance of mixed over that of single training."""
    has_like_noise: bool
    """Whether a difference cannot come from unlike noise of the runs."""
    n_runs: tuple[int, int]
    """Runs of mixed and of single models, with those that left physics."""
    n_excluded: tuple[int, int]
    """Of these the ones that left physics."""
    exclusion_p: float
    """Probability of shares of such runs at least as different if they are equal (R. A. Fisher's exact test)."""
    n_independent: float
    """Independent samples of the run that holds fewest; NaN if not known."""
    md_length: float
    """Length of the shortest MD of the models [fs]; NaN if unknown."""
    confidence: float
    """Level at which it is decided."""
    adjusted_p: float = float('nan')
    """p value corrected for the number of comparisons of its kind."""

    @property
    def excluded_shares(self) -> tuple[float, float]:
        """Shares of the mixed and of the single runs that left physics."""
        mixed, single = (left / max(count, 1) for left, count in zip(self.n_excluded, self.n_runs))
        return mixed, single


@dataclass(frozen=True)
class StateRuns:
    """All runs of models of one observable at one charge state."""

    charge_state: str
    observable: str
    runs: Runs
    excluded: tuple[ModelTag, ...]
    """Runs that left physics, which are not among the others."""
    measure: Measure
    """Width of a bin, level of the intervals, reference."""

    def of(self, training_set: str, architecture: str) -> Runs:
        """Return the runs of one training set; of one architecture unless it stands for all."""
        tags = [item.tag for item in self.runs.models]
        is_any = architecture in (ALL, BETWEEN)
        chosen = [tag.training_set == training_set and (is_any or tag.architecture == architecture) for tag in tags]
        return self.runs.of(np.array(chosen, dtype=bool))

    def n_excluded(self, training_set: str, architecture: str) -> int:
        """Return how many runs of one training set left physics."""
        here = [tag.architecture for tag in self.excluded if tag.training_set == training_set]
        return len(here) if architecture in (ALL, BETWEEN) else here.count(architecture)

    def group(self, training_set: str, architecture: str, runs: Runs, bins: NDArray[np.bool_]) -> GroupSpread:
        """Return the spread of some runs in some bins."""
        name = GroupName(self.charge_state, self.observable, training_set, architecture)
        return group_spread(name, runs, bins, self.measure)


def compare(state: StateRuns, sets: ComparedSets, architecture: str) -> SpreadComparison | None:
    """Return mixed against single training; None if one of the two has no run.

    :param state: the runs.
    :param sets: names of the two training sets.
    :param architecture: one, or :data:`ALL` or :data:`BETWEEN`.
    """
    mixed, single = state.of(sets.mixed, architecture), state.of(sets.single, architecture)
    if architecture == BETWEEN:
        mixed, single = _shared_architectures(mixed, single)
    if not len(mixed) or not len(single):
        return None
    lengths = np.concatenate([mixed.lengths, single.lengths])
    independent = np.concatenate([mixed.n_independent, single.n_independent])
    if architecture == BETWEEN:
        mixed, single = architecture_means(mixed), architecture_means(single)
    bins = _shared_bins(mixed, single)
    groups = [
        state.group(*item, bins) for item in ((sets.mixed, architecture, mixed), (sets.single, architecture, single))
    ]
    pairs = _clusters(mixed, single, bins, architecture)
    difference, error = variance_difference(pairs)
    excluded = state.n_excluded(sets.mixed, architecture), state.n_excluded(sets.single, architecture)
    n_counted = len(state.of(sets.mixed, architecture)), len(state.of(sets.single, architecture))
    return SpreadComparison(
        charge_state=state.charge_state,
        observable=state.observable,
        architecture=architecture,
        equal=sets.equal,
        mixed=groups[0],
        single=groups[1],
        difference=difference,
        difference_error=error,
        ratio=variance_ratio([pair[0] for pair in pairs], [pair[1] for pair in pairs], state.measure.confidence),
        has_like_noise=_has_like_noise(mixed, single, bins, lengths),
        n_runs=(excluded[0] + n_counted[0], excluded[1] + n_counted[1]),
        n_excluded=excluded,
        exclusion_p=float(stats.fisher_exact([excluded, n_counted])[1]),
        n_independent=float(independent.min()),
        md_length=float(lengths.min()),
        confidence=state.measure.confidence,
    )


def _shared_architectures(mixed: Runs, single: Runs) -> tuple[Runs, Runs]:
    """Return the runs of the architectures that occur in both."""
    names = [[item.tag.architecture for item in runs.models] for runs in (mixed, single)]
    shared = set(names[0]) & set(names[1])
    first, second = (
        runs.of(np.array([name in shared for name in each], dtype=bool)) for runs, each in zip((mixed, single), names)
    )
    return first, second


def _shared_bins(mixed: Runs, single: Runs) -> NDArray[np.bool_]:
    """Return the bins in which all models of both groups have a value, and one of them has something."""
    values, errors = (
        np.concatenate([getattr(runs, name) for runs in (mixed, single)]) for name in ('values', 'errors')
    )
    exists = np.all(np.isfinite(values) & np.isfinite(errors), axis=0)
    return np.asarray(exists & np.any(values != 0.0, axis=0))


def _clusters(mixed: Runs, single: Runs, bins: NDArray[np.bool_], architecture: str) -> list[tuple[Floats, Floats]]:
    """Return the values of mixed and single models among which spreads are compared: the seeds of one architecture."""
    if not bins.any():
        return []
    if architecture == BETWEEN:
        pairs = [(mixed.values[:, bins], single.values[:, bins])]
    else:
        ours, theirs = (clusters_of(runs, runs.values[:, bins]) for runs in (mixed, single))
        pairs = [(ours[name], theirs[name]) for name in ours if name in theirs]
    return [pair for pair in pairs if min(map(len, pair)) > 1]  # one alone has no spread


def variance_difference(pairs: list[tuple[Floats, Floats]]) -> tuple[float, float]:
    """Return the mean over clusters of the difference of variances, and its standard error; NaN without a cluster."""
    if not pairs:
        return float('nan'), float('nan')
    differences, squares = [], []
    for pair in pairs:
        deviations = [centred(values) for values in pair]
        n_bins = effective_bins(deviations)
        variances = [float(np.mean(np.sum(part**2, axis=0))) / (len(part) - 1) for part in deviations]
        differences.append(variances[0] - variances[1])
        squares.append(sum(2.0 * v**2 / ((len(part) - 1) * n_bins) for v, part in zip(variances, deviations)))
    return float(np.mean(differences)), float(np.sqrt(np.sum(squares)) / len(pairs))


def _has_like_noise(mixed: Runs, single: Runs, bins: NDArray[np.bool_], lengths: Floats) -> bool:
    """Return whether the runs of both groups are alike in length and errors, or known to be too quiet to matter."""
    if not bins.any():
        return True
    noises = [float(np.mean(runs.noise_variances[:, bins])) for runs in (mixed, single)]
    spreads = [float(np.mean(np.var(runs.values[:, bins], axis=0))) for runs in (mixed, single)]
    is_known = NoiseSource.UNKNOWN not in (mixed.noise_source, single.noise_source)
    if is_known and max(noises) <= SMALL_NOISE * max(spreads):
        return True
    is_as_long = not np.isfinite(lengths).all() or float(lengths.max()) <= LIKE_LENGTH * float(lengths.min())
    return is_as_long and max(noises) <= LIKE_NOISE * min(noises)
