"""An interrupted run continues to the same target, and its parts become one trajectory."""

from __future__ import annotations

import pytest
from aiida.common.links import LinkType
from aiida.engine import run_get_node
from aiida.orm import CalcJobNode
from calculation_cases import md_inputs

from aiida_edl.calculations.functions.join_datasets import join_datasets
from aiida_edl.calculations.functions.join_series import join_series
from aiida_edl.calculations.molecular_dynamics import MolecularDynamicsCalculation
from aiida_edl.workflows.molecular_dynamics import MolecularDynamicsWorkChain


def test_lost_node_without_checkpoint_starts_again(make_chain, python_code, aiida_localhost):
    chain = make_chain(MolecularDynamicsWorkChain, md=md_inputs(python_code))
    node = CalcJobNode(computer=aiida_localhost, process_type=MolecularDynamicsCalculation.build_process_type()).store()
    node.set_exit_status(140)
    assert chain.handle_out_of_walltime(node).exit_code.status == 0
    assert 'checkpoint' not in chain.ctx.inputs


def test_parts_are_joined(make_chain, python_code):
    """Two parts of one run, as two restarts would leave them."""
    whole, node = run_get_node(MolecularDynamicsWorkChain, md=md_inputs(python_code))
    assert node.is_finished_ok, node.exit_message
    part = {'part_01': whole['trajectory'], 'part_02': whole['trajectory']}
    joined = join_datasets(**part)
    assert joined.n_frames == 2 * whole['trajectory'].n_frames
    assert joined.base.attributes.get('temperature') == whole['trajectory'].base.attributes.get('temperature')
    series = join_series(part_01=whole['series'], part_02=whole['series'])
    assert len(series.get_array('step')) == 2 * len(whole['series'].get_array('step'))


def test_joined_parts_of_different_theory_are_refused(make_chain, python_code):
    from calculation_cases import dataset

    first = dataset()
    second = type(first).from_frames(first.frames(), level_of_theory='another')
    with pytest.raises(ValueError, match='data sets of different levels of theory cannot be joined'):
        join_datasets(a=first, b=second)


def test_call_link_is_labelled(python_code):
    _, node = run_get_node(MolecularDynamicsWorkChain, md=md_inputs(python_code))
    assert node.base.links.get_outgoing(link_type=LinkType.CALL_CALC).all_link_labels() == ['iteration_01']
