"""Choose the numbers of a sum for a force error that is asked for, and measure the error that is reached.

The error is the root mean square over the atoms of the length of the error of the force on each [eV/Å], measured on the
system itself against a sum that is converged far beyond. Nothing is timed: of the settings that meet the target the one
with the least estimated work is taken, so the same system and target give the same numbers on every machine.

A perfect crystal cannot be tuned on: all its forces vanish by symmetry, and so do their errors. Displace its atoms
first, as by :func:`~aiida_edl.science.electrostatics.charged_system.rattled`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft

from aiida_edl.science.electrostatics.charged_system import COULOMB_CONSTANT, ChargedSystem, ChargedSystemError
from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.electrostatic_result import ElectrostaticResult
from aiida_edl.science.electrostatics.pairs import NeighbourPairs, neighbour_pairs
from aiida_edl.science.electrostatics.summation_settings import SummationSettings
from aiida_edl.science.frames import Floats

REAL_SHARE = 0.7
"""Share of the target that the neglect of pairs beyond the cutoff may take; the mesh then has as much again."""
SAFETY = 0.95
"""Share of the target that is aimed at, so that other frames of the same system meet it as well."""
CUTOFFS = (5.0, 6.0, 7.0, 8.0, 9.0, 10.5, 12.0)
"""Cutoffs that are tried where none is given [Å]."""
NODES_TRIED = (4, 5, 6, 7, 8)
REFERENCE_MARGIN = 1e-3
"""Error of the reference over the target."""
MOST_ATOMS_OF_EWALD = 2500
"""Atoms up to which the reference is Ewald's sum; beyond it is a fine mesh, which tests hold against Ewald's."""
FINE_MESH_NODES, FINE_MESH_SPACING, FINE_MESH_ERROR = 10, 0.40, 4e-8
"""Nodes of the fine mesh, its spacing over the smearing, and the error that this gives over the force between two
typical charges at the typical distance: measured on water boxes, it falls with the tenth power of the spacing."""
LEAST_RELATIVE_ERROR = 1e-12
"""Smallest error over the root mean square force that double precision reaches."""
PAIR_COST, NODE_COST, MESH_COST = 25.0, 6.0, 50.0
"""Nanoseconds for a pair, for an atom at one of its nodes, for a mesh point: measured with the compiled sums."""


class TuningError(ValueError):
    """A target that cannot be met."""


@dataclass(frozen=True)
class TunedSummation:
    """Numbers of a sum and the error that they gave."""

    settings: SummationSettings
    """The numbers, to be stored and used as they are."""
    target: float
    """Root mean square force error that was asked for [eV/Å]."""
    error: float
    """The one that was measured [eV/Å]."""
    real_space_error: float
    """The part of it that comes from pairs beyond the cutoff [eV/Å]."""
    energy_error: float
    """Measured error of the energy [eV per atom]."""
    root_mean_square_force: float
    """Root mean square length of the forces themselves [eV/Å]."""
    reference: SummationSettings
    """The converged sum against which it was measured."""
    work: float
    """Estimated work of one evaluation [ns on one core]."""


def tune(
    system: ChargedSystem, target: float, method: str = 'p3m', cutoff_radius: float | None = None
) -> TunedSummation:
    """Return settings that meet a force error with the least work.

    :param system: charges at positions of little symmetry.
    :param target: root mean square force error [eV/Å].
    :param method: ``'p3m'`` or ``'ewald'``.
    :param cutoff_radius: the cutoff [Å], where a neighbour list is shared with a short-range potential; else chosen.
    :raises TuningError: for a target that double precision or the cutoff cannot reach, or forces that vanish.
    :raises ChargedSystemError: if the method does not hold for the system.
    """
    if target <= 0.0:
        raise TuningError(f'the target is {target} eV/Å, a force error must be positive')
    has_background = not system.is_neutral
    reference_settings = converged_settings(system, target * REFERENCE_MARGIN)
    reference = CompiledSummation(reference_settings)(system)
    size = root_mean_square(reference.forces)
    if size < 1e-6 * force_scale(system):
        raise TuningError(
            f'the root mean square force is {size:.1e} eV/Å: by symmetry no force can be wrong; '
            'displace the atoms first'
        )
    if target < LEAST_RELATIVE_ERROR * size:
        raise TuningError(
            f'the target is {target:g} eV/Å, double precision reaches {LEAST_RELATIVE_ERROR * size:.1e} eV/Å '
            f'for forces of {size:.3g} eV/Å'
        )
    search = _Search(system, target, reference, has_background)
    cutoffs = CUTOFFS if cutoff_radius is None else (cutoff_radius,)
    found = [search.best(method, cutoff) for cutoff in cutoffs]
    met = [candidate for candidate in found if candidate is not None]
    if not met:
        raise TuningError(
            f'no {method} with a cutoff of {" or ".join(f"{cutoff:g}" for cutoff in cutoffs)} Å meets {target:g} eV/Å; '
            'a longer cutoff would'
        )
    best = min(met, key=lambda candidate: candidate.work)
    return replace(best, reference=reference_settings)


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


@dataclass
class _Search:
    """The search for settings for one system."""

    system: ChargedSystem
    target: float
    reference: ElectrostaticResult
    has_background: bool

    def best(self, method: str, cutoff: float) -> TunedSummation | None:
        """Return the settings of least work at one cutoff; None if none meets the target."""
        wide = neighbour_pairs(self.system, 1.5 * cutoff)
        smearing, real_error = self._smearing(wide, cutoff)
        pairs = neighbour_pairs(self.system, cutoff)
        if method == 'ewald':
            found = [self._ewald(pairs, cutoff, smearing, real_error)]
        else:
            found = [self._mesh(pairs, cutoff, smearing, real_error, nodes) for nodes in NODES_TRIED]
        met = [candidate for candidate in found if candidate is not None]
        return min(met, key=lambda candidate: candidate.work) if met else None

    def _smearing(self, wide: NeighbourPairs, cutoff: float) -> tuple[float, float]:
        """Return the smearing at which pairs beyond the cutoff neglect their share of the target, and what they do."""
        goal = SAFETY * REAL_SHARE * self.target
        ratio = decay_ratio(self.system, cutoff, goal)
        error = math.nan
        for _ in range(8):
            error = self._neglected(wide, cutoff, cutoff / ratio)
            if error == 0.0 or 0.9 * goal <= error <= goal:
                break
            ratio = math.sqrt(max(ratio**2 + 2.0 * math.log(error / (0.95 * goal)), 1.0))
        return cutoff / ratio, error

    def _neglected(self, wide: NeighbourPairs, cutoff: float, smearing: float) -> float:
        """Return the root mean square force of the pairs beyond a cutoff [eV/Å]."""
        forces = [
            CompiledSummation(SummationSettings('ewald', radius, smearing, k_cutoff=1e-9, has_background=True))(
                self.system, wide
            ).forces
            for radius in (wide.cutoff_radius, cutoff)
        ]
        return root_mean_square(forces[0] - forces[1])

    def _ewald(self, pairs: NeighbourPairs, cutoff: float, smearing: float, real_error: float) -> TunedSummation | None:
        """Return Ewald's sum with the fewest wave vectors that meet the target."""
        ratio = cutoff / smearing
        for factor in np.arange(0.80, 1.40, 0.04):
            settings = SummationSettings(
                'ewald', cutoff, smearing, k_cutoff=float(factor * ratio / smearing), has_background=self.has_background
            )
            found = self._judge(settings, pairs, real_error)
            if found.error <= SAFETY * self.target:
                return found
        return None

    def _mesh(
        self, pairs: NeighbourPairs, cutoff: float, smearing: float, real_error: float, nodes: int
    ) -> TunedSummation | None:
        """Return P3M of one order with the coarsest mesh that meets the target; None if it needs a very fine one."""
        spacing, best, tried = 0.6 * smearing, None, set()
        for _ in range(8):
            if spacing < 0.15 * smearing:
                break
            mesh = mesh_for(self.system, spacing, nodes)
            if mesh in tried:
                spacing *= 0.96
                if best is not None:
                    break
                continue
            tried.add(mesh)
            settings = SummationSettings(
                'p3m', cutoff, smearing, mesh=mesh, nodes=nodes, has_background=self.has_background
            )
            found = self._judge(settings, pairs, real_error)
            if found.error <= SAFETY * self.target and (best is None or found.work < best.work):
                best = found
            mesh_error = math.sqrt(max(found.error**2 - real_error**2, 1e-4 * self.target**2))
            allowed = math.sqrt((SAFETY * self.target) ** 2 - min(real_error, REAL_SHARE * self.target) ** 2)
            spacing *= min(max((0.97 * allowed / mesh_error) ** (1.0 / (nodes + 1)), 0.6), 1.4)
        return best

    def _judge(self, settings: SummationSettings, pairs: NeighbourPairs, real_error: float) -> TunedSummation:
        """Return settings with their measured error."""
        result = CompiledSummation(settings)(self.system, pairs)
        return TunedSummation(
            settings=settings,
            target=self.target,
            error=root_mean_square(result.forces - self.reference.forces),
            real_space_error=real_error,
            energy_error=abs(result.energy - self.reference.energy) / len(self.system.charges),
            root_mean_square_force=root_mean_square(self.reference.forces),
            reference=settings,
            work=work_of(settings, self.system, len(pairs.pairs)),
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
        return float(PAIR_COST * n_pairs + 8.0 * n_atoms * n_vectors)
    n_points = math.prod(settings.mesh or (0,))
    return PAIR_COST * n_pairs + NODE_COST * n_atoms * settings.nodes**3 + MESH_COST * n_points
