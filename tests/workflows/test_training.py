"""What the training chain does about failures; every remedy is an input of the next training."""

from __future__ import annotations

import io

import pytest
from aiida.common.links import LinkType
from aiida.orm import CalcJobNode, Dict, FolderData
from calculation_cases import training_inputs

from aiida_edl.calculations.training import TrainingCalculation
from aiida_edl.registry import UnknownNameError
from aiida_edl.workflows.training import TrainingWorkChain


def failed(exit_code, computer, checkpoint=False, summary=None):
    """Return a training that ended with an exit code; its checkpoint stands for ten gradient updates."""
    node = CalcJobNode(computer=computer, process_type=TrainingCalculation.build_process_type())
    node.store()
    if checkpoint:
        folder = FolderData()
        folder.base.repository.put_object_from_filelike(io.BytesIO(b'state'), 'checkpoint.npz')
        folder.base.attributes.set('gradient_updates_done', 10)
        folder.base.links.add_incoming(node, LinkType.CREATE, 'checkpoint')
        folder.store()
    if summary is not None:
        document = Dict(summary)
        document.base.links.add_incoming(node, LinkType.CREATE, 'training_summary')
        document.store()
    node.set_exit_status(exit_code.status)
    node.set_exit_message(exit_code.message)
    node.set_process_state('finished')
    return node


@pytest.fixture
def chain(make_chain, python_code):
    return make_chain(TrainingWorkChain, training=training_inputs(python_code, hyperparameters={'batch_size': 8}))


@pytest.mark.parametrize('label', ['ERROR_OUT_OF_WALLTIME', 'ERROR_SCHEDULER_OUT_OF_WALLTIME'])
def test_walltime_continues_from_the_checkpoint(chain, aiida_localhost, label):
    node = failed(TrainingCalculation.exit_codes[label], aiida_localhost, checkpoint=True)
    report = chain.handle_interruption(node)
    assert report.do_break
    assert report.exit_code.status == 0
    assert chain.ctx.inputs.checkpoint.uuid == node.outputs.checkpoint.uuid
    assert chain.ctx.inputs.gradient_updates.value == chain.inputs.training.gradient_updates.value


def test_memory_halves_the_batch(chain, aiida_localhost):
    chain.handle_out_of_memory(failed(TrainingCalculation.exit_codes.ERROR_OUT_OF_MEMORY, aiida_localhost))
    assert chain.ctx.inputs.hyperparameters.get_dict() == {'batch_size': 4}


def test_memory_with_one_frame_gives_up(make_chain, python_code, aiida_localhost):
    chain = make_chain(TrainingWorkChain, training=training_inputs(python_code, hyperparameters={'batch_size': 1}))
    node = failed(TrainingCalculation.exit_codes.ERROR_OUT_OF_MEMORY, aiida_localhost)
    assert chain.handle_out_of_memory(node).exit_code.status == 410


def test_memory_of_the_export_keeps_what_is_trained(chain, aiida_localhost):
    """Slurm marks the whole job, whichever command it was that ran out of memory."""
    exit_code = TrainingCalculation.exit_codes.ERROR_SCHEDULER_OUT_OF_MEMORY
    node = failed(exit_code, aiida_localhost, checkpoint=True, summary={'outcome': 'export_failed'})
    chain.ctx.children = [node]
    chain.handle_out_of_memory(node)
    assert chain.ctx.inputs.checkpoint.uuid == node.outputs.checkpoint.uuid
    assert chain.ctx.inputs.hyperparameters.get_dict() == {'batch_size': 8}


def test_divergence_lowers_the_rate(chain, aiida_localhost):
    chain.handle_loss_diverged(failed(TrainingCalculation.exit_codes.ERROR_LOSS_DIVERGED, aiida_localhost))
    assert chain.ctx.inputs.hyperparameters.get_dict()['learning_rate'] == pytest.approx(0.3 * 0.7)


def test_divergence_forgets_the_checkpoint_of_the_old_rate(make_chain, python_code, aiida_localhost):
    folder = FolderData().store()
    inputs = training_inputs(python_code, hyperparameters={'batch_size': 8})
    chain = make_chain(TrainingWorkChain, training={**inputs, 'checkpoint': folder})
    chain.handle_loss_diverged(failed(TrainingCalculation.exit_codes.ERROR_LOSS_DIVERGED, aiida_localhost))
    assert 'checkpoint' not in chain.ctx.inputs


def test_unknown_hyperparameter_of_a_protocol_is_refused(toy_architecture):
    with pytest.raises(ValueError, match="unknown hyperparameter of least_squares 'batchsize': did you mean 'batch_"):
        TrainingWorkChain.get_protocol_hyperparameters('least_squares', 'fast', {'batchsize': 2})


def test_unknown_architecture_is_refused(toy_architecture):
    with pytest.raises(UnknownNameError, match="unknown architecture 'mase': did you mean 'mace'"):
        TrainingWorkChain.get_protocol_hyperparameters('mase', 'fast', {})


def test_what_a_handler_changed_is_an_input_of_the_next_training(chain, aiida_localhost):
    chain.handle_out_of_memory(failed(TrainingCalculation.exit_codes.ERROR_OUT_OF_MEMORY, aiida_localhost))
    chain.handle_loss_diverged(failed(TrainingCalculation.exit_codes.ERROR_LOSS_DIVERGED, aiida_localhost))
    memory, rate = chain.ctx.inputs.remedies.get_list()
    assert (memory['exit_status'], memory['changed'], memory['from'], memory['to']) == (410, 'batch_size', 8, 4)
    assert (rate['exit_status'], rate['changed'], rate['from']) == (450, 'learning_rate', 0.7)


@pytest.mark.parametrize(
    ('label', 'handler'),
    [
        ('ERROR_LOG_INCOMPLETE', 'handle_log_incomplete'),
        ('ERROR_EXPORT_FAILED', 'handle_export_failed'),
    ],
)
def test_accident_is_repeated_once_from_the_checkpoint(chain, aiida_localhost, label, handler):
    exit_code = TrainingCalculation.exit_codes[label]
    first, second = (failed(exit_code, aiida_localhost, checkpoint=True) for _ in range(2))
    chain.ctx.children = [first]
    assert getattr(chain, handler)(first).exit_code.status == 0
    assert chain.ctx.inputs.checkpoint.uuid == first.outputs.checkpoint.uuid
    assert chain.ctx.inputs.remedies.get_list()[0]['repeated'] == 'from its checkpoint'
    chain.ctx.children = [first, second]
    assert getattr(chain, handler)(second).exit_code.status == exit_code.status


def test_lost_device_without_checkpoint_starts_again(chain, aiida_localhost):
    node = failed(TrainingCalculation.exit_codes.ERROR_DEVICE_LOST, aiida_localhost)
    chain.ctx.children = [node]
    assert chain.handle_interruption(node).exit_code.status == 0
    assert chain.ctx.inputs.remedies.get_list()[0]['repeated'] == 'as it was'


@pytest.mark.parametrize('handler', ['handle_log_incomplete', 'handle_export_failed'])
def test_program_that_never_began_is_not_repeated(chain, aiida_localhost, handler):
    node = failed(TrainingCalculation.exit_codes.ERROR_LOG_INCOMPLETE, aiida_localhost)
    chain.ctx.children = [node]
    assert getattr(chain, handler)(node) is None


def test_builder_takes_a_namespace_that_leaves_defaults_out(python_code):
    inputs = training_inputs(python_code)
    inputs.pop('hyperparameters')
    builder = TrainingWorkChain.get_builder()
    builder.training = inputs
    assert builder.training.architecture.value == 'least_squares'
