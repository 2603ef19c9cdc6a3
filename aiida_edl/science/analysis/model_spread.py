r"""Do models trained on one charge state agree with each other, and do models trained on several disagree?

For each bin along the normal, the spread of a profile x over M models (architectures and seeds) is compared with what
the finite length of the MD alone would give:

.. math::
    s^2(z) = \frac{1}{M-1} \sum_m (x_m - \bar x)^2, \qquad n^2(z) = \frac1M \sum_m \sigma_m^2, \qquad
    \langle s^2 \rangle = s_\mathrm{true}^2 + n^2

with the standard errors σ of the profiles. The *excess variance* :math:`s^2 - n^2`, averaged over the first 10 Å, is
therefore an unbiased estimate of the true disagreement, whatever the length of the MD, if the runs are independent and
each σ is right; mixed and single training are compared by it. Runs are independent if each model starts from another
frame of the reference, with velocities drawn anew. Runs from one frame share where they come from for as long as they
remember it: short ones then agree too well, and :math:`s^2 - n^2` is too small. A bin in which some profile has no
error, e.g. since its run never went there, is left out of spread and noise alike. Also given are the integral of s over
these 10 Å, and the noise floor, its expectation from noise alone, :math:`\int c_4(M)\, n\, \mathrm{d}z`, where c₄ is
the bias of the standard deviation of M normal numbers. Confidence intervals are percentiles over resamples of the
models. Profiles are compared in coarse bins; the claim under test is that of arXiv 2602.22931.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lgamma

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis.interface_profiles import InterfaceProfiles
from aiida_edl.science.analysis.model_tags import ModelProfile, ModelTag
from aiida_edl.science.analysis.training_sets import TrainingKind, TrainingSet
from aiida_edl.science.frames import Floats
from aiida_edl.science.uncertainty import Estimate, combine_replicas

ALL = 'all'
"""Name of the group that holds all architectures."""
OBSERVABLES = {'mean_cosine': '1', 'ion_number_density': '1/Å³', 'oxygen_number_density': '1/Å³'}
"""Profiles that are compared, with their units."""
MINIMUM_MODELS = 2
"""Models that a spread needs."""


@dataclass(frozen=True)
class SpreadSettings:
    """How models are compared."""

    depth: float = 10.0
    """Height above the surface up to which profiles are compared [Å]."""
    confidence: float = 0.95
    """Level of the intervals."""
    n_resamples: int = 2000
    """Resamples of the models."""
    seed: int = 0
    """Seed of the resamples."""


@dataclass(frozen=True)
class GroupSpread:
    """Spread of the models that share charge state and training set; NaN where it does not exist."""

    charge_state: str
    observable: str
    training_set: str
    architecture: str
    """Architecture, or ``'all'`` for all together."""
    n_models: int
    n_bins: int
    """Bins that were compared."""
    n_masked_bins: int
    """Bins within the depth where some profile has no value or no error (no water, or a bin its run never visits)."""
    spread: Floats
    """Standard deviation over models in each bin, in the unit of the observable, shape ``(n_bins_within_depth,)``; NaN
    where masked."""
    noise: Floats
    """Root mean square of the standard errors in each bin, same unit and shape."""
    integrated_spread: float
    """Integral of the spread over the compared bins [unit of the observable times Å]."""
    integrated_noise: float
    """Its expectation from the noise of the MD alone, same unit."""
    spread_rms: float
    """Root mean square of the spread over the bins, in the unit of the observable."""
    noise_rms: float
    """Root mean square of the noise, same unit."""
    excess_variance: float
    """Mean over the bins of spread² - noise², in the squared unit of the observable; negative by chance."""
    excess_variance_low: float
    """Lower end of its confidence interval."""
    excess_variance_high: float
    """Upper end of its confidence interval."""
    deviation_rms: float
    """Root mean square deviation of the models from the reference, in the unit of the observable."""
    deviation_noise_rms: float
    """Its expectation from the noise of models and reference alone."""


@dataclass(frozen=True)
class SpreadComparison:
    """Mixed against single training at one charge state."""

    charge_state: str
    observable: str
    architecture: str
    mixed: GroupSpread
    single: GroupSpread
    difference: float
    """Excess variance of mixed less that of single training, in the squared unit of the observable."""
    difference_low: float
    """Lower end of its confidence interval; NaN if a group has too few models."""
    difference_high: float
    """Upper end of its confidence interval."""
    md_length: float
    """Length of the shortest MD of the models [fs]; NaN if unknown."""


@dataclass(frozen=True)
class ModelDeviation:
    """Deviation of one model from the reference."""

    tag: ModelTag
    observable: str
    deviation_rms: float
    """Root mean square deviation within the depth, in the unit of the observable; NaN without reference."""
    noise_rms: float
    """Its expectation from the noise of both."""


@dataclass(frozen=True)
class ModelSpread:
    """All spreads and comparisons."""

    z: Floats
    """Centres of the compared bins [Å], shape ``(n_bins_within_depth,)``."""
    groups: tuple[GroupSpread, ...]
    comparisons: tuple[SpreadComparison, ...]
    deviations: tuple[ModelDeviation, ...]
    excluded: tuple[ModelProfile, ...]
    """Runs that left physics by the rule of their quality, which count nowhere above."""
    settings: SpreadSettings


@dataclass(frozen=True)
class _Stack:
    """Profiles of one observable at one charge state, cut at the depth."""

    observable: str
    charge_state: str
    models: tuple[ModelProfile, ...]
    values: Floats
    """Shape ``(n_models, n_bins)``."""
    errors: Floats
    reference: Estimate | None
    valid: NDArray[np.bool_]
    bin_width: float


def model_spread(models: Sequence[ModelProfile], settings: SpreadSettings | None = None) -> ModelSpread:
    """Return how far models agree with each other and with the reference.

    Runs that left physics (``why_excluded``) are left out and listed.

    :param models: profiles of models and references, all made with the same settings.
    :param settings: depth, confidence, seed; None for the defaults.
    :raises ValueError: if settings of the profiles differ, or no model is given.
    """
    settings = settings or SpreadSettings()
    _check_profiles(models)
    excluded = tuple(item for item in models if item.why_excluded)
    n_bins = _n_bins(models[0].profiles, settings.depth)
    z = models[0].profiles.coarse_z[:n_bins]
    models = [item for item in models if not item.why_excluded]
    random = np.random.default_rng(settings.seed)
    groups: list[GroupSpread] = []
    comparisons: list[SpreadComparison] = []
    deviations: list[ModelDeviation] = []
    for charge_state in sorted({item.tag.charge_state for item in models if not item.tag.is_reference}):
        for observable in OBSERVABLES:
            stack = _stack(models, charge_state, observable, settings.depth)
            deviations += _deviations(stack)
            architectures = sorted({item.tag.architecture for item in stack.models})
            for architecture in (ALL, *architectures) if len(architectures) > 1 else (ALL,):
                found = _groups(stack, architecture, settings, random)
                groups += [group for group, _ in found]
                comparisons += _comparisons(stack, found, settings)
    return ModelSpread(
        z=z,
        groups=tuple(groups),
        comparisons=tuple(comparisons),
        deviations=tuple(deviations),
        excluded=excluded,
        settings=settings,
    )


def _check_profiles(models: Sequence[ModelProfile]) -> None:
    """Refuse profiles that cannot be compared bin by bin."""
    if not any(not item.tag.is_reference for item in models):
        raise ValueError(f'the spread of models needs profiles of models, given were {len(models)} of the reference')
    grids = [{**item.profiles.settings.to_dict(), 'equilibration_frames': 0, 'replica_column': ''} for item in models]
    for item, grid in zip(models, grids):
        if different := sorted(name for name, value in grid.items() if value != grids[0][name]):
            raise ValueError(
                f'profiles of {item.tag} and {models[0].tag} differ in {different}; make them with the same'
            )


def _n_bins(profiles: InterfaceProfiles, depth: float) -> int:
    """Return the number of coarse bins that lie within the depth as a whole."""
    return int(np.count_nonzero(profiles.coarse_z + profiles.settings.coarse_bin_width / 2 <= depth + 1e-9))


def _stack(models: Sequence[ModelProfile], charge_state: str, observable: str, depth: float) -> _Stack:
    """Return the profiles of one observable at one charge state, with the bins where all of them have a value."""
    n_bins = _n_bins(models[0].profiles, depth)

    def rows(chosen: Sequence[ModelProfile], suffix: str = '') -> Floats:
        return np.array([getattr(item.profiles, f'coarse_{observable}{suffix}')[:n_bins] for item in chosen])

    here = [item for item in models if item.tag.charge_state == charge_state]
    candidates = tuple(item for item in here if not item.tag.is_reference)
    references = [item for item in here if item.tag.is_reference]
    values, errors = rows(candidates), rows(candidates, '_error')
    valid = np.all(np.isfinite(values) & np.isfinite(errors), axis=0)
    occurs = np.any(values != 0.0, axis=0)
    reference = None
    if references:
        reference = _reference(references, rows(references), rows(references, '_error'))
        valid &= np.isfinite(reference.mean) & np.isfinite(reference.error)
        occurs |= reference.mean != 0.0
    width = models[0].profiles.settings.coarse_bin_width
    return _Stack(observable, charge_state, candidates, values, errors, reference, valid & occurs, width)


def _reference(references: Sequence[ModelProfile], values: Floats, errors: Floats) -> Estimate:
    """Return the mean over the replicas of the reference, weighted by their number of frames."""
    estimates = [
        Estimate(
            mean=value,
            error=error,
            n_effective=np.where(np.isfinite(value), float(item.profiles.n_frames), 0.0),
            correlation_time=np.full_like(value, 0.5),
        )
        for item, value, error in zip(references, values, errors)
    ]
    return combine_replicas(estimates)


def _deviations(stack: _Stack) -> list[ModelDeviation]:
    """Return the deviation of each model from the reference."""
    result = []
    for item, value, error in zip(stack.models, stack.values, stack.errors):
        deviation, noise = float('nan'), float('nan')
        if stack.reference is not None and stack.valid.any():
            deviation = _rms((value - stack.reference.mean)[stack.valid])
            noise = float(np.sqrt(np.mean((error**2 + stack.reference.error**2)[stack.valid])))
        result.append(ModelDeviation(item.tag, stack.observable, deviation, noise))
    return result


def _groups(
    stack: _Stack, architecture: str, settings: SpreadSettings, random: np.random.Generator
) -> list[tuple[GroupSpread, Floats]]:
    """Return the spread of each training set, and its excess variance in each resample."""
    found = []
    for training_set in sorted({item.tag.training_set for item in stack.models}):
        chosen = np.array(
            [
                item.tag.training_set == training_set and architecture in (ALL, item.tag.architecture)
                for item in stack.models
            ]
        )
        if chosen.any():
            found.append(_group(stack, chosen, (training_set, architecture), settings, random))
    return found


def _group(
    stack: _Stack,
    chosen: NDArray[np.bool_],
    names: tuple[str, str],
    settings: SpreadSettings,
    random: np.random.Generator,
) -> tuple[GroupSpread, Floats]:
    """Return the spread of the chosen models, and its excess variance in each resample."""
    values, errors = stack.values[chosen][:, stack.valid], stack.errors[chosen][:, stack.valid]
    n_models, has_spread = len(values), len(values) >= MINIMUM_MODELS and bool(stack.valid.any())
    spread, noise = np.full(stack.valid.shape, np.nan), np.full(stack.valid.shape, np.nan)
    noise[stack.valid] = np.sqrt(np.mean(errors**2, axis=0))
    resampled = np.zeros(0)
    if has_spread:
        spread[stack.valid] = np.std(values, axis=0, ddof=1)
        resampled = _resampled_excess(values, errors, random.integers(n_models, size=(settings.n_resamples, n_models)))
    tail = 50.0 * (1.0 - settings.confidence)
    low, high = np.percentile(resampled, [tail, 100.0 - tail]) if has_spread else (np.nan, np.nan)
    deviation, deviation_noise = float('nan'), float('nan')
    if stack.reference is not None and stack.valid.any():
        deviation = _rms(values - stack.reference.mean[stack.valid])
        deviation_noise = float(np.sqrt(np.mean(errors**2 + stack.reference.error[stack.valid] ** 2)))
    inner_spread, inner_noise = spread[stack.valid], noise[stack.valid]
    group = GroupSpread(
        charge_state=stack.charge_state,
        observable=stack.observable,
        training_set=names[0],
        architecture=names[1],
        n_models=n_models,
        n_bins=int(stack.valid.sum()),
        n_masked_bins=int((~stack.valid).sum()),
        spread=spread,
        noise=noise,
        integrated_spread=float(inner_spread.sum() * stack.bin_width) if has_spread else float('nan'),
        integrated_noise=float(inner_noise.sum() * stack.bin_width * _c4(n_models)) if has_spread else float('nan'),
        spread_rms=_rms(inner_spread) if has_spread else float('nan'),
        noise_rms=_rms(inner_noise),
        excess_variance=float(np.mean(inner_spread**2 - inner_noise**2)) if has_spread else float('nan'),
        excess_variance_low=float(low),
        excess_variance_high=float(high),
        deviation_rms=deviation,
        deviation_noise_rms=deviation_noise,
    )
    return group, resampled


def _resampled_excess(values: Floats, errors: Floats, draws: NDArray[np.int64]) -> Floats:
    """Return the excess variance of resampled models, shape ``(n_resamples,)``.

    A resample holds models twice, which lowers its variance by the factor (M - 1)/M on average; that is undone.
    """
    n_models = draws.shape[1]
    variances = np.var(values[draws], axis=1, ddof=1) * n_models / (n_models - 1)
    noise = np.mean(errors[draws] ** 2, axis=1)
    return np.asarray(np.mean(variances - noise, axis=1))


def _comparisons(
    stack: _Stack, found: Sequence[tuple[GroupSpread, Floats]], settings: SpreadSettings
) -> list[SpreadComparison]:
    """Return mixed against single training, for each pair of such sets of one size that hold this charge state."""
    sets = [(TrainingSet.from_name(item[0].training_set), item) for item in found]
    mixed = [pair for pair in sets if pair[0].kind is TrainingKind.MIXED]
    single = [pair for pair in sets if pair[0].kind is TrainingKind.SINGLE and pair[0].holds(stack.charge_state)]
    lengths = [item.profiles.n_frames * item.profiles.frame_interval for item in stack.models]
    tail = 50.0 * (1.0 - settings.confidence)
    result = []
    for mixed_set, (mixed_group, mixed_draws) in mixed:
        for single_set, (single_group, single_draws) in single:
            if mixed_set.size != single_set.size:
                continue
            low, high = float('nan'), float('nan')
            if mixed_draws.size and single_draws.size:
                low, high = (float(x) for x in np.percentile(mixed_draws - single_draws, [tail, 100.0 - tail]))
            result.append(
                SpreadComparison(
                    charge_state=stack.charge_state,
                    observable=stack.observable,
                    architecture=mixed_group.architecture,
                    mixed=mixed_group,
                    single=single_group,
                    difference=mixed_group.excess_variance - single_group.excess_variance,
                    difference_low=low,
                    difference_high=high,
                    md_length=float(min(lengths)),
                )
            )
    return result


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else float('nan')


def _c4(n_models: int) -> float:
    """Return the expectation of the standard deviation of normal numbers of unit variance."""
    return float(np.sqrt(2.0 / (n_models - 1)) * np.exp(lgamma(n_models / 2) - lgamma((n_models - 1) / 2)))
