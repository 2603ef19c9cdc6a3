"""How a calculation loads a model: a potential of any architecture, or an ASE calculator by a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from aiida.orm import AbstractCode, Str
from numpy.typing import NDArray

from aiida_edl.architectures.base import Architecture
from aiida_edl.architectures.bindings import EngineBinding
from aiida_edl.architectures.precision import Precision
from aiida_edl.calculations.base import validate_code_kind
from aiida_edl.calculations.jobs import NodeFile, folder_files
from aiida_edl.calculations.long_range_checks import validate_long_range_part
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.md_engines.base import lost_charge
from aiida_edl.md_engines.long_range import MODULES as LONG_RANGE_MODULES
from aiida_edl.md_engines.long_range import PACKAGES as LONG_RANGE_PACKAGES
from aiida_edl.md_engines.long_range import composed_recipe
from aiida_edl.registry import (
    ARCHITECTURES,
    MD_ENGINES,
    UnknownNameError,
    load_member,
    registered_names,
    unknown_name_message,
)
from aiida_edl.science.electrostatics.long_range_model import LongRangeModel
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.metal_charge import ToldChargeError, tells_charge, told_charges
from aiida_edl.science.vacuum import thin_vacuum
from aiida_edl.shipped_modules import shipped_modules

RECIPE_KEYS = ('module', 'attribute', 'keyword_arguments')
"""What a recipe must say."""
OPTIONAL_RECIPE_KEYS = ('environment', 'info')
"""What it may say."""
PARAMETER_KEYS = ('recipe', 'level_of_theory', 'pbc', 'packages', 'energy_shifts')
"""Keys of ``model_parameters`` for an ASE calculator."""


@dataclass(frozen=True)
class LoadableModel:
    """A model that a program can load on the compute node."""

    recipe: Mapping[str, Any]
    """What the program is told, see :meth:`aiida_edl.architectures.bindings.PythonBinding.recipe`."""
    level_of_theory: str
    """What makes the energies and forces, in words."""
    packages: Sequence[str]
    """Distributions whose versions are recorded."""
    energy_shifts: Mapping[str, float]
    """Energy to add for each atom of an element [eV]."""
    node_files: Sequence[NodeFile] = ()
    """Files of the model, if there are any."""
    total_charge_column: str | None = None
    """Column of the frames that the model takes as total charge [e]; None if it knows no charge."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Modules that its recipe imports and the environment need not have, by path."""


def model_of_potential(
    potential: PotentialData, kind: str, device: str, precision: Precision | None = None
) -> LoadableModel:
    """Return how a program loads a potential.

    :param potential: the potential.
    :param kind: kind of binding, e.g. ``'ase'``.
    :param device: ``'cpu'`` or ``'cuda'``.
    :param precision: precision of the arithmetic; that of the training if None.
    """
    architecture: Architecture = load_member(ARCHITECTURES, potential.architecture)
    binding = architecture.bindings[kind]
    recipe = binding.recipe(
        model_path(potential),
        device,
        precision or Precision(potential.precision),
        potential.elements,
        knows_charge=potential.total_charge_column is not None,
    )
    if binding.is_fully_periodic:
        recipe['cutoff_radius'] = potential.cutoff_radius
    model = LoadableModel(
        recipe=recipe,
        level_of_theory=level_of_theory_of_potential(potential),
        packages=architecture.packages,
        energy_shifts=potential.energy_shifts,
        node_files=tuple(folder_files(potential)),
        total_charge_column=potential.total_charge_column,
        files=shipped_modules(binding.modules),
    )
    return model if potential.long_range is None else with_long_range(model, kind, potential.long_range)


def with_long_range(model: LoadableModel, kind: str, long_range: Mapping[str, Any]) -> LoadableModel:
    """Return how a program loads a short-range model and adds the electrostatics of fixed charges.

    :param model: the short-range model.
    :param kind: kind of binding, e.g. ``'ase'``.
    :param long_range: fields of a long-range model.
    :raises aiida_edl.md_engines.base.MDSettingsError: if programs of this kind cannot add both.
    """
    recipe = composed_recipe(kind, model.recipe, LongRangeModel.from_dict(long_range))
    if kind != 'ase':
        return replace(model, recipe=recipe)
    packages = tuple(dict.fromkeys((*model.packages, *LONG_RANGE_PACKAGES)))
    files = {**model.files, **shipped_modules(LONG_RANGE_MODULES)}
    return replace(model, recipe=recipe, packages=packages, files=files)


def model_path(potential: PotentialData) -> str:
    """Return the file of a potential, or the folder if it has several files, relative to the working directory."""
    (name,) = {path.split('/')[0] for path in potential.model_files}
    return name


def total_charges(model: LoadableModel, frames: FrameSet) -> NDArray[np.float64] | None:
    """Return the total charge of each frame [e] as the model wants it, shape ``(n_frames,)``; None if it wants none.

    :param model: the model.
    :param frames: frames with the column the model asks for.
    """
    if model.total_charge_column is None:
        return None
    return told_charges(frames, model.total_charge_column)


def value_of(node: Str | None) -> str | None:
    """Return the value of an optional input, None without it."""
    return None if node is None else str(node.value)


def level_of_theory_of_potential(potential: PotentialData) -> str:
    """Return in words what the energies of a potential are: it, and what it was trained on."""
    labels = ', '.join(potential.base.attributes.get(potential.KEY_TRAINING_CHARGE_LABELS))
    charge_states = f'charge states {labels} of ' if labels else ''
    return f'{potential.architecture} potential trained on {charge_states}{potential.level_of_theory}'


def model_of_parameters(parameters: Mapping[str, Any]) -> LoadableModel:
    """Return the calculator that ``model_parameters`` describes.

    :param parameters: keys :data:`PARAMETER_KEYS`.
    """
    recipe = {'environment': {}, 'info': {}, **parameters['recipe']}
    return LoadableModel(
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


def validate_potential(
    potential: PotentialData, kind: str, dataset: DatasetData, precision: str | None = None
) -> str | None:
    """Return one sentence if a potential cannot be loaded, or not be used for frames, else None.

    :param potential: the potential.
    :param kind: kind of binding, e.g. ``'ase'``.
    :param dataset: the frames.
    :param precision: precision of the arithmetic; that of the training if None.
    """
    if message := validate_architecture(potential.architecture):
        return message
    bindings = load_member(ARCHITECTURES, potential.architecture).bindings
    if kind not in bindings:
        return (
            f"there is no binding '{kind}' of architecture '{potential.architecture}'; "
            f'pairs that exist: {_known_pairs()}'
        )
    message = _validate_binding(potential, kind, bindings[kind], precision) or _validate_frames(potential, dataset)
    message = message or validate_long_range_part(potential, kind, dataset)
    if message is None and potential.total_charge_column is not None:
        message = lost_charge(kind, model_of_potential(potential, kind, 'cpu').recipe)
    return message


def _validate_binding(potential: PotentialData, kind: str, binding: EngineBinding, precision: str | None) -> str | None:
    """Return one sentence if the format or the precision does not suit a binding."""
    if potential.format not in binding.formats:
        return (
            f"the potential is in the format '{potential.format}', {kind} loads {potential.architecture} in "
            f'{", ".join(binding.formats)}; convert it first'
        )
    if precision not in (None, potential.precision) and not binding.can_change_precision:
        return (
            f"precision is '{precision}', but {kind} runs {potential.architecture} in the precision of its training, "
            f"'{potential.precision}'; leave precision out or train anew"
        )
    return None


def _validate_frames(potential: PotentialData, dataset: DatasetData) -> str | None:
    """Return one sentence if a potential does not know an element of the frames, or they lack the charge it needs."""
    if missing := [element for element in dataset.elements if element not in potential.elements]:
        return (
            f'the frames hold {", ".join(missing)}, the potential knows {", ".join(potential.elements)}; '
            'use a potential trained for all elements'
        )
    column = potential.total_charge_column
    if column is not None and not tells_charge(dataset.columns(), column):
        return (
            f"the potential takes the column '{column}' as total charge, the frames have the columns "
            f'{", ".join(sorted(dataset.columns())) or "none"}; add it'
        )
    if column is not None:
        try:
            told_charges(dataset.frames(), column)
        except ToldChargeError as error:
            return str(error)
    return None


def validate_vacuum(
    potential: PotentialData, kind: str, dataset: DatasetData, indices: Sequence[int], suffix: str = ''
) -> str | None:
    """Return one sentence if atoms of a film would feel their images across its vacuum, else None.

    :param potential: the potential; ``kind`` to ``suffix`` are those of :func:`refuse_thin_vacuum`.
    """
    architecture: Architecture = load_member(ARCHITECTURES, potential.architecture)
    return refuse_thin_vacuum(architecture, potential.cutoff_radius, kind, dataset, indices, suffix=suffix)


def refuse_thin_vacuum(
    architecture: Architecture,
    cutoff_radius: float,
    kind: str,
    dataset: DatasetData,
    indices: Sequence[int],
    *,
    suffix: str = '',
) -> str | None:
    """Return one sentence if a model that takes films as periodic would see images across a vacuum, else None.

    One cutoff radius is enough however many layers pass messages: there is no neighbour across the gap to pass them on.

    :param architecture: the architecture.
    :param cutoff_radius: cutoff radius of one layer [Å].
    :param kind: kind of binding, e.g. ``'ase'``; the architecture has it.
    :param dataset: frames.
    :param indices: indices of those that are computed.
    :param suffix: what follows the index of a frame in the message.
    """
    if not architecture.bindings[kind].is_fully_periodic:
        return None
    if len(indices) == 1:
        frames = FrameSet.from_frames([dataset.frame(int(indices[0]))])
    else:
        frames = dataset.frames().select(np.asarray(indices))
    if (thin := thin_vacuum(frames, cutoff_radius)) is None:
        return None
    return (
        f'{kind} computes films by {architecture.name} as periodic along all cell vectors, but frame '
        f'{indices[thin.frame]}{suffix} has {thin}'
    )


def validate_architecture_code(code: AbstractCode, architecture: str) -> str | None:
    """Return one sentence if a code is plainly not the Python interpreter that an architecture needs.

    :param code: the code.
    :param architecture: entry-point name of a registered architecture.
    """
    member = load_member(ARCHITECTURES, architecture)
    return validate_code_kind(code, 'python', f"architecture '{member.name}'", member.install_command)


def _known_pairs() -> str:
    """Return which kind of binding exists for which architectures, in words."""
    pairs: dict[str, list[str]] = {}
    for name in registered_names(ARCHITECTURES):
        for kind in load_member(ARCHITECTURES, name).bindings:
            pairs.setdefault(kind, []).append(name)
    return '; '.join(f'{kind} with {", ".join(names)}' for kind, names in sorted(pairs.items())) or 'none'
