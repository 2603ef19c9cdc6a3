"""A frame as tensors, with the pairs of atoms that a local-charge model needs.

Needs torch and numba.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aiida_edl.science.electrostatics.charge_models.model_settings import LocalChargeSettings, species_of
from aiida_edl.science.electrostatics.charged_system import ChargedSystem
from aiida_edl.science.electrostatics.pairs import NeighbourPairs, all_pairs, near_pairs, neighbour_pairs
from aiida_edl.science.electrostatics.slab_correction import film_stretch
from aiida_edl.science.electrostatics.torch_pairs import TorchPairs


@dataclass(frozen=True)
class AtomicSystem:
    """One frame."""

    species: torch.Tensor
    """Index of the element of each atom, shape ``(n_atoms,)``."""
    positions: torch.Tensor
    """Cartesian positions [Å], shape ``(n_atoms, 3)``."""
    cell: torch.Tensor
    """Cell vectors as rows [Å], shape ``(3, 3)``."""
    pbc: tuple[bool, bool, bool]
    """Periodicity along the cell vectors."""
    total_charge: float
    """Charge of the frame [e]."""
    near: TorchPairs
    """Pairs within the cutoff radius of the descriptor, without images along open cell vectors."""
    far: TorchPairs
    """Pairs of the long-range part: all of an open frame, those that fade out of a periodic one, or none."""
    stretch: int
    """By which factor the open cell vector of a film is lengthened for the long-range part."""

    def moved(self, positions: torch.Tensor, cell: torch.Tensor | None = None) -> AtomicSystem:
        """Return the frame with other positions, and perhaps another cell, and the same pairs.

        :param positions: Cartesian positions [Å], shape ``(n_atoms, 3)``.
        :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
        """
        return replace(self, positions=positions, cell=self.cell if cell is None else cell)

    @property
    def long_range_cell(self) -> torch.Tensor:
        """Cell of the long-range part as rows [Å], shape ``(3, 3)``."""
        factors = torch.tensor([[1.0], [1.0], [float(self.stretch)]], dtype=self.cell.dtype, device=self.cell.device)
        return self.cell * factors


def atomic_system(
    numbers: Any,
    positions: Any,
    cell: Any,
    pbc: Sequence[bool] | NDArray[np.bool_],
    settings: LocalChargeSettings,
    *,
    dtype: torch.dtype = torch.float64,
    device: str | torch.device = 'cpu',
    total_charge: float = 0.0,
) -> AtomicSystem:
    """Return a frame as tensors.

    :param numbers: atomic numbers, shape ``(n_atoms,)``.
    :param positions: Cartesian positions [Å], shape ``(n_atoms, 3)``.
    :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
    :param pbc: periodicity along the cell vectors.
    :param settings: those of the model.
    :param dtype: type of the numbers.
    :param device: where the model runs.
    :param total_charge: charge of the frame [e].
    :raises ModelSettingsError: for an element that the model does not know.
    """
    species = species_of(numbers, settings.atomic_numbers)
    place = torch.device(device)
    x, h = np.asarray(positions, dtype=float), np.asarray(cell, dtype=float)
    system = ChargedSystem(x, h, np.zeros(len(x)), np.asarray(pbc, dtype=bool))
    stretch = film_stretch(system)
    far = _far_pairs(system, stretch, settings)
    return AtomicSystem(
        species=torch.tensor(species, device=place),
        positions=torch.as_tensor(x, dtype=dtype, device=place),
        cell=torch.as_tensor(h, dtype=dtype, device=place),
        pbc=(bool(pbc[0]), bool(pbc[1]), bool(pbc[2])),
        total_charge=float(total_charge),
        near=TorchPairs.of(near_pairs(system, settings.cutoff_radius), dtype, place),
        far=TorchPairs.of(far, dtype, place),
        stretch=stretch,
    )


def _far_pairs(system: ChargedSystem, stretch: int, settings: LocalChargeSettings) -> NeighbourPairs:
    """Return the pairs that the long-range part sums in real space."""
    if not settings.has_charges:
        return NeighbourPairs(np.zeros((0, 2), dtype=np.int64), np.zeros((0, 3), dtype=np.int32), math.inf)
    if not system.pbc.any():
        return all_pairs(system)
    if not settings.excludes_neighbours:
        return NeighbourPairs(np.zeros((0, 2), dtype=np.int64), np.zeros((0, 3), dtype=np.int32), math.inf)
    cell = system.cell * np.array([[1.0], [1.0], [float(stretch)]])
    stretched = ChargedSystem(system.positions, cell, system.charges, system.pbc)
    return neighbour_pairs(stretched, settings.cutoff_radius)
