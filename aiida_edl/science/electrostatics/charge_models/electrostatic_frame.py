"""A frame as tensors, with its neighbours and what acts on it from outside.

Needs torch and numba.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aiida_edl.science.electrostatics.charge_models.electrostatic_settings import ElectrostaticSettings
from aiida_edl.science.electrostatics.charge_models.model_settings import species_of
from aiida_edl.science.electrostatics.charged_system import ChargedSystem, ChargedSystemError
from aiida_edl.science.electrostatics.pairs import near_pairs
from aiida_edl.science.electrostatics.torch_pairs import TorchPairs


@dataclass(frozen=True)
class Surroundings:
    """What is held fixed outside of a frame."""

    total_charge: float = 0.0
    """Charge of the frame [e], if no potential is given."""
    potential: float | None = None
    """dE/dQ at which charges come and go [V], minus the Fermi level; None for a fixed total charge."""
    field: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Electric field, minus the gradient of the potential [V/Å], along open cell vectors alone."""

    def __post_init__(self) -> None:
        """Check that nothing is given that contradicts something else.

        :raises ChargedSystemError: with what was given and what would be right.
        """
        if self.potential is not None and self.total_charge:
            raise ChargedSystemError(
                f'a potential of {self.potential:g} V and a charge of {self.total_charge:g} e are given; charges '
                'follow from one of them'
            )
        if any(self.field) and (self.potential is not None or self.total_charge):
            raise ChargedSystemError(
                f'the field {list(self.field)} V/Å acts on a frame that is charged or at a potential, where the energy '
                'depends on the origin; take a neutral frame'
            )


@dataclass(frozen=True)
class ElectrostaticFrame:
    """One frame."""

    species: torch.Tensor
    """Index of the element of each atom, shape ``(n_atoms,)``."""
    positions: torch.Tensor
    """Cartesian positions [Å], shape ``(n_atoms, 3)``."""
    cell: torch.Tensor
    """Cell vectors as rows [Å], shape ``(3, 3)``."""
    pbc: tuple[bool, bool, bool]
    """Periodicity along the cell vectors."""
    near: TorchPairs
    """Pairs within the cutoff radius, without images along open cell vectors."""
    outside: Surroundings
    """What is held fixed outside."""

    def moved(self, positions: torch.Tensor, cell: torch.Tensor | None = None) -> ElectrostaticFrame:
        """Return the frame with other positions, and perhaps another cell, and the same pairs.

        :param positions: Cartesian positions [Å], shape ``(n_atoms, 3)``.
        :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
        """
        return replace(self, positions=positions, cell=self.cell if cell is None else cell)

    def field_potential(self) -> torch.Tensor:
        """Return the potential of the applied field at each atom, ``-E·r`` [V], shape ``(n_atoms,)``."""
        return -(self.positions @ self.positions.new_tensor(self.outside.field))


def electrostatic_frame(
    numbers: Any,
    positions: Any,
    cell: Any,
    pbc: Sequence[bool] | NDArray[np.bool_],
    settings: ElectrostaticSettings,
    *,
    dtype: torch.dtype = torch.float64,
    device: str | torch.device = 'cpu',
    outside: Surroundings | None = None,
) -> ElectrostaticFrame:
    """Return a frame as tensors.

    :param numbers: atomic numbers, shape ``(n_atoms,)``.
    :param positions: Cartesian positions [Å], shape ``(n_atoms, 3)``.
    :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
    :param pbc: periodicity along the cell vectors.
    :param settings: those of the model.
    :param dtype: type of the numbers.
    :param device: where the model runs.
    :param outside: what is held fixed outside; neither charge nor field without it.
    :raises ModelSettingsError: for an element that the model does not know.
    :raises ChargedSystemError: for a field along a periodic cell vector, and for a potential of a film.
    """
    species = species_of(numbers, settings.atomic_numbers)
    outside, place = outside or Surroundings(), torch.device(device)
    x, h, periodic = np.asarray(positions, dtype=float), np.asarray(cell, dtype=float), np.asarray(pbc, dtype=bool)
    if np.any(h[periodic] @ np.array(outside.field)):
        raise ChargedSystemError(
            f'the field {list(outside.field)} V/Å has a component along a periodic cell vector, where its energy '
            'depends on the origin; apply it along open ones, or take a film'
        )
    if outside.potential is not None and periodic.sum() == 2:
        raise ChargedSystemError(
            f'a potential of {outside.potential:g} V is given for a film: charged against empty space on both sides '
            'its potential falls as its charge rises, and no charge is stable; give the total charge, or take a cell '
            'that is periodic along all vectors, or none'
        )
    pairs = near_pairs(ChargedSystem(x, h, np.zeros(len(x)), periodic), settings.cutoff_radius)
    return ElectrostaticFrame(
        species=torch.tensor(species, device=place),
        positions=torch.as_tensor(x, dtype=dtype, device=place),
        cell=torch.as_tensor(h, dtype=dtype, device=place),
        pbc=(bool(periodic[0]), bool(periodic[1]), bool(periodic[2])),
        near=TorchPairs.of(pairs, dtype, place),
        outside=outside,
    )
