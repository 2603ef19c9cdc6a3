r"""Diffusion coefficients of the mobile atoms of a trajectory, with errors, or a sentence that says why there are none.

With r_i the way of mobile atom i in the frame of the reference, and N of them in d dimensions,

.. math:: M(t) = \frac1N \sum_i \langle |\mathbf r_i(t)|^2 \rangle = c + 2 d\, D\, t, \qquad
          M_\mathrm{c}(t) = \frac1N \Big\langle \Big| \sum_i \mathbf r_i(t) \Big|^2 \Big\rangle
          = c' + 2 d\, D_\mathrm{c}\, t

give the tracer coefficient D and that of the charge, from the slope in one window
(:mod:`~aiida_edl.science.analysis.diffusive_window`). Errors follow from time origins and replicas
(:mod:`~aiida_edl.science.analysis.displacement_statistics`). Atoms do not count as independent: one migrating defect
moves them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from aiida_edl.science.analysis.diffusion_coefficients import (
    coefficient,
    conductivity_factor,
    error_of_walkers,
    errors_at,
    haven_ratio,
    missing_coefficient,
    octave_lags,
    size_correction,
    spaced_lags,
)
from aiida_edl.science.analysis.diffusion_settings import DiffusionSettings
from aiida_edl.science.analysis.diffusive_window import RATIO, Window, chosen_window, growth_of
from aiida_edl.science.analysis.effective_hops import hop_distance, too_few_hops
from aiida_edl.science.analysis.mean_square_displacement import Motion
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.result_parts import StoredResult
from aiida_edl.science.analysis.slope_fit import SlopeFit
from aiida_edl.science.analysis.trajectory_parts import checked_interval, replica_ranges
from aiida_edl.science.analysis.unwrapped_paths import MobileAtoms, mobile_atoms, unwrapped_paths
from aiida_edl.science.frames import Floats, Frame, FrameSet

__all__ = ['Diffusion', 'DiffusionSettings', 'diffusion']

MINIMUM_LONGEST_LAG = 8
"""Frames that the longest lag needs, so that an exponent is known at two lags."""
LAGS_PER_OCTAVE = 2
"""Lags per factor of two at which the exponent is taken."""


@dataclass(frozen=True)
class Diffusion(StoredResult):
    """Mean square displacements and what follows; every ``*_error`` is one standard error, NaN where it is not known.

    Without a diffusive regime, or with too few hops, all coefficients are NaN and ``reasons`` say why; the mean square
    displacements are always there.
    """

    stored_subject: ClassVar[str] = 'diffusion needs'
    settings_type: ClassVar[type[DiffusionSettings]] = DiffusionSettings

    lag_time: Floats
    """Lags [fs], spaced by equal ratios, shape ``(n_lags,)``."""
    msd: Floats
    """Mean square displacement of a mobile atom along the axes [Å²], shape ``(n_lags,)``."""
    msd_error: Floats
    charge_msd: Floats
    """Mean square of the sum of all displacements per mobile atom [Å²], shape ``(n_lags,)``."""
    charge_msd_error: Floats
    exponent_time: Floats
    """Lags [fs] from which the exponents reach to four times the lag, shape ``(n_exponents,)``."""
    exponent: Floats
    """Exponent of the growth of the MSD beyond a constant, 1 where atoms diffuse, shape ``(n_exponents,)``; NaN where
    the MSD does not grow beyond its error."""
    exponent_error: Floats
    replica_tracer_diffusion: Floats
    """Tracer coefficient of each replica [Å²/fs], shape ``(n_replicas,)``."""
    replica_charge_diffusion: Floats
    """Charge coefficient of each replica [Å²/fs], shape ``(n_replicas,)``."""
    window_start: float
    """First lag of the fit [fs]; NaN without a window."""
    window_stop: float
    """Last lag of the fit [fs]; NaN without a window."""
    window_exponent: float
    """Exponent of the growth over the window."""
    window_exponent_error: float
    tracer_diffusion: float
    """Tracer diffusion coefficient of a mobile atom [Å²/fs]; 0.1 cm²/s each."""
    tracer_diffusion_error: float
    tracer_degrees_of_freedom: float
    """Of that error."""
    tracer_error_source: str
    """``'scatter of replicas'`` or ``'time origins'``, whichever is larger."""
    tracer_error_of_walkers: float
    """Error that independent Brownian walkers would have [Å²/fs]: far below the error where atoms move together."""
    charge_diffusion: float
    """Diffusion coefficient of the charge, from the sum of all displacements [Å²/fs]."""
    charge_diffusion_error: float
    charge_degrees_of_freedom: float
    """Of that error."""
    charge_error_source: str
    """As ``tracer_error_source``."""
    haven_ratio: float
    """Tracer over charge coefficient."""
    haven_ratio_error: float
    carrier_diffusion: float
    """Tracer coefficient times mobile atoms per carrier [Å²/fs]; NaN if carriers are not known."""
    carrier_diffusion_error: float
    corrected_diffusion: float
    """Tracer coefficient in an infinite liquid [Å²/fs]; NaN without a viscosity."""
    corrected_diffusion_error: float
    conductivity_siemens_per_cm: float
    """Conductivity by the charge coefficient [S/cm]; NaN without a temperature."""
    conductivity_siemens_per_cm_error: float
    effective_hops: float
    """Hops that would give the growth of the MSD, over all atoms and replicas."""
    hop_length: float
    """Length of a hop [Å]."""
    temperature: float
    """Temperature [K]; NaN if not known."""
    volume: float
    """Mean volume of the cell [Å³]."""
    n_mobile: int
    """Mobile atoms."""
    n_frames: int
    """Analysed frames."""
    n_replicas: int
    """Independent trajectories."""
    frame_interval: float
    """Time between frames [fs]."""
    drift_reference: tuple[str, ...]
    """Elements whose centre of mass is at rest; none if nothing was removed."""
    is_determined: bool
    """Whether there are coefficients."""
    reasons: tuple[str, ...]
    """Sentences why there are none."""
    settings: DiffusionSettings
    """What was analysed."""


def diffusion(frames: FrameSet, settings: DiffusionSettings | None = None) -> Diffusion:
    """Return the diffusion of the mobile atoms of a trajectory.

    :param frames: frames of one composition at equal intervals, with the column ``time`` [fs]; replicas end to end.
    :param settings: what diffuses, the window and its rule; None for the defaults.
    :raises NotAnalysableError: if frames are not at equal intervals, compositions differ, the mobile element does not
        occur, a replica is too short, or an atom moves too far between two frames.
    """
    settings = settings or DiffusionSettings()
    replicas = replica_ranges(frames, settings)
    interval = checked_interval(frames, replicas)
    shortest = min(stop - start for start, stop in replicas)
    longest = int(settings.longest_share * shortest)
    if longest < MINIMUM_LONGEST_LAG:
        raise NotAnalysableError(
            f'a replica of {shortest} frames has lags of {longest} frames at most (longest_share = '
            f'{settings.longest_share:g}); diffusion needs at least {MINIMUM_LONGEST_LAG}'
        )
    atoms = mobile_atoms(frames, settings.mobile, settings.drift_reference)
    paths = [unwrapped_paths(frames, start, stop, atoms)[:, :, settings.columns] for start, stop in replicas]
    root = np.sqrt(atoms.mobile.size)
    tracer = Motion.of([path.reshape(len(path), -1) / root for path in paths], longest + 1)
    charge = Motion.of([path.sum(axis=1) / root for path in paths], longest + 1)
    del paths
    grid = octave_lags(longest // RATIO**2, LAGS_PER_OCTAVE)
    growths = [growth_of(tracer, (lag, RATIO * lag, RATIO**2 * lag)) for lag in grid]
    window = chosen_window(tracer, grid, growths, interval, settings)
    lags = spaced_lags(longest, settings.n_lags)
    cell = np.average([frames.cells[start:stop].mean(axis=0) for start, stop in replicas], axis=0)
    return Diffusion(
        lag_time=interval * np.array(lags, dtype=np.float64),
        msd=tracer.curve[lags],
        msd_error=errors_at(tracer, lags),
        charge_msd=charge.curve[lags],
        charge_msd_error=errors_at(charge, lags),
        exponent_time=interval * np.array(grid, dtype=np.float64),
        exponent=np.array([growth.exponent for growth in growths]),
        exponent_error=np.array([growth.error for growth in growths]),
        window_start=interval * window.start if window.stop else np.nan,
        window_stop=interval * window.stop if window.stop else np.nan,
        window_exponent=window.growth.exponent,
        window_exponent_error=window.growth.error,
        **_coefficients(
            tracer,
            charge,
            window,
            first=frames.frame(replicas[0][0]),
            atoms=atoms,
            cell=cell,
            interval=interval,
            settings=settings,
        ),
        temperature=settings.temperature or np.nan,
        volume=float(abs(np.linalg.det(cell))),
        n_mobile=atoms.mobile.size,
        n_frames=int(tracer.lengths.sum()),
        n_replicas=len(replicas),
        frame_interval=interval,
        drift_reference=atoms.reference_symbols,
        settings=settings,
    )


def _coefficients(
    tracer: Motion,
    charge: Motion,
    window: Window,
    *,
    first: Frame,
    atoms: MobileAtoms,
    cell: Floats,
    interval: float,
    settings: DiffusionSettings,
) -> dict[str, Any]:
    """Return all coefficients, hops and reasons, by field name."""
    n_mobile, n_axes, n_frames = atoms.mobile.size, len(settings.axes), int(tracer.lengths.sum())
    hop_length = hop_distance(first, atoms.mobile, settings)
    correction = size_correction(cell, settings)
    per_frame = 2.0 * n_axes * interval
    longest = len(tracer.curve) - 1
    start, stop = (longest // 2, longest) if window.reason else (window.start, window.stop)
    fit = SlopeFit.of(tracer.curve, start, stop)
    slope = float(fit.slopes(tracer.curve))
    hops = max(0.0, slope) * n_mobile * n_frames / hop_length**2
    reasons = [too_few_hops(hops, hop_length, n_frames * interval, settings), window.reason]
    reasons = [reason for reason in reasons if reason]
    mean = collective = missing_coefficient(len(tracer.replicas))
    haven, of_walkers = (np.nan, np.nan), np.nan
    if not reasons:
        mean, collective = (coefficient(motion, fit, per_frame) for motion in (tracer, charge))
        haven = haven_ratio(tracer, charge, fit)
        of_walkers = error_of_walkers(mean.value, fit, n_mobile, n_axes, n_frames)
    per_carrier = n_mobile / settings.n_carriers if settings.n_carriers else np.nan
    conductivity = conductivity_factor(n_mobile, float(abs(np.linalg.det(cell))), settings)
    return {
        'replica_tracer_diffusion': mean.replicas,
        'replica_charge_diffusion': collective.replicas,
        'tracer_diffusion': mean.value,
        'tracer_diffusion_error': mean.error,
        'tracer_degrees_of_freedom': mean.degrees_of_freedom,
        'tracer_error_source': mean.source,
        'tracer_error_of_walkers': of_walkers,
        'charge_diffusion': collective.value,
        'charge_diffusion_error': collective.error,
        'charge_degrees_of_freedom': collective.degrees_of_freedom,
        'charge_error_source': collective.source,
        'haven_ratio': haven[0],
        'haven_ratio_error': haven[1],
        'carrier_diffusion': mean.value * per_carrier,
        'carrier_diffusion_error': mean.error * per_carrier,
        'corrected_diffusion': mean.value + correction,
        'corrected_diffusion_error': mean.error if np.isfinite(correction) else np.nan,
        'conductivity_siemens_per_cm': collective.value * conductivity,
        'conductivity_siemens_per_cm_error': collective.error * conductivity,
        'effective_hops': hops,
        'hop_length': hop_length,
        'is_determined': not reasons,
        'reasons': tuple(reasons),
    }
