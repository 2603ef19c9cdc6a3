"""Charges and dipoles that minimise an energy functional whose response is predicted.

Needs torch.
"""

from __future__ import annotations

import torch

from aiida_edl.science.electrostatics.charge_models.electrostatic_frame import ElectrostaticFrame
from aiida_edl.science.electrostatics.charge_models.fixed_point import Update
from aiida_edl.science.electrostatics.charge_models.mace_backbone import Features
from aiida_edl.science.electrostatics.charge_models.rungs.base import Charges
from aiida_edl.science.electrostatics.charge_models.rungs.scf import SelfConsistentCharges
from aiida_edl.science.electrostatics.coulomb_operator import CoulombOperator


class FunctionalCharges(SelfConsistentCharges):
    """Self-consistent charges and dipoles whose energy is least, so that all derivatives agree with each other.

    The stiffness of what is induced is the inverse of its response: ``½ Σ_i [(q - q_0)²/a + (d - d_0)²/b]`` besides the
    Coulomb energy. It is charge equilibration with a hardness for each atom, and dipoles. The potential of the
    electrode is dE/dQ, as it is not in a fixed point with a readout of its own.
    """

    def energy(
        self, frame: ElectrostaticFrame, features: Features, operator: CoulombOperator, charges: Charges
    ) -> torch.Tensor:
        """Return the energy of charges and dipoles; at a given potential less that times the charge."""
        return self._energy(frame, features, operator, charges.multipoles)

    def _adjoint(
        self,
        frame: ElectrostaticFrame,
        features: Features,
        operator: CoulombOperator,
        multipoles: torch.Tensor,
        update: Update,
    ) -> None:
        """Return None: the energy is stationary in the multipoles."""
        return

    def _responses(self, frame: ElectrostaticFrame, features: Features) -> tuple[torch.Tensor, torch.Tensor]:
        """Return susceptibilities and their inverses, each of shape ``(n_atoms, n_components)``."""
        soft, _ = super()._responses(frame, features)
        return soft, 1.0 / soft
