"""Volume and wave vectors as differentiable functions of the cell: the vectors of a mesh, and those within a sphere.

The volume is the triple product: the gradient of ``torch.linalg.det`` fails in single precision where torch's default
is double (torch 2.13).

Needs torch.
"""

from __future__ import annotations

import math

import torch


def cell_volume(cell: torch.Tensor) -> torch.Tensor:
    """Return the volume [Å³], a scalar.

    :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
    """
    return torch.abs(torch.dot(cell[0], torch.linalg.cross(cell[1], cell[2])))


def reciprocal_vectors(cell: torch.Tensor) -> torch.Tensor:
    """Return the reciprocal cell vectors as rows, with 2π [1/Å].

    :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
    """
    return 2.0 * math.pi * torch.linalg.inv(cell).T


def mesh_wave_vectors(cell: torch.Tensor, mesh: tuple[int, int, int]) -> torch.Tensor:
    """Return the wave vectors of a transform of real numbers on a mesh.

    The vector at the edge of the zone, of index N/2 or -N/2, is taken as the positive one along each axis, as
    :mod:`aiida_edl.science.electrostatics.compiled_sums` does.

    :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
    :param mesh: points along each cell vector.
    :returns: the vectors [1/Å], shape ``(n_x, n_y, n_z // 2 + 1, 3)``.
    """
    reciprocal = reciprocal_vectors(cell)
    along = []
    for axis, (count, kept) in enumerate(zip(mesh, (mesh[0], mesh[1], mesh[2] // 2 + 1))):
        index = torch.arange(kept, device=cell.device)
        index = torch.where(2 * index <= count, index, index - count)
        along.append(index.to(cell.dtype)[:, None] * reciprocal[axis])
    return along[0][:, None, None] + along[1][None, :, None] + along[2][None, None, :]


def sphere_wave_vectors(cell: torch.Tensor, k_cutoff: float) -> torch.Tensor:
    """Return the wave vectors up to a length: one of each pair ``k, -k``, and that of length zero first.

    Which vectors these are is no differentiable question: their number may jump when the cell changes.

    :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
    :param k_cutoff: longest wave vector [1/Å].
    :returns: the vectors [1/Å], shape ``(n_vectors, 3)``.
    """
    reciprocal = reciprocal_vectors(cell)
    with torch.no_grad():
        lengths = torch.linalg.norm(cell, dim=1)
        limits = torch.floor(lengths * (k_cutoff / (2.0 * math.pi))).long().tolist()
        axes = [torch.arange(-limit, limit + 1, device=cell.device, dtype=cell.dtype) for limit in limits]
        index = torch.cartesian_prod(*axes)
        index = index[len(index) // 2 :]  # in the order of the product the second half mirrors the first
        index = index[torch.sum((index @ reciprocal) ** 2, dim=1) <= k_cutoff**2]
    return index @ reciprocal
