"""Self-consistent charges and dipoles: a fixed point of what atoms do in the potential that all of them make.

Needs torch.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from aiida_edl.science.electrostatics.charge_models.electrostatic_frame import ElectrostaticFrame
from aiida_edl.science.electrostatics.charge_models.electrostatic_settings import ElectrostaticSettings
from aiida_edl.science.electrostatics.charge_models.fixed_point import Mixing, Update, fixed_point
from aiida_edl.science.electrostatics.charge_models.mace_backbone import Features
from aiida_edl.science.electrostatics.charge_models.rungs.base import Charges, Rung, field_energy, reader
from aiida_edl.science.electrostatics.coulomb_operator import CoulombOperator

FIRST_SUSCEPTIBILITY = 0.05
"""Charge per potential of an atom before the training [e/V]."""
FIRST_POLARISABILITY = 0.02
"""Dipole per field of an atom before the training [e Å²/V]."""


class SelfConsistentCharges(Rung):
    """Charges and dipoles that follow from the surroundings, and from the potential that all of them make.

    ``q = q_0(h) - a(h) (v - Φ)`` and ``d = d_0(h) - b(h) ∇v``, with the potential v of all Gaussians and of the applied
    field, the potential Φ of the electrode, and positive susceptibilities a and b. It is the one-body update, linear in
    the potential, of W. J. Baldwin et al. (arXiv:2603.14700). The energy has a readout of its own besides the Coulomb
    energy, ``½ Σ_i [α(h_i) (q - q_0)² + β(h_i) (d - d_0)²]`` for what is induced; α and β need not be 1/a and 1/b,
    so that the charges p need not minimise it, and the potential of the electrode need not be dE/dQ. What is stationary
    is ``E(p) + λ·[U(p) - p]`` with the update U, in which the charges reproduce themselves, and the adjoint λ, which
    solves ``λ = ∂E/∂p + (∂U/∂p)ᵀ λ``.
    """

    is_stationary = True

    def __init__(self, settings: ElectrostaticSettings, n_scalars: int, n_vectors: int) -> None:
        super().__init__(settings, n_scalars, n_vectors)
        self.own_charges = torch.nn.Parameter(self.formal_charges.clone())
        self.charge_head = reader(n_scalars)
        self.response_head = reader(n_scalars, 4)
        first = [FIRST_SUSCEPTIBILITY, FIRST_POLARISABILITY, 1.0 / FIRST_SUSCEPTIBILITY, 1.0 / FIRST_POLARISABILITY]
        self.log_responses = torch.nn.Parameter(torch.log(torch.tensor(first)).repeat(len(self.formal_charges), 1))
        self.dipole_head = torch.nn.Linear(max(n_vectors, 1), 1, bias=False)
        torch.nn.init.zeros_(self.dipole_head.weight)
        self.mixing = Mixing(settings.mixing, settings.tolerance, settings.most_steps)

    def find(self, frame: ElectrostaticFrame, features: Features, operator: CoulombOperator) -> Charges:
        """Return the charges.

        :raises aiida_edl.science.electrostatics.charge_models.fixed_point.FixedPointError: if they are not found.
        """
        update = self.update(frame, features, operator)
        with torch.no_grad():
            start = update(self.first(frame, features))  # the charges sum to the total from here on
        found = fixed_point(update, start, self.mixing, 'the charges of a frame')
        adjoint = self._adjoint(frame, features, operator, found.values, update)
        potential = self._potential(frame, features, operator, found.values)
        return Charges(found.values, potential, found.residuals, adjoint)

    def first(self, frame: ElectrostaticFrame, features: Features) -> torch.Tensor:
        """Return charges and dipoles without a potential, ``(q_0, d_0)``, shape ``(n_atoms, n_components)``."""
        charges = self.own_charges[frame.species] + self.charge_head(features.scalars)[:, 0]
        if not self.settings.has_dipoles:
            return charges[:, None]
        dipoles = self.dipole_head(features.vectors.transpose(1, 2))[:, :, 0]
        return torch.cat([charges[:, None], dipoles], dim=1)

    def update(self, frame: ElectrostaticFrame, features: Features, operator: CoulombOperator) -> Update:
        """Return the function whose fixed point the charges are.

        At a total charge the potential of the electrode is what makes the charges sum to it, in every step.

        :param frame: the frame.
        :param features: of its atoms.
        :param operator: the interaction of its multipoles.
        """
        first, responses = self.first(frame, features), self._responses(frame, features)

        def updated(multipoles: torch.Tensor) -> torch.Tensor:
            free = first - responses[0] * self._seen(frame, operator, multipoles)
            potential = self._electrode(frame, free, responses[0])
            return torch.cat([free[:, :1] + responses[0][:, :1] * potential, free[:, 1:]], dim=1)

        return updated

    def energy(
        self, frame: ElectrostaticFrame, features: Features, operator: CoulombOperator, charges: Charges
    ) -> torch.Tensor:
        """Return the energy of charges and dipoles; at a given potential less that times the charge."""
        energy = self._energy(frame, features, operator, charges.multipoles)
        assert charges.adjoint is not None  # find gives one
        change = self.update(frame, features, operator)(charges.multipoles) - charges.multipoles
        return energy + torch.sum(charges.adjoint * change)

    def _energy(
        self, frame: ElectrostaticFrame, features: Features, operator: CoulombOperator, multipoles: torch.Tensor
    ) -> torch.Tensor:
        """Return the energy of any charges and dipoles, whether they reproduce themselves or not."""
        induced = multipoles - self.first(frame, features)
        stiffness = self._responses(frame, features)[1]
        energy = operator.energy(multipoles) + field_energy(frame, multipoles) + 0.5 * torch.sum(stiffness * induced**2)
        potential = frame.outside.potential
        return energy if potential is None else energy - potential * multipoles[:, 0].sum()

    def _adjoint(
        self,
        frame: ElectrostaticFrame,
        features: Features,
        operator: CoulombOperator,
        multipoles: torch.Tensor,
        update: Update,
    ) -> torch.Tensor | None:
        """Return λ, which can be differentiated once."""
        with torch.enable_grad():
            entered = multipoles if multipoles.requires_grad else multipoles.detach().requires_grad_()
            updated = update(entered)
            energy = self._energy(frame, features, operator, entered)
            (slope,) = torch.autograd.grad(energy, entered, create_graph=True)

        def around(adjoint: torch.Tensor) -> torch.Tensor:
            is_followed = torch.is_grad_enabled()
            (moved,) = torch.autograd.grad(updated, entered, adjoint, retain_graph=True, create_graph=is_followed)
            return slope + moved if is_followed else slope.detach() + moved

        scale = float(slope.detach().abs().max()) or 1.0
        mixing = replace(self.mixing, tolerance=self.mixing.tolerance * scale)
        return fixed_point(around, slope, mixing, 'the adjoint of the charges of a frame').values

    def _responses(self, frame: ElectrostaticFrame, features: Features) -> tuple[torch.Tensor, torch.Tensor]:
        """Return susceptibilities and stiffnesses, each of shape ``(n_atoms, n_components)``."""
        logs = self.log_responses[frame.species] + self.response_head(features.scalars)
        charge, dipole, of_charge, of_dipole = torch.exp(logs).T
        n_dipoles = 3 if self.settings.has_dipoles else 0
        parts = ((charge, dipole), (of_charge, of_dipole))
        soft, stiff = (torch.stack([one, *[other] * n_dipoles], dim=1) for one, other in parts)
        return soft, stiff

    def _seen(self, frame: ElectrostaticFrame, operator: CoulombOperator, multipoles: torch.Tensor) -> torch.Tensor:
        """Return the potential of all multipoles and of the field, and its gradient, at each atom."""
        applied = frame.field_potential()[:, None]
        if multipoles.shape[1] > 1:
            slopes = -multipoles.new_tensor(frame.outside.field).expand(len(multipoles), 3)
            applied = torch.cat([applied, slopes], dim=1)
        return operator.potentials(multipoles) + applied

    def _electrode(self, frame: ElectrostaticFrame, free: torch.Tensor, susceptibilities: torch.Tensor) -> torch.Tensor:
        """Return the potential of the electrode [V]: that which is given, or makes charges sum to the total."""
        if frame.outside.potential is not None:
            return free.new_tensor(frame.outside.potential)
        return (frame.outside.total_charge - free[:, 0].sum()) / susceptibilities[:, 0].sum()

    def _potential(
        self, frame: ElectrostaticFrame, features: Features, operator: CoulombOperator, multipoles: torch.Tensor
    ) -> torch.Tensor:
        """Return the potential of the electrode at charges that were found [V]."""
        responses = self._responses(frame, features)[0]
        free = self.first(frame, features) - responses * self._seen(frame, operator, multipoles)
        return self._electrode(frame, free, responses)
