"""What jobs cost, by stage."""

from __future__ import annotations

import pytest
from aiida.common import LinkType
from aiida.orm import CalcFunctionNode, CalcJobNode, Dict, Str, WorkChainNode

from aiida_edl.workflows.cost_ledger import costs_of


def attach(process, name, values):
    """Store values as an output of a process."""
    node = Dict(values)
    node.base.links.add_incoming(process, LinkType.CREATE, name)
    return node.store()


@pytest.fixture
def add_chain(aiida_profile):
    """Return a function that stores a work chain."""

    def make(caller=None, kind=''):
        chain = WorkChainNode(process_type=f'aiida.workflows:{kind}' if kind else '')
        if caller is not None:
            chain.base.links.add_incoming(caller, LinkType.CALL_WORK, f'chain_{len(caller.called)}')
        return chain.store()

    return make


@pytest.fixture
def add_job(aiida_localhost):
    """Return a function that stores a job, with the device, the outputs and the scheduler options that it has."""

    def make(caller, device, outputs, **options):
        job = CalcJobNode(computer=aiida_localhost, process_type='aiida.calculations:edl.training')
        job.set_options({'resources': {'num_machines': 1}, **options})
        job.base.links.add_incoming(caller, LinkType.CALL_CALC, f'job_{len(caller.called)}')
        if device:
            job.base.links.add_incoming(Str(device).store(), LinkType.INPUT_CALC, 'device')
        job.store()
        for name, values in outputs.items():
            attach(job, name, values)
        return job

    return make


@pytest.fixture
def study(add_job, add_chain):
    """Return a function that makes a process with jobs from the summaries that they have."""

    def make(*jobs):
        process = add_chain()
        for output, summary, device in jobs:
            add_job(process, device, {output: summary} if output else {})
        return process

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


def test_every_accelerator_that_was_asked_for_is_counted(add_job, add_chain):
    chain = add_chain()
    add_job(chain, 'cuda', {'md_summary': {'wall_seconds': 3600.0}}, custom_scheduler_commands='#SBATCH --gres=gpu:2')
    add_job(chain, 'cuda', {'md_summary': {'wall_seconds': 3600.0}}, custom_scheduler_commands='#SBATCH --gpus=a100:3')
    visible = {'CUDA_VISIBLE_DEVICES': '0,1,2,3'}
    add_job(chain, 'cuda', {'md_summary': {'wall_seconds': 3600.0}}, environment_variables=visible)
    assert costs_of(chain)['dynamics']['gpu_hours'] == 9.0


def test_wall_time_counts_on_all_cores_where_no_processor_time_is_stated(add_job, add_chain):
    chain = add_chain()
    resources = {'num_machines': 2, 'num_mpiprocs_per_machine': 8, 'num_cores_per_mpiproc': 4}
    add_job(chain, '', {'label_summary': {'wall_seconds': 1800.0, 'n_labelled': 3}}, resources=resources)
    add_job(chain, '', {'label_summary': {'wall_seconds': 1800.0, 'cpu_seconds': 900.0}}, resources=resources)
    row = costs_of(chain)['labelling']
    assert (row['core_hours'], row['wall_hours']) == (32.25, 1.0)  # 0.5 h on 64 cores, and 0.25 h as stated
    assert (row['estimated'], row['without_time']) == (1, 0)


def test_all_jobs_of_a_labelling_are_of_it(add_job, add_chain):
    """Jobs of VASP state nothing as ours do; a calculation function states the labels, and the chain as well."""
    loop = add_chain()
    labelling = add_chain(loop, 'edl.labelling')
    single_point = add_chain(labelling, 'edl.single_point.vasp')
    resources = {'num_machines': 1, 'num_mpiprocs_per_machine': 16}
    statistics = {'misc': {'run_stats': {'elapsed_time': 900.0}}}
    for _ in range(2):
        add_job(add_chain(single_point), '', statistics, resources=resources)
    function = CalcFunctionNode()
    function.base.links.add_incoming(single_point, LinkType.CALL_CALC, 'collect_vasp_labels')
    function.store()
    summary = attach(function, 'label_summary', {'n_labelled': 2, 'wall_seconds': 1800.0})
    before = costs_of(loop)
    summary.base.links.add_incoming(single_point, LinkType.RETURN, 'label_summary')
    assert list(before) == ['labelling']
    assert (before['labelling']['jobs'], before['labelling']['core_hours']) == (2, 8.0)
    assert before['labelling']['frames'] == 2
    assert costs_of(loop) == before == costs_of(labelling)


def test_labels_of_a_job_that_was_continued_are_counted_once(add_job, add_chain):
    """The second job states the labels of the first as well, which it has from the checkpoint."""
    labelling = add_chain(kind='edl.labelling')
    single_point = add_chain(labelling, 'edl.single_point.cp2k')
    add_job(single_point, '', {'label_summary': {'wall_seconds': 60.0, 'n_labelled': 3}})
    last = add_job(single_point, '', {'label_summary': {'wall_seconds': 60.0, 'n_labelled': 5}})
    last.outputs.label_summary.base.links.add_incoming(single_point, LinkType.RETURN, 'label_summary')
    assert costs_of(labelling)['labelling']['frames'] == 5


def test_labelled_frames_are_counted(study):
    costs = costs_of(study(('label_summary', {'wall_seconds': 1.0, 'n_frames': 10, 'n_labelled': 9}, '')))
    assert costs['labelling']['frames'] == 9


def test_job_that_states_no_time_is_counted_as_one_without(study):
    costs = costs_of(study(('md_summary', {'wall_seconds': None}, ''), (None, {}, '')))
    assert (costs['dynamics']['without_time'], costs['other']['without_time']) == (1, 1)
