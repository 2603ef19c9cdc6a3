"""Node that holds a trained machine-learning interatomic potential."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

from aiida.orm import SinglefileData


class PotentialData(SinglefileData):
    """A model file with what must be known to use it: architecture, elements, range, and what it was trained on."""

    KEY_ARCHITECTURE = 'architecture'
    """Entry-point name of the architecture."""
    KEY_ELEMENTS = 'elements'
    """Chemical symbols the model knows, ordered by atomic number."""
    KEY_CUTOFF_RADIUS = 'cutoff_radius'
    """Cutoff radius of one layer [Å]."""
    KEY_N_LAYERS = 'n_layers'
    """Number of message-passing layers; 1 for a strictly local model."""
    KEY_RECEPTIVE_FIELD = 'receptive_field'
    """Layers times cutoff radius [Å]."""
    KEY_TRAINING_CHARGE_LABELS = 'training_charge_labels'
    """Sorted charge labels of the training set, e.g. ``['2Na']``."""
    KEY_LEVEL_OF_THEORY = 'level_of_theory'
    """What made the labels, in words."""
    KEY_ATOMIC_ENERGIES = 'atomic_energies'
    """Reference energy of each element [eV]."""
    KEY_EMBEDS_ATOMIC_ENERGIES = 'embeds_atomic_energies'
    """Whether the model's energy includes the atomic energies; if not, they are added on evaluation."""
    KEY_PRECISION = 'precision'
    """``'float32'`` or ``'float64'``."""
    KEY_SEED = 'seed'
    """Seed of the training."""
    KEY_GRADIENT_UPDATES = 'gradient_updates'
    """Optimiser steps done."""
    KEY_SHA256 = 'sha256'
    """Checksum of the model file."""

    @classmethod
    def from_model(
        cls,
        content: bytes,
        filename: str,
        *,
        architecture: str,
        elements: Sequence[str],
        cutoff_radius: float,
        n_layers: int,
        training_charge_labels: Sequence[str],
        level_of_theory: str,
        atomic_energies: Mapping[str, float],
        embeds_atomic_energies: bool,
        precision: str,
        seed: int,
        gradient_updates: int,
    ) -> PotentialData:
        """Return an unstored node with this model file; the parameters are described at the ``KEY_`` constants.

        :raises ValueError: if the file is empty or an element has no atomic energy.
        """
        if not content:
            raise ValueError(f"the model file '{filename}' is empty")
        if missing := [element for element in elements if element not in atomic_energies]:
            raise ValueError(f'no atomic energy is given for {missing}; given: {sorted(atomic_energies)}')
        node = cls(io.BytesIO(content), filename=filename)
        node.base.attributes.set_many(
            {
                cls.KEY_ARCHITECTURE: architecture,
                cls.KEY_ELEMENTS: list(elements),
                cls.KEY_CUTOFF_RADIUS: float(cutoff_radius),
                cls.KEY_N_LAYERS: int(n_layers),
                cls.KEY_RECEPTIVE_FIELD: float(cutoff_radius) * int(n_layers),
                cls.KEY_TRAINING_CHARGE_LABELS: sorted(training_charge_labels),
                cls.KEY_LEVEL_OF_THEORY: level_of_theory,
                cls.KEY_ATOMIC_ENERGIES: {element: float(atomic_energies[element]) for element in elements},
                cls.KEY_EMBEDS_ATOMIC_ENERGIES: embeds_atomic_energies,
                cls.KEY_PRECISION: precision,
                cls.KEY_SEED: int(seed),
                cls.KEY_GRADIENT_UPDATES: int(gradient_updates),
                cls.KEY_SHA256: hashlib.sha256(content).hexdigest(),
            }
        )
        return node

    def _attribute(self, key: str) -> Any:
        return self.base.attributes.get(key)

    @property
    def architecture(self) -> str:
        """Entry-point name of the architecture."""
        return str(self._attribute(self.KEY_ARCHITECTURE))

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols the model knows, ordered by atomic number."""
        return tuple(self._attribute(self.KEY_ELEMENTS))

    @property
    def receptive_field(self) -> float:
        """Layers times cutoff radius [Å]."""
        return float(self._attribute(self.KEY_RECEPTIVE_FIELD))

    @property
    def precision(self) -> str:
        """``'float32'`` or ``'float64'``."""
        return str(self._attribute(self.KEY_PRECISION))

    @property
    def energy_shifts(self) -> dict[str, float]:
        """Energies that must be added per atom to the model's energy [eV]; empty if the model embeds them."""
        return (
            {} if self._attribute(self.KEY_EMBEDS_ATOMIC_ENERGIES) else dict(self._attribute(self.KEY_ATOMIC_ENERGIES))
        )
