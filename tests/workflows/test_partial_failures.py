"""A child whose inputs are refused is a failure of its part, not of the whole chain."""

from __future__ import annotations

import pytest
from aiida.engine import WorkChain
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager

from aiida_edl.workflows.interface_analysis import InterfaceAnalysisWorkChain
from aiida_edl.workflows.partial_failures import PartialFailuresMixin, reason_of


class PartsWorkChain(PartialFailuresMixin, WorkChain):
    """A chain of parts."""


@pytest.fixture
def chain(aiida_profile):
    return instantiate_process(get_manager().get_runner(), PartsWorkChain)


def test_refused_inputs_are_remembered(chain):
    assert chain.try_submit(InterfaceAnalysisWorkChain, 'analysis at 2Na', settings=None) is None
    (failure,) = chain.failures
    assert failure.startswith('analysis at 2Na, which was refused: ')
    assert "'trajectory'" in failure or 'trajectory' in failure


def test_failures_are_kept_in_order(chain):
    chain.note_failure('one')
    chain.note_failure('two')
    assert chain.failures == ['one', 'two']


@pytest.mark.parametrize(
    ('error', 'reason'),
    [
        (ValueError('the grids differ'), 'the grids differ'),
        (KeyError('z'), "KeyError: 'z'"),
        (ZeroDivisionError('float division by zero'), 'ZeroDivisionError: float division by zero'),
    ],
)
def test_calculation_that_finds_nothing_is_remembered_with_its_reason(chain, monkeypatch, error, reason):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(chain, 'call_once', refuse)
    assert chain.try_call(None, 'comparison of models', 'label') is None
    assert chain.failures == [f'comparison of models ({reason})']
    assert reason_of(error) == reason


def test_what_is_no_matter_of_the_data_is_not_hidden(chain, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError('the database is gone')

    monkeypatch.setattr(chain, 'call_once', refuse)
    with pytest.raises(RuntimeError, match=r'^the database is gone$'):
        chain.try_call(None, 'comparison of models', 'label')
