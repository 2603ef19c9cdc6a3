"""Active learning from end to end in seconds, what it survives and what it does not, and what an extension reuses."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from aiida.common.links import LinkType
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching
from aiida.orm import CalcFunctionNode, CalcJobNode, Computer, Dict, InstalledCode
from calculation_cases import dataset, register_toy, split
from learning_cases import LABELS, MD, learning_inputs

from aiida_edl.workflows.active_learning import ActiveLearningWorkChain

EVERYTHING_IS_ACCURATE = {'window': {'lower': 1.0, 'upper': 2.0}}


@pytest.fixture(scope='module')
def code(aiida_profile, tmp_path_factory):
    """Return the interpreter of the tests as a code; the toy architecture is registered for all tests of this file."""
    computer = Computer(
        label='active-learning',
        hostname='localhost',
        workdir=str(tmp_path_factory.mktemp('work')),
        transport_type='core.local',
        scheduler_type='core.direct',
    ).store()
    computer.set_minimum_job_poll_interval(0.0)
    computer.configure(safe_interval=0.0, use_login_shell=False)
    with pytest.MonkeyPatch.context() as monkeypatch:
        register_toy(monkeypatch)
        yield InstalledCode(computer, sys.executable, label='active-learning-python').store()


@pytest.fixture(scope='module')
def learn(code):
    """Return a function that runs active learning; what was computed for an earlier one comes from the cache."""

    def run(settings=None, **changes):
        with enable_caching():
            return run_get_node(ActiveLearningWorkChain, **learning_inputs(code, settings, **changes))[1]

    return run


@pytest.fixture(scope='module')
def learnt(learn):
    """Return active learning of one round."""
    return learn()


@pytest.fixture(scope='module')
def extended(learnt, learn):
    """Return the same with a second round."""
    return learn({'maximum_rounds': 2})


def rounds(node):
    return node.outputs.report['rounds']


def computed(node):
    """Return labels of the processes that were computed, not reused, by their path from the chain."""
    children = [child for child in node.called_descendants if isinstance(child, (CalcJobNode, CalcFunctionNode))]
    return [child for child in children if not child.base.caching.is_created_from_cache]


def test_scratch(learnt, extended):
    import json
    from aiida.cmdline.utils.common import get_workchain_report
    for node in (learnt, extended):
        print(get_workchain_report(node, 'REPORT', max_depth=1))
        print(node.exit_status, node.exit_message)
        print([c.process_label for c in computed(node)])
    print(json.dumps(node.outputs.report.get_dict(), indent=1))
    assert 0
