"""What turns the sum over a stack of slabs into that of one slab between two vacua.

I.-C. Yeh and M. L. Berkowitz, J. Chem. Phys. 111, 3155 (1999), with the terms of a net charge of V. Ballenegger,
A. Arnold and J. J. Cerdà, J. Chem. Phys. 131, 094107 (2009), equation 15.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aiida_edl.science.electrostatics.charged_system import ChargedSystem, ChargedSystemError
from aiida_edl.science.frames import Floats

PARALLEL = 1e-8
"""Deviation of directions of unit length up to which cell vectors count as along z or in its plane."""
LEAST_VACUUM = 1.0
"""Share of the thickness of the charges that must be vacuum, however they are repeated in the plane."""
REPEATS = 2.5
"""Vacuum over the repeat in the plane where a cell is lengthened: exp(-5π), 10⁻⁷, of what is not flat is left."""


@dataclass(frozen=True)
class SlabCorrection:
    """A correction in e and Å, without the Coulomb constant."""

    energy: float
    """[e²/Å]."""
    forces: Floats
    """[e²/Å²], shape ``(n_atoms, 3)``."""
    potentials: Floats
    """Derivative by each charge [e/Å], shape ``(n_atoms,)``."""
    strain: Floats
    """Derivative by strain [e²/Å], shape ``(3, 3)``."""


def slab_correction(system: ChargedSystem) -> SlabCorrection:
    """Return the correction of a slab in the plane of the first two cell vectors.

    ``E = 2π/V (M² - Q Σ q z² - Q² L²/12)`` with the dipole ``M = Σ q z`` and the net charge ``Q``.

    :param system: charges open along the third cell vector.
    :raises ChargedSystemError: if another direction is open, the third cell vector is not along z, the others are not
        in its plane, or there is less vacuum than the slab is thick.
    """
    check_slab(system)
    charges, heights = system.charges, system.positions[:, 2]
    net, dipole = system.net_charge, float(charges @ heights)
    second, length = float(charges @ heights**2), abs(float(system.cell[2, 2]))
    factor = 2.0 * np.pi / system.volume
    energy = factor * (dipole**2 - net * second - net**2 * length**2 / 12.0)
    forces = np.zeros((len(charges), 3))
    forces[:, 2] = -2.0 * factor * charges * (dipole - net * heights)
    potentials = factor * (2.0 * heights * dipole - second - net * heights**2 - net * length**2 / 6.0)
    strain = energy * np.diag([-1.0, -1.0, 1.0])
    return SlabCorrection(energy, forces, potentials, strain)


def film_stretch(system: ChargedSystem) -> int:
    """Return the least factor of the third cell vector that makes it as long as :func:`film_length`.

    It is 1 for any other system. A whole number does not change while atoms move a little, and with so much vacuum the
    energy of a film hardly depends on it.

    :param system: charges, open along the third cell vector alone if they are a film.
    """
    length = abs(float(system.cell[2, 2]))
    if system.pbc.tolist() != [True, True, False] or length == 0.0 or np.linalg.det(system.cell[:2, :2]) == 0.0:
        return 1  # also of what is no slab, which check_slab tells
    return max(1, math.ceil(film_length(system.cell, system.positions[:, 2]) / length))


def film_length(cell: Floats, heights: Floats) -> float:
    """Return how long a cell must be for the images of a film to be flat sheets [Å].

    What is not flat of a film falls off as exp(-2π h/L) with the distance h and the longest repeat L in the plane.

    :param cell: cell vectors as rows [Å], shape ``(3, 3)``, the first two in the plane.
    :param heights: heights of the atoms [Å].
    """
    thickness = float(np.ptp(heights))
    plane = np.asarray(cell, dtype=np.float64)[:2, :2]
    repeat = float((1.0 / np.linalg.norm(np.linalg.inv(plane), axis=0)).max())
    return thickness + max(LEAST_VACUUM * thickness, REPEATS * repeat)


def check_slab(system: ChargedSystem) -> None:
    """Refuse what is not a slab with its normal along z between vacua.

    :raises ChargedSystemError: with what was given and what would be right.
    """
    if system.pbc.tolist() != [True, True, False]:
        raise ChargedSystemError(
            f'the system is periodic along {system.pbc.tolist()}, a slab must be along its first two cell vectors only'
        )
    if not system.cell[2].any():
        raise ChargedSystemError('the third cell vector vanishes; a slab needs one along z, longer than it is thick')
    directions = system.cell / np.linalg.norm(system.cell, axis=1, keepdims=True)
    if max(abs(directions[2, 0]), abs(directions[2, 1]), abs(directions[0, 2]), abs(directions[1, 2])) > PARALLEL:
        raise ChargedSystemError(
            f'the cell {system.cell.tolist()} is no slab with its normal along z: its third vector must be along z, '
            'the others in the plane'
        )
    thickness = float(np.ptp(system.positions[:, 2]))
    length = abs(float(system.cell[2, 2]))
    if length < (1.0 + LEAST_VACUUM) * thickness:
        raise ChargedSystemError(
            f'the slab is {thickness:.2f} Å thick in a cell of {length:.2f} Å; with less vacuum than its thickness its '
            f'images are no flat sheets: lengthen the third cell vector to {(1.0 + LEAST_VACUUM) * thickness:.2f} Å'
        )
