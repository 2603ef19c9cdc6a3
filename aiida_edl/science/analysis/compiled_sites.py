"""Compiled search for the nearest site; imported by :mod:`~aiida_edl.science.analysis.site_assignment` alone."""

# ruff: noqa: PLR0917  (calls within inner loops cost more than the work)

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, error_model='numpy', forceinline=True)
def _squared_distance(x: Any, y: Any, z: Any, cell: Any) -> Any:
    """Return the squared length of a scaled vector folded to the nearest image by its coordinates [Å²]."""
    x, y, z = x - np.rint(x), y - np.rint(y), z - np.rint(z)
    first = x * cell[0, 0] + y * cell[1, 0] + z * cell[2, 0]
    second = x * cell[0, 1] + y * cell[1, 1] + z * cell[2, 1]
    third = x * cell[0, 2] + y * cell[1, 2] + z * cell[2, 2]
    return first * first + second * second + third * third


@njit(cache=True, error_model='numpy', nogil=True)
def nearest_sites(
    scaled: Any,
    sites: Any,
    cell: Any,
    neighbours: Any,
    apart: Any,
    complete: Any,
    hint: Any,
    nearest: Any,
    squared: Any,
) -> None:
    """Find the nearest site of each atom in each frame; see :func:`site_assignment.nearest_sites`.

    By the triangle inequality a site is nearer than the site k at the distance d only if it is closer than 2 d to k:
    neighbours of the site of the frame before are tried in the order of their distances, until that is no longer so.

    :param scaled: positions, shape ``(n_frames, n_atoms, 3)``.
    :param sites: positions, shape ``(n_sites, 3)``.
    :param cell: cell vectors as rows [Å].
    :param neighbours: other sites by ascending distance, shape ``(n_sites, n_neighbours)``.
    :param apart: their distances [Å].
    :param complete: distance up to which the lists hold all sites [Å], shape ``(n_sites,)``.
    :param hint: site of each atom in the frame before, and result for the last frame, shape ``(n_atoms,)``.
    :param nearest: result, shape ``(n_frames, n_atoms)``.
    :param squared: squared distances [Å²], same shape.
    """
    n_frames, n_atoms = nearest.shape
    for frame in range(n_frames):
        for atom in range(n_atoms):
            x, y, z = scaled[frame, atom, 0], scaled[frame, atom, 1], scaled[frame, atom, 2]
            k = hint[atom]
            best, least = k, _squared_distance(x - sites[k, 0], y - sites[k, 1], z - sites[k, 2], cell)
            reach = 2.0 * np.sqrt(least) * (1.0 + 1e-9)
            if reach >= complete[k]:
                for j in range(sites.shape[0]):
                    value = _squared_distance(x - sites[j, 0], y - sites[j, 1], z - sites[j, 2], cell)
                    if value < least or (value == least and j < best):
                        best, least = j, value
            else:
                for index in range(neighbours.shape[1]):
                    if apart[k, index] > reach:
                        break
                    j = neighbours[k, index]
                    value = _squared_distance(x - sites[j, 0], y - sites[j, 1], z - sites[j, 2], cell)
                    if value < least or (value == least and j < best):
                        best, least = j, value
            hint[atom] = best
            nearest[frame, atom] = best
            squared[frame, atom] = least
