"""Local-charge model: charges of atoms from their neighbours, learnt from energies and forces by this package itself.

The trainer is ``drivers/train_local_charge.py``. It lies among the files of a training together with the modules of the
model, so that the environment needs PyTorch, torch-pme and numba and nothing of this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
from ase.data import atomic_numbers

from aiida_edl.architectures.base import (
    HyperparameterError,
    Reference,
    TrainingJob,
    TrainingJobError,
    check_below,
    check_positive,
)
from aiida_edl.architectures.bindings import DEVICE, MODEL_PATH, PRECISION, TOTAL_CHARGE, AseBinding
from aiida_edl.architectures.own_trainer import (
    OwnTrainer,
    check_no_wires,
    check_one_charge_each,
    check_schedule,
    force_scale,
)
from aiida_edl.architectures.training_data import (
    check_charge_column,
    energies_and_forces_only,
    total_charges,
)
from aiida_edl.science.electrostatics.charge_models.model_settings import LocalChargeSettings, ModelSettingsError
from aiida_edl.science.frames import FrameSet

NAME = 'local_charge'
CALCULATOR = 'aiida_edl.science.electrostatics.charge_models.ase_calculator'
"""Module with the calculator; what it imports is all of the model."""
MAY_VANISH = (
    'max_angular',
    'learns_smearing',
    'excludes_neighbours',
    'weight_decay',
    'energy_weight',
    'charge_weight',
)
"""Hyperparameters that may be zero or false."""
OF_MODEL = (
    'cutoff_radius',
    'cutoff_width',
    'max_radial',
    'max_angular',
    'hidden_layers',
    'charges',
    'first_charges',
    'neutrality',
    'exponents',
    'smearing',
    'learns_smearing',
    'excludes_neighbours',
    'summation',
    'resolution',
)
"""Hyperparameters of the model; the others, but for the column of the charge, are those of its training."""
DIVERGENT_SUM = 3
"""Exponent for which the sum over images exists only without net charge."""


@dataclass(frozen=True)
class LocalChargeHyperparameters:
    """Hyperparameters of a local-charge model and of its training."""

    cutoff_radius: float = 3.0
    """Distance up to which the network sees neighbours [Å]."""
    cutoff_width: float = 0.5
    """Width of the shell before the cutoff radius in which a neighbour fades out [Å]."""
    max_radial: int = 5
    """Radial functions of the density of neighbours; dimensionless."""
    max_angular: int = 4
    """Highest angular momentum of this density; dimensionless."""
    hidden_layers: tuple[int, ...] = (256, 256, 256)
    """Widths of the layers of the network; dimensionless."""
    charges: str = 'predicted'
    """'predicted' by the network, one learnable charge for each element by 'species', or 'none' for a short-range
    model; dimensionless."""
    first_charges: tuple[float, ...] = ()
    """Charges of the elements before the training, in the order of their atomic numbers [e]; evenly from 0.5 to -0.5 if
    empty. Their relative signs are a start from which a short training may not come away."""
    neutrality: str = 'shift'
    """How charges come to sum to the total charge: all of a frame are moved by the same amount by 'shift', pulled
    there with ``charge_weight`` by 'loss', or left free by 'none'; dimensionless."""
    exponents: tuple[int, ...] = (1,)
    """Powers p of the interactions 1/r^p of the charges, 1 to 6; the weights of several are learnt, beginning at one
    over their number. Films take 1 alone; dimensionless."""
    smearing: float = 1.0
    """Standard deviation of the Gaussian charges [Å], at the beginning if it is learnt."""
    learns_smearing: bool = False
    """Whether the smearing is learnt; dimensionless."""
    excludes_neighbours: bool = True
    """Whether neighbours within the cutoff radius, which the network sees, fade out of the interaction of the charges;
    dimensionless."""
    summation: str = 'ewald'
    """Sum over the images of periodic frames: 'ewald', or 'p3m' for frames of hundreds of atoms; open frames are summed
    directly; dimensionless."""
    resolution: float = 0.5
    """Spacing of the mesh, or half the shortest wavelength of an Ewald sum, in units of the smearing; an Ewald sum of
    0.5 neglects 3e-9 of the interaction; dimensionless."""
    charge_column: str = ''
    """Column of the frames with the total charge of the cell [e]; empty for frames that are neutral."""
    batch_size: int = 4
    """Frames per gradient update; dimensionless."""
    learning_rate: float = 5e-4
    """Largest step size of the optimiser (AdamW); dimensionless."""
    schedule: str = 'one_cycle'
    """Course of the step size: 'one_cycle' rises from a 25th to the largest in the first 30 % of the updates and then
    falls to a 250000th, each along a cosine; 'constant'; dimensionless."""
    weight_decay: float = 1e-5
    """Decay of the weights, per update and in units of the step size; dimensionless."""
    energy_weight: float = 1.0
    """Weight of the squared error of the energy per atom in the loss [1/eV²]."""
    force_weight: float = 1.0
    """Weight of the squared error of force components in the loss [Å²/eV²]."""
    charge_weight: float = 0.0
    """Weight of the squared error of the total charge in the loss, for the neutrality 'loss' [1/e²]."""
    gradient_clip: float = 10.0
    """Largest norm of the gradient of the loss; dimensionless."""
    n_evaluations: int = 20
    """About how many times the validation error is taken and a checkpoint written; dimensionless."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises HyperparameterError: with the name, the value and the remedy.
        """
        signed = {'first_charges'}
        check_positive(SimpleNamespace(**{k: v for k, v in vars(self).items() if k not in signed}), NAME, MAY_VANISH)
        check_below(self, NAME, 'cutoff_width', 'cutoff_radius', may_equal=True)
        try:
            LocalChargeSettings(**{name: getattr(self, name) for name in OF_MODEL if name != 'first_charges'})
        except ModelSettingsError as error:
            raise HyperparameterError(f'hyperparameters of {NAME}: {error}') from error
        check_schedule(self.schedule, NAME)
        self._check_charge()

    def _check_charge(self) -> None:
        """Check what concerns the total charge.

        :raises HyperparameterError: with the name, the value and the remedy.
        """
        if (self.neutrality == 'loss') != (self.charge_weight > 0.0):
            raise HyperparameterError(
                f"hyperparameters 'neutrality' and 'charge_weight' of {NAME} are '{self.neutrality}' and "
                f"{self.charge_weight}; a positive weight goes with 'loss', and with 'loss' alone"
            )
        check_charge_column(self.charge_column, NAME)
        if self.charge_column and self.charges == 'none':
            raise HyperparameterError(
                f"hyperparameter 'charge_column' of {NAME} is '{self.charge_column}', but the model has no charges; "
                "leave it out, or set 'charges' to 'species' or 'predicted'"
            )


class LocalCharge(OwnTrainer):
    """Short-range energies and charges from the power spectrum of the neighbours, and the interaction of the charges.

    The network sees the atoms within the cutoff radius alone; the energy depends on all atoms by their charges. The
    energy is even in the charges: without total charge, the element with the least atomic number is made positive on
    the average. A film is summed as one between two vacua, which are widened if they are thinner than the film.
    """

    name = NAME
    references = (
        Reference(
            title='Fast and flexible long-range models for atomistic machine learning',
            authors='P. Loche, K. K. Huguenin-Dumittan, M. Honarmand, Q. Xu, E. Rumiantsev, W. B. How, M. F. Langer, '
            'M. Ceriotti',
            year=2025,
            doi='10.1063/5.0251713',
        ),
        Reference(
            title='On representing chemical environments',
            authors='A. P. Bartók, R. Kondor, G. Csányi',
            year=2013,
            doi='10.1103/PhysRevB.87.184115',
        ),
    )
    hyperparameters_class = LocalChargeHyperparameters
    bindings: ClassVar[Mapping[str, AseBinding]] = {
        'ase': AseBinding(
            module=CALCULATOR,
            attribute='LocalChargeCalculator',
            keyword_arguments={'model': MODEL_PATH, 'device': DEVICE, 'precision': PRECISION},
            info={'charge': TOTAL_CHARGE},
            atomic_energies='ase',
            modules=(CALCULATOR,),
        )
    }
    model_file_name = f'{NAME}.pt'
    program = 'train_local_charge.py'
    not_of_training = (*OF_MODEL, 'charge_column')
    packages = ('torch', 'torch-pme', 'numba', 'ase', 'numpy', 'scipy')
    install_command = 'aiida-edl environment create long_range'
    environment = 'long_range'
    embeds_atomic_energies = True
    electrostatics_option = "charges other than 'none'"

    def has_electrostatics(self, hyperparameters: LocalChargeHyperparameters) -> bool:
        """Return whether atoms have charges."""
        return hyperparameters.charges != 'none'

    def n_layers(self, hyperparameters: LocalChargeHyperparameters) -> int:
        """Return 1: no messages are passed; charges act at any distance."""
        return 1

    def labelled_frames(self, frames: FrameSet, name: str, chosen: LocalChargeHyperparameters) -> FrameSet:
        """Return frames with energies, forces and, for a model that knows it, the total charge as ``total_charge``."""
        labelled = energies_and_forces_only(frames)
        if chosen.charge_column:
            labelled = labelled.with_columns(total_charge=total_charges(frames, chosen.charge_column))
        check_summable(labelled, name, chosen)
        return labelled

    def model_settings(self, job: TrainingJob) -> Mapping[str, Any]:
        """Return elements, scale and network of the model.

        :raises TrainingJobError: if there are charges to begin with, but not one for each element.
        """
        check_one_charge_each(job, 'first_charges', NAME)
        return LocalChargeSettings(
            atomic_numbers=tuple(atomic_numbers[element] for element in job.elements),
            atomic_energies=tuple(float(job.atomic_energies[element]) for element in job.elements),
            energy_scale=force_scale(job.training_set),
            **{name: getattr(job.hyperparameters, name) for name in OF_MODEL},
        ).to_dict()


def check_summable(frames: FrameSet, name: str, chosen: LocalChargeHyperparameters) -> None:
    """Check that the interactions of the charges can be summed over the images of each frame.

    :param frames: frames, with ``total_charge`` if the model knows it.
    :param name: what they are, for the message.
    :param chosen: the hyperparameters.
    :raises TrainingJobError: with the frame and the remedy.
    """
    if chosen.charges == 'none':
        return
    check_no_wires(frames, name, NAME, 'charges')
    n_periodic = frames.pbc.sum(axis=1)
    if chosen.exponents != (1,) and len(films := np.flatnonzero(n_periodic == 2)):
        raise TrainingJobError(
            f'frame {films[0]} of the {name} set is a film, for which {NAME} knows the exponent 1 alone, and not '
            f"{list(chosen.exponents)}; make it periodic along all cell vectors, or set 'exponents' to [1]"
        )
    charged = frames.columns.get('total_charge', np.zeros(len(frames))) != 0.0
    wrong = np.flatnonzero((n_periodic > 0) & (charged | (chosen.neutrality != 'shift')))
    if DIVERGENT_SUM in chosen.exponents and len(wrong):
        raise TrainingJobError(
            f'frame {wrong[0]} of the {name} set is periodic and its charges need not sum to zero, but the sum of 1/r³ '
            "over images exists for neutral frames alone; leave the exponent 3 out, or set 'neutrality' to 'shift' "
            'and take neutral or open frames'
        )
