"""Validation of summation methods on the computer where they shall be used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec
from aiida.orm import Dict, FolderData, Str

from aiida_edl.architectures.base import Command, Retrieval
from aiida_edl.calculations import exit_codes
from aiida_edl.calculations.base import EdlCalculation, validate_code_kind, validate_device
from aiida_edl.calculations.jobs import JobFiles, driver_source, folder_files, to_json_bytes
from aiida_edl.science.electrostatics.validation_settings import ValidationSettings
from aiida_edl.shipped_modules import shipped_modules

DRIVER = 'validate_long_range.py'
INPUT = 'validate.json'
RESULT = 'validation.json'
STDOUT = 'validate.out'
CASES_DONE = 'cases_done'
"""Attribute of a checkpoint: number of cases that are complete."""
OUT_OF_TIME = 3
"""Return code of the program if it stopped before its walltime with a part of the cases."""
COMMANDS = (Command(arguments=(DRIVER, INPUT), stdout=STDOUT),)
MODULES = ('aiida_edl.science.electrostatics.validation', 'aiida_edl.science.electrostatics.lattice_errors')
TORCH_MODULES = ('aiida_edl.science.electrostatics.torch_implementation',)
DATA = ('aiida_edl/science/electrostatics/ion_frames.json',)
PACKAGES = ('numba', 'numpy', 'scipy')
TORCH_PACKAGES = ('torch', 'torch-pme')
INSTALL_COMMAND = 'aiida-edl environment create long_range'
"""How a user gets the environment."""


def validate_settings(settings: Dict, _: Any) -> str | None:
    """Return one sentence if a setting does not exist, is of a wrong type or out of range."""
    try:
        ValidationSettings.from_dict(settings.get_dict())
    except ValueError as error:
        return str(error)
    return None


class LongRangeValidationCalculation(EdlCalculation):
    """Measure the accuracy of summation methods on systems whose energies or forces are known."""

    PARSER_NAME = 'edl.long_range_validation'
    EXIT_CODES = (
        exit_codes.DEVICE_MISSING,
        exit_codes.OUTPUT_MISSING,
        exit_codes.OUTPUT_UNREADABLE,
        exit_codes.LOG_INCOMPLETE,
        exit_codes.OUT_OF_WALLTIME,
        exit_codes.OUT_OF_MEMORY,
        exit_codes.DEVICE_LOST,
    )

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        """Define ports."""
        super().define(spec)
        spec.input(
            'settings',
            valid_type=Dict,
            default=lambda: Dict({}),
            validator=validate_settings,
            help='Fields of ``ValidationSettings`` that differ from the defaults.',
        )
        spec.input(
            'device', valid_type=Str, default=lambda: Str('cpu'), validator=validate_device, help='`cpu` or `cuda`.'
        )
        spec.input(
            'checkpoint', valid_type=FolderData, required=False, help='Cases of an interrupted run, to be completed.'
        )
        spec.output(
            'validation', valid_type=Dict, help='One row for each case, method, precision and target; cost, versions.'
        )
        spec.output('checkpoint', valid_type=FolderData, required=False, help='Cases of an interrupted run.')

    @classmethod
    def validate(cls, inputs: Mapping[str, Any]) -> str | None:
        """Return one sentence if the code is no Python interpreter."""
        return validate_code_kind(inputs['code'], 'python', 'the validation of summation methods', INSTALL_COMMAND)

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the program, the modules that compute, and their input."""
        settings = ValidationSettings.from_dict(self.inputs.settings.get_dict())
        programs = [program.rsplit('_', 1) for program in settings.programs]
        needs_torch = any(name == 'torch' for name, _ in programs)
        request = {
            'cases': list(settings.cases),
            'implementations': [{'name': name, 'precision': precision} for name, precision in programs],
            'targets': list(settings.targets),
            'drift_targets': list(settings.drift_targets),
            'drift_steps': settings.drift_steps,
            'device': self.device,
            'walltime_seconds': self.program_walltime_seconds,
        }
        modules = shipped_modules((*MODULES, *(TORCH_MODULES if needs_torch else ())), DATA)
        checkpoint = self.inputs.get('checkpoint')
        job = JobFiles(
            files={**modules, DRIVER: driver_source(DRIVER), INPUT: to_json_bytes(request)},
            node_files=folder_files(checkpoint) if checkpoint is not None else (),
            retrieval=Retrieval(keep=(STDOUT,), parse_only=(RESULT,)),
        )
        return self.stage_python(folder, job, COMMANDS, (*PACKAGES, *(TORCH_PACKAGES if needs_torch else ())))
