"""Electrostatics beside a short-range potential: taken off the labels, added wherever the potential is used."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager
from aiida.orm import Dict, List, Str
from calculation_cases import (
    dataset,
    evaluation_inputs,
    labelled_frames,
    md_inputs,
    potential,
    refusal,
    training_inputs,
)

pytest.importorskip('numba')

from learning_cases import learning_inputs
from toy.least_squares import LeastSquares

from aiida_edl.calculations.functions.add_long_range import add_long_range
from aiida_edl.calculations.functions.fit_atomic_energies import fit_atomic_energies
from aiida_edl.calculations.functions.subtract_electrostatics import subtract_electrostatics
from aiida_edl.calculations.functions.tune_long_range import tune_long_range
from aiida_edl.calculations.long_range_checks import validate_charges
from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.long_range_model import LongRangeModel
from aiida_edl.science.frames import FrameSet
from aiida_edl.workflows.active_learning import ActiveLearningWorkChain
from aiida_edl.workflows.ensemble_training import EnsembleTrainingWorkChain
from aiida_edl.workflows.evaluation import EvaluationWorkChain
from aiida_edl.workflows.molecular_dynamics import MolecularDynamicsWorkChain
from aiida_edl.workflows.training import TrainingWorkChain, validate_long_range, validate_parts

CHARGES = {'O': -0.8476, 'H': 0.4238, 'Na': 1.0}
SUMMATION = {'method': 'p3m', 'cutoff_radius': 4.0, 'smearing': 0.8, 'mesh': [20, 20, 30], 'nodes': 5}
LONG_RANGE = {'charges': CHARGES, 'balanced_by': 'Au', 'summation': SUMMATION}


def electrostatics(frames):
    """Return energies [eV] and forces [eV/Å] of the charges alone."""
    model = LongRangeModel.from_dict(LONG_RANGE)
    results = [CompiledSummation(model.settings)(model.system_of(frame)) for frame in frames]
    return np.array([item.energy for item in results]), np.concatenate([item.forces for item in results])


def test_labels_are_less_the_electrostatics():
    node = dataset()
    energies, forces = electrostatics(node.frames())
    rest = subtract_electrostatics(node, Dict(LONG_RANGE))
    np.testing.assert_allclose(rest.frames().energies, node.frames().energies - energies, atol=1e-10)
    np.testing.assert_allclose(rest.frames().forces, node.frames().forces - forces, atol=1e-10)
    assert rest.level_of_theory == f'{node.level_of_theory}, less the electrostatics of fixed charges'


def test_what_was_taken_off_is_added_again(python_code):
    _, node = run_get_node(TrainingWorkChain, training=training_inputs(python_code), long_range=Dict(LONG_RANGE))
    assert node.is_finished_ok, node.exit_message
    whole, part = node.outputs.potential, node.called_descendants[-1]
    assert whole.long_range == LongRangeModel.from_dict(LONG_RANGE).to_dict()
    part = next(child for child in node.called if child.process_label == 'TrainingCalculation').outputs.potential
    assert part.long_range is None
    assert whole.level_of_theory == dataset().level_of_theory

    found = {}
    for name, each in (('whole', whole), ('part', part)):
        inputs = evaluation_inputs(python_code, potential=each)
        _, evaluation = run_get_node(EvaluationWorkChain, evaluation=inputs)
        assert evaluation.is_finished_ok, evaluation.exit_message
        found[name] = evaluation.outputs.predictions
    energies, forces = electrostatics(dataset().frames().select(found['whole'].get_array('frame_indices')))
    sums = {'energies': energies, 'forces': forces}
    for name, added in sums.items():
        whole_values, part_values = (found[key].get_array(name) for key in ('whole', 'part'))
        np.testing.assert_allclose(whole_values - part_values, added, atol=1e-9)


def whole_potential():
    """Return the toy potential as if it had been trained on the rest of the labels."""
    part = potential(level_of_theory='Lennard-Jones, less the electrostatics of fixed charges')
    return add_long_range(part.store(), Dict(LONG_RANGE))


def test_energy_is_conserved_by_the_sum(python_code):
    # charges fall into each other, as nothing was trained to keep them apart: short steps, and any temperature
    settings = {'steps': 100, 'sampling_interval': 10, 'ensemble': 'nve', 'time_step': 0.05}
    settings |= {'temperature': 100.0, 'maximum_temperature': 1e6}
    inputs = md_inputs(python_code, potential=whole_potential(), settings=settings)
    _, node = run_get_node(MolecularDynamicsWorkChain, md=inputs, skip_parity_check=True)
    assert node.is_finished_ok, node.exit_message
    energies = node.outputs.series.get_array('conserved_energy')
    kinetic = node.outputs.series.get_array('kinetic_energy')
    assert np.ptp(energies) < 2e-3 * max(np.ptp(kinetic), 0.1)


def test_a_tuning_gives_the_input_of_a_training():
    settings = {'charges': CHARGES, 'balanced_by': 'Au', 'force_error': 1e-4, 'cutoff_radius': 6.0}
    found = tune_long_range(dataset(), Dict(settings))
    tuning = found['tuning'].get_dict()
    assert 1e-4 / 3.0 < tuning['error'] <= 1e-4
    assert LongRangeModel.from_dict(found['long_range'].get_dict()).settings.cutoff_radius == 6.0


def test_an_element_without_charge_is_refused_before_submission(python_code):
    values = {'charges': {'O': -0.8, 'H': 0.4}, 'balanced_by': 'Au', 'summation': SUMMATION}
    part = potential(level_of_theory='Lennard-Jones, less the electrostatics of fixed charges')
    whole = add_long_range(part.store(), Dict(values))
    frames = dataset(labelled_frames(4).select(np.array([2, 3])))
    message = refusal(
        'edl.evaluation', {**evaluation_inputs(python_code, potential=whole, dataset=frames), 'split': None}
    )
    assert message == (
        'the charges of long_range do not go with frame 0: Na has no charge in long_range, which has H, '
        'O, Au; 0 is a charge too'
    )


def test_energies_of_atoms_are_refused(python_code):
    message = refusal(
        'edl.evaluation', evaluation_inputs(python_code, potential=whole_potential(), atomic_energies=True)
    )
    assert message.startswith('energies of atoms are asked for, which a potential with a long-range part does not have')


def test_a_potential_of_whole_labels_takes_no_electrostatics():
    with pytest.raises(ValueError, match='which is not less any electrostatics; train it on the result of'):
        add_long_range(potential().store(), Dict(LONG_RANGE))


def test_a_pair_style_that_fixes_the_cutoff_of_charges_is_told_before_submission(python_code):
    part = potential(
        architecture='deep_potential', level_of_theory='Lennard-Jones, less the electrostatics of fixed charges'
    )
    whole = add_long_range(part.store(), Dict({**LONG_RANGE, 'summation': {**SUMMATION, 'cutoff_radius': 5.5}}))
    message = refusal('edl.evaluation', evaluation_inputs(python_code, potential=whole, engine='lammps'))
    assert message == (
        'the long-range part of the potential has a cutoff radius of 5.5 Å, but the pair style of deep_potential lets '
        'LAMMPS have that of the potential only, 4 Å; tune long_range with cutoff_radius 4 and train anew'
    )


def test_another_long_range_part_makes_another_potential():
    part = potential(level_of_theory='Lennard-Jones, less the electrostatics of fixed charges').store()
    values = {**LONG_RANGE, 'charges': {**CHARGES, 'Na': 0.9}}
    checksums = [
        node.base.attributes.get('sha256')
        for node in (part, *(add_long_range(part, Dict(each)) for each in (LONG_RANGE, values)))
    ]
    assert len(set(checksums)) == 3


def test_a_conversion_keeps_the_long_range_part_and_its_checksum():
    whole, part = (each.with_files({'model.py': b'weights'}, 'table') for each in (whole_potential(), potential()))
    assert whole.long_range == LongRangeModel.from_dict(LONG_RANGE).to_dict()
    assert whole.base.attributes.get('sha256') != part.base.attributes.get('sha256')


def chain_refusal(**inputs):
    with pytest.raises(ValueError, match='Error occurred validating port') as caught:
        run_get_node(TrainingWorkChain, **inputs)
    return str(caught.value).partition("': ")[2]


def test_labels_that_are_less_electrostatics_are_not_reduced_twice(python_code):
    rest = subtract_electrostatics(dataset(), Dict(LONG_RANGE))
    training = training_inputs(python_code, dataset=rest)
    assert chain_refusal(training=training, long_range=Dict(LONG_RANGE)) == (
        f"the labels of dataset are '{rest.level_of_theory}' already; give the whole ones"
    )


@pytest.mark.parametrize(
    ('has_part', 'message'),
    [
        (True, 'the parent potential has a long-range part, the training is to have none; give that of the parent as'),
        (False, 'the parent potential has no long-range part, the training is to have the one in long_range; give'),
    ],
)
def test_a_parent_of_other_labels_is_refused(has_part, message):
    parent = whole_potential() if has_part else potential()
    inputs = {'training': {'dataset': dataset(), 'parent_potential': parent}}
    if not has_part:
        inputs['long_range'] = Dict(LONG_RANGE)
    assert validate_parts(inputs).startswith(message)


def test_a_parent_with_the_same_part_is_accepted():
    inputs = {'training': {'dataset': dataset(), 'parent_potential': whole_potential()}, 'long_range': Dict(LONG_RANGE)}
    assert validate_parts(inputs) is None


def test_a_work_chain_is_imported_without_the_compiled_sums():
    program = (
        'import sys\n'
        "sys.modules['numba'] = None\n"
        'import aiida_edl.workflows.training, aiida_edl.calculations.functions.tune_long_range\n'
    )
    subprocess.run([sys.executable, '-c', program], check=True, timeout=120)


JOINT = {'mode': 'joint'}


def test_an_architecture_that_learns_its_electrostatics_is_given_whole_labels(python_code, monkeypatch):
    monkeypatch.setattr(LeastSquares, 'electrostatics_option', '')
    _, node = run_get_node(TrainingWorkChain, training=training_inputs(python_code), long_range=Dict(JOINT))
    assert node.is_finished_ok, node.exit_message
    assert {child.process_label for child in node.called} == {'TrainingCalculation'}
    assert node.outputs.potential.long_range is None
    assert node.outputs.potential.level_of_theory == dataset().level_of_theory


@pytest.mark.parametrize(
    ('architecture', 'hyperparameters', 'message'),
    [
        ('deep_potential', {}, 'deep_potential has no electrostatics of its own: give long_range with mode'),
        ('pet', {}, "pet has electrostatics only with 'is_long_range' true; set it"),
        ('local_charge', {'charges': 'none'}, "local_charge has electrostatics only with charges other than 'none'"),
    ],
)
def test_joint_electrostatics_needs_an_architecture_that_has_it(architecture, hyperparameters, message):
    training = {'architecture': Str(architecture), 'hyperparameters': Dict(hyperparameters)}
    assert validate_parts({'training': training, 'long_range': Dict(JOINT)}).startswith(message)


@pytest.mark.parametrize(
    ('architecture', 'hyperparameters'),
    [('mace_polar', {}), ('pet', {'is_long_range': True}), ('local_charge', {'charges': 'predicted'})],
)
def test_joint_electrostatics_of_those_that_have_it(architecture, hyperparameters):
    training = {'architecture': Str(architecture), 'hyperparameters': Dict(hyperparameters)}
    assert validate_parts({'training': training, 'long_range': Dict(JOINT)}) is None


def test_joint_electrostatics_takes_no_charges():
    values = {**LONG_RANGE, 'mode': 'joint'}
    assert validate_long_range(Dict(values), None) == (
        "mode 'joint' of long_range takes nothing beside it, not balanced_by, charges, summation"
    )


def test_every_kind_of_frame_is_looked_at_before_a_training():
    frames = labelled_frames(4)
    assert 11 not in frames.frame(0).numbers
    assert 11 in frames.frame(3).numbers
    values = {'charges': {'O': -0.8, 'H': 0.4}, 'balanced_by': 'Au', 'summation': SUMMATION}
    message = validate_parts({'training': {'dataset': dataset(frames)}, 'long_range': Dict(values)})
    assert message.startswith('dataset: the charges of long_range do not go with frame ')
    assert 'Na has no charge in long_range' in message


def test_an_ensemble_gives_its_electrostatics_to_every_member(python_code):
    inputs = training_inputs(python_code)
    inputs.pop('seed')
    given = {'training': inputs, 'seeds': List([1, 2]), 'long_range': Dict(LONG_RANGE)}
    _, node = run_get_node(EnsembleTrainingWorkChain, **given)
    assert node.is_finished_ok, node.exit_message
    wanted = LongRangeModel.from_dict(LONG_RANGE).to_dict()
    assert [potential.long_range for potential in node.outputs.potentials.values()] == [wanted, wanted]


def test_an_ensemble_is_refused_what_its_members_would_be(python_code):
    inputs = training_inputs(python_code, dataset=subtract_electrostatics(dataset(), Dict(LONG_RANGE)))
    inputs.pop('seed')
    given = {'training': inputs, 'seeds': List([1, 2]), 'long_range': Dict(LONG_RANGE)}
    with pytest.raises(ValueError, match='already; give the whole ones'):
        run_get_node(EnsembleTrainingWorkChain, **given)


def test_active_learning_fits_atomic_energies_to_what_is_learnt(python_code):
    inputs = learning_inputs(python_code, long_range=Dict(LONG_RANGE))
    chain = instantiate_process(get_manager().get_runner(), ActiveLearningWorkChain, **inputs)
    chain.start()
    energies = chain.ctx.atomic_energies.get_dict()
    rest = subtract_electrostatics(chain.ctx.dataset, Dict(LONG_RANGE))
    assert energies == fit_atomic_energies(rest, split=chain.ctx.split).get_dict()
    assert energies != fit_atomic_energies(chain.ctx.dataset, split=chain.ctx.split).get_dict()


def test_active_learning_with_an_engine_that_adds_no_charges_is_refused(python_code, monkeypatch):
    monkeypatch.setitem(LeastSquares.bindings, 'torch_sim', LeastSquares.bindings['ase'])
    inputs = learning_inputs(python_code, long_range=Dict(LONG_RANGE))
    inputs['md'] = {**inputs['md'], 'engine': Str('torch_sim')}
    with pytest.raises(ValueError, match="which 'torch_sim' cannot add; what can: ase, lammps"):
        run_get_node(ActiveLearningWorkChain, **inputs)


def test_a_parent_less_electrostatics_is_refused_for_joint_training():
    training = {'architecture': Str('mace_polar'), 'dataset': dataset(), 'parent_potential': whole_potential()}
    message = validate_parts({'training': training, 'long_range': Dict(JOINT)})
    assert message.startswith('the parent potential has a long-range part, the training is to have none')


def test_labels_less_electrostatics_are_refused_for_joint_training():
    rest = subtract_electrostatics(dataset(), Dict(LONG_RANGE))
    training = {'architecture': Str('mace_polar'), 'dataset': rest}
    message = validate_parts({'training': training, 'long_range': Dict(JOINT)})
    assert message.endswith('already; give the whole ones')


def test_a_direct_sum_over_periodic_frames_is_refused():
    values = {'charges': CHARGES, 'balanced_by': 'Au', 'summation': {'method': 'direct'}}
    message = validate_parts({'training': {'dataset': dataset()}, 'long_range': Dict(values)})
    assert 'the direct sum takes only open ones' in message


def test_a_film_that_is_turned_in_a_later_frame_is_found():
    film = labelled_frames(1).frame(0)
    turned = replace(film, cell=film.cell[[2, 0, 1]])
    node = dataset(FrameSet.from_frames([film, film, turned]).without_labels())
    message = validate_charges(LongRangeModel.from_dict(LONG_RANGE), node)
    assert message.startswith('the charges of long_range do not go with frame 2: ')


def test_the_extra_is_named_where_numba_is_missing(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    assert validate_long_range(Dict(LONG_RANGE), None) == (
        "long_range needs numba beside AiiDA, which is not there: pip install 'aiida-edl[electrostatics]'"
    )
