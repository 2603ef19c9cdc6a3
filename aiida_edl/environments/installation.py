"""Make an environment with pip, here or, as a script, elsewhere; the same steps in both."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from aiida_edl.environments.recipes import FILES, FILES_FOLDER, Accelerator, PipStep, Recipe

RECIPE_FOLDER = 'recipe'
"""Folder of an environment with the files that its steps read."""
CONSTRAINTS = 'constraints.txt'
STAMP = '.installed-as'
"""File of an environment with the checksum of what it was asked to be; written when everything is installed."""
DEFAULT_FOLDER = PurePath('.aiida-edl/environments')
"""Where environments are made unless stated otherwise, below the home directory."""
TAIL_LINES = 20
"""Lines of the log that are shown when a step fails."""
PIP_OPTIONS = ('--quiet', '--disable-pip-version-check', '--no-input')
VERSION_PROGRAM = 'import sys, venv, ensurepip; print(*sys.version_info[:2])'
NO_NETWORK = re.compile(
    r'Name or service not known|Temporary failure in name resolution|Network is unreachable|ProxyError'
)
"""What pip prints when it reaches no index."""
NO_SPACE = 'No space left on device'
REMOVED_VARIABLES = ('PYTHONPATH', 'PYTHONHOME')
"""Environment variables that would let other packages into the environment."""
PYTHON_HINT = 'name another interpreter with --python'


class InstallationError(RuntimeError):
    """An environment that could not be made; the message says why and what to do."""


@dataclass(frozen=True)
class Step:
    """One command of an installation."""

    what: str
    """What it does, in words."""
    arguments: tuple[str, ...]
    """The command."""
    environment: Mapping[str, str]
    """Environment variables."""


@dataclass(frozen=True)
class Installation:
    """An environment in one place."""

    recipe: Recipe
    """What it holds."""
    folder: PurePath
    """The environment; absolute."""
    accelerator: Accelerator = Accelerator.CPU
    """What its programs compute on."""
    python: str = 'python3'
    """Interpreter on which it is built."""

    @property
    def binaries(self) -> PurePath:
        """Folder of its executables."""
        return self.folder / 'bin'

    @property
    def log(self) -> PurePath:
        """File with the whole output of the installation, beside the environment."""
        return self.folder.with_name(f'{self.folder.name}.log')

    @property
    def request(self) -> str:
        """Checksum of everything the environment depends on; scripts in it hold its absolute path."""
        text = repr((str(self.folder), self.steps(), sorted(self.files().items())))
        return hashlib.sha256(text.encode()).hexdigest()

    def files(self) -> dict[str, str]:
        """Return the text of the files that the steps read, by path in the recipe folder."""
        folders = [FILES_FOLDER / name for step in self.recipe.steps for name in step.files]
        paths = sorted(path for folder in folders for path in folder.rglob('*') if path.is_file())
        found = {path.relative_to(FILES_FOLDER).as_posix(): path.read_text(encoding='utf-8') for path in paths}
        return {CONSTRAINTS: self.recipe.constraints, **found}

    def steps(self) -> tuple[Step, ...]:
        """Return the commands that fill the environment, in order."""
        pip = (str(self.binaries / 'python'), '-m', 'pip')
        steps = [Step('newest pip', (*pip, 'install', *PIP_OPTIONS, self.recipe.pip), {})]
        steps += [self._pip_step(pip, step) for step in self.recipe.steps]
        if self.recipe.should_check_versions:
            steps.append(
                Step('checking that versions fit together', (*pip, '--disable-pip-version-check', 'check'), {})
            )
        return tuple(steps)

    def _pip_step(self, pip: tuple[str, ...], step: PipStep) -> Step:
        files = str(self.folder / RECIPE_FOLDER)
        constraint = ('--constraint', f'{files}/{CONSTRAINTS}')
        arguments = (*pip, 'install', *PIP_OPTIONS, *constraint, *step.arguments(self.accelerator))
        environment = {name: value.replace(FILES, files) for name, value in step.environment.items()}
        return Step(f'installing {step.what}', arguments, environment)

    def is_complete(self) -> bool:
        """Return whether the environment on this machine is as requested."""
        stamp = Path(self.folder) / STAMP
        return stamp.is_file() and stamp.read_text(encoding='utf-8').strip() == self.request


def check_python(python: str, oldest: tuple[int, int]) -> None:
    """Check that an interpreter can make the environment.

    :param python: the interpreter.
    :param oldest: oldest version that will do.
    :raises InstallationError: with what is wrong and what would be right.
    """
    needed = f'Python {oldest[0]}.{oldest[1]} or newer is needed'
    if shutil.which(python) is None:
        raise InstallationError(f"there is no '{python}'; {needed}, {PYTHON_HINT}")
    done = subprocess.run([python, '-c', VERSION_PROGRAM], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallationError(
            f"'{python}' cannot make virtual environments; install its module venv (Debian: apt-get install "
            f'python3-venv) or {PYTHON_HINT}'
        )
    found = tuple(int(part) for part in done.stdout.split())
    if found < oldest:
        raise InstallationError(f"'{python}' is Python {found[0]}.{found[1]}, but {needed}; {PYTHON_HINT}")


def check_folder(folder: Path) -> None:
    """Check that a folder is free, or an environment: whatever lies there is removed.

    :param folder: where the environment goes.
    :raises InstallationError: if something else is there.
    """
    if folder.is_symlink():
        raise InstallationError(f"'{folder}' is a link to '{folder.readlink()}'; remove it or name another --path")
    if folder.exists() and not (folder / 'pyvenv.cfg').exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InstallationError(f"'{folder}' is there and is no Python environment; move it or name another --path")


def install(installation: Installation, report: Callable[[str], None] = print) -> bool:
    """Make an environment on this machine; do nothing if it is already as requested.

    :param installation: what and where.
    :param report: takes one line for each step.
    :return: whether anything was done.
    :raises InstallationError: with the last lines of the log, if a step fails.
    """
    if installation.is_complete():
        return False
    check_folder(Path(installation.folder))
    check_python(installation.python, installation.recipe.oldest_python)
    folder, log = Path(installation.folder), Path(installation.log)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        log.write_text('', encoding='utf-8')
    except OSError as error:
        raise InstallationError(f"'{folder.parent}' cannot be written: {error.strerror}; name another --path") from None
    (folder / STAMP).unlink(missing_ok=True)
    make = Step('making it', (installation.python, '-m', 'venv', '--clear', str(folder)), {})
    steps = installation.steps()
    if not _works(folder):
        _run(installation, make, log, report)
    for name, text in installation.files().items():
        path = folder / RECIPE_FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
    for step in steps:
        _run(installation, step, log, report)
    (folder / STAMP).write_text(installation.request + '\n', encoding='utf-8')
    return True


def _works(folder: Path) -> bool:
    """Return whether an environment of an earlier call is there, made for this place, so that pip can complete it."""
    python, script = folder / 'bin/python', folder / 'bin/pip'
    if not python.exists() or not script.is_file() or str(folder) not in script.read_text(encoding='utf-8'):
        return False
    return subprocess.run([python, '-m', 'pip', '--version'], capture_output=True, check=False).returncode == 0


def _run(installation: Installation, step: Step, log: Path, report: Callable[[str], None]) -> None:
    """Run one step with its output in the log.

    :raises InstallationError: if it fails.
    """
    environment = {**os.environ, **step.environment, 'PYTHONNOUSERSITE': '1'}
    for name in REMOVED_VARIABLES:
        environment.pop(name, None)
    start = time.monotonic()
    with log.open('ab') as handle:
        before = handle.tell()
        done = subprocess.run(step.arguments, stdout=handle, stderr=subprocess.STDOUT, env=environment, check=False)
    if done.returncode:
        with log.open('rb') as handle:
            handle.seek(before)
            output = handle.read().decode(errors='replace')
        raise InstallationError(failure(installation, step, output))
    report(f'{installation.recipe.name} environment: {step.what}: {time.monotonic() - start:.0f} s')


def failure(installation: Installation, step: Step, output: str) -> str:
    """Return what is said of a step that failed: one sentence, after the last lines of its output.

    :param installation: the installation.
    :param step: the step.
    :param output: its output.
    """
    name = installation.recipe.name
    end = '\n'.join(output.rstrip().splitlines()[-TAIL_LINES:])
    remedy = f'the whole output is in {installation.log}'
    if NO_SPACE in output:
        size = installation.recipe.size_gigabyte[installation.accelerator]
        remedy = f'the disk is full, about {size:g} GB are needed; name another --path'
    elif NO_NETWORK.search(output):
        remedy = (
            'pip reached no package index; check network and proxy, or take the script of --print-script to a machine '
            'that has them'
        )
    return f'{step.what} failed in the {name} environment: {remedy}\n{end}'


def shell_script(installation: Installation) -> str:
    """Return a shell script that does what :func:`install` does, for a machine without this package.

    :param installation: what and where.
    """
    recipe, folder = installation.recipe, shlex.quote(str(installation.folder))
    older = ' or '.join(str(number) for number in recipe.oldest_python)
    lines = [
        '#!/usr/bin/env bash',
        f'# Makes the environment {recipe.name}: {recipe.description}.',
        f'# Licence: {recipe.licence}.',
        'set -euo pipefail',
        'unset PYTHONPATH PYTHONHOME',
        'export PYTHONNOUSERSITE=1',
        f'python="${{PYTHON:-{installation.python}}}"',
        f'"$python" -c \'import sys; sys.exit(sys.version_info < {recipe.oldest_python})\' || {{',
        f"    printf 'error: Python {older.replace(' or ', '.')} or newer is needed, name one with PYTHON=...\\n' >&2",
        '    exit 1',
        '}',
        f'[ -x {folder}/bin/python ] || "$python" -m venv {folder}',
    ]
    for name, text in installation.files().items():
        path = shlex.quote(str(installation.folder / RECIPE_FOLDER / name))
        lines += [f'mkdir -p "$(dirname {path})"', f"cat > {path} <<'END_OF_FILE'", text.rstrip('\n'), 'END_OF_FILE']
    for step in installation.steps():
        variables = [f'{name}={shlex.quote(value)}' for name, value in step.environment.items()]
        command = ' '.join([*(['env', *variables] if variables else []), *map(shlex.quote, step.arguments)])
        lines += [f"printf '%s\\n' {shlex.quote(step.what)}", command]
    lines.append(f"printf '%s\\n' {installation.request} > {folder}/{STAMP}")
    return '\n'.join(lines) + '\n'
