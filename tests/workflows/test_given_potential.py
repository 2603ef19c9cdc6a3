"""A potential that is given and not trained goes through the steps of those that are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.orm import ArrayData, Dict, InstalledCode, Int, List, Str, to_aiida_type
from calculation_cases import dataset, labelled_frames, potential, split
from computer_cases import local_computer
from toy.training import ATOMIC_ENERGIES, ELEMENTS, film_frames
from toy.training_cases import training_case

from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.provenance.potential_import import import_potential, path_in_package, read_description
from aiida_edl.workflows.assessment_checks import validate_given_assessment
from aiida_edl.workflows.given_potential_assessment import GivenPotentialAssessmentWorkChain
from aiida_edl.workflows.training import TrainingWorkChain

DESCRIPTION = Path(__file__).parents[2] / 'aiida_edl' / 'provenance' / 'foundation_models' / '7net-0.yaml'
SHIPPED_FILE = Path('pretrained_potentials/SevenNet_0__11Jul2024/checkpoint_sevennet_0.pth')
MD = {'steps': 4, 'sampling_interval': 2, 'temperature': 100.0, 'fixed_elements': ['Au'], 'time_step': 0.25}
OPTIONS = {'environment_variables': {'OMP_NUM_THREADS': '1'}}


@pytest.fixture
def inputs(python_code):
    """Return inputs of an assessment of the toy potential as if it had been trained elsewhere."""
    return {
        'evaluation': {
            'potential': potential(),
            'code': python_code,
            'dataset': dataset(),
            'split': split(training=[0, 1, 2, 3], validation=[4], test=[5, 6]),
            'metadata': {'options': {}},
        },
        'structures': {'0': dataset(labelled_frames(2)), '2Na': dataset(labelled_frames(4))},
        'engine': Str('ase'),
    }


def refusal(inputs, evaluation=None, **changes):
    tested = {**inputs['evaluation'], **(evaluation or {})}
    return validate_given_assessment({**inputs, 'md_settings': Dict(MD), 'evaluation': tested, **changes}, None)


def test_errors_are_measured_on_the_same_frames(inputs):
    outputs, node = run_get_node(GivenPotentialAssessmentWorkChain, **inputs)
    assert node.is_finished_ok, node.exit_message
    assert outputs['errors'].get_dict()['summary']['n_frames'] == 2
    assert outputs['potential'].uuid == potential().uuid
    assert [child.process_label for child in node.called] == ['EvaluationWorkChain']


def test_complete_inputs_are_accepted(inputs):
    assert refusal(inputs) is None


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'engine': 'lammps'}, "MD engine 'lammps' cannot load least_squares; kinds of binding it has: ase"),
        ({'frame_index': 9}, "frame_index is 9, structure '0' has 2 frames"),
    ],
)
def test_run_that_cannot_be_is_refused(inputs, changes, message):
    nodes = {name: to_aiida_type(value) for name, value in changes.items()}
    assert refusal(inputs, **nodes) == message


@pytest.mark.parametrize(
    ('elements', 'changes', 'message'),
    [
        (('H', 'O', 'Au'), {}, "structure '2Na' holds Na, the potential knows H, O, Au"),
        (
            ('H', 'O', 'Na', 'Au'),
            {'total_charge_column': 'bias_charge'},
            "the potential takes the column 'bias_charge' as total charge, structure '0' has no such column; add it",
        ),
        (
            ('H', 'O', 'Na', 'Au'),
            {'model_format': 'table'},
            "the potential is in the format 'table'; give it as its trainer exports it, it is converted where the "
            'engine loads another format',
        ),
    ],
)
def test_potential_that_cannot_be_run_is_refused(inputs, elements, changes, message):
    assert refusal(inputs, {'potential': potential(elements, **changes)}) == message


@pytest.mark.slow
def test_it_is_run_and_analysed_at_each_charge_state(inputs):
    outputs, node = run_get_node(GivenPotentialAssessmentWorkChain, **inputs, md_settings=Dict(MD))
    assert node.is_finished_ok, node.exit_message
    assert sorted(outputs['trajectories']) == ['0', '2Na']
    assert outputs['parity'].get_dict()['charge_states'] == ['0', '2Na']


@pytest.fixture(scope='module')
def code_of(aiida_profile, tmp_path_factory):
    """Return a function that gives the interpreter of an architecture as a code."""
    computer = local_computer('given-potential', tmp_path_factory.mktemp('work'))

    def code(name: str) -> InstalledCode:
        case = training_case(name)
        if case.missing:
            pytest.skip(case.missing)
        path = str(case.python.absolute())
        return InstalledCode(label=f'given-{name}', computer=computer, filepath_executable=path).store()

    return code


@pytest.fixture(scope='module')
def films(aiida_profile):
    return DatasetData.from_frames(film_frames(12, seed=1), level_of_theory='Lennard-Jones').store()


def shipped_sevennet(code, _) -> PotentialData:
    python = training_case('sevennet').python
    return import_potential(path_in_package(python, 'sevenn', SHIPPED_FILE), read_description(DESCRIPTION), '7net-0')


def small_mace(code, films) -> PotentialData:
    case = training_case('mace')
    parts = {'training': np.arange(8), 'validation': np.arange(8, 10), 'test': np.arange(10, 12)}
    _, node = run_get_node(
        TrainingWorkChain,
        training={
            'dataset': films,
            'split': ArrayData(parts),
            'architecture': Str('mace'),
            'hyperparameters': Dict(case.training['hyperparameters']),
            'seed': Int(1),
            'elements': List(list(ELEMENTS)),
            'atomic_energies': Dict(ATOMIC_ENERGIES),
            'gradient_updates': Int(20),
            'code': code,
            'metadata': {'options': OPTIONS},
        },
    )
    assert node.is_finished_ok, node.exit_message
    return node.outputs.potential


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'made'), [('sevennet', shipped_sevennet), ('mace', small_mace)])
def test_real_potential_is_tested_and_run(name, made, code_of, films):
    code = code_of(name)
    given = made(code, films)
    outputs, node = run_get_node(
        GivenPotentialAssessmentWorkChain,
        evaluation={'potential': given, 'code': code, 'dataset': films, 'metadata': {'options': OPTIONS}},
        structures={'0': films},
        engine=Str('ase'),
        md_settings=Dict(MD),
    )
    assert node.is_finished_ok, node.exit_message
    assert outputs['errors'].get_dict()['summary']['n_frames'] == 12
    assert outputs['trajectories']['0'].n_frames >= 2
    assert outputs['potential'].base.attributes.get(PotentialData.KEY_SHA256) == given.base.attributes.get('sha256')
