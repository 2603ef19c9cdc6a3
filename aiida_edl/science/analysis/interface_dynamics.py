r"""Dynamics of water at an interface: how long it stays in a layer, how it turns, and how the whole of it is polarised.

Functions are those of :mod:`~aiida_edl.science.analysis.layer_correlation`, times those of
:mod:`~aiida_edl.science.analysis.correlation_times`, the total dipole that of
:mod:`~aiida_edl.science.analysis.solvent_dipole`. The intermittent survival does not decay to zero but to the share p
of the waters that the layer holds, as they come back; its times are those of :math:`(C - p)/(1 - p)`, which is 1 at the
lag 0 and decays to 0. The other functions decay to zero by themselves.

Errors are those of leaving out groups of waters in turn, for molecules are nearly independent of each other; of several
replicas, each is left out too, and the larger error is taken. A water that dissociates is not known in that frame: it
neither stays nor leaves, and is counted.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from aiida_edl.science.analysis.dynamics_settings import DynamicsSettings
from aiida_edl.science.analysis.layer_dynamics import LayerSums, layer_values
from aiida_edl.science.analysis.result_parts import StoredResult
from aiida_edl.science.analysis.solvent_dipole import (
    DipoleSeries,
    dipole_memory,
    fluctuation,
    vacuum_permittivity_ratio,
)
from aiida_edl.science.analysis.trajectory_parts import checked_interval, replica_ranges, trajectory_parts
from aiida_edl.science.analysis.water_paths import water_paths
from aiida_edl.science.frames import Floats, FrameSet

__all__ = ['DynamicsSettings', 'InterfaceDynamics', 'interface_dynamics']


@dataclass(frozen=True)
class InterfaceDynamics(StoredResult):
    """Correlation functions by layer; every ``*_error`` is one standard error, NaN where the run does not tell.

    Rows are the layers between successive ``layer_bounds``, and a last one of all water, for which survival has no
    meaning but that of a water that stays one. A time is NaN where its function does not fall to 1/e within the lags.
    """

    stored_subject: ClassVar[str] = 'the dynamics of an interface need'
    settings_type: ClassVar[type[DynamicsSettings]] = DynamicsSettings

    lag_time: Floats
    """Lags [fs], shape ``(n_lags,)``."""
    layer_lower: Floats
    """Lower bound of each row [Å], shape ``(n_rows,)``; minus infinity for all water."""
    layer_upper: Floats
    """Upper bound of each row [Å], shape ``(n_rows,)``; infinite for all water."""
    water_count: Floats
    """Mean number of waters in each row, per surface, shape ``(n_rows,)``."""
    occupancy: Floats
    """Share of the waters that each row holds, to which the intermittent survival decays, shape ``(n_rows,)``."""
    intermittent_survival: Floats
    """Probability to be in the layer again, shape ``(n_rows, n_lags)``."""
    intermittent_survival_error: Floats
    continuous_survival: Floats
    """Probability to have stayed in the layer, shape ``(n_rows, n_lags)``."""
    continuous_survival_error: Floats
    reorientation_1: Floats
    """⟨P_1(u(0)·u(t))⟩ of the dipoles of waters that stayed, shape ``(n_rows, n_lags)``."""
    reorientation_1_error: Floats
    reorientation_2: Floats
    """⟨P_2(u(0)·u(t))⟩ of the same, shape ``(n_rows, n_lags)``."""
    reorientation_2_error: Floats
    intermittent_survival_integral: Floats
    """Residence time by integral [fs], shape ``(n_rows,)``; the same for the other functions."""
    intermittent_survival_integral_error: Floats
    intermittent_survival_e_folding: Floats
    """Residence time by 1/e [fs], shape ``(n_rows,)``; the same for the other functions."""
    intermittent_survival_e_folding_error: Floats
    continuous_survival_integral: Floats
    continuous_survival_integral_error: Floats
    continuous_survival_e_folding: Floats
    continuous_survival_e_folding_error: Floats
    reorientation_1_integral: Floats
    reorientation_1_integral_error: Floats
    reorientation_1_e_folding: Floats
    reorientation_1_e_folding_error: Floats
    reorientation_2_integral: Floats
    reorientation_2_integral_error: Floats
    reorientation_2_e_folding: Floats
    reorientation_2_e_folding_error: Floats
    dipole_normal_autocorrelation: Floats
    """Autocorrelation of the total solvent dipole along the normal, shape ``(n_lags,)``."""
    dipole_normal_autocorrelation_error: Floats
    dipole_lateral_autocorrelation: Floats
    """The same along the surface, mean of both directions, shape ``(n_lags,)``."""
    dipole_lateral_autocorrelation_error: Floats
    dipole_normal_integral: float
    """Relaxation time of the total dipole along the normal by integral [fs]."""
    dipole_normal_integral_error: float
    dipole_normal_e_folding: float
    """The same by 1/e [fs]."""
    dipole_normal_e_folding_error: float
    dipole_lateral_integral: float
    dipole_lateral_integral_error: float
    dipole_lateral_e_folding: float
    dipole_lateral_e_folding_error: float
    dipole_normal_mean: float
    """Mean total solvent dipole along +z [e Å]."""
    dipole_normal_variance: float
    """⟨δM_z²⟩ of the total solvent dipole [(e Å)²]: compare it with that of the reference."""
    dipole_normal_variance_error: float
    dipole_normal_correlation_factor: float
    """3⟨δM_z²⟩/(N μ²), 1 for independent isotropic waters."""
    dipole_normal_correlation_factor_error: float
    dipole_normal_response: float
    """⟨δM_z²⟩/(ε0 V kT) with the stated volume per water; NaN without a temperature."""
    dipole_normal_response_error: float
    irregular_oxygen_fraction: float
    """Share of oxygen that is not a water, left out frame by frame."""
    n_left_out: int
    """Oxygen left out for that, summed over frames."""
    n_water: int
    """Oxygen atoms."""
    n_surfaces: int
    """Wet surfaces."""
    n_frames: int
    """Analysed frames."""
    n_replicas: int
    """Independent trajectories."""
    frame_interval: float
    """Time between frames [fs]."""
    settings: DynamicsSettings
    """What was analysed."""


def interface_dynamics(frames: FrameSet, settings: DynamicsSettings | None = None) -> InterfaceDynamics:
    """Return residence, reorientation and polarisation of the water of a trajectory.

    :param frames: frames of one composition at equal intervals, with the column ``time`` [fs]; replicas end to end.
    :param settings: layers, lags, charges; None for the defaults.
    :raises NotAnalysableError: if frames are not at equal intervals, compositions differ, no wet metal surface is
        found, or a replica is too short.
    """
    settings = settings or DynamicsSettings()
    replicas = replica_ranges(frames, settings)
    interval = checked_interval(frames, replicas)
    shortest = min(stop - start for start, stop in replicas)
    n_lags = shortest // 2 + 1
    if settings.maximum_lag_time:
        n_lags = min(shortest, int(settings.maximum_lag_time / interval) + 1)
    parts, _ = trajectory_parts(frames, replicas, settings, ion=None)
    n_water = parts[0].groups.oxygen.size
    bounds = np.array([*zip(settings.layer_bounds[:-1], settings.layer_bounds[1:]), (-np.inf, np.inf)])
    sums = LayerSums.empty(len(replicas), min(settings.n_groups, n_water), bounds, n_lags)
    starts = [start for start, _ in replicas]
    series: list[list[DipoleSeries]] = [[] for _ in replicas]
    n_left_out = 0
    for part in parts:
        replica = int(np.searchsorted(starts, part.start, side='right')) - 1
        paths = water_paths(frames, part, settings.hydrogen_charge)
        sums.add(replica, paths)
        series[replica].append(paths.dipoles)
        n_left_out += int(np.sum(~paths.is_water))
    n_frames = sum(stop - start for start, stop in replicas)
    lag_time = np.asarray(interval * np.arange(n_lags), dtype=np.float64)
    n_surfaces = len(parts[0].surfaces)
    return InterfaceDynamics(
        lag_time=lag_time,
        layer_lower=bounds[:, 0],
        layer_upper=bounds[:, 1],
        **layer_values(sums, lag_time, n_frames * n_surfaces),
        **_dipoles([_joined(items) for items in series], lag_time, settings),
        irregular_oxygen_fraction=n_left_out / (n_frames * n_water),
        n_left_out=n_left_out,
        n_water=n_water,
        n_surfaces=n_surfaces,
        n_frames=n_frames,
        n_replicas=len(replicas),
        frame_interval=interval,
        settings=settings,
    )


def _joined(items: list[DipoleSeries]) -> DipoleSeries:
    """Return the series of the parts of one replica end to end."""
    names = [field.name for field in dataclasses.fields(DipoleSeries)]
    return DipoleSeries(*(np.concatenate([getattr(item, name) for item in items]) for name in names))


def _dipoles(series: list[DipoleSeries], lag_time: Floats, settings: DynamicsSettings) -> dict[str, Any]:
    """Return what the total dipole tells, by field name."""
    values: dict[str, Any] = {}
    for name, columns in (('normal', slice(2, 3)), ('lateral', slice(0, 2))):
        memory = dipole_memory([item.total[:, columns] for item in series], lag_time)
        values |= {
            f'dipole_{name}_autocorrelation': memory.values,
            f'dipole_{name}_autocorrelation_error': memory.error,
            f'dipole_{name}_integral': memory.integral[0],
            f'dipole_{name}_integral_error': memory.integral[1],
            f'dipole_{name}_e_folding': memory.e_folding[0],
            f'dipole_{name}_e_folding_error': memory.e_folding[1],
        }
    normal = [item.total[:, 2] for item in series]
    variance = fluctuation(normal)
    square = float(np.concatenate([item.square for item in series]).mean())
    n_water = float(np.concatenate([item.n_water for item in series]).mean())
    response = vacuum_permittivity_ratio(1.0, n_water * settings.volume_per_water, settings.temperature)
    factors = {'variance': 1.0, 'correlation_factor': 3.0 / square if square else np.nan, 'response': response}
    for name, factor in factors.items():
        values[f'dipole_normal_{name}'] = float(variance.mean) * factor
        values[f'dipole_normal_{name}_error'] = float(variance.error) * factor
    return values | {'dipole_normal_mean': float(np.concatenate(normal).mean())}
