"""MACE with electrostatics: one backbone, and the rung of a ladder that gives atoms charges.

``E = Σ_i [e_0(a_i) + c(a_i) + e_i] + E_charges`` with atomic energies e_0, offsets c of the elements that are learnt,
the short-range energy e_i of the backbone, and what the rung says of the charges: their Coulomb energy as Gaussians,
and whatever made them.

The module gives energies less the atomic energies, which in single precision would swallow their digits:
:func:`aiida_edl.science.electrostatics.charge_models.local_charges.own_energies` are added by whoever uses it.

Needs torch, mace-torch and numba.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from aiida_edl.science.electrostatics.charge_models.electrostatic_frame import ElectrostaticFrame
from aiida_edl.science.electrostatics.charge_models.electrostatic_settings import (
    UNBOUND,
    WITH_POTENTIAL,
    ElectrostaticSettings,
)
from aiida_edl.science.electrostatics.charge_models.mace_backbone import MaceBackbone
from aiida_edl.science.electrostatics.charge_models.rungs.base import Charges, Rung
from aiida_edl.science.electrostatics.charge_models.rungs.fixed import FixedCharges
from aiida_edl.science.electrostatics.charge_models.rungs.functional import FunctionalCharges
from aiida_edl.science.electrostatics.charge_models.rungs.local import LatentCharges, LocalCharges
from aiida_edl.science.electrostatics.charge_models.rungs.qeq import EquilibratedCharges
from aiida_edl.science.electrostatics.charge_models.rungs.scf import SelfConsistentCharges
from aiida_edl.science.electrostatics.charge_models.rungs.split import SplitCharges
from aiida_edl.science.electrostatics.charged_system import ChargedSystemError
from aiida_edl.science.electrostatics.coulomb_operator import CoulombOperator

RUNGS: dict[str, type[Rung]] = {
    'fixed': FixedCharges,
    'local': LocalCharges,
    'latent': LatentCharges,
    'split': SplitCharges,
    'qeq': EquilibratedCharges,
    'scf': SelfConsistentCharges,
    'functional': FunctionalCharges,
}
"""Classes by the name of the rung; ``none`` has none."""


@dataclass(frozen=True)
class FramePrediction:
    """What the model says of one frame."""

    energy: torch.Tensor
    """Energy less the sum of the atomic energies [eV], a scalar; at a given potential less that times the charge."""
    charges: Charges
    """Charges and dipoles, and how they were found."""


@dataclass(frozen=True)
class Predictions:
    """What the model says of frames, and how a loss on it reaches the weights."""

    frames: list[FramePrediction]
    """Energies and charges of each frame."""
    forces: torch.Tensor
    """Forces [eV/Å], shape ``(n_atoms, 3)``."""
    found: list[tuple[torch.Tensor, torch.Tensor]] = field(default_factory=list)
    """Charges of a stationary energy as a function of the weights, and as the numbers that the energy was taken at."""

    @property
    def energies(self) -> torch.Tensor:
        """Energies of the frames [eV], shape ``(n_frames,)``."""
        return torch.stack([frame.energy for frame in self.frames])

    @property
    def multipoles(self) -> torch.Tensor:
        """Charges, and dipoles if there are any, of all atoms, shape ``(n_atoms, n_components)``."""
        return torch.cat([frame.charges.multipoles for frame in self.frames])

    def backward(self, loss: torch.Tensor) -> None:
        """Add the derivatives of a loss to the gradients of the weights.

        Where the energy is stationary in the charges, it was taken with numbers for them; what the loss depends on
        these numbers then passes through the equations that the charges solve.

        :param loss: a scalar function of what is predicted.
        """
        for _, numbers in self.found:
            numbers.grad = None
        loss.backward(retain_graph=bool(self.found))
        for charges, numbers in self.found:
            if numbers.grad is not None:
                charges.backward(numbers.grad, retain_graph=True)


class ElectrostaticMace(torch.nn.Module):  # type: ignore[misc]
    """Energies, charges and forces of frames.

    :param settings: shape and constants.
    """

    def __init__(self, settings: ElectrostaticSettings) -> None:
        super().__init__()
        self.settings = settings
        self.backbone = MaceBackbone(settings)
        self.offsets = torch.nn.Parameter(torch.zeros(len(settings.atomic_numbers)))
        self.rung: Rung | None = None
        if settings.electrostatics != 'none':
            rung = RUNGS[settings.electrostatics]
            self.rung = rung(settings, self.backbone.n_scalars, self.backbone.n_vectors)

    def forward(self, frames: Sequence[ElectrostaticFrame], is_followed: bool = False) -> Predictions:
        """Return energies, charges and forces.

        :param frames: the frames.
        :param is_followed: whether derivatives of a loss will be taken, by :meth:`Predictions.backward`.
        """
        moved = [frame.moved(frame.positions.detach().clone().requires_grad_()) for frame in frames]
        predictions, found = self.energies(moved, is_followed)
        total = torch.stack([frame.energy for frame in predictions]).sum()
        inputs = [frame.positions for frame in moved]
        gradients = torch.autograd.grad(total, inputs, create_graph=is_followed, allow_unused=True)
        # an atom that sees nothing, in a model without charges, has no gradient
        forces = [torch.zeros_like(x) if g is None else -g for x, g in zip(inputs, gradients)]
        return Predictions(predictions, torch.cat(forces), found)

    def energies(
        self, frames: Sequence[ElectrostaticFrame], is_followed: bool = False
    ) -> tuple[list[FramePrediction], list[tuple[torch.Tensor, torch.Tensor]]]:
        """Return energies and charges, of which derivatives by positions, cell and weights can be taken.

        :param frames: the frames.
        :param is_followed: whether derivatives of a loss will be taken.
        :returns: predictions, and :attr:`Predictions.found`.
        """
        for frame in frames:
            self._check_outside(frame)
        predictions: list[FramePrediction] = []
        found: list[tuple[torch.Tensor, torch.Tensor]] = []
        features = self.backbone(frames).split([len(frame.species) for frame in frames])
        for frame, known in zip(frames, features):
            short = known.energies.sum() + self.offsets[frame.species].sum()
            if self.rung is None:
                nothing = torch.zeros((len(frame.species), 1), dtype=short.dtype, device=short.device)
                predictions.append(FramePrediction(short, Charges(nothing)))
                continue
            operator = self.operator(frame)
            charges = self.rung.find(frame, known, operator)
            if self.rung.is_stationary:
                charges = _as_numbers(charges, found if is_followed else None)
            energy = short + self.rung.energy(frame, known, operator, charges)
            predictions.append(FramePrediction(energy, charges))
        return predictions, found

    def _check_outside(self, frame: ElectrostaticFrame) -> None:
        """Refuse what is held fixed outside and the rung knows nothing of.

        :raises ChargedSystemError: with what was given and which rungs take it.
        """
        rung, outside = self.settings.electrostatics, frame.outside
        if outside.potential is not None and rung not in WITH_POTENTIAL:
            raise ChargedSystemError(
                f"a potential of {outside.potential:g} V is given to a model with electrostatics '{rung}', which has "
                f'none; leave it out, or take {" or ".join(WITH_POTENTIAL)}'
            )
        if outside.total_charge and rung in UNBOUND:
            raise ChargedSystemError(
                f"a charge of {outside.total_charge:g} e is given to a model with electrostatics '{rung}', whose "
                'charges nothing binds to a total; leave it out, or take another rung'
            )
        if any(outside.field) and self.rung is None:
            raise ChargedSystemError("a field is given to a model without charges, electrostatics 'none'; leave it out")

    def operator(self, frame: ElectrostaticFrame) -> CoulombOperator:
        """Return the interaction of the multipoles of a frame.

        :param frame: the frame.
        """
        widths = torch.full_like(frame.positions[:, 0], self.settings.charge_width)
        return CoulombOperator.of(frame.positions, frame.cell, frame.pbc, widths)


def _as_numbers(charges: Charges, found: list[tuple[torch.Tensor, torch.Tensor]] | None) -> Charges:
    """Return charges that do not depend on anything, but of which derivatives are taken.

    :param charges: what a rung found.
    :param found: takes what was found and the numbers, the last that a loss passes through first; None if derivatives
        of no loss will be taken.
    """
    multipoles = charges.multipoles.detach().requires_grad_(found is not None)
    adjoint = None if charges.adjoint is None else charges.adjoint.detach().requires_grad_(found is not None)
    if found is not None:
        found.append((charges.multipoles, multipoles))
        if charges.adjoint is not None and adjoint is not None:
            found.append((charges.adjoint, adjoint))
    return replace(charges, multipoles=multipoles, adjoint=adjoint)
