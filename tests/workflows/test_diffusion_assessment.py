"""From a potential to an activation energy: atoms that hardly interact, in a thermostat whose friction is known."""

from __future__ import annotations

import pytest
from aiida.engine import run_get_node
from aiida.orm import Dict, Int, Str
from calculation_cases import dataset, potential, split, stored_once
from diffusion_cases import DIFFUSION, MD, RELAXATION_TIME, SODIUM, TEMPERATURES, gas

from aiida_edl.science.units import ATOMIC_MASS, BOLTZMANN
from aiida_edl.workflows.diffusion_assessment import DiffusionAssessmentWorkChain


@pytest.fixture
def inputs(python_code):
    """Return the inputs of an assessment."""
    return {
        'evaluation': {
            'potential': stored_once('free sodium', lambda: potential(('Na',), atomic_energies={'Na': 0.0})),
            'code': python_code,
            'dataset': stored_once('labelled gas', lambda: dataset(gas(6, seed=1))),
            'split': split(training=[0, 1], validation=[2], test=[3, 4, 5]),
            'subset': Str('test'),
            'metadata': {'options': {}},
        },
        'structure': stored_once('start of gas', lambda: dataset(gas(2, seed=2).without_labels())),
        'engine': Str('ase'),
        'settings': Dict({'temperatures': list(TEMPERATURES), 'replicas': 2}),
        'md_settings': Dict(MD),
        'analyses': {'diffusion': Dict(DIFFUSION)},
        'max_iterations': Int(1),
    }


@pytest.fixture(scope='module')
def assessed():
    """Return a place for the result that several tests look at."""
    return {}


@pytest.fixture
def assessment(inputs, assessed):
    """Return the assessment, run once."""
    if 'node' not in assessed:
        assessed['node'] = run_get_node(DiffusionAssessmentWorkChain, **inputs)[1]
    return assessed['node']


def test_chain_ends_well_and_says_what_it_found(assessment):
    assert assessment.exit_status == 0, assessment.exit_message
    rows = assessment.outputs.report['temperatures']
    assert [row['temperature_kelvin'] for row in rows] == list(TEMPERATURES)
    assert [(row['n_runs'], row['n_excluded'], row['is_determined']) for row in rows] == [(2, 0, True)] * 3


def test_coefficients_are_those_of_free_particles_with_that_friction(assessment):
    """Einstein: D = kT τ/m; the atoms meet seldom, and are as good as free."""
    for row in assessment.outputs.report['temperatures']:
        expected = BOLTZMANN * row['temperature_kelvin'] * RELAXATION_TIME / (SODIUM * ATOMIC_MASS)
        found, error = row['tracer_diffusion_angstrom2_per_fs'], row['tracer_diffusion_error_angstrom2_per_fs']
        assert abs(found - expected) < 4 * error
        assert error < 0.35 * expected


def test_activation_energy_is_that_of_a_coefficient_proportional_to_the_temperature(assessment):
    """d ln T / d(-1/kT) = kT: between k·400 K and k·1400 K, whatever the weights of the points."""
    values = assessment.outputs.arrhenius.base.attributes.all
    assert values['is_determined']
    assert values['activation_energy_low'] < BOLTZMANN * 1400.0
    assert values['activation_energy_high'] > BOLTZMANN * 400.0
    assert assessment.outputs.report['arrhenius']['activation_energy'] == values['activation_energy']


def test_every_run_has_a_seed_of_its_own_and_begins_from_the_next_frame(assessment):
    runs = [child for child in assessment.called if child.process_label == 'MolecularDynamicsWorkChain']
    assert len({child.inputs.md.settings['seed'] for child in runs}) == 6
    assert sorted(child.inputs.md.frame_index.value for child in runs) == [0, 0, 0, 1, 1, 1]


def test_cost_is_that_of_all_jobs(assessment):
    costs = assessment.outputs.report['costs']
    assert costs['dynamics']['jobs'] == 6
    assert costs['dynamics']['core_hours'] > 0.0
    assert costs['evaluation']['jobs'] == 1


def test_too_few_hops_are_told_instead_of_a_number(inputs):
    inputs['analyses'] = {'diffusion': Dict({**DIFFUSION, 'hop_length': 50.0})}
    inputs['settings'] = Dict({'temperatures': [400.0], 'replicas': 2})
    node = run_get_node(DiffusionAssessmentWorkChain, **inputs)[1]
    assert node.exit_status == 700
    (row,) = node.outputs.report['temperatures']
    assert row['is_determined'] is False
    assert row['tracer_diffusion_angstrom2_per_fs'] is None
    assert 'hops' in row['reasons'][0]
    assert 'arrhenius' not in node.outputs


def test_activation_energy_of_too_few_temperatures_is_not_tried(inputs):
    inputs['settings'] = Dict({'temperatures': [400.0, 600.0], 'replicas': 1})
    node = run_get_node(DiffusionAssessmentWorkChain, **inputs)[1]
    assert 'activation energy (runs count at T0400, T0600 alone, it needs 3)' in node.exit_message
    assert 'arrhenius' not in [child.process_label for child in node.called]


def test_exploded_run_does_not_count_and_is_listed(inputs):
    inputs['md_settings'] = Dict({**MD, 'maximum_temperature': 1500.0, 'steps': 1500})
    inputs['settings'] = Dict({'temperatures': [400.0, 1400.0], 'replicas': 1})
    node = run_get_node(DiffusionAssessmentWorkChain, **inputs)[1]
    assert node.exit_status == 700
    excluded = node.outputs.report['excluded']
    assert list(excluded) == ['T1400_replica_01']
    assert 'exit status' in excluded['T1400_replica_01'][0]
    hot = node.outputs.report['temperatures'][1]
    assert (hot['n_runs'], hot['n_excluded']) == (1, 1)


def test_exploded_runs_count_among_those_that_left_physics(inputs):
    inputs['md_settings'] = Dict({**MD, 'maximum_temperature': 1500.0, 'steps': 1500})
    inputs['analyses'] = {'diffusion': Dict(DIFFUSION), 'run_quality': Dict({'hot_factor': 9.0})}
    inputs['settings'] = Dict({'temperatures': [400.0, 1400.0], 'replicas': 1})
    node = run_get_node(DiffusionAssessmentWorkChain, **inputs)[1]
    cold, hot = node.outputs.report['temperatures']
    assert (cold['n_judged'], cold['n_left_physics'], cold['physical_time_ps']) == (1, 0, 1.5)
    assert (hot['n_judged'], hot['n_left_physics']) == (1, 1)
    assert 0.0 <= hot['physical_time_ps'] < 1.5
    quality = node.outputs.analyses.run_quality.T1400_replica_01.base.attributes
    assert quality.get('reasons')[0]['name'] == 'exploded'


def test_run_that_left_physics_is_excluded_with_the_sentence_of_its_verdict(inputs):
    inputs['analyses'] = {'diffusion': Dict(DIFFUSION), 'run_quality': Dict({'hot_factor': 1.01})}
    inputs['settings'] = Dict({'temperatures': [400.0], 'replicas': 1})
    node = run_get_node(DiffusionAssessmentWorkChain, **inputs)[1]
    assert node.exit_status == 700
    assert 'run T0400_replica_01 does not count' in node.exit_message
    assert 'diffusion' not in node.outputs.analyses
    (reasons,) = node.outputs.report['excluded'].values()
    assert any('temperature' in reason for reason in reasons)
    (row,) = node.outputs.report['temperatures']
    assert row['exclusions'][0].startswith('T0400_replica_01: ')
    report = next(child for child in node.called if child.process_label == 'diffusion_report')
    assert 'run_quality_T0400_replica_01' in report.inputs


def test_holdout_tells_what_was_forgotten(inputs):
    inputs['holdout'] = stored_once('old frames', lambda: dataset(gas(3, seed=5)))
    inputs['settings'] = Dict({'temperatures': [400.0], 'replicas': 1})
    node = run_get_node(DiffusionAssessmentWorkChain, **inputs)[1]
    assert node.outputs.holdout_errors['summary']['n_frames'] == 3


def test_element_that_the_potential_does_not_know_is_refused_before_submission(inputs):
    frames = gas(1, seed=3)
    frames.numbers[0] = 3
    inputs['structure'] = dataset(frames.without_labels())
    with pytest.raises(ValueError, match="structure 'structure' holds Li, the potential knows Na"):
        run_get_node(DiffusionAssessmentWorkChain, **inputs)
