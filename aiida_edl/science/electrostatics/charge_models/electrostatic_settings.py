"""What a MACE model with electrostatics is made of: all that must be known beside its weights to load it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.electrostatics.charge_models.model_settings import ModelSettingsError
from aiida_edl.typed_fields import checked_fields

RUNGS = ('none', 'fixed', 'local', 'latent', 'split', 'qeq', 'scf', 'functional')
"""How atoms get charges, from none to self-consistent ones."""
NEUTRALITY = ('shift', 'share')
"""Predicted charges come to sum to the total by the same change of all atoms, or by shares that are predicted too."""
SOLVERS = ('direct', 'conjugate_gradient')
"""By the matrix, whose cost grows with the third power of the number of atoms, or by applying the operator again and
again."""
UNBOUND = ('none', 'latent')
"""Rungs that know no total charge."""
WITH_POTENTIAL = ('qeq', 'scf', 'functional')
"""Rungs with a potential of the electrode, at which charges can be found in place of a total charge."""
WITH_DIPOLES = ('local', 'latent', 'scf', 'functional')
"""Rungs whose atoms may have dipoles besides charges."""


@dataclass(frozen=True)
class ElectrostaticSettings:
    """Shape and constants of a MACE model with electrostatics."""

    electrostatics: str = 'none'
    """One of :data:`RUNGS`."""
    atomic_numbers: tuple[int, ...] = ()
    """Elements the model knows, ascending."""
    atomic_energies: tuple[float, ...] = ()
    """Energy of each of them that is added for each atom [eV]."""
    energy_scale: float = 1.0
    """Energy of an atom for which the short-range part gives one [eV]."""
    average_neighbours: float = 1.0
    """Neighbours of an atom on the average, by which messages are divided."""
    cutoff_radius: float = 5.0
    """Cutoff radius of one layer [Å]."""
    n_channels: int = 64
    """Channels of each feature."""
    max_l: int = 1
    """Highest angular momentum of the features that are passed on."""
    max_ell: int = 3
    """Highest angular momentum of the spherical harmonics of the edges."""
    correlation: int = 3
    """Correlation order of a layer."""
    n_interactions: int = 2
    """Message-passing layers."""
    n_radial_functions: int = 8
    """Bessel functions of the interatomic distance."""
    radial_network: tuple[int, ...] = (64, 64, 64)
    """Widths of the hidden layers of the network that acts on the radial functions."""
    charge_width: float = 1.0
    """Standard deviation of the Gaussian charges and dipoles [Å]."""
    formal_charges: tuple[float, ...] = ()
    """Charge of each element [e]: the charges of ``fixed``, what predicted ones begin at; zero if empty."""
    balanced_by: int = 0
    """Atomic number of the element whose atoms share what is missing to the total charge in ``fixed``; 0 for none."""
    has_dipoles: bool = False
    """Whether atoms have dipoles besides charges."""
    neutrality: str = 'shift'
    """One of :data:`NEUTRALITY`."""
    hardness: float = 5.0
    """Hardness of all elements before the training, besides the interaction of a Gaussian with itself [V/e]."""
    solver: str = 'direct'
    """How charges are equilibrated, one of :data:`SOLVERS`."""
    mixing: float = 0.3
    """Share of the new charges in each step of ``scf``."""
    tolerance: float = 1e-6
    """Largest absolute change of charges and dipoles [e, e Å] at which ``scf`` has converged."""
    most_steps: int = 100
    """Steps after which ``scf`` fails."""

    def __post_init__(self) -> None:
        """Check choices, and what goes with them.

        :raises ModelSettingsError: with the name, the value and the remedy.
        """
        for name, known in (('electrostatics', RUNGS), ('neutrality', NEUTRALITY), ('solver', SOLVERS)):
            if getattr(self, name) not in known:
                raise ModelSettingsError(unknown_name_message(name, getattr(self, name), known))
        for name in ('atomic_energies', 'formal_charges'):
            given = len(getattr(self, name))
            if given != len(self.atomic_numbers) and (given or name == 'atomic_energies'):
                raise ModelSettingsError(
                    f'there are {given} {name} for {len(self.atomic_numbers)} elements; give one for each'
                )
        if self.electrostatics == 'fixed' and not any(self.formal_charges):
            raise ModelSettingsError(
                "electrostatics is 'fixed' and no element has a formal charge; give formal_charges"
            )
        if self.has_dipoles and self.electrostatics not in WITH_DIPOLES:
            raise ModelSettingsError(
                f"has_dipoles is given with electrostatics '{self.electrostatics}', atoms have dipoles with "
                f'{" or ".join(WITH_DIPOLES)} alone; leave it out'
            )
        if self.has_dipoles and self.max_l < 1:
            raise ModelSettingsError('has_dipoles needs features that are vectors, max_l is 0; raise it to 1')
        for name in ('charge_width', 'hardness', 'energy_scale', 'average_neighbours'):
            if not getattr(self, name) > 0.0:
                raise ModelSettingsError(f'{name} is {getattr(self, name)}, it must be positive')

    @property
    def first_charges(self) -> tuple[float, ...]:
        """Charge of each element before the training [e]."""
        return self.formal_charges or (0.0,) * len(self.atomic_numbers)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ElectrostaticSettings:
        """Return checked settings from those that differ from the defaults.

        :raises ModelSettingsError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'setting of the model', ModelSettingsError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(self).items()
        }
