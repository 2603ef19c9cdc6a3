"""Fields of the result on hopping, by name, from what each replica holds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis.atom_groups import Integers
from aiida_edl.science.analysis.defect_path import defect_path
from aiida_edl.science.analysis.framework_motion import CrystalAtoms
from aiida_edl.science.analysis.hop_events import EVENT_KINDS
from aiida_edl.science.analysis.hop_replicas import HopFindings, ReplicaHops, occupation_series
from aiida_edl.science.analysis.hop_statistics import BlockCounts, count_errors, share_with_error, upper_limits
from aiida_edl.science.analysis.hopping_settings import HoppingSettings
from aiida_edl.science.frames import Floats
from aiida_edl.science.uncertainty import combine_replicas, mean_with_error
from aiida_edl.science.units import FEMTOSECONDS_PER_PICOSECOND

KNOCK_OFF, DIRECT = EVENT_KINDS.index('knock_off'), EVENT_KINDS.index('direct')


def chosen_findings(hops: list[ReplicaHops], settings: HoppingSettings) -> list[HopFindings]:
    """Return what each replica holds with the commit radius and window of the settings."""
    return [item.findings[settings.commit_radius, settings.window] for item in hops]


def site_tables(hops: list[ReplicaHops], interval: float, settings: HoppingSettings) -> dict[str, Any]:
    """Return the sites, how many atoms they hold, and for how long.

    :param hops: what each replica holds.
    :param interval: time between frames [fs].
    :param settings: commit radius and window.
    """
    kinds = hops[0].sites.kinds
    n_kinds = len(kinds)
    chosen = chosen_findings(hops, settings)
    counts = np.stack([item.sites.counts for item in hops])
    series = [
        occupation_series(found.all_jumps, item.sites.kind, n_kinds, item.n_frames)
        for found, item in zip(chosen, hops, strict=True)
    ]
    population = combine_replicas([mean_with_error(item) for item in series])
    # Where no atom ever moved between kinds, the run holds no information on the error.
    is_still = np.array([np.ptp(np.concatenate(series)[:, kind]) == 0.0 for kind in range(n_kinds)])
    error = np.where(is_still & (counts.sum(axis=0) > 0), np.nan, population.error)
    per_site = np.where(counts.mean(axis=0) > 0, counts.mean(axis=0), np.nan)
    sources = [item.sites.kind[found.jumps.source] for found, item in zip(chosen, hops, strict=True)]
    departures = _blocks(
        [found.jumps.frame for found in chosen], sources, hops, settings, interval=interval, n_kinds=n_kinds
    )
    spent = interval * sum(
        occupation_series(found.jumps, item.sites.kind, n_kinds, item.n_frames).sum(axis=0)
        for found, item in zip(chosen, hops, strict=True)
    )
    n_left = np.where(departures.totals > 0, departures.totals, np.nan)
    return {
        'site_kinds': kinds,
        'site_position': np.concatenate([item.sites.scaled @ item.sites.cell for item in hops]),
        'site_kind': np.concatenate([item.sites.kind for item in hops]).astype(np.int64),
        'site_replica': np.repeat(np.arange(len(hops)), counts.sum(axis=1)),
        'site_count': counts.astype(np.int64),
        'population': population.mean,
        'population_error': error,
        'occupancy': population.mean / per_site,
        'occupancy_error': error / per_site,
        'residence_time': spent / n_left,
        'residence_time_error': spent / n_left**2 * count_errors(departures),
    }


def jump_tables(
    hops: list[ReplicaHops], atoms: CrystalAtoms, times: Floats, interval: float, settings: HoppingSettings
) -> dict[str, Any]:
    """Return the jumps by kinds of sites, and their list.

    :param hops: what each replica holds.
    :param atoms: mobile atoms and framework.
    :param times: time of each frame of the trajectory [fs].
    :param interval: time between frames [fs].
    :param settings: commit radius and window.
    """
    n_kinds = len(hops[0].sites.kinds)
    chosen = chosen_findings(hops, settings)
    pairs = [
        item.sites.kind[found.jumps.source] * n_kinds + item.sites.kind[found.jumps.target]
        for found, item in zip(chosen, hops, strict=True)
    ]
    counts = _blocks(
        [found.jumps.frame for found in chosen], pairs, hops, settings, interval=interval, n_kinds=n_kinds**2
    )
    picoseconds = counts.durations.sum() / FEMTOSECONDS_PER_PICOSECOND
    shape = (n_kinds, n_kinds)
    limit, firsts, first_events = settings.maximum_listed, _first_sites(hops), [0]
    for found in chosen:
        first_events.append(first_events[-1] + len(found.events.kind))
    events = np.concatenate(
        [found.events.event_of_jump + first for found, first in zip(chosen, first_events[:-1], strict=True)]
    )
    jumps = [found.jumps for found in chosen]
    return {
        'jump_count': counts.totals.reshape(shape),
        'jump_rate': counts.totals.reshape(shape) / picoseconds,
        'jump_rate_error': count_errors(counts).reshape(shape) / picoseconds,
        'jump_replica': np.repeat(np.arange(len(hops)), [len(item) for item in jumps])[:limit],
        'jump_time': _times([item.frame for item in jumps], hops, times)[:limit],
        'jump_atom': atoms.mobile[np.concatenate([item.atom for item in jumps])][:limit],
        'jump_source': _rows([item.source for item in jumps], firsts)[:limit],
        'jump_target': _rows([item.target for item in jumps], firsts)[:limit],
        'jump_event': np.where(events < limit, events, -1)[:limit],
    }


def event_tables(
    hops: list[ReplicaHops], atoms: CrystalAtoms, times: Floats, interval: float, settings: HoppingSettings
) -> dict[str, Any]:
    """Return the events by kind with their rates, their list, and the lengths of chains.

    :param hops: what each replica holds.
    :param atoms: mobile atoms and framework.
    :param times: time of each frame of the trajectory [fs].
    :param interval: time between frames [fs].
    :param settings: commit radius and window.
    """
    events = [found.events for found in chosen_findings(hops, settings)]
    frames, kinds = [item.frame for item in events], [item.kind for item in events]
    counts = _blocks(frames, kinds, hops, settings, interval=interval, n_kinds=len(EVENT_KINDS))
    picoseconds = counts.durations.sum() / FEMTOSECONDS_PER_PICOSECOND
    kind, length = np.concatenate(kinds), np.concatenate([item.length for item in events])
    chains = np.bincount(length[kind == KNOCK_OFF], minlength=3)
    limit, firsts = settings.maximum_listed, _first_sites(hops)
    return {
        'event_count': counts.totals,
        'event_rate': counts.totals / picoseconds,
        'event_rate_error': count_errors(counts) / picoseconds,
        'event_rate_upper': upper_limits(counts.totals) / picoseconds,
        'event_replica': np.repeat(np.arange(len(hops)), [len(item) for item in frames])[:limit],
        'event_time': _times(frames, hops, times)[:limit],
        'event_kind': kind[:limit],
        'event_length': length[:limit],
        'event_atom': atoms.mobile[np.concatenate([item.atom for item in events])][:limit],
        'event_source': _rows([item.source for item in events], firsts)[:limit],
        'event_target': _rows([item.target for item in events], firsts)[:limit],
        'chain_length': np.arange(2, len(chains)),
        'chain_count': chains[2:],
    }


def ratio_tables(hops: list[ReplicaHops], interval: float, settings: HoppingSettings) -> dict[str, Any]:
    """Return the share of knock-off events at all commit radii and windows.

    :param hops: what each replica holds.
    :param interval: time between frames [fs].
    :param settings: commit radii and windows.
    """
    radii, windows = settings.commit_radii, settings.windows
    values, errors = np.empty((len(radii), len(windows))), np.empty((len(radii), len(windows)))
    numbers = np.zeros((2, len(radii), len(windows)), dtype=np.int64)
    for row, radius in enumerate(radii):
        for column, window in enumerate(windows):
            events = [item.findings[radius, window].events for item in hops]
            frames, kinds = [item.frame for item in events], [item.kind for item in events]
            counts = _blocks(frames, kinds, hops, settings, interval=interval, n_kinds=len(EVENT_KINDS)).counts
            values[row, column], errors[row, column] = share_with_error(counts[..., KNOCK_OFF], counts[..., DIRECT])
            numbers[:, row, column] = counts.sum(axis=(0, 1))[[KNOCK_OFF, DIRECT]]
    chosen = radii.index(settings.commit_radius), windows.index(settings.window)
    return {
        'knock_off_ratio': float(values[chosen]),
        'knock_off_ratio_error': float(errors[chosen]),
        'ratio_commit_radius': np.array(radii, dtype=np.float64),
        'ratio_window': np.array(windows, dtype=np.float64),
        'ratio_knock_off_count': numbers[0],
        'ratio_direct_count': numbers[1],
        'ratio_value': values,
        'ratio_error': errors,
    }


def defect_tables(hops: list[ReplicaHops], times: Floats, settings: HoppingSettings) -> dict[str, Any]:
    """Return the paths of the defects.

    :param hops: what each replica holds.
    :param times: time of each frame of the trajectory [fs].
    :param settings: commit radius and window.
    """
    most = max(1, settings.maximum_listed // len(hops))
    chosen = chosen_findings(hops, settings)
    paths = [
        defect_path(found.jumps, item.sites, item.is_lattice, item.n_frames, most)
        for found, item in zip(chosen, hops, strict=True)
    ]
    return {
        'path_replica': np.repeat(np.arange(len(hops)), [len(path.frame) for path in paths]),
        'path_time': _times([path.frame for path in paths], hops, times),
        'path_position': np.concatenate([path.position for path in paths]),
        'path_kind': np.concatenate([path.kind for path in paths]),
        'path_carrier': np.concatenate([path.carrier for path in paths]),
    }


def _blocks(
    frames: list[Integers], kinds: list[Integers], hops: list[ReplicaHops], settings: HoppingSettings, *,
    interval: float, n_kinds: int,
) -> BlockCounts:  # fmt: skip
    """Return counts by replica, block and kind."""
    n_frames = [item.n_frames for item in hops]
    return BlockCounts.of(frames, kinds, n_frames, (settings.n_blocks, n_kinds), interval)


def _times(frames: list[Integers], hops: list[ReplicaHops], times: Floats) -> Floats:
    """Return the times of frames that are counted from the first of each replica [fs]."""
    rows = [frame + item.start for frame, item in zip(frames, hops, strict=True)]
    result: Floats = times[np.concatenate(rows)]
    return result


def _first_sites(hops: list[ReplicaHops]) -> list[int]:
    """Return the row of the first site of each replica."""
    return [int(first) for first in np.cumsum([0] + [len(item.sites.kind) for item in hops])[:-1]]


def _rows(sites: list[Integers], firsts: list[int]) -> NDArray[np.int64]:
    """Return the rows of sites of all replicas."""
    return np.concatenate([site + first for site, first in zip(sites, firsts, strict=True)])
