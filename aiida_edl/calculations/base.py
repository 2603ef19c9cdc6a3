"""What all calculations of this package share: exit codes, options, and how a program is staged."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, ClassVar

from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJob, CalcJobProcessSpec, PortNamespace
from aiida.orm import AbstractCode

from aiida_edl.architectures.base import Command
from aiida_edl.architectures.precision import Precision
from aiida_edl.calculations import jobs
from aiida_edl.calculations.device_check import DEVICE_MISSING_FILE, device_lines
from aiida_edl.calculations.exit_codes import ExitCodeDefinition
from aiida_edl.registry import unknown_name_message

DEVICES = ('cpu', 'cuda')
"""Where a model may run."""
CODE_KINDS = {'python': ('python', 'pypy'), 'lammps': ('lmp', 'lammps'), 'cp2k': ('cp2k',)}
"""How the executable of each kind of code begins; an executable of another name is taken on trust."""
CODE_NAMES = {
    'python': 'the Python interpreter of an environment',
    'lammps': 'the LAMMPS executable',
    'cp2k': 'the CP2K executable',
}
"""Each kind in words."""

THREAD_VARIABLES = ('OMP_NUM_THREADS', 'DP_INTRA_OP_PARALLELISM_THREADS', 'DP_INTER_OP_PARALLELISM_THREADS')
"""Variables by which executables are told how many threads they may use; the latter two are those of DeePMD-kit."""


class EdlCalculation(CalcJob):
    """A calculation that runs a program on one process and knows its exit codes from the shared table."""

    CACHE_VERSION = 7
    """Raised when the same inputs would give another result, so that older calculations leave the cache."""
    EXIT_CODES: ClassVar[tuple[ExitCodeDefinition, ...]] = ()
    """Exit codes with which the calculation can end."""
    PARSER_NAME: ClassVar[str] = ''
    """Entry point of the parser."""

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        """Define options and exit codes; a subclass adds its ports."""
        super().define(spec)
        options = spec.inputs['metadata']['options']
        options['resources'].default = lambda: {'num_machines': 1, 'num_mpiprocs_per_machine': 1}
        options['withmpi'].default = False
        if cls.PARSER_NAME:
            options['parser_name'].default = cls.PARSER_NAME
        spec.inputs.validator = _chain(spec.inputs.validator, cls)
        for definition in cls.EXIT_CODES:
            spec.exit_code(
                definition.status,
                definition.label,
                message=definition.message,
                invalidates_cache=definition.invalidates_cache,
            )

    @classmethod
    def validate(cls, inputs: Mapping[str, Any]) -> str | None:
        """Return one sentence if the inputs do not fit together, else None.

        :param inputs: all inputs by name, each of the right type and accepted by its own port.
        """
        return None

    @property
    def threads(self) -> int:
        """Threads of each command: the cores per process that were asked for, 1 by default."""
        resources = self.inputs.metadata.options.get('resources', {})
        return int(resources.get('num_cores_per_mpiproc') or 1)

    @property
    def device(self) -> str:
        """Device of all commands; that of a calculation without the input ``device`` is the processor."""
        return str(self.inputs.device.value) if 'device' in self.inputs else DEVICES[0]

    @property
    def program_walltime_seconds(self) -> float | None:
        """Seconds after which a program should stop by itself and leave a checkpoint; None without a limit."""
        return jobs.walltime_of_program(self.inputs.metadata.options.get('max_wallclock_seconds'))

    def stage_python(
        self, folder: Folder, job: jobs.JobFiles, commands: Sequence[Command], packages: Sequence[str]
    ) -> CalcInfo:
        """Stage a job whose code is a Python interpreter: ``run_commands.py`` runs the commands.

        :param folder: sandbox folder.
        :param job: files of the job, without the driver.
        :param commands: commands in the order in which they run.
        :param packages: distributions whose versions are recorded.
        """
        complete = jobs.python_job(job, commands, packages, self.threads, self.device)
        runs = {jobs.RUN_COMMANDS_OUTPUT: (jobs.RUN_COMMANDS, jobs.COMMANDS_FILE)}
        return jobs.stage(folder, complete, self.inputs.code, runs)

    def stage_executable(self, folder: Folder, job: jobs.JobFiles, *commands: Command) -> CalcInfo:
        """Stage a job whose code is the program itself, e.g. ``lmp``; it does not run without the device it needs.

        :param folder: sandbox folder.
        :param job: files of the job.
        :param commands: arguments, environment variables, and the file that takes the output of each run of the
            program; they run one after the other, each whether or not the one before it failed.
        """
        runs = {command.stdout: command.arguments for command in commands}
        calc_info = jobs.stage(folder, job, self.inputs.code, runs)
        variables = dict.fromkeys(THREAD_VARIABLES, str(self.threads))
        variables |= {name: value for command in commands for name, value in command.environment.items()}
        exports = [f'export {name}={shlex.quote(value)}' for name, value in variables.items()]
        calc_info.prepend_text = '\n'.join([*exports, device_lines(self.device)])
        calc_info.retrieve_list.append(jobs.retrieve_entry(DEVICE_MISSING_FILE))
        return calc_info


def _chain(inherited: Any, process_class: type[EdlCalculation]) -> Any:
    """Return a validator that asks AiiDA's first, then :meth:`EdlCalculation.validate`.

    Both see the defaults, which AiiDA has not filled in yet when a builder is given a whole namespace.
    """

    def validate(given: Any, namespace: PortNamespace) -> str | None:
        inputs = namespace.pre_process(_copied(given))
        if inherited is not None and (message := inherited(inputs, namespace)):
            return str(message)
        required = [name for name, port in process_class.spec().inputs.items() if port.required]
        if not {'code', *required} <= set(inputs):
            return None  # a work chain that exposes only a part of the ports provides the others later
        return process_class.validate(inputs)

    return validate


def _copied(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of inputs whose namespaces can be filled with defaults."""
    return {name: _copied(value) if isinstance(value, Mapping) else value for name, value in inputs.items()}


def validate_device(value: Any, _: Any) -> str | None:
    """Return one sentence if the device is unknown."""
    if value is not None and value.value not in DEVICES:
        return f"device is '{value.value}', it must be one of {', '.join(DEVICES)}"
    return None


def validate_precision(value: Any, _: Any) -> str | None:
    """Return one sentence if the precision is unknown."""
    known = [member.value for member in Precision]
    if value is not None and value.value not in known:
        return unknown_name_message('precision', value.value, known)
    return None


def validate_code_kind(code: AbstractCode, kind: str, needed_for: str, install_command: str) -> str | None:
    """Return one sentence if the code is plainly of another kind than the one that is needed.

    :param code: code of the calculation.
    :param kind: a key of :data:`CODE_KINDS`.
    :param needed_for: what needs it, e.g. ``"architecture 'mace'"``.
    :param install_command: command that installs what is needed.
    """
    executable = PurePosixPath(str(code.filepath_executable)).name
    found = next((k for k, starts in CODE_KINDS.items() if executable.lower().startswith(starts)), kind)
    if found == kind:
        return None
    return (
        f"code '{code.full_label}' runs '{executable}', but {needed_for} needs {CODE_NAMES[kind]}; "
        f'install it with: {install_command}'
    )
