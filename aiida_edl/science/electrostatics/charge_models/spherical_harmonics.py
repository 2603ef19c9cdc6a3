"""Real spherical harmonics as polynomials of unit vectors.

Needs torch.
"""

from __future__ import annotations

import math

import torch


def real_spherical_harmonics(directions: torch.Tensor, max_angular: int) -> list[torch.Tensor]:
    """Return the real spherical harmonics of each angular momentum, orthonormal on the sphere.

    ``Y_lm = N_lm Q_l^m(z) Re or Im (x + iy)^m`` with the derivatives ``Q_l^m`` of Legendre polynomials, by the usual
    recursion over l (W. H. Press et al., Numerical Recipes, 3rd ed., section 6.7).

    :param directions: unit vectors, shape ``(n, 3)``.
    :param max_angular: highest angular momentum.
    :returns: a tensor of shape ``(n, 2 l + 1)`` for each l, ordered from m = -l to m = l.
    """
    x, y, z = directions.unbind(dim=1)
    cosines, sines = [torch.ones_like(x)], [torch.zeros_like(x)]
    for _ in range(max_angular):
        real, imaginary = cosines[-1], sines[-1]
        cosines.append(x * real - y * imaginary)
        sines.append(x * imaginary + y * real)
    polynomials = _legendre_derivatives(z, max_angular)
    harmonics = []
    for angular in range(max_angular + 1):
        columns = []
        for order in range(-angular, angular + 1):
            m = abs(order)
            norm = math.sqrt(
                (2 * angular + 1) / (4.0 * math.pi) * math.factorial(angular - m) / math.factorial(angular + m)
            )
            if order == 0:
                columns.append(norm * polynomials[angular, 0])
            else:
                azimuthal = cosines[m] if order > 0 else sines[m]
                columns.append(math.sqrt(2.0) * norm * polynomials[angular, m] * azimuthal)
        harmonics.append(torch.stack(columns, dim=1))
    return harmonics


def _legendre_derivatives(z: torch.Tensor, max_angular: int) -> dict[tuple[int, int], torch.Tensor]:
    """Return the m-th derivative of the Legendre polynomial of degree l, by ``(l, m)``, each of the shape of ``z``."""
    found: dict[tuple[int, int], torch.Tensor] = {}
    for m in range(max_angular + 1):
        found[m, m] = torch.full_like(z, float(math.prod(range(1, 2 * m, 2))))
        if m < max_angular:
            found[m + 1, m] = (2 * m + 1) * z * found[m, m]
        for angular in range(m + 2, max_angular + 1):
            last, before = found[angular - 1, m], found[angular - 2, m]
            found[angular, m] = ((2 * angular - 1) * z * last - (angular + m - 1) * before) / (angular - m)
    return found
