"""Frames as points whose distances are never larger than those of the atoms: what is far there is far."""

from __future__ import annotations

import numpy as np
from ase.geometry import complete_cell
from numpy.typing import NDArray

from aiida_edl.science.frames import Floats


def periodic_points(positions: Floats, cells: Floats, pbc: NDArray[np.bool_]) -> Floats:
    r"""Return one point per frame; distances between them are lower bounds of minimum-image displacements.

    A fractional coordinate along a periodic vector becomes a point on a circle whose circumference is the length of the
    vector, as :math:`2 \sin(\pi\Delta s) \le 2\pi\Delta s` whatever whole number is added to :math:`\Delta s`; along an
    open one it stays on a line. The bound

    .. math:: |p_f - p_g|^2 \le \sum_a |\Delta\mathbf r_a|^2

    holds for every choice of images if the cells are the same. It is tight where the vectors are at right angles; else
    lengths shrink by the root of the smallest eigenvalue of their matrix of cosines.

    :param positions: Cartesian positions [Å], shape ``(n_frames, n_atoms, 3)``.
    :param cells: cell vectors as rows [Å], shape ``(n_frames, 3, 3)``; those of open directions may be zero.
    :param pbc: periodicity along the cell vectors, of all frames, shape ``(3,)``.
    :return: points [Å], shape ``(n_frames, 6 * n_atoms)``.
    """
    complete = np.stack([np.asarray(complete_cell(cell), dtype=np.float64) for cell in cells])
    lengths = np.linalg.norm(complete, axis=2).mean(axis=0)
    scaled = complete / lengths[:, np.newaxis]
    smallest = np.linalg.eigvalsh(scaled @ scaled.transpose(0, 2, 1))[:, 0].min()
    angles = 2.0 * np.pi * (positions @ np.linalg.inv(complete))
    points = np.empty((len(positions), 2, *positions.shape[1:]))
    points[:, 0] = np.where(pbc, np.sin(angles), angles)
    points[:, 1] = np.where(pbc, np.cos(angles), 0.0)
    points *= lengths * np.sqrt(smallest) / (2.0 * np.pi)
    return points.reshape(len(positions), -1)


def squared_distances(first: Floats, second: Floats) -> Floats:
    """Return the squared distances of points, by one product of matrices.

    :param first: shape ``(n_first, n_features)``.
    :param second: shape ``(n_second, n_features)``.
    :return: exact to the rounding of the squared lengths, so that some may be negative; shape ``(n_first, n_second)``.
    """
    lengths = (first**2).sum(axis=1)[:, np.newaxis] + (second**2).sum(axis=1)
    squares: Floats = lengths - 2.0 * (first @ second.T)
    return squares
