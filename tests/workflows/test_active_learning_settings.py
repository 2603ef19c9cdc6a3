"""Settings of active learning, its protocols, and what is refused before anything is submitted."""

from __future__ import annotations

import re
from pathlib import Path

import aiida
import aiida.engine
import aiida.orm
import pytest
from aiida.orm import Dict, Int, List, Str
from calculation_cases import dataset, labelled_frames, split
from learning_cases import learning_inputs

from aiida_edl.architectures.fine_tuning import FineTuningMode
from aiida_edl.data.dataset import DatasetData
from aiida_edl.workflows.active_learning import ActiveLearningWorkChain
from aiida_edl.workflows.active_learning_checks import validate_active_learning
from aiida_edl.workflows.active_learning_settings import (
    ActiveLearningSettings,
    validate_committee,
    validate_settings,
)


def test_settings_can_be_made_without_arguments():
    assert ActiveLearningSettings.from_dict({}) == ActiveLearningSettings()


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'windows': {}}, "unknown setting of active learning 'windows': did you mean 'window'? Known: "),
        ({'window': {'low': 0.1}}, "unknown setting of window 'low': did you mean 'lower'? Known: lower, upper."),
        ({'window': {'lower': 0.9}}, 'the uncertainty window is 0.9 to 0.75 eV/Å; give a lower limit from 0 and an'),
        ({'window': 0.1}, 'window is 0.1, it must hold settings by name'),
        ({'selection': {'n_selected': 0}}, "setting 'n_selected' of selection is 0, at least 1"),
        ({'selection': {'method': 'randm'}}, "unknown method of selection 'randm': did you mean 'random'? Known: "),
        ({'selection': {'n_selected': 'all'}}, "setting 'n_selected' of selection is 'all', expected int"),
        (
            {'retraining': {'start_from': 'previos'}},
            "unknown start_from of retraining 'previos': did you mean 'previous'",
        ),
        ({'retraining': {'validation_share': 1.0}}, 'validation_share is 1.0, it must be from 0 to below 1'),
        ({'exploration': {'temperatures': [300, -5]}}, 'temperatures holds -5, each must be positive'),
        ({'exploration': {'replicas': 0}}, "setting 'replicas' of exploration is 0, at least 1"),
        ({'stop': {'accurate_share': 2}}, 'accurate_share is 2, it must lie above 0 and not above 1'),
        ({'maximum_rounds': 0}, 'maximum_rounds is 0, at least 1'),
    ],
)
def test_wrong_settings_are_refused_in_one_sentence(aiida_profile, settings, message):
    assert validate_settings(Dict(settings), None).startswith(message)


def test_committee_of_one_is_refused(aiida_profile):
    assert validate_committee(List([1]), None) == (
        'seeds names one member; give at least two, they are compared with each other'
    )
    assert validate_committee(List([1, 1]), None) == 'seeds is [1, 1]; give at least one, none twice and none negative'


def runs(round_number=1, n_members=2, n_frames=None, **exploration):
    settings = ActiveLearningSettings.from_dict({'exploration': exploration})
    return list(settings.runs(round_number, n_frames or {'0': 3, '2Na': 2}, n_members))


def test_there_is_a_run_of_each_structure_temperature_and_replica():
    assert [run.key for run in runs(temperatures=[300.0, 412.5], replicas=2)] == [
        '0_300K_01',
        '0_300K_02',
        '0_412p5K_01',
        '0_412p5K_02',
        '2Na_300K_01',
        '2Na_300K_02',
        '2Na_412p5K_01',
        '2Na_412p5K_02',
    ]


def test_members_take_turns_and_begin_with_another_one_in_each_round():
    assert [run.member for run in runs(1, replicas=2)] == [0, 1, 0, 1]
    assert [run.member for run in runs(2, replicas=2)] == [1, 0, 1, 0]


def test_each_round_goes_on_with_other_frames_of_the_structure():
    begins = [[run.frame_index for run in runs(number, n_frames={'0': 3}, replicas=2)] for number in (1, 2, 3)]
    assert begins == [[0, 1], [2, 0], [1, 2]]


def test_seeds_differ_and_stay_when_another_structure_joins():
    few, many = runs(replicas=3), runs(replicas=3, n_frames={'0': 3, '1Na': 4, '2Na': 2})
    seeds = {run.key: run.md['seed'] for run in many}
    assert len(set(seeds.values())) == 9
    assert {run.key: run.md['seed'] for run in few}.items() <= seeds.items()
    assert not set(seeds.values()) & {run.md['seed'] for run in runs(2, replicas=3)}


def test_nothing_that_a_round_is_given_depends_on_the_number_of_rounds():
    few, many = (ActiveLearningSettings.from_dict({'maximum_rounds': number}) for number in (1, 7))
    assert few.choice(1, {'0': 3}) == many.choice(1, {'0': 3})
    assert few.extension(1) == many.extension(1)
    assert list(few.runs(1, {'0': 3}, 2)) == list(many.runs(1, {'0': 3}, 2))


def refusal(code, settings=None, **changes):
    """Return what is said of inputs, each of which its own port accepts."""
    return validate_active_learning(learning_inputs(code, settings, **changes), None)


def changed(code, namespace, **changes):
    return {namespace: {**learning_inputs(code)[namespace], **changes}}


def test_inputs_that_fit_are_accepted(python_code):
    assert refusal(python_code) is None


def test_split_without_test_is_refused(python_code):
    assert refusal(python_code, split=split(test=[])) == (
        "the array 'test' of the split is empty; keep some frames apart, which are never trained on"
    )


def test_structure_of_unknown_elements_is_refused(python_code):
    neutral = dataset(labelled_frames().select([0, 1, 4, 5, 8, 9]))
    assert refusal(python_code, dataset=neutral, split=split(training=[0, 1, 2], validation=[3], test=[4])) == (
        "structure 'charged' holds Na, of which the data set has no label; it has those of H, O, Au"
    )


def test_no_structure_is_refused(python_code):
    assert refusal(python_code, structures={}) == (
        'no structure is given; name at least one from whose frames the dynamics begins'
    )


def test_structure_with_other_wet_sides_is_refused(python_code):
    both = DatasetData.from_frames(labelled_frames(1).without_labels(), n_wet_sides=2)
    assert refusal(python_code, structures={'film': both}) == (
        "structure 'film' has 2 wet sides, the data set 1: their surface charges differ in meaning"
    )


def test_architecture_that_cannot_go_on_from_its_weights_is_refused(python_code):
    assert refusal(python_code, {'retraining': {'start_from': 'previous'}}) == (
        "least_squares cannot be trained from the potentials of the round before; set start_from 'scratch'"
    )


def test_engine_that_does_not_load_the_architecture_is_refused(python_code):
    message = refusal(python_code, **changed(python_code, 'md', engine=Str('lammps')))
    assert message == "MD engine 'lammps' cannot load least_squares; kinds of binding it has: ase"


def test_engine_that_needs_a_conversion_is_refused(python_code):
    training = {'architecture': Str('mace'), 'hyperparameters': Dict({}), 'gradient_updates': Int(5)}
    message = refusal(
        python_code, **changed(python_code, 'training', **training), **changed(python_code, 'md', engine=Str('lammps'))
    )
    assert message.startswith('engine lammps runs mace only when converted (')
    assert message.endswith('), which is not done in each round; explore with engine ase')


def test_fixed_element_that_does_not_occur_is_refused(python_code):
    settings = Dict({'steps': 20, 'fixed_elements': ['Pt']})
    assert refusal(python_code, **changed(python_code, 'md', settings=settings)) == (
        "fixed_elements names Pt, structure 'charged' holds H, O, Na, Au"
    )


def test_unknown_hyperparameter_is_refused_before_anything_is_submitted(python_code):
    message = refusal(python_code, **changed(python_code, 'training', hyperparameters=Dict({'batchsize': 2})))
    assert "'batchsize'" in message
    assert "did you mean 'batch_size'" in message


def test_structure_without_the_charge_that_the_model_takes_is_refused(python_code, monkeypatch):
    from toy.least_squares import LeastSquares

    monkeypatch.setattr(LeastSquares, 'total_charge_column', lambda *_: 'total_charge')
    assert refusal(python_code) == (
        "structure 'charged' lacks the column 'total_charge', from which the potentials take the total charge; it has "
        'none'
    )


def test_parents_are_accepted_where_the_architecture_can(python_code, monkeypatch):
    from toy.least_squares import LeastSquares

    monkeypatch.setattr(LeastSquares, 'fine_tuning_modes', (FineTuningMode.NAIVE,))
    assert refusal(python_code, {'retraining': {'start_from': 'previous'}}) is None


@pytest.mark.parametrize('protocol', ['fast', 'balanced'])
def test_protocol(protocol, data_regression):
    values = ActiveLearningWorkChain.get_protocol_inputs(protocol)
    ActiveLearningSettings.from_dict(values['settings'])
    data_regression.check(values)


def test_builder_has_the_values_of_the_protocol_and_of_the_architecture(python_code):
    inputs = learning_inputs(python_code)
    builder = ActiveLearningWorkChain.get_builder_from_protocol(
        {'training': python_code, 'labelling': python_code},
        **{name: inputs[name] for name in ('dataset', 'split', 'structures')},
        architecture='least_squares',
        engine='ase_calculator',
        model_parameters=inputs['labelling']['model_parameters'].get_dict(),
        overrides={'settings': {'maximum_rounds': 4}, 'training': {'gradient_updates': 7}},
        options={'training': {'max_wallclock_seconds': 60}},
    )
    assert builder.seeds.get_list() == [1, 2]
    assert builder.settings['maximum_rounds'] == 4
    assert builder.training.gradient_updates.value == 7
    assert builder.training.precision.value == 'float64'
    assert builder.training.hyperparameters.get_dict() == {'cutoff_radius': 4.0, 'n_radial_functions': 12}
    assert builder.md.engine.value == 'ase'
    assert builder.md.metadata.options.max_wallclock_seconds == 60
    assert builder.labelling.max_failed_fraction.value == 0.5
    assert validate_active_learning(builder._inputs(prune=True), None) is None


def test_page_makes_a_builder(python_code, monkeypatch):
    """The example of the how-to, with codes and nodes of the tests in place of those it names."""
    page = Path(__file__).parents[2] / 'docs' / 'source' / 'howto' / 'active_learning.md'
    (block,) = re.findall(r'^```python\n(.*?)^```$', page.read_text(encoding='utf-8'), flags=re.MULTILINE | re.DOTALL)
    inputs = learning_inputs(python_code)
    nodes = {'labelled': inputs['dataset'], 'split': inputs['split'], **inputs['structures']}
    monkeypatch.setattr(aiida, 'load_profile', lambda: None)
    monkeypatch.setattr(aiida.orm, 'load_node', nodes.__getitem__)
    monkeypatch.setattr(aiida.orm, 'load_code', lambda _: python_code)
    monkeypatch.setattr(aiida.engine, 'submit', lambda builder: builder)
    made = {}
    exec(compile(block, page.name, 'exec'), made)
    builder = made['chain']
    assert sorted(builder.structures) == ['charged', 'neutral']
    assert (builder.training.architecture.value, builder.labelling.engine.value) == ('mace', 'cp2k')
    assert builder.labelling.model_parameters['functional'] == 'RPBE'
    assert builder.md.settings['fixed_elements'] == ['Au']
    assert builder.settings['maximum_rounds'] == 10
