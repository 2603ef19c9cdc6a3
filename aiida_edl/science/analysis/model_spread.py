r"""Do models trained on one charge state agree with each other, and do models trained on several disagree?

For each bin along the normal, the spread of a profile x over M models is compared with what the finite length of the MD
alone would give:

.. math::
    s^2(z) = \frac{1}{M-1} \sum_m (x_m - \bar x)^2, \qquad n^2(z) = \frac1M \sum_m \sigma_m^2, \qquad
    \langle s^2 \rangle = s_\mathrm{true}^2 + n^2

with the standard errors σ of the profiles. The *excess variance* :math:`s^2 - n^2`, averaged over the first 10 Å,
estimates the true disagreement if σ is known, see :mod:`~aiida_edl.science.analysis.spread_runs`; from short single
runs it is not, and nothing is said of it. The runs must be independent: each model starts from another frame of the
reference, with velocities drawn anew.

Mixed and single training are compared by the ratio of their :math:`s^2` among the seeds of one architecture, joined
over architectures, see :mod:`~aiida_edl.science.analysis.variance_ratio`. Noise of one size in both leaves that
comparison valid, known or not; it pulls the ratio towards one. Where the runs differ in length or in their errors, a
difference may be one of noise, and nothing is decided. The spread between architectures is compared by the means of
their seeds, and decided from four architectures on. p values of one kind of comparison are corrected after Holm for
their number.

Seeds vary the training alone: all models of a training set see the same frames, so whatever is decided is so for these
training frames. Profiles are compared in coarse bins in which both groups have a value; the others are counted. The
claim under test is that of arXiv 2602.22931.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aiida_edl.science.analysis.interface_profiles import InterfaceProfiles
from aiida_edl.science.analysis.model_tags import ModelProfile, ModelTag
from aiida_edl.science.analysis.small_samples import holm_adjusted
from aiida_edl.science.analysis.spread_comparisons import SpreadComparison, StateRuns, compare
from aiida_edl.science.analysis.spread_groups import ALL, BETWEEN, MINIMUM_MODELS, GroupSpread, Measure
from aiida_edl.science.analysis.spread_runs import OBSERVABLES, reference_runs, runs_of
from aiida_edl.science.analysis.training_sets import compared_sets
from aiida_edl.science.frames import Floats

__all__ = [
    'ALL',
    'BETWEEN',
    'MINIMUM_MODELS',
    'OBSERVABLES',
    'GroupSpread',
    'ModelDeviation',
    'ModelSpread',
    'SpreadComparison',
    'SpreadSettings',
    'model_spread',
]


@dataclass(frozen=True)
class SpreadSettings:
    """How models are compared."""

    depth: float = 10.0
    """Height above the surface up to which profiles are compared [Å]."""
    confidence: float = 0.95
    """Level of the intervals."""


@dataclass(frozen=True)
class ModelDeviation:
    """Deviation of one model from the reference."""

    tag: ModelTag
    observable: str
    deviation_rms: float
    """Root mean square deviation within the depth, in the unit of the observable; NaN without reference."""
    noise_rms: float
    """Its expectation from the noise of both; NaN if that is not known."""


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


def model_spread(models: Sequence[ModelProfile], settings: SpreadSettings | None = None) -> ModelSpread:
    """Return how far models agree with each other and with the reference.

    Runs that left physics (``why_excluded``) are left out and listed.

    :param models: profiles of models and references, all made with the same settings.
    :param settings: depth, confidence; None for the defaults.
    :raises ValueError: if settings of the profiles differ, or no model is given.
    """
    settings = settings or SpreadSettings()
    _check_profiles(models)
    excluded = tuple(item for item in models if item.why_excluded)
    n_bins = _n_bins(models[0].profiles, settings.depth)
    groups: list[GroupSpread] = []
    comparisons: list[SpreadComparison] = []
    deviations: list[ModelDeviation] = []
    names = {item.tag.training_set for item in models if not item.tag.is_reference}
    n_states = len({item.tag.charge_state for item in models if not item.tag.is_reference})
    for state in _states(models, n_bins, settings):
        deviations += _deviations(state)
        architectures = sorted({item.tag.architecture for item in state.runs.models})
        several = len(architectures) > 1
        for architecture in (ALL, *architectures) if several else (ALL,):
            groups += _groups(state, architecture)
        for architecture in (ALL, BETWEEN, *architectures) if several else (ALL,):
            for sets in compared_sets(names, state.charge_state, n_states):
                if (found := compare(state, sets, architecture)) is not None:
                    comparisons.append(found)
    return ModelSpread(
        z=models[0].profiles.coarse_z[:n_bins],
        groups=tuple(groups),
        comparisons=_corrected(comparisons),
        deviations=tuple(deviations),
        excluded=excluded,
        settings=settings,
    )


def _states(models: Sequence[ModelProfile], n_bins: int, settings: SpreadSettings) -> list[StateRuns]:
    """Return each observable at each charge state at which a run of a model counts."""
    candidates = [item for item in models if not item.tag.is_reference]
    width, found = models[0].profiles.settings.coarse_bin_width, []
    for label in sorted({item.tag.charge_state for item in candidates if not item.why_excluded}):
        here = [item for item in candidates if item.tag.charge_state == label]
        counting = [item for item in here if not item.why_excluded]
        left = tuple(item.tag for item in here if item.why_excluded)
        references = [item for item in models if item.tag.is_reference and item.tag.charge_state == label]
        references = [item for item in references if not item.why_excluded]
        for observable in OBSERVABLES:
            measure = Measure(width, settings.confidence, *reference_runs(references, observable, n_bins))
            runs = runs_of(counting, observable, n_bins)
            found.append(StateRuns(label, observable, runs, left, measure))
    return found


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


def _deviations(state: StateRuns) -> list[ModelDeviation]:
    """Return the deviation of each model from the reference."""
    result, reference = [], state.measure.reference
    for place, item in enumerate(state.runs.models):
        one = state.runs.of(np.arange(len(state.runs)) == place)
        bins = np.isfinite(one.values[0]) & np.isfinite(one.errors[0])
        if reference is not None:
            bins &= np.isfinite(reference.mean) & np.isfinite(reference.error)
            bins &= (one.values[0] != 0.0) | (reference.mean != 0.0)
        group = state.group(item.tag.training_set, item.tag.architecture, one, bins)
        result.append(ModelDeviation(item.tag, state.observable, group.deviation_rms, group.deviation_noise_rms))
    return result


def _groups(state: StateRuns, architecture: str) -> list[GroupSpread]:
    """Return the spread of each training set, each in its own bins."""
    found = []
    for training_set in sorted({item.tag.training_set for item in state.runs.models}):
        runs = state.of(training_set, architecture)
        if len(runs):
            found.append(state.group(training_set, architecture, runs, runs.comparable))
    return found


def _corrected(comparisons: Sequence[SpreadComparison]) -> tuple[SpreadComparison, ...]:
    """Return the comparisons with p values corrected within each family: seeds of all, architectures, each alone."""
    families: dict[tuple[str, str], list[int]] = {}
    for index, item in enumerate(comparisons):
        kind = item.architecture if item.architecture in (ALL, BETWEEN) else 'alone'
        families.setdefault((kind, item.equal.value), []).append(index)
    result = list(comparisons)
    for members in families.values():
        for index, value in zip(members, holm_adjusted([comparisons[index].ratio.p_value for index in members])):
            result[index] = dataclasses.replace(comparisons[index], adjusted_p=value)
    return tuple(result)
