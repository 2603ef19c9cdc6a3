"""Inner loops of the summation methods that numba compiles: pairs, reciprocal vectors, and the mesh.

Imported by :mod:`aiida_edl.science.electrostatics.compiled_summation` alone. Each kernel has one signature, so it is
compiled once and kept in the cache of numba; numbers are in double precision. Energies are in e²/Å: the Coulomb
constant is left to the caller.
"""

# ruff: noqa: PLR0917  (numba takes no dataclasses, and calls within inner loops cost more than the work)

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

SIGNATURE_PAIRS = (
    'float64(float64[:, ::1], float64[:, ::1], float64[::1], int64[:, ::1], int32[:, ::1], float64, float64, '
    'float64[:, ::1], float64[:, ::1], float64[::1], float64[:, ::1])'
)
TWO_OVER_ROOT_PI = 2.0 / math.sqrt(math.pi)
LOWEST_SHARE = 1.0 / 64.0
"""Share of the squared cutoff below which pairs are so rare, and 1/r so steep, that nothing is interpolated."""


@njit('void(float64, float64, float64, float64[:, ::1])', cache=True)
def fill_table(lowest: Any, highest: Any, alpha: Any, table: Any) -> None:
    """Write the cubics that interpolate erfc(α r)/r between equidistant r², with its slope, to ``table``.

    :param lowest: first r² [Å²].
    :param highest: last r² [Å²].
    :param alpha: 1/(√2 σ) [1/Å]; 0 gives 1/r.
    :param table: result, coefficients of powers of the place within an interval, shape ``(n_intervals, 4)``.
    """
    width = (highest - lowest) / table.shape[0]
    for i in range(table.shape[0] + 1):
        squared = lowest + i * width
        distance = math.sqrt(squared)
        value = math.erfc(alpha * distance) / distance
        gaussian = TWO_OVER_ROOT_PI * alpha * math.exp(-alpha * alpha * squared)
        slope = -0.5 * width * (value + gaussian) / squared
        if i < table.shape[0]:
            table[i, 0], table[i, 1] = value, slope
        if i > 0:
            rise = value - table[i - 1, 0]
            before = table[i - 1, 1]
            table[i - 1, 2] = 3.0 * rise - 2.0 * before - slope
            table[i - 1, 3] = before + slope - 2.0 * rise


@njit(SIGNATURE_PAIRS, cache=True, fastmath={'nnan', 'nsz', 'contract', 'arcp'})
def sum_pairs(
    positions: Any,
    cell: Any,
    charges: Any,
    pairs: Any,
    shifts: Any,
    cutoff: Any,
    alpha: Any,
    table: Any,
    forces: Any,
    potentials: Any,
    virial: Any,
) -> Any:
    """Add the sum over pairs of q q' erfc(α r)/r, and return the energy [e²/Å].

    :param pairs: atoms of each pair, once each, shape ``(n_pairs, 2)``.
    :param shifts: cell vectors to be added to the second atom, shape ``(n_pairs, 3)``.
    :param cutoff: distance beyond which pairs are left out [Å].
    :param alpha: 1/(√2 σ) [1/Å]; 0 gives the bare sum.
    :param table: cubics of :func:`fill_table` from a quarter of the squared cutoff divided by the length of the table;
        without rows nothing is interpolated.
    :param forces: to which forces are added [e²/Å²].
    :param potentials: to which potentials are added [e/Å], the sum over all partners without a half.
    :param virial: to which the derivative of the energy by strain is added [e²/Å].
    """
    energy = 0.0
    squared_cutoff = cutoff * cutoff
    n_intervals = table.shape[0]
    lowest = LOWEST_SHARE * squared_cutoff
    per_interval = n_intervals / (squared_cutoff - lowest) if n_intervals > 0 else 0.0
    for pair in range(pairs.shape[0]):
        i, j = pairs[pair, 0], pairs[pair, 1]
        x = positions[j, 0] - positions[i, 0]
        y = positions[j, 1] - positions[i, 1]
        z = positions[j, 2] - positions[i, 2]
        a, b, c = shifts[pair, 0], shifts[pair, 1], shifts[pair, 2]
        if (a | b | c) != 0:
            x += a * cell[0, 0] + b * cell[1, 0] + c * cell[2, 0]
            y += a * cell[0, 1] + b * cell[1, 1] + c * cell[2, 1]
            z += a * cell[0, 2] + b * cell[1, 2] + c * cell[2, 2]
        squared = x * x + y * y + z * z
        if squared >= squared_cutoff:
            continue
        if n_intervals > 0 and squared > lowest:
            place = (squared - lowest) * per_interval
            interval = min(int(place), n_intervals - 1)
            t = place - interval
            c1, c2, c3 = table[interval, 1], table[interval, 2], table[interval, 3]
            value = table[interval, 0] + t * (c1 + t * (c2 + t * c3))
            slope = 2.0 * per_interval * (c1 + t * (2.0 * c2 + t * 3.0 * c3))
        else:
            distance = math.sqrt(squared)
            value = math.erfc(alpha * distance) / distance
            slope = -(value + TWO_OVER_ROOT_PI * alpha * math.exp(-alpha * alpha * squared)) / squared
        product = charges[i] * charges[j]
        energy += product * value
        potentials[i] += charges[j] * value
        potentials[j] += charges[i] * value
        slope *= product
        x_force, y_force, z_force = slope * x, slope * y, slope * z
        forces[i, 0] += x_force
        forces[i, 1] += y_force
        forces[i, 2] += z_force
        forces[j, 0] -= x_force
        forces[j, 1] -= y_force
        forces[j, 2] -= z_force
        virial[0, 0] += x_force * x
        virial[1, 1] += y_force * y
        virial[2, 2] += z_force * z
        virial[0, 1] += x_force * y
        virial[0, 2] += x_force * z
        virial[1, 2] += y_force * z
    virial[1, 0], virial[2, 0], virial[2, 1] = virial[0, 1], virial[0, 2], virial[1, 2]
    return energy


@njit('void(float64, int64, float64[::1], float64[::1])', cache=True, inline='always')
def spline_weights(offset: Any, nodes: Any, weights: Any, slopes: Any) -> None:
    """Write the values of the cardinal B-splines at the nodes of a point, and their derivatives.

    U. Essmann et al., J. Chem. Phys. 103, 8577 (1995), equations 4.1 and 4.2.

    :param offset: place of the point in its mesh cell, from 0 to 1.
    :param nodes: order of the splines.
    :param weights: result, shape ``(nodes,)`` or longer.
    :param slopes: result, by the coordinate in mesh cells.
    """
    weights[0], weights[1] = 1.0 - offset, offset
    for order in range(3, nodes):
        share = 1.0 / (order - 1)
        weights[order - 1] = share * offset * weights[order - 2]
        for j in range(1, order - 1):
            weights[order - 1 - j] = share * (
                (offset + j) * weights[order - 2 - j] + (order - j - offset) * weights[order - 1 - j]
            )
        weights[0] = share * (1.0 - offset) * weights[0]
    slopes[0] = -weights[0]
    for j in range(1, nodes - 1):
        slopes[j] = weights[j - 1] - weights[j]
    slopes[nodes - 1] = weights[nodes - 2]
    share = 1.0 / (nodes - 1)
    weights[nodes - 1] = share * offset * weights[nodes - 2]
    for j in range(1, nodes - 1):
        weights[nodes - 1 - j] = share * (
            (offset + j) * weights[nodes - 2 - j] + (nodes - j - offset) * weights[nodes - 1 - j]
        )
    weights[0] = share * (1.0 - offset) * weights[0]


@njit('void(float64[:, ::1], int64[::1], float64, float64[:, ::1], float64[:, :, ::1])', cache=True)
def fill_influence(reciprocal: Any, mesh: Any, smearing: Any, damping: Any, influence: Any) -> None:
    """Write 4π exp(-σ² k²/2)/k² times the damping along each axis; zero where k vanishes.

    :param reciprocal: reciprocal cell vectors as rows with 2π [1/Å].
    :param mesh: number of mesh points along each axis.
    :param smearing: σ [Å].
    :param damping: factor along each axis by index, shape ``(3, longest axis)``.
    :param influence: result [Å²], shape ``(n_x, n_y, n_z // 2 + 1)``.
    """
    for i in range(influence.shape[0]):
        a = i if 2 * i <= mesh[0] else i - mesh[0]
        for j in range(influence.shape[1]):
            b = j if 2 * j <= mesh[1] else j - mesh[1]
            factor = 4.0 * math.pi * damping[0, i] * damping[1, j]
            for k in range(influence.shape[2]):
                x = a * reciprocal[0, 0] + b * reciprocal[1, 0] + k * reciprocal[2, 0]
                y = a * reciprocal[0, 1] + b * reciprocal[1, 1] + k * reciprocal[2, 1]
                z = a * reciprocal[0, 2] + b * reciprocal[1, 2] + k * reciprocal[2, 2]
                squared = x * x + y * y + z * z
                if squared > 0.0:
                    gaussian = math.exp(-0.5 * smearing * smearing * squared)
                    influence[i, j, k] = factor * damping[2, k] * gaussian / squared
                else:
                    influence[i, j, k] = 0.0


@njit(
    'void(complex128[:, :, ::1], float64[:, :, ::1], int64[::1], float64[:, ::1], float64, float64[:, ::1])', cache=True
)
def apply_influence(transformed: Any, influence: Any, mesh: Any, reciprocal: Any, smearing: Any, moments: Any) -> None:
    """Multiply a transformed mesh by the influence function, and sum the strain derivative of half the product.

    :param transformed: transform of the charges [e]; result, that of the potential times the volume [e Å²].
    :param moments: result, sum over all k of influence |ρ|²/2 (2 (1/k² + σ²/2) k k - 1) [e² Å²], shape ``(3, 3)``.
    """
    moments[:, :] = 0.0
    for i in range(influence.shape[0]):
        a = i if 2 * i <= mesh[0] else i - mesh[0]
        for j in range(influence.shape[1]):
            b = j if 2 * j <= mesh[1] else j - mesh[1]
            for k in range(influence.shape[2]):
                value = transformed[i, j, k]
                weight = influence[i, j, k]
                transformed[i, j, k] = value * weight
                is_own_mirror = k == 0 or 2 * k == mesh[2]
                density = (0.5 if is_own_mirror else 1.0) * weight * (value.real**2 + value.imag**2)
                if density == 0.0:
                    continue
                x = a * reciprocal[0, 0] + b * reciprocal[1, 0] + k * reciprocal[2, 0]
                y = a * reciprocal[0, 1] + b * reciprocal[1, 1] + k * reciprocal[2, 1]
                z = a * reciprocal[0, 2] + b * reciprocal[1, 2] + k * reciprocal[2, 2]
                scale = density * (2.0 / (x * x + y * y + z * z) + smearing * smearing)
                moments[0, 0] += scale * x * x - density
                moments[1, 1] += scale * y * y - density
                moments[2, 2] += scale * z * z - density
                moments[0, 1] += scale * x * y
                moments[0, 2] += scale * x * z
                moments[1, 2] += scale * y * z
    moments[1, 0], moments[2, 0], moments[2, 1] = moments[0, 1], moments[0, 2], moments[1, 2]


@njit(
    'float64(float64[:, ::1], float64[::1], float64[:, ::1], float64, float64, float64[:, ::1], float64[::1], '
    'float64[:, ::1])',
    cache=True,
    fastmath={'contract', 'reassoc', 'nsz'},
)
def sum_wave_vectors(
    fractions: Any,
    charges: Any,
    reciprocal: Any,
    k_cutoff: Any,
    smearing: Any,
    forces: Any,
    potentials: Any,
    moments: Any,
) -> Any:
    """Add the sum over all wave vectors shorter than a cutoff, and return the energy times the volume [e² Å²].

    One row of vectors at a time, whose phases follow from each other by one multiplication.

    :param fractions: fractional coordinates, shape ``(n_atoms, 3)``.
    :param reciprocal: reciprocal cell vectors as rows with 2π [1/Å].
    :param k_cutoff: longest wave vector [1/Å].
    :param smearing: σ [Å].
    :param forces: to which forces times the volume are added [e² Å].
    :param potentials: to which potentials times the volume are added [e Å²].
    :param moments: result, strain derivative times the volume [e² Å²].
    """
    n_atoms = fractions.shape[0]
    real_space = np.linalg.inv(reciprocal)
    limits = np.empty(3, dtype=np.int64)
    for axis in range(3):
        length = math.sqrt(real_space[0, axis] ** 2 + real_space[1, axis] ** 2 + real_space[2, axis] ** 2)
        limits[axis] = math.floor(k_cutoff * length)
    phases, steps = np.empty(n_atoms, dtype=np.complex128), np.empty(n_atoms, dtype=np.complex128)
    for atom in range(n_atoms):
        steps[atom] = np.exp(2j * math.pi * fractions[atom, 2])
    moments[:, :] = 0.0
    energy = 0.0
    for a in range(limits[0] + 1):
        for b in range(-limits[1] if a > 0 else 0, limits[1] + 1):
            for atom in range(n_atoms):
                turn = a * fractions[atom, 0] + b * fractions[atom, 1] - limits[2] * fractions[atom, 2]
                phases[atom] = np.exp(2j * math.pi * turn)
            for c in range(-limits[2], limits[2] + 1):
                x = a * reciprocal[0, 0] + b * reciprocal[1, 0] + c * reciprocal[2, 0]
                y = a * reciprocal[0, 1] + b * reciprocal[1, 1] + c * reciprocal[2, 1]
                z = a * reciprocal[0, 2] + b * reciprocal[1, 2] + c * reciprocal[2, 2]
                squared = x * x + y * y + z * z
                is_in_half = a > 0 or b > 0 or c > 0
                if is_in_half and squared <= k_cutoff * k_cutoff:
                    factor = 4.0 * math.pi * math.exp(-0.5 * smearing * smearing * squared) / squared
                    structure = 0.0 + 0.0j
                    for atom in range(n_atoms):
                        structure += charges[atom] * phases[atom]
                    density = factor * (structure.real**2 + structure.imag**2)
                    energy += density
                    scale = density * (2.0 / squared + smearing * smearing)
                    moments[0, 0] += scale * x * x - density
                    moments[1, 1] += scale * y * y - density
                    moments[2, 2] += scale * z * z - density
                    moments[0, 1] += scale * x * y
                    moments[0, 2] += scale * x * z
                    moments[1, 2] += scale * y * z
                    mirrored = 2.0 * factor * structure.conjugate()
                    for atom in range(n_atoms):
                        product = mirrored * phases[atom]
                        potentials[atom] += product.real
                        strength = charges[atom] * product.imag
                        forces[atom, 0] += strength * x
                        forces[atom, 1] += strength * y
                        forces[atom, 2] += strength * z
                for atom in range(n_atoms):
                    phases[atom] *= steps[atom]
    moments[1, 0], moments[2, 0], moments[2, 1] = moments[0, 1], moments[0, 2], moments[1, 2]
    return energy
