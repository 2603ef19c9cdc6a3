r"""The profiles of many models at one charge state, side by side, and what is known of their noise.

The noise of a profile is the standard error that the finite length of its run leaves. It is known in two cases alone:

- a model was run at least twice, from different starts: the scatter between its runs tells it, whatever their length;
- each run holds at least :data:`MINIMUM_INDEPENDENT` independent samples by its own correlation time. From shorter runs
  the correlation time comes out too small, and the error with it: the squared error of a mean over one correlation time
  is estimated at a tenth of what it is.

Zero counts are data: where a run finds no atom, its density is nil, and as its error counts what one visit in one
independent sample would have given, one atom in the volume of the bin. ⟨cos θ⟩ does not exist without water.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis.interface_profiles import InterfaceProfiles
from aiida_edl.science.analysis.model_tags import ModelProfile
from aiida_edl.science.frames import Floats
from aiida_edl.science.uncertainty import Estimate, combine_replicas

OBSERVABLES = {'mean_cosine': '1', 'ion_number_density': '1/Å³', 'oxygen_number_density': '1/Å³'}
"""Profiles that are compared, with their units."""
DENSITIES = ('ion_number_density', 'oxygen_number_density')
"""Those that are numbers of atoms."""
MINIMUM_INDEPENDENT = 25.0
"""Independent samples of a run from which its error is trusted: as in the analysis ``convergence``."""


class NoiseSource(str, Enum):
    """From what the noise of the MD is known; the set is closed."""

    REPLICAS = 'replicas'
    """The scatter between the runs of each model."""
    CORRELATION = 'correlation'
    """The errors of single runs, which hold enough independent samples."""
    UNKNOWN = 'unknown'


@dataclass(frozen=True)
class Runs:
    """One observable of some models at one charge state, cut at the depth."""

    models: tuple[ModelProfile, ...]
    values: Floats
    """Shape ``(n_models, n_bins)``; NaN where a value does not exist."""
    errors: Floats
    """Errors of single runs, upper limits where nothing was counted; same shape."""
    replica_errors: Floats
    """Errors from the scatter between the runs of each model; NaN for a model that was run once."""
    n_independent: Floats
    """Independent samples of each model, shape ``(n_models,)``; NaN if not known."""

    def __len__(self) -> int:
        """Return the number of models."""
        return len(self.models)

    def of(self, chosen: NDArray[np.bool_]) -> Runs:
        """Return some of the models.

        :param chosen: shape ``(n_models,)``.
        """
        models = tuple(item for item, is_chosen in zip(self.models, chosen) if is_chosen)
        parts = (self.values, self.errors, self.replica_errors, self.n_independent)
        return Runs(models, *(part[chosen] for part in parts))

    @property
    def comparable(self) -> NDArray[np.bool_]:
        """Bins in which all models have a value and an error, and one of them has something, shape ``(n_bins,)``."""
        exists = np.all(np.isfinite(self.values) & np.isfinite(self.errors), axis=0)
        return np.asarray(exists & np.any(self.values != 0.0, axis=0))

    @property
    def noise_source(self) -> NoiseSource:
        """From what the noise of all these models is known."""
        if len(self) and np.isfinite(self.replica_errors).any(axis=1).all():
            return NoiseSource.REPLICAS
        if len(self) and np.all(self.n_independent >= MINIMUM_INDEPENDENT):
            return NoiseSource.CORRELATION
        return NoiseSource.UNKNOWN

    @property
    def noise_variances(self) -> Floats:
        """Squared errors of each model by the best source, known or not, shape ``(n_models, n_bins)``."""
        if self.noise_source is not NoiseSource.REPLICAS:
            return np.asarray(self.errors**2)
        # In a bin that one replica leaves without water, the error of the run stands for the scatter.
        return np.asarray(np.where(np.isfinite(self.replica_errors), self.replica_errors, self.errors) ** 2)

    @property
    def noise_degrees(self) -> float:
        """Degrees of freedom of the noise: runs less models if it comes from replicas, infinite otherwise."""
        if self.noise_source is not NoiseSource.REPLICAS:
            return float('inf')
        return float(sum(item.profiles.n_replicas - 1 for item in self.models))

    @property
    def lengths(self) -> Floats:
        """Length of the MD of each model, all its runs together [fs], shape ``(n_models,)``; NaN if unknown."""
        return np.array([item.profiles.n_frames * item.profiles.frame_interval for item in self.models])


def runs_of(models: Sequence[ModelProfile], observable: str, n_bins: int) -> Runs:
    """Return one observable of some models.

    :param models: profiles, made with the same settings.
    :param observable: key of :data:`OBSERVABLES`.
    :param n_bins: coarse bins that are compared.
    """
    rows = [_row(item.profiles, observable, n_bins) for item in models]
    shape = (len(models), n_bins)
    values, errors, replicas = (np.array([row[place] for row in rows]).reshape(shape) for place in range(3))
    return Runs(tuple(models), values, errors, replicas, np.array([row[3] for row in rows], dtype=np.float64))


def _row(profiles: InterfaceProfiles, observable: str, n_bins: int) -> tuple[Floats, Floats, Floats, float]:
    """Return values, errors, errors by replicas, and independent samples of one model."""
    name = f'coarse_{observable}'
    values, errors = (getattr(profiles, field)[:n_bins] for field in (name, f'{name}_error'))
    of_replicas, samples = (getattr(profiles, f'{name}{end}') for end in ('_of_replicas', '_n_effective'))
    counted = np.isfinite(values) & (values != 0.0) & np.isfinite(samples[:n_bins])
    n_independent = float(np.median(samples[:n_bins][counted])) if counted.any() else float('nan')
    if observable in DENSITIES:
        volume = profiles.area * profiles.settings.coarse_bin_width * max(profiles.n_surfaces, 1)
        worth = n_independent if np.isfinite(n_independent) else float(max(profiles.n_replicas, 1))
        limit = 1.0 / (worth * volume) if volume > 0.0 else float('nan')
        errors = np.where(np.isfinite(values) & ~np.isfinite(errors), limit, errors)
    scatter = np.full(n_bins, np.nan)
    if profiles.n_replicas > 1 and len(of_replicas) == profiles.n_replicas:
        scatter = of_replicas[:, :n_bins].std(axis=0, ddof=1) / np.sqrt(profiles.n_replicas)
    return values, errors, scatter, n_independent


def reference_runs(references: Sequence[ModelProfile], observable: str, n_bins: int) -> tuple[Estimate | None, bool]:
    """Return the mean over the runs of the reference, weighted by frames, and whether its error is known.

    :param references: profiles of the reference; may be empty.
    :param observable: key of :data:`OBSERVABLES`.
    :param n_bins: coarse bins that are compared.
    """
    if not references:
        return None, False
    runs = runs_of(references, observable, n_bins)
    estimates = [
        Estimate(
            mean=value,
            error=error,
            n_effective=np.where(np.isfinite(value), float(item.profiles.n_frames), 0.0),
            correlation_time=np.full_like(value, 0.5),
        )
        for item, value, error in zip(references, runs.values, np.sqrt(runs.noise_variances))
    ]
    is_known = len(references) > 1 or runs.noise_source is not NoiseSource.UNKNOWN
    return combine_replicas(estimates), is_known
