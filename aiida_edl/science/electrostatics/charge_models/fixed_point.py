"""Quantities that reproduce themselves: iteration with mixing, its history, and derivatives through the fixed point.

``p = U(p)`` is approached by ``p ← p + α [U(p) - p]`` from the combination of the last steps whose change is least
(D. G. Anderson, J. ACM 12, 547 (1965)). Of an update that is linear in p all steps together are as good as GMRES (H. F.
Walker and P. Ni, SIAM Journal on Numerical Analysis 49, 1715 (2011)), so that atoms may respond strongly, as those of a
metal do; of the last few steps alone they may not.

Found, p can be differentiated once: a change of U at p by dU moves p by the solution of ``dp = dU + U'(p) dp``, which
is iterated in the same way, backwards.

Needs torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

RANK = 1e-8
"""Singular values over the largest below which steps count as alike."""
Update = Callable[[torch.Tensor], torch.Tensor]
"""A function that returns what it takes at the fixed point."""


class FixedPointError(ValueError):
    """A fixed point that was not found."""

    def __init__(self, message: str, residuals: tuple[float, ...]) -> None:
        super().__init__(message)
        self.residuals = residuals
        """Largest absolute change of each step."""


@dataclass(frozen=True)
class Mixing:
    """How a fixed point is approached."""

    share: float = 0.3
    """Share α of the new quantities in each step."""
    tolerance: float = 1e-6
    """Largest absolute difference of what goes in and what comes out at which the iteration ends."""
    most_steps: int = 100
    """Steps after which it fails."""
    depth: int = 50
    """Steps that are combined, of which none costs more than its numbers; 1 for none but the last."""


@dataclass(frozen=True)
class FixedPoint:
    """What reproduces itself."""

    values: torch.Tensor
    """p, which can be differentiated once, of the shape of the start."""
    residuals: tuple[float, ...]
    """Largest absolute difference of U(p) and p before each step, and at the end."""


def iterate(update: Update, start: torch.Tensor, mixing: Mixing, what: str) -> tuple[torch.Tensor, tuple[float, ...]]:
    """Return the fixed point as numbers, and the residuals of all steps.

    :param update: U.
    :param start: what the iteration begins at.
    :param mixing: how it goes on.
    :param what: what is looked for, for the message.
    :raises FixedPointError: if it does not converge.
    """
    values, residuals = start.detach(), []
    steps: list[tuple[torch.Tensor, torch.Tensor]] = []
    for _ in range(mixing.most_steps + 1):
        change = update(values) - values
        residuals.append(float(change.abs().max()))
        if residuals[-1] <= mixing.tolerance:
            return values, tuple(residuals)
        if not residuals[-1] < float('inf'):
            break
        steps = [*steps, (values, change)][-mixing.depth :]
        values, change = _combined(steps)
        values = values + mixing.share * change
    raise FixedPointError(
        f'{what} did not converge in {len(residuals) - 1} steps: the largest change went from {residuals[0]:.3g} to '
        f'{residuals[-1]:.3g} and not to {mixing.tolerance:g}; lower the share of the new values, {mixing.share:g}, or '
        'allow more steps',
        tuple(residuals),
    )


def _combined(steps: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the combination of values, with weights that sum to one, whose change is least, and that change."""
    values, change = steps[-1]
    if len(steps) == 1:
        return values, change
    of_values = torch.stack([(value - values).flatten() for value, _ in steps[:-1]], dim=1)
    of_changes = torch.stack([(other - change).flatten() for _, other in steps[:-1]], dim=1)
    # least squares by the pseudoinverse: near the end all steps are alike
    weights = torch.linalg.pinv(of_changes, rtol=RANK) @ change.flatten()
    return values - (of_values @ weights).reshape(values.shape), change - (of_changes @ weights).reshape(values.shape)


def fixed_point(update: Update, start: torch.Tensor, mixing: Mixing, what: str) -> FixedPoint:
    """Return the fixed point, which can be differentiated once.

    :param update: U, a differentiable function of what it takes and of what it is made of.
    :param start: what the iteration begins at.
    :param mixing: how it goes on.
    :param what: what is looked for, for the message.
    :raises FixedPointError: if it does not converge.
    """
    with torch.no_grad():
        values, residuals = iterate(update, start, mixing, what)
    with torch.enable_grad():
        entered = values.detach().requires_grad_()
        again = update(entered)
    if not again.requires_grad:
        return FixedPoint(values, residuals)
    return FixedPoint(_Attached.apply(update(values), values, again, entered, mixing), residuals)


class _Attached(torch.autograd.Function):  # type: ignore[misc]
    """The fixed point as a function of what the update gives there."""

    @staticmethod
    def forward(context: Any, updated: torch.Tensor, values: torch.Tensor, *linearised: Any) -> torch.Tensor:
        """Return the fixed point."""
        context.linearised = linearised
        return values.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the derivative by the update: what is added to the gradient by going round once, and again."""
        again, entered, mixing = context.linearised

        def around(adjoint: torch.Tensor) -> torch.Tensor:
            (moved,) = torch.autograd.grad(again, entered, adjoint, retain_graph=True)
            return gradient + moved

        scale = float(gradient.abs().max()) or 1.0
        relative = replace(mixing, tolerance=mixing.tolerance * scale)
        adjoint, _ = iterate(around, gradient, relative, 'the derivative of self-consistent charges')
        return adjoint, None, None, None, None
