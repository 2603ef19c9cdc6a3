r"""How atoms move through a crystal: sites, jumps, events, and the share of knock-off against direct hops.

Sites are the holes of the framework (:mod:`~aiida_edl.science.analysis.crystal_sites`) or given ones; atoms belong to
them with a hysteresis (:mod:`~aiida_edl.science.analysis.site_assignment`); jumps are lasting changes
(:mod:`~aiida_edl.science.analysis.hop_jumps`), and events are jumps that belong together, by the rules of
:mod:`~aiida_edl.science.analysis.hop_events`. Errors are those of :mod:`~aiida_edl.science.analysis.hop_statistics`.

A run without any jump is a result: no event, and an upper limit of each rate, 3.0 over the length of the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis.framework_motion import CrystalAtoms, crystal_atoms
from aiida_edl.science.analysis.hop_events import EVENT_KINDS
from aiida_edl.science.analysis.hop_replicas import ReplicaHops, replica_hops
from aiida_edl.science.analysis.hop_tables import defect_tables, event_tables, jump_tables, ratio_tables, site_tables
from aiida_edl.science.analysis.hopping_settings import HoppingSettings
from aiida_edl.science.analysis.result_parts import StoredResult
from aiida_edl.science.analysis.trajectory_parts import checked_interval, replica_ranges
from aiida_edl.science.frames import Floats, FrameSet

__all__ = ['Hopping', 'HoppingSettings', 'hopping']

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Hopping(StoredResult):
    """Sites, jumps and events; every ``*_error`` is one standard error, NaN where the run does not tell.

    Sites of all replicas are laid end to end, and jumps and events name them by their row.
    """

    stored_subject: ClassVar[str] = 'hopping needs'
    settings_type: ClassVar[type[HoppingSettings]] = HoppingSettings

    site_kinds: tuple[str, ...]
    """Names of the kinds of sites."""
    site_position: Floats
    """Sites, where the framework is in the first frame of the replica [Å], shape ``(n_sites_total, 3)``."""
    site_kind: Indices
    """Position in ``site_kinds``, shape ``(n_sites_total,)``."""
    site_replica: Indices
    """Replica, same shape."""
    site_count: Indices
    """Sites of each kind in each replica, shape ``(n_replicas, n_kinds)``."""
    population: Floats
    """Mean number of atoms at sites of each kind, shape ``(n_kinds,)``."""
    population_error: Floats
    occupancy: Floats
    """The same per site of the kind, shape ``(n_kinds,)``; NaN for kinds without sites."""
    occupancy_error: Floats
    residence_time: Floats
    """Mean time at a site of each kind [fs]: all time spent there over the number of departures, shape
    ``(n_kinds,)``."""
    residence_time_error: Floats
    jump_count: Indices
    """Jumps from a kind (row) to a kind (column), returns aside, shape ``(n_kinds, n_kinds)``."""
    jump_rate: Floats
    """The same per time [1/ps], of all atoms together."""
    jump_rate_error: Floats
    jump_replica: Indices
    """Replica of each listed jump, shape ``(n_listed_jumps,)``; the same for all ``jump_*`` below."""
    jump_time: Floats
    """Time of the first frame at the new site [fs]."""
    jump_atom: Indices
    """Index of the atom in a frame."""
    jump_source: Indices
    """Site that it leaves."""
    jump_target: Indices
    """Site that it takes."""
    jump_event: Indices
    """Row of the event to which it belongs; -1 if that is not listed."""
    event_names: tuple[str, ...]
    """Names of the kinds of events, in the order of all arrays of them."""
    event_count: Indices
    """Events of each kind, shape ``(n_event_kinds,)``."""
    event_rate: Floats
    """The same per time [1/ps]."""
    event_rate_error: Floats
    event_rate_upper: Floats
    """Upper limit of the rate at a confidence of 95 % if events are independent [1/ps], same shape."""
    event_replica: Indices
    """Replica of each listed event, shape ``(n_listed_events,)``; the same for all ``event_*`` below."""
    event_time: Floats
    """Time of its first jump [fs]."""
    event_kind: Indices
    """Position in ``event_names``."""
    event_length: Indices
    """Number of atoms that moved."""
    event_atom: Indices
    """Index of the first atom of the path in a frame."""
    event_source: Indices
    """Site from which it leads."""
    event_target: Indices
    """Site to which it leads."""
    chain_length: Indices
    """Numbers of atoms in a knock-off, shape ``(n_lengths,)``."""
    chain_count: Indices
    """Knock-off events of each, same shape."""
    knock_off_ratio: float
    """Share of knock-off among knock-off and direct events, with the commit radius and window of the settings."""
    knock_off_ratio_error: float
    ratio_commit_radius: Floats
    """Commit radii at which the share is given [Å], shape ``(n_radii,)``."""
    ratio_window: Floats
    """Windows at which the share is given [fs], shape ``(n_windows,)``."""
    ratio_knock_off_count: Indices
    """Knock-off events, shape ``(n_radii, n_windows)``."""
    ratio_direct_count: Indices
    """Direct hops, same shape."""
    ratio_value: Floats
    """Share of knock-off, same shape; NaN without events."""
    ratio_error: Floats
    path_replica: Indices
    """Replica of each point of the paths of defects, shape ``(n_points,)``; the same for all ``path_*`` below."""
    path_time: Floats
    """Time [fs]."""
    path_position: Floats
    """Site of the defect, unfolded [Å], shape ``(n_points, 3)``."""
    path_kind: Indices
    """0 for an interstitial, 1 for a vacancy, 2 for a lattice site with more than one atom."""
    path_carrier: Indices
    """Number of the path, counted in each replica."""
    n_jumps: int
    """Jumps, returns aside."""
    n_returns: int
    """Times that an atom came back within the window: no events."""
    n_short_visits: int
    """Visits shorter than the minimum residence: no jumps."""
    n_events: int
    """Events of all kinds."""
    n_unlisted_jumps: int
    """Jumps that are counted but not listed."""
    n_unlisted_events: int
    """Events that are counted but not listed."""
    n_mobile: int
    """Mobile atoms."""
    n_framework: int
    """Atoms of the framework."""
    n_frames: int
    """Analysed frames."""
    n_replicas: int
    """Independent trajectories."""
    frame_interval: float
    """Time between frames [fs]."""
    duration: float
    """Length of all replicas together [fs]."""
    settings: HoppingSettings
    """What was analysed."""

    def event_row(self, name: str) -> int:
        """Return the position of a kind of event in the arrays of them.

        :param name: one of ``event_names``.
        """
        return self.event_names.index(name)


def hopping(frames: FrameSet, settings: HoppingSettings | None = None) -> Hopping:
    """Return sites, jumps and events of the mobile atoms of a crystal.

    :param frames: frames of the same atoms in one order at equal intervals, periodic, with the column ``time`` [fs];
        replicas end to end.
    :param settings: sites, hysteresis and windows; None for the defaults.
    :raises NotAnalysableError: if there is no framework or no site, the framework has melted, atoms move too far
        between frames, or these are not at equal intervals.
    """
    settings = settings or HoppingSettings()
    replicas = replica_ranges(frames, settings)
    interval = checked_interval(frames, replicas)
    atoms = crystal_atoms(frames, settings.mobile, settings.framework)
    hops = [
        replica_hops(frames, item, atoms, settings, number=number, interval=interval)
        for number, item in enumerate(replicas)
    ]
    duration = interval * sum(item.n_frames for item in hops)
    times = np.asarray(frames.columns['time'], dtype=np.float64)
    return Hopping(
        **site_tables(hops, interval, settings),
        **jump_tables(hops, atoms, times, interval, settings),
        event_names=EVENT_KINDS,
        **event_tables(hops, atoms, times, interval, settings),
        **ratio_tables(hops, interval, settings),
        **defect_tables(hops, times, settings),
        **_counts(hops, atoms, settings),
        frame_interval=interval,
        duration=duration,
        settings=settings,
    )


def _counts(hops: list[ReplicaHops], atoms: CrystalAtoms, settings: HoppingSettings) -> dict[str, Any]:
    """Return what is counted over all replicas, by field name."""
    chosen = [item.findings[settings.commit_radius, settings.window] for item in hops]
    n_jumps = sum(len(item.jumps) for item in chosen)
    n_events = sum(len(item.events.kind) for item in chosen)
    return {
        'n_jumps': n_jumps,
        'n_returns': sum(item.n_returns for item in chosen),
        'n_short_visits': sum(item.n_short for item in chosen),
        'n_events': n_events,
        'n_unlisted_jumps': max(0, n_jumps - settings.maximum_listed),
        'n_unlisted_events': max(0, n_events - settings.maximum_listed),
        'n_mobile': int(atoms.mobile.size),
        'n_framework': int(atoms.framework.size),
        'n_frames': sum(item.n_frames for item in hops),
        'n_replicas': len(hops),
    }
