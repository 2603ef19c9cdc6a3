"""The potential at each atom of what lies beyond its neighbours: a feature for models that see the neighbours anyway.

Needs torch and torch-pme.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from aiida_edl.science.electrostatics.exclusion import Exclusion
from aiida_edl.science.electrostatics.power_law import PowerLaw
from aiida_edl.science.electrostatics.summation_settings import SummationSettings
from aiida_edl.science.electrostatics.torch_pairs import TorchPairs
from aiida_edl.science.electrostatics.torch_summation import PERIODIC, TorchSummation


class ExteriorPotential:
    """Exterior potential features, as in torch-pme (P. Loche et al., J. Chem. Phys. 162, 142501 (2025)).

    At atom i it is ``Σ_j q_j v(r_ij) [1 - f(r_ij)]`` with the share ``f(r) = 1 - [(1 - cos(π r/R))/2]^n`` that is left
    out within the exclusion radius R. For a sum over images v is the potential of the smeared charge, which is 1/r but
    for erfc(r/(√2 σ))/r: the cutoff radius of the settings plays no part, and a smearing of R/5 or less makes
    the potential of atoms beyond R exact to 4e-8 e/Å. For the direct sum v is the bare potential. Potentials are whole
    ones [V], not the halves of the library.

    :param settings: method and its numbers.
    :param exclusion: what is left out.
    :param dtype: type of the numbers, independent of torch's default.
    :param device: where the sum runs.
    :param power_law: which interaction, 1/r of charges by default.
    """

    def __init__(
        self,
        settings: SummationSettings,
        exclusion: Exclusion,
        dtype: torch.dtype = torch.float64,
        device: str | torch.device = 'cpu',
        power_law: PowerLaw | None = None,
    ) -> None:
        self.summation = TorchSummation(settings, dtype, device, power_law, exclusion)

    def __call__(
        self,
        positions: torch.Tensor,
        cell: torch.Tensor,
        charges: torch.Tensor,
        pbc: Sequence[bool] = PERIODIC,
        pairs: TorchPairs | None = None,
    ) -> torch.Tensor:
        """Return the features, of which any derivative can be taken.

        :param positions: Cartesian positions [Å], shape ``(n_atoms, 3)``.
        :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
        :param charges: charges [e], shape ``(n_atoms,)``, or ``(n_atoms, n_channels)`` with a channel for
            each species, say.
        :param pbc: periodicity along the cell vectors.
        :param pairs: pairs within the exclusion radius or more; searched if not given.
        :returns: exterior potentials [V], of the shape of the charges.
        :raises ChargedSystemError: if the method does not hold for the system, or the pairs do not reach as far as the
            exclusion.
        """
        return self.summation.potentials(positions, cell, charges, pbc, pairs)
