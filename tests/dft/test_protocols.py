"""Protocols of engines: each value is a setting that exists, and says where it comes from."""

from __future__ import annotations

import pytest

from aiida_edl.dft.cp2k_settings import Cp2kSettings
from aiida_edl.dft.protocols import ProtocolError, available_protocols, engine_protocol, protocol_document
from aiida_edl.dft.vasp_settings import VaspSettings

SETTINGS = {'cp2k': Cp2kSettings, 'vasp': VaspSettings}
CASES = [(engine, name) for engine in SETTINGS for name in available_protocols(engine)]


@pytest.mark.parametrize(('engine', 'name'), CASES)
def test_settings_exist(engine, name):
    values = engine_protocol(engine, name)
    settings = SETTINGS[engine].from_dict(values)
    assert {key: getattr(settings, key) for key in values} == values


@pytest.mark.parametrize(('engine', 'name'), CASES)
def test_each_value_has_a_source(engine, name):
    protocol = protocol_document(engine)['protocols'][name]
    assert protocol['description']
    assert all(set(entry) == {'value', 'source'} and entry['source'] for entry in protocol['settings'].values())


@pytest.mark.parametrize('engine', SETTINGS)
def test_default_is_balanced(engine):
    assert engine_protocol(engine) == engine_protocol(engine, 'balanced')


def test_changes_win_over_the_protocol():
    assert engine_protocol('cp2k', 'fast', cutoff=500.0, k_points=[2, 2, 1]) == {
        **engine_protocol('cp2k', 'fast'),
        'cutoff': 500.0,
        'k_points': [2, 2, 1],
    }


def test_unknown_protocol_is_answered_with_the_nearest():
    with pytest.raises(ProtocolError, match="unknown protocol of cp2k 'balancd': did you mean 'balanced'"):
        engine_protocol('cp2k', 'balancd')


def test_engine_without_protocols_is_refused():
    with pytest.raises(
        ProtocolError, match=r"^engine 'gaussian' has no protocols; give all its settings, or use one of: "
    ):
        engine_protocol('gaussian')
