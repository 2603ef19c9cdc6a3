"""Sums that are converged: what other sums are measured against."""

from __future__ import annotations

import math

import numpy as np
import scipy.fft

from aiida_edl.science.electrostatics.charged_system import COULOMB_CONSTANT, ChargedSystem, ChargedSystemError
from aiida_edl.science.electrostatics.summation_settings import SummationSettings
from aiida_edl.science.frames import Floats

MOST_ATOMS_OF_EWALD = 2500
"""Atoms up to which the reference is Ewald's sum; beyond it is a fine mesh, which tests hold against Ewald's."""
FINE_MESH_NODES, FINE_MESH_SPACING, FINE_MESH_ERROR = 10, 0.40, 4e-8
"""Nodes of the fine mesh, its spacing over the smearing, and the error that this gives over the force between two
typical charges at the typical distance: measured on water boxes, it falls with the tenth power of the spacing."""


def converged_settings(system: ChargedSystem, error: float) -> SummationSettings:
    """Return settings whose force error is below a given one.

    Both sums are cut where their neglected part is bounded by the formula of J. Kolafa and J. W. Perram, Mol. Simul. 9,
    351 (1992), ``2 Q² / √(N r V) exp(-r²/2σ²)`` with ``Q² = Σ q²``.

    :param system: the charges.
    :param error: root mean square force error [eV/Å].
    :raises ChargedSystemError: for a system that is open in all directions.
    """
    if not system.pbc.any():
        raise ChargedSystemError('the system is open in all directions: the direct sum is exact and needs no numbers')
    n_atoms = len(system.charges)
    spacing = float(np.cbrt(system.volume / n_atoms))
    is_small = n_atoms <= MOST_ATOMS_OF_EWALD
    cutoff = spacing * (1.5 * n_atoms ** (1.0 / 6.0) + 2.0) if is_small else 4.0 * spacing
    ratio = decay_ratio(system, cutoff, error)
    smearing = cutoff / ratio
    has_background = not system.is_neutral
    if is_small:
        k_cutoff = (ratio + 0.7) / smearing  # the formula of wave vectors has another prefactor
        return SummationSettings('ewald', cutoff, smearing, k_cutoff, has_background=has_background)
    fineness = (error / (FINE_MESH_ERROR * force_scale(system))) ** (1.0 / FINE_MESH_NODES)
    mesh = mesh_for(system, smearing * FINE_MESH_SPACING * min(fineness, 1.0))
    return SummationSettings('p3m', cutoff, smearing, mesh=mesh, nodes=FINE_MESH_NODES, has_background=has_background)


def force_scale(system: ChargedSystem) -> float:
    """Return the force between two typical charges at the typical distance [eV/Å]."""
    spacing = float(np.cbrt(system.volume / len(system.charges)))
    return COULOMB_CONSTANT * float(np.mean(system.charges**2)) / spacing**2


def decay_ratio(system: ChargedSystem, cutoff: float, error: float) -> float:
    """Return cutoff over smearing at which pairs beyond the cutoff neglect a given force error.

    :param cutoff: the cutoff [Å].
    :param error: root mean square force error [eV/Å].
    """
    square = float(system.charges @ system.charges)
    prefactor = 2.0 * COULOMB_CONSTANT * square / math.sqrt(len(system.charges) * cutoff * system.volume)
    return math.sqrt(2.0 * max(math.log(prefactor / error), 2.0))


def mesh_for(system: ChargedSystem, spacing: float, nodes: int = 3) -> tuple[int, int, int]:
    """Return numbers of mesh points that are fast to transform, at most a spacing apart along each cell vector.

    :param spacing: the spacing [Å].
    :param nodes: fewest points.
    """
    lengths = np.linalg.norm(system.cell, axis=1)
    first, second, third = (scipy.fft.next_fast_len(max(math.ceil(x / spacing), nodes)) for x in lengths)
    return int(first), int(second), int(third)


def root_mean_square(forces: Floats) -> float:
    """Return the root of the mean square length of vectors."""
    return float(np.sqrt(np.mean(np.sum(forces**2, axis=1))))
