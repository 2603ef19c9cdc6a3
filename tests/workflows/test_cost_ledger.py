"""What jobs cost, by stage."""

from __future__ import annotations

import pytest
from aiida.common import LinkType
from aiida.orm import CalcJobNode, Computer, Dict, Str, WorkChainNode

from aiida_edl.workflows.cost_ledger import costs_of


@pytest.fixture
def study(aiida_localhost):
    """Return a function that makes a process with jobs from the summaries that they have."""

    def make(*jobs):
        process = WorkChainNode().store()
        for number, (output, summary, device) in enumerate(jobs):
            job = CalcJobNode(computer=aiida_localhost, process_type='aiida.calculations:edl.training')
            job.base.links.add_incoming(process, LinkType.CALL_CALC, f'job_{number}')
            if device:
                job.base.links.add_incoming(Str(device).store(), LinkType.INPUT_CALC, 'device')
            job.store()
            if output:
                node = Dict(summary)
                node.base.links.add_incoming(job, LinkType.CREATE, output)
                node.store()
        return process

    assert isinstance(aiida_localhost, Computer)
    return make


def test_hours_are_summed_by_stage(study):
    process = study(
        ('training_summary', {'wall_seconds': 1800.0, 'cpu_seconds': 3600.0}, 'cpu'),
        ('training_summary', {'wall_seconds': 1800.0, 'cpu_seconds': 7200.0}, 'cpu'),
        ('md_summary', {'wall_seconds': 360.0, 'cpu_seconds': 360.0}, 'cpu'),
    )
    costs = costs_of(process)
    assert (costs['training']['jobs'], costs['training']['wall_hours']) == (2, 1.0)
    assert (costs['training']['core_hours'], costs['dynamics']['core_hours']) == (3.0, 0.1)


def test_time_on_an_accelerator_is_counted_beside_that_of_the_cores(study):
    costs = costs_of(study(('md_summary', {'wall_seconds': 7200.0, 'cpu_seconds': 3600.0}, 'cuda')))
    assert (costs['dynamics']['gpu_hours'], costs['dynamics']['core_hours']) == (2.0, 1.0)


def test_labelled_frames_are_counted(study):
    costs = costs_of(study(('label_summary', {'wall_seconds': 1.0, 'n_frames': 10, 'n_labelled': 9}, '')))
    assert costs['labelling']['frames'] == 9


def test_job_that_states_no_time_is_counted_as_one_without(study):
    costs = costs_of(study(('md_summary', {'wall_seconds': None}, ''), (None, {}, '')))
    assert (costs['dynamics']['without_time'], costs['other']['without_time']) == (1, 1)
