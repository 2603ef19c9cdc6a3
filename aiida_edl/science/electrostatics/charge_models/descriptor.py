"""The surroundings of an atom as numbers that do not change when they are turned: a power spectrum.

Needs torch.
"""

from __future__ import annotations

import math

import torch

from aiida_edl.science.electrostatics.charge_models.spherical_harmonics import real_spherical_harmonics


class PowerSpectrum(torch.nn.Module):  # type: ignore[misc]
    """Power spectrum of the density of neighbours (A. P. Bartók, R. Kondor, G. Csányi, Phys. Rev. B 87, 184115 (2013)).

    The density of the neighbours of element a is expanded as ``c_anlm = Σ_j f(r_j) R_n(r_j) Y_lm(r_j)`` with
    ``R_n(r) = √(2/R) sin(n π r/R)/r``, which are orthonormal within the cutoff radius R and the solutions of Laplace's
    problem for l = 0, for all l. Neighbours fade by ``f(r)``, one up to R less the width and a
    cosine from there to zero. What it gives is ``p_anbn'l = Σ_m c_anlm c_bn'lm/√(2l + 1)``, each pair once.

    :param cutoff_radius: cutoff radius R [Å].
    :param cutoff_width: width of the shell in which neighbours fade [Å].
    :param max_radial: radial functions.
    :param max_angular: highest angular momentum.
    :param n_species: elements.
    """

    def __init__(
        self, cutoff_radius: float, cutoff_width: float, max_radial: int, max_angular: int, n_species: int
    ) -> None:
        super().__init__()
        self.cutoff_radius = cutoff_radius
        self.cutoff_width = cutoff_width
        self.max_radial = max_radial
        self.max_angular = max_angular
        self.n_species = n_species

    @property
    def n_features(self) -> int:
        """Numbers for each atom."""
        n_densities = self.n_species * self.max_radial
        return n_densities * (n_densities + 1) // 2 * (self.max_angular + 1)

    def forward(self, vectors: torch.Tensor, pairs: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        """Return the power spectrum of each atom.

        :param vectors: vectors from the first to the second atom of each pair [Å], shape ``(n_pairs, 3)``.
        :param pairs: both atoms, each pair once, shape ``(n_pairs, 2)``.
        :param species: index of the element of each atom, shape ``(n_atoms,)``.
        :returns: shape ``(n_atoms, n_features)``.
        """
        distances = torch.sqrt(torch.sum(vectors**2, dim=1))
        radial = self.radial_functions(distances)
        harmonics = real_spherical_harmonics(vectors / distances[:, None], self.max_angular)
        first, second = pairs[:, 0], pairs[:, 1]
        # the element of the neighbour is the faster index of a density
        rows = torch.cat([first * self.n_species + species[second], second * self.n_species + species[first]])
        spectra = []
        n_densities = self.n_species * self.max_radial
        upper = torch.triu_indices(n_densities, n_densities, device=vectors.device)
        for angular, harmonic in enumerate(harmonics):
            one_way = radial[:, :, None] * harmonic[:, None, :]
            both_ways = torch.cat([one_way, (-1.0) ** angular * one_way])
            shape = (len(species) * self.n_species, self.max_radial, 2 * angular + 1)
            expansion = both_ways.new_zeros(shape).index_add(0, rows, both_ways)
            expansion = expansion.reshape(len(species), n_densities, 2 * angular + 1)
            products = expansion @ expansion.transpose(1, 2) / math.sqrt(2 * angular + 1)
            spectra.append(products[:, upper[0], upper[1]])
        return torch.cat(spectra, dim=1)

    def radial_functions(self, distances: torch.Tensor) -> torch.Tensor:
        """Return the radial functions, faded out.

        :param distances: distances [Å], shape ``(n_pairs,)``.
        :returns: shape ``(n_pairs, max_radial)`` [Å^-3/2].
        """
        orders = torch.arange(1, self.max_radial + 1, device=distances.device, dtype=distances.dtype)
        reduced = distances / self.cutoff_radius
        waves = torch.sin(math.pi * orders * reduced[:, None]) / distances[:, None]
        return math.sqrt(2.0 / self.cutoff_radius) * waves * self.fading(distances)[:, None]

    def fading(self, distances: torch.Tensor) -> torch.Tensor:
        """Return by how much neighbours count.

        :param distances: distances [Å], shape ``(n_pairs,)``.
        :returns: numbers between 0 and 1, shape ``(n_pairs,)``.
        """
        inside = (distances - self.cutoff_radius + self.cutoff_width) / self.cutoff_width
        return 0.5 * (1.0 + torch.cos(math.pi * torch.clamp(inside, 0.0, 1.0)))
