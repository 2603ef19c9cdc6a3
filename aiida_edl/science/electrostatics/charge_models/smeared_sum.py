"""Interactions of Gaussian charges, with smearing and weights that can be learnt.

The energy is ``E = ½ Σ_p w_p Σ_ij q_i q_j v_p(r_ij) [1 - f(r_ij)]`` over all pairs, images included, with the potential
of a Gaussian charge in place of 1/r^p: ``v_1(r) = erf(r/(√2 σ))/r``, and the incomplete gamma function for other powers
(P. Loche et al., J. Chem. Phys. 162, 142501 (2025)). The share ``f`` of neighbours that is left out is that of
:class:`~aiida_edl.science.electrostatics.exterior_potential.ExteriorPotential`, or zero. The formula is the same in a
box and in free space: a molecule in a large box has the energy of the same molecule in none, to the order of the
interactions of its multipoles with their images.

Needs torch and torch-pme.
"""

from __future__ import annotations

import math

import torch

from aiida_edl.science.electrostatics.charge_models.atomic_system import AtomicSystem
from aiida_edl.science.electrostatics.charge_models.model_settings import LocalChargeSettings
from aiida_edl.science.electrostatics.charged_system import ChargedSystem
from aiida_edl.science.electrostatics.converged_sum import mesh_for
from aiida_edl.science.electrostatics.exclusion import Exclusion
from aiida_edl.science.electrostatics.power_law import PowerLaw
from aiida_edl.science.electrostatics.summation_settings import SummationSettings
from aiida_edl.science.electrostatics.torch_summation import TorchSummation

NODES = 5
"""Order of the splines of the mesh."""


class SmearedSum(torch.nn.Module):  # type: ignore[misc]
    """Potentials of Gaussian charges.

    The weight of a single interaction is one: charges that are learnt have its freedom already. Those of several are
    learnt and begin at one over their number. All have the Coulomb constant as prefactor.

    :param settings: those of the model.
    """

    def __init__(self, settings: LocalChargeSettings) -> None:
        super().__init__()
        self.settings = settings
        n_exponents = len(settings.exponents)
        self.weights = torch.nn.Parameter(torch.full((n_exponents,), 1.0 / n_exponents), requires_grad=n_exponents > 1)
        log_smearing = torch.tensor(math.log(settings.smearing))
        self.log_smearing = torch.nn.Parameter(log_smearing, requires_grad=settings.learns_smearing)
        self.exclusion = Exclusion(settings.cutoff_radius) if settings.excludes_neighbours else None

    @property
    def smearing(self) -> torch.Tensor:
        """Standard deviation of the Gaussian charges [Å], a scalar."""
        return torch.exp(self.log_smearing)

    def forward(self, system: AtomicSystem, charges: torch.Tensor) -> torch.Tensor:
        """Return dE/dq of each atom, half of which times the charges is the energy.

        :param system: the frame.
        :param charges: charges [e], shape ``(n_atoms,)``.
        :returns: potentials [V], shape ``(n_atoms,)``.
        :raises aiida_edl.science.electrostatics.charged_system.ChargedSystemError: for a film or a wire with another
            exponent than 1, and a charged periodic cell with the exponent 3.
        """
        total = torch.zeros_like(charges)
        for weight, exponent in zip(self.weights, self.settings.exponents):
            summation = self._summation(system, exponent)
            if any(system.pbc):
                found = summation.potentials(system.positions, system.long_range_cell, charges, system.pbc, system.far)
            else:
                found = _open_potentials(summation, system, charges)
            total = total + weight * found
        return total

    def _summation(self, system: AtomicSystem, exponent: int) -> TorchSummation:
        """Return the sum of one interaction, its smearing a function of the parameter."""
        smearing = self.smearing
        width, dtype, device = float(smearing.detach()), system.positions.dtype, system.positions.device
        spacing = self.settings.resolution * width
        if self.settings.summation == 'ewald' or not any(system.pbc):
            numbers = SummationSettings('ewald', math.inf, width, k_cutoff=math.pi / spacing, has_background=True)
        else:
            mesh = mesh_for(_cell_alone(system), spacing, NODES)
            numbers = SummationSettings('p3m', math.inf, width, mesh=mesh, nodes=NODES, has_background=True)
        summation = TorchSummation(numbers, dtype, device, PowerLaw(exponent), self.exclusion)
        if self.settings.learns_smearing:
            summation.calculator.potential.smearing = smearing
        return summation


def _cell_alone(system: AtomicSystem) -> ChargedSystem:
    """Return the cell of the long-range part, with the atoms in it."""
    positions, cell = (tensor.detach().cpu().numpy() for tensor in (system.positions, system.long_range_cell))
    charges, pbc = torch.zeros(len(positions)).numpy(), torch.tensor(system.pbc).numpy()
    return ChargedSystem(positions, cell, charges, pbc)


def _open_potentials(summation: TorchSummation, system: AtomicSystem, charges: torch.Tensor) -> torch.Tensor:
    """Return dE/dq of an open frame, by all pairs."""
    potential = summation.calculator.potential
    pairs, distances = system.far.distances(system.positions, system.cell, math.inf)
    values = potential.lr_from_dist(distances)
    if summation.exclusion is not None:
        values = values + potential.sr_from_dist(distances)  # which is the share that is left out, with a minus sign
    first, second = pairs[:, 0], pairs[:, 1]
    found = torch.zeros_like(charges).index_add(0, first, values * charges[second])
    return found.index_add(0, second, values * charges[first])
