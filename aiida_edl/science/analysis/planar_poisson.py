r"""Electric field and potential of charges averaged over planes, without error from the width of the bins.

For charges :math:`q_i` at :math:`z_i` over the area A, with the field E₀ below all of them,

.. math::
    E(z) = E_0 + \frac{1}{\varepsilon_0 A} \sum_{z_i < z} q_i, \qquad
    \phi(z) = -E_0 (z - z_0) - \frac{1}{\varepsilon_0 A} \sum_{z_i < z} q_i (z - z_i).

Both sums follow at the edges of bins from the charge and the first moment of the charge in each bin, so no shape of the
charge within a bin is assumed. Along an open direction, or where a vacuum cuts the cell, :math:`E_0 = 0`: the field
vanishes on both sides of a neutral film, whatever its dipole, as a slab-dipole correction has it. In a cell that is
periodic E₀ follows from :math:`\phi(z_0 + L) = \phi(z_0)`. That is the Fourier solution without its term k = 0, in
closed form; to integrate twice from a field of zero instead misses closure by :math:`M_z / (\varepsilon_0 A)` with the
dipole M.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.integrate import trapezoid

from aiida_edl.science import units
from aiida_edl.science.frames import Floats


@dataclass(frozen=True)
class PlanarPotential:
    """Field and potential at the edges of bins; leading axes, such as blocks of frames, are those of the charges."""

    field: Floats
    """Electric field along the normal [V/Å], shape ``(..., n_bins + 1)``."""
    potential: Floats
    """Electrostatic potential [V], zero at the first edge, shape ``(..., n_bins + 1)``."""


def planar_potential(charge: Floats, moment: Floats, edges: Floats, *, is_periodic: bool) -> PlanarPotential:
    """Return field and potential of charges whose sums over bins are given.

    :param charge: charge of each bin per area [e/Å²], shape ``(..., n_bins)``.
    :param moment: sum of charge times position per area [e/Å], same shape; positions are those of ``edges``.
    :param edges: edges of the bins, ascending [Å], shape ``(n_bins + 1,)``; a period apart where the cell is periodic.
    :param is_periodic: whether the potential repeats; else the field below the first edge is zero.

    >>> sheets = planar_potential(np.array([0.1, -0.1]), np.array([0.0, -0.1]), np.arange(3.0), is_periodic=False)
    >>> np.round(sheets.field * units.VACUUM_PERMITTIVITY, 12).tolist()  # sheets at 0 and 1
    [0.0, 0.1, 0.0]
    """
    zero = np.zeros((*charge.shape[:-1], 1))
    total = np.concatenate([zero, np.cumsum(charge, axis=-1)], axis=-1)
    moments = np.concatenate([zero, np.cumsum(moment, axis=-1)], axis=-1)
    field = total / units.VACUUM_PERMITTIVITY
    potential = -(edges * total - moments) / units.VACUUM_PERMITTIVITY
    if is_periodic:
        closing = potential[..., -1:] / (edges[-1] - edges[0])
        field = field + closing
        potential = potential - closing * (edges - edges[0])
    return PlanarPotential(field, potential)


def region_mean(values: Floats, edges: Floats, lower: float, upper: float) -> Floats:
    """Return the mean over a region of a function that is linear between the edges, shape ``values.shape[:-1]``.

    :param values: values at the edges, shape ``(..., n_bins + 1)``.
    :param edges: ascending edges [Å], shape ``(n_bins + 1,)``.
    :param lower: lower end of the region [Å], not below the first edge.
    :param upper: upper end of the region [Å], not above the last edge.
    """
    nodes = np.unique(np.concatenate([[lower, upper], edges[(edges > lower) & (edges < upper)]]))
    after = np.clip(np.searchsorted(edges, nodes, side='right'), 1, len(edges) - 1)
    share = (nodes - edges[after - 1]) / (edges[after] - edges[after - 1])
    at_nodes = values[..., after - 1] * (1.0 - share) + values[..., after] * share
    return np.asarray(trapezoid(at_nodes, nodes, axis=-1) / (upper - lower), dtype=np.float64)
