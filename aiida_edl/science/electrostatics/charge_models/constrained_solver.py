"""Solution of the linear equations of charge equilibration, with or without a fixed total charge.

For a right-hand side b the solution s has ``H s = b + λ m`` on the free atoms, where m is 1, and no charge elsewhere;
with a fixed total charge λ is such that the sum of s vanishes, without it λ is zero. H is the Coulomb operator and the
hardnesses. It is positive for charges that sum to zero, which is all that is needed with a fixed total charge.

Needs torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-5}
"""Residual over that of the start at which the iteration ends."""
MOST_ITERATIONS = 200
LARGEST_RESIDUAL = 1e-3
"""Residual of a direct solution over the right-hand side from which on the matrix counts as singular."""
SINGULAR = (
    'the equations of the charges are singular: atoms lie on each other, or hardnesses and widths leave no minimum; '
    'give every free atom a width'
)


class ChargeEquilibrationError(ValueError):
    """Charges that do not exist, or are not found."""

    def __init__(self, message: str, residuals: tuple[float, ...] = ()) -> None:
        super().__init__(message)
        self.residuals = residuals
        """Root mean square residual after each iteration [V]."""


@dataclass(frozen=True)
class Solution:
    """What solves the equations."""

    values: torch.Tensor
    """s [e], shape ``(n_atoms,)``."""
    residuals: tuple[float, ...]
    """Root mean square of what remains after each iteration [V]; one number of a direct solution."""


class DirectSolver:
    """By factors of the matrix, which are found once.

    :param matrix: H [V/e], shape ``(n_atoms, n_atoms)``.
    :param mask: 1 for free atoms, 0 for the others, shape ``(n_atoms,)``.
    :param is_constrained: whether the total charge is fixed.
    :raises ChargeEquilibrationError: if the matrix is singular.
    """

    def __init__(self, matrix: torch.Tensor, mask: torch.Tensor, is_constrained: bool) -> None:
        self.mask = mask
        self.n_atoms = len(mask)
        masked = matrix * mask[:, None] * mask + torch.diag(1.0 - mask)
        if is_constrained:
            border = torch.cat([-mask, mask.new_zeros(1)])[:, None]
            masked = torch.cat([torch.cat([masked, mask[None, :]]), border], dim=1)
        self.matrix = masked
        factors, pivots, is_singular = torch.linalg.lu_factor_ex(masked)
        if bool(is_singular):
            raise ChargeEquilibrationError(SINGULAR)
        self.factors = (factors, pivots)

    def __call__(self, right: torch.Tensor) -> Solution:
        """Return the solution.

        :param right: b [V], shape ``(n_atoms,)``.
        :raises ChargeEquilibrationError: if the matrix is singular.
        """
        side = torch.cat([right * self.mask, right.new_zeros(len(self.matrix) - self.n_atoms)])
        found = torch.linalg.lu_solve(*self.factors, side[:, None])[:, 0]
        left = self.matrix @ found - side
        residual = float(torch.sqrt(torch.sum(left**2) / self.mask.sum()))
        size = float(torch.sqrt(torch.sum(side**2) / self.mask.sum()))
        if not residual <= LARGEST_RESIDUAL * size:
            raise ChargeEquilibrationError(SINGULAR, (residual,))
        return Solution(found[: self.n_atoms] * self.mask, (residual,))


class ConjugateGradientSolver:
    """By applying the operator, preconditioned by the diagonal; steps keep the total charge if it is fixed.

    :param apply: H on charges, shape ``(n_atoms,)`` [V].
    :param diagonal: about the diagonal of H [V/e], shape ``(n_atoms,)``, positive.
    :param mask: 1 for free atoms, 0 for the others, shape ``(n_atoms,)``.
    :param is_constrained: whether the total charge is fixed.
    """

    def __init__(
        self,
        apply: Callable[[torch.Tensor], torch.Tensor],
        diagonal: torch.Tensor,
        mask: torch.Tensor,
        is_constrained: bool,
    ) -> None:
        self.apply = apply
        self.inverse = mask / diagonal
        self.mask = mask
        self.is_constrained = is_constrained

    def __call__(self, right: torch.Tensor) -> Solution:
        """Return the solution.

        :param right: b [V], shape ``(n_atoms,)``.
        :raises ChargeEquilibrationError: if it does not converge, or H is not positive.
        """
        found, left = torch.zeros_like(right), self._projected(right * self.mask)
        residuals = [self._size(left)]
        tolerance = TOLERANCES[right.dtype] * residuals[0]
        direction, along = torch.zeros_like(right), right.new_tensor(1.0)
        for iteration in range(MOST_ITERATIONS):
            if residuals[-1] <= tolerance:
                return Solution(found, tuple(residuals))
            ahead = self._preconditioned(left)
            product = torch.dot(left, ahead)
            direction = ahead + (product / along if iteration else 0.0) * direction
            along = product
            pushed = self.mask * self.apply(direction)
            curvature = torch.dot(direction, pushed)
            if not float(curvature) > 0.0:
                raise ChargeEquilibrationError(
                    f'the energy of the charges has no minimum: its curvature along a step is {float(curvature):g} '
                    'eV; give the free atoms larger hardnesses',
                    tuple(residuals),
                )
            step = product / curvature
            found, left = found + step * direction, self._projected(left - step * pushed)
            residuals.append(self._size(left))
        raise ChargeEquilibrationError(
            f'charges were not found in {MOST_ITERATIONS} iterations: the residual fell from {residuals[0]:.3g} to '
            f'{residuals[-1]:.3g} V and not to {tolerance:g} V; give the free atoms larger hardnesses, or take the '
            "solver 'direct'",
            tuple(residuals),
        )

    def _preconditioned(self, left: torch.Tensor) -> torch.Tensor:
        """Return the next direction but for conjugation; its charges sum to zero if the total is fixed."""
        ahead = self.inverse * left
        return ahead - self.inverse * (ahead.sum() / self.inverse.sum()) if self.is_constrained else ahead

    def _projected(self, left: torch.Tensor) -> torch.Tensor:
        """Return what remains without its mean over free atoms, which the potential takes up if the total is fixed."""
        return left - self.mask * (left.sum() / self.mask.sum()) if self.is_constrained else left

    def _size(self, left: torch.Tensor) -> float:
        """Return the root mean square of what remains [V]."""
        return float(torch.sqrt(torch.sum(left**2) / self.mask.sum()))
