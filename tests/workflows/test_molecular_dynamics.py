"""An interrupted run continues to the same target, and its parts become one trajectory."""

from __future__ import annotations

import ase_cases
import numpy as np
import pytest
from aiida.common.links import LinkType
from aiida.engine import run_get_node
from aiida.orm import Bool, CalcJobNode, Dict, FolderData, Int
from calculation_cases import TESTS, dataset, md_inputs, stored_once

from aiida_edl.calculations.functions.join_datasets import join_datasets
from aiida_edl.data.dataset import DatasetData
from aiida_edl.md_engines import ase as ase_engine
from aiida_edl.science.frames import FrameSet
from aiida_edl.workflows.joined_parts import continued_children
from aiida_edl.workflows.molecular_dynamics import MolecularDynamicsWorkChain

N_STEPS = 20


def interrupted_inputs(code, steps_per_process):
    """Return inputs of a run whose every process is told to stop after some steps."""
    recipe = {
        'module': 'toy.failing_calculator',
        'attribute': 'InterruptedCalculator',
        'keyword_arguments': {'after': steps_per_process},
    }
    gold = FrameSet.from_frames([ase_cases.gold(1)])
    return md_inputs(
        code,
        potential=None,
        model_parameters={'recipe': recipe, 'level_of_theory': 'Morse potential'},
        structure=stored_once('gold', lambda: DatasetData.from_frames(gold, origin='made by hand')),
        settings={'steps': N_STEPS, 'sampling_interval': 2, 'temperature': 300.0},
    )


@pytest.fixture
def interrupted_and_whole(python_code, monkeypatch):
    """Return a run that was interrupted twice, and the same run in one process; both are run once for all tests."""
    monkeypatch.setenv('PYTHONPATH', str(TESTS))

    def run(steps_per_process):
        return run_get_node(MolecularDynamicsWorkChain, md=interrupted_inputs(python_code, steps_per_process))[1]

    return stored_once('interrupted run', lambda: run(8)), stored_once('whole run', lambda: run(10**6))


def test_interrupted_run_reaches_its_target(interrupted_and_whole):
    interrupted, _ = interrupted_and_whole
    assert interrupted.is_finished_ok, interrupted.exit_message
    jobs = sorted(interrupted.called_descendants, key=lambda node: node.pk)
    assert [job.exit_status for job in jobs if isinstance(job, CalcJobNode)] == [400, 400, 0]


def test_joined_trajectory_is_that_of_one_process(interrupted_and_whole):
    interrupted, whole = (node.outputs.trajectory.frames() for node in interrupted_and_whole)
    assert interrupted.columns['step'].tolist() == list(range(2, N_STEPS + 1, 2))
    np.testing.assert_array_equal(interrupted.positions, whole.positions)


def test_joined_series_is_that_of_one_process(interrupted_and_whole):
    interrupted, whole = (node.outputs.series for node in interrupted_and_whole)
    for name in whole.get_arraynames():
        np.testing.assert_array_equal(interrupted.get_array(name), whole.get_array(name))


def test_series_is_whole_though_the_first_job_stored_no_frame(python_code, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', str(TESTS))
    inputs = {**interrupted_inputs(python_code, 8), 'stored_every': Int(5)}
    outputs, node = run_get_node(MolecularDynamicsWorkChain, md=inputs)
    assert node.is_finished_ok, node.exit_message
    first, *_ = sorted((job for job in node.called if isinstance(job, CalcJobNode)), key=lambda job: job.pk)
    assert 'trajectory' not in first.outputs
    assert outputs['series'].get_array('step').tolist() == list(range(2, N_STEPS + 1, 2))
    assert outputs['trajectory'].get_array('column_step').tolist() == [10, 20]


def test_joined_trajectory_keeps_what_its_parts_share(interrupted_and_whole):
    interrupted, whole = (node.outputs.trajectory.base.attributes for node in interrupted_and_whole)
    assert interrupted.get('temperature') == whole.get('temperature') == 300.0


def test_run_that_is_killed_again_and_again_goes_on_while_it_makes_progress(python_code, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', str(TESTS))
    monkeypatch.setattr(ase_engine, 'FLUSH_INTERVAL_SECONDS', 0.0)
    recipe = {'module': 'toy.failing_calculator', 'attribute': 'KillingCalculator', 'keyword_arguments': {'after': 9}}
    inputs = interrupted_inputs(python_code, 9)
    inputs['model_parameters'] = Dict({'recipe': recipe, 'level_of_theory': 'Morse potential'})
    outputs, node = run_get_node(MolecularDynamicsWorkChain, md=inputs)
    assert node.is_finished_ok, node.exit_message
    assert [child.exit_status for child in node.called if isinstance(child, CalcJobNode)] == [312, 312, 0]
    assert outputs['trajectory'].frames().columns['step'].tolist() == list(range(2, N_STEPS + 1, 2))


def test_explosion_ends_the_chain_as_it_ended_the_run(python_code):
    settings = {'steps': 20, 'sampling_interval': 5, 'temperature': 100.0, 'maximum_temperature': 1e-3}
    outputs, node = run_get_node(
        MolecularDynamicsWorkChain, md=md_inputs(python_code, settings=settings), skip_parity_check=Bool(True)
    )
    assert node.exit_status == 451
    assert 'the maximum is 0 K' in node.exit_message
    assert len(node.called) == 1
    assert 'md_summary' in outputs


def test_chain_that_may_not_start_again_keeps_what_it_has(python_code, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', str(TESTS))
    inputs = {'md': interrupted_inputs(python_code, 8), 'max_iterations': Int(2)}
    outputs, node = run_get_node(MolecularDynamicsWorkChain, **inputs)
    assert node.exit_status == MolecularDynamicsWorkChain.exit_codes.ERROR_MAXIMUM_ITERATIONS_EXCEEDED.status
    assert 'checkpoint' in outputs
    steps = outputs['trajectory'].frames().columns['step'].tolist()
    assert steps == list(range(2, 2 + 2 * len(steps), 2))
    assert len(steps) > 4


def test_repeated_part_is_not_joined(aiida_localhost):
    """The second calculation left no checkpoint, so the third went on from that of the first."""
    checkpoint = FolderData().store()
    children = []
    for number in range(3):
        node = CalcJobNode(computer=aiida_localhost)
        if number:
            node.base.links.add_incoming(checkpoint, LinkType.INPUT_CALC, 'checkpoint')
        children.append(node.store())
    checkpoint.base.links.add_incoming(children[0], LinkType.CREATE, 'checkpoint')
    assert continued_children(children) == [children[0], children[2]]


def test_joined_parts_of_different_theory_are_refused(python_code):
    first = dataset()
    second = DatasetData.from_frames(first.frames(), level_of_theory='another')
    with pytest.raises(ValueError, match='data sets of different levels of theory cannot be joined'):
        join_datasets(a=first, b=second)


def test_call_link_is_labelled(python_code):
    _, node = run_get_node(MolecularDynamicsWorkChain, md=md_inputs(python_code), skip_parity_check=Bool(True))
    assert node.base.links.get_outgoing(link_type=LinkType.CALL_CALC).all_link_labels() == ['iteration_01']
