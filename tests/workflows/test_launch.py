"""Which benchmark of the same inputs is taken instead of a new one."""

from __future__ import annotations

import pytest
from aiida.common.links import LinkType
from aiida.orm import Dict, WorkChainNode

from aiida_edl.workflows.charged_interface_benchmark import ChargedInterfaceBenchmarkWorkChain
from aiida_edl.workflows.launch import known_benchmark


@pytest.mark.parametrize(('exit_status', 'is_known'), [(0, True), (700, True), (510, False)])
def test_benchmark_that_has_a_result_is_known(python_code, exit_status, is_known):
    settings = {'any': exit_status}
    node = WorkChainNode(process_type=ChargedInterfaceBenchmarkWorkChain.build_process_type())
    node.base.links.add_incoming(Dict(settings).store(), LinkType.INPUT_WORK, 'settings')
    node.base.links.add_incoming(python_code, LinkType.INPUT_WORK, 'codes__reference')
    node.store()
    node.set_process_state('finished')
    node.set_exit_status(exit_status)
    found = known_benchmark(settings, {'reference': python_code.uuid})
    assert (found is not None and found.pk == node.pk) is is_known
    assert known_benchmark({'any': 'other'}, {'reference': python_code.uuid}) is None
