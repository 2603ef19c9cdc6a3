"""MACE: equivariant message passing with many-body messages, trained by the program of the package mace-torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from aiida_edl.architectures.bindings import AseBinding
from aiida_edl.architectures.mace_torch import (
    CHARGE_KEY,
    MaceArchitecture,
    MaceTorchHyperparameters,
    check_mace_hyperparameters,
    mace_binding,
)


@dataclass(frozen=True)
class MaceHyperparameters(MaceTorchHyperparameters):
    """Hyperparameters of a MACE potential and of its training."""

    charge_embedding_width: int = 16
    """Width of the representation of the total charge, for a model that is told one; dimensionless."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises HyperparameterError: with the name, the value and the remedy.
        """
        check_mace_hyperparameters(self, 'mace')


class Mace(MaceArchitecture):
    """Equivariant message passing with messages of high body order (I. Batatia et al., 2022).

    A total charge, if the model is told one, becomes a vector that is added to the features of each atom, and gives an
    energy of its own.
    """

    name = 'mace'
    hyperparameters_class = MaceHyperparameters
    bindings: ClassVar[Mapping[str, AseBinding]] = {'ase': mace_binding('MACE')}
    model_file_name = 'mace.model'

    def model_options(self, hyperparameters: MaceHyperparameters) -> Mapping[str, Any]:
        """Return the kind of model, and how it represents the total charge."""
        if not hyperparameters.charge_column:
            return {'model': 'ScaleShiftMACE'}
        width = hyperparameters.charge_embedding_width
        # Continuous and not a table of integers: fractional charges are legal, and so is one that was not trained on.
        embedding = {CHARGE_KEY: {'type': 'continuous', 'per': 'graph', 'in_dim': 1, 'emb_dim': width}}
        return {
            'model': 'ScaleShiftMACE',
            'total_charge_key': CHARGE_KEY,
            'embedding_specs': embedding,
            'use_embedding_readout': True,
        }
