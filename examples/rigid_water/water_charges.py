"""Sums over the charges of rigid water, less what acts within a molecule, where rigid bonds take it up anyway."""

from __future__ import annotations

import numpy as np

from aiida_edl.science.electrostatics.charged_system import COULOMB_CONSTANT, ChargedSystem
from aiida_edl.science.electrostatics.electrostatic_result import ElectrostaticResult
from aiida_edl.science.electrostatics.implementations import COMPILED, Implementation, Summation
from aiida_edl.science.electrostatics.tuning import TunedSummation, tune

METHODS: dict[str, str] = {'compiled': 'p3m', 'torch': 'pme'}
"""Method by program."""
ATOMS = 3
"""Of a molecule: O, H, H."""
PAIRS = ((0, 1), (0, 2), (1, 2))
"""Those within a molecule."""


def implementation_of(program: str) -> Implementation:
    """Return how a program is tuned.

    :param program: ``'compiled'`` or ``'torch'``.
    """
    if program == 'compiled':
        return COMPILED
    from aiida_edl.science.electrostatics.torch_implementation import torch_implementation  # noqa: PLC0415  (torch)

    return torch_implementation('float64')


def tuned_for(program: str, system: ChargedSystem, target: float, cutoff_radius: float) -> TunedSummation:
    """Return the numbers with which a program meets a force error.

    :param program: ``'compiled'`` or ``'torch'``.
    :param system: a box of water.
    :param target: root mean square force error [eV/Å].
    :param cutoff_radius: the cutoff [Å].
    """
    return tune(system, target, METHODS[program], cutoff_radius, implementation_of(program))


def between_molecules(evaluate: Summation, system: ChargedSystem) -> ElectrostaticResult:
    """Return energy, forces and stress of charges of unlike molecules and of all images.

    :param evaluate: the sum over all charges.
    :param system: molecules one after the other, each O, H, H; a molecule may lie across a boundary.
    """
    total = evaluate(system)
    inverse = np.linalg.inv(system.cell)
    positions = system.positions.reshape(-1, ATOMS, 3)
    charges = system.charges.reshape(-1, ATOMS)
    energy, forces, strain = total.energy, total.forces.copy().reshape(-1, ATOMS, 3), np.zeros((3, 3))
    for first, second in PAIRS:
        vectors = positions[:, second] - positions[:, first]
        vectors -= np.round(vectors @ inverse) @ system.cell
        distances = np.linalg.norm(vectors, axis=1)
        energies = COULOMB_CONSTANT * charges[:, first] * charges[:, second] / distances
        pulls = (-energies / distances**2)[:, None] * vectors  # force on the first of each pair
        forces[:, first] -= pulls
        forces[:, second] += pulls
        strain += pulls.T @ vectors
        energy -= float(energies.sum())
    stress = total.stress - strain / system.volume
    return ElectrostaticResult(energy, forces.reshape(-1, 3), stress, total.potentials)
