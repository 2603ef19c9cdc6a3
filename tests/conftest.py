"""Fixtures of all tests; those below the AiiDA line do not touch a profile, and can be run where there is no AiiDA."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

if os.environ.get('EDL_TESTS_NEED_TORCH'):  # a test that is skipped where it must run would pass unseen
    for name in ('torch', 'torchpme', 'numba', 'mace'):
        if importlib.util.find_spec(name) is None:
            raise ImportError(f'{name} is not installed, and tests are asked for that need it; run `make test-torch`')

AIIDA_PATH = Path(tempfile.mkdtemp(prefix='aiida-edl-tests-'))
(AIIDA_PATH / '.aiida').mkdir()
os.environ['AIIDA_PATH'] = str(AIIDA_PATH)  # before anything imports AiiDA: the tests never touch ~/.aiida
os.environ['PATH'] = os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])  # verdi, packmol
atexit.register(shutil.rmtree, AIIDA_PATH, ignore_errors=True)

HAS_AIIDA = importlib.util.find_spec('aiida') is not None
pytest_plugins = ['aiida.tools.pytest_fixtures'] if HAS_AIIDA else []

TESTS = Path(__file__).parent


@pytest.fixture(scope='session', autouse=HAS_AIIDA)
def aiida_profile(aiida_config, aiida_profile_factory):
    """Return a profile without services: SQLite storage, built-in broker; the daemon can import the toys."""
    paths = [str(TESTS), *filter(None, [os.environ.get('PYTHONPATH')])]
    os.environ['PYTHONPATH'] = os.pathsep.join(paths)
    with aiida_profile_factory(aiida_config, broker_backend='core.zeromq') as profile:
        aiida_config.set_option('daemon.timeout', 60, scope=profile.name)
        aiida_config.set_option('runner.poll.interval', 1, scope=profile.name)
        yield profile
