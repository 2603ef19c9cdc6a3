"""In which format an engine is given a model that was just trained."""

from __future__ import annotations

import re

import pytest

from aiida_edl.architectures.conversion import ConversionError
from aiida_edl.registry import ARCHITECTURES, load_member


@pytest.mark.parametrize(
    ('architecture', 'kind', 'wished', 'formats'),
    [
        ('mace', 'ase', '', []),
        ('mace', 'lammps', '', ['mliap']),
        ('grace', 'lammps', '', []),
        ('deep_potential', 'lammps', '', ['dp', 'savedmodeltf']),
        ('deep_potential', 'lammps', 'native', []),
        ('deep_potential', 'ase', 'savedmodeltf', ['dp', 'savedmodeltf']),
    ],
)
def test_formats_lead_to_the_one_that_is_run(architecture, kind, wished, formats):
    assert list(load_member(ARCHITECTURES, architecture).formats_to_run(kind, wished)) == formats


def test_format_that_is_not_loaded_is_refused():
    message = "unknown format in which lammps loads mace 'savedmodeltf': Known: mliap."
    with pytest.raises(ConversionError, match=f'^{re.escape(message)}$'):
        load_member(ARCHITECTURES, 'mace').formats_to_run('lammps', 'savedmodeltf')


def test_format_without_conversion_is_refused(monkeypatch):
    member = load_member(ARCHITECTURES, 'mace')
    monkeypatch.setattr(type(member), 'conversions', {})
    message = 'lammps loads mace as mliap, but it can be converted into nothing; choose another engine or format'
    with pytest.raises(ConversionError, match=f'^{re.escape(message)}$'):
        member.formats_to_run('lammps')
