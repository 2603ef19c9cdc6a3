"""Near-duplicates: frames so alike that labelling or learning the second tells nothing new."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from ase.data import atomic_numbers
from ase.geometry import complete_cell
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.charge_state import FORMAL_CHARGES
from aiida_edl.science.frame_columns import Indices, charge_classes, composition_numbers
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.minimum_image import minimum_image
from aiida_edl.science.neighbour_distances import neighbour_fingerprints
from aiida_edl.science.periodic_points import periodic_points, squared_distances
from aiida_edl.typed_fields import checked_fields

BLOCK = 512
"""Frames that are compared with all others at a time: the table of distances is this high."""
SAME_CELL = 1e-3
"""Cells whose vectors differ by more in a component are different ones [Å]."""
ROUNDING = 1e-7
"""Slack for distances from scalar products, relative to the length of the vectors."""
GEOMETRY_TOLERANCE = 1e-3
"""Fingerprints closer than this are of one geometry [Å]; files carry 4 decimals at least."""
_ION_NUMBERS: NDArray[np.int64] = np.array([atomic_numbers[symbol] for symbol in FORMAL_CHARGES])


class DuplicateMeasure(str, Enum):
    """How the distance of two frames of one composition is measured."""

    FINGERPRINT = 'fingerprint'
    """Root mean square change of the sorted distances to the nearest neighbours [Å], whatever the orientation and the
    order of equal atoms; see :func:`~aiida_edl.science.neighbour_distances.neighbour_fingerprints`."""
    DISPLACEMENT = 'displacement'
    """Root mean square displacement of corresponding atoms [Å], the shortest through the boundary; frames of other
    cells or another order of atoms have no distance."""


class DuplicateError(ValueError):
    """A search for duplicates that cannot be made; the message says why."""


@dataclass(frozen=True)
class DuplicateSettings:
    """Which frames are near-duplicates."""

    threshold: float
    """Distance within which two frames are duplicates [Å]."""
    measure: str = DuplicateMeasure.FINGERPRINT.value
    """How the distance is measured, a value of ``DuplicateMeasure``."""
    columns: tuple[str, ...] = ()
    """Columns that tell frames apart beside those of charges, e.g. the temperature."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DuplicateSettings:
        """Return settings from a mapping.

        :raises DuplicateError: for an unknown name, with the nearest, a value of a wrong type, or no threshold.
        """
        checked = checked_fields(cls, values, 'setting of the search for duplicates', DuplicateError)
        if 'threshold' not in checked:
            raise DuplicateError('no threshold is given; state the distance within which frames are duplicates [Å]')
        return cls(**checked)


@dataclass(frozen=True)
class Duplicates:
    """Which frames of a set are near-duplicates of others."""

    kept: Indices
    """Frames that stay, ascending."""
    removed: Indices
    """Frames that go, ascending, shape ``(n_removed,)``."""
    duplicate_of: Indices
    """The nearest frame that stays, for each frame that goes; it comes before it, shape ``(n_removed,)``."""
    distances: Floats
    """Distance of the two [Å], at most the threshold, shape ``(n_removed,)``."""


@dataclass(frozen=True)
class _Points:
    """Frames as points: those farther apart than the reach of one of the two are no duplicates."""

    points: Floats
    reaches: Floats
    exact: Callable[[int, Indices], Floats]
    """Distance of the first frame to each of the others [Å]."""


def find_duplicates(
    frames: FrameSet,
    threshold: float,
    measure: DuplicateMeasure | str = DuplicateMeasure.FINGERPRINT,
    columns: Sequence[str] = (),
) -> Duplicates:
    """Return which frames are near-duplicates of an earlier one that stays.

    Frames are taken in their order: one goes if a frame that stays lies within the threshold, else it stays. The first
    of each cluster thus stays, and no frame goes that is farther than the threshold from all that stay: a slow drift is
    thinned, not taken for one frame. Only frames of one composition, periodicity and charge are compared: the column
    ``charge_state`` and every column of a charge or number of electrons tell them apart, however alike the atoms lie.

    The time grows with the square of the number of frames of one composition, the memory linearly.

    :param frames: the frames.
    :param threshold: distance within which two frames are duplicates [Å].
    :param measure: how the distance is measured.
    :param columns: further columns that tell frames apart, e.g. the temperature.
    :raises DuplicateError: if the threshold is not positive or the measure unknown.
    :raises ValueError: if a column does not exist.
    """
    known = [member.value for member in DuplicateMeasure]
    if measure not in known:
        raise DuplicateError(unknown_name_message('measure of duplicates', str(measure), known))
    if not threshold > 0.0:
        raise DuplicateError(f'threshold is {threshold:g} Å, it must be positive')
    owner = np.arange(len(frames))
    distances = np.zeros(len(frames))
    make = _fingerprint_points if DuplicateMeasure(measure) is DuplicateMeasure.FINGERPRINT else _displacement_points
    for members in _members(charge_classes(frames, columns)):
        if len(members) > 1:
            own, found = _nearest_leaders(make(frames.select(members), threshold), threshold)
            owner[members], distances[members] = members[own], found
    removed = np.flatnonzero(owner != np.arange(len(frames)))
    kept = np.flatnonzero(owner == np.arange(len(frames)))
    return Duplicates(kept=kept, removed=removed, duplicate_of=owner[removed], distances=distances[removed])


def duplicates_between(
    frames: FrameSet, first: Indices, second: Indices, threshold: float
) -> tuple[tuple[int, int, float], ...]:
    """Return the frames of a part whose geometry nearly occurs in another part, whatever the charge.

    Geometries are those of the atoms that are no ions, see :func:`without_ions`, compared by their fingerprints.

    :param frames: the frames.
    :param first: the frames that are asked about.
    :param second: the frames they are compared with.
    :param threshold: distance within which two geometries are the same [Å].
    :return: frame, the nearest frame of the other part, and their distance [Å], one for each frame that has one.
    """
    both = np.concatenate([first, second])
    geometries = without_ions(frames.select(both))
    is_first = np.arange(len(both)) < len(first)
    found = []
    for members in _members(composition_numbers(geometries)):
        asked, others = members[is_first[members]], members[~is_first[members]]
        if not len(asked) or not len(others):
            continue
        points = neighbour_fingerprints(geometries.select(np.concatenate([asked, others])))
        points -= points.mean(axis=0)
        known = points[len(asked) :]
        for start in range(0, len(asked), BLOCK):
            block = points[start : min(start + BLOCK, len(asked))]
            nearest = np.argmin(squared_distances(block, known), axis=1)
            for position, other in enumerate(nearest.tolist()):
                distance = float(np.linalg.norm(block[position] - known[other]))
                if distance <= threshold:
                    found.append((int(both[asked[start + position]]), int(both[others[other]]), distance))
    return tuple(sorted(found))


def geometry_groups(frames: FrameSet, tolerance: float = GEOMETRY_TOLERANCE) -> Indices:
    """Return consecutive numbers of the geometries: frames whose atoms other than ions lie alike share one.

    Any two frames within the tolerance share a number, so that a chain of near frames is one geometry. Orientation,
    order of equal atoms, charges and ions do not matter.

    :param frames: the frames.
    :param tolerance: distance of fingerprints below which two geometries are the same [Å].
    :return: shape ``(n_frames,)``, in order of first occurrence.
    """
    geometries = without_ions(frames)
    labels = np.arange(len(frames))
    for members in _members(composition_numbers(geometries)):
        if len(members) > 1:
            labels[members] = members[_connected(neighbour_fingerprints(geometries.select(members)), tolerance)]
    return np.asarray(np.unique(labels, return_inverse=True)[1], dtype=np.int64)


def without_ions(frames: FrameSet) -> FrameSet:
    """Return the frames without their ions, labels and columns; frames of ions alone keep all atoms.

    :param frames: the frames.
    """
    is_kept = ~np.isin(frames.numbers, _ION_NUMBERS)
    owners = np.repeat(np.arange(len(frames)), np.diff(frames.offsets))
    is_kept |= (np.bincount(owners[is_kept], minlength=len(frames)) == 0)[owners]
    sizes = np.bincount(owners[is_kept], minlength=len(frames))
    return FrameSet(
        numbers=frames.numbers[is_kept],
        positions=frames.positions[is_kept],
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        cells=frames.cells,
        pbc=frames.pbc,
    )


def _members(classes: Indices) -> Iterator[Indices]:
    """Return the frames of each class, ascending."""
    order = np.argsort(classes, kind='stable')
    return iter(np.split(order, np.cumsum(np.bincount(classes))[:-1]))


def _fingerprint_points(frames: FrameSet, threshold: float) -> _Points:
    """Return fingerprints, less their mean so that products keep their digits."""
    points = neighbour_fingerprints(frames)
    points -= points.mean(axis=0)

    def exact(index: int, others: Indices) -> Floats:
        return np.asarray(np.linalg.norm(points[others] - points[index], axis=1), dtype=np.float64)

    return _Points(points, np.full(len(frames), threshold), exact)


def _displacement_points(frames: FrameSet, threshold: float) -> _Points:
    """Return points whose distances are lower bounds of displacements, so that none within reach is missed."""
    n_atoms = int(frames.offsets[1])
    positions = frames.positions.reshape(len(frames), n_atoms, 3)
    numbers = frames.numbers.reshape(len(frames), n_atoms)
    points = periodic_points(positions, frames.cells, frames.pbc[0])
    points -= points.mean(axis=0)
    reaches = np.full(len(frames), threshold * np.sqrt(n_atoms))
    if np.ptp(frames.cells, axis=0).any():
        # Cells that differ by up to SAME_CELL move an atom at s by up to 3 SAME_CELL |s|.
        cells = np.stack([np.asarray(complete_cell(cell)) for cell in frames.cells])
        stretch = np.linalg.norm(cells, axis=2).max() / np.linalg.svd(cells, compute_uv=False)[:, -1].min()
        reaches += 3.0 * SAME_CELL * stretch * np.linalg.norm(positions @ np.linalg.inv(cells), axis=(1, 2))

    def exact(index: int, others: Indices) -> Floats:
        displacements = minimum_image(positions[others] - positions[index], frames.cells[index], frames.pbc[index])
        distances = np.sqrt((displacements**2).sum(axis=(1, 2)) / n_atoms)
        is_alike = (numbers[others] == numbers[index]).all(axis=1)
        is_alike &= np.abs(frames.cells[others] - frames.cells[index]).max(axis=(1, 2)) <= SAME_CELL
        return np.where(is_alike, distances, np.inf)

    return _Points(points, reaches, exact)


def _nearest_leaders(frames: _Points, threshold: float) -> tuple[Indices, Floats]:
    """Return for each frame the nearest earlier one that stays within the threshold, or itself, and the distance."""
    n_frames = len(frames.points)
    owner, distances = np.arange(n_frames), np.zeros(n_frames)
    stays = np.zeros(n_frames, dtype=bool)
    lengths = (frames.points**2).sum(axis=1)
    slack = ROUNDING * float(np.sqrt(lengths.max()))
    for start in range(0, n_frames, BLOCK):
        stop = min(start + BLOCK, n_frames)
        earlier = np.concatenate([np.flatnonzero(stays[:start]), np.arange(start, stop)])
        reaches = np.maximum(frames.reaches[start:stop, np.newaxis], frames.reaches[earlier]) + slack
        is_near = squared_distances(frames.points[start:stop], frames.points[earlier]) <= reaches**2
        is_near &= earlier < np.arange(start, stop)[:, np.newaxis]
        for index, row in zip(range(start, stop), is_near):
            candidates = earlier[row]
            candidates = candidates[stays[candidates]]
            found = frames.exact(index, candidates) if len(candidates) else np.array([np.inf])
            best = int(np.argmin(found))
            stays[index] = found[best] > threshold
            if not stays[index]:
                owner[index], distances[index] = candidates[best], found[best]
    return owner, distances


def _connected(points: Floats, tolerance: float) -> Indices:
    """Return for each point the first one it is connected to by steps of at most the tolerance."""
    n_points = len(points)
    points = points - points.mean(axis=0)
    reach = tolerance + ROUNDING * float(np.sqrt((points**2).sum(axis=1).max()))
    labels = np.arange(n_points)
    for start in range(0, n_points, BLOCK):
        stop = min(start + BLOCK, n_points)
        rows, columns = np.nonzero(squared_distances(points[start:stop], points[:stop]) <= reach**2)
        ends = np.concatenate([np.arange(n_points), rows + start]), np.concatenate([labels, columns])
        links = coo_array((np.ones(len(ends[0]), dtype=bool), ends), shape=(n_points, n_points))
        components = connected_components(links, directed=False)[1]
        labels = np.unique(components, return_index=True)[1][components]
    return np.asarray(labels, dtype=np.int64)
