"""Which frames of one set occur in another, atom by atom."""

from __future__ import annotations

import numpy as np

from aiida_edl.science.frames import Floats, FrameSet

SAME_POSITION = 1e-4
"""Coordinates that differ by less are the same [Å]; files carry 4 decimals at least."""
SEED = 7
"""Seed of the direction along which frames are sorted; the result does not depend on it."""


def shared_frames(first: FrameSet, second: FrameSet) -> tuple[tuple[int, int], ...]:
    """Return the frames of one set that occur in another: same atoms in the same order, positions and cell.

    Labels and columns do not matter. Copies that were turned, moved by a cell vector or reordered are not found; see
    :func:`~aiida_edl.science.duplicates.duplicates_between` for those. The time grows as n log n.

    :param first: the frames that are asked about.
    :param second: the frames among which they are looked for.
    :return: a frame of the first set and one of the second that is the same, for each that has one, ascending.
    """
    groups = _by_atoms(second)
    found = []
    for atoms, asked in _by_atoms(first).items():
        known = groups.get(atoms, [])
        if not known:
            continue
        ours, theirs = _coordinates(first, asked), _coordinates(second, known)
        weights = np.random.default_rng(SEED).normal(size=ours.shape[1])
        reach = SAME_POSITION * float(np.abs(weights).sum())
        order = np.argsort(theirs @ weights)
        places = (theirs @ weights)[order]
        for index, row, place in zip(asked, ours, ours @ weights):
            start, stop = np.searchsorted(places, [place - reach, place + reach], side='left')
            candidates = order[start:stop]
            is_same = np.abs(theirs[candidates] - row).max(axis=1, initial=0.0) <= SAME_POSITION
            if is_same.any():
                found.append((index, int(min(known[position] for position in candidates[is_same]))))
    return tuple(sorted(found))


def _by_atoms(frames: FrameSet) -> dict[bytes, list[int]]:
    """Return the frames of each sequence of atomic numbers."""
    groups: dict[bytes, list[int]] = {}
    for index, (start, stop) in enumerate(zip(frames.offsets[:-1], frames.offsets[1:])):
        groups.setdefault(frames.numbers[start:stop].tobytes(), []).append(index)
    return groups


def _coordinates(frames: FrameSet, indices: list[int]) -> Floats:
    """Return positions and cell vectors of frames of one size [Å], shape ``(n, 3 n_atoms + 9)``."""
    rows = [
        np.concatenate([frames.positions[frames.offsets[i] : frames.offsets[i + 1]].ravel(), frames.cells[i].ravel()])
        for i in indices
    ]
    return np.stack(rows)
