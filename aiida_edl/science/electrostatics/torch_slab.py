"""What turns the sum over a stack of slabs into that of one slab, as a differentiable function.

The formula is that of :mod:`aiida_edl.science.electrostatics.slab_correction`. Heights are measured along the normal of
the first two cell vectors, which turns with them, so that a strain that tilts the slab costs nothing; the slab term of
torch-pme takes the Cartesian z, and gives a shear stress.

Needs torch.
"""

from __future__ import annotations

import math

import torch

from aiida_edl.science.electrostatics.torch_cell import cell_volume


def slab_potentials(positions: torch.Tensor, cell: torch.Tensor, charges: torch.Tensor) -> torch.Tensor:
    """Return what the correction adds to the potential at each charge, without the Coulomb constant [e/Å].

    With the dipole M, the second moment S and the net charge Q along the normal it is
    ``4π/V (z M - S/2 - Q z²/2 - Q L²/12)``.

    :param positions: Cartesian positions [Å], shape ``(n_atoms, 3)``.
    :param cell: cell vectors as rows [Å], shape ``(3, 3)``; the third along the normal of the others.
    :param charges: charges [e], shape ``(n_atoms, n_channels)``.
    :returns: dE/dq, shape ``(n_atoms, n_channels)``.
    """
    normal = torch.linalg.cross(cell[0], cell[1])
    area = torch.sqrt(torch.sum(normal**2))
    volume = cell_volume(cell)
    length = volume / area
    heights = (positions @ normal / area)[:, None]
    net = torch.sum(charges, dim=0)
    dipole = torch.sum(charges * heights, dim=0)
    second = torch.sum(charges * heights**2, dim=0)
    moments = heights * dipole - 0.5 * (second + net * heights**2) - net * length**2 / 12.0
    return 4.0 * math.pi / volume * moments
