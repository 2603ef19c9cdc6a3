r"""Distribution of the angle between water and surface normal in the first layer.

.. math:: P(\theta) = \frac{\langle N(\theta, \theta + \Delta\theta) \rangle}{\langle N \rangle\, \Delta\theta}

per degree, so that its integral from 0° to 180° is one. Water without preferred orientation gives
:math:`\tfrac12 \sin\theta`, not a constant.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis.atom_groups import Integers
from aiida_edl.science.analysis.planar_bins import PlanarBins
from aiida_edl.science.frames import Floats

STRAIGHT_ANGLE = 180.0
"""Largest angle [degree]."""


def angles_in_degree(cosines: Floats) -> Floats:
    """Return angles between 0° and 180° from their cosines; NaN stays NaN.

    :param cosines: cosines; rounding beyond ±1 is cut.

    >>> float(angles_in_degree(np.array(-1.0)))
    180.0
    """
    return np.asarray(np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0))))


def angle_sums(
    heights: Floats,
    cosines: Floats,
    is_water: NDArray[np.bool_],
    upper_bound: float,
    bins: PlanarBins,
    rows: Integers,
    n_rows: int,
) -> Floats:
    """Return the number of first-layer waters in each bin of the angle, shape ``(n_rows, n_bins)``.

    :param heights: heights of the oxygen atoms above the surface [Å], shape ``(n_frames, n_oxygen)``.
    :param cosines: cos θ of each water, same shape.
    :param is_water: which oxygen atoms are waters, same shape.
    :param upper_bound: height at which the first layer ends [Å].
    :param bins: bins of the angle [degree], from 0 to 180.
    :param rows: row of each frame, shape ``(n_frames,)``.
    :param n_rows: number of rows.
    """
    inside = is_water & np.isfinite(cosines) & (heights >= 0.0) & (heights < upper_bound)
    frame, _ = np.nonzero(inside)
    # The last bin holds its upper edge, or hydrogen that points straight at the metal would be lost.
    angles = np.minimum(angles_in_degree(cosines[inside]), np.nextafter(STRAIGHT_ANGLE, 0.0))
    return bins.sums(angles[:, None], rows[frame], n_rows, None)
