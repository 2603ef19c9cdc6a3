"""What a rung of the ladder is: how atoms get charges and dipoles, and what energy these have.

Needs torch.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass

import torch

from aiida_edl.science.electrostatics.charge_models.electrostatic_frame import ElectrostaticFrame
from aiida_edl.science.electrostatics.charge_models.electrostatic_settings import ElectrostaticSettings
from aiida_edl.science.electrostatics.charge_models.mace_backbone import Features
from aiida_edl.science.electrostatics.coulomb_operator import CoulombOperator

HIDDEN = 32
"""Width of the network that reads a quantity off the features of an atom."""


@dataclass(frozen=True)
class Charges:
    """What a rung finds for one frame."""

    multipoles: torch.Tensor
    """Charges [e], and dipoles [e Å] if there are any, shape ``(n_atoms, 1)`` or ``(n_atoms, 4)``."""
    potential: torch.Tensor | None = None
    """dE/dQ [V], minus the Fermi level, a scalar; None of a rung that has none."""
    residuals: tuple[float, ...] = ()
    """Of each iteration; empty of a rung that iterates nothing."""
    adjoint: torch.Tensor | None = None
    """How much the energy would change with what makes the multipoles, of their shape; None where it is stationary in
    them by itself."""


class Rung(torch.nn.Module, abc.ABC):  # type: ignore[misc]
    """How atoms get charges.

    :param settings: shape and constants of the model.
    :param n_scalars: invariant features of an atom.
    :param n_vectors: vector features of an atom.
    """

    is_stationary: bool = False
    """Whether the energy is stationary in multipoles and adjoint, so that forces take them as they are."""

    def __init__(self, settings: ElectrostaticSettings, n_scalars: int, n_vectors: int) -> None:
        super().__init__()
        self.settings = settings
        self.n_scalars, self.n_vectors = n_scalars, n_vectors
        first = torch.tensor(settings.first_charges, dtype=torch.get_default_dtype())
        self.register_buffer('formal_charges', first)

    @abc.abstractmethod
    def find(self, frame: ElectrostaticFrame, features: Features, operator: CoulombOperator) -> Charges:
        """Return the charges of a frame.

        :param frame: the frame.
        :param features: of its atoms.
        :param operator: the interaction of its multipoles.
        """

    def energy(
        self, frame: ElectrostaticFrame, features: Features, operator: CoulombOperator, charges: Charges
    ) -> torch.Tensor:
        """Return the energy of charges and dipoles, in an applied field too [eV], a scalar.

        :param frame: the frame.
        :param features: of its atoms.
        :param operator: the interaction of its multipoles.
        :param charges: what was found, or the same numbers.
        """
        return operator.energy(charges.multipoles) + field_energy(frame, charges.multipoles)


def field_energy(frame: ElectrostaticFrame, multipoles: torch.Tensor) -> torch.Tensor:
    """Return the energy in the applied field, ``-E·Σ(q r + d)`` [eV], a scalar.

    :param frame: the frame.
    :param multipoles: charges [e] and dipoles [e Å], shape ``(n_atoms, 1)`` or ``(n_atoms, 4)``.
    """
    energy = multipoles[:, 0] @ frame.field_potential()
    if multipoles.shape[1] == 1:
        return energy
    return energy - multipoles[:, 1:].sum(dim=0) @ multipoles.new_tensor(frame.outside.field)


def reader(n_inputs: int, n_outputs: int = 1) -> torch.nn.Sequential:
    """Return a network that reads quantities off features; it says zero before the training.

    :param n_inputs: features.
    :param n_outputs: quantities.
    """
    last = torch.nn.Linear(HIDDEN, n_outputs)
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    return torch.nn.Sequential(torch.nn.Linear(n_inputs, HIDDEN), torch.nn.SiLU(), last)
