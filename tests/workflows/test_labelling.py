"""Labels are packed into jobs, gated and assembled; none is lost without a reason."""

from __future__ import annotations

import pytest
from aiida.engine import run_get_node
from aiida.orm import Dict, Float, Int, Str
from calculation_cases import dataset, labelled_frames, without_labels

from aiida_edl.workflows.labelling import LabellingWorkChain, single_point_engines

RECIPE = {'module': 'ase.calculators.lj', 'attribute': 'LennardJones', 'keyword_arguments': {'sigma': 2.3, 'rc': 4.0}}


def label(code, **changes):
    inputs = {
        'dataset': dataset(without_labels(labelled_frames(6))),
        'engine': Str('ase_calculator'),
        'code': code,
        'model_parameters': Dict({'recipe': RECIPE, 'level_of_theory': 'Lennard-Jones'}),
        **changes,
    }
    return run_get_node(LabellingWorkChain, **inputs)


def test_engines_are_found_by_entry_point():
    assert set(single_point_engines()) == {'ase_calculator', 'electrode'}


def test_packs_are_joined_in_order(python_code):
    outputs, node = label(python_code, frames_per_job=Int(4))
    assert node.is_finished_ok, node.exit_message
    packs = [child for child in node.called if child.process_label == 'AseCalculatorSinglePointWorkChain']
    assert len(packs) == 2
    assert outputs['dataset'].frames().positions == pytest.approx(labelled_frames(6).positions)
    assert outputs['dataset'].level_of_theory == 'Lennard-Jones'
    assert outputs['rejected'].get_dict()['n_rejected'] == 0


def test_too_many_rejected_is_an_exit_code_that_names_the_reason(python_code):
    outputs, node = label(python_code, gate=Dict({'force_cap': 1e-6}), max_failed_fraction=Float(0.5))
    assert node.exit_status == 520
    assert node.exit_message.startswith('6 of 6 frames were rejected, at most a share of 0.5 is tolerated')
    assert len(outputs['rejected'].get_dict()['frames']) == 6


def test_unknown_engine_is_refused(python_code):
    with pytest.raises(ValueError, match="unknown single-point engine 'electrod': did you mean 'electrode'"):
        label(python_code, engine=Str('electrod'))


def test_unknown_gate_setting_is_refused(python_code):
    with pytest.raises(ValueError, match="unknown gate setting 'forcecap': did you mean 'force_cap'"):
        label(python_code, gate=Dict({'forcecap': 1.0}))
