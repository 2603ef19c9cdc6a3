"""Fixtures of the engines."""

from __future__ import annotations

import pytest
from vasp_label_cases import program, upload_potcars


@pytest.fixture
def vasp(aiida_code_installed, tmp_path):
    """Return the stand-in for VASP as a code, with POTCARs configured."""
    upload_potcars(tmp_path)
    return aiida_code_installed(label=f'vasp-{tmp_path.name}', filepath_executable=program(tmp_path / 'vasp_std'))
