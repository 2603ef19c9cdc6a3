"""The page on building lithium fluoride, executed from top to bottom."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from aiida.orm import load_node
from click.testing import CliRunner

from aiida_edl.cli.main import main

PAGE = Path(__file__).parents[1] / 'docs' / 'source' / 'howto' / 'build_lithium_fluoride.md'
BLOCK = re.compile(r'^```python\n(.*?)^```$', re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r'^aiida-edl (structure .*)$', re.MULTILINE)


@pytest.fixture(scope='module')
def page(aiida_profile):
    """Return what the blocks of the page have made."""
    made = {}
    exec(compile('\n'.join(BLOCK.findall(PAGE.read_text(encoding='utf-8'))), PAGE.name, 'exec'), made)
    return made


def test_what_the_page_builds_is_what_it_says(page):
    report = page['report']
    assert (report['n_atoms'], report['n_frames'], report['warnings']) == (217, 5, [])
    assert page['columns']['defect'].tolist() == ['interstitial'] * 5


def test_sets_of_one_size_differ_in_the_share_of_defects(page):
    counts = [np.count_nonzero(subset.frames().columns['defect'] == 'interstitial') for subset in page['subsets']]
    assert ([subset.n_frames for subset in page['subsets']], counts) == ([12, 12], [3, 9])


def test_commands_of_the_page_build_what_they_name(aiida_profile):
    commands = COMMAND.findall(PAGE.read_text(encoding='utf-8'))
    reports = []
    for command in commands:
        result = CliRunner().invoke(main, ['-p', aiida_profile.name, *shlex.split(command)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        node = load_node(re.match(r'DatasetData<\d+> (\S+)', result.output)[1])
        reports.append(node.base.attributes.get('report'))
    assert [report['n_atoms'] for report in reports] == [217, 216, 507, 432, 96]
    assert reports[2]['n_defects'] == 5
