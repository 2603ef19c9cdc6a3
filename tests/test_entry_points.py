"""Every entry point loads, carries the prefix, and is the kind of thing its group promises."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

import pytest
from aiida.engine import CalcJob, WorkChain, is_process_function
from aiida.orm import Data
from aiida.parsers import Parser

from aiida_edl.architectures.base import Architecture
from aiida_edl.md_engines.base import MDEngine
from aiida_edl.science.formats.base import DatasetFormat
from aiida_edl.workflows.registered_analyses import CONTEXT, analysis_function

AIIDA_GROUPS = ('aiida.data', 'aiida.calculations', 'aiida.calculations.monitors', 'aiida.parsers', 'aiida.workflows')
FAMILIES = {
    'aiida_edl.architectures': Architecture,
    'aiida_edl.md_engines': MDEngine,
    'aiida_edl.dataset_formats': DatasetFormat,
}
PREFIX = 'edl.'


def ours(group: str) -> list[EntryPoint]:
    """Return the entry points of this distribution in a group."""
    return sorted((e for e in entry_points(group=group) if e.module.startswith('aiida_edl.')), key=lambda e: e.name)


def parameters(*groups: str) -> list[object]:
    """Return one parameter per entry point."""
    return [pytest.param(e, id=f'{group}:{e.name}') for group in groups for e in ours(group)]


@pytest.mark.parametrize('entry_point', parameters(*AIIDA_GROUPS))
def test_name_carries_the_prefix(entry_point):
    assert entry_point.name.startswith(PREFIX)


@pytest.mark.parametrize('entry_point', parameters('aiida.data'))
def test_data(entry_point):
    assert issubclass(entry_point.load(), Data)


@pytest.mark.parametrize('entry_point', parameters('aiida.calculations'))
def test_calculation(entry_point):
    loaded = entry_point.load()
    assert is_process_function(loaded) or issubclass(loaded, CalcJob)


@pytest.mark.parametrize('entry_point', parameters('aiida.parsers'))
def test_parser(entry_point):
    assert issubclass(entry_point.load(), Parser)


@pytest.mark.parametrize('entry_point', parameters('aiida.workflows'))
def test_work_chain(entry_point):
    assert issubclass(entry_point.load(), WorkChain)


@pytest.mark.parametrize('entry_point', parameters(*FAMILIES))
def test_member_of_a_family(entry_point):
    member = entry_point.load()()
    assert isinstance(member, FAMILIES[entry_point.group])
    assert member.name == entry_point.name


@pytest.mark.parametrize('entry_point', parameters('aiida.calculations', 'aiida.workflows'))
def test_process_describes_itself(entry_point):
    """Every port has a help text and every exit code a message; the first line of the docstring is a sentence."""
    loaded = entry_point.load()
    spec = (loaded.process_class if is_process_function(loaded) else loaded).spec()
    own = [spec.inputs, spec.outputs]
    nameless = [
        name
        for namespace in own
        for name, port in namespace.items()
        if name not in ('metadata', 'monitors') and not port.help and not hasattr(port, 'items')
    ]
    assert nameless == []
    assert [code.status for code in spec.exit_codes.values() if code.status >= 200 and not code.message] == []
    assert loaded.__doc__.strip().split('\n')[0].endswith('.')


@pytest.mark.parametrize('entry_point', parameters('aiida_edl.analyses'))
def test_analysis(entry_point):
    """Its settings need no arguments and survive a round trip; its calcfunction takes them with a trajectory."""
    settings_class = entry_point.load()
    assert settings_class.from_dict(settings_class().to_dict()) == settings_class()
    ports = analysis_function(entry_point.name).process_class.spec().inputs
    assert sorted(set(ports) - {'metadata', *CONTEXT}) == ['settings', 'trajectory']
    assert not [name for name in CONTEXT if name in ports and ports[name].required]


def test_every_group_has_members():
    assert [group for group in (*AIIDA_GROUPS, *FAMILIES, 'aiida_edl.analyses') if not ours(group)] == []


def test_command_line():
    (entry_point,) = entry_points(group='console_scripts', name='aiida-edl')
    assert callable(entry_point.load())
