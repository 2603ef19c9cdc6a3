"""Programs that tests of formats run in the environments of trainers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ENVIRONMENTS = Path(__file__).parents[1] / '.environments'


def environment(name: str) -> Path:
    """Return the interpreter of an environment, or skip the test by name."""
    python = ENVIRONMENTS / name / 'bin' / 'python'
    if not python.exists():
        pytest.skip(f'the environment {name} is not installed')
    return python


def run_in(python: Path, program: str, *arguments: object) -> str:
    """Return what a program prints in an environment."""
    command = [str(python), '-W', 'ignore', '-c', program, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
