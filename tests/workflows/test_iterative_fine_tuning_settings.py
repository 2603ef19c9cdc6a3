"""Settings of fine-tuning in rounds, its protocols, and what is refused before anything is submitted."""

from __future__ import annotations

import re
from pathlib import Path

import aiida
import aiida.engine
import aiida.orm
import pytest
from aiida.orm import Dict, InstalledCode, Str
from calculation_cases import dataset, labelled_frames, potential, split
from fine_tuning_cases import tuning_inputs
from learning_cases import LABELS
from toy.least_squares import LeastSquares

from aiida_edl.architectures.fine_tuning import FineTuningMode
from aiida_edl.data.dataset import DatasetData
from aiida_edl.workflows.iterative_fine_tuning import IterativeFineTuningWorkChain
from aiida_edl.workflows.iterative_fine_tuning_checks import validate_iterative_fine_tuning
from aiida_edl.workflows.iterative_fine_tuning_settings import IterativeFineTuningSettings, validate_settings


@pytest.fixture(autouse=True)
def tunable(monkeypatch):
    """Let the toy be fine-tuned."""
    monkeypatch.setattr(LeastSquares, 'fine_tuning_modes', (FineTuningMode.NAIVE,))


def test_settings_can_be_made_without_arguments_and_read_back():
    settings = IterativeFineTuningSettings.from_dict({})
    assert settings == IterativeFineTuningSettings()
    assert IterativeFineTuningSettings.from_dict(settings.to_dict()) == settings


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'selectoin': {}}, "unknown setting of iterative fine-tuning 'selectoin': did you mean 'selection'? Known: "),
        ({'stop': {'force_eror': 0.1}}, "unknown setting of stop 'force_eror': did you mean 'force_error'? Known: "),
        ({'stop': {'force_error': 0.0}}, 'force_error is 0.0, it must be positive and finite'),
        ({'stop': {'rounds': -1}}, 'rounds is -1, it must not be negative'),
        ({'selection': 3}, 'selection is 3, it must hold settings by name'),
        ({'selection': {'n_selected': 1}}, "setting 'n_selected' of selection is 1, at least 2"),
        ({'selection': {'method': 'largest_deviation'}}, "unknown method of selection 'largest_deviation': "),
        ({'retraining': {'start_from': 'parnet'}}, "unknown start_from of retraining 'parnet': did you mean 'parent'"),
        ({'retraining': {'validation_share': 1.0}}, 'validation_share is 1.0, it must be from 0 to below 1'),
        ({'exploration': {'temperatures': [600.0, 0.0]}}, 'temperatures holds 0.0, each must be positive'),
        ({'maximum_rounds': 0}, 'maximum_rounds is 0, at least 1'),
    ],
)
def test_wrong_settings_are_refused_in_one_sentence(aiida_profile, settings, message):
    assert validate_settings(Dict(settings), None).startswith(message)


def test_nothing_that_a_round_is_given_depends_on_the_number_of_rounds():
    few, many = (IterativeFineTuningSettings.from_dict({'maximum_rounds': number}) for number in (1, 7))
    assert few.choice(1, 3) == many.choice(1, 3)
    assert few.extension(1) == many.extension(1)
    assert list(few.runs(1, {'0': 3}, 1)) == list(many.runs(1, {'0': 3}, 1))


def refusal(code, settings=None, **changes):
    """Return what is said of inputs, each of which its own port accepts."""
    return validate_iterative_fine_tuning(tuning_inputs(code, settings, **changes), None)


def changed(code, namespace, **changes):
    return {namespace: {**tuning_inputs(code)[namespace], **changes}}


def test_inputs_that_fit_are_accepted(python_code):
    assert refusal(python_code) is None


def test_inputs_with_frames_to_learn_first_are_accepted(python_code):
    assert refusal(python_code, split=split()) is None


def test_split_without_test_is_refused(python_code):
    assert refusal(python_code, split=split(test=[])) == (
        "the array 'test' of the split is empty; keep some frames apart, which are never trained on"
    )


def test_training_frames_without_validation_are_refused(python_code):
    assert refusal(python_code, split=split(validation=[])) == (
        "the array 'validation' of the split is empty, it needs at least one frame"
    )


def test_parent_that_lacks_an_element_of_the_data_is_refused(python_code):
    assert refusal(python_code, parent_potential=potential(('H', 'O', 'Au'))) == (
        'the data set holds Na, the parent potential knows H, O, Au; give one for all'
    )


def test_structure_of_unknown_elements_is_refused(python_code):
    neutral = dataset(labelled_frames().select([0, 1, 4, 5, 8, 9]))
    apart = split(training=[], validation=[], test=[4])
    assert refusal(python_code, dataset=neutral, split=apart) == (
        "structure 'charged' holds Na, of which the data set has no label; it has those of H, O, Au"
    )


def test_engine_of_another_level_of_theory_is_refused(python_code):
    parameters = Dict({**LABELS, 'level_of_theory': 'Morse'})
    assert refusal(python_code, **changed(python_code, 'labelling', model_parameters=parameters)) == (
        "the engine labels by 'Morse', the labels of the data set are by 'Lennard-Jones'; label both by one"
    )


def test_mode_that_the_architecture_lacks_is_refused(python_code):
    assert refusal(python_code, **changed(python_code, 'training', fine_tuning=Dict({'mode': 'lora'}))) == (
        "least_squares has no fine-tuning mode 'lora'; it has: naive"
    )


def test_replay_from_the_potential_before_is_refused(python_code):
    fine_tuning = Dict({'mode': 'multihead_replay'})
    settings = {'retraining': {'start_from': 'previous'}}
    assert refusal(python_code, settings, **changed(python_code, 'training', fine_tuning=fine_tuning)) == (
        "start_from is 'previous' with multihead_replay, but replayed frames belong to the training of the parent "
        "alone; set start_from 'parent'"
    )


def test_replayed_elements_without_atomic_energy_are_refused(python_code):
    neutral = dataset(labelled_frames().select([0, 1, 4]))
    inputs = changed(python_code, 'training', replay_dataset=dataset())
    structures = {'neutral': neutral}
    apart = split(training=[], validation=[], test=[0, 1])
    assert refusal(python_code, dataset=neutral, split=apart, structures=structures, **inputs) == (
        'the replayed frames hold Na, for which no atomic energy follows from the data set; give atomic_energies for '
        'all elements of both'
    )


def test_parent_of_another_architecture_is_refused(python_code):
    other = potential(architecture='mace')
    assert refusal(python_code, parent_potential=other) == (
        'the parent is a potential of mace, least_squares is to be trained; give a parent of the same architecture'
    )


def test_engine_that_does_not_load_the_architecture_is_refused(python_code):
    message = refusal(python_code, **changed(python_code, 'md', engine=Str('lammps')))
    assert message == "MD engine 'lammps' cannot load least_squares; kinds of binding it has: ase"


def test_structure_with_other_wet_sides_is_refused(python_code):
    both = DatasetData.from_frames(labelled_frames(1).without_labels(), n_wet_sides=2)
    assert refusal(python_code, structures={'film': both}) == (
        "structure 'film' has 2 wet sides, the data set 1: their surface charges differ in meaning"
    )


@pytest.mark.parametrize('protocol', ['fast', 'balanced'])
def test_protocol(protocol, data_regression):
    values = IterativeFineTuningWorkChain.get_protocol_inputs(protocol)
    IterativeFineTuningSettings.from_dict(values['settings'])
    data_regression.check(values)


def test_builder_has_the_values_of_the_protocol_and_of_the_parent(python_code):
    inputs = tuning_inputs(python_code)
    builder = IterativeFineTuningWorkChain.get_builder_from_protocol(
        {'training': python_code, 'labelling': python_code},
        **{name: inputs[name] for name in ('parent_potential', 'dataset', 'split', 'structures')},
        engine='ase_calculator',
        model_parameters=inputs['labelling']['model_parameters'].get_dict(),
        overrides={'settings': {'maximum_rounds': 4}, 'training': {'seed': 3, 'gradient_updates': 7}},
        options={'training': {'max_wallclock_seconds': 60}},
    )
    assert builder.settings['maximum_rounds'] == 4
    assert (builder.training.seed.value, builder.training.gradient_updates.value) == (3, 7)
    assert builder.training.architecture.value == 'least_squares'
    assert builder.training.precision.value == 'float64'
    assert builder.training.fine_tuning.get_dict() == {'mode': 'naive', 'atomic_energies': 'given'}
    assert builder.md.metadata.options.max_wallclock_seconds == 60
    assert validate_iterative_fine_tuning(builder._inputs(prune=True), None) is None


def test_labels_by_the_code_of_another_engine_are_refused(python_code):
    inputs = tuning_inputs(python_code)
    inputs['labelling'] = {**inputs['labelling'], 'engine': Str('cp2k')}
    message = validate_iterative_fine_tuning(inputs, None)
    assert message.startswith("labelling: engine 'cp2k' refuses its inputs: code 'python")
    assert 'needs the CP2K executable; install it with: apt-get install cp2k cp2k-data' in message


def test_page_makes_a_builder(python_code, monkeypatch):
    """The example of the how-to, with codes and nodes of the tests in place of those it names."""
    page = Path(__file__).parents[2] / 'docs' / 'source' / 'howto' / 'find_own_frames.md'
    (block,) = re.findall(r'^```python\n(.*?)^```$', page.read_text(encoding='utf-8'), flags=re.MULTILINE | re.DOTALL)
    inputs = tuning_inputs(python_code)
    parent = potential(architecture='mace', precision='float32', cutoff_radius=6.0, n_layers=2)  # as MACE-MPA-0
    nodes = {'mace-mpa-0': parent, 'labelled': inputs['dataset'], 'split': inputs['split']}
    monkeypatch.setattr(aiida, 'load_profile', lambda: None)
    monkeypatch.setattr(aiida.orm, 'load_node', lambda name: nodes.get(name, inputs['structures']['neutral']))
    cp2k = InstalledCode(python_code.computer, '/usr/bin/cp2k.psmp', label='cp2k-of-the-page').store()
    monkeypatch.setattr(aiida.orm, 'load_code', lambda name: cp2k if name == 'cp2k' else python_code)
    monkeypatch.setattr(aiida.engine, 'submit', lambda builder: builder)
    made = {}
    exec(compile(block, page.name, 'exec'), made)
    builder = made['chain']
    assert sorted(builder.structures) == ['interstitial', 'vacancy']
    assert builder.labelling.engine.value == 'cp2k'
    assert builder.training.architecture.value == 'mace'
    hyperparameters = builder.training.hyperparameters
    assert (hyperparameters['cutoff_radius'], hyperparameters['n_interactions']) == (6.0, 2)
    assert builder.training.precision.value == 'float32'
    assert validate_iterative_fine_tuning(builder._inputs(prune=True), None) is None
    assert builder.settings['exploration']['temperatures'] == [600.0, 900.0]
