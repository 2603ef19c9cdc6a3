"""What a local-charge model is made of: all that must be known beside its weights to load it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiida_edl.registry import unknown_name_message
from aiida_edl.science.electrostatics.power_law import COULOMB_EXPONENT, LARGEST_EXPONENT
from aiida_edl.typed_fields import checked_fields

CHARGES = ('none', 'species', 'predicted')
"""No charges, one learnable charge for each element, or charges from the network."""
NEUTRALITY = ('shift', 'loss', 'none')
"""Charges are shifted until they sum to the total charge, a loss pulls them there, or nothing does."""
SUMMATIONS = ('ewald', 'p3m')
"""Sums of periodic frames; open ones are summed directly."""


class ModelSettingsError(ValueError):
    """A setting that does not exist, is of a wrong type or out of range."""


@dataclass(frozen=True)
class LocalChargeSettings:
    """Shape and constants of a local-charge model."""

    atomic_numbers: tuple[int, ...] = ()
    """Elements the model knows."""
    atomic_energies: tuple[float, ...] = ()
    """Energy of each of them that is added for each atom [eV]."""
    energy_scale: float = 1.0
    """Energy of an atom for which the network gives one [eV]."""
    cutoff_radius: float = 3.0
    """Distance up to which the descriptor sees neighbours [Å]."""
    cutoff_width: float = 0.5
    """Width of the shell before the cutoff radius in which a neighbour fades out [Å]."""
    max_radial: int = 5
    """Radial functions."""
    max_angular: int = 4
    """Highest angular momentum."""
    hidden_layers: tuple[int, ...] = (256, 256, 256)
    """Widths of the layers of the network."""
    charges: str = 'predicted'
    """One of :data:`CHARGES`."""
    first_charges: tuple[float, ...] = ()
    """Charge of each element before the training [e]; evenly from 0.5 to -0.5 in the order of the elements if empty,
    as zero is a saddle."""
    neutrality: str = 'shift'
    """One of :data:`NEUTRALITY`."""
    exponents: tuple[int, ...] = (1,)
    """Powers p of the interactions 1/r^p of the charges."""
    smearing: float = 1.0
    """Standard deviation of the Gaussian charges [Å], at the beginning if it is learnt."""
    learns_smearing: bool = False
    """Whether the smearing is learnt."""
    excludes_neighbours: bool = True
    """Whether neighbours within the cutoff radius fade out of the long-range part."""
    summation: str = 'ewald'
    """One of :data:`SUMMATIONS`."""
    resolution: float = 0.5
    """Spacing of the mesh, or half the shortest wavelength of an Ewald sum, in units of the smearing."""

    def __post_init__(self) -> None:
        """Check choices and exponents.

        :raises ModelSettingsError: with the name, the value and the remedy.
        """
        for name, known in (('charges', CHARGES), ('neutrality', NEUTRALITY), ('summation', SUMMATIONS)):
            if getattr(self, name) not in known:
                raise ModelSettingsError(unknown_name_message(name, getattr(self, name), known))
        wrong = [p for p in self.exponents if p not in range(COULOMB_EXPONENT, LARGEST_EXPONENT + 1)]
        if wrong or not self.exponents or len(set(self.exponents)) < len(self.exponents):
            raise ModelSettingsError(
                f'exponents is {list(self.exponents)}, it must list whole numbers from {COULOMB_EXPONENT} to '
                f'{LARGEST_EXPONENT}, each once'
            )
        if not 0.0 < self.cutoff_width <= self.cutoff_radius:
            raise ModelSettingsError(
                f'cutoff_width is {self.cutoff_width} Å, it must be positive and not exceed the cutoff_radius, '
                f'{self.cutoff_radius} Å'
            )
        if len(self.first_charges) not in (0, len(self.atomic_numbers)):
            raise ModelSettingsError(
                f'there are {len(self.first_charges)} first_charges for the {len(self.atomic_numbers)} atomic numbers '
                f'{list(self.atomic_numbers)}; give one for each, or none'
            )
        if len(self.atomic_numbers) != len(self.atomic_energies):
            raise ModelSettingsError(
                f'there are {len(self.atomic_energies)} atomic_energies for {len(self.atomic_numbers)} elements; give '
                'one for each'
            )

    @property
    def has_charges(self) -> bool:
        """Whether the model has a long-range part."""
        return self.charges != 'none'

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LocalChargeSettings:
        """Return checked settings from those that differ from the defaults.

        :raises ModelSettingsError: for an unknown key, with the nearest known one, or a value of a wrong type.
        """
        return cls(**checked_fields(cls, values, 'setting of the model', ModelSettingsError))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON types."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(self).items()
        }


def species_of(numbers: Iterable[int], known: Sequence[int]) -> list[int]:
    """Return the index of the element of each atom.

    >>> species_of([8, 1, 1], (1, 8))
    [1, 0, 0]

    :param numbers: atomic numbers, shape ``(n_atoms,)``.
    :param known: atomic numbers that the model knows, in its order.
    :raises ModelSettingsError: for an element that the model does not know.
    """
    places = {number: index for index, number in enumerate(known)}
    if missing := sorted({int(number) for number in numbers} - set(places)):
        raise ModelSettingsError(f'the model knows the atomic numbers {sorted(places)} and not {missing}')
    return [places[int(number)] for number in numbers]
