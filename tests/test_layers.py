"""Nothing below the AiiDA line needs AiiDA or a backend: tried in a fresh interpreter that has neither."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest
from torch_modules import torch_modules

LOWER_LAYERS = (
    'aiida_edl.registry',
    'aiida_edl.typed_fields',
    'aiida_edl.science',
    'aiida_edl.architectures',
    'aiida_edl.md_engines',
    'aiida_edl.environments',
)
STAGED = 'aiida_edl.drivers'
NEED_MODULES = ('validate_long_range',)
"""Drivers that travel with modules of this package."""
FORBIDDEN = ('aiida', 'torch', 'mace', 'deepmd', 'tblite', 'lammps', 'tensorflow', 'jax')
BLOCKED_IMPORT = """
import importlib, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {forbidden!r}:
            raise ImportError(f'{{name}} is imported below the AiiDA line')

sys.meta_path.insert(0, Blocker())
for name in {names!r}:
    importlib.import_module(name)
print('imported', {count})
"""


def modules_below(package_name: str) -> list[str]:
    """Return the dotted names of a module and of all modules in it."""
    package = import_module(package_name)
    paths = getattr(package, '__path__', None)
    found = [] if paths is None else [m.name for m in pkgutil.walk_packages(paths, package_name + '.')]
    return [package_name, *found]


def import_without_backends(names: list[str], forbidden: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Import modules in a fresh interpreter in which the forbidden packages cannot be imported."""
    program = BLOCKED_IMPORT.format(forbidden=forbidden, names=names, count=len(names))
    return subprocess.run([sys.executable, '-W', 'error', '-c', program], capture_output=True, text=True, check=False)


def test_lower_layers_import_without_aiida_and_backends():
    names = [name for layer in LOWER_LAYERS for name in modules_below(layer) if name not in torch_modules()]
    result = import_without_backends(names, FORBIDDEN)
    assert result.stderr == ''
    assert result.stdout == f'imported {len(names)}\n'


def test_drivers_import_without_this_package():
    """Drivers are copied to machines that do not have it, so each file is run as one that stands alone."""
    directory = import_module(STAGED).__path__[0]
    others = {*NEED_MODULES, *(name.rpartition('.')[2] for name in torch_modules())}
    names = [module.name for module in pkgutil.iter_modules([directory]) if module.name not in others]
    program = f'import sys; sys.path.insert(0, {directory!r})\n' + BLOCKED_IMPORT.format(
        forbidden=(*FORBIDDEN, 'aiida_edl'), names=names, count=len(names)
    )
    result = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=False)
    assert result.stderr == ''
    assert result.stdout == f'imported {len(names)}\n'


@pytest.mark.parametrize('forbidden', ['numpy', 'ase'])
def test_a_forbidden_import_is_noticed(forbidden):
    """The guard of these tests works: blocking what is needed fails."""
    result = import_without_backends(['aiida_edl.science.frames', 'aiida_edl.science.reference_model'], (forbidden,))
    assert f'ImportError: {forbidden}' in result.stderr
