"""Energies and forces of a potential for frames of a dataset, by the one driver that serves all architectures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec
from aiida.orm import ArrayData, Bool, Dict, FolderData, Str

from aiida_edl.architectures.base import Command, Retrieval
from aiida_edl.architectures.precision import Precision
from aiida_edl.calculations import exit_codes
from aiida_edl.calculations.base import EdlCalculation, validate_code_kind, validate_device, validate_precision
from aiida_edl.calculations.jobs import JobFiles, driver_source, folder_files, large_files, to_json_bytes
from aiida_edl.calculations.models import (
    LoadableModel,
    model_of_potential,
    total_charges,
    validate_architecture_code,
    validate_engine,
    validate_potential,
    validate_vacuum,
    value_of,
)
from aiida_edl.calculations.training import SUBSETS, validate_split
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.md_engines.single_points import SinglePointEngine, SinglePointJob
from aiida_edl.registry import ARCHITECTURES, MD_ENGINES, load_member, registered_names, unknown_name_message
from aiida_edl.science.frames import FrameSet

DRIVER = 'evaluate_model.py'
INPUT = 'evaluate.json'
FRAMES = 'frames.npz'
PREDICTIONS = 'predictions.npz'
PARTIAL = 'predictions_partial.npz'
FAILURES = 'failures.json'
FRAMES_DONE = 'frames_done'
"""Attribute of a checkpoint: frames that were computed, or failed."""
TOTAL_CHARGE = 'total_charge'
"""Column by which the driver is told the total charge of each frame [e]."""
SUMMARY = 'evaluation.json'
STDOUT = 'evaluate.out'
COMMANDS = (Command(arguments=(DRIVER, INPUT), stdout=STDOUT),)
BINDING = 'ase'
"""Kind of binding by which the driver loads models."""
ENGINE = 'ase'
"""Engine whose calculators the driver asks; other engines have programs of their own."""


def evaluation_files(
    frames: FrameSet,
    model: LoadableModel,
    walltime_seconds: float | None,
    checkpoint: FolderData | None,
    atomic_energies: str = '',
) -> JobFiles:
    """Return the files of a job that computes energies and forces of frames.

    :param frames: the frames; labels they carry are left out.
    :param model: the calculator.
    :param walltime_seconds: time after which the driver stops by itself [s].
    :param checkpoint: results of an earlier run of the same job.
    :param atomic_energies: how the calculator gives energies of single atoms; empty if they are not asked for.
    """
    charges = total_charges(model, frames)
    columns = {} if charges is None else {TOTAL_CHARGE: charges}
    unlabelled = replace(frames.without_labels(), columns=columns)
    document = {
        'recipe': dict(model.recipe),
        'frames': FRAMES,
        'predictions': PREDICTIONS,
        'energy_shifts': dict(model.energy_shifts),
        'walltime_seconds': walltime_seconds,
        **({'atomic_energies': atomic_energies} if atomic_energies else {}),
    }
    files = {DRIVER: driver_source(DRIVER), INPUT: to_json_bytes(document), FRAMES: unlabelled.to_npz_bytes()}
    files |= model.files
    return JobFiles(
        files=files,
        node_files=(*model.node_files, *(folder_files(checkpoint) if checkpoint is not None else ())),
        derived=(FRAMES,),
        retrieval=Retrieval(keep=(FAILURES, SUMMARY, STDOUT), parse_only=(PREDICTIONS, PARTIAL)),
    )


def evaluation_packages(model: LoadableModel) -> Sequence[str]:
    """Return the distributions whose versions are recorded, the driver's own included."""
    return tuple(dict.fromkeys((*model.packages, 'ase', 'numpy')))


class EvaluationCalculation(EdlCalculation):
    """Compute energies and forces of a potential for the frames of a dataset or of one subset of a split."""

    PARSER_NAME = 'edl.evaluation'
    EXIT_CODES = (
        exit_codes.DEVICE_MISSING,
        exit_codes.OUTPUT_MISSING,
        exit_codes.OUTPUT_UNREADABLE,
        exit_codes.LOG_INCOMPLETE,
        exit_codes.OUT_OF_WALLTIME,
        exit_codes.OUT_OF_MEMORY,
        exit_codes.DEVICE_LOST,
        exit_codes.NO_FRAME_CONVERGED,
    )

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        """Define ports."""
        super().define(spec)
        spec.input('dataset', valid_type=DatasetData, help='Frames; labels they carry are not read.')
        spec.input(
            'split', valid_type=ArrayData, required=False, help='Frame indices by subset; all frames without it.'
        )
        spec.input(
            'subset',
            valid_type=Str,
            default=lambda: Str('test'),
            validator=validate_subset,
            help='Subset of the split: `training`, `validation` or `test`.',
        )
        spec.input('potential', valid_type=PotentialData, help='The potential.')
        spec.input(
            'engine',
            valid_type=Str,
            default=lambda: Str(ENGINE),
            validator=validate_single_point_engine,
            help='Program that computes: `ase` for the driver of all evaluations, or an MD engine to compare with it.',
        )
        spec.input(
            'precision',
            valid_type=Str,
            required=False,
            validator=validate_precision,
            help='`float32` or `float64`; that of the training without it.',
        )
        spec.input(
            'device', valid_type=Str, default=lambda: Str('cpu'), validator=validate_device, help='`cpu` or `cuda`.'
        )
        spec.input(
            'atomic_energies',
            valid_type=Bool,
            required=False,
            help='Whether energies of single atoms are asked for, of potentials that have them; only engine `ase`.',
        )
        spec.input(
            'checkpoint', valid_type=FolderData, required=False, help='Results of an interrupted run, to be completed.'
        )
        spec.output(
            'predictions',
            valid_type=ArrayData,
            help='energies [eV], forces [eV/Å], offsets, frame_indices in the dataset, converged; where the potential '
            'gives them charges [e] and stresses [eV/Å³, positive in tension]; if asked for and the potential has them '
            'atomic_energies [eV]. A frame that failed is NaN.',
        )
        spec.output('evaluation_summary', valid_type=Dict, help='Failed frames with reasons, cost, versions.')
        spec.output('checkpoint', valid_type=FolderData, required=False, help='Results of an interrupted run.')

    @classmethod
    def validate(cls, inputs: Mapping[str, Any]) -> str | None:
        """Return one sentence if potential, frames, split or code do not fit together."""
        dataset, potential = inputs['dataset'], inputs['potential']
        # A work chain that exposes these inputs may leave the engine out.
        engine: Any = load_member(MD_ENGINES, value_of(inputs.get('engine')) or ENGINE)
        message = validate_potential(potential, engine.binding_kind, dataset, value_of(inputs.get('precision')))
        if message is None and inputs.get('split') is not None:
            message = validate_split(inputs['split'], dataset.n_frames)
        if message is None and not len(chosen_frames(inputs)):
            message = f"the subset '{inputs['subset'].value}' of the split is empty, there is nothing to evaluate"
        if message is None:
            message = validate_vacuum(potential, engine.binding_kind, dataset, chosen_frames(inputs).tolist())
        if message is None and wants_atomic_energies(inputs) and engine.name != ENGINE:
            message = (
                f"energies of atoms are asked for, which engine '{engine.name}' does not give; leave atomic_energies "
                f"out or use engine '{ENGINE}'"
            )
        if message is None and wants_atomic_energies(inputs) and potential.long_range is not None:
            message = (
                'energies of atoms are asked for, which a potential with a long-range part does not have; leave '
                'atomic_energies out'
            )
        if message is not None:
            return message
        if engine.code_kind == 'python':
            message = validate_architecture_code(inputs['code'], potential.architecture)
        else:
            needed_for = f"engine '{engine.name}'"
            message = validate_code_kind(inputs['code'], engine.code_kind, needed_for, engine.install_command)
        return message or _refusal(engine, inputs)

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the program, its input, and the frames."""
        engine: Any = load_member(MD_ENGINES, self.inputs.engine.value)
        model = _model(self.inputs, engine)
        if engine.name == ENGINE:
            frames = _frames(self.inputs)
            checkpoint, source = self.inputs.get('checkpoint'), atomic_energy_source(self.inputs)
            job = evaluation_files(frames, model, self.program_walltime_seconds, checkpoint, source)
            return self.stage_python(folder, job, COMMANDS, evaluation_packages(model))
        return self._stage_engine(folder, engine, model)

    def _stage_engine(self, folder: Folder, engine: Any, model: LoadableModel) -> CalcInfo:
        """Write what an MD engine asks for."""
        job = single_point_job(self.inputs, model, self.program_walltime_seconds)
        files = {**model.files, **engine.single_point_files(job)}
        staged = JobFiles(
            files=files,
            node_files=model.node_files,
            derived=large_files(files),
            retrieval=engine.single_point_retrieve(job),
        )
        commands = engine.single_point_commands(job)
        if engine.code_kind == 'python':
            packages = tuple(dict.fromkeys((*model.packages, *engine.packages)))
            return self.stage_python(folder, staged, commands, packages)
        (command,) = commands
        return self.stage_executable(folder, staged, command)


def _model(inputs: Any, engine: Any) -> LoadableModel:
    """Return how an engine loads the potential."""
    precision = value_of(inputs.get('precision'))
    return model_of_potential(
        inputs['potential'],
        engine.binding_kind,
        inputs['device'].value,
        None if precision is None else Precision(precision),
    )


def _frames(inputs: Any) -> FrameSet:
    """Return the frames that are evaluated."""
    frames: FrameSet = inputs['dataset'].frames()
    return frames if inputs.get('split') is None else frames.select(chosen_frames(inputs))


def wants_atomic_energies(inputs: Any) -> bool:
    """Return whether energies of single atoms are asked for."""
    return inputs.get('atomic_energies') is not None and bool(inputs['atomic_energies'].value)


def atomic_energy_source(inputs: Any) -> str:
    """Return how the calculator gives energies of single atoms, empty if it has none or they are not asked for.

    :param inputs: validated inputs of :class:`EvaluationCalculation`.
    """
    architecture = load_member(ARCHITECTURES, inputs['potential'].architecture)
    return str(architecture.bindings[BINDING].atomic_energies) if wants_atomic_energies(inputs) else ''


def single_point_job(inputs: Any, model: LoadableModel, walltime_seconds: float | None) -> SinglePointJob:
    """Return what an MD engine is asked to compute.

    :param inputs: validated inputs of :class:`EvaluationCalculation`.
    :param model: how the engine loads the potential.
    :param walltime_seconds: time after which the program should stop by itself [s].
    """
    frames = _frames(inputs)
    return SinglePointJob(
        frames=frames.without_labels(),
        model_recipe=model.recipe,
        elements=inputs['potential'].elements,
        energy_shifts=model.energy_shifts,
        total_charges=total_charges(model, frames),
        device=inputs['device'].value,
        walltime_seconds=walltime_seconds,
    )


def _refusal(engine: Any, inputs: Mapping[str, Any]) -> str | None:
    """Return one sentence if an MD engine cannot write its files for these very frames, e.g. for a left-handed cell."""
    if engine.name == ENGINE:
        return None  # the driver of all evaluations takes every frame, and counts those that fail
    try:
        engine.single_point_files(single_point_job(inputs, _model(inputs, engine), None))
    except ValueError as error:
        return str(error)
    return None


def validate_single_point_engine(value: Str, _: Any) -> str | None:
    """Return one sentence if there is no such engine, or it cannot compute given frames."""
    if value is None:
        return None
    if message := validate_engine(value.value):
        return message
    able = [name for name in registered_names(MD_ENGINES) if computes_single_points(name)]
    if value.value not in able:
        return f"engine '{value.value}' cannot compute given frames; engines that can: {', '.join(able)}"
    return None


def computes_single_points(engine: str) -> bool:
    """Return whether an engine can compute energies and forces of given frames.

    :param engine: entry-point name.
    """
    return engine == ENGINE or isinstance(load_member(MD_ENGINES, engine), SinglePointEngine)


def validate_subset(value: Str, _: Any) -> str | None:
    """Return one sentence if there is no such subset."""
    if value is not None and value.value not in SUBSETS:
        return unknown_name_message('subset', value.value, SUBSETS)
    return None


def chosen_frames(inputs: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the indices of the frames that are evaluated, shape ``(n,)``.

    :param inputs: inputs of :class:`EvaluationCalculation`.
    """
    if inputs.get('split') is None:
        return np.arange(inputs['dataset'].n_frames)
    return np.asarray(inputs['split'].get_array(inputs['subset'].value), dtype=np.int64)
