"""The spread of the models that share charge state and training set, against the noise of their runs."""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis.spread_runs import NoiseSource, Runs
from aiida_edl.science.analysis.variance_ratio import centred, difference_interval, effective_bins, variance_interval
from aiida_edl.science.frames import Floats
from aiida_edl.science.uncertainty import Estimate

ALL = 'all'
"""Name of the group that holds all architectures."""
BETWEEN = 'between_architectures'
"""Name of the group that holds one number for each architecture, the mean over its seeds."""
MINIMUM_MODELS = 2
"""Models that a spread needs."""
NAN = float('nan')


@dataclass(frozen=True)
class GroupName:
    """Which models a group holds."""

    charge_state: str
    observable: str
    training_set: str
    architecture: str
    """Architecture, :data:`ALL` or :data:`BETWEEN`."""


@dataclass(frozen=True)
class Measure:
    """What a group is measured by."""

    width: float
    """Width of a bin [Å]."""
    confidence: float
    """Level of the intervals, 0 to 1."""
    reference: Estimate | None
    """Mean of the runs of the reference at the same charge state; None without a run."""
    is_reference_known: bool
    """Whether the error of that mean is known."""


@dataclass(frozen=True)
class GroupSpread:
    """Spread of the models that share charge state and training set; NaN where it does not exist."""

    charge_state: str
    observable: str
    training_set: str
    architecture: str
    """Architecture, ``'all'`` for all together, ``'between_architectures'`` for the means over their seeds."""
    n_models: int
    n_architectures: int
    n_bins: int
    """Bins that were compared."""
    n_masked_bins: int
    """Bins within the depth that were not: some profile has no value, or none has anything there."""
    spread: Floats
    """Standard deviation over models in each bin, in the unit of the observable, shape ``(n_bins_within_depth,)``; NaN
    where masked."""
    noise: Floats
    """Root mean square of the standard errors in each bin, same unit and shape; NaN if the noise is not known."""
    integrated_spread: float
    """Integral of the spread over the compared bins [unit of the observable times Å]."""
    integrated_noise: float
    """Its expectation from the noise of the MD alone, same unit; NaN if that is not known."""
    spread_rms: float
    """Root mean square of the spread over the bins, in the unit of the observable."""
    seed_spread_rms: float
    """That among the seeds of one architecture, root mean square over architectures, same unit."""
    noise_rms: float
    """Root mean square of the noise, same unit; NaN if it is not known."""
    noise_source: NoiseSource
    """From what the noise is known."""
    excess_variance: float
    """Mean over the bins of spread² - noise², in the squared unit of the observable; negative by chance."""
    excess_variance_low: float
    """Lower end of its confidence interval, for which models of one architecture count as one."""
    excess_variance_high: float
    """Upper end of its confidence interval."""
    deviation_rms: float
    """Root mean square deviation of the models from the reference, in the unit of the observable."""
    deviation_noise_rms: float
    """Its expectation from the noise of models and reference alone; NaN if that is not known."""


def clusters_of(runs: Runs, values: Floats) -> dict[str, Floats]:
    """Return the values of the models of each architecture, by its name.

    :param runs: the models.
    :param values: shape ``(n_models, n_bins)``.
    """
    names = np.array([item.tag.architecture for item in runs.models])
    return {str(name): values[names == name] for name in sorted(set(names.tolist()))}


def architecture_means(runs: Runs) -> Runs:
    """Return one row for each architecture, the mean over its seeds, with the error of that mean.

    :param runs: models of several architectures.
    """
    names = [item.tag.architecture for item in runs.models]
    members = [np.flatnonzero(np.array(names) == name) for name in sorted(set(names))]

    def errors(given: Floats) -> Floats:
        return np.array([np.sqrt(np.sum(given[rows] ** 2, axis=0)) / len(rows) for rows in members])

    return Runs(
        tuple(runs.models[rows[0]] for rows in members),
        np.array([runs.values[rows].mean(axis=0) for rows in members]),
        errors(runs.errors),
        errors(runs.replica_errors),
        np.array([runs.n_independent[rows].min() for rows in members]),
    )


def group_spread(name: GroupName, runs: Runs, bins: NDArray[np.bool_], measure: Measure) -> GroupSpread:
    """Return the spread of some models in some bins.

    :param name: what the models share.
    :param runs: the models; for :data:`BETWEEN` the result of :func:`architecture_means`.
    :param bins: which bins count, shape ``(n_bins_within_depth,)``.
    :param measure: width of a bin, level of the interval, reference.
    """
    values, noise_variances = runs.values[:, bins], runs.noise_variances[:, bins]
    is_known = runs.noise_source is not NoiseSource.UNKNOWN
    has_spread = len(runs) >= MINIMUM_MODELS and bool(bins.any())
    spread, noise = np.full(bins.shape, np.nan), np.full(bins.shape, np.nan)
    if has_spread:
        spread[bins] = np.std(values, axis=0, ddof=1)
    if is_known and bins.any():
        noise[bins] = np.sqrt(np.mean(noise_variances, axis=0))
    inner_spread, inner_noise = spread[bins], noise[bins]
    clusters = clusters_of(runs, values)
    low, high = NAN, NAN
    if has_spread and is_known:
        noises = float(np.mean(noise_variances)), runs.noise_degrees
        low, high = _excess_interval(values, noises, len(clusters), measure.confidence)
    deviation, deviation_noise = _deviation(runs, bins, measure)
    return GroupSpread(
        **vars(name),
        n_models=len(runs),
        n_architectures=len(clusters),
        n_bins=int(bins.sum()),
        n_masked_bins=int((~bins).sum()),
        spread=spread,
        noise=noise,
        integrated_spread=float(inner_spread.sum() * measure.width) if has_spread else NAN,
        integrated_noise=float(inner_noise.sum() * measure.width * _c4(len(runs))) if has_spread else NAN,
        spread_rms=root_mean_square(inner_spread) if has_spread else NAN,
        seed_spread_rms=_seed_spread(list(clusters.values())) if has_spread else NAN,
        noise_rms=root_mean_square(inner_noise),
        noise_source=runs.noise_source,
        excess_variance=float(np.mean(inner_spread**2 - inner_noise**2)) if has_spread else NAN,
        excess_variance_low=low,
        excess_variance_high=high,
        deviation_rms=deviation,
        deviation_noise_rms=deviation_noise,
    )


def _excess_interval(
    values: Floats, noise: tuple[float, float], n_architectures: int, confidence: float
) -> tuple[float, float]:
    """Return the interval of the variance less that of the noise, which comes with its degrees of freedom."""
    deviations = centred(values)
    n_independent = n_architectures - 1 if n_architectures > 1 else len(values) - 1
    variance = float(np.mean(np.sum(deviations**2, axis=0))) / (len(values) - 1)
    ends = variance_interval(variance, n_independent * effective_bins([deviations]), confidence)
    return difference_interval((variance, *ends), (noise[0], *variance_interval(*noise, confidence)))


def _deviation(runs: Runs, bins: NDArray[np.bool_], measure: Measure) -> tuple[float, float]:
    """Return the deviation from the reference and what noise alone gives, in the bins that it has too."""
    if (reference := measure.reference) is None:
        return NAN, NAN
    shared = bins & np.isfinite(reference.mean) & np.isfinite(reference.error)
    if not shared.any():
        return NAN, NAN
    deviation = root_mean_square((runs.values - reference.mean)[:, shared])
    if not measure.is_reference_known or runs.noise_source is NoiseSource.UNKNOWN:
        return deviation, NAN
    return deviation, float(np.sqrt(np.mean((runs.noise_variances + reference.error**2)[:, shared])))


def _seed_spread(clusters: list[Floats]) -> float:
    """Return the root mean square spread among the models of each cluster that has several."""
    variances = [float(np.mean(np.var(values, axis=0, ddof=1))) for values in clusters if len(values) >= MINIMUM_MODELS]
    return float(np.sqrt(np.mean(variances))) if variances else NAN


def root_mean_square(values: Floats) -> float:
    """Return the root mean square; NaN of nothing."""
    return float(np.sqrt(np.mean(values**2))) if values.size else NAN


def _c4(n_models: int) -> float:
    """Return the expectation of the standard deviation of normal numbers of unit variance."""
    return float(np.sqrt(2.0 / (n_models - 1)) * np.exp(lgamma(n_models / 2) - lgamma((n_models - 1) / 2)))
