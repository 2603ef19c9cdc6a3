"""MACE with long-range electrostatics, PolarMACE: charges that respond to the field they make, by mace-torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from aiida_edl.architectures.base import HyperparameterError, Reference, TrainingJob
from aiida_edl.architectures.bindings import AseBinding
from aiida_edl.architectures.fine_tuning import FineTuningMode
from aiida_edl.architectures.mace_torch import (
    CHARGE_KEY,
    MACE,
    MaceArchitecture,
    MaceTorchHyperparameters,
    check_mace_hyperparameters,
    mace_binding,
)
from aiida_edl.architectures.training_data import check_charge_column, periodic_across_vacuum
from aiida_edl.science.frames import FrameSet

INTERACTION = 'RealAgnosticResidualNonLinearInteractionBlock'
"""The only block with which a model with ``max_l`` above 0 can be a parent (mace-torch 0.3.16)."""


@dataclass(frozen=True)
class MacePolarHyperparameters(MaceTorchHyperparameters):
    """Hyperparameters of a PolarMACE potential and of its training."""

    multipole_max_l: int = 1
    """Highest multipole of each atom: 0 for charges alone, 1 for dipoles as well; dimensionless."""
    multipole_smearing_width: float = 1.5
    """Width of the Gaussian densities of the multipoles [Å]; the cost of the k-space sum falls with its third power."""
    field_max_l: int = 1
    """Highest angular momentum of the electrostatic features an atom sees: 0 potential, 1 field; dimensionless."""
    field_widths: tuple[float, ...] = (1.5, 3.0)
    """Widths of the Gaussians on which these features are projected [Å]."""
    n_recursions: int = 1
    """How many times the charges are updated from the field they make; 0 for charges that do not respond;
    dimensionless."""
    has_local_electron_energy: bool = False
    """Whether an atom has an energy that depends on its own charge, besides the electrostatic one; costs
    accuracy in short trainings; dimensionless."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises HyperparameterError: with the name, the value and the remedy.
        """
        may_vanish = ('multipole_max_l', 'field_max_l', 'n_recursions', 'has_local_electron_energy')
        check_mace_hyperparameters(self, 'mace_polar', may_vanish)
        for name in ('multipole_max_l', 'field_max_l'):
            if getattr(self, name) > 1:
                raise HyperparameterError(
                    f"hyperparameter '{name}' of mace_polar is {getattr(self, name)}, it must be 0 or 1"
                )
        check_charge_column(self.charge_column, 'mace_polar')


class MacePolar(MaceArchitecture):
    """MACE with Gaussian multipoles on atoms, their Coulomb energy under periodic boundaries, and charges that respond.

    The charges of a frame add up to its total charge exactly; without ``charge_column`` every frame is neutral.

    A film that is open along one axis is trained and run as a periodic one: its images interact through the vacuum, so
    charged films depend on the length of the cell. mace-torch knows a slab correction too, but for it replaces the cell
    vector by one that grows with the coordinates, so that the energy of a charged film depends on where it lies.
    """

    name = 'mace_polar'
    references = (
        MACE,
        Reference(
            title='MACE-POLAR-1: A Polarisable Electrostatic Foundation Model for Molecular Chemistry',
            authors='I. Batatia, W. J. Baldwin, D. Kuryla et al.',
            year=2026,
            doi='10.48550/arXiv.2602.19411',
        ),
    )
    hyperparameters_class = MacePolarHyperparameters
    bindings: ClassVar[Mapping[str, AseBinding]] = {
        'ase': replace(mace_binding('PolarMACE'), is_fully_periodic=True),
    }
    model_file_name = 'mace_polar.model'
    packages = ('mace-torch', 'graph-longrange', 'torch', 'e3nn', 'matscipy', 'ase', 'numpy')
    fine_tuning_modes = (FineTuningMode.NAIVE,)
    electrostatics_option = ''

    def prepared(self, frames: FrameSet, job: TrainingJob) -> FrameSet:
        """Return frames as the model will see them: periodic along all cell vectors."""
        return periodic_across_vacuum(frames, self.cutoff_radius(job.hyperparameters))

    def model_options(self, hyperparameters: MacePolarHyperparameters) -> Mapping[str, Any]:
        """Return the kind of model and its electrostatics."""
        return {
            'model': 'PolarMACE',
            'total_charge_key': CHARGE_KEY,
            'interaction': INTERACTION,
            'interaction_first': INTERACTION,
            'use_agnostic_product': True,
            'atomic_multipoles_max_l': hyperparameters.multipole_max_l,
            'atomic_multipoles_smearing_width': float(hyperparameters.multipole_smearing_width),
            'field_feature_max_l': hyperparameters.field_max_l,
            'field_feature_widths': [float(width) for width in hyperparameters.field_widths],
            'num_recursion_steps': hyperparameters.n_recursions,
            'add_local_electron_energy': hyperparameters.has_local_electron_energy,
        }
