"""The whole chain in seconds: build, run, label, train, evaluate, run, analyse, compare."""

from __future__ import annotations

import sys

import pytest
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching
from aiida.orm import CalcFunctionNode, CalcJobNode, Dict, InstalledCode, Int, load_computer, load_node
from benchmark_cases import SHORT_MD, small_settings
from calculation_cases import register_toy
from toy.run_length import register_run_length

from aiida_edl.provenance.graph import called_processes
from aiida_edl.science.structures.metal_water_interface import PackingError
from aiida_edl.workflows.charged_interface_benchmark import ChargedInterfaceBenchmarkWorkChain

BEFORE = ('structures', 'reference dynamics', 'labelling')
ANALYSES = {
    'run_quality': {'maximum_bond_length': 3.0, 'temperature_tolerance': 10.0, 'contact_fraction': 0.1},
    'interface_structure': {'hydrogen_bond_distance': 2.4, 'coordination_cutoff': 2.4},
    'potential_profile': {},
    'interface_dynamics': {'maximum_lag_time': 0.2},
}
"""For cells and runs that are small and short."""
MODELS = [f'least_squares_{name}_seed_{seed:02d}' for name in ('mixed', 'single_0', 'single_2') for seed in (1, 2)]


@pytest.fixture(scope='module')
def toy():
    """Register the toy architecture and the toy analysis for all tests of this file."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        register_toy(monkeypatch)
        register_run_length(monkeypatch)
        yield


@pytest.fixture(scope='module')
def python_code(aiida_profile, toy):
    """Return the interpreter of the tests as a code."""
    from aiida.orm import Computer

    computer = Computer('here', 'localhost', '', 'core.local', 'core.direct', '/tmp/aiida-edl-tests/{username}').store()
    computer.set_minimum_job_poll_interval(0.0)
    computer.configure(safe_interval=0.0, use_login_shell=False)
    code = InstalledCode(load_computer('here'), sys.executable, label='python_here')
    return code.store()


def run_benchmark(code, **arguments):
    settings = small_settings(**arguments)
    codes = {'reference': code, 'least_squares': code}
    return run_get_node(ChargedInterfaceBenchmarkWorkChain, settings=Dict(settings), codes=codes).node


@pytest.fixture(scope='module')
def benchmark(python_code):
    """Return a finished benchmark."""
    with enable_caching():
        return run_benchmark(python_code, analyses={'run_length': {}})


def calculations(node):
    return [child for child in node.called_descendants if isinstance(child, (CalcJobNode, CalcFunctionNode))]


def test_finishes(benchmark):
    assert (benchmark.exit_status, benchmark.exit_message) == (0, None)


def test_every_model_gives_a_potential_and_errors(benchmark):
    assert sorted(benchmark.outputs.potentials) == MODELS
    assert sorted(benchmark.outputs.errors) == MODELS


def test_models_run_at_the_charge_states_of_their_training_set(benchmark):
    profiles = set(benchmark.outputs.profiles)
    assert {'reference_0_01', 'reference_2Na_01'} <= profiles
    assert 'least_squares_mixed_seed_01_at_2Na' in profiles
    assert 'least_squares_single_0_seed_01_at_0' in profiles
    assert 'least_squares_single_0_seed_01_at_2Na' not in profiles


def test_force_errors_are_compared_and_ranked(benchmark):
    ratios = benchmark.outputs.penalty['ratios']
    found = {(row['contrast'], row['charge_state'], row['n_models']) for row in ratios if row['region'] == 'all'}
    assert found == {('mixed_over_single', state, 2) for state in ('0', '2Na', 'all')}
    assert 'one architecture has no rank' in benchmark.outputs.ranking['verdict']


def test_training_sets_are_of_equal_size_and_share_their_test_frames(benchmark):
    splits = benchmark.outputs.splits
    assert {len(splits[name].get_array('training')) for name in splits} == {8}
    assert len({splits[name].get_array('test').tobytes() for name in splits}) == 1


def test_potential_knows_what_it_was_trained_on(benchmark):
    potentials = benchmark.outputs.potentials
    labels = {name: potentials[name].base.attributes.get('training_charge_labels') for name in potentials}
    assert labels['least_squares_single_2_seed_01'] == ['2Na']
    assert labels['least_squares_mixed_seed_01'] == ['0', '2Na']


def test_single_charge_model_is_asked_about_every_state(benchmark):
    rows = benchmark.outputs.errors['least_squares_single_0_seed_01'].get_dict()['rows']
    assert {str(row['charge_state']) for row in rows} >= {'0', '2Na'}


def test_registered_analyses_are_done_for_every_run(benchmark):
    found = benchmark.outputs.analyses.run_length
    assert sorted(found) == sorted(benchmark.outputs.profiles)
    assert found['reference_2Na_01'].get_dict() == {'frames': 20, 'rows': 20, 'training_frames': None}
    assert found['least_squares_mixed_seed_01_at_2Na'].get_dict() == {'frames': 20, 'rows': 20, 'training_frames': 8}


def test_call_links_are_labelled(benchmark):
    from aiida.common.links import LinkType

    links = benchmark.base.links.get_outgoing(link_type=(LinkType.CALL_CALC, LinkType.CALL_WORK)).all_link_labels()
    assert 'CALL' not in links
    assert 'least_squares_mixed_seed_02' in links


def test_answer_says_that_the_statistics_do_not_suffice(benchmark):
    assert 'nothing can be decided: ' in benchmark.outputs.answer.get_dict()['verdict']


def test_same_inputs_hit_the_cache(benchmark, python_code):
    with enable_caching():
        again = run_benchmark(python_code, analyses={'run_length': {}})
    assert again.is_finished_ok
    assert not [child for child in calculations(again) if not child.base.caching.is_created_from_cache]


def test_another_seed_is_computed(benchmark, python_code):
    with enable_caching():
        other = run_benchmark(python_code, seeds=(1, 3))
    computed = [child for child in calculations(other) if not child.base.caching.is_created_from_cache]
    trained = [child for child in computed if child.process_label == 'TrainingCalculation']
    assert sorted(child.inputs.seed.value for child in trained) == [3, 3, 3]
    assert 'build_interface' not in {child.process_label for child in computed}
    assert 'analyses' not in other.outputs


@pytest.fixture(scope='module')
def matrix(benchmark, python_code):
    """Return a benchmark with sizes, a key of one's own, two runs of each model, and one model at a time."""
    part = small_settings()['architectures']['least_squares']
    settings = small_settings(
        analyses=ANALYSES,
        training_sets={'mixed': True},
        set_sizes=[4, 8],
        production={'md': SHORT_MD, 'replicas': 2},
        architectures={
            'mace': None,
            'deep_potential': None,
            'plain': {**part, 'architecture': 'least_squares', 'seeds': [1]},
        },
    )
    codes = {'reference': python_code, 'plain': python_code}
    with enable_caching():
        chain = ChargedInterfaceBenchmarkWorkChain
        return run_get_node(chain, settings=Dict(settings), codes=codes, max_active=Int(1)).node


def test_models_of_all_sizes_are_made_under_the_key_of_the_settings(matrix):
    assert (matrix.exit_status, matrix.exit_message) == (0, None)
    assert sorted(matrix.outputs.potentials) == ['plain_mixed_size_4_seed_01', 'plain_mixed_size_8_seed_01']


def test_training_sets_are_nested_and_the_largest_is_that_of_one_size(matrix, benchmark):
    splits = matrix.outputs.splits
    small, large = (set(splits[f'mixed_size_{size}'].get_array('training').tolist()) for size in (4, 8))
    assert small < large
    assert large == set(benchmark.outputs.splits.mixed.get_array('training').tolist())


def test_errors_are_drawn_up_against_the_size(matrix):
    assert matrix.outputs.errors_over_size.plain_mixed.get_array('size').tolist() == [4, 8]


def test_profiles_are_those_of_all_runs_and_of_each(matrix):
    profiles, key = matrix.outputs.profiles, 'plain_mixed_size_8_seed_01_at_2Na'
    assert {key, f'{key}_replica_01', f'{key}_replica_02'} <= set(profiles)
    frames = [profiles[f'{key}{run}'].base.attributes.get('n_frames') for run in ('', '_replica_01', '_replica_02')]
    assert frames == [40, 20, 20]


@pytest.mark.parametrize('name', ['interface_structure', 'potential_profile', 'interface_dynamics'])
def test_analyses_are_those_of_all_runs_and_of_each(matrix, name):
    found, key = matrix.outputs.analyses[name], 'plain_mixed_size_8_seed_01_at_2Na'
    frames = [found[f'{key}{run}'].base.attributes.get('n_frames') for run in ('', '_replica_01', '_replica_02')]
    assert frames == [40, 20, 20]


def test_quality_is_that_of_each_run(matrix):
    key = 'plain_mixed_size_8_seed_01_at_2Na'
    found = {name for name in matrix.outputs.analyses.run_quality if name.startswith(key)}
    assert found == {f'{key}_replica_01', f'{key}_replica_02'}


def test_no_model_with_replicas_vanishes_from_a_comparison(matrix):
    sizes = {'mixed_size_4', 'mixed_size_8'}
    structures, dipoles = matrix.outputs.structures.get_dict(), matrix.outputs.solvent_dipoles.get_dict()
    assert {row['training_set'] for row in structures['distributions']} == sizes
    assert {(row['training_set'], row['charge_state']) for row in dipoles['rows']} == {
        (size, state) for size in sizes for state in ('0', '2Na')
    }
    series = {row['series'] for row in matrix.outputs.capacitance.get_dict()['points']}
    assert {f'plain, {size}, seed 1' for size in sizes} <= series
    assert {name: node.base.attributes.get('n_runs') for name, node in matrix.outputs.survivals.items()} == {
        f'plain_{size}': 4 for size in sizes
    }


def test_only_so_many_models_are_assessed_at_once(matrix):
    children = [child for child in matrix.called if child.process_label == 'PotentialAssessmentWorkChain']
    first, second = sorted(children, key=lambda child: child.ctime)
    assert second.ctime > first.mtime


def test_what_comes_before_the_training_sets_is_taken_from_the_cache(matrix):
    """Other training sets have other atomic energies, so that potentials are trained again."""
    jobs = [called for called in called_processes(matrix) if called.is_calculation and called.stage in BEFORE]
    nodes = [load_node(called.pk) for called in jobs]
    assert len([node for node in nodes if isinstance(node, CalcJobNode)]) >= 4
    assert [node for node in nodes if not node.base.caching.is_created_from_cache] == []


def test_surface_charges_are_listed(benchmark):
    rows = benchmark.outputs.charge_states.get_dict()['rows']
    assert [(row['charge_label'], row['metal_charge']) for row in rows] == [('0', 0.0), ('2Na', -2.0)]
    area = rows[1]['area']
    assert rows[1]['surface_charge_microcoulomb_per_cm2'] == pytest.approx(-2 * 1602.176634 / area, rel=1e-9)


def test_interface_that_cannot_be_packed_ends_in_one_sentence(python_code, monkeypatch):
    def nothing():
        raise PackingError('packmol was not found')

    monkeypatch.setattr('aiida_edl.science.structures.metal_water_interface.find_packmol', nothing)
    node = run_benchmark(python_code, structure={'repeat': [2, 2, 2], 'n_water': 5})
    assert node.exit_status == 461
    assert node.exit_message == 'The interface of charge label 0 was not built: packmol was not found'
