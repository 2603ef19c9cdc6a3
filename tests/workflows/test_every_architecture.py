"""The whole way of every registered architecture through the graph: trained, exported, evaluated, converted, run.

What other programs than the trainer's own calculator make of the model is judged by the parity gate, and each that
passes runs it.
An architecture whose environment is not installed is skipped by name, with the reason; ``pytest -rs`` lists them.
"""

from __future__ import annotations

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching
from aiida.orm import ArrayData, Dict, InstalledCode, Int, List, QueryBuilder, Str
from computer_cases import local_computer
from toy.training import ATOMIC_ENERGIES, ELEMENTS, film_frames
from toy.training_cases import all_cases

from aiida_edl.data.dataset import DatasetData
from aiida_edl.registry import ARCHITECTURES, load_member
from aiida_edl.workflows.potential_assessment import PotentialAssessmentWorkChain

pytestmark = pytest.mark.slow

N_FRAMES = 20
OPTIONS = {'environment_variables': {'OMP_NUM_THREADS': '1'}}
MD = {
    'ensemble': 'nvt',
    'thermostat': 'csvr',
    'temperature': 50.0,
    'time_step': 0.5,
    'steps': 20,
    'sampling_interval': 5,
    'relaxation_time': 20.0,
    'fixed_elements': ['Au'],
}

OTHER_ENGINES = pytest.mark.parametrize(
    ('case', 'by_another_engine'),
    [pytest.param(case, engine, id=f'{case.name}-{engine}') for case in all_cases() for engine in sorted(case.routes)],
    indirect=True,
    scope='module',
)
"""Programs besides the trainer's own calculator, with the architecture they run."""


@pytest.fixture(params=all_cases(), ids=lambda case: case.name, scope='module')
def case(request):
    if request.param.missing:
        pytest.skip(request.param.missing)
    return request.param


@pytest.fixture(scope='module')
def dataset(aiida_profile):
    return DatasetData.from_frames(film_frames(N_FRAMES, seed=1), level_of_theory='Lennard-Jones').store()


@pytest.fixture(scope='module')
def split(aiida_profile):
    parts = {'training': range(14), 'validation': range(14, 17), 'test': range(17, N_FRAMES)}
    node = ArrayData()
    for name, indices in parts.items():
        node.set_array(name, np.array(indices))
    return node.store()


@pytest.fixture(scope='module')
def computer(aiida_profile, tmp_path_factory):
    return local_computer('every-architecture', tmp_path_factory.mktemp('work'))


@pytest.fixture(scope='module')
def make_code(computer):
    """Return a function that makes a code for a program."""

    def make(path):
        label = f'{path.parents[1].name}-{path.name}'
        known = QueryBuilder().append(InstalledCode, filters={'label': label}).first(flat=True)
        return known or InstalledCode(label=label, computer=computer, filepath_executable=str(path.absolute())).store()

    return make


@pytest.fixture(scope='module')
def assess(dataset, split, make_code):
    """Return a function that assesses one architecture with one MD engine; what was trained once is in the cache."""

    def run(case, **inputs):
        architecture = load_member(ARCHITECTURES, case.name)
        with enable_caching(identifier='aiida.calculations:edl.training'):
            return run_get_node(
                PotentialAssessmentWorkChain,
                training={
                    'dataset': dataset,
                    'split': split,
                    'architecture': Str(case.name),
                    'hyperparameters': Dict(case.training['hyperparameters']),
                    'seed': Int(1),
                    'precision': Str(architecture.precisions[-1].value),
                    'elements': List(list(ELEMENTS)),
                    'atomic_energies': Dict(ATOMIC_ENERGIES),
                    'gradient_updates': Int(case.training['gradient_updates']),
                    'code': make_code(case.python),
                    'metadata': {'options': OPTIONS},
                },
                structures={'0': dataset},
                md_settings=Dict(MD),
                **inputs,
            )[1]

    return run


@pytest.fixture(scope='module')
def assessed(case, assess):
    """Return the assessment of one architecture, run with the trainer's own calculator."""
    return assess(case, engine=Str('ase'))


def test_assessment_finishes(assessed):
    assert assessed.exit_status == 0, assessed.exit_message


def test_potential_says_what_it_is(case, assessed):
    potential = assessed.outputs.potential
    assert (potential.architecture, potential.elements) == (case.name, ELEMENTS)
    assert potential.receptive_field == pytest.approx(potential.n_layers * potential.cutoff_radius)
    assert potential.base.attributes.get('gradient_updates') >= case.training['gradient_updates']


def test_learning_curve_and_errors_are_those_of_all(assessed):
    curve = assessed.outputs.learning_curve
    names = ('gradient_updates', 'training_loss', 'validation_energy_rmse', 'validation_force_rmse')
    assert sorted(curve.get_arraynames()) == list(names)
    assert assessed.outputs.errors.get_dict()['summary']['n_frames'] == 3


def test_trained_model_is_better_than_none(assessed, dataset):
    predictions = next(
        child for child in assessed.called if child.process_label == 'EvaluationWorkChain'
    ).outputs.predictions
    frames = dataset.frames().select(predictions.get_array('frame_indices'))
    error = predictions.get_array('forces') - frames.forces
    assert np.sqrt(np.mean(error**2)) < np.sqrt(np.mean(frames.forces**2))


def test_potential_passed_the_parity_gate_before_it_ran(assessed):
    verdict = assessed.outputs.parity.get_dict()
    assert verdict['passed'], verdict['reasons']
    runs = [child for child in assessed.called if child.process_label == 'MolecularDynamicsWorkChain']
    assert [run.inputs.parity.uuid for run in runs] == [assessed.outputs.parity.uuid]


def test_run_has_frames_and_energies(assessed):
    trajectory = assessed.outputs.trajectories['0'].frames()
    assert len(trajectory) == MD['steps'] // MD['sampling_interval']
    assert np.isfinite(trajectory.energies).all()


def test_versions_are_in_the_graph(case, assessed):
    training = next(node for node in assessed.called_descendants if node.process_label == 'TrainingCalculation')
    versions = training.outputs.training_summary.get_dict()['versions']
    assert set(versions) == set(load_member(ARCHITECTURES, case.name).packages)
    assert {name for name, version in versions.items() if not version} <= set(case.absent_packages)


def test_reference_route_has_a_verdict(assessed):
    assert assessed.outputs.parity.get_dict()['passed'] is True


@pytest.fixture(scope='module')
def by_another_engine(request, case, assess, make_code):
    """Return the assessment of the architecture under test, run by another engine, and the format that one loads."""
    engine = request.param
    route = case.routes[engine]
    program = case.executable(route['environment'], route['executable'])
    if not program.exists():
        pytest.skip(f'{case.name} is not run by {engine}: .environments/{route["environment"]} is not installed')
    request.getfixturevalue('assessed')
    inputs = {'engine': Str(engine), 'md_code': make_code(program), 'md_options': Dict(OPTIONS)}
    if 'format' in route:
        inputs['model_format'] = Str(route['format'])
        inputs['conversion_codes'] = {route['environment']: make_code(program.with_name('python'))}
    return assess(case, **inputs), route.get('format', 'native')


@OTHER_ENGINES
def test_other_engine_finishes_with_the_same_training(by_another_engine, assessed):
    node, _ = by_another_engine
    assert node.exit_status == 0, node.exit_message
    one, other = (each.outputs.potential.base.attributes.get('sha256') for each in (node, assessed))
    assert one == other


@OTHER_ENGINES
def test_other_engine_agrees_with_the_calculator_of_the_trainer(by_another_engine):
    node, wanted = by_another_engine
    verdict = node.outputs.parity.get_dict()
    assert verdict['passed'] is True
    assert verdict['routes']['md']['format'] == wanted


@OTHER_ENGINES
def test_other_engine_runs(by_another_engine):
    node, wanted = by_another_engine
    (run,) = [child for child in node.called if child.process_label == 'MolecularDynamicsWorkChain']
    assert run.inputs.md.potential.format == wanted
    trajectory = node.outputs.trajectories['0'].frames()
    assert len(trajectory) == MD['steps'] // MD['sampling_interval']
    assert np.isfinite(trajectory.energies).all()
