"""Conversion of a potential into another format, as one step of the graph.

A job of aiida-shell could run the command, but not say by exit code what went wrong, nor record versions, nor give a
potential back; this calculation does so for the conversions that an architecture states.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec
from aiida.orm import Dict, Str

from aiida_edl.architectures.base import Architecture, Command, Retrieval
from aiida_edl.architectures.conversion import Conversion, ConversionError, conversion_chain
from aiida_edl.architectures.precision import Precision
from aiida_edl.calculations import exit_codes
from aiida_edl.calculations.base import EdlCalculation, validate_code_kind
from aiida_edl.calculations.jobs import JobFiles, folder_files
from aiida_edl.calculations.models import model_path, validate_architecture
from aiida_edl.data.potential import PotentialData
from aiida_edl.registry import ARCHITECTURES, load_member

STDOUT = 'convert.out'
"""File that takes the output of all commands."""


def conversions_of(potential: PotentialData) -> Mapping[str, Conversion]:
    """Return the conversions that the architecture of a potential states, by the format they write."""
    architecture: Architecture = load_member(ARCHITECTURES, potential.architecture)
    return architecture.conversions


def formats_between(potential: PotentialData, target_format: str) -> list[str]:
    """Return the formats through which a potential goes until it is in the target format.

    :param potential: the potential.
    :param target_format: wished format.
    :raises ConversionError: if no chain of conversions leads there.
    """
    return list(conversion_chain(conversions_of(potential), potential.format, target_format))


def validate_conversion(potential: PotentialData, target_format: str) -> str | None:
    """Return one sentence if a potential cannot be converted into a format, else None.

    :param potential: the potential.
    :param target_format: wished format.
    """
    if message := validate_architecture(potential.architecture):
        return message
    try:
        formats_between(potential, target_format)
    except ConversionError as error:
        return f'architecture {potential.architecture}: {error}'
    return None


class ConversionCalculation(EdlCalculation):
    """Convert a potential into another format by one step of those that its architecture states."""

    PARSER_NAME = 'edl.conversion'
    EXIT_CODES = (
        exit_codes.OUTPUT_MISSING,
        exit_codes.LOG_INCOMPLETE,
        exit_codes.CONVERSION_FAILED,
        exit_codes.OUT_OF_MEMORY,
        exit_codes.DEVICE_LOST,
    )

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        """Define ports."""
        super().define(spec)
        spec.input('potential', valid_type=PotentialData, help='The potential.')
        spec.input('target_format', valid_type=Str, help='Format that is written, one step from that of the potential.')
        spec.output('potential', valid_type=PotentialData, help='The same potential in the target format.')
        spec.output('conversion_summary', valid_type=Dict, help='Formats, cost, versions.')

    @classmethod
    def validate(cls, inputs: Mapping[str, Any]) -> str | None:
        """Return one sentence if no single step leads from the potential to the target format, or the code is wrong."""
        potential, target = inputs['potential'], inputs['target_format'].value
        if message := validate_conversion(potential, target):
            return message
        steps = formats_between(potential, target)
        if len(steps) != 1:
            ways = ', '.join(steps) or 'nothing, it is there already'
            return (
                f"one calculation makes one step, from '{potential.format}' to '{target}' the steps are: {ways}; "
                'take a ConversionWorkChain'
            )
        conversion = conversions_of(potential)[target]
        needed_for = f"the conversion into '{target}' in the environment '{conversion.environment}'"
        return validate_code_kind(inputs['code'], 'python', needed_for, conversion.install_command)

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the commands of the conversion."""
        potential = self.inputs.potential
        conversion = conversions_of(potential)[self.inputs.target_format.value]
        arguments = conversion.arguments_for(model_path(potential), Precision(potential.precision))
        commands = [Command(words, STDOUT, dict(conversion.variables)) for words in arguments]
        job = JobFiles(
            files={},
            node_files=folder_files(potential),
            retrieval=Retrieval(keep=(STDOUT,), parse_only=(conversion.file_name,)),
        )
        return self.stage_python(folder, job, commands, conversion.packages)
