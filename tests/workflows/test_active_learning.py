"""Active learning from end to end with the toy members, and what an extension reuses."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from aiida.common.links import LinkType
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching
from aiida.orm import CalcFunctionNode, CalcJobNode, Computer, Dict, InstalledCode
from calculation_cases import labelled_frames, register_toy
from click.testing import CliRunner
from learning_cases import LABELS, MD, learning_inputs

from aiida_edl.cli.main import main
from aiida_edl.provenance.round_queries import learning_rounds
from aiida_edl.workflows.active_learning import ActiveLearningWorkChain


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


def rounds(node):
    return node.outputs.report['rounds']


def test_rounds_without_convergence_end_in_a_warning_that_says_why(learnt):
    assert (learnt.exit_status, learnt.exit_message) == (
        701,
        'Active learning has not converged: 1 rounds are done; the share of accurate frames was 0.0 % in the last of '
        'them, where 1 in a row with 95 % are asked for (round 2)',
    )
    report = learnt.outputs.report.get_dict()
    assert report['has_converged'] is False
    assert report['failures'] == []
    assert learnt.exit_message.endswith(report['reason'])


def test_frames_are_explored_at_every_charge_state_and_labelled_in_equal_numbers(learnt):
    explored, _ = rounds(learnt)
    assert {name: explored[name] for name in ('runs', 'failed_runs', 'n_planned', 'n_frames', 'candidate')} == {
        'runs': 2,
        'failed_runs': 0,
        'n_planned': 20,
        'n_frames': 20,
        'candidate': 20,
    }
    assert explored['by_charge_state']['2Na'] == {'accurate': 0, 'candidate': 10, 'failed': 0, 'planned': 10}
    assert (explored['n_selected'], explored['n_labelled'], explored['n_rejected']) == (6, 6, 0)
    frames = learnt.outputs.dataset.frames()
    new = frames.columns['round'] == 1
    assert new.tolist() == [False] * 10 + [True] * 6
    assert (
        sorted(frames.columns['group'][new].tolist()) == ['round_01_md_charged_01'] * 3 + ['round_01_md_neutral_01'] * 3
    )


def test_labels_are_those_of_the_engine(learnt):
    """The toy potential that made the frames has other forces than the Lennard-Jones model that labels them."""
    from ase import Atoms
    from ase.calculators.lj import LennardJones

    frame = learnt.outputs.dataset.frame(12)
    atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc)
    atoms.calc = LennardJones(**LABELS['recipe']['keyword_arguments'])
    np.testing.assert_allclose(frame.forces, atoms.get_forces(), atol=1e-9)
    shift = sum(LABELS['energy_shifts'][symbol] for symbol in atoms.symbols)
    assert frame.energy == pytest.approx(atoms.get_potential_energy() + shift)


def test_last_training_is_on_everything_and_the_test_frames_are_those_of_the_beginning(learnt):
    first, last = rounds(learnt)
    assert [row['n_training'] for row in (first, last)] == [6, 11]
    assert [row['n_validation'] for row in (first, last)] == [1, 2]
    assert last['is_retrained'] is True
    assert 'n_frames' not in last
    assert learnt.outputs.split.get_array('test').tolist() == [5, 9]
    positions = learnt.outputs.dataset.frames().select(learnt.outputs.split.get_array('test')).positions
    np.testing.assert_array_equal(positions, labelled_frames().select([5, 9]).positions)
    assert sorted(learnt.outputs.potentials) == sorted(learnt.outputs.errors) == ['seed_01', 'seed_02']
    dataset = learnt.outputs.potentials['seed_01'].creator.inputs.dataset
    assert dataset.uuid == learnt.outputs.dataset.uuid


def test_error_falls_with_the_new_frames(learnt):
    first, last = (row['test_force_rmse_ev_per_angstrom'] for row in rounds(learnt))
    assert last < 0.9 * first


def test_known_frames_of_each_charge_state_are_labelled_again(learnt):
    (comparison,) = [child for child in learnt.called if child.process_label == 'compare_labels']
    found = comparison.outputs.result.get_dict()
    assert (found['passed'], found['n_frames']) == (True, 2)
    assert found['max_force_difference'] < 1e-9


def test_errors_of_the_report_are_those_of_the_members(learnt):
    found = [learnt.outputs.errors[name]['summary']['force_rmse_ev_per_angstrom'] for name in ('seed_01', 'seed_02')]
    assert rounds(learnt)[-1]['test_force_rmse_ev_per_angstrom'] == pytest.approx(np.mean(found))
    assert rounds(learnt)[-1]['test_force_rmse_ev_per_angstrom_error'] == pytest.approx(np.ptp(found) / 2)


def test_every_call_says_what_it_is(learnt):
    links = learnt.base.links.get_outgoing(link_type=(LinkType.CALL_CALC, LinkType.CALL_WORK)).all_link_labels()
    assert sorted(links) == [
        'check_frames',
        'check_labelling',
        'compare_labels',
        'fit_atomic_energies',
        'report',
        'round_00_extend_dataset',
        'round_01_collect_frames',
        'round_01_committee',
        'round_01_committee_deviation',
        'round_01_extend_dataset',
        'round_01_labelling',
        'round_01_md_charged_01',
        'round_01_md_neutral_01',
        'round_01_prediction_seed_01',
        'round_01_prediction_seed_02',
        'round_01_report',
        'round_01_select_candidates',
        'round_02_committee',
        'round_02_report',
    ]


def test_override_of_the_parity_gate_is_recorded(learnt):
    runs = [child for child in learnt.called if child.process_label == 'MolecularDynamicsWorkChain']
    assert [run.inputs.skip_parity_check.value for run in runs] == [True, True]


def test_members_take_turns_in_the_runs(learnt):
    runs = [child for child in learnt.called if child.process_label == 'MolecularDynamicsWorkChain']
    assert len({run.inputs.md.potential.uuid for run in runs}) == 2


def test_cost_is_stated_by_stage(learnt):
    first, last = rounds(learnt)
    assert sorted(first['wall_seconds']) == ['dynamics', 'labelling', 'prediction', 'training']
    assert list(last['wall_seconds']) == ['training']
    assert all(value > 0 for value in first['wall_seconds'].values())


def test_query_gives_the_rounds_of_the_report(learnt):
    first, last = learning_rounds(learnt)
    assert (first.round, first.n_training, first.candidate, first.n_labelled, first.n_rejected) == (1, 6, 20, 6, 0)
    assert (last.round, last.n_training, last.candidate, last.n_labelled) == (2, 11, None, None)
    assert last.test_force_rmse_ev_per_angstrom == rounds(learnt)[-1]['test_force_rmse_ev_per_angstrom']
    assert first.wall_seconds == pytest.approx(sum(rounds(learnt)[0]['wall_seconds'].values()), abs=0.06)


def test_command_prints_the_rounds(learnt, aiida_profile):
    arguments = ['-p', aiida_profile.name, 'query', 'active-learning', '--study', str(learnt.pk), '--format', 'json']
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert [row['n_training'] for row in json.loads(result.output)] == [6, 11]


def computed(node):
    """Return the calculations below a node that were computed, not reused, with the label of the call of the chain."""
    found = []
    for entry in node.base.links.get_outgoing(link_type=(LinkType.CALL_CALC, LinkType.CALL_WORK)).all():
        below = [entry.node] if isinstance(entry.node, CalcFunctionNode) else entry.node.called_descendants
        calculations = [child for child in below if isinstance(child, (CalcFunctionNode, CalcJobNode))]
        found += [entry.link_label for child in calculations if not child.base.caching.is_created_from_cache]
    return found


@pytest.fixture(scope='module')
def extended(learnt, learn):
    """Return the same with a second round."""
    return learn({'maximum_rounds': 2})


@pytest.mark.slow
def test_more_rounds_reuse_all_that_were_done(extended):
    assert extended.exit_status == 701
    labels = computed(extended)
    assert 'report' in labels
    assert 'round_02_committee' not in labels
    assert not [label for label in labels if label.startswith(('check', 'compare', 'round_00', 'round_01', 'fit'))]
    assert {label for label in labels if label.startswith('round_03')} == {'round_03_committee', 'round_03_report'}


@pytest.mark.slow
def test_rounds_add_up(extended):
    assert [row.get('n_labelled') for row in rounds(extended)] == [6, 6, None]
    assert [row['n_training'] for row in rounds(extended)] == [6, 11, 16]
    assert extended.outputs.report['totals']['n_labelled'] == 12
    assert np.bincount(extended.outputs.dataset.frames().columns['round']).tolist() == [10, 6, 6]


@pytest.mark.slow
def test_enough_accurate_frames_end_it_with_success_and_without_labels(learnt, learn):
    node = learn({'window': {'lower': 1.0}})
    assert (node.exit_status, node.exit_message) == (0, None)
    assert node.outputs.report['reason'] == (
        'at least 100.0 % of the frames of each charge state were accurate in the last round, 95 % are asked for '
        '(round 1)'
    )
    assert [row['n_selected'] for row in rounds(node)] == [0]
    assert node.outputs.dataset.n_frames == 10


@pytest.mark.slow
def test_run_that_explodes_costs_its_missing_frames_only(learnt, learn):
    """The limit is just below the highest temperature that one of the runs has had."""
    runs = [child for child in learnt.called if child.process_label == 'MolecularDynamicsWorkChain']
    limit = 0.999 * max(run.outputs.series.get_array('temperature').max() for run in runs)
    md = {'code': learnt.inputs.md.code, 'engine': learnt.inputs.md.engine}
    node = learn(md={**md, 'settings': Dict({**MD, 'maximum_temperature': float(limit)})})
    explored = rounds(node)[0]
    assert explored['failed_runs'] >= 1
    assert 0 < explored['n_frames'] < explored['n_planned'] == 20
    assert explored['n_labelled'] == explored['n_selected'] > 0
    assert node.exit_status == 701
    assert 'parts failed: round_01_md_' in node.exit_message
    assert len(node.outputs.report['failures']) == explored['failed_runs']


@pytest.mark.slow
def test_labels_that_are_rejected_are_listed(learnt, learn):
    labelling = {**learning_inputs(learnt.inputs.md.code)['labelling'], 'gate': Dict({'force_cap': 1e-6})}
    node = learn({'check': {'n_frames': 0}}, labelling=labelling)
    assert node.exit_status == 513
    assert node.exit_message.startswith('No frame was labelled: round_01_labelling (LabellingWorkChain<')
    assert [row['n_rejected'] for row in rounds(node)] == [6]
    assert node.outputs.rejected['round_01']['n_rejected'] == 6
    assert node.outputs.dataset.n_frames == 10
    assert len(node.outputs.potentials) == 2
