"""What `make study` would do, without doing it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.skipif(shutil.which('make') is None, reason='make is not installed')


def would_do(target: str, **environment: str) -> str:
    """Return the commands of a target."""
    clean = {name: value for name, value in os.environ.items() if name not in ('ARCHITECTURES', 'MAKEFLAGS')}
    dry_run = subprocess.run(
        ['make', '--dry-run', target], cwd=ROOT, env=clean | environment, capture_output=True, text=True, check=True
    )
    return dry_run.stdout


def test_study_compares_three_architectures():
    assert 'ARCHITECTURES="mace,deep_potential,grace"' in would_do('study')


def test_study_compares_those_named():
    assert 'ARCHITECTURES="mace,pet"' in would_do('study', ARCHITECTURES='mace,pet')
