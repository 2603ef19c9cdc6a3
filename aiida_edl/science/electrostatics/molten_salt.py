"""Molten NaCl at constant energy: does a sum with given numbers conserve energy?

Ions repel by the exponentials of M. P. Tosi and F. G. Fumi, J. Phys. Chem. Solids 25, 45 (1964), without dispersion;
the rest is the sum in question. The start is the same for all sums: a crystal that was melted with a converged one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from aiida_edl.science.analysis.energy_drift import EnergyDrift, energy_drift
from aiida_edl.science.electrostatics.charged_system import ChargedSystem, rattled, supercell
from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.implementations import Summation
from aiida_edl.science.electrostatics.pairs import neighbour_pairs
from aiida_edl.science.electrostatics.reference_values import REFERENCE_LATTICES
from aiida_edl.science.electrostatics.summation_settings import SummationSettings
from aiida_edl.science.frames import Floats
from aiida_edl.science.units import ATOMIC_MASS, BOLTZMANN

NEIGHBOUR_DISTANCE = 3.19
"""Distance of neighbours in a crystal of the density of the melt, 1.5 g/cm³ [Å]."""
TEMPERATURE = 1300.0
"""Of the melt [K]; it melts at 1074 K."""
TIME_STEP = 1.0
"""[fs]."""
MELTING_STEPS = 1000
MASSES = {1: 22.98976928, -1: 35.45}
"""Of Na and Cl [u]."""
DECAY = 0.317
"""ρ [Å]."""
STRENGTH = 0.21096
"""b, 0.338e-19 J [eV]."""
RADII = {1: 1.170, -1: 1.585}
"""σ of Na and Cl [Å]."""
PAULING = {2: 1.25, 0: 1.0, -2: 0.75}
"""Factor by the sum of both charges."""
REPULSION_CUTOFF = 8.0
"""Where the repulsion of two chlorides has fallen to 10⁻⁷ eV/Å [Å]."""
SEED = 1


@dataclass
class MeltState:
    """Positions and velocities."""

    system: ChargedSystem
    velocities: Floats
    """[Å/fs], shape ``(n_atoms, 3)``."""


def repulsion(system: ChargedSystem) -> tuple[float, Floats]:
    """Return energy [eV] and forces [eV/Å] of the exponential repulsion of all pairs.

    :param system: ions of charge 1 and -1.
    """
    listed = neighbour_pairs(system, REPULSION_CUTOFF)
    first, second = listed.pairs.T
    vectors = system.positions[second] + listed.shifts @ system.cell - system.positions[first]
    distances = np.linalg.norm(vectors, axis=1)
    kinds = system.charges.round().astype(int)
    radii = np.where(kinds > 0, RADII[1], RADII[-1])
    totals = kinds[first] + kinds[second]
    factors = np.select([totals == 2, totals == 0], [PAULING[2], PAULING[0]], PAULING[-2])
    energies = STRENGTH * factors * np.exp((radii[first] + radii[second] - distances) / DECAY)
    pulls = -(energies / DECAY / distances)[:, None] * vectors
    forces = np.zeros_like(system.positions)
    np.add.at(forces, first, pulls)
    np.add.at(forces, second, -pulls)
    return float(energies.sum()), forces


def _evaluate(evaluate: Summation, system: ChargedSystem) -> tuple[float, Floats]:
    """Return energy [eV] and forces [eV/Å] of repulsion and electrostatics."""
    energy, forces = repulsion(system)
    result = evaluate(system)
    return energy + result.energy, forces + result.forces


def _masses(system: ChargedSystem) -> Floats:
    """Return masses in eV fs²/Å², shape ``(n_atoms, 1)``."""
    return ATOMIC_MASS * np.where(system.charges > 0.0, MASSES[1], MASSES[-1])[:, None]


def constant_energy_run(evaluate: Summation, start: MeltState, steps: int) -> tuple[Floats, MeltState]:
    """Return the total energy after every step [eV], shape ``(steps,)``, and the state at the end.

    Velocity Verlet, W. C. Swope et al., J. Chem. Phys. 76, 637 (1982).

    :param evaluate: the sum.
    :param start: state at the beginning.
    :param steps: number of steps.
    """
    system, velocities, masses = start.system, start.velocities.copy(), _masses(start.system)
    _, forces = _evaluate(evaluate, system)
    energies = np.empty(steps)
    for step in range(steps):
        velocities += 0.5 * TIME_STEP * forces / masses
        system = replace(system, positions=system.positions + TIME_STEP * velocities)
        potential, forces = _evaluate(evaluate, system)
        velocities += 0.5 * TIME_STEP * forces / masses
        energies[step] = potential + 0.5 * float(np.sum(masses * velocities**2))
    return energies, MeltState(system, velocities)


@cache
def melt() -> MeltState:
    """Return the start of all runs: 64 ions that have melted, rescaled to the temperature every 20 steps before."""
    crystal = REFERENCE_LATTICES['nacl_cubic'].system(NEIGHBOUR_DISTANCE)
    system = rattled(supercell(crystal, (2, 2, 2)), 0.3, SEED)
    masses = _masses(system)
    velocities = np.random.default_rng(SEED).normal(size=system.positions.shape) * np.sqrt(
        BOLTZMANN * TEMPERATURE / masses
    )
    state = MeltState(system, velocities)
    evaluate = CompiledSummation(SummationSettings('p3m', 6.0, 1.0, mesh=(27, 27, 27), nodes=6))
    for _ in range(MELTING_STEPS // 20):
        _, state = constant_energy_run(evaluate, state, 20)
        state.velocities -= np.sum(masses * state.velocities, axis=0) / masses.sum()
        kinetic = 0.5 * float(np.sum(masses * state.velocities**2))
        wanted = 0.5 * (3 * len(masses) - 3) * BOLTZMANN * TEMPERATURE
        state.velocities *= np.sqrt(wanted / kinetic)
    return state


def drift_of(evaluate: Summation, steps: int) -> EnergyDrift:
    """Return drift and fluctuation of the total energy of the melt with a sum.

    :param evaluate: the sum.
    :param steps: steps of 1 fs.
    """
    start = melt()
    energies, _ = constant_energy_run(evaluate, start, steps)
    times: Floats = TIME_STEP * np.arange(1, steps + 1, dtype=np.float64)
    return energy_drift(times, energies, len(start.system.charges))
