"""The Coulomb operator of one frame: open, a film, or periodic in all directions.

Needs torch and numba.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from aiida_edl.science.electrostatics.charged_system import COULOMB_CONSTANT, ChargedSystem, ChargedSystemError
from aiida_edl.science.electrostatics.gaussian_multipoles import (
    FAR,
    REACH,
    WaveVectors,
    check_components,
    gaussian_radial,
    own_interaction,
    pair_potentials,
)
from aiida_edl.science.electrostatics.memory_check import check_memory
from aiida_edl.science.electrostatics.pairs import NeighbourPairs, all_pairs, neighbour_pairs
from aiida_edl.science.electrostatics.slab_correction import check_slab, film_stretch
from aiida_edl.science.electrostatics.torch_cell import cell_volume
from aiida_edl.science.electrostatics.torch_pairs import TorchPairs

NO_PAIRS = NeighbourPairs(np.zeros((0, 2), dtype=np.int64), np.zeros((0, 3), dtype=np.int32), math.inf)
ARRAYS = 6
"""Arrays of the size atoms times wave vectors that differentiation keeps."""
POINT = 1e-4
"""Width of a pair of points [Å]: their interaction is 1/r to the last digit, and can be differentiated."""
LARGEST_VOLUME = 100.0
"""Volume of an atom above which a cell that is periodic in all directions is a molecule in a box [Å³]."""


@dataclass(frozen=True)
class CoulombOperator:
    """The interaction of Gaussian multipoles at the atoms of one frame: a symmetric linear operator.

    Made by :meth:`of`; it can be applied again and again while the atoms stay where they are.
    """

    positions: torch.Tensor
    """Cartesian positions [Å], shape ``(n_atoms, 3)``."""
    cell: torch.Tensor
    """Cell of the sum as rows [Å], shape ``(3, 3)``: that of the frame, lengthened where a film lacks vacuum."""
    widths: torch.Tensor
    """Standard deviations of the Gaussians [Å], shape ``(n_atoms,)``; 0 for a point."""
    summed_widths: torch.Tensor
    """The widths with which wave vectors are summed [Å], shape ``(n_atoms,)``: none is smaller than ``smearing``."""
    waves: WaveVectors | None
    """The periodic part; None for an open frame."""
    pairs: TorchPairs
    """Pairs that are summed in real space: all of an open frame, those with a point of any other."""
    is_film: bool
    """Whether the frame is open along its third cell vector alone."""
    has_points: bool
    """Whether charges are narrower than what is summed over wave vectors, or points in an open frame."""

    @classmethod
    def of(
        cls,
        positions: torch.Tensor,
        cell: torch.Tensor,
        pbc: Sequence[bool],
        widths: torch.Tensor,
        smearing: float | None = None,
    ) -> CoulombOperator:
        """Return the operator of a frame.

        :param positions: Cartesian positions [Å], shape ``(n_atoms, 3)``.
        :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
        :param pbc: periodicity along the cell vectors: all, the first two, or none.
        :param widths: standard deviations of the Gaussians [Å], shape ``(n_atoms,)``; 0 for a point.
        :param smearing: smallest width on wave vectors [Å]; that of the narrowest atom without it.
        :raises ChargedSystemError: for a frame that is periodic along one cell vector, a film that is none, a molecule
            in a periodic box, or points without a smearing.
        """
        points, box = (tensor.detach().cpu().numpy().astype(float) for tensor in (positions, cell))
        system = ChargedSystem(points, box, np.zeros(len(points)), np.asarray(pbc, dtype=bool))
        n_periodic = int(system.pbc.sum())
        if n_periodic == 0:
            every = TorchPairs.of(all_pairs(system), positions.dtype, positions.device)
            has_points = bool(torch.any(widths.detach() == 0.0))
            return cls(positions, cell, widths, widths, None, every, is_film=False, has_points=has_points)
        check_extended(system)
        stretch = film_stretch(system)
        long = cell * torch.tensor([[1.0], [1.0], [float(stretch)]], dtype=cell.dtype, device=cell.device)
        system = ChargedSystem(points, long.detach().cpu().numpy().astype(float), system.charges, system.pbc)
        if n_periodic < 3:
            check_slab(system)
        narrowest = float(widths.detach().min()) if smearing is None else smearing
        if narrowest <= 0.0:
            raise ChargedSystemError('there are point charges in a periodic cell, and no smearing; give one, e.g. 1 Å')
        k_cutoff = REACH / narrowest
        _check_waves(system, k_cutoff, positions)
        summed = torch.clamp(widths, min=narrowest)
        is_narrow = bool(torch.any(widths.detach() < narrowest))
        reach = FAR * math.sqrt(2.0) * float(summed.detach().max())
        near = neighbour_pairs(system, reach) if is_narrow else NO_PAIRS
        is_listed = np.any((widths.detach() < narrowest).cpu().numpy()[near.pairs], axis=1)
        near = NeighbourPairs(near.pairs[is_listed], near.shifts[is_listed], near.cutoff_radius)
        return cls(
            positions,
            long,
            widths,
            summed,
            WaveVectors.of(positions, long, summed, k_cutoff),
            TorchPairs.of(near, positions.dtype, positions.device),
            is_film=n_periodic == 2,
            has_points=is_narrow,
        )

    def energy(self, multipoles: torch.Tensor) -> torch.Tensor:
        """Return the energy [eV], with that of each Gaussian by itself; a scalar.

        :param multipoles: charges [e] and dipoles [e Å], shape ``(n_atoms, 1)`` or ``(n_atoms, 4)``.
        """
        return 0.5 * torch.sum(multipoles * self.potentials(multipoles))

    def potentials(self, multipoles: torch.Tensor) -> torch.Tensor:
        """Return the derivatives of the energy: the potential [V] that each Gaussian sees, and its gradient [V/Å].

        :param multipoles: charges [e] and dipoles [e Å], shape ``(n_atoms, 1)`` or ``(n_atoms, 4)``.
        :returns: of the shape of the multipoles.
        :raises ChargedSystemError: for another shape, or dipoles in a frame with points.
        """
        check_components(multipoles, len(self.positions))
        n_components = multipoles.shape[1]
        if n_components > 1 and self.has_points:
            raise ChargedSystemError(
                'there are dipoles in a frame with point charges; give all atoms a width of at least the smearing'
            )
        found = torch.zeros_like(multipoles)
        if len(self.pairs.pairs):
            found = pair_potentials(multipoles, self.pairs.pairs, self._vectors(), self._radial)
        if self.waves is None:
            return found + self._own(self.widths, n_components) * multipoles
        found = found + self.waves.potentials(self.waves.density(multipoles), n_components)
        if self.has_points:
            found = found + self._missing(multipoles)
        return found + self._of_film(multipoles) if self.is_film else found

    def matrix(self) -> torch.Tensor:
        """Return the operator on charges as a matrix [eV/e²], shape ``(n_atoms, n_atoms)``."""
        n_atoms = len(self.positions)
        first, second = self.pairs.pairs[:, 0], self.pairs.pairs[:, 1]
        (values,) = self._radial(first, second, self._distances(), 1)
        whole = torch.zeros((n_atoms, n_atoms), dtype=self.positions.dtype, device=self.positions.device)
        whole = whole.index_put((first, second), values, accumulate=True)
        whole = whole.index_put((second, first), values, accumulate=True)
        if self.waves is None:
            return whole + torch.diag(self._own(self.widths, 1)[:, 0])
        whole = whole + self.waves.matrix()
        if self.has_points:
            own, mean = self._missing_parts()
            whole = whole + torch.diag(own) - (mean[:, None] + mean[None, :])
        return whole + self._film_matrix() if self.is_film else whole

    def _distances(self) -> torch.Tensor:
        """Return the distances of the pairs [Å]."""
        vectors = self._vectors()
        return torch.sqrt(torch.sum(vectors**2, dim=1))

    def _vectors(self) -> torch.Tensor:
        """Return the vectors from the first to the second atom of each pair [Å]."""
        pairs = self.pairs.pairs
        return self.positions[pairs[:, 1]] - self.positions[pairs[:, 0]] + self.pairs.shifts @ self.cell

    def _radial(
        self, first: torch.Tensor, second: torch.Tensor, distances: torch.Tensor, count: int
    ) -> list[torch.Tensor]:
        """Return the radial functions of pairs: all of an open frame, what wave vectors lack of any other."""
        own = torch.sqrt(torch.clamp(self.widths[first] ** 2 + self.widths[second] ** 2, min=POINT**2))
        if self.waves is None:
            return [COULOMB_CONSTANT * part for part in gaussian_radial(distances, own, count)]
        summed = torch.sqrt(self.summed_widths[first] ** 2 + self.summed_widths[second] ** 2)
        tails = [torch.erfc(distances / (math.sqrt(2.0) * widths)) for widths in (summed, own)]
        return [COULOMB_CONSTANT * (tails[0] - tails[1]) / distances]

    def _own(self, widths: torch.Tensor, n_components: int) -> torch.Tensor:
        """Return the interaction of each Gaussian with itself; none of a point, whose is infinite."""
        is_point = widths == 0.0
        own = own_interaction(torch.where(is_point, torch.ones_like(widths), widths), n_components)
        return torch.where(is_point[:, None], torch.zeros_like(own), own)

    def _missing_parts(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the sum over wave vectors lacks of narrow charges: of the own interaction, and of the average.

        The interaction of pairs has an average over the cell, 2π s² for an erfc of width s, that is taken off again.
        """
        own = (self._own(self.widths, 1) - own_interaction(self.summed_widths, 1))[:, 0]
        squares = self.summed_widths**2 - self.widths**2
        return own, 2.0 * math.pi * COULOMB_CONSTANT / cell_volume(self.cell) * squares

    def _missing(self, multipoles: torch.Tensor) -> torch.Tensor:
        """Return what the potentials lack of narrow charges, but for that of other atoms [V]."""
        own, mean = self._missing_parts()
        charges = multipoles[:, 0]
        return (own * charges - mean * charges.sum() - mean @ charges)[:, None]

    def _film(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the heights [Å], the normal, the length of the cell [Å], and the prefactor of the correction."""
        cross = torch.linalg.cross(self.cell[0], self.cell[1])
        area = torch.sqrt(torch.sum(cross**2))
        volume = cell_volume(self.cell)
        prefactor = 4.0 * math.pi * COULOMB_CONSTANT / volume
        return self.positions @ cross / area, cross / area, volume / area, prefactor

    def _of_film(self, multipoles: torch.Tensor) -> torch.Tensor:
        """Return what turns the potentials in a stack of films into those of one film."""
        heights, normal, length, prefactor = self._film()
        charges = multipoles[:, 0]
        squares = heights**2 + self.widths**2
        net, dipole, second = charges.sum(), charges @ heights, charges @ squares
        if multipoles.shape[1] > 1:
            along = multipoles[:, 1:] @ normal
            dipole, second = dipole + along.sum(), second + 2.0 * (along @ heights)
        potential = heights * dipole - 0.5 * (second + net * squares) - net * length**2 / 12.0
        if multipoles.shape[1] == 1:
            return prefactor * potential[:, None]
        slopes = (dipole - net * heights)[:, None] * normal
        return prefactor * torch.cat([potential[:, None], slopes], dim=1)

    def _film_matrix(self) -> torch.Tensor:
        """Return the correction of a film on charges as a matrix [eV/e²], shape ``(n_atoms, n_atoms)``."""
        heights, _, length, prefactor = self._film()
        squares = heights**2 + self.widths**2
        moments = torch.outer(heights, heights) - 0.5 * (squares[:, None] + squares[None, :])
        return prefactor * (moments - length**2 / 12.0)


def check_extended(system: ChargedSystem) -> None:
    """Refuse a molecule in a box that is periodic in all directions: its images would act on it.

    :param system: the frame.
    :raises ChargedSystemError: with the volume of an atom and the remedy.
    """
    volume = system.volume / len(system.charges)
    if system.pbc.all() and volume > LARGEST_VOLUME:
        raise ChargedSystemError(
            f'the cell is periodic along all vectors and has {volume:.0f} Å³ for each atom, more than '
            f'{LARGEST_VOLUME:.0f}: it is a molecule in a box or a film; make the frame open along the vectors across '
            'the vacuum'
        )


def _check_waves(system: ChargedSystem, k_cutoff: float, positions: torch.Tensor) -> None:
    """Refuse more wave vectors than the memory takes."""
    if positions.device.type != 'cpu':
        return
    n_vectors = round(system.volume * k_cutoff**3 / (12.0 * math.pi**2))
    needed = ARRAYS * positions.element_size() * len(positions) * n_vectors
    what = f'{n_vectors} wave vectors of {len(positions)} atoms'
    check_memory(needed, what, 'take wider Gaussians')
