"""Named sets of inputs."""

from __future__ import annotations

import pytest

from aiida_edl.workflows.charged_interface_benchmark import ChargedInterfaceBenchmarkWorkChain as Benchmark
from aiida_edl.workflows.protocols.mixin import ProtocolError, merge


def test_merge_goes_down():
    assert merge({'a': {'b': 1, 'c': 2}, 'd': 3}, {'a': {'c': 4}}) == {'a': {'b': 1, 'c': 4}, 'd': 3}


def test_merge_removes_with_none():
    assert merge({'a': 1, 'b': 2}, {'a': None}) == {'b': 2}


def test_merge_replaces_whole():
    assert merge({'sets': {'x': [0]}}, {'sets': {'y': [1]}}, ('sets',)) == {'sets': {'y': [1]}}


def test_merge_leaves_its_arguments_alone():
    base = {'a': {'b': [1]}}
    merge(base, {})['a']['b'].append(2)
    assert base == {'a': {'b': [1]}}


def test_every_protocol_has_a_description():
    assert set(Benchmark.get_available_protocols()) >= {'fast', 'balanced', 'study'}
    assert all(len(text) > 20 for text in Benchmark.get_available_protocols().values())


def test_unknown_protocol_names_the_nearest():
    message = "unknown protocol 'fats': did you mean 'fast'? Known: balanced, fast, paper_a, study."
    with pytest.raises(ProtocolError, match=f'^{message.replace("?", chr(92) + "?")}$'):
        Benchmark.get_protocol_inputs('fats')


def test_unknown_key_names_the_nearest():
    with pytest.raises(ProtocolError, match="unknown protocol key 'charge_state': did you mean 'charge_states'"):
        Benchmark.get_protocol_inputs('fast', {'charge_state': [0]})


@pytest.mark.parametrize('protocol', ['fast', 'balanced', 'study'])
def test_protocol(protocol, data_regression):
    data_regression.check(Benchmark.get_protocol_inputs(protocol))
