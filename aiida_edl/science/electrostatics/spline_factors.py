"""By how much an influence function undoes what splines do to charges: a number for each index along an axis."""

from __future__ import annotations

import numpy as np

from aiida_edl.science.frames import Floats

ALIASES = 8
"""Images of a wave vector on each side that are summed in the influence function; the next is below 1e-6 of it."""


def spline_factors(count: int, nodes: int) -> Floats:
    """Return by which factor the influence function along one axis undoes spreading and interpolation by splines.

    With the transform ``U_m = sinc(n/N + m)^p`` of the spline at the images ``m`` of index ``n``, it is
    ``U_0² / (Σ_m U_m²)²`` (Ballenegger, Cerdà and Holm, J. Chem. Theory Comput. 8, 936 (2012), equation 28, for a
    potential that has no weight beyond the mesh). It depends on the index alone, so it holds in sheared cells.

    :param count: mesh points N along the axis.
    :param nodes: order p of the splines.
    :returns: the factors in the order of a discrete Fourier transform, shape ``(count,)``.

    >>> spline_factors(4, 3).round(3).tolist()
    [1.0, 1.872, 3.745, 1.872]
    """
    index = np.fft.fftfreq(count)
    squares = np.sinc(index[:, None] + np.arange(-ALIASES, ALIASES + 1)) ** (2 * nodes)
    return np.asarray(squares[:, ALIASES] / squares.sum(axis=1) ** 2)
