"""What test frames share with training frames: groups, geometries, neighbourhood in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.duplicates import duplicates_between
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.minimum_image import minimum_image
from aiida_edl.science.periodic_points import periodic_points, squared_distances
from aiida_edl.science.splitting import Split

GROUP_COLUMNS = ('group', 'trajectory', 'geometry', 'block')
"""Columns that mark related frames, if present."""
DUPLICATE_DISTANCE = 1e-6
"""Geometries closer than this are the same one [Å]; files carry 8 decimals."""
CHUNK = 32
"""Frames whose displacements are taken at a time."""
ROUNDING = 1e-6
"""Slack of lower bounds of distances [Å]."""


@dataclass(frozen=True)
class LeakReport:
    """How far the test frames are from the training frames."""

    shared_groups: dict[str, tuple[str, ...]]
    """By group column: the groups that occur in both parts; only columns that are present."""
    n_duplicates: int
    """Test frames whose geometry occurs in the training part."""
    nearest_geometry_distances: Floats
    """Root-mean-square distance per atom of each test frame to the nearest training frame of the same atoms in the
    same order [Å]; infinite if there is none, shape ``(n_test,)``."""
    nearest_time_distance: float
    """Smallest distance in time of a test frame to a training frame of the same trajectory [fs]; infinite if they share
    none, NaN if there is no column ``time``."""
    near_duplicates: tuple[tuple[int, int, float], ...] | None = None
    """Test frame, the nearest training frame and the distance of their fingerprints [Å], for each test frame whose
    geometry nearly occurs in the training part, whatever orientation, order of atoms, ions and charge; None if that was
    not asked for."""


def leak_report(
    frames: FrameSet,
    split: Split,
    group_columns: Sequence[str] = GROUP_COLUMNS,
    trajectory: str = 'group',
    duplicate_threshold: float | None = None,
) -> LeakReport:
    """Return what the test part shares with the training part.

    Geometries are compared by minimum-image displacements of corresponding atoms, in the cell of the test frame; if a
    threshold is given, also by fingerprints of the atoms that are no ions.

    :param frames: the frames the split was made of.
    :param split: the split.
    :param group_columns: columns that mark related frames; those absent are left out of the report.
    :param trajectory: column that tells trajectories apart; without it all frames count as one trajectory.
    :param duplicate_threshold: distance of fingerprints within which geometries nearly are the same [Å]; they are not
        compared if None.
    """
    shared: dict[str, tuple[str, ...]] = {}
    for name in group_columns:
        if name in frames.columns:
            column = frames.columns[name]
            both = np.intersect1d(column[split.training], column[split.test])
            shared[name] = tuple(str(value) for value in both.tolist())
    distances = _nearest_geometry_distances(frames, split)
    return LeakReport(
        shared_groups=shared,
        n_duplicates=int(np.count_nonzero(distances < DUPLICATE_DISTANCE)),
        nearest_geometry_distances=distances,
        nearest_time_distance=_nearest_time_distance(frames, split, trajectory),
        near_duplicates=(
            None
            if duplicate_threshold is None
            else duplicates_between(frames, split.test, split.training, duplicate_threshold)
        ),
    )


def _nearest_time_distance(frames: FrameSet, split: Split, trajectory: str) -> float:
    """Return the smallest distance in time within one trajectory [fs]."""
    if 'time' not in frames.columns:
        return float('nan')
    times = np.asarray(frames.columns['time'], dtype=np.float64)
    owners = frames.columns.get(trajectory, np.zeros(len(frames), dtype=np.int64))
    nearest = float('inf')
    for owner in np.intersect1d(owners[split.training], owners[split.test]):
        reference = np.sort(times[split.training][owners[split.training] == owner])
        queries = times[split.test][owners[split.test] == owner]
        after = np.clip(np.searchsorted(reference, queries), 1, len(reference)) - 1
        candidates = np.stack([reference[after], reference[np.minimum(after + 1, len(reference) - 1)]])
        nearest = min(nearest, float(np.abs(candidates - queries).min()))
    return nearest


def _nearest_geometry_distances(frames: FrameSet, split: Split) -> Floats:
    """Return the distance of each test frame to the nearest comparable training frame [Å]."""
    nearest = np.full(len(split.test), np.inf)
    training, test = (_by_atoms(frames, indices) for indices in (split.training, split.test))
    for key, places in test.items():
        if key in training:
            asked, known = frames.select(split.test[places]), frames.select(split.training[training[key]])
            nearest[places] = _nearest_of_atoms(asked, known)
    return nearest


def _by_atoms(frames: FrameSet, indices: NDArray[np.int64]) -> dict[bytes, list[int]]:
    """Return the places in a part of the frames of the same atoms in the same order."""
    places: dict[bytes, list[int]] = {}
    for place, index in enumerate(indices.tolist()):
        atoms = frames.numbers[int(frames.offsets[index]) : int(frames.offsets[index + 1])]
        places.setdefault(atoms.tobytes(), []).append(place)
    return places


def _nearest_of_atoms(asked: FrameSet, known: FrameSet) -> Floats:
    """Return the distance of frames to the nearest of others of the same atoms [Å], the most likely ones first."""
    n_atoms = int(asked.offsets[1])
    positions = [frames.positions.reshape(len(frames), n_atoms, 3) for frames in (asked, known)]
    cells, pbc = (np.concatenate([getattr(frames, name) for frames in (asked, known)]) for name in ('cells', 'pbc'))
    bounds = np.zeros((len(asked), len(known)))
    if not np.ptp(cells, axis=0).any() and (pbc == pbc[0]).all():
        points = periodic_points(np.concatenate(positions), cells, pbc[0])
        points -= points.mean(axis=0)
        squares = squared_distances(points[: len(asked)], points[len(asked) :])
        bounds = np.sqrt(np.maximum(squares, 0.0) / n_atoms) - ROUNDING
    nearest = np.full(len(asked), np.inf)
    for row, frame in enumerate(asked):
        order = np.argsort(bounds[row])
        for start in range(0, len(order), CHUNK):
            likely = order[start : start + CHUNK]
            if bounds[row, likely[0]] > nearest[row]:
                break
            displacements = minimum_image(positions[1][likely] - positions[0][row], frame.cell, frame.pbc)
            squares = np.einsum('fax,fax->f', displacements, displacements) / n_atoms
            nearest[row] = min(nearest[row], float(np.sqrt(squares.min())))
    return nearest
