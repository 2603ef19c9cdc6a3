"""Formal charges: the rung on which nothing about charges is learnt.

Needs torch.
"""

from __future__ import annotations

import torch

from aiida_edl.science.electrostatics.charge_models.electrostatic_frame import ElectrostaticFrame
from aiida_edl.science.electrostatics.charge_models.mace_backbone import Features
from aiida_edl.science.electrostatics.charge_models.rungs.base import Charges, Rung
from aiida_edl.science.electrostatics.charged_system import NEUTRAL, ChargedSystemError
from aiida_edl.science.electrostatics.coulomb_operator import CoulombOperator


class FixedCharges(Rung):
    """One charge for each element; atoms of one element may share what is missing to the total charge."""

    def find(self, frame: ElectrostaticFrame, features: Features, operator: CoulombOperator) -> Charges:
        """Return the charges.

        :raises ChargedSystemError: if they do not sum to the total charge, and no element of the frame balances them.
        """
        return Charges(self.formal(frame)[:, None])

    def formal(self, frame: ElectrostaticFrame) -> torch.Tensor:
        """Return formal charges that sum to the total charge [e], shape ``(n_atoms,)``.

        :param frame: the frame.
        :raises ChargedSystemError: if they do not, and no element of the frame balances them.
        """
        charges = self.formal_charges[frame.species].to(frame.positions.dtype)
        missing = frame.outside.total_charge - float(charges.sum())
        balancing = torch.zeros_like(charges)
        if self.settings.balanced_by in self.settings.atomic_numbers:
            balancing = (frame.species == self.settings.atomic_numbers.index(self.settings.balanced_by)).to(charges)
        if bool(balancing.any()):
            return charges + balancing * missing / balancing.sum()
        if abs(missing) > NEUTRAL * len(charges):
            raise ChargedSystemError(
                f'the formal charges of a frame sum to {float(charges.sum()):g} e, its total charge is '
                f'{frame.outside.total_charge:g} e; change one of them, or name an element of the frame in balanced_by'
            )
        return charges
