"""An ensemble of seeds and sizes: nested sets, one test set, members that fail are reported."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager
from aiida.orm import ArrayData, Dict, Int, List, Str, WorkChainNode
from calculation_cases import dataset, potential, split, stored_once, training_inputs
from toy.least_squares import LeastSquares

from aiida_edl.architectures.base import TrainingJobError
from aiida_edl.architectures.fine_tuning import FineTuningMode
from aiida_edl.calculations.functions.committee_deviation import committee_deviation
from aiida_edl.calculations.functions.nested_training_sets import nested_training_sets
from aiida_edl.workflows.ensemble_training import EnsembleTrainingWorkChain, validate_ensemble, validate_seeds

SIZES = [2, 6]
SEEDS = [1, 2]
MEMBERS = [f'n_{size:05d}_seed_{seed:02d}' for size in SIZES for seed in SEEDS]


@pytest.fixture
def ensemble(python_code):
    """Return a finished ensemble; it is trained once for all tests."""

    def train():
        inputs = training_inputs(python_code)
        inputs.pop('seed')
        return run_get_node(
            EnsembleTrainingWorkChain, training=inputs, seeds=List(SEEDS), training_set_sizes=List(SIZES)
        )[1]

    return stored_once('ensemble', train)


def test_every_member_gives_a_potential_and_errors(ensemble):
    assert ensemble.is_finished_ok, ensemble.exit_message
    assert sorted(ensemble.outputs.potentials) == sorted(ensemble.outputs.errors) == MEMBERS


def test_all_members_are_trained_to_the_same_gradient_updates(ensemble):
    potentials = [ensemble.outputs.potentials[name] for name in MEMBERS]
    assert {node.base.attributes.get('gradient_updates') for node in potentials} == {6}


def test_curve_has_error_bars_over_seeds(ensemble):
    curve = ensemble.outputs.learning_curve_over_size
    assert curve.get_array('size').tolist() == SIZES
    assert curve.get_array('n_models').tolist() == [2, 2]
    rmse = [ensemble.outputs.errors[name].get_dict()['summary']['force_rmse_ev_per_angstrom'] for name in MEMBERS]
    np.testing.assert_allclose(curve.get_array('force_rmse'), [np.mean(rmse[:2]), np.mean(rmse[2:])])
    np.testing.assert_allclose(curve.get_array('force_rmse_error'), [np.ptp(rmse[:2]) / 2, np.ptp(rmse[2:]) / 2])


def test_deviation_is_that_of_the_predictions(ensemble):
    deviation = ensemble.outputs.deviations['n_00006']
    evaluations = [
        child.outputs.predictions.get_array('energies')
        for child in ensemble.called
        if child.process_label == 'EvaluationWorkChain'
        and child.inputs.evaluation.potential.uuid in {ensemble.outputs.potentials[name].uuid for name in MEMBERS[2:]}
    ]
    expected = np.std(evaluations, axis=0, ddof=1) / 8  # atoms of a frame
    np.testing.assert_allclose(deviation.get_array('energy_deviation'), expected)
    assert deviation.base.attributes.get('ddof') == 1
    assert deviation.get_array('frame_indices').tolist() == [5, 9]


@pytest.fixture
def make_ensemble(python_code):
    """Return a function that makes a chain of two members."""

    def make(**changes):
        inputs = {'training': training_inputs(python_code), 'seeds': List(SEEDS), **changes}
        inputs['training'].pop('seed')
        return instantiate_process(get_manager().get_runner(), EnsembleTrainingWorkChain, **inputs)

    return make


@pytest.fixture
def half_failed(make_ensemble):
    """Return a chain of two members, the training of the first of which has failed."""
    chain = make_ensemble()
    chain.cut_training_sets()
    node = WorkChainNode()
    node.set_process_label('TrainingWorkChain')
    node.set_process_state('finished')
    node.set_exit_status(450)
    node.set_exit_message('The training diverged')
    chain.ctx['training_n_00006_seed_01'] = chain.ctx['training_n_00006_seed_02'] = node.store()
    chain.failure = (
        f'training of n_00006_seed_01 (TrainingWorkChain<{node.pk}>, exit status 450: The training diverged)'
    )
    return chain


def test_without_any_member_the_chain_fails(half_failed):
    half_failed.inspect_training()
    exit_code = half_failed.inspect_evaluations()
    assert exit_code.status == 511
    assert exit_code.message.startswith(f'No member could be trained and tested; failures: {half_failed.failure}; ')


def test_member_that_failed_is_a_warning(half_failed, ensemble, monkeypatch):
    monkeypatch.setattr(half_failed, 'submit', lambda *_, **__: None)
    half_failed.ctx['training_n_00006_seed_02'] = next(
        child for child in ensemble.called if child.process_label == 'TrainingWorkChain'
    )
    half_failed.inspect_training()
    half_failed.ctx['evaluation_n_00006_seed_02'] = next(
        child for child in ensemble.called if child.process_label == 'EvaluationWorkChain'
    )
    assert half_failed.inspect_evaluations() is None
    exit_code = half_failed.analyse()
    assert (exit_code.status, exit_code.message) == (
        700,
        f'The ensemble lacks members that failed: {half_failed.failure}',
    )


def test_training_sets_are_nested_and_hold_all_charge_states(toy_architecture):
    whole = split()
    cut = nested_training_sets(dataset(), whole, List([2, 4, 6]), Int(5))
    sets = [set(cut[name].get_array('training').tolist()) for name in ('n_00002', 'n_00004', 'n_00006')]
    assert [len(indices) for indices in sets] == [2, 4, 6]
    assert sets[0] < sets[1] < sets[2] == set(whole.get_array('training').tolist())
    # Frames 2, 3, 6 and 7 hold sodium, 0 and 1 do not.
    assert len(sets[0] & {2, 3, 6, 7}) == 1 or len(sets[0] & {0, 1}) == 1
    for node in cut.values():
        assert node.get_array('test').tolist() == whole.get_array('test').tolist()


def test_same_seed_gives_the_same_sets_and_another_seed_others(toy_architecture):
    first, again, other = (
        nested_training_sets(dataset(), split(), List([3]), Int(seed))['n_00003'].get_array('training').tolist()
        for seed in (0, 0, 3)
    )
    assert first == again
    assert first != other


def ensemble_inputs(code, sizes, **changes):
    training = training_inputs(code, **changes)
    training.pop('seed')
    return {
        'training': {'precision': Str('float64'), 'device': Str('cpu'), 'hyperparameters': Dict(), **training},
        'seeds': List(SEEDS),
        'training_set_sizes': List(sizes),
    }


def test_size_beyond_the_training_set_is_refused(python_code):
    assert validate_ensemble(ensemble_inputs(python_code, [2, 7]), None) == (
        'training_set_sizes is [2, 7]; give numbers from 1 to 6, the frames of the training set'
    )


def test_empty_test_set_is_refused(python_code):
    inputs = ensemble_inputs(python_code, [2])
    inputs['training']['split'] = split(test=[])
    assert validate_ensemble(inputs, None) == (
        "the array 'test' of the split is empty; keep some frames apart to test all members on"
    )


def test_training_that_the_architecture_refuses_for_the_smallest_set_is_refused(python_code, monkeypatch):
    def refuse_two_frames(_, job):
        if len(job.training_set) < 3:
            raise TrainingJobError(f'batch of 3 frames, the training set has {len(job.training_set)}')
        return {}

    monkeypatch.setattr(LeastSquares, 'training_files', refuse_two_frames)
    assert validate_ensemble(ensemble_inputs(python_code, [2, 6], gradient_updates=99), None) == (
        'a training set of 2 frames is refused: batch of 3 frames, the training set has 2'
    )


def test_each_member_starts_from_its_own_parent(python_code, make_ensemble, monkeypatch):
    monkeypatch.setattr(LeastSquares, 'fine_tuning_modes', (FineTuningMode.NAIVE,))
    parents = {'seed_01': potential(), 'seed_02': potential(seed=2).store()}
    chain = make_ensemble(parent_potentials=parents)
    given = {}
    monkeypatch.setattr(chain, 'submit', lambda _, training, **__: given.update({training['seed'].value: training}))
    chain.cut_training_sets()
    chain.train()
    assert {seed: training['parent_potential'].uuid for seed, training in given.items()} == {
        1: parents['seed_01'].uuid,
        2: parents['seed_02'].uuid,
    }


def test_parent_of_no_member_is_refused(python_code, monkeypatch):
    monkeypatch.setattr(LeastSquares, 'fine_tuning_modes', (FineTuningMode.NAIVE,))
    inputs = {**ensemble_inputs(python_code, [2]), 'parent_potentials': {'seed_09': potential()}}
    assert validate_ensemble(inputs, None) == 'parent_potentials holds seed_09, but the seeds are [1, 2]'


def test_parents_where_the_architecture_has_no_fine_tuning_are_refused(python_code):
    inputs = {**ensemble_inputs(python_code, [2], gradient_updates=98), 'parent_potentials': {'seed_01': potential()}}
    assert validate_ensemble(inputs, None) == (
        "a training set of 2 frames is refused: least_squares has no fine-tuning mode 'naive'; it has: none"
    )


@pytest.mark.parametrize('seeds', [[], [1, 1], [-1]])
def test_seeds_are_checked(seeds):
    assert validate_seeds(List(seeds), None) == f'seeds is {seeds}; give at least one, none twice and none negative'


def test_members_asked_about_other_frames_are_refused(toy_architecture):
    arrays = {'energies': np.zeros(1), 'forces': np.zeros((1, 3)), 'offsets': np.array([0, 1])}
    one, other = (ArrayData({**arrays, 'frame_indices': np.array([index])}) for index in (0, 1))
    with pytest.raises(ValueError, match=r'^the members of a committee must be asked about the same frames, these'):
        committee_deviation(a_1=one, a_2=other)
