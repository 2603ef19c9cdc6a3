"""Label frames with any ASE calculator, or with a potential as teacher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec
from aiida.orm import ArrayData, Dict, FolderData, Str

from aiida_edl.calculations import exit_codes
from aiida_edl.calculations.base import validate_code_kind, validate_device
from aiida_edl.calculations.evaluation import BINDING, COMMANDS, evaluation_files, evaluation_packages
from aiida_edl.calculations.models import (
    LoadableModel,
    model_of_parameters,
    model_of_potential,
    validate_architecture_code,
    validate_parameters,
    validate_potential,
    validate_vacuum,
)
from aiida_edl.calculations.single_point import SinglePointCalculation
from aiida_edl.data.potential import PotentialData
from aiida_edl.science.frames import FrameSet


def validate_model_parameters(value: Dict | None, _: Any) -> str | None:
    """Return one sentence if the parameters do not describe a calculator."""
    return None if value is None else validate_parameters(value.get_dict())


class AseCalculatorCalculation(SinglePointCalculation):
    """Label frames with an ASE calculator; a frame that fails is listed with its reason, the others are labelled."""

    PARSER_NAME = 'edl.single_point.ase_calculator'
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
        spec.input(
            'model_parameters',
            valid_type=Dict,
            required=False,
            validator=validate_model_parameters,
            help='`recipe` (module, attribute, keyword_arguments, environment) and `level_of_theory` of a calculator; '
            'optional `pbc` (periodicity the frames are given), `packages` (whose versions are recorded) and '
            '`energy_shifts` [eV per atom of an element].',
        )
        spec.input('potential', valid_type=PotentialData, required=False, help='A potential as teacher instead.')
        spec.input(
            'device', valid_type=Str, default=lambda: Str('cpu'), validator=validate_device, help='`cpu` or `cuda`.'
        )
        spec.input(
            'checkpoint', valid_type=FolderData, required=False, help='Labels of an interrupted run, to be completed.'
        )
        spec.output(
            'labels',
            valid_type=ArrayData,
            help='energies [eV], forces [eV/Å], offsets, converged; where the calculator gives them charges [e] and '
            'stresses [eV/Å³, positive in tension]. A frame that failed is NaN.',
        )
        spec.output('checkpoint', valid_type=FolderData, required=False, help='Labels of an interrupted run.')

    @classmethod
    def validate(cls, inputs: Mapping[str, Any]) -> str | None:
        """Return one sentence unless there is exactly one model, which fits the frames and the code."""
        potential, parameters = inputs.get('potential'), inputs.get('model_parameters')
        if (potential is None) == (parameters is None):
            given = 'neither' if potential is None else 'both'
            return f'give either a potential or model_parameters; given were {given}'
        if potential is None:
            return validate_code_kind(inputs['code'], 'python', 'an ASE calculator', 'pip install ase')
        dataset = inputs['dataset']
        if message := validate_potential(potential, BINDING, dataset):
            return message
        if message := validate_vacuum(potential, BINDING, dataset, range(dataset.n_frames)):
            return message
        return validate_architecture_code(inputs['code'], potential.architecture)

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the driver, its input, and the frames."""
        model = single_point_model(self.inputs)
        frames = _with_periodicity(self.inputs.dataset.frames(), self.inputs.get('model_parameters'))
        job = evaluation_files(frames, model, self.program_walltime_seconds, self.inputs.get('checkpoint'))
        return self.stage_python(folder, job, COMMANDS, evaluation_packages(model))


def single_point_model(inputs: Any) -> LoadableModel:
    """Return the calculator that the inputs describe.

    :param inputs: validated inputs of :class:`AseCalculatorCalculation`.
    """
    if 'potential' in inputs:
        return model_of_potential(inputs['potential'], BINDING, inputs['device'].value)
    return model_of_parameters(inputs['model_parameters'].get_dict())


def _with_periodicity(frames: FrameSet, parameters: Dict | None) -> FrameSet:
    """Return the frames with the periodicity that the parameters ask for, if they do."""
    pbc = None if parameters is None else parameters.get_dict().get('pbc')
    return frames if pbc is None else replace(frames, pbc=np.tile(np.array(pbc, dtype=bool), (len(frames), 1)))
