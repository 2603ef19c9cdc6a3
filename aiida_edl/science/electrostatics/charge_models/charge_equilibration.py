"""Charges that minimise an electrostatic energy, at a given total charge or at a given potential.

``E(q) = Σ_i (χ_i q_i + ½ J_i q_i²) + ½ q·A q`` with electronegativities χ, hardnesses J and the Coulomb operator A of
Gaussian charges, which holds the interaction of each with itself (A. K. Rappé and W. A. Goddard, J. Phys. Chem. 95,
3358 (1991)). Without χ and J the free charges are those of one metal, whose atoms share a potential (J. I. Siepmann and
M. Sprik, J. Chem. Phys. 102, 511 (1995)).

At the minimum dE/dq is the same for all free charges: the potential of the electrode, ``dE/dQ`` [V]. The Fermi level
of its electrons is minus that [eV]. At a given potential Φ it is ``E - Φ Q`` that is least. In both cases the forces
are the derivative of E while the charges stay as they are.

Charges that are found here can be differentiated once: with the residual ``r = χ + J q + A q``, which vanishes but for
the potential, a change of it by dr moves them by the solution of the same linear equations.

Needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.electrostatics.charge_models.constrained_solver import (
    ChargeEquilibrationError,
    ConjugateGradientSolver,
    DirectSolver,
)
from aiida_edl.science.electrostatics.charge_models.electrostatic_settings import SOLVERS
from aiida_edl.science.electrostatics.coulomb_operator import CoulombOperator
from aiida_edl.science.electrostatics.gaussian_multipoles import own_interaction


@dataclass(frozen=True)
class Equilibrium:
    """Charges at the minimum."""

    charges: torch.Tensor
    """All charges, free or not [e], shape ``(n_atoms,)``."""
    potential: torch.Tensor
    """dE/dQ of the free charges [V], a scalar; the Fermi level of an electrode is minus this [eV]."""
    residuals: tuple[float, ...]
    """Root mean square of what dE/dq differs from the potential after each iteration [V]; one of a direct solution."""


@dataclass(frozen=True)
class ChargeEquilibration:
    """What charges minimise, of one frame."""

    operator: CoulombOperator
    """The interaction of the charges."""
    electronegativities: torch.Tensor
    """χ, to which the potential of an applied field is added [V], shape ``(n_atoms,)``."""
    hardnesses: torch.Tensor
    """J besides the interaction of each Gaussian with itself [V/e], shape ``(n_atoms,)``."""
    is_free: torch.Tensor | None = None
    """Which charges are to be found, shape ``(n_atoms,)``; all without it."""
    given_charges: torch.Tensor | None = None
    """Charges of the others [e], shape ``(n_atoms,)``; what it says of free ones does not matter."""

    def energy(self, charges: torch.Tensor) -> torch.Tensor:
        """Return the energy of any charges [eV], a scalar.

        :param charges: charges [e], shape ``(n_atoms,)``.
        """
        own = self.electronegativities + 0.5 * self.hardnesses * charges
        return torch.sum(own * charges) + self.operator.energy(charges[:, None])

    def slopes(self, charges: torch.Tensor) -> torch.Tensor:
        """Return dE/dq [V], shape ``(n_atoms,)``.

        :param charges: charges [e], shape ``(n_atoms,)``.
        """
        seen = self.operator.potentials(charges[:, None])[:, 0]
        return self.electronegativities + self.hardnesses * charges + seen

    def at_charge(self, total_charge: float, solver: str = 'direct') -> Equilibrium:
        """Return the charges that sum to a total.

        :param total_charge: charge of the frame, of free charges and the others together [e].
        :param solver: one of :data:`SOLVERS`.
        :raises ChargeEquilibrationError: if they are not found, no charge is free, or the solver is unknown.
        """
        return self._solved(solver, total_charge, None)

    def at_potential(self, potential: float, solver: str = 'direct') -> Equilibrium:
        """Return the charges at a potential, whatever they sum to.

        :param potential: dE/dQ [V], minus the Fermi level.
        :param solver: one of :data:`SOLVERS`.
        :raises ChargeEquilibrationError: if they are not found, no charge is free, the solver is unknown, or the frame
            is a film.
        """
        if self.operator.is_film:
            raise ChargeEquilibrationError(
                'a film alone has no stable charge at a potential: charged against empty space on both sides its '
                'potential falls as its charge rises; give the total charge'
            )
        return self._solved(solver, None, potential)

    def _solved(self, solver: str, total: float | None, potential: float | None) -> Equilibrium:
        """Return the charges, which can be differentiated once."""
        mask = self.mask
        linear = self._solver(solver, is_constrained=total is not None)
        with torch.no_grad():
            start = self._others()
            if total is not None:
                start = start + mask * (total - start.sum()) / mask.sum()
            found = linear((potential or 0.0) - self.slopes(start))
            charges = start + found.values
        residual = mask * self.slopes(charges)
        if residual.requires_grad:
            charges = _Attached.apply(residual, charges, linear)
        if total is None:
            return Equilibrium(charges, charges.new_tensor(potential), found.residuals)
        return Equilibrium(charges, torch.sum(mask * self.slopes(charges)) / mask.sum(), found.residuals)

    @cached_property
    def mask(self) -> torch.Tensor:
        """1 for free charges and 0 for the others, shape ``(n_atoms,)``.

        :raises ChargeEquilibrationError: if no charge is free.
        """
        ones = torch.ones_like(self.hardnesses.detach())
        mask = ones if self.is_free is None else ones * self.is_free
        if not bool(mask.any()):
            raise ChargeEquilibrationError('no charge of the frame is free; there is nothing to equilibrate')
        return mask

    def _others(self) -> torch.Tensor:
        """Return the charges that are not free, and zero for the others [e]."""
        given = self.given_charges
        return torch.zeros_like(self.mask) if given is None else torch.where(self.mask > 0.0, 0.0, given.detach())

    def _solver(self, name: str, is_constrained: bool) -> DirectSolver | ConjugateGradientSolver:
        """Return what solves the linear equations.

        :raises ChargeEquilibrationError: for an unknown name.
        """
        if name not in SOLVERS:
            raise ChargeEquilibrationError(unknown_name_message('solver', name, SOLVERS))
        with torch.no_grad():
            if name == 'direct':
                matrix = self.operator.matrix() + torch.diag(self.hardnesses)
                return DirectSolver(matrix, self.mask, is_constrained)
            own = own_interaction(self.operator.widths, 1)[:, 0] + self.hardnesses
            diagonal = torch.where(self.mask > 0.0, own, torch.ones_like(own))

        def applied(charges: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                return self.hardnesses * charges + self.operator.potentials(charges[:, None])[:, 0]

        return ConjugateGradientSolver(applied, diagonal, self.mask, is_constrained)


class _Attached(torch.autograd.Function):  # type: ignore[misc]
    """Charges as a function of the residual that vanishes at them."""

    @staticmethod
    def forward(context: Any, residual: torch.Tensor, charges: torch.Tensor, linear: Any) -> torch.Tensor:
        """Return the charges."""
        context.linear = linear
        return charges.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """Return the derivative by the residual: the solution of the same equations, with a minus sign."""
        return -context.linear(gradient).values, None, None
