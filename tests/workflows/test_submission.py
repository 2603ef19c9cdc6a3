"""A step that runs twice must not submit its children twice."""

from __future__ import annotations

import os
import signal
import time

import pytest
from aiida.common.links import LinkType
from aiida.engine import submit
from aiida.orm import Str, WorkChainNode, load_node
from toy.interruption import N_CHILDREN, InterruptedWorkChain

from aiida_edl.workflows.submission import SubmitOnceMixin


class Chain(SubmitOnceMixin):
    """Stands in for a work chain: has nothing but the node whose children are looked up."""

    def __init__(self, node):
        self.node = node


@pytest.fixture
def parent():
    return WorkChainNode().store()


def add_child(parent, label, state, checkpoint=None):
    child = WorkChainNode()
    child.base.links.add_incoming(parent, LinkType.CALL_WORK, label)
    child.store()
    child.set_process_state(state)
    if checkpoint:
        child.set_checkpoint(checkpoint)
    return child


def test_no_child(parent):
    assert Chain(parent).called_child('training') is None


def test_child_with_checkpoint_is_found(parent):
    child = add_child(parent, 'training', 'running', checkpoint='bundle')
    assert Chain(parent).called_child('training').pk == child.pk


def test_child_that_could_never_start_is_passed_over(parent):
    add_child(parent, 'training', 'created')
    assert Chain(parent).called_child('training') is None


def test_label_is_matched_to_the_letter(parent):
    """The label filter of the database knows wildcards: ``_`` must not match any character."""
    add_child(parent, 'md_2Na', 'finished')
    assert Chain(parent).called_child('md__Na') is None


@pytest.mark.slow
def test_worker_killed_inside_submitting_step(started_daemon_client, tmp_path):
    marker = tmp_path / 'worker'
    node = submit(InterruptedWorkChain, marker=Str(str(marker)))
    deadline = time.monotonic() + 120
    while not (marker.exists() and marker.read_text()):
        assert time.monotonic() < deadline, 'the step was not reached'
        time.sleep(0.2)
    os.kill(int(marker.read_text()), signal.SIGKILL)
    while not node.is_terminated:
        assert time.monotonic() < deadline, 'the work chain was not recovered'
        time.sleep(0.5)
    assert load_node(node.pk).is_finished_ok
    assert len(load_node(node.pk).called) == N_CHILDREN
