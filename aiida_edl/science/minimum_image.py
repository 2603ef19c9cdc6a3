"""Shortest displacements in a periodic cell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.frames import Floats


def minimum_image(displacements: Floats, cell: Floats, pbc: NDArray[np.bool_]) -> Floats:
    """Return displacements folded back by whole cell vectors, exact for those below half the smallest cell height.

    :param displacements: Cartesian displacements [Å], shape ``(..., 3)``.
    :param cell: cell vectors as rows [Å], shape ``(3, 3)``; vectors along open directions may be zero.
    :param pbc: periodicity along the cell vectors, shape ``(3,)``.
    """
    if not pbc.any():
        return displacements
    periodic = cell[pbc]
    fractional = displacements @ np.linalg.pinv(periodic)
    folded: Floats = displacements - np.round(fractional) @ periodic
    return folded


def minimum_image_of_frames(vectors: Floats, cells: Floats, pbc: NDArray[np.bool_]) -> Floats:
    """Return what :func:`minimum_image` does for many frames, in one pass and faster if all cells are the same.

    :param vectors: vectors [Å], shape ``(n_frames, n_vectors, 3)``.
    :param cells: cell vectors as rows [Å], shape ``(n_frames, 3, 3)``; none may vanish.
    :param pbc: periodicity along the cell vectors, shape ``(n_frames, 3)``.
    """
    if np.all(cells == cells[0]):
        shifts = np.rint(vectors @ np.linalg.inv(cells[0])) * pbc[:, None, :]
        return np.asarray(vectors - shifts @ cells[0], dtype=np.float64)
    shifts = np.rint(vectors @ np.linalg.inv(cells)) * pbc[:, None, :]
    return np.asarray(vectors - shifts @ cells)
