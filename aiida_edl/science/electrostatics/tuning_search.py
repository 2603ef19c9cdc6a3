"""The search for the numbers of a sum: its smearing from the cutoff, then the coarsest mesh or fewest wave vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from aiida_edl.science.electrostatics.charged_system import ChargedSystem
from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.converged_sum import decay_ratio, mesh_for, root_mean_square
from aiida_edl.science.electrostatics.electrostatic_result import ElectrostaticResult
from aiida_edl.science.electrostatics.implementations import Implementation
from aiida_edl.science.electrostatics.pairs import NeighbourPairs, neighbour_pairs
from aiida_edl.science.electrostatics.summation_settings import SummationSettings

REAL_SHARE = 0.7
"""Share of the target that the neglect of pairs beyond the cutoff may take; the mesh then has as much again."""
SAFETY = 0.95
"""Share of the target that is aimed at, so that other frames of the same system meet it as well."""
PAIR_COST, NODE_COST, MESH_COST, WAVE_COST = 25.0, 6.0, 50.0, 8.0
"""Nanoseconds for a pair, an atom at one of its nodes, a mesh point, and an atom with a wave vector: measured with the
compiled sums on one core."""
FIRST_SPACING, LEAST_SPACING = 0.6, 0.15
"""Spacing of the mesh that is tried first, and the finest, over the smearing."""
MOST_STEPS = 8
"""Steps after which a search for one number ends."""


@dataclass(frozen=True)
class Candidate:
    """Numbers of a sum and what they give."""

    settings: SummationSettings
    error: float
    """Root mean square force error [eV/Å]."""
    real_space_error: float
    """The part of it that comes from pairs beyond the cutoff [eV/Å]."""
    energy_error: float
    """Error of the energy [eV per atom]."""
    work: float
    """Estimated work of one evaluation, without the search for pairs [ns on one core]."""


@dataclass(frozen=True)
class RealSpace:
    """The part of a sum that a cutoff fixes."""

    pairs: NeighbourPairs
    cutoff: float
    """[Å]."""
    smearing: float
    """[Å]."""
    error: float
    """Root mean square force that is neglected beyond the cutoff [eV/Å]."""


@dataclass(frozen=True)
class Search:
    """The search for settings for one system."""

    system: ChargedSystem
    target: float
    """Root mean square force error that is asked for [eV/Å]."""
    reference: ElectrostaticResult
    """Of a converged sum."""
    implementation: Implementation

    def best(self, method: str, cutoff: float) -> tuple[Candidate | None, float]:
        """Return the settings of least work that meet the target at one cutoff, if any, and the least error reached.

        :param method: name of the method.
        :param cutoff: the cutoff [Å].
        """
        real = self._real_space(cutoff)
        if method == 'ewald':
            tried = self._wave_vectors(real)
        else:
            tried = [
                found for nodes in self.implementation.nodes[method] for found in self._meshes(method, real, nodes)
            ]
        met = [candidate for candidate in tried if candidate.error <= SAFETY * self.target]
        least = min(candidate.error for candidate in tried)
        return (min(met, key=lambda candidate: candidate.work) if met else None), least

    def _real_space(self, cutoff: float) -> RealSpace:
        """Return the smearing at which pairs beyond the cutoff neglect their share of the target."""
        wide = neighbour_pairs(self.system, 1.5 * cutoff)
        goal = SAFETY * REAL_SHARE * self.target
        ratio = decay_ratio(self.system, cutoff, goal)
        for _ in range(MOST_STEPS):
            error = self._neglected(wide, cutoff, cutoff / ratio)
            if error == 0.0 or 0.9 * goal <= error <= goal:
                break
            ratio = math.sqrt(max(ratio**2 + 2.0 * math.log(error / (0.95 * goal)), 1.0))
        return RealSpace(neighbour_pairs(self.system, cutoff), cutoff, cutoff / ratio, error)

    def _neglected(self, wide: NeighbourPairs, cutoff: float, smearing: float) -> float:
        """Return the root mean square force of the pairs beyond a cutoff [eV/Å]."""
        forces = []
        for radius in (wide.cutoff_radius, cutoff):
            pairs_alone = SummationSettings('ewald', radius, smearing, k_cutoff=1e-9, has_background=True)
            forces.append(CompiledSummation(pairs_alone)(self.system, wide).forces)
        return root_mean_square(forces[0] - forces[1])

    def _wave_vectors(self, real: RealSpace) -> list[Candidate]:
        """Return Ewald's sum with more and more wave vectors, until the target is met."""
        tried: list[Candidate] = []
        for factor in np.arange(0.80, 1.40, 0.04):
            k_cutoff = float(factor * real.cutoff / real.smearing**2)
            tried.append(self._judge(self._settings('ewald', real, k_cutoff=k_cutoff), real))
            if tried[-1].error <= SAFETY * self.target:
                break
        return tried

    def _meshes(self, method: str, real: RealSpace, nodes: int) -> list[Candidate]:
        """Return a mesh method of one order with meshes ever closer to the coarsest that meets the target."""
        tried: dict[tuple[int, int, int], Candidate] = {}
        spacing = FIRST_SPACING * real.smearing
        share = min(real.error, REAL_SHARE * self.target)
        allowed = math.sqrt((SAFETY * self.target) ** 2 - share**2)
        for _ in range(MOST_STEPS):
            mesh = mesh_for(self.system, spacing, nodes)
            if mesh in tried and any(found.error <= SAFETY * self.target for found in tried.values()):
                break
            if mesh in tried:
                spacing *= 0.96
                continue
            found = self._judge(self._settings(method, real, mesh=mesh, nodes=nodes), real)
            tried[mesh] = found
            mesh_error = math.sqrt(max(found.error**2 - real.error**2, 1e-4 * self.target**2))
            spacing *= min(max((0.97 * allowed / mesh_error) ** (1.0 / (nodes + 1)), 0.6), 1.4)
            if spacing < LEAST_SPACING * real.smearing:
                break
        return list(tried.values())

    def _settings(self, method: str, real: RealSpace, **numbers: Any) -> SummationSettings:
        """Return settings of a method for a real-space part."""
        return SummationSettings(
            method, real.cutoff, real.smearing, has_background=not self.system.is_neutral, **numbers
        )

    def _judge(self, settings: SummationSettings, real: RealSpace) -> Candidate:
        """Return settings with their measured error."""
        result = self.implementation.make(settings)(self.system, real.pairs)
        return Candidate(
            settings=settings,
            error=root_mean_square(result.forces - self.reference.forces),
            real_space_error=real.error,
            energy_error=abs(result.energy - self.reference.energy) / len(self.system.charges),
            work=work_of(settings, self.system, len(real.pairs.pairs)),
        )


def work_of(settings: SummationSettings, system: ChargedSystem, n_pairs: int) -> float:
    """Return the estimated work of one evaluation, without the search for pairs [ns on one core].

    :param settings: the numbers of the sum.
    :param system: the charges.
    :param n_pairs: pairs within the cutoff.
    """
    n_atoms = len(system.charges)
    if settings.k_cutoff is not None:
        n_vectors = settings.k_cutoff**3 * system.volume / (12.0 * np.pi**2)
        return float(PAIR_COST * n_pairs + WAVE_COST * n_atoms * n_vectors)
    n_points = math.prod(settings.mesh or (0,))
    return PAIR_COST * n_pairs + NODE_COST * n_atoms * settings.nodes**3 + MESH_COST * n_points
