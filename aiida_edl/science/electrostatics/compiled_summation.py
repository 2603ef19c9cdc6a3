"""Electrostatic energy, forces and stress on a processor: direct, Ewald and P3M sums in compiled loops.

P3M follows R. W. Hockney and J. W. Eastwood, Computer Simulation Using Particles (1988), in the form that conserves
energy: forces are the gradient of the energy on the mesh (V. Ballenegger, J. J. Cerdà and C. Holm, J. Chem. Theory
Comput. 8, 936 (2012)). Its influence function is that which is optimal for the energy. The factors of the splines in it
are functions of the index of a wave vector along each axis alone, so it holds in any cell, sheared ones included, and
the stress is the exact derivative.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft

from aiida_edl.science.electrostatics import compiled_sums
from aiida_edl.science.electrostatics.charged_system import COULOMB_CONSTANT, ChargedSystem, ChargedSystemError
from aiida_edl.science.electrostatics.compiled_mesh import gather_of, spread_of
from aiida_edl.science.electrostatics.electrostatic_result import ElectrostaticResult
from aiida_edl.science.electrostatics.memory_check import check_memory
from aiida_edl.science.electrostatics.pairs import NeighbourPairs, all_pairs, neighbour_pairs, overlapping_atoms
from aiida_edl.science.electrostatics.periodic_check import check_periodic
from aiida_edl.science.electrostatics.slab_correction import slab_correction
from aiida_edl.science.electrostatics.spline_factors import spline_factors
from aiida_edl.science.electrostatics.summation_settings import SummationSettings, SummationSettingsError
from aiida_edl.science.frames import Floats

BYTES_PER_POINT = 36
"""Of a mesh: charges, their transform, influence function and potential [bytes]."""
TABLE_LENGTH = 8192
"""Rows of the table of erfc(α r)/r; 256 kB, which stays in the cache of a processor."""
TABLE_ERROR = 1e-7
"""Largest relative error of an interpolated pair force: nothing is interpolated where the cutoff neglects less."""


class CompiledSummation:
    """A sum with fixed numbers, which keeps what depends on the cell alone."""

    def __init__(self, settings: SummationSettings) -> None:
        """Keep the numbers.

        :param settings: method and its numbers.
        :raises SummationSettingsError: for PME, which only PyTorch has.
        """
        if settings.method == 'pme':
            raise SummationSettingsError('the compiled sums have no pme; use p3m, or PyTorch')
        self.settings = settings
        self._influence: tuple[Floats, Floats] | None = None
        self._table: Floats | None = None

    def __call__(self, system: ChargedSystem, pairs: NeighbourPairs | None = None) -> ElectrostaticResult:
        """Return energy, forces, stress and potentials.

        :param system: the charges.
        :param pairs: pairs within the cutoff or more; searched if not given.
        :raises ChargedSystemError: if the method does not hold for the system.
        """
        settings, system = self.settings, _writable(system)
        if settings.method == 'direct':
            return self._finish(system, self._pair_sum(system, all_pairs(system), math.inf, 0.0))
        check_periodic(system, settings)
        if pairs is None:
            pairs = neighbour_pairs(system, settings.cutoff_radius)
        if pairs.cutoff_radius < settings.cutoff_radius:
            raise ChargedSystemError(
                f'the pairs reach {pairs.cutoff_radius:g} Å, the sum needs {settings.cutoff_radius:g} Å'
            )
        alpha = 1.0 / (math.sqrt(2.0) * settings.smearing)
        total = self._pair_sum(system, pairs, settings.cutoff_radius, alpha)
        total.add(self._wave_vectors(system) if settings.method == 'ewald' else self._mesh(system))
        total.add_self_energy(system, alpha)
        if not system.pbc.all():
            total.add_slab(system)
        return self._finish(system, total)

    def _pair_sum(self, system: ChargedSystem, pairs: NeighbourPairs, cutoff: float, alpha: float) -> _Total:
        """Return the sum in real space."""
        total = _Total.of(len(system.charges))
        is_tabulated = alpha > 0.0 and math.exp(-((alpha * cutoff) ** 2)) > TABLE_ERROR
        if is_tabulated and self._table is None:
            self._table = np.empty((TABLE_LENGTH, 4))
            squared = cutoff * cutoff
            compiled_sums.fill_table(compiled_sums.LOWEST_SHARE * squared, squared, alpha, self._table)
        table = self._table if is_tabulated and self._table is not None else np.empty((0, 4))
        try:
            total.energy += compiled_sums.sum_pairs(
                system.positions,
                system.cell,
                system.charges,
                pairs.pairs,
                pairs.shifts,
                cutoff,
                alpha,
                table,
                total.forces,
                total.potentials,
                total.strain,
            )
        except ZeroDivisionError as error:
            first, second = overlapping_atoms(system, pairs)
            raise ChargedSystemError(
                f'the atoms {first} and {second} are at the same place, their energy is infinite'
            ) from error
        return total

    def _wave_vectors(self, system: ChargedSystem) -> _Total:
        """Return the sum over wave vectors."""
        total = _Total.of(len(system.charges))
        inverse = np.linalg.inv(system.cell)
        assert self.settings.k_cutoff is not None  # of an Ewald sum
        total.energy = compiled_sums.sum_wave_vectors(
            system.positions @ inverse,
            system.charges,
            np.ascontiguousarray(2.0 * np.pi * inverse.T),
            self.settings.k_cutoff,
            self.settings.smearing,
            total.forces,
            total.potentials,
            total.strain,
        )
        total.scale(1.0 / system.volume)
        return total

    def _mesh(self, system: ChargedSystem) -> _Total:
        """Return the sum over wave vectors by a mesh."""
        total = _Total.of(len(system.charges))
        settings = self.settings
        assert settings.mesh is not None  # of a mesh method
        inverse = np.linalg.inv(system.cell)
        reciprocal = np.ascontiguousarray(2.0 * np.pi * inverse.T)
        fractions = system.positions @ inverse
        fractions -= np.floor(fractions)
        fractions[fractions >= 1.0] = 0.0  # of a tiny negative number, less its floor
        n_points = math.prod(settings.mesh)
        check_memory(
            BYTES_PER_POINT * n_points, f'a mesh of {n_points} points', 'take a longer cutoff with a coarser mesh'
        )
        density = np.zeros(settings.mesh)
        spread_of(settings.nodes)(fractions, system.charges, density)
        transformed = scipy.fft.rfftn(density)
        counts = np.array(settings.mesh, dtype=np.int64)
        influence = self._influence_of(system, reciprocal, counts)
        compiled_sums.apply_influence(transformed, influence, counts, reciprocal, settings.smearing, total.strain)
        potential = scipy.fft.irfftn(transformed, s=settings.mesh, overwrite_x=True)
        gradients = np.empty_like(fractions)
        gather_of(settings.nodes)(fractions, potential, total.potentials, gradients)
        total.potentials *= n_points
        total.forces[:] = -n_points * system.charges[:, None] * (gradients @ inverse.T)
        total.energy = 0.5 * float(system.charges @ total.potentials)
        total.scale(1.0 / system.volume)
        return total

    def _influence_of(self, system: ChargedSystem, reciprocal: Floats, counts: np.ndarray) -> Floats:
        """Return the influence function of a cell; that of the last cell is kept."""
        if self._influence is not None and np.array_equal(self._influence[0], system.cell):
            return self._influence[1]
        influence = np.empty((counts[0], counts[1], counts[2] // 2 + 1))
        damping = np.zeros((3, int(counts.max())))
        for axis, count in enumerate(counts):
            damping[axis, :count] = spline_factors(int(count), self.settings.nodes)
        compiled_sums.fill_influence(reciprocal, counts, self.settings.smearing, damping, influence)
        self._influence = (system.cell.copy(), influence)
        return influence

    @staticmethod
    def _finish(system: ChargedSystem, total: _Total) -> ElectrostaticResult:
        """Return a sum in house units."""
        stress = total.strain / system.volume if system.pbc.any() else np.zeros((3, 3))
        return ElectrostaticResult(
            energy=COULOMB_CONSTANT * total.energy,
            forces=COULOMB_CONSTANT * total.forces,
            stress=COULOMB_CONSTANT * stress,
            potentials=COULOMB_CONSTANT * total.potentials,
        )


@dataclass
class _Total:
    """A sum under way, in e and Å without the Coulomb constant."""

    energy: float
    forces: Floats
    potentials: Floats
    strain: Floats
    """Derivative of the energy by strain."""

    @classmethod
    def of(cls, n_atoms: int) -> _Total:
        """Return an empty sum."""
        return cls(0.0, np.zeros((n_atoms, 3)), np.zeros(n_atoms), np.zeros((3, 3)))

    def scale(self, factor: float) -> None:
        """Multiply everything by a factor."""
        self.energy *= factor
        self.forces *= factor
        self.potentials *= factor
        self.strain *= factor

    def add(self, other: _Total) -> None:
        """Add another sum."""
        self.energy += other.energy
        self.forces += other.forces
        self.potentials += other.potentials
        self.strain += other.strain

    def add_self_energy(self, system: ChargedSystem, alpha: float) -> None:
        """Take off what each charge has in its own Gaussian, and what a net charge has in its background.

        S. W. de Leeuw, J. W. Perram and E. R. Smith, Proc. R. Soc. A 373, 27 (1980).
        """
        own = 2.0 * alpha / math.sqrt(math.pi)
        background = math.pi / (alpha * alpha * system.volume)
        net = system.net_charge
        energy = -0.5 * background * net * net
        self.energy += energy - 0.5 * own * float(system.charges @ system.charges)
        self.potentials -= own * system.charges + background * net
        self.strain -= energy * np.eye(3)

    def add_slab(self, system: ChargedSystem) -> None:
        """Add what makes a stack of slabs one slab."""
        correction = slab_correction(system)
        self.energy += correction.energy
        self.forces += correction.forces
        self.potentials += correction.potentials
        self.strain += correction.strain


def _writable(system: ChargedSystem) -> ChargedSystem:
    """Return a system whose arrays are what the compiled loops take: of a file they may be read-only."""
    return replace(
        system,
        positions=np.array(system.positions, dtype=np.float64, order='C'),
        cell=np.array(system.cell, dtype=np.float64, order='C'),
        charges=np.array(system.charges, dtype=np.float64),
    )
