"""Commands that build crystals: what they print, and what they store."""

from __future__ import annotations

import re

import pytest
from aiida.orm import load_node
from click.testing import CliRunner

from aiida_edl.cli.main import main


@pytest.fixture(scope='module')
def call(aiida_profile):
    """Return a function that runs a command and checks its exit status."""

    def run(*arguments, exit_code=0):
        result = CliRunner().invoke(main, ['-p', aiida_profile.name, 'structure', *map(str, arguments)])
        assert result.exit_code == exit_code, result.output
        return result.output

    return run


def test_defect_from_a_file_and_the_command_line(call, tmp_path):
    file = tmp_path / 'settings.yaml'
    file.write_text('defect: vacancy\nrepeat: [2, 2, 2]\nn_frames: 3\n')
    text = call('build-lithium-fluoride', '--settings', file, '--set', 'n_frames=2', '--label', 'vacancies')
    node = load_node(re.fullmatch(r'DatasetData<\d+> ([0-9a-f-]{36})\n', text)[1])
    assert (node.label, node.n_frames, node.frames().columns['defect'].tolist()) == ('vacancies', 2, ['vacancy'] * 2)


def test_what_the_report_warns_of_is_printed(call):
    text = call('build-lithium-fluoride', '--set', 'defect=interstitial', '--set', 'repeat=[1, 2, 2]')
    assert text.splitlines()[1:] == [
        'Warning: a defect is 4.03 Å from its own periodic image, nearer than 8 Å; its energy and its barriers are '
        'those of a periodic array.'
    ]


def test_interphase(call):
    text = call('build-interphase', '--set', 'fluoride_layers=2', '--set', 'carbonate_layers=1')
    node = load_node(re.fullmatch(r'DatasetData<\d+> ([0-9a-f-]{36})\n', text)[1])
    assert node.base.attributes.get('report')['n_interfaces'] == 2


@pytest.mark.parametrize(
    ('command', 'assignment', 'message'),
    [
        ('build-lithium-fluoride', 'defect=vacansy', "unknown defect 'vacansy': did you mean 'vacancy'?"),
        ('build-interphase', 'gap=0.0', "interphase setting 'gap' is 0.0, it must be positive"),
        ('build', 'metal=Fe', "unknown fcc metal 'Fe': Known: Ag, Al, Au, Cu, Ni, Pd, Pt."),
    ],
)
def test_wrong_settings_are_one_sentence(call, command, assignment, message):
    text = call(command, '--set', assignment, exit_code=1)
    assert message in text
    assert 'Traceback' not in text
