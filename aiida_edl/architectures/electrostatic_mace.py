"""MACE with electrostatics: a ladder of models on one backbone, from no charges to self-consistent ones.

The trainer is ``drivers/train_electrostatic_mace.py``. It lies among the files of a training together with the modules
of the model, so that the environment needs PyTorch, mace-torch and numba and nothing of this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
from aiida_edl.architectures.mace_torch import MACE
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
    mean_neighbours,
    total_charges,
)
from aiida_edl.science.electrostatics.charge_models.electrostatic_settings import (
    UNBOUND,
    WITH_POTENTIAL,
    ElectrostaticSettings,
)
from aiida_edl.science.electrostatics.charge_models.model_settings import ModelSettingsError
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.metal_charge import TOTAL_CHARGE as CELL_CHARGE

NAME = 'electrostatic_mace'
CALCULATOR = 'aiida_edl.science.electrostatics.charge_models.electrostatic_calculator'
"""Module with the calculator; what it imports is all of the model."""
MAY_VANISH = (
    'max_l',
    'has_dipoles',
    'weight_decay',
    'energy_weight',
    'charge_weight',
    'dipole_weight',
    'potential_weight',
    'ema_decay',
)
"""Hyperparameters that may be zero or false."""
OF_MODEL = (
    'electrostatics',
    'cutoff_radius',
    'n_channels',
    'max_l',
    'max_ell',
    'correlation',
    'n_interactions',
    'n_radial_functions',
    'radial_network',
    'charge_width',
    'has_dipoles',
    'neutrality',
    'hardness',
    'solver',
    'mixing',
    'tolerance',
    'most_steps',
)
"""Hyperparameters that the model has as they are."""
METAL_POTENTIAL = 'metal_potential'
"""Column that is no label, see :func:`aiida_edl.science.counter_sheet.potential_over_sheet`."""
ELSEWHERE = ('formal_charges', 'balanced_by', 'charge_column', 'potential_column')
"""Hyperparameters that become something else in the model, or columns of the frames."""


@dataclass(frozen=True)
class ElectrostaticMaceHyperparameters:
    """Hyperparameters of a MACE model with electrostatics and of its training."""

    electrostatics: str = 'local'
    """How atoms get charges: 'none'; 'fixed' charges of the elements; 'local' ones from the surroundings, which sum to
    the total charge; 'latent' ones, which nothing binds; 'split' ones, which neighbours give each other; by charge
    equilibration, 'qeq'; as a fixed point in the potential of all, 'scf'; or as the least of an energy 'functional';
    dimensionless."""
    cutoff_radius: float = 5.0
    """Cutoff radius of one layer [Å]."""
    n_channels: int = 64
    """Channels of each feature; dimensionless."""
    max_l: int = 1
    """Highest angular momentum of the features that are passed on; 0 is invariant; dimensionless."""
    max_ell: int = 3
    """Highest angular momentum of the spherical harmonics of the edges; dimensionless."""
    correlation: int = 3
    """Correlation order of a layer: its messages are of body order ``correlation + 1``; dimensionless."""
    n_interactions: int = 2
    """Message-passing layers; the receptive field of what is not electrostatic is this times the cutoff radius;
    dimensionless."""
    n_radial_functions: int = 8
    """Bessel functions of the interatomic distance; dimensionless."""
    radial_network: tuple[int, ...] = (64, 64, 64)
    """Widths of the hidden layers of the network that acts on the radial functions; dimensionless."""
    charge_width: float = 1.0
    """Standard deviation of the Gaussian charges and dipoles [Å]."""
    formal_charges: tuple[float, ...] = ()
    """Charges of the elements in the order of their atomic numbers [e]: those of 'fixed', from which 'split' ones are
    given, what others begin at; zero if empty."""
    balanced_by: str = ''
    """Element whose atoms share what formal charges miss to the total charge in 'fixed' and 'split', e.g. that of an
    electrode; dimensionless."""
    has_dipoles: bool = False
    """Whether atoms have dipoles besides charges, in 'local', 'latent', 'scf' and 'functional'; dimensionless."""
    neutrality: str = 'shift'
    """How 'local' charges come to sum to the total charge: by the same change of all atoms, 'shift', or by shares that
    are predicted too, 'share'; dimensionless."""
    hardness: float = 5.0
    """Hardness of all elements before the training of 'qeq', besides the interaction of a Gaussian with itself
    [V/e]."""
    solver: str = 'direct'
    """How charges are equilibrated: by the matrix, 'direct', or for thousands of atoms by 'conjugate_gradient';
    dimensionless."""
    mixing: float = 0.3
    """Share of the new charges in each step of 'scf' and 'functional'; dimensionless."""
    tolerance: float = 1e-6
    """Largest absolute change of charges and dipoles at which these have converged [e, e Å]."""
    most_steps: int = 100
    """Steps after which they fail; dimensionless."""
    charge_column: str = ''
    """Column of the frames with the total charge of the cell [e]; empty for frames that are neutral."""
    batch_size: int = 4
    """Frames per gradient update; dimensionless."""
    learning_rate: float = 0.005
    """Largest step size of the optimiser (AdamW); dimensionless."""
    schedule: str = 'one_cycle'
    """Course of the step size: 'one_cycle' rises from a 25th to the largest in the first 30 % of the updates and then
    falls to a 250000th, each along a cosine; 'constant'; dimensionless."""
    weight_decay: float = 1e-6
    """Decay of the weights, per update and in units of the step size; dimensionless."""
    energy_weight: float = 10.0
    """Weight of the squared energy error per atom in the loss [1/eV²]."""
    force_weight: float = 100.0
    """Weight of the squared error of force components in the loss [Å²/eV²]."""
    charge_weight: float = 0.0
    """Weight of the squared error of the charges of atoms in the loss, if the frames have them [1/e²]; 0 learns charges
    from energies and forces alone."""
    dipole_weight: float = 0.0
    """Weight of the squared error of the dipole of a frame per atom in the loss, if the frames have columns
    ``dipole_x``, ``dipole_y``, ``dipole_z`` [1/(e Å)²]; 0 learns nothing from dipoles."""
    dipole_axes: str = 'z'
    """Components of the dipole that count, e.g. 'z' for a film, along whose other directions it has no meaning;
    dimensionless."""
    potential_weight: float = 0.0
    """Weight of the squared error of the potential of the electrode dE/dQ, minus the Fermi level, in the loss [1/V²];
    0 learns nothing from potentials."""
    potential_column: str = ''
    """Column of the frames with this potential [V]."""
    ema_decay: float = 0.99
    """Decay per update of the exponential moving average of the weights, which is what is validated; dimensionless."""
    gradient_clip: float = 10.0
    """Largest norm of the gradient of the loss; dimensionless."""
    n_evaluations: int = 20
    """About how many times the validation error is taken and a checkpoint written; dimensionless."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises HyperparameterError: with the name, the value and the remedy.
        """
        signed = {'formal_charges'}
        check_positive(SimpleNamespace(**{k: v for k, v in vars(self).items() if k not in signed}), NAME, MAY_VANISH)
        check_below(self, NAME, 'ema_decay', 1)
        check_below(self, NAME, 'mixing', 1, may_equal=True)
        check_schedule(self.schedule, NAME)
        if self.balanced_by and self.balanced_by not in atomic_numbers:
            raise HyperparameterError(
                f"hyperparameter 'balanced_by' of {NAME} is '{self.balanced_by}', which is no element; give a symbol"
            )
        try:
            ElectrostaticSettings(
                atomic_numbers=tuple(range(len(self.formal_charges))),
                atomic_energies=(0.0,) * len(self.formal_charges),
                formal_charges=self.formal_charges,
                **{name: getattr(self, name) for name in OF_MODEL},
            )
        except ModelSettingsError as error:
            raise HyperparameterError(f'hyperparameters of {NAME}: {error}') from error
        self._check_charge()

    def _check_charge(self) -> None:
        """Check what concerns the charges that are given.

        :raises HyperparameterError: with the name, the value and the remedy.
        """
        check_charge_column(self.charge_column, NAME)
        if self.charge_column and self.electrostatics in UNBOUND:
            raise HyperparameterError(
                f"hyperparameter 'charge_column' of {NAME} is '{self.charge_column}', but nothing binds the charges of "
                f"'{self.electrostatics}' to a total; leave it out, or take another rung"
            )
        for name in ('charge_weight', 'dipole_weight'):
            if getattr(self, name) and self.electrostatics in ('none', 'fixed'):
                raise HyperparameterError(
                    f"hyperparameter '{name}' of {NAME} is {getattr(self, name)}, but '{self.electrostatics}' learns "
                    'no charges; leave it out, or take another rung'
                )
        if self.potential_weight and self.electrostatics not in WITH_POTENTIAL:
            raise HyperparameterError(
                f"hyperparameter 'potential_weight' of {NAME} is {self.potential_weight}, but '{self.electrostatics}' "
                f'has no potential of the electrode; leave it out, or take {" or ".join(WITH_POTENTIAL)}'
            )
        if bool(self.potential_weight) != bool(self.potential_column):
            raise HyperparameterError(
                f"hyperparameters 'potential_weight' and 'potential_column' of {NAME} are {self.potential_weight} and "
                f"'{self.potential_column}'; give both or none"
            )
        if self.potential_column == METAL_POTENTIAL:
            raise HyperparameterError(
                f"hyperparameter 'potential_column' of {NAME} is '{METAL_POTENTIAL}', which LAMMPS reports without a "
                'term of its slab correction, so that two frames do not compare; name a column with dE/dQ [V], for a '
                'film from the mean of both sides'
            )
        if (
            not self.dipole_axes
            or set(self.dipole_axes) - set('xyz')
            or len(set(self.dipole_axes)) < len(self.dipole_axes)
        ):
            raise HyperparameterError(
                f"hyperparameter 'dipole_axes' of {NAME} is '{self.dipole_axes}', it must name components, e.g. 'xyz'"
            )


class ElectrostaticMace(OwnTrainer):
    """MACE with Gaussian charges on atoms: how these come about is the rung of a ladder, all else is the same.

    On every rung the short-range energy, the trainer and the loss are the same, so that what differs between two models
    is their electrostatics. The network sees the atoms within its receptive field alone; the energy depends on all
    atoms by their charges, and in charge equilibration the charges do too.
    """

    name = NAME
    references = (
        MACE,
        Reference(
            title='The design space of self-consistent electrostatic machine learning interatomic potentials',
            authors='W. J. Baldwin, I. Batatia, M. Vondrák, J. T. Margraf, G. Csányi',
            year=2026,
            doi='10.48550/arXiv.2603.14700',
        ),
    )
    hyperparameters_class = ElectrostaticMaceHyperparameters
    bindings: ClassVar[Mapping[str, AseBinding]] = {
        'ase': AseBinding(
            module=CALCULATOR,
            attribute='ElectrostaticMaceCalculator',
            keyword_arguments={'model': MODEL_PATH, 'device': DEVICE, 'precision': PRECISION},
            info={'charge': TOTAL_CHARGE},
            # e3nn reads its tables as pickles, and the model may be what imports it first
            environment={'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD': '1'},
            modules=(CALCULATOR,),
        )
    }
    model_file_name = f'{NAME}.pt'
    program = 'train_electrostatic_mace.py'
    not_of_training = (*OF_MODEL, *ELSEWHERE)
    packages = ('mace-torch', 'torch', 'e3nn', 'numba', 'ase', 'numpy', 'scipy')
    install_command = 'aiida-edl environment create mace'
    environment = 'mace'
    embeds_atomic_energies = True
    electrostatics_option = "electrostatics other than 'none'"

    def has_electrostatics(self, hyperparameters: ElectrostaticMaceHyperparameters) -> bool:
        """Return whether atoms have charges."""
        return hyperparameters.electrostatics != 'none'

    def n_layers(self, hyperparameters: ElectrostaticMaceHyperparameters) -> int:
        """Return the number of message-passing layers; charges act at any distance."""
        return hyperparameters.n_interactions

    def labelled_frames(self, frames: FrameSet, name: str, chosen: ElectrostaticMaceHyperparameters) -> FrameSet:
        """Return frames with energies, forces and whatever else is learnt, and the total charge if the model is told.

        :raises TrainingJobError: if labels are missing, or a frame cannot be summed.
        """
        if chosen.electrostatics != 'none':
            check_no_wires(frames, name, NAME, 'electrostatics')
        return _with_total_charge(_with_labels(frames, name, chosen), frames, name, chosen)

    def model_settings(self, job: TrainingJob) -> Mapping[str, Any]:
        """Return elements, scales, backbone and rung of the model.

        :raises TrainingJobError: if there are formal charges, but not one for each element.
        """
        chosen: ElectrostaticMaceHyperparameters = job.hyperparameters
        check_one_charge_each(job, 'formal_charges', NAME)
        return ElectrostaticSettings(
            atomic_numbers=tuple(atomic_numbers[element] for element in job.elements),
            atomic_energies=tuple(float(job.atomic_energies[element]) for element in job.elements),
            energy_scale=force_scale(job.training_set),
            average_neighbours=mean_neighbours(job.training_set, chosen.cutoff_radius),
            formal_charges=chosen.formal_charges,
            balanced_by=atomic_numbers[chosen.balanced_by] if chosen.balanced_by else 0,
            **{name: getattr(chosen, name) for name in OF_MODEL},
        ).to_dict()


def _with_labels(frames: FrameSet, name: str, chosen: ElectrostaticMaceHyperparameters) -> FrameSet:
    """Return frames with energies, forces, and the charges, dipoles and potentials that are learnt.

    :raises TrainingJobError: if one of them is missing.
    """
    labelled = energies_and_forces_only(frames)
    if chosen.charge_weight:
        if frames.charges is None or not np.isfinite(frames.charges).all():
            raise TrainingJobError(
                f"hyperparameter 'charge_weight' of {NAME} is {chosen.charge_weight}, but the {name} set has no "
                'charges of atoms; label them, or leave it out'
            )
        labelled = replace(labelled, charges=frames.charges)
    columns = {f'dipole_{axis}': f'dipole_{axis}' for axis in chosen.dipole_axes if chosen.dipole_weight}
    columns |= {'potential': chosen.potential_column} if chosen.potential_weight else {}
    for target, column in columns.items():
        values = np.asarray(frames.columns.get(column, np.nan), dtype=float)
        if not np.isfinite(values).all():
            raise TrainingJobError(
                f"the {name} set has no column '{column}', or it is not finite in every frame; {NAME} is to learn from "
                'it: label it, or leave its weight out'
            )
        labelled = labelled.with_columns(**{target: values})
    return labelled


def _with_total_charge(
    labelled: FrameSet, frames: FrameSet, name: str, chosen: ElectrostaticMaceHyperparameters
) -> FrameSet:
    """Return labelled frames with the total charge, if the model is told it.

    :raises TrainingJobError: if a frame is charged and the model, which would be bound by it, is not told.
    """
    if chosen.charge_column:
        return labelled.with_columns(total_charge=total_charges(frames, chosen.charge_column))
    charged = np.flatnonzero(np.asarray(frames.columns.get(CELL_CHARGE, np.zeros(len(frames))), dtype=float))
    if len(charged) and chosen.electrostatics not in UNBOUND:
        raise TrainingJobError(
            f'frame {charged[0]} of the {name} set has a {CELL_CHARGE}, but {NAME} is told none and would take '
            f"it as neutral; set 'charge_column' to '{CELL_CHARGE}'"
        )
    return labelled
