"""Choose few frames out of many: evenly, at random, or as different from each other as possible; seeded."""

from __future__ import annotations

from enum import Enum

import numpy as np
from ase.neighborlist import primitive_neighbor_list
from numpy.typing import ArrayLike, NDArray

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.frames import Floats, FrameSet

Indices = NDArray[np.int64]


class SelectionMethod(str, Enum):
    """How frames are chosen."""

    EVENLY_SPACED = 'evenly_spaced'
    RANDOM = 'random'
    FARTHEST_POINT = 'farthest_point'


class SelectionError(ValueError):
    """A selection that cannot be made; the message says why and what could be."""


def _check_size(n_selected: int, n_frames: int) -> None:
    if not 1 <= n_selected <= n_frames:
        raise SelectionError(f'{n_selected} frames are asked for out of {n_frames}; ask for 1 to {n_frames}')


def select_evenly_spaced(n_frames: int, n_selected: int) -> Indices:
    """Return indices at equal distances, first and last frame among them.

    :param n_frames: number of frames to choose from.
    :param n_selected: number of frames to choose; a single one is the last.
    :raises SelectionError: if that many cannot be chosen.

    >>> select_evenly_spaced(11, 3).tolist()
    [0, 5, 10]
    """
    _check_size(n_selected, n_frames)
    if n_selected == 1:
        return np.array([n_frames - 1], dtype=np.int64)
    return np.round(np.linspace(0, n_frames - 1, n_selected)).astype(np.int64)


def select_random(n_frames: int, n_selected: int, seed: int) -> Indices:
    """Return indices drawn without repetition, ascending.

    :param n_frames: number of frames to choose from.
    :param n_selected: number of frames to choose.
    :param seed: seed of the draw.
    :raises SelectionError: if that many cannot be chosen.
    """
    _check_size(n_selected, n_frames)
    return np.sort(np.random.default_rng(seed).choice(n_frames, size=n_selected, replace=False)).astype(np.int64)


def select_farthest_points(descriptors: ArrayLike, n_selected: int, seed: int) -> Indices:
    """Return indices of points, each the farthest from all that were chosen before it; the first is drawn.

    Distances are Euclidean between the descriptors as given: scale their columns before if these differ in unit.
    Source: T. F. Gonzalez, Theor. Comput. Sci. 38, 293 (1985).

    :param descriptors: one row per frame, shape ``(n_frames, n_features)``.
    :param n_selected: number of frames to choose.
    :param seed: seed of the first point.
    :return: indices in the order of choice, so that any first part of them is itself such a selection.
    :raises SelectionError: if that many cannot be chosen, or the descriptors are not a finite table.
    """
    points = np.asarray(descriptors, dtype=np.float64)
    if points.ndim != 2:
        raise SelectionError(f'descriptors have shape {points.shape}; give one row per frame')
    if not np.isfinite(points).all():
        raise SelectionError('descriptors hold values that are not finite; remove those frames first')
    _check_size(n_selected, len(points))
    chosen = [int(np.random.default_rng(seed).integers(len(points)))]
    distances = np.linalg.norm(points - points[chosen[0]], axis=1)
    distances[chosen[0]] = -1.0
    while len(chosen) < n_selected:
        chosen.append(int(np.argmax(distances)))
        distances = np.minimum(distances, np.linalg.norm(points - points[chosen[-1]], axis=1))
        distances[chosen[-1]] = -1.0
    return np.array(chosen, dtype=np.int64)


def sorted_distance_descriptors(frames: FrameSet, n_distances: int = 8, cutoff_radius: float = 5.0) -> Floats:
    """Return for each frame and element the mean and the spread of the inverse sorted distances to the neighbours.

    Unchanged by translation, rotation, exchange of equal atoms and choice of the image. Neighbours beyond the cutoff
    count as infinitely far, an element that is absent as one without neighbours.

    :param frames: the frames.
    :param n_distances: nearest neighbours that are counted per atom.
    :param cutoff_radius: distance beyond which no neighbour is seen [Å].
    :return: inverse distances [1/Å], shape ``(n_frames, n_elements * 2 * n_distances)``.
    """
    elements = np.unique(frames.numbers)
    rows = np.zeros((len(frames), len(elements), 2, n_distances))
    for row, frame in zip(rows, frames):
        first, distances = primitive_neighbor_list('id', frame.pbc, frame.cell, frame.positions, cutoff_radius)
        order = np.lexsort((distances, first))
        first, distances = first[order], distances[order]
        starts = np.searchsorted(first, np.arange(len(frame.numbers)))
        ranks = np.arange(len(first)) - starts[first]
        is_near = ranks < n_distances
        inverse = np.zeros((len(frame.numbers), n_distances))
        inverse[first[is_near], ranks[is_near]] = 1.0 / distances[is_near]
        for column, element in enumerate(elements):
            if (of_element := inverse[frame.numbers == element]).size:
                row[column, 0], row[column, 1] = of_element.mean(axis=0), of_element.std(axis=0)
    return rows.reshape(len(frames), -1)


def select_frames(
    frames: FrameSet,
    n_selected: int,
    method: SelectionMethod | str,
    seed: int,
    descriptors: ArrayLike | None = None,
) -> Indices:
    """Return the indices of chosen frames, ascending.

    :param frames: the frames to choose from.
    :param n_selected: number of frames to choose.
    :param method: how to choose.
    :param seed: seed of the draw; even spacing has none to use.
    :param descriptors: one row per frame for farthest points; sorted distances if None.
    :raises SelectionError: if that many cannot be chosen, the method is unknown or the descriptors do not fit.
    """
    known = [member.value for member in SelectionMethod]
    if method not in known:
        raise SelectionError(unknown_name_message('selection method', str(method), known))
    if SelectionMethod(method) is SelectionMethod.EVENLY_SPACED:
        return select_evenly_spaced(len(frames), n_selected)
    if SelectionMethod(method) is SelectionMethod.RANDOM:
        return select_random(len(frames), n_selected, seed)
    _check_size(n_selected, len(frames))
    points = sorted_distance_descriptors(frames) if descriptors is None else np.asarray(descriptors, dtype=np.float64)
    if len(points) != len(frames):
        raise SelectionError(
            f'{len(points)} rows of descriptors are given for {len(frames)} frames; give one per frame'
        )
    return np.sort(select_farthest_points(points, n_selected, seed))
