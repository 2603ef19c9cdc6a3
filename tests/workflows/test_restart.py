"""An interrupted calculation is repeated if it made progress; without, at most once, and after an accident alone."""

from __future__ import annotations

import io

import pytest
from aiida.common.links import LinkType
from aiida.orm import Bool, CalcJobNode, FolderData
from aiida.schedulers.plugins.slurm import SlurmScheduler
from calculation_cases import evaluation_inputs, md_inputs, training_inputs

from aiida_edl.calculations.monitors import STALLED
from aiida_edl.workflows.evaluation import EvaluationWorkChain
from aiida_edl.workflows.molecular_dynamics import MolecularDynamicsWorkChain
from aiida_edl.workflows.training import TrainingWorkChain

CHAINS = {
    'training': (TrainingWorkChain, 'training', training_inputs, 'gradient_updates_done', {}),
    'md': (MolecularDynamicsWorkChain, 'md', md_inputs, 'steps_done', {'skip_parity_check': True}),
    'evaluation': (EvaluationWorkChain, 'evaluation', evaluation_inputs, 'frames_done', {}),
}
"""Class, namespace, inputs and measure of progress of some chains, and further inputs."""
INTERRUPTED = {'walltime': 400, 'scheduler': 120, 'node': 140, 'device': 411, 'unknown': 312}
"""Exit statuses after which a calculation that made progress goes on."""


@pytest.fixture(params=sorted(CHAINS))
def kind(request):
    return request.param


@pytest.fixture
def chain(kind, make_chain, python_code):
    process_class, namespace, inputs, _, further = CHAINS[kind]
    nodes = {name: Bool(value) for name, value in further.items()}
    return make_chain(process_class, **{namespace: inputs(python_code)}, **nodes)


def checkpoint(kind, done, content=b'state'):
    """Return a checkpoint that stands for some progress."""
    folder = FolderData()
    folder.base.repository.put_object_from_filelike(io.BytesIO(content), 'checkpoint')
    folder.base.attributes.set(CHAINS[kind][3], done)
    return folder


def ended(kind, computer, status, given=None, left=None, message='', retrieved=None):
    """Return a calculation that ended with a status.

    :param given: checkpoint that it was given.
    :param left: checkpoint that it left.
    :param retrieved: contents of the files that came back by name.
    """
    node = CalcJobNode(computer=computer, process_type=CHAINS[kind][0]._process_class.build_process_type())
    node.set_process_label('Calculation')
    node.set_option('max_wallclock_seconds', 3600)
    if given is not None:
        node.base.links.add_incoming(given.store(), LinkType.INPUT_CALC, 'checkpoint')
    node.store()
    if left is not None:
        left.base.links.add_incoming(node, LinkType.CREATE, 'checkpoint')
        left.store()
    if retrieved is not None:
        folder = FolderData()
        for name, content in retrieved.items():
            folder.base.repository.put_object_from_filelike(io.BytesIO(content), name)
        folder.base.links.add_incoming(node, LinkType.CREATE, 'retrieved')
        folder.store()
    node.set_exit_status(status)
    node.set_exit_message(message)
    node.set_process_state('finished')
    return node


def handled(chain, *children):
    """Return what the chain does about the last of its calculations."""
    chain.ctx.children = list(children)
    return chain.handle_interruption(children[-1])


def status_at_the_end(chain, *children):
    """Return the exit status with which the chain ends."""
    assert handled(chain, *children) is None
    report = chain.handle_failure(children[-1])
    assert chain.ctx.is_finished  # so that this is the status even in the last iteration
    return report.exit_code.status


@pytest.mark.parametrize('status', INTERRUPTED.values(), ids=INTERRUPTED)
def test_progress_goes_on_however_often(chain, kind, aiida_localhost, status):
    first = ended(kind, aiida_localhost, status, left=checkpoint(kind, 10))
    assert handled(chain, first).exit_code.status == 0
    second = ended(kind, aiida_localhost, status, first.outputs.checkpoint, checkpoint(kind, 11))
    assert handled(chain, first, second).exit_code.status == 0
    assert chain.ctx.inputs.checkpoint.uuid == second.outputs.checkpoint.uuid


@pytest.mark.parametrize('status', [400, 120])
@pytest.mark.parametrize('left', [None, 10])
def test_walltime_without_progress_ends_the_chain(chain, kind, aiida_localhost, status, left):
    again = None if left is None else checkpoint(kind, left)
    node = ended(kind, aiida_localhost, status, checkpoint(kind, 10), again)
    assert status_at_the_end(chain, node) == status


@pytest.mark.parametrize('status', [400, 120])
def test_walltime_before_the_first_checkpoint_ends_the_chain(chain, kind, aiida_localhost, status):
    assert status_at_the_end(chain, ended(kind, aiida_localhost, status)) == status


@pytest.mark.parametrize(('status', 'message'), [(140, ''), (411, ''), (150, f'{STALLED} 99 s')])
def test_accident_without_progress_is_repeated_once(chain, kind, aiida_localhost, status, message):
    first, second = (ended(kind, aiida_localhost, status, message=message) for _ in range(2))
    assert handled(chain, first).exit_code.status == 0
    assert 'checkpoint' not in chain.ctx.inputs
    assert status_at_the_end(chain, first, second) == status


NOTHING = {'_scheduler-stdout.txt': b'', '_scheduler-stderr.txt': b''}
"""What comes back from a job that was lost before it began."""


def test_job_lost_before_it_began_is_repeated_however_often(chain, kind, aiida_localhost):
    first, second = (ended(kind, aiida_localhost, 310, retrieved=NOTHING) for _ in range(2))
    assert handled(chain, first).exit_code.status == 0
    assert handled(chain, first, second).exit_code.status == 0


def test_accidents_around_a_job_that_never_began_are_two(chain, kind, aiida_localhost):
    first, last = (ended(kind, aiida_localhost, 411) for _ in range(2))
    between = ended(kind, aiida_localhost, 310, retrieved=NOTHING)
    assert status_at_the_end(chain, first, between, last) == 411


def test_program_that_the_shell_did_not_find_is_no_accident(chain, kind, aiida_localhost):
    complaint = {'_scheduler-stdout.txt': b'', '_scheduler-stderr.txt': b'lmp: command not found'}
    assert status_at_the_end(chain, ended(kind, aiida_localhost, 310, retrieved=complaint)) == 310


def test_accident_after_progress_is_the_first_one_again(chain, kind, aiida_localhost):
    first = ended(kind, aiida_localhost, 411, left=checkpoint(kind, 10))
    second = ended(kind, aiida_localhost, 411, first.outputs.checkpoint)
    assert handled(chain, first, second).exit_code.status == 0


def test_end_for_no_known_reason_without_progress_is_left_to_others(chain, kind, aiida_localhost):
    assert status_at_the_end(chain, ended(kind, aiida_localhost, 312)) == 312


def test_monitor_of_another_kind_is_left_to_others(chain, kind, aiida_localhost):
    assert handled(chain, ended(kind, aiida_localhost, 150, message='too hot')) is None


@pytest.mark.parametrize(
    ('kind', 'unit', 'remedy'),
    [
        (
            'training',
            'gradient updates',
            'give it a longer walltime, or more checkpoints by a larger hyperparameter n_evaluations',
        ),
        ('md', 'steps', 'give it a longer walltime'),
    ],
)
def test_report_names_the_walltime_and_what_helps(chain, kind, aiida_localhost, unit, remedy):
    node = ended(kind, aiida_localhost, 400, checkpoint(kind, 10))
    assert chain._no_progress(node) == (
        f'Calculation<{node.pk}> was interrupted (exit status 400) without a checkpoint beyond 10 '
        f'{unit} in its walltime of 3600 s: {remedy}'
    )


@pytest.mark.parametrize('kind', ['md'])
def test_steps_of_an_equilibration_are_progress(chain, kind, aiida_localhost):
    first = ended(kind, aiida_localhost, 400, left=checkpoint(kind, 0, b'step -90'))
    assert handled(chain, first).exit_code.status == 0
    second = ended(kind, aiida_localhost, 400, first.outputs.checkpoint, checkpoint(kind, 0, b'step -80'))
    assert handled(chain, first, second).exit_code.status == 0
    third = ended(kind, aiida_localhost, 400, second.outputs.checkpoint, checkpoint(kind, 0, b'step -80'))
    assert status_at_the_end(chain, first, second, third) == 400


@pytest.mark.parametrize(('state', 'status'), [('TIMEOUT', 120), ('NODE_FAIL', 140), ('PREEMPTED', None)])
def test_states_of_slurm_that_aiida_knows(state, status):
    """On these the module and the how-to page rely; a preempted job is judged by its files."""
    exit_code = SlurmScheduler().parse_output({'retval': 0, 'stdout': f'JobID|State\n7|{state}', 'stderr': ''})
    assert (None if exit_code is None else exit_code.status) == status
