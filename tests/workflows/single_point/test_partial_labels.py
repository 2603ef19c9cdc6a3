"""A calculation that gave labels of some frames only ends its chain with a warning, and the labels are kept."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from aiida.common import LinkType
from aiida.engine import run_get_node
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager
from aiida.orm import ArrayData, CalcJobNode, Dict, FolderData
from ase_cases import frames
from calculation_cases import TESTS, single_point_inputs
from electrode_cases import FIXTURES

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frames import FrameSet
from aiida_edl.workflows.single_point.ase_calculator.workchain import AseCalculatorSinglePointWorkChain
from aiida_edl.workflows.single_point.electrode.workchain import ElectrodeSinglePointWorkChain

RECORDED = FIXTURES / 'single_point' / 'electrode'


@pytest.fixture
def electrode_inputs(aiida_code_installed, tmp_path):
    """Return inputs of the reference with a program that leaves a truncated run: two of five frames are done."""
    program = tmp_path / 'lmp'
    program.write_text(f'#!/bin/bash\ncp {RECORDED}/log_incomplete/{{log.lammps,labels.dump}} .\n')
    program.chmod(0o755)
    recorded = FrameSet.from_npz(RECORDED / 'finished' / 'frames.npz').without_labels()
    return {
        'code': aiida_code_installed(label='lmp-truncated', filepath_executable=str(program)),
        'dataset': DatasetData.from_frames(recorded),
    }


def test_labels_of_a_program_that_stopped_early_are_kept(electrode_inputs):
    outputs, node = run_get_node(ElectrodeSinglePointWorkChain, single_point=electrode_inputs)
    assert node.exit_status == 700
    assert node.exit_message == (
        '3 of 5 frames have no labels, because the calculation ended with exit status 312: The program stopped before '
        'its end: 2 of 5 frames are labelled; log.lammps ends early'
    )
    assert outputs['labels'].get_array('converged').tolist() == [True, False, True, False, False]
    assert outputs['label_summary']['n_labelled'] == 2
    assert len(node.called) == 1


def test_set_in_which_no_frame_converges_has_its_reasons(aiida_code_installed, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', str(TESTS))
    recipe = {'module': 'toy.failing_calculator', 'attribute': 'UnconvergedCalculator', 'keyword_arguments': {}}
    inputs = single_point_inputs(
        aiida_code_installed(label='python', filepath_executable=sys.executable),
        dataset=DatasetData.from_frames(frames().select([1])),
        model_parameters={'recipe': recipe, 'level_of_theory': 'toy'},
    )
    outputs, node = run_get_node(AseCalculatorSinglePointWorkChain, single_point=inputs)
    assert node.exit_status == 700
    assert node.exit_message.startswith(
        '1 of 1 frames have no labels, because the calculation ended with exit status 452'
    )
    assert outputs['label_summary']['failures'] == {'0': 'CalculationFailed: SCF not converged in 500 cycles'}


@pytest.fixture
def make_interrupted(electrode_inputs, aiida_localhost):
    """Return a function that makes a chain whose first calculation was interrupted."""

    def make(status, labels=None, n_labelled=0, checkpoint=False):
        chain = instantiate_process(
            get_manager().get_runner(), ElectrodeSinglePointWorkChain, single_point=electrode_inputs
        )
        chain.setup()
        node = CalcJobNode(
            computer=aiida_localhost, process_type='aiida.calculations:edl.single_point.electrode'
        ).store()
        outputs = {} if labels is None else {'labels': labels, 'label_summary': summary(n_labelled)}
        if checkpoint:
            outputs['checkpoint'] = FolderData()
            outputs['checkpoint'].base.attributes.set('frames_done', n_labelled)
        for name, data in outputs.items():
            data.base.links.add_incoming(node, LinkType.CREATE, name)
            data.store()
        node.set_exit_status(status)
        node.set_exit_message('The job ran out of walltime.')
        node.set_process_state('finished')
        chain.ctx.children, chain.ctx.iteration = [node], 1
        chain.node.base.extras.set(chain._considered_handlers_extra, [[]])
        return chain

    return make


def summary(n_labelled):
    """Return the summary of five frames."""
    return Dict({'n_frames': 5, 'n_labelled': n_labelled})


def partial_labels():
    """Return an array that stands for labels."""
    return ArrayData({'energies': np.full(5, np.nan)})


def test_walltime_without_checkpoint_keeps_the_labels(make_interrupted):
    chain = make_interrupted(120, partial_labels(), n_labelled=3)
    exit_code = chain.inspect_process()
    assert (exit_code.status, exit_code.message) == (
        700,
        '2 of 5 frames have no labels, because the calculation ended with exit status 120: '
        'The job ran out of walltime.',
    )
    assert set(chain.outputs) == {'labels', 'label_summary'}


def test_walltime_without_any_label_is_not_repeated(make_interrupted):
    exit_code = make_interrupted(120, partial_labels()).inspect_process()
    assert (exit_code.status, exit_code.message) == (120, 'The job ran out of walltime.')


def test_walltime_before_anything_was_done_is_not_repeated(make_interrupted):
    assert make_interrupted(120).inspect_process().status == 120


@pytest.mark.parametrize(('status', 'checkpoint'), [(140, False), (120, True), (312, True)])
def test_other_interruptions_are_repeated(make_interrupted, status, checkpoint):
    chain = make_interrupted(status, partial_labels(), n_labelled=3, checkpoint=checkpoint)
    assert chain.inspect_process().status == 0
    assert not chain.ctx.is_finished
