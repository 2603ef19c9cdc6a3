r"""The way of each defect through a crystal, event by event: what moved it, and where to.

A defect goes where its events lead. An interstitial moves from the source of a knock-off or a direct hop to its target,
a vacancy the other way. The displacement is the sum over the jumps of the event, each by its shortest image, so that a
chain may be longer than half the cell. Formation begins a vacancy and an interstitial, recombination ends one of each.

If an interstitial fills a vacancy that was formed with another interstitial, none has vanished: an exchange took longer
than the window of the events. The older defect goes on where the partner of the younger one is.

An event may begin before its defect is there, by the window at most. Events that find no defect even then are not
placed, and are given by themselves; rings move no defect and are not among them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis.atom_groups import Integers
from aiida_edl.science.analysis.defect_path import DEFECT_KINDS
from aiida_edl.science.analysis.hop_events import EVENT_KINDS
from aiida_edl.science.analysis.hopping import Hopping
from aiida_edl.science.analysis.hopping_settings import HoppingSettings
from aiida_edl.science.analysis.result_parts import StoredResult
from aiida_edl.science.frames import Floats

NO_EVENT = -1
"""Event of points at which a defect is from the beginning."""
SAME_SITE = 1e-3
"""Distance within which a position is that of a site [Å], and share of the cell within which a way is closed."""
INTERSTITIAL, VACANCY, SHARED = range(len(DEFECT_KINDS))
RING, OF_VACANCY = EVENT_KINDS.index('ring'), EVENT_KINDS.index('vacancy')


@dataclass(frozen=True)
class HopRecord(StoredResult):
    """What a walk follows of a :class:`~aiida_edl.science.analysis.hopping.Hopping`, where the fields are explained."""

    stored_subject: ClassVar[str] = 'a walk of defects needs'
    settings_type: ClassVar[type[HoppingSettings]] = HoppingSettings

    site_kinds: tuple[str, ...]
    site_position: Floats
    site_kind: Integers
    site_replica: Integers
    jump_time: Floats
    jump_source: Integers
    jump_target: Integers
    jump_event: Integers
    event_replica: Integers
    event_time: Floats
    event_kind: Integers
    event_length: Integers
    event_source: Integers
    event_target: Integers
    path_replica: Integers
    path_time: Floats
    path_position: Floats
    path_kind: Integers
    settings: HoppingSettings


@dataclass(frozen=True)
class DefectWalk:
    """Where defects are from the beginning or since an event; by replica, then in order of the events."""

    replica: Integers
    """Replica, shape ``(n_points,)``; the same for all below but the last."""
    carrier: Integers
    """Number of the defect, counted in each replica; those of the beginning come first."""
    kind: Integers
    """Position in :data:`~aiida_edl.science.analysis.defect_path.DEFECT_KINDS`."""
    time: Floats
    """Time of the last jump of the event, or of the beginning [fs]."""
    position: Floats
    """Position of the site, unfolded along the way of the defect [Å], shape ``(n_points, 3)``."""
    event: Integers
    """Row among the listed events; -1 for none."""
    is_end: NDArray[np.bool_]
    """Whether the defect vanishes there by this event."""
    unplaced: Integers
    """Rows of listed events that find no defect at their source, or whose jumps are not all listed."""


@dataclass
class _Defect:
    """One defect on its way."""

    carrier: int
    place: Floats
    """Unfolded [Å]."""
    kind: int
    site: int | None = None
    """None once it has vanished."""
    partner: _Defect | None = None
    """What it was formed with."""


@dataclass(frozen=True)
class _When:
    """When a point of a walk begins."""

    time: float
    event: int


@dataclass
class _Defects:
    """Defects of one replica by site, and their points so far."""

    excess: dict[int, list[_Defect]] = field(default_factory=dict)
    vacant: dict[int, _Defect] = field(default_factory=dict)
    n_carriers: int = 0
    points: list[tuple[int, int, float, Floats, int, bool]] = field(default_factory=list)
    """Carrier, kind, time, position, event, end."""

    def begin(self, place: Floats, site: int, kind: int, when: _When) -> _Defect:
        """Put a new defect at a site, and return it."""
        defect = _Defect(self.n_carriers, place, kind)
        self.n_carriers += 1
        self.put(defect, site, when)
        return defect

    def put(self, defect: _Defect, site: int, when: _When) -> None:
        """Let a defect be at a site since an event."""
        defect.site = site
        if defect.kind == VACANCY:
            self.vacant[site] = defect
        else:
            self.excess.setdefault(site, []).append(defect)
        self._note(defect, when, is_end=False)

    def take(self, defect: _Defect) -> int:
        """Take a defect from its site, and return that."""
        site = defect.site
        assert site is not None  # it has not vanished
        if defect.kind == VACANCY:
            del self.vacant[site]
        else:
            self.excess[site].remove(defect)
        defect.site = None
        return site

    def recombine(self, mover: _Defect, hole: _Defect, when: _When) -> None:
        """Let a defect that has left its site fill a vacancy; if a pair was formed in between, the older one goes on.

        :param mover: interstitial, whose place is that of the vacancy or an image of it.
        :param hole: the vacancy.
        :param when: when it is filled.
        """
        self.take(hole)
        images = mover.place - hole.place
        older, younger = (mover, hole) if mover.carrier < hole.carrier else (hole, mover)
        left = younger.partner
        if left is None or left is older or left.site is None:
            self._note(mover, when, is_end=True)
            self._note(hole, when, is_end=True)
            return
        site = self.take(left)
        self._note(younger, when, is_end=True)
        self._note(left, when, is_end=True)
        older.place = left.place + (images if older is mover else -images)
        older.kind = left.kind
        self.put(older, site, when)

    def _note(self, defect: _Defect, when: _When, *, is_end: bool) -> None:
        """Add a point."""
        self.points.append((defect.carrier, defect.kind, when.time, defect.place, when.event, is_end))


class _Walker:
    """Lets the defects of one replica move."""

    def __init__(
        self, found: HopRecord | Hopping, cell: Floats, is_lattice: NDArray[np.bool_], jumps: dict[int, list[int]]
    ) -> None:
        """Store what happens; ``jumps`` are those of each event."""
        self.found, self.cell, self.is_lattice, self.jumps = found, cell, is_lattice, jumps
        self.inverse = np.linalg.inv(cell)
        self.defects = _Defects()

    def begin(self, replica: int, start_time: float) -> None:
        """Put the defects of the first frame.

        :raises ValueError: if one of them is at no site.
        """
        found = self.found
        sites = np.flatnonzero(found.site_replica == replica)
        is_first = (found.path_replica == replica) & (found.path_time == start_time)
        for row in np.flatnonzero(is_first).tolist():
            place = found.path_position[row]
            apart = np.linalg.norm(found.site_position[sites] - place, axis=1)
            if apart.min() > SAME_SITE:
                raise ValueError(
                    f'a defect of replica {replica} begins at {place.round(3).tolist()} Å, {apart.min():.3g} Å from '
                    'the nearest site; give the result of edl.hopping as it is'
                )
            when = _When(start_time, NO_EVENT)
            self.defects.begin(place, int(sites[np.argmin(apart)]), int(found.path_kind[row]), when)

    def walk(self, events: Integers) -> list[int]:
        """Let events happen, each as soon as its defect is there, and return those that never do."""
        found, waiting, unplaced = self.found, list[int](), list[int]()
        for event in events[found.event_kind[events] != RING].tolist():
            earliest = found.event_time[event] - found.settings.window
            unplaced += [item for item in waiting if found.event_time[item] < earliest]
            waiting = [item for item in waiting if found.event_time[item] >= earliest] + [event]
            while (placed := next((item for item in waiting if self._happens(item)), None)) is not None:
                waiting.remove(placed)
        return unplaced + waiting

    def _happens(self, event: int) -> bool:
        """Let an event happen, and return whether it could."""
        source, target = int(self.found.event_source[event]), int(self.found.event_target[event])
        way = self._way(event, source, target)
        here, hole = self.defects.excess.get(source), self.defects.vacant.get(target)
        is_filled = self.is_lattice[source] and source not in self.defects.vacant
        needs_hole = self.found.event_kind[event] == OF_VACANCY
        if way is None or (needs_hole and hole is None) or not (here or is_filled):
            return False
        when = _When(float(self.found.jump_time[self.jumps[event]].max()), event)
        kind = SHARED if self.is_lattice[target] else INTERSTITIAL
        if here:
            mover = here[0]
            self.defects.take(mover)
            mover.place, mover.kind = mover.place + way, kind
            if hole is None:
                self.defects.put(mover, target, when)
            else:
                self.defects.recombine(mover, hole, when)
        elif hole is not None:
            self.defects.take(hole)
            hole.place = hole.place - way
            self.defects.put(hole, source, when)
        else:
            place = self.found.site_position[source]
            left = self.defects.begin(place, source, VACANCY, when)
            left.partner = self.defects.begin(place + way, target, kind, when)
            left.partner.partner = left
        return True

    def _way(self, event: int, source: int, target: int) -> Floats | None:
        """Return the way of an event from source to target [Å]; None if not all of its jumps are listed."""
        jumps, places = self.jumps.get(event, []), self.found.site_position
        steps = (places[self.found.jump_target[jumps]] - places[self.found.jump_source[jumps]]) @ self.inverse
        way = (steps - np.rint(steps)).sum(axis=0)
        open_part = way - (places[target] - places[source]) @ self.inverse
        if not jumps or np.abs(open_part - np.rint(open_part)).max() > SAME_SITE:
            return None
        result: Floats = way @ self.cell
        return result


def defect_walk(found: HopRecord | Hopping, cells: Floats, start_times: Floats) -> DefectWalk:
    """Return the way of all defects through a crystal.

    :param found: jumps, events, and the defects of the first frames.
    :param cells: mean cell of each replica [Å], shape ``(n_replicas, 3, 3)``.
    :param start_times: time of the first analysed frame of each replica [fs], shape ``(n_replicas,)``.
    :raises ValueError: if a defect begins at no site.
    """
    is_lattice = np.isin(found.site_kind, [found.site_kinds.index(name) for name in found.settings.lattice_kinds])
    jumps: dict[int, list[int]] = {}
    for jump, event in enumerate(found.jump_event.tolist()):
        jumps.setdefault(event, []).append(jump)
    points, replicas, unplaced = [], list[int](), list[int]()
    for replica, (cell, start_time) in enumerate(zip(cells, start_times.tolist(), strict=True)):
        walker = _Walker(found, cell, is_lattice, jumps)
        walker.begin(replica, start_time)
        unplaced += walker.walk(np.flatnonzero(found.event_replica == replica))
        points += walker.defects.points
        replicas += [replica] * len(walker.defects.points)
    carrier, kind, time, position, event, is_end = zip(*points, strict=True) if points else ((),) * 6
    return DefectWalk(
        replica=np.array(replicas, dtype=np.int64),
        carrier=np.array(carrier, dtype=np.int64),
        kind=np.array(kind, dtype=np.int64),
        time=np.array(time, dtype=np.float64),
        position=np.array(position, dtype=np.float64).reshape(-1, 3),
        event=np.array(event, dtype=np.int64),
        is_end=np.array(is_end, dtype=np.bool_),
        unplaced=np.array(sorted(unplaced), dtype=np.int64),
    )
