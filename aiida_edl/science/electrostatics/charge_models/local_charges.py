"""The local-charge model: a short-range energy and charges from the surroundings of each atom, and their interaction.

The example of learning charges of torch-pme (P. Loche et al., J. Chem. Phys. 162, 142501 (2025)), in our own words:
``E = Σ_i [e_0(a_i) + e_i + ½ q_i V_i]`` with atomic energies e_0, an energy e_i and a charge q_i from a network that
sees the power spectrum of the neighbours and the element of the atom, and the potential V_i of
:class:`~aiida_edl.science.electrostatics.charge_models.smeared_sum.SmearedSum`. There, radial functions are
eigenfunctions of the Laplacian for each angular momentum, here they are those of angular momentum zero for all.

A predicted charge is that of the element, which is learnt too, and what the network adds.

The module gives energies less the atomic energies, which in single precision would swallow their digits:
the :func:`own_energies` of the atoms are added by whoever uses it.

The energy is even in the charges: as long as no frame has a total charge, which of two signs is found is a convention.

Needs torch and torch-pme.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aiida_edl.science.electrostatics.charge_models.atomic_system import AtomicSystem
from aiida_edl.science.electrostatics.charge_models.descriptor import PowerSpectrum
from aiida_edl.science.electrostatics.charge_models.model_settings import LocalChargeSettings
from aiida_edl.science.electrostatics.charge_models.smeared_sum import SmearedSum
from aiida_edl.science.frames import Floats

FIRST_CHARGES = 0.5
"""Charges of the first and, with a minus sign, of the last element before the training [e]; zero is a saddle."""


@dataclass(frozen=True)
class Predictions:
    """What the model says of frames laid end to end."""

    atomic_energies: torch.Tensor
    """Energies of the atoms, which sum up to those of the frames, less e_0 [eV], shape ``(n_atoms,)``."""
    energies: torch.Tensor
    """Energies of the frames less the sums of e_0 [eV], shape ``(n_frames,)``."""
    charges: torch.Tensor
    """Charges [e], shape ``(n_atoms,)``; zero for a model without."""
    net_charges: torch.Tensor
    """Sum of the charges of each frame [e], shape ``(n_frames,)``."""


class LocalChargeModel(torch.nn.Module):  # type: ignore[misc]
    """Energies and charges of frames.

    :param settings: shape and constants.
    """

    def __init__(self, settings: LocalChargeSettings) -> None:
        super().__init__()
        self.settings = settings
        n_species = len(settings.atomic_numbers)
        self.descriptor = PowerSpectrum(
            settings.cutoff_radius, settings.cutoff_width, settings.max_radial, settings.max_angular, n_species
        )
        self.norm = torch.nn.LayerNorm(self.descriptor.n_features)
        layers: list[torch.nn.Module] = []
        width = self.descriptor.n_features + n_species
        for next_width in settings.hidden_layers:
            layers += [torch.nn.Linear(width, next_width), torch.nn.GELU()]
            width = next_width
        self.network = torch.nn.Sequential(*layers)
        self.energy_head = torch.nn.Linear(width, 1)
        self.charge_head: torch.nn.Linear | None = None
        self.species_charges: torch.nn.Parameter | None = None
        self.long_range: SmearedSum | None = None
        if settings.has_charges:
            self.long_range = SmearedSum(settings)
            even = torch.linspace(FIRST_CHARGES, -FIRST_CHARGES, n_species)
            given = torch.tensor(settings.first_charges, dtype=even.dtype)
            self.species_charges = torch.nn.Parameter(given if settings.first_charges else even)
        if settings.charges == 'predicted':
            self.charge_head = torch.nn.Linear(width, 1)

    def forward(self, systems: Sequence[AtomicSystem]) -> Predictions:
        """Return energies and charges of frames, of which any derivative can be taken.

        :param systems: the frames.
        """
        counts = [len(system.species) for system in systems]
        species = torch.cat([system.species for system in systems])
        hidden = self._hidden(systems, species)
        local = self.settings.energy_scale * self.energy_head(hidden)[:, 0]
        charges = self._free_charges(hidden, species)
        if self.long_range is None:
            parts, shifted = list(local.split(counts)), list(charges.split(counts))
        else:
            parts, shifted = [], []
            for system, own, free in zip(systems, local.split(counts), charges.split(counts)):
                q = self._constrained(free, system.total_charge)
                parts.append(own + 0.5 * q * self.long_range(system, q))
                shifted.append(q)
        return Predictions(
            atomic_energies=torch.cat(parts),
            energies=torch.stack([part.sum() for part in parts]),
            charges=torch.cat(shifted),
            net_charges=torch.stack([q.sum() for q in shifted]),
        )

    def _hidden(self, systems: Sequence[AtomicSystem], species: torch.Tensor) -> torch.Tensor:
        """Return what the network makes of the surroundings of each atom, shape ``(n_atoms, width)``."""
        vectors, pairs, first = [], [], 0
        for system in systems:
            near, between = system.near.vectors(system.positions, system.cell, self.settings.cutoff_radius)
            vectors.append(between)
            pairs.append(near + first)
            first += len(system.species)
        spectrum = self.norm(self.descriptor(torch.cat(vectors), torch.cat(pairs), species))
        own = torch.nn.functional.one_hot(species, len(self.settings.atomic_numbers)).to(spectrum.dtype)
        hidden: torch.Tensor = self.network(torch.cat([spectrum, own], dim=1))
        return hidden

    def _free_charges(self, hidden: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        """Return charges before they are made to sum to anything [e], shape ``(n_atoms,)``."""
        charges = hidden.new_zeros(len(species))
        if self.species_charges is not None:
            charges = charges + self.species_charges[species]
        if self.charge_head is not None:
            charges = charges + self.charge_head(hidden)[:, 0]
        return charges

    def _constrained(self, charges: torch.Tensor, total_charge: float) -> torch.Tensor:
        """Return charges that sum to the total charge, if they are to be shifted there."""
        if self.settings.neutrality != 'shift':
            return charges
        return charges + (total_charge - charges.sum()) / len(charges)

    def reverse_charges(self) -> None:
        """Change the sign of all charges, which changes no energy of a frame without total charge."""
        with torch.no_grad():
            if self.charge_head is not None:
                self.charge_head.weight.neg_()
                self.charge_head.bias.neg_()
            if self.species_charges is not None:
                self.species_charges.neg_()


def energies_and_forces(
    model: LocalChargeModel, systems: Sequence[AtomicSystem], is_followed: bool = False
) -> tuple[Predictions, torch.Tensor]:
    """Return what a model says of frames, and the forces.

    :param model: the model.
    :param systems: the frames.
    :param is_followed: whether derivatives of the forces will be taken.
    :returns: predictions, and forces [eV/Å], shape ``(n_atoms, 3)``.
    """
    moved = [system.moved(system.positions.detach().clone().requires_grad_()) for system in systems]
    predictions = model(moved)
    gradients = torch.autograd.grad(
        predictions.energies.sum(), [system.positions for system in moved], create_graph=is_followed, allow_unused=True
    )
    # an atom that sees nothing, in a model without charges, has no gradient
    forces = [torch.zeros_like(s.positions) if g is None else -g for s, g in zip(moved, gradients)]
    return predictions, torch.cat(forces)


def own_energies(settings: LocalChargeSettings, numbers: NDArray[Any]) -> Floats:
    """Return the atomic energy e_0 of each atom [eV], shape ``(n_atoms,)``.

    :param settings: those of the model.
    :param numbers: atomic numbers, shape ``(n_atoms,)``.
    """
    table = dict(zip(settings.atomic_numbers, settings.atomic_energies))
    return np.array([table[int(number)] for number in numbers], dtype=np.float64)
