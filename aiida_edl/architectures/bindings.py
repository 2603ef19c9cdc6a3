"""How the programs that use a model load it: an object in Python, or a pair style of LAMMPS.

Values that are known only when a job is written stand in a binding as :data:`MODEL_PATH`, :data:`DEVICE`,
:data:`PRECISION` and :data:`TOTAL_CHARGE`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aiida_edl.architectures.precision import Precision

MODEL_PATH = '{model}'
"""Stands for the path of the model in the working directory."""
DEVICE = '{device}'
"""Stands for ``'cpu'`` or ``'cuda'``."""
PRECISION = '{precision}'
"""Stands for ``'float32'`` or ``'float64'``."""
ELEMENTS = '{elements}'
"""Stands for the chemical symbols of the types of atoms, in their order."""
ATOMIC_NUMBERS = '{atomic_numbers}'
"""Stands for the atomic numbers of the types of atoms, in their order."""
TOTAL_CHARGE = '{total_charge}'
"""Stands for the total charge of a frame [e]; filled in by the driver, for each frame its own."""
WHOLE_TOTAL_CHARGE = '{whole_total_charge}'
"""The same as an ``int``, for calculators that refuse a ``float``."""
NATIVE = 'native'
"""Format of a model as the trainer exports it."""


def filled(value: Any, substitutions: Mapping[str, Any]) -> Any:
    """Return a value with the placeholders in it replaced, in nested mappings and sequences too.

    >>> filled({'path': '{model}', 'dtypes': ['{precision}']}, {'{model}': 'a.pt', '{precision}': 'float32'})
    {'path': 'a.pt', 'dtypes': ['float32']}

    :param value: JSON types.
    :param substitutions: value for each placeholder.
    """
    if isinstance(value, Mapping):
        return {key: filled(item, substitutions) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [filled(item, substitutions) for item in value]
    return substitutions.get(value, value) if isinstance(value, str) else value


def holds(value: Any, placeholder: str) -> bool:
    """Return whether a placeholder occurs in a value of JSON types."""
    if isinstance(value, Mapping):
        return any(holds(item, placeholder) for item in value.values())
    if isinstance(value, list | tuple):
        return any(holds(item, placeholder) for item in value)
    return isinstance(value, str) and placeholder in value


def takes_total_charge(value: Any) -> bool:
    """Return whether a recipe, or a part of one, has a place for the total charge of a frame.

    :param value: JSON types.
    """
    return holds(value, TOTAL_CHARGE) or holds(value, WHOLE_TOTAL_CHARGE)


@dataclass(frozen=True)
class PythonBinding:
    """How to make the object that computes energies and forces: import ``module`` and call ``attribute``."""

    module: str
    """Module that holds the class or function, e.g. ``'mace.calculators'``."""
    attribute: str
    """Its name there, e.g. ``'MACECalculator'``."""
    keyword_arguments: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments, JSON types and placeholders. A mapping with ``module``, ``attribute`` and
    ``keyword_arguments`` stands for what that call returns."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables that must be set before the import."""
    info: Mapping[str, Any] = field(default_factory=dict)
    """Entries of ``atoms.info`` the calculator reads; those with :data:`TOTAL_CHARGE` or :data:`WHOLE_TOTAL_CHARGE`
    are given only to a model that knows a charge. Lists become numpy arrays."""
    formats: tuple[str, ...] = (NATIVE,)
    """Formats of the model that can be loaded so."""
    is_fully_periodic: bool = False
    """Whether frames that are periodic along some cell vectors are computed as periodic along all of them: because the
    program knows nothing else, or because the model was trained so and would give other energies otherwise. Atoms must
    then be kept farther from their images than the cutoff radius."""
    modules: tuple[str, ...] = ()
    """Modules of this package that the call needs; a job ships them, so that the environment need not have it."""

    @property
    def can_change_precision(self) -> bool:
        """Whether a model can be run in another precision than it was trained in."""
        return holds(self.keyword_arguments, PRECISION)

    def recipe(
        self,
        model_file: str | None,
        device: str,
        precision: Precision,
        elements: Sequence[str] = (),
        knows_charge: bool = False,
    ) -> dict[str, Any]:
        """Return the JSON from which a driver makes the object.

        :param model_file: path of the model in the working directory; None if there is no file.
        :param device: ``'cpu'`` or ``'cuda'``.
        :param precision: precision of the arithmetic.
        :param elements: chemical symbols the model knows.
        :param knows_charge: whether the model takes the total charge of a frame.
        """
        values = {MODEL_PATH: model_file, DEVICE: device, PRECISION: precision.value, ELEMENTS: list(elements)}
        info = {key: value for key, value in self.info.items() if knows_charge or not takes_total_charge(value)}
        return {
            'module': self.module,
            'attribute': self.attribute,
            'keyword_arguments': filled(self.keyword_arguments, values),
            'environment': filled(self.environment, values),
            'info': filled(info, values),
            **({'is_fully_periodic': True} if self.is_fully_periodic else {}),
        }


@dataclass(frozen=True)
class AseBinding(PythonBinding):
    """How to make an ASE calculator of a model."""

    atomic_energies: str = ''
    """How the calculator gives the energies of single atoms, which sum up to that of the frame: ``'ase'`` for the
    property ``energies`` of ASE, or another key of ``ATOMIC_ENERGY_SOURCES`` of the driver; empty if it gives none."""


@dataclass(frozen=True)
class TorchSimBinding(PythonBinding):
    """How to make a model of torch-sim, which computes many frames at once."""


@dataclass(frozen=True)
class LammpsBinding:
    """How LAMMPS loads a model: by a pair style."""

    pair_style: str
    """Arguments of ``pair_style``, with placeholders."""
    pair_coeff: str
    """Arguments of ``pair_coeff``, with placeholders; :data:`ELEMENTS` or :data:`ATOMIC_NUMBERS` for one symbol or
    number per type of atom. A line for each command, e.g. for the parts of ``hybrid/overlay``."""
    commands: tuple[str, ...] = ()
    """Commands before the box is made, e.g. ``'atom_modify map yes'``."""
    charge_arguments: str = ''
    """Further arguments of ``pair_style`` for a model that knows a charge, with :data:`TOTAL_CHARGE`; empty if the pair
    style cannot be given one."""
    final_commands: tuple[str, ...] = ()
    """Commands after ``pair_coeff``, e.g. ``'kspace_style pppm 1e-6'``."""
    atom_style: str = 'atomic'
    """``'atomic'``, or ``'charge'`` for a pair style that reads the charges of the frame."""
    gpu_arguments: tuple[str, ...] = ()
    """Command-line arguments with which the executable runs on an accelerator, e.g. ``('-k', 'on', 'g', '1')``."""
    fixes_coulomb_cutoff: bool = False
    """Whether the pair style tells LAMMPS its own cutoff radius as that of charges, so that pairs of charges that are
    summed beside it must have the same."""
    packages: tuple[str, ...] = ()
    """Packages or plug-ins the executable must have, e.g. ``'ML-GRACE'``."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the run."""
    formats: tuple[str, ...] = (NATIVE,)
    """Formats of the model that can be loaded so."""

    can_change_precision = False
    is_fully_periodic = False
    modules: ClassVar[tuple[str, ...]] = ()

    def recipe(
        self,
        model_file: str | None,
        device: str,
        precision: Precision,
        elements: Sequence[str] = (),
        knows_charge: bool = False,
    ) -> dict[str, Any]:
        """Return the commands that load the model.

        :data:`ELEMENTS` and :data:`ATOMIC_NUMBERS` are left for the engine, which numbers the types, and so is
        :data:`TOTAL_CHARGE`, which belongs to a frame.

        :param model_file: path of the model in the working directory.
        :param device: ``'cpu'`` or ``'cuda'``.
        :param precision: precision of the arithmetic.
        :param elements: chemical symbols the model knows.
        :param knows_charge: whether the model takes the total charge of a frame.
        """
        values = {MODEL_PATH: model_file or '', DEVICE: device, PRECISION: precision.value}

        def fill(text: str) -> str:
            for placeholder, value in values.items():
                text = text.replace(placeholder, value)
            return text

        return {
            'pair_style': ' '.join(filter(None, [fill(self.pair_style), knows_charge * self.charge_arguments])),
            'pair_coeff': fill(self.pair_coeff),
            'commands': [fill(command) for command in self.commands],
            'final_commands': [fill(command) for command in self.final_commands],
            'atom_style': self.atom_style,
            'arguments': list(self.gpu_arguments) if device == 'cuda' else [],
            'packages': list(self.packages),
            'environment': filled(self.environment, values),
        }


EngineBinding = AseBinding | TorchSimBinding | LammpsBinding
"""What a program that uses models gets to know of an architecture."""
