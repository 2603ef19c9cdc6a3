"""Split charges: formal charges, and what neighbours give each other.

Needs torch.
"""

from __future__ import annotations

import torch

from aiida_edl.science.electrostatics.charge_models.electrostatic_frame import ElectrostaticFrame
from aiida_edl.science.electrostatics.charge_models.electrostatic_settings import ElectrostaticSettings
from aiida_edl.science.electrostatics.charge_models.mace_backbone import Features
from aiida_edl.science.electrostatics.charge_models.rungs.base import Charges, reader
from aiida_edl.science.electrostatics.charge_models.rungs.fixed import FixedCharges
from aiida_edl.science.electrostatics.coulomb_operator import CoulombOperator


class SplitCharges(FixedCharges):
    """Each pair of neighbours moves a charge from one to the other, so that their sum is that of the formal charges.

    ``q_i = q_i0 + Σ_j t_ij`` with ``t_ij = -t_ji = [f(h_i, h_j, r) - f(h_j, h_i, r)] c(r)``, which fades out at the
    cutoff radius (R. A. Nistor et al., J. Chem. Phys. 125, 094108 (2006)). A charge that goes from j to i along the
    vector between them is a dipole that does not depend on the origin: the polarisation of a periodic cell changes
    continuously as atoms move.
    """

    def __init__(self, settings: ElectrostaticSettings, n_scalars: int, n_vectors: int) -> None:
        super().__init__(settings, n_scalars, n_vectors)
        self.transfer_head = reader(2 * n_scalars + 1)

    def find(self, frame: ElectrostaticFrame, features: Features, operator: CoulombOperator) -> Charges:
        """Return the charges.

        :raises aiida_edl.science.electrostatics.charged_system.ChargedSystemError: if formal charges do not sum to
            the total charge.
        """
        formal = self.formal(frame)
        (first, second), _, moved = self.transfers(frame, features)
        charges = formal.index_add(0, first, moved).index_add(0, second, -moved)
        return Charges(charges[:, None])

    def transfers(
        self, frame: ElectrostaticFrame, features: Features
    ) -> tuple[tuple[torch.Tensor, torch.Tensor], torch.Tensor, torch.Tensor]:
        """Return both atoms of each pair, the vectors from first to second [Å], and what the first gains [e].

        :param frame: the frame.
        :param features: of its atoms.
        :returns: indices, each of shape ``(n_pairs,)``, shape ``(n_pairs, 3)`` and shape ``(n_pairs,)``.
        """
        cutoff_radius = self.settings.cutoff_radius
        near, vectors = frame.near.vectors(frame.positions, frame.cell, cutoff_radius)
        first, second = near[:, 0], near[:, 1]
        distances = torch.sqrt(torch.sum(vectors**2, dim=1))
        own, other, along = features.scalars[first], features.scalars[second], distances[:, None]
        given = self.transfer_head(torch.cat([own, other, along], dim=1))[:, 0]
        returned = self.transfer_head(torch.cat([other, own, along], dim=1))[:, 0]
        return (first, second), vectors, (given - returned) * _fading(distances / cutoff_radius)

    def polarisation(self, frame: ElectrostaticFrame, features: Features) -> torch.Tensor:
        """Return the dipole of the frame [e Å], shape ``(3,)``: formal charges where they are, and what pairs move.

        In a periodic cell only its changes have a meaning. Its derivative by positions are the Born charges.

        :param frame: the frame.
        :param features: of its atoms.
        """
        _, vectors, moved = self.transfers(frame, features)
        return self.formal(frame) @ frame.positions - moved @ vectors


def _fading(x: torch.Tensor) -> torch.Tensor:
    """Return a polynomial that falls from 1 to 0 with two vanishing derivatives at 1.

    :param x: distances over the cutoff radius.
    """
    return 1.0 - 10.0 * x**3 + 15.0 * x**4 - 6.0 * x**5
