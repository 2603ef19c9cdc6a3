"""Drift of an energy that should be conserved: slope of a straight line, with an error that knows of correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiida_edl.science.frames import Floats
from aiida_edl.science.uncertainty import integrated_correlation_time
from aiida_edl.science.units import FEMTOSECONDS_PER_PICOSECOND

MILLI = 1000.0
"""meV per eV."""


@dataclass(frozen=True)
class EnergyDrift:
    """Drift and fluctuation of an energy per atom."""

    drift: float
    """Slope [meV/(atom ps)]."""
    error: float
    """Standard error of the slope [meV/(atom ps)]."""
    fluctuation: float
    """Root mean square deviation from the line [meV/atom]."""


def energy_drift(times: Floats, energies: Floats, n_atoms: int) -> EnergyDrift:
    r"""Return slope and fluctuation of an energy per atom.

    The variance of the slope of independent samples, :math:`s^2 / \sum (t - \bar t)^2`, is multiplied by twice the
    correlation time of the deviations from the line.

    :param times: times [fs], shape ``(n_samples,)``, at least 4 that differ.
    :param energies: energies [eV], shape ``(n_samples,)``.
    :param n_atoms: atoms that move.
    """
    # Subtracted first: slopes of meV in total energies of 10^5 eV.
    values = (energies - energies[0]) * MILLI / n_atoms
    elapsed = (times - times.mean()) / FEMTOSECONDS_PER_PICOSECOND
    slope = float(elapsed @ values / (elapsed @ elapsed))
    residuals = values - values.mean() - slope * elapsed
    variance = float(residuals @ residuals) / (len(values) - 2)
    factor = 2.0 * float(integrated_correlation_time(residuals))
    return EnergyDrift(slope, float(np.sqrt(factor * variance / (elapsed @ elapsed))), float(np.sqrt(variance)))
