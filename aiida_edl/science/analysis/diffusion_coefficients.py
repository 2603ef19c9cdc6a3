r"""Slopes of mean square displacements in a window, and the coefficients that follow from them.

The slope is that of :mod:`~aiida_edl.science.analysis.slope_fit`; the same weights serve atoms and their sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aiida_edl.science.analysis.diffusion_settings import DiffusionSettings
from aiida_edl.science.analysis.displacement_statistics import mean_of_series, origin_series
from aiida_edl.science.analysis.mean_square_displacement import Motion
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.slope_fit import SlopeFit
from aiida_edl.science.frames import Floats
from aiida_edl.science.units import BOLTZMANN, PASCAL_SECOND, SIEMENS_PER_CENTIMETRE

CUBIC_CELL_FACTOR = 2.837297
"""ξ of the correction for the size of a cubic cell, I.-C. Yeh, G. Hummer, J. Phys. Chem. B 108, 15873 (2004)."""
CUBIC_TOLERANCE = 1e-3
"""Relative deviation from a cube that is taken for rounding."""


@dataclass(frozen=True)
class Coefficient:
    """A diffusion coefficient with its error; NaN where it is not determined."""

    value: float
    """[Å²/fs]"""
    error: float
    """Standard error [Å²/fs]."""
    degrees_of_freedom: float
    """Of the error."""
    source: str
    """What the error follows from; empty without one."""
    replicas: Floats
    """That of each replica [Å²/fs], shape ``(n_replicas,)``."""


def missing_coefficient(n_replicas: int) -> Coefficient:
    """Return a coefficient that is not determined.

    :param n_replicas: number of replicas.
    """
    return Coefficient(np.nan, np.nan, np.nan, '', np.full(n_replicas, np.nan))


def coefficient(motion: Motion, fit: SlopeFit, per_frame: float) -> Coefficient:
    """Return the diffusion coefficient of a motion.

    :param motion: displacements.
    :param fit: lags of the window and their weights.
    :param per_frame: 2 d Δt, what the slope per frame is divided by [fs].
    """
    slopes = fit.slopes(motion.curves)
    found = mean_of_series(origin_series(motion.replicas, fit.by_lag()), slopes)
    values = slopes / per_frame
    return Coefficient(
        value=float(np.average(values, weights=motion.lengths)),
        error=found.error / per_frame,
        degrees_of_freedom=found.degrees_of_freedom,
        source=found.source,
        replicas=values,
    )


def error_of_walkers(value: float, fit: SlopeFit, n_mobile: int, n_axes: int, n_frames: int) -> float:
    """Return the standard error that a coefficient of independent Brownian walkers would have, in its unit.

    :param value: the coefficient.
    :param fit: lags of the window and their weights.
    :param n_mobile: walkers.
    :param n_axes: dimensions.
    :param n_frames: frames of all replicas.
    """
    return abs(value) * float(np.sqrt(2.0 * fit.walker_variance / (n_axes * n_mobile * n_frames)))


def haven_ratio(tracer: Motion, charge: Motion, fit: SlopeFit) -> tuple[float, float]:
    """Return the ratio of tracer and charge coefficient, and its error from their common series.

    :param tracer: displacements of the atoms.
    :param charge: displacements of their sum.
    :param fit: lags of the window and their weights.
    """
    slopes = [float(fit.slopes(motion.curve)) for motion in (tracer, charge)]
    if slopes[1] <= 0.0:
        return float('nan'), float('nan')
    both = [origin_series(motion.replicas, fit.by_lag()) for motion in (tracer, charge)]
    relative = [first / slopes[0] - second / slopes[1] for first, second in zip(*both)]
    ratio = slopes[0] / slopes[1]
    return ratio, abs(ratio) * mean_of_series(relative).error


def conductivity_factor(n_mobile: int, volume: float, settings: DiffusionSettings) -> float:
    r"""Return what a charge coefficient [Å²/fs] is multiplied by for a conductivity [S/cm]: :math:`N q^2/(V k T)`.

    :param n_mobile: mobile atoms N.
    :param volume: volume of the cell V [Å³].
    :param settings: charge q and temperature T; NaN without one.
    """
    if not settings.temperature:
        return float('nan')
    density = n_mobile * settings.charge**2 / volume
    return density / (BOLTZMANN * settings.temperature) / SIEMENS_PER_CENTIMETRE


def size_correction(cell: Floats, settings: DiffusionSettings) -> float:
    r"""Return what a liquid lacks in a cubic cell with edge L [Å²/fs]: :math:`\xi k T/(6 \pi \eta L)`; NaN without η.

    It is the drag of the periodic images through the liquid between them. A solid has no such flow: its D is not
    corrected. Source: I.-C. Yeh, G. Hummer, J. Phys. Chem. B 108, 15873 (2004), equation 12.

    :param cell: mean cell [Å], shape ``(3, 3)``.
    :param settings: viscosity η and temperature.
    :raises NotAnalysableError: if the temperature is not known or the cell is no cube.
    """
    if not settings.viscosity_pascal_second:
        return float('nan')
    if not settings.temperature:
        raise NotAnalysableError(
            "the correction for the size of the cell needs the setting 'temperature' [K] beside the viscosity"
        )
    edge = float(np.linalg.norm(cell, axis=1).mean())
    if not np.allclose(cell @ cell.T, edge**2 * np.eye(3), atol=CUBIC_TOLERANCE * edge**2):
        lengths = ', '.join(f'{length:.4g}' for length in np.linalg.norm(cell, axis=1))
        raise NotAnalysableError(
            f'the correction for the size of the cell holds for cubes, the cell has edges of {lengths} Å; leave '
            "'viscosity_pascal_second' at 0"
        )
    viscosity = settings.viscosity_pascal_second * PASCAL_SECOND
    return CUBIC_CELL_FACTOR * BOLTZMANN * settings.temperature / (6.0 * np.pi * viscosity * edge)


def octave_lags(longest: int, per_octave: int) -> list[int]:
    """Return lags [frames] from 1 to the longest, so many for each factor of two as there are whole numbers.

    :param longest: [frames].
    :param per_octave: lags per factor of two.

    >>> octave_lags(8, 2)
    [1, 2, 3, 4, 6, 8]
    """
    count = max(2, int(np.ceil(per_octave * np.log2(longest))) + 1)
    return spaced_lags(longest, count)


def spaced_lags(longest: int, count: int) -> list[int]:
    """Return up to ``count`` different lags [frames] from 1 to the longest, spaced by equal ratios.

    :param longest: [frames].
    :param count: how many.
    """
    return [int(lag) for lag in np.unique(np.geomspace(1, longest, count).round())]


def errors_at(motion: Motion, lags: Sequence[int]) -> Floats:
    """Return the standard error of the mean square displacement at lags [Å²].

    :param motion: displacements.
    :param lags: [frames].
    """
    found = [mean_of_series(origin_series(motion.replicas, {lag: 1.0}), motion.curves[:, lag]) for lag in lags]
    return np.array([item.error for item in found])
