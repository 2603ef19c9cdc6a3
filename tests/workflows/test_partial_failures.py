"""A child whose inputs are refused is a failure of its part, not of the whole chain."""

from __future__ import annotations

import pytest
from aiida.engine import WorkChain
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager

from aiida_edl.workflows.interface_analysis import InterfaceAnalysisWorkChain
from aiida_edl.workflows.partial_failures import PartialFailuresMixin


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
