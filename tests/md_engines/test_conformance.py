"""Every registered MD engine holds to the checks that third parties can run too."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from ase_cases import FIXTURES
from ase_cases import job as ase_job
from electrode_cases import MODEL, small_cell
from electrode_cases import SETTINGS as ELECTRODE_SETTINGS
from lammps_cases import job as lammps_job
from torch_sim_cases import job as torch_sim_job

from aiida_edl.md_engines.base import MDEngine, MDJob, MDSettings, MDSettingsError
from aiida_edl.md_engines.testing import CHECKS, ConformanceCase
from aiida_edl.registry import MD_ENGINES, load_member, registered_names


def electrode_job() -> MDJob:
    """Return a job of the classical reference."""
    return MDJob(small_cell(1), ELECTRODE_SETTINGS, MODEL.to_dict(), {})


JOBS = {'ase': ase_job, 'electrode': electrode_job, 'lammps': lammps_job, 'torch_sim': torch_sim_job}
"""A small job for each registered engine."""


def test_every_registered_engine_is_tested():
    assert set(JOBS) == set(registered_names(MD_ENGINES))


@pytest.mark.parametrize('check', CHECKS, ids=lambda check: check.__name__.removeprefix('check_'))
@pytest.mark.parametrize('name', sorted(JOBS))
def test_engine_conforms(name, check):
    engine_class: type[MDEngine] = type(load_member(MD_ENGINES, name))
    check(ConformanceCase(name, engine_class, JOBS[name](), FIXTURES / 'md' / name))


def test_settings_make_the_round_trip_through_json():
    settings = MDSettings(fixed_elements=('Au',), wall_height=4.0)
    assert MDSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


def test_unknown_setting_is_answered_with_the_nearest():
    with pytest.raises(
        MDSettingsError, match=r"^unknown MD setting 'temperatur': did you mean 'temperature'\? Known: "
    ):
        MDSettings.from_dict({'temperatur': 300.0})


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'steps': 0}, "MD setting 'steps' is 0, it must be positive"),
        ({'seed': -1}, "MD setting 'seed' is -1, it must not be negative"),
        ({'steps': 5, 'sampling_interval': 6}, 'sampling_interval 6 exceeds steps 5: no frame would be stored'),
        ({'ensemble': 'nptt'}, "unknown ensemble 'nptt': did you mean 'npt'? Known: npt, nve, nvt."),
        ({'seed': 1.5}, "MD setting 'seed' is 1.5, expected int"),
        ({'fixed_atoms': [1.5]}, "MD setting 'fixed_atoms' is [1.5], expected list of int"),
        ({'fixed_elements': 'CO'}, "MD setting 'fixed_elements' is 'CO', expected list of str"),
        ({'temperature': '300'}, "MD setting 'temperature' is '300', expected float"),
    ],
)
def test_wrong_setting_is_refused(values, message):
    with pytest.raises(MDSettingsError, match=f'^{re.escape(message)}$'):
        MDSettings.from_dict(values)


def test_whole_numbers_of_steps_become_integers():
    settings = MDSettings.from_dict({'sampling_interval': 100.0, 'equilibration_steps': 100.0, 'fixed_atoms': [1.0]})
    assert repr((settings.sampling_interval, settings.equilibration_steps, settings.fixed_atoms)) == '(100, 100, (1,))'


@pytest.mark.parametrize('name', sorted(JOBS))
def test_import_needs_no_backend(name):
    module = type(load_member(MD_ENGINES, name)).__module__
    backends = {'aiida', 'torch', 'torch_sim', 'lammps', 'mace', 'deepmd'}
    program = f'import sys, {module}; print(sorted({backends!r} & set(sys.modules)))'
    result = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=True)
    assert result.stdout == '[]\n'
