r"""Distribution of the angle between water and surface normal in the first layer.

.. math:: P(\theta) = \frac{\langle N(\theta, \theta + \Delta\theta) \rangle}{\langle N \rangle\, \Delta\theta}

per degree, so that its integral from 0° to 180° is one. Water without preferred orientation gives
:math:`(\pi / 360) \sin\theta`, not a constant; per radian it is half the sine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis.planar_bins import PlanarBins, Rows
from aiida_edl.science.frames import Floats

STRAIGHT_ANGLE = 180.0
"""Largest angle [degree]."""


def isotropic_distribution(angles: Floats) -> Floats:
    """Return the distribution of directions without preferred orientation [1/degree], which integrates to one.

    :param angles: angles to the normal [degree].

    >>> round(float(isotropic_distribution(np.arange(0.5, 180.0)).sum()), 4)
    1.0
    """
    return np.asarray(np.pi / (2.0 * STRAIGHT_ANGLE) * np.sin(np.radians(angles)))


def angles_in_degree(cosines: Floats) -> Floats:
    """Return angles between 0° and 180° from their cosines; NaN stays NaN.

    :param cosines: cosines; rounding beyond ±1 is cut.

    >>> float(angles_in_degree(np.array(-1.0)))
    180.0
    """
    return np.asarray(np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0))))


def angle_sums(cosines: Floats, inside: NDArray[np.bool_], bins: PlanarBins, rows: Rows) -> Floats:
    """Return the number of first-layer waters in each bin of the angle, shape ``(rows.count, n_bins)``.

    :param cosines: cos θ of each water, shape ``(n_frames, n_oxygen)``.
    :param inside: which waters lie in the first layer, same shape.
    :param bins: bins of the angle [degree], from 0 to 180.
    :param rows: row of each frame.
    """
    frame, _ = np.nonzero(inside)
    # The last bin holds its upper edge, or hydrogen that points straight at the metal would be lost.
    angles = np.minimum(angles_in_degree(cosines[inside]), np.nextafter(STRAIGHT_ANGLE, 0.0))
    return bins.sums(angles[:, None], Rows(rows.of_frame[frame], rows.count))
