"""Molecular dynamics with any engine and any potential it can load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec
from aiida.orm import ArrayData, Dict, FolderData, Int, Str

from aiida_edl.architectures.precision import Precision
from aiida_edl.calculations import exit_codes
from aiida_edl.calculations.base import EdlCalculation, validate_code_kind, validate_device, validate_precision
from aiida_edl.calculations.dynamics_checkpoint import (
    checksum_of_start,
    dynamics_identity,
    validate_dynamics_checkpoint,
)
from aiida_edl.calculations.jobs import JobFiles, folder_files, large_files
from aiida_edl.calculations.models import (
    LoadableModel,
    model_of_parameters,
    model_of_potential,
    validate_engine,
    validate_parameters,
    validate_potential,
    validate_vacuum,
    value_of,
)
from aiida_edl.calculations.monitors import validate_monitors
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.md_engines.base import MDEngine, MDJob, MDSettings, MDSettingsError
from aiida_edl.registry import ARCHITECTURES, MD_ENGINES, load_member
from aiida_edl.science.metal_charge import told_charge

RECIPE_BINDINGS = ('ase', 'torch_sim')
"""Kinds of binding for which ``model_parameters`` hold a recipe; other engines have parameters of their own."""
LAST_FRAME = -1
"""Index of the initial frame, if none is given."""


def validate_settings(value: Dict, _: Any) -> str | None:
    """Return one sentence if a setting is unknown, of a wrong type or out of range."""
    if value is None:
        return None
    try:
        MDSettings.from_dict(value.get_dict())
    except MDSettingsError as error:
        return str(error)
    return None


def validate_stored_every(value: Int | None, _: Any) -> str | None:
    """Return one sentence if no frame could be stored."""
    if value is not None and value.value < 1:
        return f'stored_every is {value.value}, it must be at least 1'
    return None


class MolecularDynamicsCalculation(EdlCalculation):
    """Run molecular dynamics to a target number of steps and read back frames and thermodynamic series."""

    PARSER_NAME = 'edl.molecular_dynamics'
    EXIT_CODES = (
        exit_codes.DEVICE_MISSING,
        exit_codes.OUTPUT_MISSING,
        exit_codes.OUTPUT_UNREADABLE,
        exit_codes.LOG_INCOMPLETE,
        exit_codes.OUT_OF_WALLTIME,
        exit_codes.OUT_OF_MEMORY,
        exit_codes.DEVICE_LOST,
        exit_codes.MD_EXPLODED,
    )

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        """Define ports."""
        super().define(spec)
        spec.input('structure', valid_type=DatasetData, help='Frames, one of which is the initial one.')
        spec.input(
            'frame_index',
            valid_type=Int,
            default=lambda: Int(LAST_FRAME),
            help='Initial frame; negative counts from the end.',
        )
        spec.input(
            'engine',
            valid_type=Str,
            validator=lambda value, _: validate_engine(value.value) if value is not None else None,
            help='Entry-point name of the MD engine.',
        )
        spec.input(
            'settings',
            valid_type=Dict,
            validator=validate_settings,
            help='Fields of `MDSettings`; the rest is default.',
        )
        spec.input(
            'stored_every',
            valid_type=Int,
            default=lambda: Int(1),
            validator=validate_stored_every,
            help='Which of the sampled frames are stored: each of so many; the others stay on the computer.',
        )
        spec.input('potential', valid_type=PotentialData, required=False, help='The potential, if it is a trained one.')
        spec.input(
            'model_parameters',
            valid_type=Dict,
            required=False,
            help='What else makes energies and forces: parameters of the reference model, or an ASE recipe.',
        )
        spec.input(
            'checkpoint',
            valid_type=FolderData,
            required=False,
            help='Checkpoint of an interrupted run with the same inputs, which goes on to the target.',
        )
        spec.input(
            'device', valid_type=Str, default=lambda: Str('cpu'), validator=validate_device, help='`cpu` or `cuda`.'
        )
        spec.input(
            'precision',
            valid_type=Str,
            required=False,
            validator=validate_precision,
            help='`float32` or `float64`; that of the training without it.',
        )
        spec.output(
            'trajectory',
            valid_type=DatasetData,
            required=False,
            help='Frames of this run with energies [eV], `step` and `time` [fs]; absent if there were no steps left.',
        )
        spec.output(
            'series',
            valid_type=ArrayData,
            required=False,
            help='step, time [fs], temperature [K], potential_energy, kinetic_energy and conserved_energy [eV].',
        )
        spec.output('md_summary', valid_type=Dict, help='How the run ended, steps done, cost, versions.')
        spec.output('checkpoint', valid_type=FolderData, required=False, help='Files from which it can go on.')

    @classmethod
    def validate(cls, inputs: Mapping[str, Any]) -> str | None:
        """Return one sentence if structure, engine, settings, model or code do not fit together."""
        engine: MDEngine = load_member(MD_ENGINES, inputs['engine'].value)
        settings = MDSettings.from_dict(inputs['settings'].get_dict())
        index, stored_every = inputs['frame_index'].value, inputs['stored_every'].value
        if stored_every > settings.stored_frames:
            return (
                f'stored_every is {stored_every}, but {settings.stored_frames} frames are sampled: none would be stored'
            )
        message = (
            engine.refuse(settings)
            or validate_frame(inputs['structure'], index, settings, 'the structure')
            or validate_model(inputs, engine, inputs['structure'])
            or validate_film(inputs, engine, inputs['structure'], index, 'the structure')
            or validate_engine_code(inputs, engine)
            or validate_monitors(inputs)
            or validate_dynamics_checkpoint(inputs, run_identity)
        )
        if message is not None:
            return message
        try:
            engine.files(_md_job(inputs, None)[0])
        except ValueError as error:  # what the engine or its model says of this very frame
            return str(error)
        return None

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write what the engine asks for."""
        engine: MDEngine = load_member(MD_ENGINES, self.inputs.engine.value)
        job, model = _md_job(self.inputs, self.program_walltime_seconds)
        files = {**model.files, **engine.files(job)}
        staged = JobFiles(
            files=files,
            node_files=(*model.node_files, *(folder_files(self.inputs.checkpoint) if job.is_restart else ())),
            derived=large_files(files),
            retrieval=engine.retrieve(job),
        )
        commands = engine.commands(job)
        if engine.code_kind == 'python':
            return self.stage_python(
                folder, staged, commands, tuple(dict.fromkeys((*model.packages, *engine.packages)))
            )
        (command,) = commands
        return self.stage_executable(folder, staged, command)


def run_identity(inputs: Any) -> dict[str, Any]:
    """Return what a checkpoint and the run that goes on from it have in common.

    :param inputs: inputs of :class:`MolecularDynamicsCalculation`, or those of its node.
    """
    frame = inputs['structure'].frame(inputs['frame_index'].value)
    return {**dynamics_identity(inputs), 'structure': checksum_of_start(frame, inputs)}


def validate_frame(structure: DatasetData, index: int, settings: MDSettings, name: str) -> str | None:
    """Return one sentence if there is no such frame, or a fixed element does not occur in it.

    :param structure: frames.
    :param index: index of the initial one; negative counts from the end.
    :param settings: what to run.
    :param name: what the frames are called in the message.
    """
    if not -structure.n_frames <= index < structure.n_frames:
        return f'frame_index is {index}, {name} has {structure.n_frames} frames'
    if missing := [symbol for symbol in settings.fixed_elements if symbol not in structure.elements]:
        return f'fixed_elements names {", ".join(missing)}, {name} holds {", ".join(structure.elements)}'
    return None


def validate_model(inputs: Mapping[str, Any], engine: MDEngine, structure: DatasetData) -> str | None:
    """Return one sentence unless there is exactly one model, which the engine can load and which knows all elements.

    :param inputs: inputs with ``potential`` or ``model_parameters``, and ``precision``.
    :param engine: the engine.
    :param structure: frames to run.
    """
    potential, parameters = inputs.get('potential'), inputs.get('model_parameters')
    if (potential is None) == (parameters is None):
        given = 'neither' if potential is None else 'both'
        return f'give either a potential or model_parameters to engine {engine.name}; given were {given}'
    if potential is not None and engine.binding_kind is None:
        return f'engine {engine.name} has a model of its own and loads no potential; give model_parameters instead'
    if potential is not None:
        return validate_potential(potential, str(engine.binding_kind), structure, value_of(inputs.get('precision')))
    if engine.binding_kind in RECIPE_BINDINGS and parameters is not None:
        return validate_parameters(parameters.get_dict())
    return None


def validate_film(
    inputs: Mapping[str, Any], engine: MDEngine, structure: DatasetData, index: int, name: str
) -> str | None:
    """Return one sentence if the initial frame is a film whose images the potential would see across the vacuum.

    :param inputs: accepted inputs with ``potential`` or ``model_parameters``.
    :param engine: the engine.
    :param structure: frames.
    :param index: index of the initial one.
    :param name: what the frames are called in the message.
    """
    potential = inputs.get('potential')
    if potential is None:
        return None
    return validate_vacuum(potential, str(engine.binding_kind), structure, [index], f' of {name}')


def validate_engine_code(inputs: Mapping[str, Any], engine: MDEngine) -> str | None:
    """Return one sentence if the code is plainly not what the engine, or the architecture in it, needs.

    :param inputs: inputs with ``code`` and perhaps ``potential``.
    :param engine: the engine.
    """
    potential = inputs.get('potential')
    member, kind = engine, 'engine'
    if potential is not None and engine.code_kind == 'python':
        member, kind = load_member(ARCHITECTURES, potential.architecture), 'architecture'
    return validate_code_kind(inputs['code'], engine.code_kind, f"{kind} '{member.name}'", member.install_command)


def _md_job(inputs: Any, walltime_seconds: float | None) -> tuple[MDJob, LoadableModel]:
    """Return the job that the inputs describe, and its model.

    :param inputs: inputs of :class:`MolecularDynamicsCalculation`.
    :param walltime_seconds: time after which the run should stop by itself [s].
    """
    engine: MDEngine = load_member(MD_ENGINES, inputs['engine'].value)
    frame = inputs['structure'].frame(inputs['frame_index'].value)
    model = loadable_model(inputs, engine)
    job = MDJob(
        frame=frame,
        settings=MDSettings.from_dict(inputs['settings'].get_dict()),
        model_recipe=model.recipe,
        atomic_energies=model.energy_shifts,
        walltime_seconds=walltime_seconds,
        is_restart=inputs.get('checkpoint') is not None,
        total_charge=None if model.total_charge_column is None else told_charge(frame, model.total_charge_column),
        device=inputs['device'].value,
    )
    return job, model


def loadable_model(inputs: Any, engine: MDEngine) -> LoadableModel:
    """Return the model of a run: a potential, a recipe, or parameters of a model of the engine's own.

    :param inputs: inputs with ``potential`` or ``model_parameters``, ``device`` and ``precision``.
    :param engine: the engine.
    """
    if inputs.get('potential') is not None:
        precision = value_of(inputs.get('precision'))
        return model_of_potential(
            inputs['potential'],
            str(engine.binding_kind),
            inputs['device'].value,
            None if precision is None else Precision(precision),
        )
    parameters = inputs['model_parameters'].get_dict()
    if engine.binding_kind in RECIPE_BINDINGS:
        return model_of_parameters(parameters)
    return LoadableModel(recipe=parameters, level_of_theory='', packages=(), energy_shifts={})
