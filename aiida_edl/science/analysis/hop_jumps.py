r"""Jumps of atoms between sites: lasting changes of what they belong to.

A visit is the time between two changes of the site of one atom. A visit that is shorter than the minimum residence is
none: it is left out, and visits of one site that then follow each other are one. A visit that the end of the run cuts
off counts if it was long enough until then. What is left is a chain of visits, and a jump is the step from one to the
next, at the first frame of the new visit.

An atom that jumps from x to y and, within the window, back to x has returned: both jumps are taken out. What lies
between them was then a return itself, so that a detour over several sites that ends where it began is none either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiida_edl.science.analysis.atom_groups import Integers
from aiida_edl.science.analysis.site_assignment import SiteChanges


@dataclass(frozen=True)
class Jumps:
    """Jumps of one replica, by frame and then by atom."""

    initial: Integers
    """Site of each atom before its first jump, shape ``(n_mobile,)``."""
    frame: Integers
    """First frame at the new site, counted from the first of the replica, shape ``(n_jumps,)``."""
    atom: Integers
    """Atom, as its position among the mobile ones, same shape."""
    source: Integers
    """Site that it leaves, same shape."""
    target: Integers
    """Site that it takes, same shape."""

    def __len__(self) -> int:
        """Return the number of jumps."""
        return len(self.frame)

    @classmethod
    def sorted(cls, initial: Integers, rows: list[tuple[int, int, int, int]]) -> Jumps:
        """Return jumps from rows of frame, atom, source and target in any order.

        :param initial: site of each atom before its first jump.
        :param rows: the jumps.
        """
        table = np.array(sorted(rows), dtype=np.int64).reshape(-1, 4)
        return cls(initial, *(table[:, column].copy() for column in range(4)))


def lasting_jumps(changes: SiteChanges, n_frames: int, minimum_frames: float) -> tuple[Jumps, int]:
    """Return the jumps between visits that last, and the number of visits that do not.

    :param changes: changes of the site of each atom, by atom and then by frame.
    :param n_frames: frames of the replica.
    :param minimum_frames: length of the shortest visit that counts [frames].
    """
    rows: list[tuple[int, int, int, int]] = []
    initial, n_short = changes.initial.copy(), 0
    moved, starts = np.unique(changes.atom, return_index=True)
    stops = np.append(starts[1:], len(changes.atom))
    for atom, part in zip(moved.tolist(), map(slice, starts, stops[: len(moved)]), strict=True):
        visits = [(0, int(changes.initial[atom]))]
        visits += list(zip(changes.frame[part].tolist(), changes.site[part].tolist(), strict=True))
        ends = [frame for frame, _ in visits[1:]] + [n_frames]
        lasting = [visit for visit, end in zip(visits, ends, strict=True) if end - visit[0] >= minimum_frames]
        n_short += len(visits) - len(lasting)
        if not lasting:
            continue
        initial[atom] = site = lasting[0][1]
        for frame, target in lasting[1:]:
            if target != site:
                rows.append((frame, atom, site, target))
                site = target
    return Jumps.sorted(initial, rows), n_short


def without_returns(jumps: Jumps, window_frames: float) -> tuple[Jumps, int]:
    """Return the jumps without those of atoms that come back within the window, and the number of returns.

    :param jumps: jumps of one replica.
    :param window_frames: longest time between a jump and the one back [frames].
    """
    kept: dict[int, list[tuple[int, int, int, int]]] = {}
    n_returns = 0
    columns = (jumps.frame, jumps.atom, jumps.source, jumps.target)
    for row in zip(*(column.tolist() for column in columns), strict=True):
        stack = kept.setdefault(row[1], [])
        if stack and stack[-1][2] == row[3] and row[0] - stack[-1][0] <= window_frames:
            stack.pop()
            n_returns += 1
        else:
            stack.append(row)
    return Jumps.sorted(jumps.initial, [row for stack in kept.values() for row in stack]), n_returns
