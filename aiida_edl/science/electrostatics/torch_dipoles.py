"""Sums over point dipoles and their images that can be differentiated: direct and Ewald, with conducting surroundings.

The interaction of dipoles with charges is not part of torch-pme.

Needs torch and torch-pme.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torchpme import CalculatorDipole, PotentialDipole

from aiida_edl.science.electrostatics.charged_system import COULOMB_CONSTANT, ChargedSystem, ChargedSystemError
from aiida_edl.science.electrostatics.pairs import all_pairs, neighbour_pairs
from aiida_edl.science.electrostatics.periodic_check import check_open, check_periodic
from aiida_edl.science.electrostatics.summation_settings import SummationSettings, SummationSettingsError
from aiida_edl.science.electrostatics.torch_cell import cell_volume, sphere_wave_vectors
from aiida_edl.science.electrostatics.torch_pairs import TorchPairs, check_types
from aiida_edl.science.electrostatics.torch_summation import PERIODIC

METHODS = ('direct', 'ewald')


class SphereDipoles(CalculatorDipole):  # type: ignore[misc]
    """Ewald sum of dipoles over all wave vectors up to a length, surrounded by a conductor.

    :param potential: the pair potential with its smearing.
    :param k_cutoff: longest wave vector [1/Å].
    """

    def __init__(self, potential: PotentialDipole, k_cutoff: float) -> None:
        super().__init__(potential, lr_wavelength=2.0 * math.pi / k_cutoff)
        self.k_cutoff = k_cutoff

    def _compute_kspace(self, dipoles: torch.Tensor, cell: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Return half of dE/dμ of all smeared dipoles but the own one.

        :param dipoles: dipoles [e Å], shape ``(n_atoms, 3)``.
        :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
        :param positions: Cartesian positions [Å], shape ``(n_atoms, 3)``.
        """
        vectors = sphere_wave_vectors(cell, self.k_cutoff)[1:]
        weights = 2.0 * self.potential.lr_from_k_sq(torch.sum(vectors**2, dim=1))  # each stands for k and -k
        phases = positions @ vectors.T
        cosines, sines = torch.cos(phases), torch.sin(phases)
        along = dipoles @ vectors.T
        sums = cosines * torch.sum(cosines * along, dim=0) + sines * torch.sum(sines * along, dim=0)
        return 0.5 * ((sums * weights) @ vectors / cell_volume(cell) - dipoles * self.potential.self_contribution())


class DipoleSummation:
    """A sum over dipoles with fixed numbers.

    :param settings: the method ``'direct'`` or ``'ewald'`` and its numbers.
    :param dtype: type of the numbers, independent of torch's default.
    :param device: where the sum runs.
    """

    def __init__(
        self, settings: SummationSettings, dtype: torch.dtype = torch.float64, device: str | torch.device = 'cpu'
    ) -> None:
        self.settings = settings
        self.dtype = dtype
        self.device = torch.device(device)

    def energy(
        self,
        positions: torch.Tensor,
        cell: torch.Tensor,
        dipoles: torch.Tensor,
        pbc: Sequence[bool] = PERIODIC,
        pairs: TorchPairs | None = None,
    ) -> torch.Tensor:
        """Return the energy, of which any derivative can be taken.

        :param positions: Cartesian positions [Å], shape ``(n_atoms, 3)``.
        :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
        :param dipoles: dipoles [e Å], shape ``(n_atoms, 3)``.
        :param pbc: periodicity along the cell vectors: all of them, or none for the direct sum.
        :param pairs: pairs within the cutoff or more; searched if not given.
        :returns: the energy [eV], a scalar.
        :raises ChargedSystemError: if the method does not hold for the system.
        """
        return -0.5 * torch.sum(dipoles * self.fields(positions, cell, dipoles, pbc, pairs))

    def fields(
        self,
        positions: torch.Tensor,
        cell: torch.Tensor,
        dipoles: torch.Tensor,
        pbc: Sequence[bool] = PERIODIC,
        pairs: TorchPairs | None = None,
    ) -> torch.Tensor:
        """Return the electric field of all other dipoles at each of them, -dE/dμ.

        :param positions: Cartesian positions [Å], shape ``(n_atoms, 3)``.
        :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
        :param dipoles: dipoles [e Å], shape ``(n_atoms, 3)``.
        :param pbc: periodicity along the cell vectors: all of them, or none for the direct sum.
        :param pairs: pairs within the cutoff or more; searched if not given.
        :returns: fields [V/Å], shape ``(n_atoms, 3)``.
        :raises ChargedSystemError: if the method does not hold for the system.
        """
        is_direct = self.settings.method == 'direct'
        check_types(self.dtype, positions=positions, cell=cell, dipoles=dipoles)
        points, box = (tensor.detach().cpu().numpy().astype(float) for tensor in (positions, cell))
        system = ChargedSystem(points, box, np.zeros(len(points)), np.asarray(pbc, dtype=bool))
        self._check(system)
        listed = self._pairs(system) if pairs is None else pairs
        cutoff_radius = math.inf if is_direct else self.settings.cutoff_radius
        near, vectors = listed.vectors(positions, cell, cutoff_radius)
        return -2.0 * self.calculator(dipoles, cell, positions, near, vectors)  # the library halves them

    @cached_property
    def calculator(self) -> CalculatorDipole:
        """The calculator of torch-pme.

        :raises SummationSettingsError: for a method with a mesh.
        """
        settings = self.settings
        if settings.method not in METHODS:
            raise SummationSettingsError(
                f'the method is {settings.method}, dipoles are summed by one of: {", ".join(METHODS)}'
            )
        if settings.k_cutoff is None or settings.method == 'direct':
            calculator = CalculatorDipole(PotentialDipole(prefactor=COULOMB_CONSTANT))
        else:
            potential = PotentialDipole(settings.smearing, prefactor=COULOMB_CONSTANT)
            calculator = SphereDipoles(potential, settings.k_cutoff)
        return calculator.to(dtype=self.dtype, device=self.device)

    def _check(self, system: ChargedSystem) -> None:
        """Refuse directions in which the method does not sum.

        :raises ChargedSystemError: with what was given and what would be right.
        """
        if self.settings.method == 'direct':
            check_open(system)
            return
        check_periodic(system, self.settings)
        if not system.pbc.all():
            raise ChargedSystemError(
                f'the system is periodic along {system.pbc.tolist()}: an Ewald sum of dipoles needs all three cell '
                'vectors to be periodic'
            )

    def _pairs(self, system: ChargedSystem) -> TorchPairs:
        """Return the pairs which the sum needs."""
        is_direct = self.settings.method == 'direct'
        found = all_pairs(system) if is_direct else neighbour_pairs(system, self.settings.cutoff_radius)
        return TorchPairs.of(found, self.dtype, self.device)
