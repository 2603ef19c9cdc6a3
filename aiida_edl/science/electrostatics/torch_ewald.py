"""Ewald sum of torch-pme over all wave vectors within a sphere, and what every sum of smeared charges has to take off.

The library's ``lr_wavelength`` cuts each component at half of 2π/wavelength, to a box instead of a sphere.

Needs torch and torch-pme.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torchpme import EwaldCalculator
from torchpme.potentials import Potential

from aiida_edl.science.electrostatics.memory_check import check_memory
from aiida_edl.science.electrostatics.torch_cell import cell_volume, sphere_wave_vectors

ARRAYS = 4
"""Phases, sines, cosines, and what differentiation keeps."""


class SphereEwald(EwaldCalculator):  # type: ignore[misc]
    """Ewald sum over all wave vectors up to a length.

    :param potential: the pair potential with its smearing.
    :param k_cutoff: longest wave vector [1/Å].
    """

    def __init__(self, potential: Potential, k_cutoff: float) -> None:
        super().__init__(potential, lr_wavelength=2.0 * math.pi / k_cutoff)
        self.k_cutoff = k_cutoff

    def _compute_kspace(
        self, charges: torch.Tensor, cell: torch.Tensor, positions: torch.Tensor, **others: Any
    ) -> torch.Tensor:
        """Return half the potentials of all smeared charges but the own one.

        :param charges: charges, shape ``(n_atoms, n_channels)``.
        :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
        :param positions: Cartesian positions [Å], shape ``(n_atoms, 3)``.
        :param others: what the library passes on; must be absent.
        """
        refuse_others(others)
        vectors = sphere_wave_vectors(cell, self.k_cutoff)
        weights = 2.0 * self.potential.lr_from_k_sq(torch.sum(vectors**2, dim=1))
        is_zero = torch.arange(len(vectors), device=cell.device) == 0
        weights = torch.where(is_zero, 0.5 * weights, weights)[:, None]  # all others stand for two
        if positions.device.type == 'cpu':
            needed = ARRAYS * positions.element_size() * len(positions) * len(vectors)
            what = f'{len(vectors)} wave vectors of {len(positions)} atoms'
            check_memory(needed, what, 'take p3m or pme, or the compiled sum')
        phases = positions @ vectors.T
        cosines, sines = torch.cos(phases), torch.sin(phases)
        sums = cosines @ (weights * (cosines.T @ charges)) + sines @ (weights * (sines.T @ charges))
        return less_own_potentials(self.potential, sums, charges, cell)


def less_own_potentials(
    potential: Potential, sums: torch.Tensor, charges: torch.Tensor, cell: torch.Tensor
) -> torch.Tensor:
    """Return half the potentials of smeared charges without that of each charge's own, and with the background.

    :param potential: the pair potential with its smearing.
    :param sums: potentials of all smeared charges times the volume, shape ``(n_atoms, n_channels)``.
    :param charges: charges, shape ``(n_atoms, n_channels)``.
    :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
    """
    background = 2.0 * potential.background_correction() * torch.sum(charges, dim=0)
    own = charges * potential.self_contribution()
    return 0.5 * ((sums - background) / cell_volume(cell) - own)


def refuse_others(others: dict[str, Any]) -> None:
    """Refuse what the library's sums take and ours do not.

    :param others: arguments by name.
    :raises NotImplementedError: if one is given.
    """
    given = sorted(name for name, value in others.items() if value is not None)
    if given:
        raise NotImplementedError(
            f'{", ".join(given)} of torch-pme is not taken here: slabs are the matter of TorchSummation, batches are '
            'not padded'
        )
