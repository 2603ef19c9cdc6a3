"""What an environment holds, asked of its interpreter on the computer of its code."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

from aiida.orm import InstalledCode

from aiida_edl.calculations.jobs import driver_source
from aiida_edl.environments.recipes import Recipe

DRIVER = 'check_environment.py'
END = 'END_OF_PROGRAM'
CLEAN = 'env -u PYTHONPATH -u PYTHONHOME PYTHONNOUSERSITE=1'
"""Keeps packages of other places out."""


@dataclass(frozen=True)
class EnvironmentReport:
    """What was found."""

    environment: str
    """Name of the environment."""
    code: str
    """Full label of the code that is its interpreter."""
    python: str
    """Version of the interpreter; empty if it did not run."""
    versions: dict[str, str]
    """Version of each distribution that is there."""
    devices: tuple[str, ...]
    """Accelerators on the machine on which it was asked, with memory [GB]."""
    missing: tuple[str, ...]
    """What is not as the recipe has it, one sentence each; empty if all is well."""

    def row(self) -> dict[str, Any]:
        """Return the row of a table."""
        return {
            'environment': self.environment,
            'code': self.code,
            'python': self.python,
            'versions': [f'{name} {version}' for name, version in self.versions.items()],
            'devices': list(self.devices) or ['cpu'],
            'missing': list(self.missing) or ['nothing'],
        }


def inspect_environment(recipe: Recipe, code: InstalledCode) -> EnvironmentReport:
    """Return what the environment of a code holds.

    The interpreter is run through the transport of the computer, on a cluster on its login node; the text prepended by
    the code is, that of the computer is not, which is meant for jobs.

    :param recipe: what it should hold.
    :param code: its interpreter.
    """
    request = json.dumps({'packages': list(recipe.packages), 'modules': list(recipe.modules)})
    program = driver_source(DRIVER).decode()
    interpreter = shlex.quote(str(code.filepath_executable))
    command = f"{CLEAN} {interpreter} - {shlex.quote(request)} <<'{END}'\n{program}{END}\n"
    prepended = f'{code.prepend_text}\n' if code.prepend_text else ''
    with code.computer.get_transport() as transport:
        status, output, errors = transport.exec_command_wait(prepended + command)
    lines = output.strip().splitlines()
    if status != 0 or not lines:
        last = (errors.strip().splitlines() or ['no output'])[-1]
        missing = (f'the interpreter ended with status {status}: {last}',)
        return EnvironmentReport(recipe.name, code.full_label, '', {}, (), missing)
    return _report(recipe, code, json.loads(lines[-1]))


def _report(recipe: Recipe, code: InstalledCode, found: dict[str, Any]) -> EnvironmentReport:
    versions = {name.split('|')[0]: version for name, version in found['versions'].items() if version is not None}
    wanted = {name.split('|')[0]: version for name, version in recipe.wanted_versions.items()}
    missing = [f'{name.split("|")[0]} is not installed' for name, found in found['versions'].items() if found is None]
    # A local version, e.g. 2.13.0+cpu, says how a package was built.
    missing += [
        f'{name} is {version}, tested with {wanted[name]}'
        for name, version in versions.items()
        if name in wanted and version.partition('+')[0] != wanted[name]
    ]
    missing += [f'{module} cannot be imported ({error})' for module, error in found['failed_imports'].items()]
    devices = [f'{item["name"]} ({item["memory_gigabyte"]} GB)' for item in found['devices']]
    return EnvironmentReport(recipe.name, code.full_label, found['python'], versions, tuple(devices), tuple(missing))
