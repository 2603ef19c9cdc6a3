"""The rule of exclusion at work: events of the frames of a run, findings on the run as a whole."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase.data import atomic_masses

from aiida_edl.science.analysis.atom_groups import equal_compositions
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.pair_ranges import PairDistances, outside_training, pair_distances
from aiida_edl.science.analysis.run_events import FrameRecords, frame_records, largest_forces, n_finite_frames
from aiida_edl.science.analysis.run_judgement import Criterion, Judgement
from aiida_edl.science.analysis.run_quality_settings import EXPLODED, RunQualitySettings
from aiida_edl.science.analysis.run_temperatures import (
    Heat,
    Series,
    heat_of_run,
    judge_elements,
    judge_energy,
    judge_temperature,
)
from aiida_edl.science.frames import Floats, FrameSet


def judge_run(
    frames: FrameSet, settings: RunQualitySettings, series: Series | None, training: FrameSet | None
) -> dict[str, Any]:
    """Return the fields of ``RunQuality`` but its settings.

    See :func:`~aiida_edl.science.analysis.run_quality.run_quality` for the parameters and what is raised.
    """
    times, judgement = _checked_times(frames), Judgement(settings)
    n_finite = n_finite_frames(frames)
    finite = frames if n_finite == len(frames) else frames.select(range(n_finite))
    heat = heat_of_run(finite, series, judgement)
    _judge_ends(times, n_finite, heat, judgement)
    records, pairs = None, None
    if n_finite:
        masses = np.asarray(atomic_masses[frames.frame(0).numbers], dtype=np.float64)
        records = frame_records(finite, masses, settings.maximum_bond_length, settings.evaporation_gap)
        pairs = pair_distances(finite, _reach(finite, settings), settings.pair_stride)
        _judge_frames(finite, times, records, pairs, judgement)
    judgement.reasons.sort(key=lambda reason: float(reason['time']))
    survival = float(judgement.reasons[0]['time']) if judgement.reasons else float(times[-1])
    is_censored = not judgement.reasons
    # A frame that shows an event says nothing on averages; the last one before an explosion does.
    last = np.nextafter(survival, -np.inf) if judgement.is_seen_in_a_frame else survival
    n_physical = int(np.sum(times[:n_finite] <= last))
    window = float(times[0]) + settings.equilibration_fraction * max(last - float(times[0]), 0.0), float(last)
    chosen = np.flatnonzero((times[:n_finite] >= window[0]) & (times[:n_finite] <= window[1]))
    values = judge_temperature(heat, window, judgement) | judge_elements(finite, chosen, judgement)
    values |= judge_energy(heat, window, 0 if records is None else records.is_mobile.size, judgement)
    values |= _drifts(records, n_physical, judgement)
    values |= _extrapolation(pairs, n_physical, training, judgement)
    shares = None if records is None else records.irregular_fraction
    return {
        **values,
        'is_physical': not judgement.reasons,
        'survival_time': survival,
        'is_censored': is_censored,
        'is_canonical': _is_canonical(values, settings),
        'reasons': tuple(judgement.reasons),
        'not_judged': tuple(judgement.not_judged),
        'remarks': tuple(judgement.remarks),
        'n_frames': len(frames),
        'n_physical_frames': n_physical,
        'duration': float(times[-1]),
        'irregular_fraction': np.zeros(0) if shares is None else shares,
    }


def _checked_times(frames: FrameSet) -> Floats:
    """Return the times of the frames [fs].

    :raises NotAnalysableError: if there are none, or the frames are not those of one run.
    """
    if 'time' not in frames.columns:
        raise NotAnalysableError("the frames carry no column 'time' [fs], without which a run has no survival time")
    times = np.asarray(frames.columns['time'], dtype=np.float64)
    n_runs = max(1 + int(np.sum(np.diff(times) < 0)), len(np.unique(frames.columns.get('replica', [0]))))
    if n_runs > 1:
        raise NotAnalysableError(f'{n_runs} runs lie end to end in the frames; judge each alone')
    if (n_compositions := len(list(equal_compositions(frames)))) > 1:
        raise NotAnalysableError(f'the frames hold {n_compositions} compositions; a run has one')
    return times


def _reach(frames: FrameSet, settings: RunQualitySettings) -> float:
    """Return how far pairs must be seen for all limits [Å]."""
    largest = pair_distances(frames.select([0]), 1e-3).covalent_sums.max()
    return max(settings.pair_range, settings.contact_fraction * float(largest) * (1.0 + 1e-9))


def _judge_frames(
    frames: FrameSet, times: Floats, records: FrameRecords, pairs: PairDistances, judgement: Judgement
) -> None:
    """Add the events that frames show."""
    settings = judgement.settings
    if (forces := largest_forces(frames)) is None:
        judgement.not_judged.append('force: the frames carry no forces')
    else:
        force = Criterion('force', 'the largest force', settings.maximum_force, 'eV/Å')
        judgement.add_first_above(force, times, forces)
    ratios = pairs.smallest / pairs.covalent_sums
    if (rows := np.flatnonzero(ratios.min(axis=1) < settings.contact_fraction)).size:
        row = int(rows[0])
        column = int(np.argmin(ratios[row]))
        limit = settings.contact_fraction * float(pairs.covalent_sums[column])
        contact = Criterion('contact', f'the smallest distance {pairs.names[column]}', limit, 'Å')
        judgement.add(contact, float(pairs.smallest[row, column]), float(times[pairs.frames[row]]))
    if records.irregular_fraction is None:
        judgement.not_judged.append('broken_water: the frames hold no water')
    else:
        what = 'the share of oxygen without exactly two bound hydrogens'
        broken = Criterion('broken_water', what, settings.maximum_irregular_fraction)
        judgement.add_first_above(broken, times, records.irregular_fraction)
    limit = float(settings.maximum_evaporated_atoms)
    evaporated = Criterion('evaporated', 'the number of evaporated atoms', limit)
    judgement.add_first_above(evaporated, times, records.evaporated.astype(np.float64))


def _judge_ends(times: Floats, n_finite: int, heat: Heat, judgement: Judgement) -> None:
    """Add the events that need no frame: heat, numbers that are not finite, an end by the program itself."""
    settings = judgement.settings
    if n_finite < len(times):
        criterion = Criterion('not_finite', 'the number of finite frames', len(times))
        judgement.add(criterion, n_finite, float(times[n_finite]))
    if not settings.temperature:
        judgement.not_judged.append('hot, temperature: no target temperature was given')
    elif heat.times.size:
        values = np.where(np.isfinite(heat.temperatures), heat.temperatures, np.inf)
        limit = settings.hot_factor * settings.temperature
        hot = Criterion('hot', 'the instantaneous temperature', limit, 'K')
        judgement.add_first_above(hot, heat.times, values)
    if settings.outcome == EXPLODED:
        judgement.add_explosion(float(times[-1]))


def _is_canonical(values: dict[str, Any], settings: RunQualitySettings) -> bool | None:
    """Return whether all tests of distributions together are passed; None if there was none."""
    p_values = np.array([values['temperature_p_value'], *values['element_p_value']])
    p_values = p_values[np.isfinite(p_values)]
    return bool(p_values.min() * p_values.size >= settings.significance_level) if p_values.size else None


def _drifts(records: FrameRecords | None, n_physical: int, judgement: Judgement) -> dict[str, Any]:
    """Return how far the whole and the metal moved [Å], by field name, and add a metal that moved too far."""
    values = {'centre_of_mass_drift': float('nan'), 'slab_drift': float('nan')}
    if records is None or not n_physical:
        return values
    values['centre_of_mass_drift'] = float(np.linalg.norm(records.centre[:n_physical], axis=1).max())
    if records.slab is None:
        judgement.not_judged.append('slab_drift: the frames hold no metal')
        return values
    values['slab_drift'] = drift = float(np.linalg.norm(records.slab[:n_physical], axis=1).max())
    limit = judgement.settings.maximum_slab_drift
    if drift > limit:
        judgement.add(Criterion('slab_drift', 'the displacement of the metal', limit, 'Å'), drift)
    return values


def _extrapolation(
    pairs: PairDistances | None, n_physical: int, training: FrameSet | None, judgement: Judgement
) -> dict[str, Any]:
    """Return distances of pairs beside those of the training set, by field name."""
    if training is None:
        judgement.not_judged.append('distances outside the training set: no training set was given')
    n_pairs = 0 if pairs is None else len(pairs.elements)
    values: dict[str, Any] = {
        'pair_numbers': np.zeros((0, 2), dtype=np.int64) if pairs is None else pairs.elements,
        **{name: np.full(n_pairs, np.nan) for name in ('pair_smallest', 'pair_training', 'pair_outside_fraction')},
        'outside_fraction': float('nan'),
    }
    if pairs is None or not (seen := pairs.frames < n_physical).any():
        return values
    run = PairDistances(pairs.elements, pairs.frames[seen], pairs.smallest[seen], pairs.reach)
    smallest = run.smallest.min(axis=0)
    values['pair_smallest'] = np.where(np.isfinite(smallest), smallest, np.nan)
    if training is not None:
        is_outside, limits = outside_training(run, pair_distances(training, pairs.reach))
        values['pair_training'] = np.where(np.isfinite(limits), limits, np.nan)
        values['pair_outside_fraction'] = is_outside.mean(axis=0)
        values['outside_fraction'] = float(is_outside.any(axis=1).mean())
    return values
