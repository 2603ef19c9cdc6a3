"""Deep Potential with message passing: the descriptor DPA-3, trained by the PyTorch backend of DeePMD-kit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from aiida_edl.architectures.base import HyperparameterError, Reference, TrainingJob, check_below, check_positive
from aiida_edl.architectures.bindings import EngineBinding
from aiida_edl.architectures.deepmd_kit import DEEPMD_KIT, LAMMPS, DeepmdArchitecture, DeepmdHyperparameters
from aiida_edl.architectures.training_data import maximum_neighbours
from aiida_edl.science.frames import FrameSet

UPDATES: Mapping[str, Any] = {
    'fix_stat_std': 0.3,
    'a_compress_rate': 1,
    'a_compress_e_rate': 2,
    'a_compress_use_split': True,
    'update_angle': True,
    'smooth_edge_update': True,
    'edge_init_use_dist': True,
    'use_exp_switch': True,
    'update_style': 'res_residual',
    'update_residual': 0.1,
    'update_residual_init': 'const',
}
"""How representations are updated: as in the example dpa3 of DeePMD-kit 3.2, not meant to be changed."""


@dataclass(frozen=True)
class DeepPotentialMpHyperparameters(DeepmdHyperparameters):
    """Hyperparameters of a potential with the descriptor DPA-3, and of its training."""

    smoothing_radius: float = 5.3
    """Distance from which the weight of a neighbour is led to zero at the cutoff radius [Å]."""
    angle_cutoff_radius: float = 4.0
    """Cutoff radius of the neighbours that form angles [Å]."""
    angle_smoothing_radius: float = 3.5
    """Distance from which the weight of such a neighbour is led to zero [Å]."""
    n_interactions: int = 6
    """Message-passing layers; the receptive field is this times the cutoff radius; dimensionless."""
    node_width: int = 128
    """Width of the representation of an atom; dimensionless."""
    edge_width: int = 64
    """Width of the representation of a pair; dimensionless."""
    angle_width: int = 32
    """Width of the representation of an angle; dimensionless."""
    n_axis_neurons: int = 4
    """Columns of the symmetrised representation; dimensionless."""
    neighbour_margin: float = 1.5
    """Largest number of neighbours the model can hold over the largest in the training set; dimensionless."""
    learning_rate: float = 0.001
    """Step size of the optimiser (Adam) at the beginning; dimensionless."""
    learning_rate_ratio: float = 0.03
    """Step size at the end over that at the beginning; dimensionless."""
    initial_energy_prefactor: float = 0.2
    """Weight of the squared energy error per atom at the beginning [1/eV²]."""
    final_energy_prefactor: float = 20.0
    """The same as the step size goes to zero [1/eV²]."""
    initial_force_prefactor: float = 100.0
    """Weight of the squared error of force components at the beginning [Å²/eV²]."""
    final_force_prefactor: float = 60.0
    """The same as the step size goes to zero [Å²/eV²]."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises HyperparameterError: with the name, the value and the remedy.
        """
        check_positive(self, 'deep_potential_mp', may_vanish=('initial_energy_prefactor', 'final_energy_prefactor'))
        check_below(self, 'deep_potential_mp', 'smoothing_radius', 'cutoff_radius')
        check_below(self, 'deep_potential_mp', 'angle_smoothing_radius', 'angle_cutoff_radius')
        check_below(self, 'deep_potential_mp', 'angle_cutoff_radius', 'cutoff_radius', may_equal=True)
        if self.neighbour_margin < 1:
            raise HyperparameterError(
                f"hyperparameter 'neighbour_margin' of deep_potential_mp is {self.neighbour_margin}, "
                'it must be at least 1'
            )


class DeepPotentialMp(DeepmdArchitecture):
    """Message-passing potential with the descriptor DPA-3 of atoms, pairs and angles (D. Zhang et al., 2025).

    Of the message-passing models of DeePMD-kit, DPA-2 and DPA-3, this is DPA-3: all its layers have one cutoff radius,
    so that its receptive field is layers times cutoff radius.
    """

    name = 'deep_potential_mp'
    references = (
        Reference(
            title='A Graph Neural Network for the Era of Large Atomistic Models',
            authors='D. Zhang, A. Peng, C. Cai, W. Li, Y. Zhou, J. Zeng, M. Guo, C. Zhang, B. Li, H. Jiang, T. Zhu, '
            'W. Jia, L. Zhang, H. Wang',
            year=2025,
            doi='10.48550/arXiv.2506.01686',
        ),
        DEEPMD_KIT,
    )
    hyperparameters_class = DeepPotentialMpHyperparameters
    bindings: ClassVar[Mapping[str, EngineBinding]] = {
        **DeepmdArchitecture.bindings,
        # Messages reach ghost atoms by the identity of the atoms they are images of.
        'lammps': replace(LAMMPS, commands=('atom_modify map yes',)),
    }
    activation_function = 'silut:10.0'

    def n_layers(self, hyperparameters: DeepPotentialMpHyperparameters) -> int:
        """Return the number of message-passing layers."""
        return int(hyperparameters.n_interactions)

    def descriptor(self, training_set: FrameSet, job: TrainingJob) -> Mapping[str, Any]:
        """Return the descriptor DPA-3."""
        chosen: DeepPotentialMpHyperparameters = job.hyperparameters

        def neighbours(radius: float) -> int:
            most = sum(maximum_neighbours(training_set, radius, job.elements).values())
            return math.ceil(most * chosen.neighbour_margin)

        return {
            'type': 'dpa3',
            'repflow': {
                'n_dim': chosen.node_width,
                'e_dim': chosen.edge_width,
                'a_dim': chosen.angle_width,
                'nlayers': chosen.n_interactions,
                'e_rcut': float(chosen.cutoff_radius),
                'e_rcut_smth': float(chosen.smoothing_radius),
                'e_sel': neighbours(chosen.cutoff_radius),
                'a_rcut': float(chosen.angle_cutoff_radius),
                'a_rcut_smth': float(chosen.angle_smoothing_radius),
                'a_sel': neighbours(chosen.angle_cutoff_radius),
                'axis_neuron': chosen.n_axis_neurons,
                **UPDATES,
            },
            'activation_function': self.activation_function,
            'use_tebd_bias': False,
            'concat_output_tebd': False,
        }
