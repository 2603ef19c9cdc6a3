"""A fine-tuning study in miniature: atoms that hardly interact, and the toy architecture."""

from __future__ import annotations

import pytest
from aiida.engine import run_get_node
from aiida.engine.persistence import AiiDAPersister
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager
from aiida.orm import Dict, Str
from calculation_cases import dataset, potential, split, stored_once
from diffusion_cases import DIFFUSION, MD, RECIPE, gas
from plumpy.persistence import LoadSaveContext
from toy.least_squares import LeastSquares

from aiida_edl.architectures.fine_tuning import FineTuningMode
from aiida_edl.workflows.fine_tuning_checks import validate_study
from aiida_edl.workflows.fine_tuning_study import FineTuningStudyWorkChain

LABELS = {'recipe': RECIPE, 'level_of_theory': 'Lennard-Jones', 'energy_shifts': {'Na': 0.0}}
SPACING = 3.2
"""Between the atoms [Å], where forces are small and not zero."""
SETTINGS = {
    'protocol': 'test',
    'families': {
        'zero_shot': {'strategy': 'zero_shot', 'start': 'foundation'},
        'scratch': {
            'strategy': 'labelled_frames',
            'architecture': 'least_squares',
            'n_frames': [2, 4],
            'seeds': [1, 2],
            'gradient_updates': 5,
            'hyperparameters': {'batch_size': 2, 'n_radial_functions': 4},
            'precision': 'float64',
        },
        'own': {
            'strategy': 'own_frames',
            'start': 'foundation',
            'gradient_updates': 5,
            'hyperparameters': {'batch_size': 2, 'n_radial_functions': 4},
            'precision': 'float64',
            'rounds': {'maximum_rounds': 2, 'selection': {'n_selected': 4}, 'stop': {'force_error': 1e-6}},
            'exploration': {'steps': 200, 'sampling_interval': 20},
        },
    },
    'engine': 'ase',
    'runs': {'temperatures': [400.0], 'replicas': 2},
    'md': {**MD, 'steps': 400},
    'analyses': {'diffusion': DIFFUSION},
    'arrhenius': {},
    'max_iterations': 1,
}


def inputs_of(code, **settings):
    """Return the inputs of a study."""
    return {
        'settings': Dict({**SETTINGS, **settings}),
        'dataset': stored_once('dense gas', lambda: dataset(gas(9, seed=1, spacing=SPACING))),
        'split': split(training=[0, 1, 2, 3, 8], validation=[4], test=[5, 6, 7]),
        'structures': {
            'gas': stored_once('start of dense gas', lambda: dataset(gas(2, seed=2, spacing=SPACING).without_labels()))
        },
        'foundations': {
            'foundation': stored_once('free sodium', lambda: potential(('Na',), atomic_energies={'Na': 0.0}))
        },
        'codes': {'default': code},
        'labelling': {
            'engine': Str('ase_calculator'),
            'code': code,
            'model_parameters': Dict(
                {'recipe': RECIPE, 'level_of_theory': 'Lennard-Jones', 'energy_shifts': {'Na': 0.0}}
            ),
        },
    }


@pytest.fixture(autouse=True)
def _fine_tuned_toy(monkeypatch):
    """Let the toy start from a parent."""
    modes = (FineTuningMode.NAIVE, FineTuningMode.MULTIHEAD_REPLAY)
    monkeypatch.setattr(LeastSquares, 'fine_tuning_modes', modes)


@pytest.fixture
def inputs(python_code):
    return inputs_of(python_code)


@pytest.fixture(scope='module')
def made():
    """Return a place for the result that several tests look at."""
    return {}


@pytest.fixture
def study(inputs, made):
    """Return the study, run once; runs of 4 ps determine no coefficient, which is said."""
    if 'node' not in made:
        made['node'] = run_get_node(FineTuningStudyWorkChain, **inputs)[1]
    return made['node']


def rows(study, table='models'):
    return study.outputs.comparison[table]


def test_every_model_of_the_matrix_has_a_row(study):
    assert study.exit_status in (0, 700), study.exit_message
    assert [row['model'] for row in rows(study)] == [
        'own_round_01_seed_01',
        'own_round_02_seed_01',
        'scratch_n_00002_seed_01',
        'scratch_n_00002_seed_02',
        'scratch_n_00004_seed_01',
        'scratch_n_00004_seed_02',
        'zero_shot',
    ]


def test_models_learn_their_own_number_of_frames_of_the_pool(study):
    trainings = [child for child in study.called if child.process_label == 'TrainingWorkChain']
    frames = [child.inputs.training.split.get_array('training').tolist() for child in trainings]
    assert sorted(len(chosen) for chosen in frames) == [2, 2, 4, 4]
    assert all(set(chosen) <= {0, 1, 2, 3, 8} for chosen in frames)


def test_seeds_draw_other_frames(study):
    trainings = [child for child in study.called if child.process_label == 'TrainingWorkChain']
    by_size = {}
    for child in trainings:
        chosen = tuple(child.inputs.training.split.get_array('training').tolist())
        by_size.setdefault(len(chosen), set()).add(chosen)
    assert len(by_size[2]) == 2


def test_all_models_are_tested_on_the_same_frames(study):
    assert sorted(study.outputs.errors) == sorted(row['model'] for row in rows(study))
    assert {node['summary']['n_frames'] for node in study.outputs.errors.values()} == {3}


def test_energies_of_the_zero_shot_model_are_compared_after_a_fit_of_their_zero(study):
    zeros = {row['model']: row['test_energy_zero'] for row in rows(study)}
    assert zeros['zero_shot'] == 'fitted_per_element'
    assert zeros['scratch_n_00002_seed_01'] == 'as_predicted'


def test_learning_curve_has_a_point_for_each_size(study):
    points = [
        (row['family'], row['n_frames'], row['n_models'])
        for row in rows(study, 'learning_curves')
        if row['quantity'] == 'test_force_rmse_ev_per_angstrom'
    ]
    # New frames near a test frame are not used, and which are follows from rounding: the loop tells how many.
    (loop,) = [child for child in study.called if child.process_label == 'IterativeFineTuningWorkChain']
    trainings = [child for child in loop.called if child.process_label == 'TrainingWorkChain']
    first, second = (len(child.inputs.training.split.get_array('training')) for child in trainings)
    assert 1 <= first < second
    assert points == [('own', first, 1), ('own', second, 1), ('scratch', 2, 2), ('scratch', 4, 2), ('zero_shot', 0, 1)]


def test_training_of_models_that_are_trained_has_a_cost(study):
    hours = {row['model']: row['training_core_hours'] for row in rows(study)}
    assert hours['zero_shot'] is None
    assert all(value > 0.0 for model, value in hours.items() if model != 'zero_shot')


def test_labels_of_the_validation_are_counted(study):
    labelled = {row['model']: (row['n_validation'], row['labelled_frames']) for row in rows(study)}
    assert labelled['scratch_n_00002_seed_01'] == (1, 3)
    assert labelled['zero_shot'] == (0, 0)


def test_model_of_a_round_costs_what_was_spent_up_to_it(study):
    hours = {row['model']: row for row in rows(study)}
    first, second = (hours[f'own_round_0{number}_seed_01'] for number in (1, 2))
    assert second['labelled_frames'] - first['labelled_frames'] == 4
    assert first['labelled_frames'] > 4  # known frames are labelled again, and forces are checked against energies
    assert 0.0 < first['training_core_hours'] < second['training_core_hours']


def test_model_that_finds_its_frames_sees_no_label_of_the_others(study):
    (loop,) = [child for child in study.called if child.process_label == 'IterativeFineTuningWorkChain']
    assert loop.inputs.dataset.n_frames == 3
    assert not len(loop.inputs.split.get_array('training'))


def test_settings_are_read_once_and_anew_after_a_restart(inputs):
    """A worker that is killed leaves nothing but the checkpoint, which has the inputs and not what is made of them."""
    runner, persister = get_manager().get_runner(), AiiDAPersister()
    chain = instantiate_process(runner, FineTuningStudyWorkChain, **inputs)
    settings = chain.settings
    assert chain.settings is settings
    persister.save_checkpoint(chain)
    chain.close()
    again = persister.load_checkpoint(chain.pid).unbundle(LoadSaveContext(runner=runner))
    assert 'settings' not in vars(again)
    assert again.settings == settings


def test_model_is_asked_about_the_old_frames_whose_elements_it_knows(python_code):
    frames = gas(4, seed=7, spacing=SPACING)
    frames.numbers[: frames.offsets[1]] = 3
    old = {'replay_dataset': dataset(frames), 'replay_split': split(training=[], validation=[], test=[0, 1, 2])}
    families = {'zero_shot': SETTINGS['families']['zero_shot']}
    node = run_get_node(FineTuningStudyWorkChain, **inputs_of(python_code, families=families), **old)[1]
    assert [row['holdout_n_frames'] for row in rows(node)] == [2]


def refusal(inputs, **changes):
    return validate_study({**inputs, **changes}, None)


def test_complete_inputs_are_accepted(inputs):
    assert refusal(inputs) is None


def test_more_frames_than_there_are_are_refused(python_code):
    families = {'scratch': {**SETTINGS['families']['scratch'], 'n_frames': [6]}}
    assert refusal(inputs_of(python_code, families=families)) == (
        "family 'scratch': n_frames asks for 6 training frames, the split has 5; ask for fewer"
    )


def test_foundation_that_lacks_an_element_is_refused(inputs):
    frames = gas(9, seed=1, spacing=SPACING)
    frames.numbers[:] = 3
    assert refusal(inputs, dataset=dataset(frames)) == (
        "family 'own': the dataset holds Li, which the foundation model does not know; take another one"
    )


def test_unknown_foundation_is_answered_with_the_nearest(python_code):
    families = {'as_is': {'strategy': 'zero_shot', 'start': 'fundation'}}
    assert refusal(inputs_of(python_code, families=families)) == (
        "family 'as_is': unknown foundation model 'fundation': did you mean 'foundation'? Known: foundation."
    )


def test_family_without_a_code_is_refused(inputs):
    codes = {'mace': inputs['codes']['default']}
    assert refusal(inputs, codes=codes) == (
        "family 'own': there is no code; give one named 'own', 'least_squares' or 'default'"
    )


def test_engine_that_cannot_run_an_architecture_is_refused_before_training(python_code):
    message = refusal(inputs_of(python_code, engine='lammps'))
    assert message.startswith("family 'own': MD engine 'lammps' cannot load least_squares")


def test_replay_without_frames_is_refused(python_code):
    families = {
        'replay': {
            'strategy': 'labelled_frames',
            'start': 'foundation',
            'fine_tuning': {'mode': 'multihead_replay'},
            'n_frames': [2],
            'n_replay': [1],
        }
    }
    assert refusal(inputs_of(python_code, families=families)) == (
        "family 'replay': n_replay is [1], but no replay_dataset is given; give one, or 0"
    )


def test_frame_that_is_replayed_and_held_out_is_refused(inputs):
    replay = split(training=[0, 1, 2], validation=[], test=[2, 3])
    assert refusal(inputs, replay_dataset=inputs['dataset'], replay_split=replay) == (
        'replay_split has 1 frames in training and in test; a frame that is replayed tells nothing'
    )


def test_replay_without_its_split_is_refused(inputs):
    assert refusal(inputs, replay_dataset=inputs['dataset']) == (
        'replay_dataset is given alone; give replay_dataset and replay_split, or neither'
    )


def test_models_that_find_their_frames_need_labels(inputs):
    del inputs['labelling']
    assert refusal(inputs) == (
        "family 'own': strategy 'own_frames' needs labels: give engine and code in the namespace labelling"
    )


def test_labels_of_another_level_of_theory_are_refused_before_training(inputs):
    inputs['labelling']['model_parameters'] = Dict({**LABELS, 'level_of_theory': 'Morse'})
    assert refusal(inputs) == (
        "family 'own': the engine labels by 'Morse', the labels of the data set are by 'Lennard-Jones'; label both by "
        'one'
    )


def test_labels_without_settings_are_refused_before_training(inputs):
    inputs['labelling']['model_parameters'] = Dict({})
    assert refusal(inputs).startswith("family 'own': labelling: engine 'ase_calculator' refuses its inputs: ")


def test_mode_that_an_architecture_lacks_is_refused(python_code):
    families = {
        'lora': {'strategy': 'labelled_frames', 'start': 'foundation', 'fine_tuning': {'mode': 'lora'}, 'n_frames': [2]}
    }
    assert "unknown mode of fine-tuning least_squares 'lora'" in refusal(inputs_of(python_code, families=families))


def test_ion_that_is_in_no_structure_is_refused(python_code):
    message = refusal(inputs_of(python_code, analyses={'diffusion': {'mobile': 'Li'}}))
    assert message == "structure 'gas' holds no Li, which the analyses are to follow"


def test_names_that_name_two_models_are_refused(python_code):
    inputs = inputs_of(python_code, families=dict.fromkeys(('a_b', 'b'), SETTINGS['families']['zero_shot']))
    gas_node = inputs['structures']['gas']
    assert refusal(inputs, structures={'s': gas_node, 's_a': gas_node}) == (
        "names of systems and families together name two models 's_a_b'; rename one of them"
    )


def test_name_of_other_results_is_refused_for_a_system(inputs):
    assert refusal(inputs, structures={'errors': inputs['structures']['gas']}) == (
        "a system is called 'errors', which names other results; rename it"
    )
