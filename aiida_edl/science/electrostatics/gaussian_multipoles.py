"""Coulomb interaction of atoms with Gaussian charges and dipoles, as a linear operator that can be differentiated.

The density is ``ρ(r) = Σ_i (q_i - d_i·∇) g_i(r - r_i)`` with normalised Gaussians of standard deviation w_i, the energy
``½ ∫∫ ρ(r) ρ(r') / |r - r'|`` with the interaction of each Gaussian with itself, times the Coulomb constant. It is a
quadratic form ``½ p·A p`` of the multipoles ``p = (q, d_x, d_y, d_z)`` of all atoms; potentials are ``A p``: the
derivative by a charge is the potential that its Gaussian sees, the one by a dipole the gradient of that potential.

Periodic cells are summed over wave vectors without the one of length zero: the average of the potential over the cell
is zero, and a net charge is neutralised by a uniform background. A film is summed in a cell with vacuum and corrected
as in :mod:`aiida_edl.science.electrostatics.slab_correction`; its potential is that of one film in empty space, zero
in the mean of both sides. An open frame is summed directly. Charges that are narrower than Gaussians can be on wave
vectors, points above all, are summed with another width, and pairs of atoms make up the difference.

Needs torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from aiida_edl.science.electrostatics.charged_system import COULOMB_CONSTANT, ChargedSystemError
from aiida_edl.science.electrostatics.torch_cell import cell_volume, sphere_wave_vectors

N_COMPONENTS = {0: 1, 1: 4}
"""Multipoles of an atom by the highest angular momentum: a charge, or a charge and the components of a dipole."""
REACH = 4.5
"""Longest wave vector times the smallest width: exp(-REACH²) = 2e-9 of the interaction is left out."""
FAR = 6.0
"""Distance over the width of a pair from which Gaussians are points: erfc(FAR/√2) = 2e-9."""


@dataclass(frozen=True)
class WaveVectors:
    """The periodic part of an operator: what does not change while charges do."""

    cosines: torch.Tensor
    """Cosines of the phases k·r times the Fourier transform of each Gaussian, shape ``(n_atoms, n_vectors)``."""
    sines: torch.Tensor
    """Sines likewise."""
    vectors: torch.Tensor
    """One of each pair k, -k, without zero [1/Å], shape ``(n_vectors, 3)``."""
    weights: torch.Tensor
    """What the square of each Fourier component of the density adds to the energy, twice [eV/e²], shape
    ``(n_vectors,)``."""

    @classmethod
    def of(cls, positions: torch.Tensor, cell: torch.Tensor, widths: torch.Tensor, k_cutoff: float) -> WaveVectors:
        """Return the phases of atoms in a cell.

        :param positions: Cartesian positions [Å], shape ``(n_atoms, 3)``.
        :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
        :param widths: standard deviations of the Gaussians [Å], shape ``(n_atoms,)``.
        :param k_cutoff: longest wave vector [1/Å].
        """
        vectors = sphere_wave_vectors(cell, k_cutoff)[1:]
        squares = torch.sum(vectors**2, dim=1)
        phases = positions @ vectors.T
        damping = torch.exp(-0.5 * widths[:, None] ** 2 * squares)
        weights = 8.0 * math.pi * COULOMB_CONSTANT / (cell_volume(cell) * squares)  # each stands for k and -k
        return cls(torch.cos(phases) * damping, torch.sin(phases) * damping, vectors, weights)

    def density(self, multipoles: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return real part and minus the imaginary part of the density [e], each of shape ``(n_vectors,)``.

        :param multipoles: charges [e] and dipoles [e Å], shape ``(n_atoms, 1)`` or ``(n_atoms, 4)``.
        """
        charges = multipoles[:, 0]
        real, imaginary = charges @ self.cosines, charges @ self.sines
        if multipoles.shape[1] == 1:
            return real, imaginary
        along = multipoles[:, 1:] @ self.vectors.T
        return real - torch.sum(along * self.sines, dim=0), imaginary + torch.sum(along * self.cosines, dim=0)

    def potentials(self, density: tuple[torch.Tensor, torch.Tensor], n_components: int) -> torch.Tensor:
        """Return what the Gaussians of the atoms see of a density: potential [V], and its gradient [V/Å].

        :param density: real part and minus the imaginary part of a density.
        :param n_components: 1 for the potential alone, 4 for its gradient too.
        """
        real, imaginary = (self.weights * part for part in density)
        potential = (self.cosines @ real + self.sines @ imaginary)[:, None]
        if n_components == 1:
            return potential
        slopes = self.cosines * imaginary - self.sines * real
        return torch.cat([potential, slopes @ self.vectors], dim=1)

    def matrix(self) -> torch.Tensor:
        """Return the operator on charges as a matrix [eV/e²], shape ``(n_atoms, n_atoms)``."""
        return (self.cosines * self.weights) @ self.cosines.T + (self.sines * self.weights) @ self.sines.T


def own_interaction(widths: torch.Tensor, n_components: int) -> torch.Tensor:
    """Return the interaction of each Gaussian multipole with itself: the diagonal of the operator in empty space.

    ``1/(√π w)`` for a charge and ``1/(6 √π w³)`` for each component of a dipole, times the Coulomb constant.

    :param widths: standard deviations of the Gaussians [Å], shape ``(n_atoms,)``.
    :param n_components: 1 for charges alone, 4 for dipoles too.
    :returns: [eV/e²] and [eV/(e Å)²], shape ``(n_atoms, n_components)``.
    """
    charges = COULOMB_CONSTANT / (math.sqrt(math.pi) * widths)
    dipoles = charges / (6.0 * widths**2)
    return torch.stack([charges, dipoles, dipoles, dipoles][:n_components], dim=1)


def pair_potentials(
    multipoles: torch.Tensor, pairs: torch.Tensor, vectors: torch.Tensor, radial: Callable[..., list[torch.Tensor]]
) -> torch.Tensor:
    """Return what atoms see of each other through a function of the distance, summed over pairs.

    With ``B_0`` the function and ``B_n+1 = -1/r dB_n/dr`` the potential of a charge and a dipole at a distance r is
    ``q B_0 + (d·r) B_1``, and its gradient ``-q r B_1 + d B_1 - r (d·r) B_2``.

    :param multipoles: charges [e] and dipoles [e Å], shape ``(n_atoms, 1)`` or ``(n_atoms, 4)``.
    :param pairs: both atoms of each pair, shape ``(n_pairs, 2)``.
    :param vectors: from the first to the second [Å], shape ``(n_pairs, 3)``.
    :param radial: returns B_0, and B_1 and B_2 if asked for three of them, from both atoms, distances and the number.
    :returns: potentials and gradients in the units of the functions, of the shape of the multipoles.
    """
    first, second = pairs[:, 0], pairs[:, 1]
    found = torch.zeros_like(multipoles)
    distances = torch.sqrt(torch.sum(vectors**2, dim=1))
    if multipoles.shape[1] == 1:
        (zeroth,) = radial(first, second, distances, 1)
        found = found.index_add(0, first, zeroth[:, None] * multipoles[second])
        return found.index_add(0, second, zeroth[:, None] * multipoles[first])
    functions = radial(first, second, distances, 3)
    for source, target, direction in ((first, second, vectors), (second, first, -vectors)):
        found = found.index_add(0, target, _seen(multipoles[source], direction, functions))
    return found


def _seen(multipoles: torch.Tensor, vectors: torch.Tensor, functions: list[torch.Tensor]) -> torch.Tensor:
    """Return potential and gradient at the ends of vectors from multipoles."""
    zeroth, first, second = functions
    charges, dipoles = multipoles[:, 0], multipoles[:, 1:]
    along = torch.sum(dipoles * vectors, dim=1)
    potential = charges * zeroth + along * first
    gradient = (dipoles - charges[:, None] * vectors) * first[:, None] - vectors * (along * second)[:, None]
    return torch.cat([potential[:, None], gradient], dim=1)


def gaussian_radial(distances: torch.Tensor, widths: torch.Tensor, count: int) -> list[torch.Tensor]:
    """Return ``B_0 = erf(r/(√2 s))/r`` and, for a count of three, the functions that follow from it.

    :param distances: r [Å], shape ``(n_pairs,)``.
    :param widths: s, the root of the sum of both squared widths [Å], shape ``(n_pairs,)``.
    :param count: 1 or 3.
    """
    error = torch.erf(distances / (math.sqrt(2.0) * widths))
    zeroth = error / distances
    if count == 1:
        return [zeroth]
    bell = math.sqrt(2.0 / math.pi) * torch.exp(-0.5 * (distances / widths) ** 2) / widths
    first = (zeroth - bell) / distances**2
    return [zeroth, first, (3.0 * first - bell / widths**2) / distances**2]


def check_components(multipoles: torch.Tensor, n_atoms: int) -> None:
    """Refuse multipoles of another shape.

    :param multipoles: charges, and dipoles if there are any.
    :param n_atoms: atoms of the frame.
    :raises ChargedSystemError: with both shapes.
    """
    if multipoles.ndim != 2 or len(multipoles) != n_atoms or multipoles.shape[1] not in N_COMPONENTS.values():
        raise ChargedSystemError(
            f'the multipoles have the shape {tuple(multipoles.shape)}, expected ({n_atoms}, 1) for charges or '
            f'({n_atoms}, 4) for charges and dipoles'
        )
