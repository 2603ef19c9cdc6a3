"""Jumps and events of each replica of a trajectory, for each commit radius and window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.analysis.atom_groups import Integers
from aiida_edl.science.analysis.crystal_sites import CrystalSites, framework_sites, given_sites
from aiida_edl.science.analysis.framework_motion import CrystalAtoms, FrameworkMotion
from aiida_edl.science.analysis.hop_events import HopEvents, hop_events
from aiida_edl.science.analysis.hop_jumps import Jumps, lasting_jumps, without_returns
from aiida_edl.science.analysis.hopping_settings import HoppingSettings
from aiida_edl.science.analysis.lattice_order import checked_motion, melted_sentence, motion_order
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.analysis.site_assignment import SiteSearch, site_changes
from aiida_edl.science.frames import FrameSet

LATTICE_SHARE = 0.5
"""Share of the mobile atoms that must be at lattice sites in the first frame."""
ROUNDING = 1e-6
"""Relative tolerance of times that are whole numbers of frames."""


@dataclass(frozen=True)
class HopFindings:
    """Jumps and events with one commit radius and one window."""

    all_jumps: Jumps
    """Jumps with returns."""
    jumps: Jumps
    """Jumps without returns."""
    events: HopEvents
    n_returns: int
    """Returns, of two jumps each."""
    n_short: int
    """Visits that were too short to count."""


@dataclass(frozen=True)
class ReplicaHops:
    """What one replica holds."""

    start: int
    """First frame."""
    n_frames: int
    sites: CrystalSites
    """Sites where the framework is in the first frame."""
    is_lattice: NDArray[np.bool_]
    """Whether each site is one of the lattice, shape ``(n_sites,)``."""
    findings: dict[tuple[float, float], HopFindings]
    """By commit radius [Å] and window [fs]."""


def replica_hops(
    frames: FrameSet, replica: tuple[int, int], atoms: CrystalAtoms,
    settings: HoppingSettings, *, number: int, interval: float,
) -> ReplicaHops:  # fmt: skip
    """Return the jumps and events of one replica.

    :param frames: the trajectory.
    :param replica: its first frame and the frame after its last.
    :param atoms: mobile atoms and framework.
    :param settings: sites, hysteresis and windows.
    :param number: number of the replica, for messages.
    :param interval: time between frames [fs].
    :raises NotAnalysableError: if the framework has melted, or there are no sites.
    """
    motion = checked_motion(frames, replica, atoms, settings.n_blocks)
    order = motion_order(motion, settings.maximum_lindemann_ratio, settings.maximum_off_site_fraction)
    if order.melted_block >= 0:
        sentence = melted_sentence(order, number, settings.maximum_lindemann_ratio)
        raise NotAnalysableError(f'{sentence}; it holds no sites: leave this run out')
    sites = _sites(motion, settings)
    n_frames = replica[1] - replica[0]
    changes = site_changes(
        frames, replica, atoms.mobile, motion.drift, search=SiteSearch.of(sites), radii=list(settings.commit_radii)
    )
    is_lattice = np.isin(sites.kind, [sites.kinds.index(name) for name in settings.lattice_kinds])
    if (share := float(is_lattice[changes[0].initial].mean())) < LATTICE_SHARE:
        raise NotAnalysableError(
            f'only {100 * share:.3g} % of {settings.mobile} are at lattice sites, which are '
            f'{" and ".join(settings.lattice_kinds)}; name the kinds that a perfect crystal fills in lattice_kinds'
        )
    shortest = settings.minimum_residence / interval * (1.0 - ROUNDING)
    findings = {}
    for radius, change in zip(settings.commit_radii, changes, strict=True):
        all_jumps, n_short = lasting_jumps(change, n_frames, shortest)
        for window in settings.windows:
            window_frames = window / interval * (1.0 + ROUNDING)
            jumps, n_returns = without_returns(all_jumps, window_frames)
            events = hop_events(jumps, is_lattice, window_frames)
            findings[radius, window] = HopFindings(all_jumps, jumps, events, n_returns, n_short)
    return ReplicaHops(replica[0], n_frames, sites, is_lattice, findings)


def _sites(motion: FrameworkMotion, settings: HoppingSettings) -> CrystalSites:
    """Return the sites of one replica.

    :raises NotAnalysableError: if there is none, a kind does not occur, or a commit radius exceeds their distances.
    """
    if settings.site_positions:
        sites = given_sites(np.array(settings.site_positions, dtype=np.float64), settings.site_kinds, motion.cell)
    else:
        sites = framework_sites(motion.mean, motion.cell, settings.merge_distance, settings.minimum_hole_radius)
    occurring = tuple(name for name, count in zip(sites.kinds, sites.counts, strict=True) if count)
    for name in settings.lattice_kinds:
        if name not in occurring:
            raise NotAnalysableError(unknown_name_message('kind of site', name, occurring))
    return sites


def occupation_series(jumps: Jumps, kind: Integers, n_kinds: int, n_frames: int) -> NDArray[np.float64]:
    """Return the number of atoms at sites of each kind in each frame.

    :param jumps: jumps of one replica.
    :param kind: kind of each site, shape ``(n_sites,)``.
    :param n_kinds: number of kinds.
    :param n_frames: frames of the replica.
    :return: shape ``(n_frames, n_kinds)``.
    """
    changes = np.zeros((n_frames, n_kinds))
    changes[0] = np.bincount(kind[jumps.initial], minlength=n_kinds)
    np.add.at(changes, (jumps.frame, kind[jumps.source]), -1.0)
    np.add.at(changes, (jumps.frame, kind[jumps.target]), 1.0)
    return np.cumsum(changes, axis=0)
