"""The electrostatic potential on both sides of a film: its levels, and the fields that should not be there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiida_edl.science.frames import Floats

DENSITY_TAIL = 3.0
"""Distance from the outermost atom within which the potential is that of its electrons [Å]; chosen here."""
MINIMUM_POINTS = 4
"""Points from which a field is taken."""


@dataclass(frozen=True)
class VacuumPotential:
    """The vacuum below and above a film; NaN where there is too little of it."""

    levels: Floats
    """Mean potential energy of an electron [eV], shape ``(2,)``."""
    fields: Floats
    """Electric field along z [V/Å], shape ``(2,)``: by how much the potential energy of an electron rises along z."""


def vacuum_potential(heights: Floats, profile: Floats, lowest: float, highest: float) -> VacuumPotential:
    r"""Return levels and fields of the vacuum on both sides.

    .. math:: E_z = -\frac{\mathrm{d}\phi}{\mathrm{d}z} = \frac{1}{e} \frac{\mathrm{d}U}{\mathrm{d}z}, \quad U = -e \phi

    :param heights: ascending positions along z [Å], shape ``(n_points,)``; the film is between the first and the last.
    :param profile: planar average of the potential energy of an electron there [eV], shape ``(n_points,)``.
    :param lowest: height of the lowest atom [Å].
    :param highest: height of the highest atom [Å].
    """
    levels, fields = np.full(2, np.nan), np.full(2, np.nan)
    for side, is_there in enumerate((heights < lowest - DENSITY_TAIL, heights > highest + DENSITY_TAIL)):
        if is_there.sum() >= MINIMUM_POINTS:
            levels[side] = profile[is_there].mean()
            fields[side] = np.polyfit(heights[is_there], profile[is_there], 1)[0]
    return VacuumPotential(levels, fields)
