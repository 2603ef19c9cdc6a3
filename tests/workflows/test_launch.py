"""Which benchmark of the same inputs is taken instead of a new one."""

from __future__ import annotations

import re

import pytest
from aiida.common.links import LinkType
from aiida.orm import Dict, WorkChainNode

from aiida_edl.registry import ARCHITECTURES, load_member
from aiida_edl.workflows.charged_interface_benchmark import ChargedInterfaceBenchmarkWorkChain
from aiida_edl.workflows.launch import LaunchError, known_benchmark, options_on_gpus


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


def test_accelerators_for_an_architecture_without_a_code_are_refused(aiida_profile):
    message = (
        "no code is given for architecture 'mace'; install it with: "
        f'{load_member(ARCHITECTURES, "mace").install_command}'
    )
    with pytest.raises(LaunchError, match=f'^{re.escape(message)}$'):
        options_on_gpus({}, {'reference': 'lmp'}, ['mace'], 1)
