"""Labels are packed into jobs, gated and assembled; none is lost without a reason."""

from __future__ import annotations

import pytest
from aiida.engine import run_get_node
from aiida.orm import Bool, Dict, Float, Int, Str
from ase_cases import frames as metal_frames
from calculation_cases import TESTS, dataset, labelled_frames, potential, without_labels
from cp2k_cases import charged_film

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frames import FrameSet
from aiida_edl.workflows.labelling import LabellingWorkChain, single_point_engines
from aiida_edl.workflows.single_point.ase_calculator.recipes import gfn1_xtb

RECIPE = {'module': 'ase.calculators.lj', 'attribute': 'LennardJones', 'keyword_arguments': {'sigma': 2.3, 'rc': 4.0}}


def label(code, **changes):
    inputs = {
        'dataset': dataset(without_labels(labelled_frames(6))),
        'engine': Str('ase_calculator'),
        'code': code,
        'model_parameters': Dict({'recipe': RECIPE, 'level_of_theory': 'Lennard-Jones'}),
        'check_gradients': Bool(False),
        **changes,
    }
    return run_get_node(LabellingWorkChain, **inputs)


def test_engines_are_found_by_entry_point():
    assert set(single_point_engines()) == {'ase_calculator', 'cp2k', 'electrode', 'vasp'}


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


def test_gate_setting_of_a_wrong_type_is_refused(python_code):
    with pytest.raises(ValueError, match="gate setting 'force_cap' is '30', expected float"):
        label(python_code, gate=Dict({'force_cap': '30'}))


def toy_recipe(attribute, **keyword_arguments):
    """Return the parameters of a toy calculator."""
    recipe = {'module': 'toy.failing_calculator', 'attribute': attribute, 'keyword_arguments': keyword_arguments}
    return Dict({'recipe': recipe, 'level_of_theory': 'toy'})


def label_metals(code, monkeypatch, n_frames=3, **changes):
    """Label gold, gold with copper, gold, and so on."""
    monkeypatch.setenv('PYTHONPATH', str(TESTS))
    frames = DatasetData.from_frames(metal_frames(n_frames), origin='made by hand')
    return label(code, dataset=frames, **changes)


def test_pack_that_never_converges_costs_its_own_frame_only(python_code, monkeypatch):
    """The second of three jobs holds the one frame whose SCF fails, and ends with 452."""
    outputs, node = label_metals(
        python_code,
        monkeypatch,
        model_parameters=toy_recipe('UnconvergedCalculator'),
        frames_per_job=Int(1),
        max_failed_fraction=Float(0.4),
    )
    assert node.exit_status == 700
    assert node.exit_message == (
        '1 of 3 frames were rejected, the first because: CalculationFailed: SCF not converged in 500 cycles'
    )
    chains = [child for child in node.called if child.process_label == 'AseCalculatorSinglePointWorkChain']
    assert [chain.exit_status for chain in sorted(chains, key=lambda chain: chain.pk)] == [0, 700, 0]
    assert outputs['dataset'].frames().positions == pytest.approx(metal_frames(3).select([0, 2]).positions)
    (rejected,) = outputs['rejected'].get_dict()['frames']
    assert rejected['frame'] == 1
    assert rejected['reason'] == 'CalculationFailed: SCF not converged in 500 cycles'


def test_job_that_dies_costs_its_own_frames_only(python_code, monkeypatch):
    """Each process dies at its second frame: the job with two frames gives no labels, that with one is done."""
    outputs, node = label_metals(
        python_code,
        monkeypatch,
        model_parameters=toy_recipe('KillingCalculator', after=1),
        frames_per_job=Int(2),
        max_failed_fraction=Float(0.7),
    )
    assert node.exit_status == 700
    assert outputs['dataset'].frames().positions == pytest.approx(metal_frames(3).select([2]).positions)
    reason = (
        'the job of this frame gave no labels: it ended with exit status 312 (The program stopped before its end: '
        'evaluate.out is empty)'
    )
    reasons = {entry['frame']: entry['reason'] for entry in outputs['rejected']['frames']}
    assert reasons == {0: reason, 1: reason}


def test_too_many_frames_lost_with_their_job_is_an_exit_code_that_names_the_numbers(python_code, monkeypatch):
    outputs, node = label_metals(
        python_code, monkeypatch, n_frames=2, model_parameters=toy_recipe('OutOfMemoryCalculator')
    )
    assert node.exit_status == 520
    assert node.exit_message == (
        '2 of 2 frames were rejected, at most a share of 0.1 is tolerated; the first reason is: the job of this frame '
        'gave no labels: it ended with exit status 410 (The program ran out of memory: the last line of evaluate.out '
        "is 'RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB')"
    )
    assert 'dataset' not in outputs


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'frames_per_job': 0}, 'frames_per_job is 0, it must be positive'),
        ({'frames_per_job': -1}, 'frames_per_job is -1, it must be positive'),
        ({'max_active_jobs': 0}, 'max_active_jobs is 0, it must be positive'),
        ({'max_failed_fraction': 1.5}, 'max_failed_fraction is 1.5, it must lie between 0 and 1'),
        ({'max_failed_fraction': -0.1}, 'max_failed_fraction is -0.1, it must lie between 0 and 1'),
    ],
)
def test_numbers_out_of_range_are_refused(python_code, changes, message):
    nodes = {name: (Int if name.endswith(('_job', '_jobs')) else Float)(value) for name, value in changes.items()}
    with pytest.raises(ValueError, match=message):
        label(python_code, **nodes)


def test_teacher_for_an_engine_that_takes_none_is_refused(python_code):
    message = "engine 'electrode' takes no potential, but one was given; leave it out or use one of: ase_calculator"
    with pytest.raises(ValueError, match=message):
        label(python_code, engine=Str('electrode'), model_parameters=Dict({}), potential=potential())


def test_no_more_jobs_are_active_than_allowed(python_code):
    _, node = label(python_code, frames_per_job=Int(1), max_active_jobs=Int(4))
    packs = sorted(
        (c for c in node.called if c.process_label == 'AseCalculatorSinglePointWorkChain'), key=lambda c: c.pk
    )
    assert len(packs) == 6
    assert all(late.ctime > early.mtime for late in packs[4:] for early in packs[:4])


def test_forces_that_fit_the_energy_pass_and_the_verdict_is_stored(python_code, monkeypatch):
    outputs, node = label_metals(
        python_code, monkeypatch, n_frames=1, model_parameters=toy_recipe('EmtCalculator'), check_gradients=Bool(True)
    )
    assert node.is_finished_ok, node.exit_message
    verdict = outputs['gradient_check'].get_dict()
    assert (verdict['verdict'], verdict['forces']['verdict'], verdict['stress']['verdict']) == ('passed',) * 3
    assert verdict['forces']['energy_change'] == pytest.approx(verdict['forces']['work'], rel=0.02)


def test_tight_binding_labels_a_charged_interface_that_passes_every_check(python_code):
    """One sodium ion beside gold: sign and unit of forces and stress, and the kind of energy, of GFN1-xTB."""
    outputs, node = label(
        python_code,
        dataset=DatasetData.from_frames(FrameSet.from_frames([charged_film()]), origin='made by hand'),
        model_parameters=Dict(gfn1_xtb()),
        check_gradients=Bool(True),
    )
    assert node.is_finished_ok, node.exit_message
    verdict = outputs['gradient_check']
    for checked in ('forces', 'stress'):
        assert verdict[checked]['verdict'] == 'passed'
        assert verdict[checked]['energy_change'] == pytest.approx(verdict[checked]['work'], rel=0.02)


def test_gradients_instead_of_forces_make_all_labels_worthless(python_code, monkeypatch):
    outputs, node = label_metals(
        python_code,
        monkeypatch,
        n_frames=1,
        model_parameters=toy_recipe('WrongSignCalculator'),
        check_gradients=Bool(True),
    )
    assert node.exit_status == 460
    assert node.exit_message.startswith(
        'The labels contradict each other, none of them can be used: forces: the work of the forces is '
    )
    assert 'dataset' not in outputs
    assert outputs['gradient_check']['verdict'] == 'failed'


def test_unknown_setting_of_the_gradient_check_is_refused(python_code):
    with pytest.raises(ValueError, match="unknown setting of the gradient check 'strian': did you mean 'strain'"):
        label(python_code, gradient_settings=Dict({'strian': 0.1}))
