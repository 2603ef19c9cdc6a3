"""Charges and dipoles that follow from the surroundings of each atom.

Needs torch.
"""

from __future__ import annotations

from typing import Any

import torch

from aiida_edl.science.electrostatics.charge_models.electrostatic_frame import ElectrostaticFrame
from aiida_edl.science.electrostatics.charge_models.electrostatic_settings import ElectrostaticSettings
from aiida_edl.science.electrostatics.charge_models.mace_backbone import Features
from aiida_edl.science.electrostatics.charge_models.rungs.base import Charges, Rung, reader
from aiida_edl.science.electrostatics.coulomb_operator import CoulombOperator


class LatentCharges(Rung):
    """Charges that nothing binds to a total charge, and that need no label.

    B. Cheng, npj Comput. Mater. 11, 80 (2025).
    """

    def __init__(self, settings: ElectrostaticSettings, n_scalars: int, n_vectors: int) -> None:
        super().__init__(settings, n_scalars, n_vectors)
        self.own_charges = torch.nn.Parameter(self.formal_charges.clone())
        self.charge_head = reader(n_scalars)
        self.dipole_head: Any = None
        if settings.has_dipoles:
            self.dipole_head = torch.nn.Linear(n_vectors, 1, bias=False)
            torch.nn.init.zeros_(self.dipole_head.weight)

    def find(self, frame: ElectrostaticFrame, features: Features, operator: CoulombOperator) -> Charges:
        """Return the charges."""
        charges = self.bound(
            self.own_charges[frame.species] + self.charge_head(features.scalars)[:, 0], frame, features
        )
        if self.dipole_head is None:
            return Charges(charges[:, None])
        dipoles = self.dipole_head(features.vectors.transpose(1, 2))[:, :, 0]
        return Charges(torch.cat([charges[:, None], dipoles], dim=1))

    def bound(self, charges: torch.Tensor, frame: ElectrostaticFrame, features: Features) -> torch.Tensor:
        """Return charges bound to a total charge: here they are left as they are.

        :param charges: predicted charges [e], shape ``(n_atoms,)``.
        :param frame: the frame.
        :param features: of its atoms.
        """
        return charges


class LocalCharges(LatentCharges):
    """Charges that sum to the total charge: all atoms make up for what is missing, alike or by shares."""

    def __init__(self, settings: ElectrostaticSettings, n_scalars: int, n_vectors: int) -> None:
        super().__init__(settings, n_scalars, n_vectors)
        self.share_head: Any = reader(n_scalars) if settings.neutrality == 'share' else None

    def bound(self, charges: torch.Tensor, frame: ElectrostaticFrame, features: Features) -> torch.Tensor:
        """Return charges that sum to the total charge."""
        missing = frame.outside.total_charge - charges.sum()
        if self.share_head is None:
            return charges + missing / len(charges)
        shares = torch.nn.functional.softplus(self.share_head(features.scalars)[:, 0])
        return charges + missing * shares / shares.sum()
