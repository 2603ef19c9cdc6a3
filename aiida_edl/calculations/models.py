"""How a calculation gets an ASE calculator: from a potential of any architecture, or from a recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiida.orm import AbstractCode

from aiida_edl.architectures.base import Architecture, Precision
from aiida_edl.calculations.base import validate_code_kind
from aiida_edl.calculations.jobs import NodeFile, single_file
from aiida_edl.data.potential import PotentialData
from aiida_edl.registry import (
    ARCHITECTURES,
    MD_ENGINES,
    UnknownNameError,
    load_member,
    registered_names,
    unknown_name_message,
)

RECIPE_KEYS = ('module', 'attribute', 'keyword_arguments')
"""What a recipe must say."""
OPTIONAL_RECIPE_KEYS = ('environment',)
"""What it may say."""
PARAMETER_KEYS = ('recipe', 'level_of_theory', 'pbc', 'packages', 'energy_shifts')
"""Keys of ``model_parameters`` for an ASE calculator."""


@dataclass(frozen=True)
class AseModel:
    """An ASE calculator that a driver can make on the compute node."""

    recipe: Mapping[str, Any]
    """What the drivers read, see :meth:`aiida_edl.architectures.base.AseBinding.recipe`."""
    level_of_theory: str
    """What makes the energies and forces, in words."""
    packages: Sequence[str]
    """Distributions whose versions are recorded."""
    energy_shifts: Mapping[str, float]
    """Energy to add for each atom of an element [eV]."""
    node_files: Sequence[NodeFile] = ()
    """Model file, if there is one."""


def model_of_potential(potential: PotentialData, engine: str, device: str) -> AseModel:
    """Return how an MD engine, or for ``'ase'`` any driver, loads a potential.

    :param potential: the potential.
    :param engine: entry-point name of the engine.
    :param device: ``'cpu'`` or ``'cuda'``.
    """
    architecture: Architecture = load_member(ARCHITECTURES, potential.architecture)
    binding = architecture.bindings[engine]
    return AseModel(
        recipe=binding.recipe(architecture.model_file_name, device, Precision(potential.precision)),
        level_of_theory=level_of_theory_of_potential(potential),
        packages=architecture.packages,
        energy_shifts=potential.energy_shifts,
        node_files=(single_file(potential, architecture.model_file_name),),
    )


def level_of_theory_of_potential(potential: PotentialData) -> str:
    """Return in words what the energies of a potential are: it, and what it was trained on."""
    labels = ', '.join(potential.base.attributes.get(potential.KEY_TRAINING_CHARGE_LABELS))
    reference = potential.base.attributes.get(potential.KEY_LEVEL_OF_THEORY)
    return f'{potential.architecture} potential trained on charge states {labels} of {reference}'


def model_of_parameters(parameters: Mapping[str, Any]) -> AseModel:
    """Return the calculator that ``model_parameters`` describes.

    :param parameters: keys :data:`PARAMETER_KEYS`.
    """
    recipe = {'environment': {}, **parameters['recipe']}
    return AseModel(
        recipe=recipe,
        level_of_theory=parameters['level_of_theory'],
        packages=tuple(dict.fromkeys((*parameters.get('packages', ()), 'ase', 'numpy'))),
        energy_shifts=parameters.get('energy_shifts', {}),
    )


def validate_parameters(parameters: Mapping[str, Any]) -> str | None:
    """Return one sentence if ``model_parameters`` do not describe an ASE calculator.

    :param parameters: keys :data:`PARAMETER_KEYS`; ``recipe`` and ``level_of_theory`` are needed.
    """
    if message := _unknown_key(parameters, PARAMETER_KEYS, 'key of model_parameters'):
        return message
    recipe = parameters.get('recipe')
    if not isinstance(recipe, Mapping):
        return f'model_parameters need a recipe with {", ".join(RECIPE_KEYS)}, given were {sorted(parameters)}'
    if message := _unknown_key(recipe, (*RECIPE_KEYS, *OPTIONAL_RECIPE_KEYS), 'key of the recipe'):
        return message
    message = None
    if missing := [key for key in RECIPE_KEYS if key not in recipe]:
        message = f'the recipe lacks {", ".join(missing)}; it needs {", ".join(RECIPE_KEYS)}'
    elif not parameters.get('level_of_theory'):
        message = 'model_parameters need a level_of_theory in words, given was none'
    elif [type(value) for value in parameters.get('pbc', [True, True, True])] != [bool, bool, bool]:
        message = f'pbc is {parameters["pbc"]}, it must be three booleans'
    return message


def _unknown_key(values: Mapping[str, Any], known: Sequence[str], kind: str) -> str | None:
    """Return one sentence on the first key that is not known."""
    return next((unknown_name_message(kind, key, known) for key in values if key not in known), None)


def validate_architecture(name: str) -> str | None:
    """Return one sentence if no such architecture is registered."""
    return _validate_member(ARCHITECTURES, name)


def validate_engine(name: str) -> str | None:
    """Return one sentence if no such MD engine is registered."""
    return _validate_member(MD_ENGINES, name)


def _validate_member(group: str, name: str) -> str | None:
    try:
        load_member(group, name)
    except UnknownNameError as error:
        return str(error)
    return None


def validate_potential(potential: PotentialData, engine: str, elements: Iterable[str]) -> str | None:
    """Return one sentence if an engine cannot load a potential, or the potential does not know an element.

    :param potential: the potential.
    :param engine: entry-point name of the engine.
    :param elements: chemical symbols of the frames.
    """
    if message := validate_architecture(potential.architecture):
        return message
    if engine not in load_member(ARCHITECTURES, potential.architecture).bindings:
        return (
            f"engine '{engine}' cannot load architecture '{potential.architecture}'; pairs that exist: {_known_pairs()}"
        )
    if missing := [element for element in elements if element not in potential.elements]:
        return (
            f'the frames hold {", ".join(missing)}, the potential knows {", ".join(potential.elements)}; '
            'use a potential trained for all elements'
        )
    return None


def validate_architecture_code(code: AbstractCode, architecture: str) -> str | None:
    """Return one sentence if a code is plainly not the Python interpreter that an architecture needs.

    :param code: the code.
    :param architecture: entry-point name of a registered architecture.
    """
    member = load_member(ARCHITECTURES, architecture)
    return validate_code_kind(code, 'python', f"architecture '{member.name}'", member.install_command)


def _known_pairs() -> str:
    """Return which engine loads which architectures, in words."""
    pairs: dict[str, list[str]] = {}
    for name in registered_names(ARCHITECTURES):
        for engine in load_member(ARCHITECTURES, name).bindings:
            pairs.setdefault(engine, []).append(name)
    return '; '.join(f'{engine} with {", ".join(names)}' for engine, names in sorted(pairs.items())) or 'none'
