"""Charges to a mesh and potentials back, by B-splines: compiled for one order of splines at a time.

That the number of nodes is known when a loop is compiled makes it twice as fast. A kernel is compiled when its order is
first asked for, and kept in the cache of numba.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import njit

from aiida_edl.science.electrostatics.compiled_sums import spline_weights


@cache
def spread_of(nodes: int) -> Callable[..., None]:
    """Return the kernel that adds point charges to a mesh: ``(fractions, charges, mesh)``.

    ``fractions`` are fractional coordinates from 0 to 1, shape ``(n_atoms, 3)``, ``mesh`` is the result [e].

    :param nodes: order of the splines.
    """

    @njit('void(float64[:, ::1], float64[::1], float64[:, :, ::1])', cache=True, fastmath={'contract'})
    def spread_charges(fractions: Any, charges: Any, mesh: Any) -> None:
        n_x, n_y, n_z = mesh.shape
        weights, slopes = np.empty((3, nodes)), np.empty(nodes)
        first = np.empty(3, dtype=np.int64)
        for atom in range(fractions.shape[0]):
            for axis in range(3):
                place = fractions[atom, axis] * mesh.shape[axis]
                first[axis] = math.floor(place)
                spline_weights(place - first[axis], nodes, weights[axis], slopes)
                first[axis] %= mesh.shape[axis]
            is_inside = first[2] + nodes <= n_z
            for i in range(nodes):
                x = first[0] + i
                if x >= n_x:
                    x -= n_x
                x_weight = charges[atom] * weights[0, i]
                for j in range(nodes):
                    y = first[1] + j
                    if y >= n_y:
                        y -= n_y
                    weight = x_weight * weights[1, j]
                    if is_inside:
                        for k in range(nodes):
                            mesh[x, y, first[2] + k] += weight * weights[2, k]
                    else:
                        for k in range(nodes):
                            mesh[x, y, (first[2] + k) % n_z] += weight * weights[2, k]

    return spread_charges


@cache
def gather_of(nodes: int) -> Callable[..., None]:
    """Return the kernel that interpolates a mesh to points: ``(fractions, mesh, potentials, gradients)``.

    The results are potentials [e/Å], shape ``(n_atoms,)``, and gradients by fractional coordinates [e/Å], shape
    ``(n_atoms, 3)``.

    :param nodes: order of the splines.
    """

    @njit(
        'void(float64[:, ::1], float64[:, :, ::1], float64[::1], float64[:, ::1])',
        cache=True,
        fastmath={'contract', 'reassoc', 'nsz'},
    )
    def gather_potentials(fractions: Any, mesh: Any, potentials: Any, gradients: Any) -> None:
        n_x, n_y, n_z = mesh.shape
        weights, slopes = np.empty((3, nodes)), np.empty((3, nodes))
        first = np.empty(3, dtype=np.int64)
        for atom in range(fractions.shape[0]):
            for axis in range(3):
                place = fractions[atom, axis] * mesh.shape[axis]
                first[axis] = math.floor(place)
                spline_weights(place - first[axis], nodes, weights[axis], slopes[axis])
                first[axis] %= mesh.shape[axis]
            is_inside = first[2] + nodes <= n_z
            value, along_x, along_y, along_z = 0.0, 0.0, 0.0, 0.0
            for i in range(nodes):
                x = first[0] + i
                if x >= n_x:
                    x -= n_x
                plane, y_slope, z_slope = 0.0, 0.0, 0.0
                for j in range(nodes):
                    y = first[1] + j
                    if y >= n_y:
                        y -= n_y
                    here, slope = 0.0, 0.0
                    if is_inside:
                        for k in range(nodes):
                            node = mesh[x, y, first[2] + k]
                            here += node * weights[2, k]
                            slope += node * slopes[2, k]
                    else:
                        for k in range(nodes):
                            node = mesh[x, y, (first[2] + k) % n_z]
                            here += node * weights[2, k]
                            slope += node * slopes[2, k]
                    plane += weights[1, j] * here
                    y_slope += slopes[1, j] * here
                    z_slope += weights[1, j] * slope
                value += weights[0, i] * plane
                along_x += slopes[0, i] * plane
                along_y += weights[0, i] * y_slope
                along_z += weights[0, i] * z_slope
            potentials[atom] = value
            gradients[atom, 0] = along_x * n_x
            gradients[atom, 1] = along_y * n_y
            gradients[atom, 2] = along_z * n_z

    return gather_potentials
