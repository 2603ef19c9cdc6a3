"""What can be known of an assessment before the training: whether its potential can be tested, converted and run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import AbstractCode

from aiida_edl.architectures.base import Architecture
from aiida_edl.architectures.bindings import NATIVE
from aiida_edl.architectures.conversion import ConversionError
from aiida_edl.calculations.base import validate_code_kind
from aiida_edl.calculations.evaluation import BINDING
from aiida_edl.calculations.long_range_checks import refuse_long_range, validate_charges
from aiida_edl.calculations.models import refuse_thin_vacuum, validate_vacuum
from aiida_edl.calculations.molecular_dynamics import validate_frame
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.md_engines.base import MDEngine, MDSettings
from aiida_edl.registry import ARCHITECTURES, MD_ENGINES, load_member
from aiida_edl.science.electrostatics.long_range_model import LongRangeModel
from aiida_edl.science.metal_charge import tells_charge
from aiida_edl.workflows.training import is_subtracted, validate_parts


def validate_assessment(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Return one sentence if the potential could be trained, but not be tested or run.

    :param inputs: inputs of :class:`~aiida_edl.workflows.potential_assessment.PotentialAssessmentWorkChain`.
    """
    training = inputs.get('training') or {}
    if not {'architecture', 'split', 'elements', 'code'} <= set(training):
        return None
    if not len(training['split'].get_array('test')):
        return "the array 'test' of the split is empty; keep some frames apart to measure the errors"
    architecture: Architecture = load_member(ARCHITECTURES, training['architecture'].value)
    message = _validate_runs(inputs, architecture) or _validate_test_frames(inputs, architecture)
    return message or validate_electrostatics(inputs, architecture)


def validate_electrostatics(inputs: Mapping[str, Any], architecture: Architecture) -> str | None:
    """Return one sentence if electrostatics cannot be learnt, or cannot be added where the potential is tested or run.

    :param inputs: ``training``, and as far as they are given ``long_range``, ``structures``, ``engine`` and
        ``md_settings``.
    :param architecture: what is trained.
    """
    if message := validate_parts(inputs):
        return message
    long_range = inputs.get('long_range')
    if not is_subtracted(long_range):
        return None
    model = LongRangeModel.from_dict(long_range.get_dict())
    kinds = {BINDING}
    if inputs.get('md_settings') is not None and inputs.get('engine') is not None:
        kinds.add(str(load_member(MD_ENGINES, inputs['engine'].value).binding_kind))
    for kind in sorted(kinds):
        cutoffs = (_cutoff_radius(inputs, architecture), model.settings.cutoff_radius)
        if message := refuse_long_range(kind, architecture.name, *cutoffs):
            return message
        for label, structure in sorted((inputs.get('structures') or {}).items()):
            if message := validate_charges(model, structure, for_lammps=kind == 'lammps'):
                return f"structure '{label}': {message}"
    return None


def validate_given_assessment(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Return one sentence if a potential that was trained elsewhere could not be run as it is asked for.

    Whether it can be tested is said by the ports of its evaluation.

    :param inputs: inputs of
        :class:`~aiida_edl.workflows.given_potential_assessment.GivenPotentialAssessmentWorkChain`.
    """
    tested = inputs.get('evaluation') or {}
    if not {'potential', 'code'} <= set(tested) or inputs.get('md_settings') is None or inputs.get('engine') is None:
        return None
    potential = tested['potential']
    architecture: Architecture = load_member(ARCHITECTURES, potential.architecture)
    engine: MDEngine = load_member(MD_ENGINES, inputs['engine'].value)
    settings = MDSettings.from_dict(inputs['md_settings'].get_dict())
    if potential.format != NATIVE:
        return (
            f"the potential is in the format '{potential.format}'; give it as its trainer exports it, it is converted "
            'where the engine loads another format'
        )
    message = refuse_engine(architecture, engine, settings, format_of(inputs)) or _validate_codes(inputs, architecture)
    message = message or _validate_code_of_runs(inputs, tested['code'], architecture, engine)
    index = -1 if inputs.get('frame_index') is None else inputs['frame_index'].value
    for label, structure in sorted((inputs.get('structures') or {}).items()):
        name, kind = f"structure '{label}'", str(engine.binding_kind)
        message = message or validate_frame(structure, index, settings, name)
        message = message or _validate_given(potential, structure, name)
        suffix = f' of {name}'
        message = message or validate_vacuum(potential, kind, structure, [index], suffix=suffix)
    return message


def _validate_given(potential: PotentialData, structure: DatasetData, name: str) -> str | None:
    """Return one sentence if a potential does not know an element of a structure, or is not told its charge."""
    if missing := [symbol for symbol in structure.elements if symbol not in potential.elements]:
        return f'{name} holds {", ".join(missing)}, the potential knows {", ".join(potential.elements)}'
    column = potential.total_charge_column
    if column is not None and not tells_charge(structure.columns(), column):
        return f"the potential takes the column '{column}' as total charge, {name} has no such column; add it"
    return None


def _validate_runs(inputs: Mapping[str, Any], architecture: Architecture) -> str | None:
    """Return one sentence if the potential could not be run as it is asked for."""
    if inputs.get('md_settings') is None or inputs.get('engine') is None:
        return None
    engine: MDEngine = load_member(MD_ENGINES, inputs['engine'].value)
    settings = MDSettings.from_dict(inputs['md_settings'].get_dict())
    message = refuse_engine(architecture, engine, settings, format_of(inputs)) or _validate_codes(inputs, architecture)
    message = message or _validate_run_code(inputs, architecture, engine)
    for label, structure in sorted((inputs.get('structures') or {}).items()):
        message = message or _validate_structure(inputs, architecture, settings, label, structure)
        message = message or _validate_film(inputs, architecture, engine, label, structure)
    return message


def format_of(inputs: Mapping[str, Any]) -> str:
    """Return the format that is asked for, an empty string if none is."""
    wished = inputs.get('model_format')
    return '' if wished is None else str(wished.value)


def refuse_engine(
    architecture: Architecture, engine: MDEngine, settings: MDSettings, wished_format: str = ''
) -> str | None:
    """Return one sentence if an engine cannot run a potential of an architecture with these settings.

    :param architecture: what will be trained.
    :param engine: what shall run it.
    :param settings: how.
    :param wished_format: format in which the engine shall load it; empty to leave the choice.
    """
    kind = engine.binding_kind
    if kind is None or kind not in architecture.bindings:
        return (
            f"MD engine '{engine.name}' cannot load {architecture.name}; kinds of binding it has: "
            f'{", ".join(sorted(architecture.bindings)) or "none"}'
        )
    try:
        architecture.formats_to_run(kind, wished_format)
    except ConversionError as error:
        return str(error)
    return engine.refuse(settings)


def conversion_environments(architecture: Architecture, engine: MDEngine, wished_format: str = '') -> tuple[str, ...]:
    """Return the environments, besides its own, in which a model is converted before an engine loads it.

    :param architecture: what is trained.
    :param engine: what runs it, with a binding of the architecture.
    :param wished_format: format in which the engine shall load it; empty to leave the choice.
    """
    steps = architecture.formats_to_run(str(engine.binding_kind), wished_format)
    environments = dict.fromkeys(architecture.conversions[step].environment for step in steps)
    return tuple(name for name in environments if name != architecture.environment)


def _validate_codes(inputs: Mapping[str, Any], architecture: Architecture) -> str | None:
    """Return one sentence if an environment in which the model is to be converted has no code."""
    engine: MDEngine = load_member(MD_ENGINES, inputs['engine'].value)
    given: Mapping[str, AbstractCode] = inputs.get('conversion_codes') or {}
    for name in conversion_environments(architecture, engine, format_of(inputs)):
        if name not in given:
            return (
                f"engine '{engine.name}' loads {architecture.name} after a conversion in the environment '{name}', but "
                f'conversion_codes holds {", ".join(sorted(given)) or "none"}; get its Python interpreter by: '
                f'aiida-edl environment create {name}'
            )
    return None


def _validate_run_code(inputs: Mapping[str, Any], architecture: Architecture, engine: MDEngine) -> str | None:
    """Return one sentence if the code of the runs is plainly of another kind than the engine needs."""
    return _validate_code_of_runs(inputs, inputs['training']['code'], architecture, engine)


def _validate_code_of_runs(
    inputs: Mapping[str, Any], own_code: AbstractCode, architecture: Architecture, engine: MDEngine
) -> str | None:
    """Return one sentence if the code of the runs, that of the tests without it, is of another kind."""
    code = own_code if inputs.get('md_code') is None else inputs['md_code']
    member, kind = (architecture, 'architecture') if engine.code_kind == 'python' else (engine, 'engine')
    return validate_code_kind(code, engine.code_kind, f"{kind} '{member.name}'", member.install_command)


def _validate_structure(
    inputs: Mapping[str, Any], architecture: Architecture, settings: MDSettings, label: str, structure: DatasetData
) -> str | None:
    """Return one sentence if the potential cannot start from a structure."""
    training, name = inputs['training'], f"structure '{label}'"
    elements = training['elements'].get_list()
    if missing := [symbol for symbol in structure.elements if symbol not in elements]:
        return f'{name} holds {", ".join(missing)}, the potential will know {", ".join(elements)}; add them to elements'
    given = training.get('hyperparameters')
    column = architecture.total_charge_column(architecture.make_hyperparameters(given.get_dict() if given else {}))
    if column is not None and not tells_charge(structure.columns(), column):
        return (
            f"the potential will take the column '{column}' as total charge, {name} has the columns "
            f'{", ".join(sorted(structure.columns())) or "none"}; add it'
        )
    index = inputs.get('frame_index')
    return validate_frame(structure, -1 if index is None else index.value, settings, name)


def _cutoff_radius(inputs: Mapping[str, Any], architecture: Architecture) -> float:
    """Return the cutoff radius that the potential will have [Å]."""
    given = inputs['training'].get('hyperparameters')
    return architecture.cutoff_radius(architecture.make_hyperparameters(given.get_dict() if given else {}))


def _validate_test_frames(inputs: Mapping[str, Any], architecture: Architecture) -> str | None:
    """Return one sentence if a test frame is a film whose images the potential would see across the vacuum."""
    dataset, test = inputs['training'].get('dataset'), inputs['training']['split'].get_array('test')
    if dataset is None or BINDING not in architecture.bindings:
        return None
    return refuse_thin_vacuum(architecture, _cutoff_radius(inputs, architecture), BINDING, dataset, test.tolist())


def _validate_film(
    inputs: Mapping[str, Any], architecture: Architecture, engine: MDEngine, label: str, structure: DatasetData
) -> str | None:
    """Return one sentence if a structure is a film whose images the potential would see across the vacuum."""
    index, kind = inputs.get('frame_index'), str(engine.binding_kind)
    indices, suffix = [-1 if index is None else index.value], f" of structure '{label}'"
    cutoff_radius = _cutoff_radius(inputs, architecture)
    return refuse_thin_vacuum(architecture, cutoff_radius, kind, structure, indices, suffix=suffix)
