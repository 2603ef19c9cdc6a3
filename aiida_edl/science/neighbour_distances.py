"""Sorted distances to the nearest neighbours: what tells frames apart whatever their orientation and order of atoms."""

from __future__ import annotations

import numpy as np
from ase.geometry import complete_cell
from scipy.spatial import cKDTree

from aiida_edl.science.frames import Floats, Frame, FrameSet

N_DISTANCES = 8
"""Nearest neighbours that are counted for each atom."""
CUTOFF_RADIUS = 5.0
"""Distance beyond which no neighbour is seen [Å]."""


def nearest_distances(frame: Frame, n_distances: int = N_DISTANCES, cutoff_radius: float = CUTOFF_RADIUS) -> Floats:
    """Return the distances of each atom to its nearest neighbours, periodic images among them, ascending.

    :param frame: the frame.
    :param n_distances: neighbours that are counted per atom.
    :param cutoff_radius: distance beyond which no neighbour is seen [Å].
    :return: distances [Å], infinite where there is no neighbour, shape ``(n_atoms, n_distances)``.
    """
    cell = np.asarray(complete_cell(frame.cell), dtype=np.float64)
    inverse = np.linalg.inv(cell)
    fractional = frame.positions @ inverse
    fractional = np.where(frame.pbc, fractional - np.floor(fractional), fractional)
    images = fractional
    for axis in np.flatnonzero(frame.pbc):
        reach = cutoff_radius * float(np.linalg.norm(inverse[:, axis]))
        shifts = np.arange(-np.ceil(reach), np.ceil(reach) + 1.0)
        shifted = np.repeat(images[np.newaxis], len(shifts), axis=0)
        shifted[:, :, axis] += shifts[:, np.newaxis]
        along = shifted[:, :, axis]
        images = shifted[(along >= -reach) & (along <= 1.0 + reach)]
    tree = cKDTree(images @ cell, balanced_tree=False, compact_nodes=False)
    distances = tree.query(fractional @ cell, k=n_distances + 1, distance_upper_bound=cutoff_radius)[0]
    # The first neighbour of each atom is itself.
    return np.asarray(distances[:, 1:], dtype=np.float64)


def sorted_distance_descriptors(
    frames: FrameSet, n_distances: int = N_DISTANCES, cutoff_radius: float = CUTOFF_RADIUS
) -> Floats:
    """Return for each frame and element the mean and the spread of the inverse sorted distances to the neighbours.

    Unchanged by translation, rotation, exchange of equal atoms and choice of the image. Neighbours beyond the cutoff
    count as infinitely far, an element that is absent as one without neighbours. Frames of any compositions compare.

    :param frames: the frames.
    :param n_distances: nearest neighbours that are counted per atom.
    :param cutoff_radius: distance beyond which no neighbour is seen [Å].
    :return: inverse distances [1/Å], infinite where atoms coincide, shape ``(n_frames, n_elements * 2 *
        n_distances)``.
    """
    elements = np.unique(frames.numbers)
    rows = np.zeros((len(frames), len(elements), 2, n_distances))
    for row, frame in zip(rows, frames):
        distances = nearest_distances(frame, n_distances, cutoff_radius)
        if not distances.all():
            row[:] = np.inf
            continue
        inverse = 1.0 / distances
        for column, element in enumerate(elements):
            if (of_element := inverse[frame.numbers == element]).size:
                row[column, 0], row[column, 1] = of_element.mean(axis=0), of_element.std(axis=0)
    return rows.reshape(len(frames), -1)


def neighbour_fingerprints(
    frames: FrameSet, n_distances: int = N_DISTANCES, cutoff_radius: float = CUTOFF_RADIUS
) -> Floats:
    r"""Return a vector for each of several frames of one composition, such that distances between them are in Å.

    For each element and each rank of neighbour the distances of all atoms of that element, sorted and capped at the
    cutoff. The Euclidean distance of two such vectors is the root mean square, over atoms and neighbours, of the change
    of these distances, under the assignment of atoms that makes it smallest rank by rank. As sorting and capping never
    enlarge a difference, it is at most twice the largest displacement of an atom. Unchanged by translation, rotation,
    exchange of equal atoms and choice of the image. The capped distance is continuous: an atom that crosses the cutoff
    changes it little.

    :param frames: frames of one composition, atoms in any order.
    :param n_distances: nearest neighbours that are counted per atom.
    :param cutoff_radius: distance at which the others are capped [Å].
    :return: shape ``(n_frames, n_atoms * n_distances)`` [Å], divided by the root of the number of columns.
    :raises ValueError: if the compositions differ.
    """
    n_atoms = int(frames.offsets[1])
    composition = np.sort(frames.numbers[:n_atoms])
    rows = np.empty((len(frames), n_atoms, n_distances))
    for index, (row, frame) in enumerate(zip(rows, frames)):
        if not np.array_equal(np.sort(frame.numbers), composition):
            raise ValueError(f'frame {index} has another composition than frame 0; compare frames of one composition')
        distances = np.minimum(nearest_distances(frame, n_distances, cutoff_radius), cutoff_radius)
        for number in np.unique(composition):
            row[composition == number] = np.sort(distances[frame.numbers == number], axis=0)
    rows /= np.sqrt(n_atoms * n_distances)
    return rows.reshape(len(frames), -1)
