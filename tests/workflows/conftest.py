"""Fixtures of the work chains."""

from __future__ import annotations

import sys

import pytest
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager
from calculation_cases import register_toy


@pytest.fixture
def toy_architecture(monkeypatch):
    """Register the toy architecture."""
    register_toy(monkeypatch)


@pytest.fixture
def python_code(aiida_code_installed, toy_architecture):
    """Return the interpreter of the tests as a code."""
    return aiida_code_installed(label='python', filepath_executable=sys.executable)


@pytest.fixture
def make_chain():
    """Return a function that makes a work chain from class and inputs, and sets it up."""

    def make(process_class, **inputs):
        chain = instantiate_process(get_manager().get_runner(), process_class, **inputs)
        chain.setup()
        return chain

    return make


@pytest.fixture
def caching_daemon(aiida_config, aiida_profile, daemon_client):
    """Return a daemon that takes jobs from the cache."""
    option = 'caching.enabled_for'
    aiida_config.set_option(option, ['aiida.calculations:edl.*'], scope=aiida_profile.name)
    aiida_config.store()
    daemon_client.start_daemon()
    yield daemon_client
    daemon_client.stop_daemon(wait=True)
    aiida_config.unset_option(option, scope=aiida_profile.name)
