"""A study with more in it: what is kept, what joins it, and what is computed again."""

from __future__ import annotations

import re

import pytest
from aiida.common.links import LinkType
from aiida.orm import Dict, WorkChainNode
from calculation_cases import stored_once

from aiida_edl.workflows.benchmark_settings import BenchmarkSettings
from aiida_edl.workflows.charged_interface_benchmark import ChargedInterfaceBenchmarkWorkChain
from aiida_edl.workflows.extension import codes_of_study, consequences, extended_settings
from aiida_edl.workflows.launch import LaunchError, benchmark_settings


@pytest.fixture
def study(python_code):
    """Return a benchmark of the protocol ``fast`` that has ended."""

    def make():
        node = WorkChainNode(process_type=ChargedInterfaceBenchmarkWorkChain.build_process_type())
        node.base.links.add_incoming(Dict(benchmark_settings('fast')).store(), LinkType.INPUT_WORK, 'settings')
        node.base.links.add_incoming(python_code, LinkType.INPUT_WORK, 'codes__reference')
        return node

    return stored_once('study to extend', make)


def models(settings):
    return {model.key for model in BenchmarkSettings.from_dict(settings).models()}


def test_architecture_joins_the_others_with_their_seeds(study):
    settings = extended_settings(study, {}, ['grace'])
    added = models(settings) - models(benchmark_settings('fast'))
    assert models(benchmark_settings('fast')) < models(settings)
    assert added == {f'grace_{name}_seed_{seed:02d}' for name in ('mixed', 'single_0', 'single_2') for seed in (1, 2)}
    assert consequences(benchmark_settings('fast'), settings) == []


def test_seeds_join_those_of_every_architecture(study):
    settings = extended_settings(study, {}, ['grace'], [2, 3])
    assert [part['seeds'] for part in settings['architectures'].values()] == [[1, 2, 3]] * 3
    assert consequences(benchmark_settings('fast'), settings) == []


def test_runs_and_sizes_and_pairs_change_nothing_that_was_there(study):
    overrides = {'production': {'replicas': 2}, 'set_sizes': [24, 96], 'training_sets': {'single': True}}
    settings = extended_settings(study, overrides)
    assert settings['training_sets'] == benchmark_settings('fast')['training_sets']
    assert consequences(benchmark_settings('fast'), settings) == []


def test_tolerance_of_rejected_labels_changes_nothing_that_was_there(study):
    settings = extended_settings(study, {'labelling': {'max_failed_fraction': 0.0}})
    assert consequences(benchmark_settings('fast'), settings) == []


def test_codes_are_those_of_the_study(study, python_code):
    assert codes_of_study(study) == {'reference': python_code.uuid}


@pytest.mark.parametrize(
    ('overrides', 'expected'),
    [
        (
            {'charge_states': [0, 1, 2]},
            'charge_states is not that of the study: the data set is another one, so that every potential is trained '
            'again',
        ),
        (
            {'training_sets': {'mine': [2, 0]}},
            'the atomic energies are fitted to mine, too: every potential is trained again, unless they come out the '
            'same',
        ),
        (
            {'architectures': {'mace': {'gradient_updates': 700}}},
            'mace is trained or run in another way: its models are made again',
        ),
        (
            {'production': {'md': {'steps': 3200}}},
            'production is not that of the study: every potential is run again',
        ),
    ],
)
def test_what_does_not_come_from_the_cache_is_said(study, overrides, expected):
    assert consequences(benchmark_settings('fast'), extended_settings(study, overrides)) == [expected]


def test_architecture_that_is_there_is_refused(study):
    message = 'mace is part of the study already; name those that are not, or change its settings with --set'
    with pytest.raises(LaunchError, match=f'^{re.escape(message)}$'):
        extended_settings(study, {}, ['mace'])


def test_process_that_is_no_benchmark_is_refused(aiida_profile):
    node = stored_once('no benchmark', lambda: WorkChainNode(label='other'))
    with pytest.raises(LaunchError, match=r'is no benchmark; give the process of one$'):
        extended_settings(node)
