"""MACE: equivariant message passing with many-body messages, trained by the program of the package mace-torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from aiida_edl.architectures.bindings import (
    DEVICE,
    ELEMENTS,
    MODEL_PATH,
    PRECISION,
    EngineBinding,
    LammpsBinding,
    TorchSimBinding,
)
from aiida_edl.architectures.conversion import Conversion
from aiida_edl.architectures.mace_torch import (
    CHARGE_KEY,
    MaceArchitecture,
    MaceTorchHyperparameters,
    check_mace_hyperparameters,
    mace_binding,
)

MLIAP = 'mliap'
"""Format of the pair style mliap of LAMMPS: a pickled Python object."""


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
    bindings: ClassVar[Mapping[str, EngineBinding]] = {
        'ase': mace_binding('MACE'),
        'torch_sim': TorchSimBinding(
            module='torch_sim.models.mace',
            attribute='MaceModel',
            keyword_arguments={
                'model': {
                    'module': 'torch',
                    'attribute': 'load',
                    'keyword_arguments': {'f': MODEL_PATH, 'map_location': DEVICE, 'weights_only': False},
                },
                'device': DEVICE,
                'dtype': PRECISION,
                'compute_stress': False,
            },
            # e3nn reads its tables as pickles, and the model may be what imports it first
            environment={'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD': '1'},
        ),
        'lammps': LammpsBinding(
            pair_style=f'mliap unified {MODEL_PATH} 0',
            pair_coeff=f'* * {ELEMENTS}',
            gpu_arguments=('-k', 'on', 'g', '1', '-sf', 'kk', '-pk', 'kokkos', 'newton', 'on', 'neigh', 'half'),
            packages=('ML-IAP', 'PYTHON', 'KOKKOS'),
            formats=(MLIAP,),
        ),
    }
    conversions: ClassVar[Mapping[str, Conversion]] = {
        MLIAP: Conversion(
            arguments=(('-m', 'mace.cli.create_lammps_model', MODEL_PATH, '--format=mliap', f'--dtype={PRECISION}'),),
            file_name='mace.model-mliap_lammps.pt',
            environment='mace',
            packages=('mace-torch', 'torch', 'cuequivariance-torch'),
        ),
    }
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
