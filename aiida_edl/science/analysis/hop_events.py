r"""Events: which jumps belong together, and by which mechanism the defect moved.

Let L be the lattice sites and I all others, and let returns be taken out (see
:mod:`~aiida_edl.science.analysis.hop_jumps`). With a window w:

1. **Links.** A jump j of atom A to the lattice site s and a jump k of another atom B from s are a pair if
   :math:`|t_j - t_k| \le w`. Pairs are linked by ascending :math:`|t_j - t_k|`, then by time; each jump is linked at
   most once at the site that it takes and at most once at the site that it leaves. Links make paths of jumps
   :math:`j_1, j_2, \dots`, each atom taking the place of the next, and rings.
2. **Passages.** Two successive jumps of one atom, not more than w apart, of which neither is linked at the site s
   between them and both make a path of their own, are one jump from the first to the last site if this goes I → L → I,
   or L → I → L.
3. **Events.** A ring is ``ring``. A path leads from the source of its first jump to the target of its last:

   - I → I, two or more atoms: ``knock_off`` (interstitialcy); the chain length is the number of atoms.
   - I → I, one atom: ``direct``, also by a passage over a lattice site.
   - L → L, to an empty site, leaving one empty: ``vacancy``, once for each jump of the path, since each moves the
     vacancy by one site.
   - L → I, leaving a site empty: ``formation`` of a Frenkel pair.
   - I → L, to an empty site: ``recombination``.
   - ``other``, once for each jump: what takes a site that holds another atom, or leaves one to another atom, with no
     link, for the exchange took longer than w.

A site is empty if no other atom belongs to it at the frame of the jump. Each jump belongs to one event at most.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis.atom_groups import Integers
from aiida_edl.science.analysis.hop_jumps import Jumps

EVENT_KINDS = ('knock_off', 'direct', 'vacancy', 'formation', 'recombination', 'ring', 'other')
"""Names of events, in the order of every array of them."""
NO_JUMP = -1


@dataclass(frozen=True)
class HopEvents:
    """Events of one replica, by frame."""

    kind: Integers
    """Position in :data:`EVENT_KINDS`, shape ``(n_events,)``."""
    frame: Integers
    """Frame of the first jump, counted from the first of the replica, same shape."""
    length: Integers
    """Atoms that moved, same shape."""
    atom: Integers
    """First atom of the path, as its position among the mobile ones, same shape."""
    source: Integers
    """Site that the path leaves, same shape."""
    target: Integers
    """Site to which it leads, same shape."""
    event_of_jump: Integers
    """Event of each jump, shape ``(n_jumps,)``."""


class _Occupants:
    """How many atoms belong to a site after a frame."""

    def __init__(self, jumps: Jumps) -> None:
        """Store what arrives and leaves, by site."""
        self.initial: dict[int, int] = defaultdict(int)
        for site in jumps.initial.tolist():
            self.initial[site] += 1
        self.moves: dict[int, list[tuple[int, int]]] = defaultdict(list)
        rows = (jumps.frame, jumps.source, jumps.target)
        for frame, source, target in zip(*(row.tolist() for row in rows), strict=True):
            self.moves[source].append((frame, -1))
            self.moves[target].append((frame, 1))

    def count(self, site: int, frame: int) -> int:
        """Return the number of atoms that belong to a site in a frame."""
        return self.initial[site] + sum(change for when, change in self.moves[site] if when <= frame)


def hop_events(jumps: Jumps, is_lattice: NDArray[np.bool_], window_frames: float) -> HopEvents:
    """Return the events of one replica.

    :param jumps: jumps without returns.
    :param is_lattice: whether each site is one of the lattice, shape ``(n_sites,)``.
    :param window_frames: longest time between two jumps of one event [frames].
    """
    following, preceding = _links(jumps, is_lattice, window_frames)
    merged = _passages(jumps, is_lattice, window_frames, following, preceding)
    occupants = _Occupants(jumps)
    rows: list[tuple[int, ...]] = []
    members: list[list[int]] = []
    for path, is_ring in _paths(jumps, following, preceding, merged):
        for kind, part in _events_of_path(jumps, path, is_ring, is_lattice, occupants):
            first, last = part[0], part[-1]
            n_atoms = len(set(jumps.atom[part].tolist()))
            rows.append(
                (
                    int(jumps.frame[part].min()),
                    int(jumps.atom[first]),
                    EVENT_KINDS.index(kind),
                    n_atoms,
                    int(jumps.source[first]),
                    int(jumps.target[last]),
                )
            )
            members.append(part)
    event_of_jump = np.full(len(jumps), NO_JUMP, dtype=np.int64)
    order = sorted(range(len(rows)), key=lambda index: rows[index])
    for position, index in enumerate(order):
        event_of_jump[members[index]] = position
    frame, atom, kind_column, length, source, target = (
        np.array([rows[index] for index in order], dtype=np.int64).reshape(-1, 6).T.copy()
    )
    return HopEvents(kind_column, frame, length, atom, source, target, event_of_jump)


def _links(jumps: Jumps, is_lattice: NDArray[np.bool_], window_frames: float) -> tuple[Integers, Integers]:
    """Return the jump that each one is followed by along its path, and the one that it follows; -1 for none."""
    takes: dict[int, list[int]] = defaultdict(list)
    for index in np.flatnonzero(is_lattice[jumps.target]).tolist():
        takes[int(jumps.target[index])].append(index)
    pairs = []
    for leave in np.flatnonzero(is_lattice[jumps.source]).tolist():
        candidates = takes.get(int(jumps.source[leave]), [])
        frames = jumps.frame[candidates]
        begin = int(np.searchsorted(frames, jumps.frame[leave] - window_frames, side='left'))
        end = int(np.searchsorted(frames, jumps.frame[leave] + window_frames, side='right'))
        for take in candidates[begin:end]:
            if jumps.atom[take] != jumps.atom[leave]:
                apart = abs(int(jumps.frame[take] - jumps.frame[leave]))
                pairs.append((apart, min(int(jumps.frame[take]), int(jumps.frame[leave])), take, leave))
    following, preceding = (np.full(len(jumps), NO_JUMP, dtype=np.int64) for _ in range(2))
    for _, _, take, leave in sorted(pairs):
        if following[take] == NO_JUMP and preceding[leave] == NO_JUMP:
            following[take], preceding[leave] = leave, take
    return following, preceding


def _passages(
    jumps: Jumps, is_lattice: NDArray[np.bool_], window_frames: float, following: Integers, preceding: Integers
) -> dict[int, int]:
    """Return the second jump of each passage by its first."""
    merged: dict[int, int] = {}
    last: dict[int, int] = {}
    is_alone = (following == NO_JUMP) & (preceding == NO_JUMP)
    seconds: set[int] = set()
    for index, atom in enumerate(jumps.atom.tolist()):
        before = last.get(atom)
        last[atom] = index
        if before is None or before in seconds or not (is_alone[index] and is_alone[before]):
            continue
        ends = is_lattice[[jumps.source[before], jumps.target[before], jumps.target[index]]]
        is_passage = ends[0] == ends[2] != ends[1]
        if is_passage and jumps.frame[index] - jumps.frame[before] <= window_frames:
            merged[before] = index
            seconds.add(index)
    return merged


def _paths(
    jumps: Jumps, following: Integers, preceding: Integers, merged: dict[int, int]
) -> list[tuple[list[int], bool]]:
    """Return all paths as lists of jumps, and whether each is a ring."""
    paths: list[tuple[list[int], bool]] = []
    seen = np.zeros(len(jumps), dtype=np.bool_)
    heads = np.flatnonzero(preceding == NO_JUMP).tolist()
    for head in heads + list(range(len(jumps))):
        if seen[head]:
            continue
        path, index = [], head
        while index != NO_JUMP and not seen[index]:
            seen[index] = True
            path.append(index)
            index = int(following[index])
        if head in merged:
            path.append(merged[head])
            seen[merged[head]] = True
        paths.append((path, index == head))
    return paths


def _events_of_path(
    jumps: Jumps, path: list[int], is_ring: bool, is_lattice: NDArray[np.bool_], occupants: _Occupants
) -> list[tuple[str, list[int]]]:
    """Return the events of a path, each with its jumps."""
    if is_ring:
        return [('ring', path)]
    first, last = path[0], path[-1]
    source, target = int(jumps.source[first]), int(jumps.target[last])
    n_atoms = len(set(jumps.atom[path].tolist()))
    if not is_lattice[source] and not is_lattice[target]:
        return [('direct' if n_atoms == 1 else 'knock_off', path)]
    is_free = not is_lattice[target] or occupants.count(target, int(jumps.frame[last])) == 1
    is_left = not is_lattice[source] or occupants.count(source, int(jumps.frame[first])) == 0
    if not (is_free and is_left):
        return [('other', [index]) for index in path]
    kind = 'recombination' if not is_lattice[source] else 'formation' if not is_lattice[target] else 'vacancy'
    if kind == 'vacancy' and n_atoms > 1:
        return [(kind, [index]) for index in path]
    return [(kind, path)]
