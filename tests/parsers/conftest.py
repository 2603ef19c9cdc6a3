"""Fixtures of the parsers."""

from __future__ import annotations

import sys

import pytest
from calculation_cases import register_toy


@pytest.fixture(autouse=True)
def toy_architecture(monkeypatch):
    """Register the toy architecture."""
    register_toy(monkeypatch)


@pytest.fixture
def python_code(aiida_code_installed):
    """Return the interpreter of the tests as a code."""
    return aiida_code_installed(label='python', filepath_executable=sys.executable)


@pytest.fixture
def lammps_code(aiida_code_installed):
    """Return a code whose executable is named like LAMMPS."""
    return aiida_code_installed(label='lammps', filepath_executable='/usr/bin/lmp')
