r"""Number and mass densities along the surface normal.

.. math:: n(z) = \frac{\langle N(z, z + \Delta z) \rangle}{A\,\Delta z}, \qquad \rho(z) = m\,n(z)

with the number N of atoms in the bin, the lateral area A and the bin width Δz. The mass density of water counts the
mass of a whole molecule at its oxygen, and only oxygen with exactly two hydrogen.
"""

from __future__ import annotations

import numpy as np
from ase.data import atomic_masses, atomic_numbers
from numpy.typing import NDArray

from aiida_edl.science import units
from aiida_edl.science.analysis.planar_bins import PlanarBins, Rows
from aiida_edl.science.frames import Floats


def atomic_mass(symbol: str) -> float:
    """Return the standard atomic mass [u].

    :param symbol: chemical symbol.

    >>> atomic_mass('O')
    15.999
    """
    return float(atomic_masses[atomic_numbers[symbol]])


WATER_MASS = atomic_mass('O') + 2 * atomic_mass('H')
"""Mass of a water molecule [u], 18.015."""


def mass_density(number_density: Floats, mass: float) -> Floats:
    """Return a mass density [g/cm³] from a number density.

    :param number_density: number density [1/Å³].
    :param mass: mass of one particle [u].

    >>> round(float(mass_density(0.033, WATER_MASS)), 3)  # liquid water
    0.987
    """
    return np.asarray(number_density * (mass * units.GRAM_PER_CM3_PER_U_PER_ANGSTROM3))


def number_density_sums(
    heights: Floats,
    areas: Floats,
    bins: PlanarBins,
    rows: Rows,
    mask: NDArray[np.bool_] | None = None,
) -> Floats:
    """Return number densities summed over the frames of each row [1/Å³], shape ``(rows.count, n_bins)``.

    Divided by the number of frames, they are the number density.

    :param heights: heights above the surface [Å], shape ``(n_frames, n_members)``.
    :param areas: lateral area of each frame [Å²], shape ``(n_frames,)``.
    :param bins: bins along the normal.
    :param rows: row of each frame.
    :param mask: which members count, shape ``(n_frames, n_members)``; None for all.
    """
    return bins.sums(heights, rows, 1.0 / (areas * bins.width)[:, None], mask)
