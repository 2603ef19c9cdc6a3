"""Is a run long enough, and how long would be: for the series behind each observable of an interface.

For each series: its correlation time with an error, the independent samples it holds, the drift between its halves in
standard errors, where equilibration should end, and by how much a run must be longer for a wanted error, as the error
falls with the root of the length. The statement is one of these, the first that holds:

- the series never changes, and nothing can be said;
- it holds too few independent samples for its error to be trusted, and must be so many times longer for that;
- it has not settled: its halves differ; how many frames to leave out is proposed;
- its error exceeds what is wanted, and it must be so many times longer;
- it is long enough.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis.convergence_settings import ConvergenceSettings
from aiida_edl.science.analysis.equilibration import (
    correlation_time_with_error,
    drift_between_halves,
    never_changes,
    settled,
)
from aiida_edl.science.analysis.interface_series import interface_series
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.result_parts import StoredResult
from aiida_edl.science.analysis.trajectory_parts import frame_interval, replica_ranges, trajectory_parts
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.uncertainty import MINIMUM_SAMPLES, combine_replicas, mean_with_error

__all__ = ['Convergence', 'ConvergenceSettings', 'convergence']

UNITS = {
    'first_layer_count': '',
    'first_layer_mean_cosine': '',
    'ion_height': 'Å',
    'solvent_dipole': 'e Å',
    'potential_step': 'V',
    'temperature': 'K',
    'potential_energy': 'eV',
}
"""Unit of each observable; ``''`` without one."""
THERMODYNAMIC = ('temperature', 'potential_energy')
"""Observables that the thermodynamic series of a run hold."""
ENOUGH = 'long enough'


@dataclass(frozen=True)
class Convergence(StoredResult):
    """One row for each observable; arrays have shape ``(n_observables,)``, NaN where nothing can be said."""

    stored_subject: ClassVar[str] = 'the convergence of a run needs'
    settings_type: ClassVar[type[ConvergenceSettings]] = ConvergenceSettings

    observables: tuple[str, ...]
    """Names of the rows."""
    units: tuple[str, ...]
    """Unit of each observable; ``''`` without one."""
    mean: Floats
    """Mean, in its unit."""
    error: Floats
    """Its standard error, in its unit."""
    target_error: Floats
    """Standard error that is wanted, in its unit."""
    correlation_time: Floats
    """Integrated correlation time [fs], mean over replicas; half a sampling interval if independent."""
    correlation_time_error: Floats
    """Its standard error [fs]."""
    n_independent: Floats
    """Independent samples of all replicas."""
    drift: Floats
    """Mean of the second half minus that of the first, in standard errors of the difference."""
    equilibration_time: Floats
    """Time to leave out at the beginning of each replica, the longest that one of them asks for [fs]."""
    length_factor: Floats
    """By how much a run must be longer for the wanted error; at most 1 if it is not."""
    length: Floats
    """Time of all replicas together [fs]."""
    is_enough: NDArray[np.bool_]
    """Whether the run is long enough."""
    statements: tuple[str, ...]
    """In words, one sentence each."""
    not_assessed: tuple[str, ...]
    """Observables that the run does not hold, and why."""
    n_frames: int
    """Analysed frames."""
    n_replicas: int
    """Independent trajectories."""
    settings: ConvergenceSettings
    """What was wanted."""


def convergence(
    frames: FrameSet,
    settings: ConvergenceSettings | None = None,
    series: Mapping[str, NDArray[Any]] | None = None,
) -> Convergence:
    """Assess for each observable whether a run is long enough.

    :param frames: frames of one composition at equal intervals, with the column ``time`` [fs]; replicas end to end.
    :param settings: wanted errors and limits; None for the defaults.
    :param series: thermodynamic series of the run: ``time`` [fs], ``temperature`` [K], ``potential_energy`` [eV].
    :raises NotAnalysableError: without times, if no wet metal surface is found, or a replica is too short.
    """
    settings = settings or ConvergenceSettings()
    replicas = replica_ranges(frames, settings)
    if (shortest := min(stop - start for start, stop in replicas)) < 2 * MINIMUM_SAMPLES:
        raise NotAnalysableError(
            f'a replica has {shortest} frames; halves of a run need at least {2 * MINIMUM_SAMPLES} frames together'
        )
    interval = frame_interval(frames, replicas)
    if np.isnan(interval):
        raise NotAnalysableError("the frames carry no column 'time' [fs], without which they have no length")
    observed = _interface_observables(frames, replicas, settings)
    intervals = dict.fromkeys(observed, interval)
    thermodynamic, missing = _thermodynamic_observables(series, interval, settings)
    for name, (values, own_interval) in thermodynamic.items():
        observed[name], intervals[name] = values, own_interval
    rows = [_row(name, values, intervals[name], settings) for name, values in observed.items()]
    absent = [f'{name}: the frames do not hold it' for name in UNITS if name not in (*observed, *THERMODYNAMIC)]
    columns = {key: np.array([row[key] for row in rows]) for key in rows[0] if key != 'statement'}
    return Convergence(
        observables=tuple(observed),
        units=tuple(UNITS[name] for name in observed),
        **columns,
        statements=tuple(row['statement'] for row in rows),
        not_assessed=(*absent, *missing),
        n_frames=sum(stop - start for start, stop in replicas),
        n_replicas=len(replicas),
        settings=settings,
    )


def _interface_observables(
    frames: FrameSet, replicas: list[tuple[int, int]], settings: ConvergenceSettings
) -> dict[str, list[Floats]]:
    """Return the series of each replica by observable."""
    parts, _ = trajectory_parts(frames, replicas, settings, ion=None)
    of_part = [interface_series(frames, part, settings) for part in parts]
    starts = [start for start, _ in replicas]
    replica_of_part = [int(np.searchsorted(starts, part.start, side='right')) - 1 for part in parts]
    joined = {
        name: [
            np.concatenate([item[name] for item, owner in zip(of_part, replica_of_part) if owner == replica])
            for replica in range(len(replicas))
        ]
        for name in of_part[0]
    }
    counts, cosines = joined['first_layer_count'], joined.pop('first_layer_cosine_sum')
    total = sum(float(item.sum()) for item in counts)
    if total > 0.0:
        # A ratio of two sums: its residuals add up to the error of the ratio, frames without water included.
        ratio = sum(float(item.sum()) for item in cosines) / total
        mean = total / sum(len(item) for item in counts)
        joined['first_layer_mean_cosine'] = [ratio + (a - ratio * b) / mean for a, b in zip(cosines, counts)]
    return {name: joined[name] for name in UNITS if name in joined}


def _thermodynamic_observables(
    series: Mapping[str, NDArray[Any]] | None, frame_time: float, settings: ConvergenceSettings
) -> tuple[dict[str, tuple[list[Floats], float]], list[str]]:
    """Return the series of each replica with the time between samples [fs], by observable, and what is missing.

    ``frame_time`` is the time between frames [fs], in which equilibration is given.
    """
    if series is None:
        return {}, [f'{name}: no thermodynamic series was given' for name in THERMODYNAMIC]
    times = np.asarray(series['time'], dtype=np.float64)
    if len(times) < 2 * MINIMUM_SAMPLES:
        return {}, [f'{name}: the thermodynamic series hold {len(times)} samples' for name in THERMODYNAMIC]
    edges = [0, *(int(edge) for edge in np.flatnonzero(np.diff(times) < 0) + 1), len(times)]
    skip = round(settings.equilibration_frames * frame_time / float(np.median(np.diff(times))))
    ranges = [(start + skip, stop) for start, stop in itertools.pairwise(edges)]
    found, missing = {}, []
    for name in THERMODYNAMIC:
        values = np.asarray(series.get(name, np.zeros(0)), dtype=np.float64)
        if len(values) != len(times) or not np.isfinite(values).all():
            missing.append(f'{name}: the thermodynamic series do not hold it, or numbers that are not finite')
        elif min(stop - start for start, stop in ranges) < 2 * MINIMUM_SAMPLES:
            missing.append(f'{name}: the thermodynamic series hold fewer than {2 * MINIMUM_SAMPLES} samples')
        else:
            interval = float(np.median(np.diff(times)))
            found[name] = ([values[start:stop] for start, stop in ranges], interval)
    return found, missing


def _row(name: str, replicas: list[Floats], interval: float, settings: ConvergenceSettings) -> dict[str, Any]:
    """Return all numbers of one observable, and the statement."""
    target, n_samples = float(getattr(settings, name)), sum(len(values) for values in replicas)
    row: dict[str, Any] = dict.fromkeys(
        ('error', 'correlation_time', 'correlation_time_error', 'n_independent', 'drift', 'equilibration_time'), np.nan
    )
    joined = np.concatenate(replicas)
    row |= {'mean': float(joined.mean()), 'target_error': target, 'length': interval * n_samples}
    if any(never_changes(values) for values in replicas):
        statement = f'{name} never changes in one of the replicas: nothing can be said on its error'
        return {**row, 'length_factor': np.nan, 'is_enough': False, 'statement': statement}
    combined = combine_replicas([mean_with_error(values) for values in replicas])
    times = [correlation_time_with_error(values) for values in replicas]
    weights = np.array([len(values) for values in replicas]) / n_samples
    row |= {
        'mean': float(combined.mean),
        'error': float(combined.error),
        'correlation_time': interval * float(sum(w * time for w, (time, _) in zip(weights, times))),
        'correlation_time_error': interval * float(np.sqrt(sum((w * e) ** 2 for w, (_, e) in zip(weights, times)))),
        'n_independent': float(combined.n_effective),
        'drift': drift_between_halves(replicas),
        'equilibration_time': interval * max(settled(values).start for values in replicas),
    }
    factor = (row['error'] / target) ** 2
    is_known = row['n_independent'] >= settings.minimum_independent
    row['length_factor'] = factor if is_known else max(factor, settings.minimum_independent / row['n_independent'])
    row['is_enough'] = is_known and _has_settled(row, settings) and factor <= 1.0
    row['statement'] = _statement(name, row, settings)
    return row


def _has_settled(row: Mapping[str, Any], settings: ConvergenceSettings) -> bool:
    """Return whether the halves of a run agree within their errors."""
    return not abs(row['drift']) > settings.maximum_drift


def _statement(name: str, row: Mapping[str, Any], settings: ConvergenceSettings) -> str:
    """Return what the numbers of an observable say, in one sentence."""
    unit = f' {UNITS[name]}' if UNITS[name] else ''
    factor, count = row['length_factor'], row['n_independent']
    if count < settings.minimum_independent:
        return (
            f'{name}: {count:.1f} independent samples are too few to trust an error, '
            f'{settings.minimum_independent:g} are wanted; {factor:.1f} times longer needed'
        )
    if not _has_settled(row, settings):
        return (
            f'{name} has not settled: its halves differ by {abs(row["drift"]):.1f} standard errors; '
            f'leave out the first {row["equilibration_time"]:g} fs, or run longer'
        )
    achieved = f'{name} is known to {row["error"]:.2g}{unit}'
    if row['is_enough']:
        return f'{achieved}, wanted was {row["target_error"]:g}{unit}: {ENOUGH}'
    return f'{achieved}; {factor:.1f} times longer needed for {row["target_error"]:g}{unit}'
