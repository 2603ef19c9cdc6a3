"""Energies and forces of a potential for frames of a dataset, by the one driver that serves all architectures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec
from aiida.orm import ArrayData, Dict, FolderData, Str

from aiida_edl.architectures.base import Command, Retrieval
from aiida_edl.architectures.precision import Precision
from aiida_edl.calculations import exit_codes
from aiida_edl.calculations.base import EdlCalculation, validate_device, validate_precision
from aiida_edl.calculations.jobs import JobFiles, driver_source, folder_files, to_json_bytes
from aiida_edl.calculations.models import (
    LoadableModel,
    model_of_potential,
    total_charges,
    validate_architecture_code,
    validate_potential,
    value_of,
)
from aiida_edl.calculations.training import SUBSETS, validate_split
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.registry import unknown_name_message
from aiida_edl.science.frames import FrameSet

DRIVER = 'evaluate_model.py'
INPUT = 'evaluate.json'
FRAMES = 'frames.npz'
PREDICTIONS = 'predictions.npz'
PARTIAL = 'predictions_partial.npz'
FAILURES = 'failures.json'
TOTAL_CHARGE = 'total_charge'
"""Column by which the driver is told the total charge of each frame [e]."""
SUMMARY = 'evaluation.json'
STDOUT = 'evaluate.out'
COMMANDS = (Command(arguments=(DRIVER, INPUT), stdout=STDOUT),)
BINDING = 'ase'
"""Kind of binding by which the driver loads models."""


def evaluation_files(
    frames: FrameSet, model: LoadableModel, walltime_seconds: float | None, checkpoint: FolderData | None
) -> JobFiles:
    """Return the files of a job that computes energies and forces of frames.

    :param frames: the frames; labels they carry are left out.
    :param model: the calculator.
    :param walltime_seconds: time after which the driver stops by itself [s].
    :param checkpoint: results of an earlier run of the same job.
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
    }
    files = {DRIVER: driver_source(DRIVER), INPUT: to_json_bytes(document), FRAMES: unlabelled.to_npz_bytes()}
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
        exit_codes.OUTPUT_MISSING,
        exit_codes.OUTPUT_UNREADABLE,
        exit_codes.LOG_INCOMPLETE,
        exit_codes.OUT_OF_WALLTIME,
        exit_codes.OUT_OF_MEMORY,
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
            'checkpoint', valid_type=FolderData, required=False, help='Results of an interrupted run, to be completed.'
        )
        spec.output(
            'predictions',
            valid_type=ArrayData,
            help='energies [eV], forces [eV/Å], offsets, frame_indices in the dataset, converged; where the potential '
            'gives them charges [e] and stresses [eV/Å³, positive in tension]. A frame that failed is NaN.',
        )
        spec.output('evaluation_summary', valid_type=Dict, help='Failed frames with reasons, cost, versions.')
        spec.output('checkpoint', valid_type=FolderData, required=False, help='Results of an interrupted run.')

    @classmethod
    def validate(cls, inputs: Mapping[str, Any]) -> str | None:
        """Return one sentence if potential, frames, split or code do not fit together."""
        dataset, potential = inputs['dataset'], inputs['potential']
        message = validate_potential(potential, BINDING, dataset, value_of(inputs.get('precision')))
        if message is None and inputs.get('split') is not None:
            message = validate_split(inputs['split'], dataset.n_frames)
        if message is None and not len(chosen_frames(inputs)):
            message = f"the subset '{inputs['subset'].value}' of the split is empty, there is nothing to evaluate"
        if message is not None:
            return message
        return validate_architecture_code(inputs['code'], potential.architecture)

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the driver, its input, and the frames."""
        precision = value_of(self.inputs.get('precision'))
        model = model_of_potential(
            self.inputs.potential,
            BINDING,
            self.inputs.device.value,
            None if precision is None else Precision(precision),
        )
        frames = self.inputs.dataset.frames()
        if 'split' in self.inputs:
            frames = frames.select(chosen_frames(self.inputs))
        job = evaluation_files(frames, model, self.program_walltime_seconds, self.inputs.get('checkpoint'))
        return self.stage_python(folder, job, COMMANDS, evaluation_packages(model))


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
