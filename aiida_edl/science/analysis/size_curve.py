"""Errors of potentials against the size of their training set, with the spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aiida_edl.science.analysis.atom_groups import Integers
from aiida_edl.science.frames import Floats


@dataclass(frozen=True)
class SizeError:
    """Errors of one potential."""

    size: int
    """Frames of its training set."""
    energy_rmse: float
    """RMSE of the energy per atom [eV/atom]."""
    force_rmse: float
    """RMSE of force components [eV/Å]."""


@dataclass(frozen=True)
class SizeCurve:
    """Means over seeds for each size, ordered by size; every array has shape ``(n_sizes,)``."""

    size: Integers
    """Frames of the training set."""
    n_models: Integers
    """Potentials of that size."""
    energy_rmse: Floats
    """Mean RMSE of the energy per atom [eV/atom]."""
    energy_rmse_error: Floats
    """Standard error of that mean, from the unbiased variance over seeds [eV/atom]; NaN for one potential."""
    force_rmse: Floats
    """Mean RMSE of force components [eV/Å]."""
    force_rmse_error: Floats
    """Standard error of that mean [eV/Å]; NaN for one potential."""


def size_curve(errors: Sequence[SizeError]) -> SizeCurve:
    """Return the mean errors for each size of the training set, with standard errors over seeds.

    :param errors: errors of each potential on the same test frames.
    :raises ValueError: if there are none.
    """
    if not errors:
        raise ValueError('no errors are given, a curve needs those of at least one potential')
    sizes = sorted({entry.size for entry in errors})
    rows = []
    for size in sizes:
        of_size = [entry for entry in errors if entry.size == size]
        values = np.array([(entry.energy_rmse, entry.force_rmse) for entry in of_size])
        n = len(of_size)
        spread = values.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(2, np.nan)
        rows.append((n, *values.mean(axis=0), *spread))
    n_models, energy, force, energy_error, force_error = np.array(rows).T
    return SizeCurve(np.array(sizes), n_models.astype(np.int64), energy, energy_error, force, force_error)
