"""Distances of pairs of atoms as differentiable functions of positions and cell.

Needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from aiida_edl.science.electrostatics.charged_system import ChargedSystemError
from aiida_edl.science.electrostatics.pairs import NeighbourPairs


@dataclass(frozen=True)
class TorchPairs:
    """Pairs of atoms, and of atoms with images, each of them once, where the sum runs."""

    pairs: torch.Tensor
    """Both atoms, shape ``(n_pairs, 2)``."""
    shifts: torch.Tensor
    """Cell vectors that are added to the second atom, shape ``(n_pairs, 3)``."""
    cutoff_radius: float
    """Distance up to which pairs are listed [Å]."""

    @classmethod
    def of(cls, found: NeighbourPairs, dtype: torch.dtype, device: torch.device) -> TorchPairs:
        """Return pairs as tensors.

        :param found: the pairs.
        :param dtype: type of the cell that the shifts are to be multiplied with.
        :param device: where the sum runs.
        """
        return cls(
            torch.as_tensor(found.pairs, device=device),
            torch.as_tensor(found.shifts, dtype=dtype, device=device),
            found.cutoff_radius,
        )

    def vectors(
        self, positions: torch.Tensor, cell: torch.Tensor, cutoff_radius: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the pairs closer than a cutoff and the vectors between them.

        :param positions: Cartesian positions [Å], shape ``(n_atoms, 3)``.
        :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
        :param cutoff_radius: the cutoff [Å].
        :returns: both atoms, shape ``(n_kept, 2)``, and vectors from first to second [Å], shape ``(n_kept, 3)``.
        :raises ChargedSystemError: if the pairs do not reach as far.
        """
        if self.cutoff_radius < cutoff_radius:
            raise ChargedSystemError(
                f'the pairs reach {self.cutoff_radius:g} Å, the sum needs all up to {cutoff_radius:g} Å: list them '
                'with that cutoff'
            )
        vectors = positions[self.pairs[:, 1]] - positions[self.pairs[:, 0]] + self.shifts @ cell
        is_near = torch.sum(vectors.detach() ** 2, dim=1) < cutoff_radius**2
        return self.pairs[is_near], vectors[is_near]

    def distances(
        self, positions: torch.Tensor, cell: torch.Tensor, cutoff_radius: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the pairs closer than a cutoff and their distances.

        :param positions: Cartesian positions [Å], shape ``(n_atoms, 3)``.
        :param cell: cell vectors as rows [Å], shape ``(3, 3)``.
        :param cutoff_radius: the cutoff [Å].
        :returns: both atoms, shape ``(n_kept, 2)``, and distances [Å], shape ``(n_kept,)``.
        :raises ChargedSystemError: if the pairs do not reach as far.
        """
        near, vectors = self.vectors(positions, cell, cutoff_radius)
        return near, torch.sqrt(torch.sum(vectors**2, dim=1))


def check_types(dtype: torch.dtype, **tensors: torch.Tensor) -> None:
    """Refuse numbers of another type than that of a sum.

    :param dtype: type of the sum.
    :param tensors: the numbers by name.
    :raises ChargedSystemError: with the name and both types.
    """
    for name, tensor in tensors.items():
        if tensor.dtype != dtype:
            raise ChargedSystemError(
                f'the {name} are of the type {tensor.dtype}, the sum is in {dtype}: convert one or the other'
            )
