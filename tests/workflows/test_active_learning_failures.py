"""What active learning survives, and how it ends if it does not: single steps with children made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager
from aiida.orm import ArrayData, Dict, List
from aiida.orm.utils.serialize import deserialize_unsafe, serialize
from calculation_cases import ATOMIC_ENERGIES, dataset, labelled_frames, potential, split, stored_once
from learning_cases import child, learning_inputs, outputs
from toy.least_squares import LeastSquares

from aiida_edl.architectures.fine_tuning import FineTuningMode
from aiida_edl.data.dataset import DatasetData
from aiida_edl.workflows.active_learning import ActiveLearningWorkChain


@pytest.fixture
def make(python_code):
    """Return a function that makes a chain in its first round, with a committee of two."""

    def make_chain(settings=None, **changes):
        inputs = learning_inputs(python_code, settings, atomic_energies=Dict(ATOMIC_ENERGIES), **changes)
        chain = instantiate_process(get_manager().get_runner(), ActiveLearningWorkChain, **inputs)
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr(chain, '_extend', lambda *_: None)
            chain.start()
        chain.ctx.dataset, chain.ctx.split = beginning(), split()
        chain.ctx.round, chain.ctx.explored, chain.ctx.selected = 1, {}, None
        chain.ctx.is_retrained, chain.ctx.has_new_labels = True, False
        chain.ctx.split_of_committee = chain.ctx.split
        chain.ctx.committee = {'seed_01': potential(), 'seed_02': potential()}
        chain.ctx.errors = {'seed_01': errors(0.1), 'seed_02': errors(0.2)}
        return chain

    return make_chain


def beginning():
    """Return the data set of round 0; it is stored once for all tests."""
    return stored_once('beginning', lambda: dataset(labelled_frames().with_columns(round=0)))


def errors(force):
    return Dict({'summary': {'force_rmse_ev_per_angstrom': force, 'energy_rmse_ev_per_atom': 0.01}})


def committee(*numbers):
    """Return outputs of an ensemble whose members with these seeds were trained and tested."""
    names = [f'n_00006_seed_{number:02d}' for number in numbers]
    found = {'errors': {name: errors(0.1 * number) for name, number in zip(names, numbers)}}
    return outputs(**found, potentials={name: potential() for name in names})


def end(chain):
    """Return status and message with which a chain ends."""
    chain.close_round()
    exit_code = chain.conclude()
    return (0, None) if exit_code is None else (exit_code.status, exit_code.message)


def test_committee_with_two_members_left_goes_on(make):
    chain = make(seeds=List([1, 2, 3]))
    chain.ctx.round_01_committee = child(committee(1, 3), 700, 'The ensemble lacks members that failed: seed 2')
    chain.inspect_committee()
    assert chain.should_continue()
    assert sorted(chain.ctx.committee) == ['seed_01', 'seed_03']
    assert chain.ctx.mean_errors == [pytest.approx((0.2, 0.1))]
    assert chain.failures == ['part of the committee of round 1 (The ensemble lacks members that failed: seed 2)']


def test_committee_of_one_ends_it(make):
    chain = make()
    chain.ctx.round_01_committee = child(committee(1), 700, 'seed 2 failed')
    chain.inspect_committee()
    assert not chain.should_continue()
    assert end(chain) == (
        511,
        'Fewer than two members are left: part of the committee of round 1 (seed 2 failed) (round 1)',
    )


def test_committee_that_failed_ends_it(make):
    chain = make()
    chain.ctx.round_01_committee = child(outputs(), 511, 'No member could be trained', 'EnsembleTrainingWorkChain')
    chain.inspect_committee()
    assert end(chain) == (
        511,
        'Fewer than two members are left: committee of round 1 (EnsembleTrainingWorkChain<7>, exit status 511: No '
        'member could be trained) (round 1)',
    )


def test_error_that_falls_no_more_ends_it_with_success(make):
    chain = make({'stop': {'stagnant_rounds': 1}})
    chain.ctx.mean_errors = [(0.15, 0.05)]
    chain.ctx.round_01_committee = child(committee(1, 2))
    chain.inspect_committee()
    assert end(chain) == (0, None)
    assert chain.outputs['report']['reason'].startswith('the force error on the test frames, now 0.1500 ± 0.0500 eV/Å')


def test_success_with_parts_that_failed_is_a_warning(make):
    chain = make()
    chain.note_failure('one run')
    chain._end('converged', 'enough')
    assert end(chain) == (700, 'Active learning has converged, but parts failed: one run')


def test_members_go_on_from_those_of_the_round_before(make, monkeypatch):
    monkeypatch.setattr(LeastSquares, 'fine_tuning_modes', (FineTuningMode.NAIVE,))
    chain = make({'retraining': {'start_from': 'previous', 'gradient_updates': 4}})
    chain.ctx.has_new_labels = True
    submitted = {}
    monkeypatch.setattr(chain, 'submit', lambda process, **inputs: submitted.update(inputs))
    before = dict(chain.ctx.committee)
    chain.train_committee()
    assert submitted['parent_potentials'] == before
    assert submitted['training']['gradient_updates'].value == 4


def test_first_members_have_no_parents(make, monkeypatch):
    monkeypatch.setattr(LeastSquares, 'fine_tuning_modes', (FineTuningMode.NAIVE,))
    chain = make({'retraining': {'start_from': 'previous', 'gradient_updates': 4}})
    chain.ctx.has_new_labels, chain.ctx.committee = True, {}
    submitted = {}
    monkeypatch.setattr(chain, 'submit', lambda process, **inputs: submitted.update(inputs))
    chain.train_committee()
    assert 'parent_potentials' not in submitted
    assert submitted['training']['gradient_updates'].value == 6


def test_without_new_labels_the_committee_stays(make, monkeypatch):
    chain = make()
    monkeypatch.setattr(chain, 'submit', lambda *_, **__: pytest.fail('a training was submitted'))
    before = dict(chain.ctx.committee)
    assert chain.train_committee() is None
    chain.ctx.round = 1
    chain.inspect_committee()
    assert chain.ctx.committee == before
    assert chain.should_continue()


def trajectory(n_frames=2):
    return DatasetData.from_frames(
        labelled_frames(n_frames).with_columns(time=np.arange(n_frames)), level_of_theory='toy', origin='MD'
    ).store()


def explore(chain, monkeypatch, **children):
    """Let a chain take what its runs have left."""
    for name, node in children.items():
        chain.ctx[f'round_01_md_{name}_01'] = node
    monkeypatch.setattr(chain, 'submit', lambda *_, **__: None)
    return chain.predict_forces()


def test_frames_before_an_explosion_are_used(make, monkeypatch):
    chain = make()
    exploded = child(outputs(trajectory=trajectory(1)), 454, 'The run exploded', 'MolecularDynamicsWorkChain')
    explore(chain, monkeypatch, neutral=child(outputs(trajectory=trajectory())), charged=exploded)
    assert chain.should_continue()
    assert chain.ctx.frames.n_frames == 3
    assert chain.ctx.explored == {'runs': 2, 'failed_runs': 1}
    assert chain.failures == [
        'round_01_md_charged_01 (MolecularDynamicsWorkChain<7>, exit status 454: The run exploded)'
    ]


def test_dynamics_without_any_frame_ends_it(make, monkeypatch):
    chain = make()
    exploded = child(outputs(), 454, 'The run exploded', 'MolecularDynamicsWorkChain')
    explore(chain, monkeypatch, neutral=exploded, charged=exploded)
    chain.select_frames()
    assert not chain.should_label()
    status, message = end(chain)
    assert status == 512
    assert message.startswith('The dynamics gave no frame: round_01_md_charged_01 (MolecularDynamicsWorkChain<7>, ')
    assert message.count('The run exploded') == 2


def predictions(forces):
    """Return predictions for the first two frames, both with the same forces everywhere."""
    return ArrayData(
        {
            'energies': np.zeros(2),
            'forces': np.full((16, 3), forces),
            'offsets': np.array([0, 8, 16]),
            'frame_indices': np.arange(2),
        }
    ).store()


def select(chain, deviation):
    """Let a chain choose among two frames for which two members differ by a deviation."""
    chain.ctx.frames = dataset(labelled_frames(2).without_labels()).store()
    for name, force in (('seed_01', 0.0), ('seed_02', deviation * np.sqrt(2 / 3))):
        chain.ctx[f'round_01_prediction_{name}'] = child(outputs(predictions=predictions(force)))
    chain.select_frames()


def of_one_frame(code):
    """Return the inputs of dynamics of which each of the two runs stores one frame."""
    return {'md': {**learning_inputs(code)['md'], 'settings': Dict({'steps': 20, 'sampling_interval': 20})}}


def test_frames_in_the_window_are_labelled(make, python_code):
    chain = make({'window': {'lower': 0.1, 'upper': 0.5}}, **of_one_frame(python_code))
    select(chain, 0.3)
    assert chain.should_label()
    assert chain.ctx.selected.n_frames == 2
    assert chain.ctx.selected.frames().columns['force_deviation'] == pytest.approx([0.3, 0.3])


def test_frames_above_the_window_alone_end_it_with_the_quantiles(make, python_code):
    chain = make({'window': {'lower': 0.1, 'upper': 0.2}}, **of_one_frame(python_code))
    select(chain, 0.3)
    assert not chain.should_label()
    assert end(chain) == (
        456,
        'There is nothing left to learn from: 2 of 3 planned frames, 0 accurate, 0 candidate, 2 failed, for a window '
        'from 0.1 to 0.2 eV/Å and quantiles of the deviation 5 %: 0.3, 25 %: 0.3, 50 %: 0.3, 75 %: 0.3, 95 %: 0.3; '
        'begin with more data, explore more gently, or change the window (round 1)',
    )


def test_missing_prediction_of_one_of_two_members_ends_it(make, python_code):
    chain = make(**of_one_frame(python_code))
    chain.ctx.frames = dataset(labelled_frames(2).without_labels()).store()
    chain.ctx.round_01_prediction_seed_01 = child(outputs(predictions=predictions(0.0)))
    chain.ctx.round_01_prediction_seed_02 = child(outputs(), 452, 'No frame', 'EvaluationWorkChain')
    chain.select_frames()
    assert end(chain) == (
        511,
        'Fewer than two members are left: round_01_prediction_seed_02 (EvaluationWorkChain<7>, exit status 452: No '
        'frame) (round 1)',
    )


def extend(chain, labelling):
    """Let a chain take the labels of a child."""
    chain.ctx.round_01_labelling = labelling
    chain.extend_data()
    return chain


def test_labels_that_are_left_are_used(make):
    rejected = Dict({'n_frames': 3, 'n_rejected': 1, 'frames': [{'frame': 2, 'reason': 'not converged'}]})
    new = outputs(dataset=dataset(labelled_frames(2, seed=5)), rejected=rejected.store())
    chain = extend(make(), child(new, 520, '1 of 3 frames were rejected', 'LabellingWorkChain'))
    assert chain.should_continue()
    assert chain.ctx.has_new_labels
    assert chain.ctx.dataset.n_frames == 12
    assert chain.failures == [
        'round_01_labelling (LabellingWorkChain<7>, exit status 520: 1 of 3 frames were rejected)'
    ]
    chain.close_round()
    row = chain.ctx.rows['round_01'].get_dict()
    assert (row['n_labelled'], row['n_rejected'], row['rejections']) == (2, 1, ['frame 2: not converged'])
    assert row['n_training'] == 6  # of the committee of this round


def test_without_any_label_it_ends(make):
    rejected = Dict({'n_frames': 1, 'n_rejected': 1, 'frames': [{'frame': 0, 'reason': 'not converged'}]})
    chain = extend(make(), child(outputs(rejected=rejected.store()), 520, 'all were rejected', 'LabellingWorkChain'))
    assert end(chain) == (
        513,
        'No frame was labelled: round_01_labelling (LabellingWorkChain<7>, exit status 520: all were rejected) '
        '(round 1)',
    )


def test_labels_of_another_level_of_theory_end_it(make):
    other = DatasetData.from_frames(labelled_frames(2, seed=5), level_of_theory='Morse')
    rejected = Dict({'n_frames': 2, 'n_rejected': 0, 'frames': []}).store()
    chain = extend(make(), child(outputs(dataset=other, rejected=rejected)))
    assert end(chain) == (
        212,
        "The labels do not belong to the data set: 'Morse' is not 'Lennard-Jones' (round 1)",
    )
    assert chain.outputs['dataset'].n_frames == 10


def check(chain, labels):
    """Let a chain compare labels of known frames."""
    chain.ctx.round, chain.ctx.check_labelling = 0, labels
    chain.compare_with_known()
    if chain.ctx.ending is None:
        return None
    exit_code = chain.conclude()
    return exit_code.status, exit_code.message


def relabelled(level_of_theory='Lennard-Jones', **changes):
    """Return frames 3 and 8 of the data set, as if they had been labelled again."""
    frames = labelled_frames().select([3, 8]).with_columns(source_index=np.array([3, 8]))
    return outputs(dataset=DatasetData.from_frames(replace(frames, **changes), level_of_theory=level_of_theory))


def test_engine_that_gives_the_known_labels_may_go_on(make):
    assert check(make(), child(relabelled())) is None


def test_engine_that_gives_other_forces_ends_it_before_anything_is_trained(make):
    forces = labelled_frames().select([3, 8]).forces.copy()
    forces[0, 2] += 0.1
    assert check(make(), child(relabelled(forces=forces))) == (
        213,
        'The engine gives other labels than the data set has: its force is off by 0.1 eV/Å in frame 0, allowed are '
        '0.05 (round 0)',
    )


def test_engine_of_another_level_of_theory_ends_it_before_anything_is_trained(make):
    assert check(make(), child(relabelled('Morse'))) == (
        212,
        "The labels do not belong to the data set: 'Morse' is not 'Lennard-Jones' (round 0)",
    )


def test_engine_without_labels_ends_it_before_anything_is_trained(make):
    chain = make()
    assert check(chain, child(outputs(), 520, 'all were rejected', 'LabellingWorkChain')) == (
        513,
        'No frame was labelled: check_labelling (LabellingWorkChain<7>, exit status 520: all were rejected) (round 0)',
    )
    assert chain.outputs['report']['rounds'] == []


def test_state_between_the_steps_can_be_stored_and_read(make):
    """A worker that is killed leaves nothing but this."""
    chain = make()
    select_settings = dict(chain.ctx.committee)
    chain.ctx.round_01_committee = None
    chain.ctx.mean_errors, chain.ctx.shares = [(0.1, 0.01)], [0.5]
    extend(chain, child(outputs(dataset=dataset(labelled_frames(2, seed=5)))))
    chain.ctx.pop('round_01_labelling')
    chain.ctx.pop('round_01_committee')
    chain.close_round()
    read = deserialize_unsafe(serialize(chain.ctx))
    assert read.mean_errors == [(0.1, 0.01)]
    assert {name: node.uuid for name, node in read.committee.items()} == {
        name: node.uuid for name, node in select_settings.items()
    }
    assert read.rows['round_01'].uuid == chain.ctx.rows['round_01'].uuid


def test_labels_near_the_test_frames_are_no_reason_to_train_again(make):
    rejected = Dict({'n_frames': 2, 'n_rejected': 0, 'frames': []}).store()
    near = dataset(labelled_frames().select([5, 9]))
    chain = extend(make(), child(outputs(dataset=near, rejected=rejected)))
    assert not chain.ctx.has_new_labels
    assert chain.ctx.dataset.n_frames == 12
