"""Sums over charges and their images that can be differentiated: to learn charges, and to run on accelerators.

The same settings give the same numbers as
:class:`aiida_edl.science.electrostatics.compiled_summation.CompiledSummation`, which is faster on a processor. Energies
are functions of positions, cell and charges of which torch takes any derivative, so that a loss on forces trains
charges.

Needs torch and torch-pme.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch

from aiida_edl.science.electrostatics.charged_system import ChargedSystem
from aiida_edl.science.electrostatics.electrostatic_result import ElectrostaticResult
from aiida_edl.science.electrostatics.exclusion import Exclusion
from aiida_edl.science.electrostatics.pairs import NeighbourPairs, all_pairs, neighbour_pairs
from aiida_edl.science.electrostatics.periodic_check import check_open
from aiida_edl.science.electrostatics.power_law import PowerLaw
from aiida_edl.science.electrostatics.summation_settings import SummationSettings
from aiida_edl.science.electrostatics.torch_calculators import calculator_of
from aiida_edl.science.electrostatics.torch_pairs import TorchPairs, check_types
from aiida_edl.science.electrostatics.torch_slab import slab_potentials

PERIODIC = (True, True, True)
ROUNDING = 4.0
"""Units in the last place of the sum of absolute charges up to which a net charge is rounding."""


class TorchSummation:
    """A sum with fixed numbers.

    :param settings: method and its numbers.
    :param dtype: type of the numbers, independent of torch's default.
    :param device: where the sum runs.
    :param power_law: which interaction, 1/r of charges by default.
    :param exclusion: neighbours to leave out, for exterior potentials.
    """

    def __init__(
        self,
        settings: SummationSettings,
        dtype: torch.dtype = torch.float64,
        device: str | torch.device = 'cpu',
        power_law: PowerLaw | None = None,
        exclusion: Exclusion | None = None,
    ) -> None:
        self.settings = settings
        self.dtype = dtype
        self.device = torch.device(device)
        self.power_law = PowerLaw() if power_law is None else power_law
        self.exclusion = exclusion

    def __call__(self, system: ChargedSystem, pairs: NeighbourPairs | None = None) -> ElectrostaticResult:
        """Return energy, forces, stress and potentials.

        :param system: the charges.
        :param pairs: pairs within the cutoff or more; searched if not given.
        :raises ChargedSystemError: if the method does not hold for the system.
        """
        self._check(system)
        positions, cell, charges = (self.tensor(array) for array in (system.positions, system.cell, system.charges))
        positions.requires_grad_()
        strain = torch.zeros_like(cell, requires_grad=True)
        strained = torch.eye(3, dtype=self.dtype, device=self.device) + strain
        listed = self.pairs_of(system) if pairs is None else TorchPairs.of(pairs, self.dtype, self.device)
        potentials = self._potentials(positions @ strained, cell @ strained, charges[:, None], system.pbc, listed)[:, 0]
        energy = 0.5 * torch.sum(charges * potentials)
        gradient, by_strain = torch.autograd.grad(energy, (positions, strain))
        stress = np.zeros((3, 3))
        if system.pbc.any():
            stress = _array(by_strain) / system.volume
        return ElectrostaticResult(float(energy.detach()), -_array(gradient), stress, _array(potentials))

    def energy(
        self,
        positions: torch.Tensor,
        cell: torch.Tensor,
        charges: torch.Tensor,
        pbc: Sequence[bool] = PERIODIC,
        pairs: TorchPairs | None = None,
    ) -> torch.Tensor:
        """Return the energy, of which any derivative can be taken.

        :param positions: Cartesian positions [Å], shape ``(n_atoms, 3)``.
        :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
        :param charges: charges [e], shape ``(n_atoms,)``, or ``(n_atoms, n_channels)`` for several sets of them that
            do not see each other.
        :param pbc: periodicity along the cell vectors.
        :param pairs: pairs within the cutoff or more; searched if not given.
        :returns: the energy [eV], a scalar, or that of each channel, shape ``(n_channels,)``.
        :raises ChargedSystemError: if the method does not hold for the system.
        """
        return 0.5 * torch.sum(charges * self.potentials(positions, cell, charges, pbc, pairs), dim=0)

    def potentials(
        self,
        positions: torch.Tensor,
        cell: torch.Tensor,
        charges: torch.Tensor,
        pbc: Sequence[bool] = PERIODIC,
        pairs: TorchPairs | None = None,
    ) -> torch.Tensor:
        """Return the potential at each atom, dE/dq, of which any derivative can be taken.

        The potential is linear in the charges: channels with one species each give that of each species.

        :param positions: Cartesian positions [Å], shape ``(n_atoms, 3)``.
        :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
        :param charges: charges [e], shape ``(n_atoms,)`` or ``(n_atoms, n_channels)``.
        :param pbc: periodicity along the cell vectors.
        :param pairs: pairs within the cutoff or more; searched if not given.
        :returns: potentials [V], of the shape of the charges.
        :raises ChargedSystemError: if the method does not hold for the system.
        """
        check_types(self.dtype, positions=positions, cell=cell, charges=charges)
        channels = charges[:, None] if charges.ndim == 1 else charges
        system = _system_of(positions, cell, channels, pbc)
        self._check(system)
        listed = self.pairs_of(system) if pairs is None else pairs
        return self._potentials(positions, cell, channels, system.pbc, listed).reshape(charges.shape)

    def pairs_of(self, system: ChargedSystem) -> TorchPairs:
        """Return the pairs which the sum needs, all of them for the direct sum.

        :param system: positions, cell and periodicity; its charges do not matter.
        :raises ChargedSystemError: if a direct sum is asked for in a periodic system.
        """
        is_direct = self.settings.method == 'direct'
        found = all_pairs(system) if is_direct else neighbour_pairs(system, self.cutoff_radius)
        return TorchPairs.of(found, self.dtype, self.device)

    def tensor(self, array: Any) -> torch.Tensor:
        """Return numbers in the type and at the place of the sum.

        :param array: numbers of any shape.
        """
        return torch.as_tensor(np.asarray(array), dtype=self.dtype, device=self.device)

    @property
    def cutoff_radius(self) -> float:
        """Distance up to which pairs are summed [Å]."""
        if self.settings.method == 'direct':
            return math.inf
        return self.settings.cutoff_radius if self.exclusion is None else self.exclusion.radius

    @cached_property
    def calculator(self) -> torch.nn.Module:
        """The calculator of torch-pme."""
        return calculator_of(self.settings, self.power_law, self.dtype, self.device, self.exclusion)

    def _check(self, system: ChargedSystem) -> None:
        """Refuse a system for which the method does not hold.

        :raises ChargedSystemError: with what was given and what would be right.
        """
        if self.settings.method == 'direct':
            check_open(system)
        else:
            self.power_law.check(system, self.settings)

    def _potentials(
        self,
        positions: torch.Tensor,
        cell: torch.Tensor,
        charges: torch.Tensor,
        pbc: np.ndarray,
        pairs: TorchPairs,
    ) -> torch.Tensor:
        """Return dE/dq of each channel, shape ``(n_atoms, n_channels)`` [V].

        :raises ChargedSystemError: if the pairs do not reach far enough.
        """
        near, distances = pairs.distances(positions, cell, self.cutoff_radius)
        potentials = 2.0 * self.calculator(charges, cell, positions, near, distances)  # the library halves them
        if pbc.any() and not pbc.all():
            potentials = potentials + self.power_law.prefactor * slab_potentials(positions, cell, charges)
        return potentials


def _array(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor as an array of double precision."""
    return np.asarray(tensor.detach().cpu().numpy(), dtype=np.float64)


def _system_of(
    positions: torch.Tensor, cell: torch.Tensor, channels: torch.Tensor, pbc: Sequence[bool]
) -> ChargedSystem:
    """Return the system of the channel with the largest net charge; a net charge that is rounding is taken off."""
    charges = _array(channels)
    charges = charges[:, int(np.argmax(np.abs(charges.sum(axis=0))))]
    net = charges.sum()
    if abs(net) <= ROUNDING * torch.finfo(channels.dtype).eps * np.sum(np.abs(charges)):
        charges = charges - net / len(charges)
    return ChargedSystem(_array(positions), _array(cell), charges, np.asarray(pbc, dtype=bool))
