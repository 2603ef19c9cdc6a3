"""Charge equilibration: charges that minimise an energy whose electronegativities and hardnesses are predicted.

Needs torch.
"""

from __future__ import annotations

import math

import torch

from aiida_edl.science.electrostatics.charge_models.charge_equilibration import ChargeEquilibration
from aiida_edl.science.electrostatics.charge_models.electrostatic_frame import ElectrostaticFrame
from aiida_edl.science.electrostatics.charge_models.electrostatic_settings import ElectrostaticSettings
from aiida_edl.science.electrostatics.charge_models.mace_backbone import Features
from aiida_edl.science.electrostatics.charge_models.rungs.base import Charges, Rung, reader
from aiida_edl.science.electrostatics.coulomb_operator import CoulombOperator
from aiida_edl.science.electrostatics.gaussian_multipoles import own_interaction


class EquilibratedCharges(Rung):
    """The electronegativity of an atom follows from its surroundings, its hardness from its element.

    What is learnt in place of electronegativities are the charges ``-χ/(J + own)`` that atoms would have alone, with
    the first hardness J and the interaction of a Gaussian with itself: they are of the size of all that is learnt.
    """

    is_stationary = True

    def __init__(self, settings: ElectrostaticSettings, n_scalars: int, n_vectors: int) -> None:
        super().__init__(settings, n_scalars, n_vectors)
        width = torch.tensor([settings.charge_width], dtype=torch.get_default_dtype())
        self.stiffness = settings.hardness + float(own_interaction(width, 1)[0, 0])
        self.own_charges = torch.nn.Parameter(self.formal_charges.clone())
        log_hardness = torch.full_like(self.formal_charges, math.log(settings.hardness))
        self.log_hardnesses = torch.nn.Parameter(log_hardness)
        self.charge_head = reader(n_scalars)

    def find(self, frame: ElectrostaticFrame, features: Features, operator: CoulombOperator) -> Charges:
        """Return the charges.

        :raises aiida_edl.science.electrostatics.charge_models.constrained_solver.ChargeEquilibrationError: if they
            are not found.
        """
        problem = self._problem(frame, features, operator)
        outside, solver = frame.outside, self.settings.solver
        if outside.potential is None:
            found = problem.at_charge(outside.total_charge, solver)
        else:
            found = problem.at_potential(outside.potential, solver)
        return Charges(found.charges[:, None], found.potential, found.residuals)

    def energy(
        self, frame: ElectrostaticFrame, features: Features, operator: CoulombOperator, charges: Charges
    ) -> torch.Tensor:
        """Return the energy of charges; at a given potential less that times their sum."""
        energy = self._problem(frame, features, operator).energy(charges.multipoles[:, 0])
        potential = frame.outside.potential
        return energy if potential is None else energy - potential * charges.multipoles.sum()

    def _problem(self, frame: ElectrostaticFrame, features: Features, operator: CoulombOperator) -> ChargeEquilibration:
        """Return what the charges of a frame minimise."""
        alone = self.own_charges[frame.species] + self.charge_head(features.scalars)[:, 0]
        electronegativities = frame.field_potential() - self.stiffness * alone
        return ChargeEquilibration(operator, electronegativities, torch.exp(self.log_hardnesses[frame.species]))
