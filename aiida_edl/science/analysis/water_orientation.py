r"""Orientation of water against the surface normal.

A water is located at its oxygen. Its direction **u** is the sum of the two O→H vectors, a geometric direction into
which no charges enter; the normal **n** points from the metal into the liquid, at the upper surface too. Then

.. math:: \cos\theta = \frac{\mathbf u \cdot \mathbf n}{|\mathbf u|},

so cos θ > 0 means that hydrogen points away from the metal. ⟨cos θ⟩(z) is the mean over the waters in a bin;
ρ(z) cos θ is the sum over them, per volume.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis.atom_groups import HydrogenAssignment
from aiida_edl.science.analysis.kernels import compiled_kernels, writable
from aiida_edl.science.analysis.planar_bins import PlanarBins, Rows
from aiida_edl.science.frames import Floats


def dipole_cosines(directions: Floats, normals: Floats, sign: int) -> Floats:
    """Return cos θ of each water, shape ``(n_frames, n_oxygen)``; NaN where a direction vanishes.

    :param directions: sums of O→H vectors [Å], shape ``(n_frames, n_oxygen, 3)``.
    :param normals: unit normals of the lower surface, shape ``(n_frames, 3)``.
    :param sign: +1 at the lower surface, -1 at the upper one, where the normal is reversed.
    """
    along = np.einsum('fox,fx->fo', directions, normals) * sign
    lengths = np.sqrt(np.einsum('fox,fox->fo', directions, directions))
    return np.asarray(np.divide(along, lengths, out=np.full_like(along, np.nan), where=lengths > 0))


def cosines_of(hydrogen: HydrogenAssignment, normals: Floats) -> Floats:
    """Return cos θ of each oxygen against the normal of the lower surface; NaN where a direction vanishes.

    At the upper surface the sign is reversed.

    :param hydrogen: to which oxygen each hydrogen belongs.
    :param normals: unit normals of the lower surface, shape ``(n_frames, 3)``.
    :return: shape ``(n_frames, n_oxygen)``.
    """
    if (kernels := compiled_kernels()) is None:
        return dipole_cosines(hydrogen.dipole_directions, normals, +1)
    cosines = np.empty(hydrogen.hydrogen_counts.shape)
    kernels.dipole_cosines(hydrogen.owners, hydrogen.bonds, writable(normals, 'C'), cosines)
    return cosines


def orientation_sums(
    heights: Floats,
    cosines: Floats,
    is_water: NDArray[np.bool_],
    bins: PlanarBins,
    rows: Rows,
) -> tuple[Floats, Floats]:
    """Return the sum of cos θ and the number of waters in each bin, both of shape ``(rows.count, n_bins)``.

    Their ratio is ⟨cos θ⟩(z).

    :param heights: heights of the oxygen atoms above the surface [Å], shape ``(n_frames, n_oxygen)``.
    :param cosines: result of :func:`dipole_cosines`, same shape.
    :param is_water: which oxygen atoms are waters, same shape.
    :param bins: bins along the normal.
    :param rows: row of each frame.
    """
    counted = is_water & np.isfinite(cosines)
    return bins.sums(heights, rows, cosines, counted), bins.sums(heights, rows, mask=counted)


def in_first_layer(
    heights: Floats, cosines: Floats, is_water: NDArray[np.bool_], upper_bound: float
) -> NDArray[np.bool_]:
    """Return which waters lie in the first layer, shape ``(n_frames, n_oxygen)``.

    :param heights: heights of the oxygen atoms above the surface [Å], shape ``(n_frames, n_oxygen)``.
    :param cosines: result of :func:`dipole_cosines`, same shape.
    :param is_water: which oxygen atoms are waters, same shape.
    :param upper_bound: height at which the first layer ends [Å].
    """
    return np.asarray(is_water & np.isfinite(cosines) & (heights >= 0.0) & (heights < upper_bound))


def layer_sums(cosines: Floats, inside: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return the number of waters in the first layer of each frame, and their sum of cos θ, both ``(n_frames,)``.

    :param cosines: result of :func:`dipole_cosines`, shape ``(n_frames, n_oxygen)``.
    :param inside: result of :func:`in_first_layer`.
    """
    return inside.sum(axis=1).astype(np.float64), np.where(inside, cosines, 0.0).sum(axis=1)
