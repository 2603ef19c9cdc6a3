"""Fine-tuning in rounds from end to end with the toy architecture."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from aiida.common.links import LinkType
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching
from aiida.orm import Dict, InstalledCode
from calculation_cases import ATOMIC_ENERGIES, labelled_frames, potential, register_toy, split
from computer_cases import local_computer
from fine_tuning_cases import tuning_inputs
from learning_cases import MD
from toy.least_squares import LeastSquares

from aiida_edl.architectures.fine_tuning import FineTuningMode
from aiida_edl.provenance.round_queries import fine_tuning_rounds
from aiida_edl.workflows.iterative_fine_tuning import IterativeFineTuningWorkChain


@pytest.fixture(scope='module')
def code(aiida_profile, tmp_path_factory):
    """Return the interpreter of the tests as a code; the toy can be fine-tuned in all tests of this file."""
    computer = local_computer('iterative-fine-tuning', tmp_path_factory.mktemp('work'), use_login_shell=False)
    with pytest.MonkeyPatch.context() as monkeypatch:
        register_toy(monkeypatch)
        monkeypatch.setattr(LeastSquares, 'fine_tuning_modes', (FineTuningMode.NAIVE,))
        yield InstalledCode(computer, sys.executable, label='iterative-fine-tuning-python').store()


@pytest.fixture(scope='module')
def tune(code):
    """Return a function that runs the chain; what was computed for an earlier one comes from the cache."""

    def run(settings=None, **changes):
        with enable_caching():
            return run_get_node(IterativeFineTuningWorkChain, **tuning_inputs(code, settings, **changes))[1]

    return run


@pytest.fixture(scope='module')
def tuned(tune):
    """Return a chain of one round that begins with test frames alone."""
    return tune()


def rounds(node):
    return node.outputs.report['rounds']


def test_rounds_without_convergence_end_in_a_warning_that_says_why(tuned):
    assert tuned.exit_status == 701
    own = tuned.outputs.own_errors['round_01']['summary']
    error, bar = own['force_rmse_ev_per_angstrom'], own['force_rmse_error_ev_per_angstrom']
    assert tuned.exit_message == (
        f'Fine-tuning has not converged: 1 rounds are done; the force error on its own frames was {error:.4f} ± '
        f'{bar:.4f} eV/Å in the last of them, where 1 in a row below 1e-06 are asked for (round 1)'
    )
    assert tuned.outputs.report['has_converged'] is False
    assert tuned.outputs.report['failures'] == []


def test_potential_of_round_0_is_the_parent_itself(tuned):
    assert sorted(tuned.outputs.potentials) == ['round_00', 'round_01']
    assert tuned.outputs.potentials['round_00'].uuid == tuned.inputs.parent_potential.uuid
    assert rounds(tuned)[0]['is_retrained'] is False
    assert rounds(tuned)[0]['n_training'] == 0


def test_potential_of_round_1_comes_from_the_parent_and_has_learnt_the_new_frames_alone(tuned):
    training = tuned.outputs.potentials['round_01'].creator
    assert training.inputs.parent_potential.uuid == tuned.inputs.parent_potential.uuid
    assert training.inputs.dataset.uuid == tuned.outputs.dataset.uuid
    learnt = tuned.outputs.split
    assert [len(learnt.get_array(name)) for name in ('training', 'validation', 'test')] == [5, 1, 4]
    frames = tuned.outputs.dataset.frames()
    assert set(frames.columns['round'][learnt.get_array('training')].tolist()) == {1}
    assert learnt.get_array('test').tolist() == [4, 5, 6, 9]


def test_runs_are_those_of_the_potential_of_the_round_before(tuned):
    runs = [child for child in tuned.called if child.process_label == 'MolecularDynamicsWorkChain']
    assert {run.inputs.md.potential.uuid for run in runs} == {tuned.inputs.parent_potential.uuid}
    assert [run.inputs.skip_parity_check.value for run in runs] == [True, True]


def test_every_frame_is_accounted_for(tuned):
    row = rounds(tuned)[1]
    counts = ('runs', 'failed_runs', 'n_planned', 'n_frames', 'n_unphysical', 'n_selected', 'n_labelled', 'n_rejected')
    assert [row[name] for name in counts] == [2, 0, 20, 20, 0, 6, 6, 0]
    assert row['temperatures'] == [300.0]
    assert {name: entry['n_selected'] for name, entry in row['by_stratum'].items()} == {
        'charged, 300.0': 3,
        'neutral, 300.0': 3,
    }


def test_own_error_is_that_of_the_potential_that_found_the_frames(tuned):
    """The error is taken by hand from the predictions of the parent for the frames that it had not learnt."""
    (evaluation,) = [
        child
        for child in tuned.called
        if child.process_label == 'EvaluationWorkChain' and child.inputs.evaluation.dataset.n_frames == 6
    ]
    assert evaluation.inputs.evaluation.potential.uuid == tuned.inputs.parent_potential.uuid
    new = tuned.outputs.dataset.frames().select(np.arange(10, 16))
    predicted = evaluation.outputs.predictions.get_array('forces')
    error = float(np.sqrt(np.mean((predicted - new.forces) ** 2)))
    assert rounds(tuned)[1]['own_force_rmse_ev_per_angstrom'] == pytest.approx(error, rel=1e-9)
    assert rounds(tuned)[1]['own_force_rmse_error_ev_per_angstrom'] > 0


def test_errors_on_the_test_frames_are_those_of_the_potentials_of_the_rounds(tuned):
    errors = [tuned.outputs.errors[name]['summary'] for name in ('round_00', 'round_01')]
    assert [row['test_force_rmse_ev_per_angstrom'] for row in rounds(tuned)] == [
        entry['force_rmse_ev_per_angstrom'] for entry in errors
    ]
    assert errors[1]['force_rmse_ev_per_angstrom'] < errors[0]['force_rmse_ev_per_angstrom']
    assert errors[0]['n_frames'] == 4


def test_every_call_says_what_it_is(tuned):
    links = tuned.base.links.get_outgoing(link_type=(LinkType.CALL_CALC, LinkType.CALL_WORK)).all_link_labels()
    assert sorted(links) == [
        'check_frames',
        'check_labelling',
        'compare_labels',
        'held_out_frames',
        'report',
        'round_00_evaluation_test',
        'round_00_extend_dataset',
        'round_00_report',
        'round_01_collect_frames',
        'round_01_evaluation_own',
        'round_01_evaluation_test',
        'round_01_extend_dataset',
        'round_01_fit_atomic_energies',
        'round_01_labelling',
        'round_01_md_charged_01',
        'round_01_md_neutral_01',
        'round_01_report',
        'round_01_select_own_frames',
        'round_01_training',
    ]


def test_cost_is_stated_by_stage(tuned):
    assert sorted(rounds(tuned)[1]['wall_seconds']) == ['dynamics', 'evaluation', 'labelling', 'training']
    assert tuned.outputs.report['totals']['n_labelled'] == 6


def test_query_gives_the_rounds_of_the_report(tuned):
    beginning, first = fine_tuning_rounds(tuned)
    assert (beginning.round, beginning.n_training, beginning.n_labelled) == (0, 0, None)
    assert (first.round, first.n_training, first.n_labelled, first.n_rejected) == (1, 5, 6, 0)
    assert first.own_force_rmse_ev_per_angstrom == rounds(tuned)[1]['own_force_rmse_ev_per_angstrom']


@pytest.mark.slow
def test_small_own_error_ends_it_with_success_after_its_labels_are_learnt(tuned, tune):
    node = tune({'stop': {'force_error': 10.0}, 'maximum_rounds': 3})
    assert (node.exit_status, node.exit_message) == (0, None)
    assert node.outputs.report['reason'].endswith('in the last round, below the 10 that are asked for (round 1)')
    assert sorted(node.outputs.potentials) == ['round_00', 'round_01']


@pytest.mark.slow
def test_frames_of_the_beginning_are_learnt_first_and_more_rounds_go_on(tuned, tune):
    node = tune(
        {'maximum_rounds': 2, 'retraining': {'start_from': 'previous', 'gradient_updates': 3}},
        split=split(),
        atomic_energies=Dict(ATOMIC_ENERGIES),
    )
    assert node.exit_status == 701
    trainings = [node.outputs.potentials[name].creator for name in ('round_00', 'round_01', 'round_02')]
    assert [training.inputs.parent_potential.uuid for training in trainings] == [
        potential().uuid,
        node.outputs.potentials['round_00'].uuid,
        node.outputs.potentials['round_01'].uuid,
    ]
    assert [training.inputs.gradient_updates.value for training in trainings] == [6, 3, 3]
    assert [row['n_training'] for row in rounds(node)] == [6, 11, 16]
    assert np.bincount(node.outputs.dataset.frames().columns['round']).tolist() == [10, 6, 6]
    runs = [child for child in node.called if child.process_label == 'MolecularDynamicsWorkChain']
    assert {run.inputs.md.potential.uuid for run in runs} == {
        node.outputs.potentials[name].uuid for name in ('round_00', 'round_01')
    }


@pytest.mark.slow
def test_run_that_explodes_costs_its_missing_frames_only(tuned, tune):
    """The limit is just below the highest temperature that one of the runs has had."""
    runs = [child for child in tuned.called if child.process_label == 'MolecularDynamicsWorkChain']
    limit = 0.999 * max(run.outputs.series.get_array('temperature').max() for run in runs)
    md = {'code': tuned.inputs.md.code, 'engine': tuned.inputs.md.engine}
    node = tune(md={**md, 'settings': Dict({**MD, 'maximum_temperature': float(limit)})})
    row = rounds(node)[1]
    assert row['failed_runs'] >= 1
    assert 0 < row['n_frames'] < row['n_planned'] == 20
    assert row['n_labelled'] == row['n_selected'] > 0
    assert node.exit_status == 701
    assert 'parts failed: round_01_md_' in node.exit_message
    assert len(node.outputs.report['failures']) == row['failed_runs']


@pytest.mark.slow
def test_labels_that_are_rejected_are_listed(tuned, tune):
    labelling = {**tuning_inputs(tuned.inputs.md.code)['labelling'], 'gate': Dict({'force_cap': 1e-6})}
    node = tune({'check': {'n_frames': 0}}, labelling=labelling)
    assert node.exit_status == 513
    assert node.exit_message.startswith('No frame was labelled: round_01_labelling (LabellingWorkChain<')
    assert rounds(node)[1]['n_rejected'] == 6
    assert node.outputs.rejected['round_01']['n_rejected'] == 6
    assert node.outputs.dataset.n_frames == labelled_frames().energies.size
