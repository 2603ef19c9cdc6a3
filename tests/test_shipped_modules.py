"""Modules that travel with a job: all that is needed, and nothing that needs AiiDA."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aiida_edl.calculations.long_range_validation import DATA, MODULES
from aiida_edl.shipped_modules import NotShippableError, shipped_modules, shipped_program


def test_imports_within_the_package_are_followed():
    files = shipped_modules(['aiida_edl.science.electrostatics.slab_correction'])
    assert set(files) == {
        'aiida_edl/__init__.py',
        'aiida_edl/science/__init__.py',
        'aiida_edl/science/electrostatics/__init__.py',
        'aiida_edl/science/electrostatics/charged_system.py',
        'aiida_edl/science/electrostatics/slab_correction.py',
        'aiida_edl/science/frames.py',
        'aiida_edl/science/units.py',
    }


def test_shipped_modules_run_where_the_package_is_not(tmp_path):
    for path, content in shipped_modules(MODULES, DATA).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    program = (
        'import sys\n'
        "sys.modules['aiida'] = None\n"
        'from aiida_edl.science.electrostatics.validation_cases import validation_case\n'
        'import aiida_edl\n'
        "print(aiida_edl.__file__, len(validation_case('eight_ions_1').system.charges))\n"
    )
    done = subprocess.run(
        [sys.executable, '-c', program], cwd=tmp_path, check=True, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == [str(tmp_path / 'aiida_edl' / '__init__.py'), '8']


def test_a_program_travels_with_all_it_imports():
    files = shipped_program('train_local_charge.py')
    assert {
        'train_local_charge.py',
        'aiida_edl/science/electrostatics/charge_models/training_loop.py',
        'aiida_edl/science/electrostatics/charge_models/local_charges.py',
        'aiida_edl/science/frames.py',
    } <= set(files)


def test_a_module_that_needs_aiida_is_refused():
    with pytest.raises(NotShippableError, match=r'^aiida_edl/data/dataset\.py imports aiida'):
        shipped_modules(['aiida_edl.data.dataset'])


def test_a_module_that_is_not_there_is_refused():
    with pytest.raises(NotShippableError, match=r"^'aiida_edl\.science\.electrostatic' is no module of aiida_edl$"):
        shipped_modules(['aiida_edl.science.electrostatic'])
