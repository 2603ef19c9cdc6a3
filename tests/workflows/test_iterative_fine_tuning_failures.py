"""What fine-tuning in rounds survives, and how it ends if it does not: single steps with children made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager
from aiida.orm import Dict
from aiida.orm.utils.serialize import deserialize_unsafe, serialize
from calculation_cases import ATOMIC_ENERGIES, dataset, labelled_frames, potential, stored_once
from fine_tuning_cases import tuning_inputs
from learning_cases import child, outputs
from toy.least_squares import LeastSquares

from aiida_edl.architectures.fine_tuning import FineTuningMode
from aiida_edl.data.dataset import DatasetData
from aiida_edl.workflows.iterative_fine_tuning import IterativeFineTuningWorkChain


@pytest.fixture
def make(python_code, monkeypatch):
    """Return a function that makes a chain in its first round; its children are made by hand."""
    monkeypatch.setattr(LeastSquares, 'fine_tuning_modes', (FineTuningMode.NAIVE,))

    def make_chain(settings=None, **changes):
        inputs = tuning_inputs(python_code, settings, atomic_energies=Dict(ATOMIC_ENERGIES), **changes)
        chain = instantiate_process(get_manager().get_runner(), IterativeFineTuningWorkChain, **inputs)
        monkeypatch.setattr(chain, 'submit', lambda *_, **__: None)
        chain.start()
        chain.ctx.round = 1
        return chain

    return make_chain


def errors(force, bar=0.01, failed=()):
    return Dict(
        {
            'summary': {
                'force_rmse_ev_per_angstrom': force,
                'force_rmse_error_ev_per_angstrom': bar,
                'energy_rmse_ev_per_atom': 0.01,
                'energy_rmse_error_ev_per_atom': 0.001,
                'failed_frames': list(failed),
            }
        }
    ).store()


def end(chain):
    """Return status and message with which a chain ends."""
    if chain.ctx.round and f'round_{chain.ctx.round:02d}' not in chain.ctx.rows:
        chain.close_round()
    exit_code = chain.conclude()
    return (0, None) if exit_code is None else (exit_code.status, exit_code.message)


def trajectory(n_frames=2, frames=None):
    frames = labelled_frames(n_frames) if frames is None else frames
    return DatasetData.from_frames(
        frames.with_columns(time=np.arange(len(frames))), level_of_theory='toy', origin='MD'
    ).store()


def explore(chain, **children):
    """Let a chain take what its runs have left."""
    for name, node in children.items():
        chain.ctx[f'round_01_md_{name}_01'] = node
    chain.select_frames()


def test_frames_before_an_explosion_are_used(make):
    chain = make()
    exploded = child(outputs(trajectory=trajectory(1)), 454, 'The run exploded', 'MolecularDynamicsWorkChain')
    explore(chain, neutral=child(outputs(trajectory=trajectory())), charged=exploded)
    assert chain.should_label()
    assert chain.ctx.selected.n_frames == 3
    assert (chain.ctx.explored['runs'], chain.ctx.explored['failed_runs']) == (2, 1)
    assert chain.failures == [
        'round_01_md_charged_01 (MolecularDynamicsWorkChain<7>, exit status 454: The run exploded)'
    ]


def test_dynamics_without_any_frame_ends_it(make):
    chain = make()
    exploded = child(outputs(), 454, 'The run exploded', 'MolecularDynamicsWorkChain')
    explore(chain, neutral=exploded, charged=exploded)
    assert not chain.should_label()
    status, message = end(chain)
    assert status == 512
    assert message.startswith('The dynamics gave no frame: round_01_md_charged_01 (MolecularDynamicsWorkChain<7>, ')
    assert chain.outputs['report']['rounds'][0]['failed_runs'] == 2


def test_dynamics_without_a_physical_frame_ends_it(make):
    frames = labelled_frames(2)
    positions = frames.positions.copy()
    positions[[1, 9]] = positions[[0, 8]] + [0.1, 0.0, 0.0]
    run = child(outputs(trajectory=trajectory(frames=replace(frames, positions=positions))))
    chain = make()
    explore(chain, neutral=run, charged=run)
    assert not chain.should_label()
    assert end(chain) == (
        457,
        'Not one frame of the dynamics is physical: 4 of 4 are left out: frame 0: Au 0 and Au 1 are 0.1 Å apart, below '
        '0.5 Å; frame 1: Au 0 and Au 1 are 0.1 Å apart, below 0.5 Å; frame 2: Au 0 and Au 1 are 0.1 Å apart, below '
        '0.5 Å; lower the temperature or shorten the runs (round 1)',
    )
    assert chain.outputs['report']['rounds'][0]['n_unphysical'] == 4


def labelled(n_rejected=0):
    """Return outputs of a labelling of two frames of which some were rejected."""
    frames = [{'frame': 2, 'reason': 'not converged'}] * n_rejected
    rejected = Dict({'n_frames': 2 + n_rejected, 'n_rejected': n_rejected, 'frames': frames}).store()
    return outputs(dataset=dataset(labelled_frames(2, seed=5)).store(), rejected=rejected)


def learn(chain, labelling, own=None):
    """Let a chain take the labels of a child, and the error of its potential on them."""
    chain.ctx.round_01_labelling = labelling
    chain.measure_own_error()
    chain.ctx.round_01_evaluation_own = own or child(outputs(errors=errors(0.3)))
    chain.extend_data()
    return chain


def test_labels_that_are_left_are_used_and_the_first_of_them_validate(make):
    chain = learn(make(), child(labelled(1), 520, '1 of 3 frames were rejected', 'LabellingWorkChain'))
    assert chain.should_continue()
    assert chain.ctx.has_new_labels
    assert [len(chain.ctx.split.get_array(name)) for name in ('training', 'validation', 'test')] == [1, 1, 4]
    assert chain.failures == [
        'round_01_labelling (LabellingWorkChain<7>, exit status 520: 1 of 3 frames were rejected)'
    ]
    chain.ctx.ending = {'status': 'converged', 'reason': 'enough'}
    chain.close_round()
    row = chain.ctx.rows['round_01'].get_dict()
    assert (row['n_labelled'], row['n_rejected'], row['rejections']) == (2, 1, ['frame 2: not converged'])
    assert (row['own_force_rmse_ev_per_angstrom'], row['own_force_rmse_error_ev_per_angstrom']) == (0.3, 0.01)


def test_without_any_label_it_ends(make):
    rejected = Dict({'n_frames': 1, 'n_rejected': 1, 'frames': [{'frame': 0, 'reason': 'not converged'}]}).store()
    chain = learn(make(), child(outputs(rejected=rejected), 520, 'all were rejected', 'LabellingWorkChain'))
    assert end(chain) == (
        513,
        'No frame was labelled: round_01_labelling (LabellingWorkChain<7>, exit status 520: all were rejected) '
        '(round 1)',
    )
    assert len(chain.failures) == 1


def test_labels_of_another_level_of_theory_end_it(make):
    other = outputs(dataset=DatasetData.from_frames(labelled_frames(2, seed=5), level_of_theory='Morse').store())
    assert end(learn(make(), child(other))) == (
        212,
        "The labels do not belong to the data set: 'Morse' is not 'Lennard-Jones' (round 1)",
    )


def test_error_that_could_not_be_measured_is_no_reason_to_stop(make):
    failed = child(outputs(), 452, 'No frame', 'EvaluationWorkChain')
    chain = learn(make({'stop': {'force_error': 1.0}}), child(labelled()), failed)
    chain.ctx.has_new_labels = False
    chain.close_round()
    assert end(chain) == (
        701,
        'Fine-tuning has not converged: 1 rounds are done; the force error on its own frames was nan (of unknown '
        'uncertainty) eV/Å in the last of them, where 1 in a row below 1 are asked for (round 1); parts failed: '
        'round_01_evaluation_own (EvaluationWorkChain<7>, exit status 452: No frame)',
    )


def test_training_that_failed_ends_it(make):
    chain = learn(make(), child(labelled()))
    chain.ctx.round_01_training = child(outputs(), 450, 'The training diverged', 'TrainingWorkChain')
    chain.test_potential()
    assert end(chain) == (
        511,
        'The potential could not be trained: round_01_training (TrainingWorkChain<7>, exit status 450: The training '
        'diverged) (round 1)',
    )
    assert chain.outputs['dataset'].n_frames == 12


def test_training_that_is_refused_ends_it(make, monkeypatch):
    chain = learn(make(), child(labelled()))

    def refuse(*_, **__):
        raise ValueError('the set is too small')

    monkeypatch.setattr(chain, 'submit', refuse)
    chain.fine_tune()
    chain.test_potential()
    assert end(chain) == (
        511,
        'The potential could not be trained: round_01_training, which was refused: the set is too small (round 1)',
    )


def closed(chain, *own):
    """Close rounds with these errors on the own frames [eV/Å], as long as the chain goes on."""
    for number, force in enumerate(own, start=1):
        chain.ctx.round, chain.ctx.explored = number, {'own': errors(force)}
        chain.close_round()
        if not chain.should_continue():
            break
    return chain


def test_small_errors_in_a_row_end_it_with_success(make):
    chain = closed(make({'stop': {'force_error': 0.1, 'rounds': 2}, 'maximum_rounds': 9}), 0.3, 0.09, 0.08, 0.07)
    assert chain.ctx.round == 3
    assert end(chain) == (0, None)
    assert chain.outputs['report']['reason'] == (
        'the force error on its own frames was 0.0900 ± 0.0100, 0.0800 ± 0.0100 eV/Å in each of the last 2 rounds, '
        'below the 0.1 that are asked for (round 3)'
    )


def test_error_that_falls_no_more_ends_it_with_success(make):
    chain = closed(make({'stop': {'stagnant_rounds': 1}, 'maximum_rounds': 9}), 0.3, 0.2, 0.195)
    assert end(chain) == (0, None)
    assert chain.outputs['report']['reason'] == (
        'the force error on its own frames, now 0.1950 ± 0.0100 eV/Å, fell by no more than its uncertainty in the last '
        'round (round 3)'
    )


def test_success_with_parts_that_failed_is_a_warning(make):
    chain = make({'stop': {'force_error': 0.5}})
    chain.note_failure('one run')
    assert end(closed(chain, 0.1)) == (700, 'Fine-tuning has converged, but parts failed: one run')


def test_labels_near_the_test_frames_are_no_reason_to_train_again(make, monkeypatch):
    near = outputs(dataset=dataset(labelled_frames().select([5, 9])).store())
    chain = learn(make(), child(near))
    assert not chain.ctx.has_new_labels
    monkeypatch.setattr(chain, 'submit', lambda *_, **__: pytest.fail('a child was submitted'))
    assert chain.fine_tune() is None
    assert chain.test_potential() is None
    chain.close_round()
    assert chain.ctx.rows['round_01']['is_retrained'] is False
    assert chain.ctx.potential.uuid == potential().uuid


def training_of(chain, monkeypatch):
    """Return the inputs of the training that a chain submits."""
    submitted = {}
    monkeypatch.setattr(chain, 'submit', lambda _, **inputs: submitted.update(inputs) or child())
    chain.ctx.has_new_labels = True
    chain.fine_tune()
    return submitted['training']


def test_each_potential_starts_from_the_parent(make, monkeypatch):
    chain = make()
    chain.ctx.potential = stored_once('another potential', lambda: potential(seed=2))
    assert training_of(chain, monkeypatch)['parent_potential'].uuid == potential().uuid


def test_each_potential_may_go_on_from_the_one_before(make, monkeypatch):
    chain = make({'retraining': {'start_from': 'previous', 'gradient_updates': 4}})
    other = stored_once('another potential', lambda: potential(seed=2))
    chain.ctx.potential = other
    training = training_of(chain, monkeypatch)
    assert training['parent_potential'].uuid == other.uuid
    assert training['gradient_updates'].value == 4


def test_state_between_the_steps_can_be_stored_and_read(make):
    """A worker that is killed leaves nothing but this."""
    chain = closed(make({'maximum_rounds': 9}), 0.3)
    read = deserialize_unsafe(serialize(chain.ctx))
    assert read.own_errors == [(0.3, 0.01)]
    assert read.potential.uuid == chain.ctx.potential.uuid
    assert read.rows['round_01'].uuid == chain.ctx.rows['round_01'].uuid
