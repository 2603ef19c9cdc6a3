"""Values on the command line become nested settings."""

from __future__ import annotations

import click
import pytest

from aiida_edl.cli.parameters import named_nodes, named_values, nested_settings


def test_assignments_win_over_the_file(tmp_path):
    (tmp_path / 'settings.yaml').write_text('split: {seed: 1, n_test: 4}\n')
    assert nested_settings(tmp_path / 'settings.yaml', ['split.seed=2']) == {'split': {'seed': 2, 'n_test': 4}}


def test_file_without_names_is_refused(tmp_path):
    (tmp_path / 'settings.yaml').write_text('- 1\n')
    with pytest.raises(click.UsageError) as error:
        nested_settings(tmp_path / 'settings.yaml', [])
    assert error.value.message.endswith('holds list, it must hold settings by name')


def test_group_and_value_of_one_name_are_refused():
    with pytest.raises(click.UsageError) as error:
        nested_settings(None, ['split=1', 'split.seed=2'])
    assert error.value.message == "'split.seed=2': 'split' is a value, not a group of settings"


def test_named_values():
    assert named_values(['mace=python@cluster'], 'label') == {'mace': 'python@cluster'}


def test_named_value_without_name_is_refused():
    with pytest.raises(click.UsageError) as error:
        named_values(['python@cluster'], 'label')
    assert error.value.message == "'python@cluster' names no label, write NAME=LABEL"


def test_named_node_that_is_not_there_is_refused(aiida_profile):
    with pytest.raises(click.UsageError) as error:
        named_nodes(['foundation=no-such-potential'], 'edl.potential')
    assert error.value.message.startswith("'no-such-potential' of 'foundation' is no potential: ")
