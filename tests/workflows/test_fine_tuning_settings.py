"""What a fine-tuning study may ask for, and what it is told otherwise."""

from __future__ import annotations

import re
from copy import deepcopy

import pytest
from calculation_cases import potential

from aiida_edl.md_engines.base import MDSettings
from aiida_edl.registry import ARCHITECTURES, MD_ENGINES, UnknownNameError, load_member
from aiida_edl.workflows.assessment_checks import refuse_engine
from aiida_edl.workflows.diffusion_settings import (
    DiffusionRunSettings,
    DiffusionSettingsError,
    temperature_label,
    validate_md_of_runs,
)
from aiida_edl.workflows.fine_tuning_parts import FineTuningStudyError, StudyModel
from aiida_edl.workflows.fine_tuning_settings import FineTuningStudySettings, checked_settings
from aiida_edl.workflows.fine_tuning_study import FineTuningStudyWorkChain
from aiida_edl.workflows.fine_tuning_trainings import code_name, hyperparameters_of, precision_of

REPLAY = {
    'strategy': 'labelled_frames',
    'start': 'foundation',
    'fine_tuning': {'mode': 'multihead_replay'},
    'n_frames': [20, 40],
    'n_replay': [10],
}


def settings(**changes):
    values = FineTuningStudyWorkChain.get_protocol_inputs('fast')
    return {'protocol': 'fast', **deepcopy(values), **changes}


def family(**changes):
    return settings(
        families={'naive': {'strategy': 'labelled_frames', 'start': 'foundation', 'n_frames': [20], **changes}}
    )


@pytest.mark.parametrize('protocol', sorted(FineTuningStudyWorkChain.get_available_protocols()))
def test_every_protocol_is_a_study(protocol):
    values = FineTuningStudyWorkChain.get_protocol_inputs(protocol)
    assert list(checked_settings({'protocol': protocol, **values}).models())


def test_grid_of_the_study_of_lithium_fluoride_is_that_of_its_data_record():
    values = FineTuningStudyWorkChain.get_protocol_inputs('lithium_fluoride')
    models = checked_settings({'protocol': 'lithium_fluoride', **values}).models()
    grid = {(model.n_frames, model.n_replay) for model in models if model.n_frames}
    assert grid == {
        *((200, replay) for replay in (0, 100, 1000)),
        (400, 1000),
        *((700, replay) for replay in (0, 100, 1000, 10000)),
        *((800, replay) for replay in (0, 100, 1000, 10000)),
        (1600, 1000),
    }


def test_models_are_the_product_of_sizes_replay_and_seeds():
    study = checked_settings(settings(families={'replay': {**REPLAY, 'seeds': [1, 2]}}))
    assert [model.key for model in study.models()] == [
        'replay_n_00020_r_00010_seed_01',
        'replay_n_00020_r_00010_seed_02',
        'replay_n_00040_r_00010_seed_01',
        'replay_n_00040_r_00010_seed_02',
    ]


def test_zero_shot_model_is_one_model():
    study = checked_settings(settings(families={'as_is': {'strategy': 'zero_shot', 'start': 'foundation'}}))
    assert list(study.models()) == [StudyModel('as_is', 0, 0, 0)]


def test_frames_of_models_with_other_seeds_are_drawn_apart():
    study = checked_settings(family(seeds=[1, 2]))
    first, second = (study.selection(model) for model in study.models())
    assert first['n_frames'] == second['n_frames'] == 20
    assert first['seed'] != second['seed']


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            {'strategy': 'labeled_frames'},
            "family 'naive': unknown strategy 'labeled_frames': did you mean 'labelled_frames'?",
        ),
        ({'seeds': [1, 1]}, 'seeds are [1, 1]; give at least one, none twice, none below 0'),
        ({'n_frames': []}, 'n_frames is []; give at least one number, none below 1'),
        ({'n_replay': [10]}, "n_replay is [10], but the mode of fine_tuning is 'naive'; give 'multihead_replay', or 0"),
        (
            {'fine_tuning': {'mode': 'multihead_replay'}},
            "n_replay holds 0, but the mode of fine_tuning is 'multihead_replay'; make it a family of its own with the "
            "mode 'naive'",
        ),
        ({'selection': {'seed': 3}}, 'selection holds seed, which follows from the model'),
        (
            {'selection': {'method': 'largest_deviation'}},
            "selection method 'largest_deviation' needs deviations, which a labelled set has not",
        ),
        (
            {'architecture': 'mace'},
            "architecture is 'mace' and start 'foundation': a model has the architecture of its parent; leave it out",
        ),
        ({'start': 'scratch'}, 'a family that starts from scratch needs its architecture by name'),
        (
            {'start': 'scratch', 'architecture': 'mace', 'fine_tuning': {'mode': 'lora'}},
            'fine_tuning is given for a family that starts from scratch; leave it out',
        ),
        (
            {'strategy': 'zero_shot'},
            'n_frames is [20], but a zero-shot model learns no frame',
        ),
        (
            {'strategy': 'own_frames', 'start': 'scratch', 'n_frames': []},
            "strategy 'own_frames' needs a foundation model; name it as start",
        ),
        ({'precision': 'float16'}, 'float16'),
        ({'device': 'gpu'}, "device is 'gpu', it must be one of cpu, cuda"),
        ({'gradient_updates': 0}, 'gradient_updates is 0, it must be at least 1'),
    ],
)
def test_wrong_family_is_refused_with_the_remedy(changes, message):
    with pytest.raises(FineTuningStudyError) as caught:
        checked_settings(family(**changes))
    assert str(caught.value).startswith("family 'naive': ")
    assert message in str(caught.value)


def test_name_of_a_family_that_is_no_label_is_refused():
    with pytest.raises(FineTuningStudyError, match='becomes part of labels'):
        checked_settings(settings(families={'No 1': REPLAY}))


def test_unknown_architecture_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'mace'"):
        checked_settings(family(start='scratch', architecture='mac'))


def test_unknown_setting_is_answered_with_the_nearest():
    with pytest.raises(FineTuningStudyError, match="did you mean 'analyses'"):
        FineTuningStudySettings.from_dict(settings(analysis={}))


def test_missing_setting_is_named():
    values = settings()
    del values['runs']
    with pytest.raises(FineTuningStudyError, match=r"settings \['runs'\] of the study are missing"):
        checked_settings(values)


def test_runs_at_each_temperature_begin_from_successive_frames_with_seeds_of_their_own():
    runs = DiffusionRunSettings(temperatures=(700.0, 912.5), replicas=3).runs(n_frames=2)
    assert [run.label for run in runs][:4] == [
        'T0700_replica_01',
        'T0700_replica_02',
        'T0700_replica_03',
        'T0912_5_replica_01',
    ]
    assert [run.frame_index for run in runs] == [0, 1, 0, 0, 1, 0]
    assert len({run.seed for run in runs}) == 6


def test_labels_of_temperatures_keep_their_fraction():
    assert temperature_label(1050.25) == 'T1050_25'


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'temperatures': []}, 'temperatures are [], give at least one, all above 0 K'),
        ({'temperatures': [900, 700]}, 'temperatures are [900, 700], give each once and in increasing order'),
        ({'replicas': 0}, 'replicas is 0, it must be at least 1'),
        ({'temperature': [900]}, "unknown setting of the runs 'temperature': did you mean 'temperatures'?"),
    ],
)
def test_wrong_runs_are_refused_with_the_remedy(changes, message):
    with pytest.raises(DiffusionSettingsError) as caught:
        DiffusionRunSettings.from_dict(changes)
    assert message in str(caught.value)


def test_temperature_among_the_md_settings_is_refused(aiida_profile):
    from aiida.orm import Dict

    message = validate_md_of_runs(Dict({'temperature': 900.0, 'steps': 10}), None)
    assert message == 'md_settings holds temperature, which each run has for itself: say it in settings'


@pytest.mark.parametrize(
    ('names', 'found'),
    [
        (('naive', 'mace', 'default'), 'naive'),
        (('mace', 'default'), 'mace'),
        (('default',), 'default'),
        (('grace',), None),
    ],
)
def test_code_is_that_of_the_family_before_that_of_the_architecture(names, found):
    assert code_name('naive', 'mace', names) == found


@pytest.mark.parametrize('protocol', sorted(FineTuningStudyWorkChain.get_available_protocols()))
def test_protocol(protocol, data_regression):
    data_regression.check(FineTuningStudyWorkChain.get_protocol_inputs(protocol))


def own_family(**changes):
    family = {'strategy': 'own_frames', 'start': 'foundation', 'exploration': {'steps': 100}, **changes}
    return settings(families={'own': family})


def test_models_that_find_their_frames_are_known_when_these_are_found():
    assert not list(checked_settings(own_family()).models())


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'n_frames': [10]}, "n_frames or selection is given with the strategy 'own_frames'"),
        ({'rounds': {'selection': {'seed': 3}}}, 'selection of rounds holds seed, which follows from the model'),
        ({'rounds': {'maximum_round': 3}}, "did you mean 'maximum_rounds'?"),
        ({'exploration': {'steps': 9, 'step': 3}}, "unknown MD setting 'step': did you mean 'steps'?"),
        ({'exploration': {}}, 'exploration lacks steps'),
    ],
)
def test_wrong_rounds_are_refused_with_the_remedy(changes, message):
    with pytest.raises(FineTuningStudyError) as caught:
        checked_settings(own_family(**changes))
    assert message in str(caught.value)


def test_rounds_of_models_that_are_given_their_frames_are_refused():
    with pytest.raises(
        FineTuningStudyError, match="rounds or exploration are given with the strategy 'labelled_frames'"
    ):
        checked_settings(family(rounds={'maximum_rounds': 3}))


@pytest.fixture
def parent():
    """Return a foundation model of another shape than the protocols of MACE have."""
    return potential(('Na',), architecture='mace', cutoff_radius=6.0, precision='float64', atomic_energies={'Na': 0.0})


def first_family(values):
    return next(iter(checked_settings(values).families.values()))


def test_cutoff_layers_and_precision_are_those_of_the_foundation_model(parent):
    part = first_family(family())
    values = hyperparameters_of('mace', part, parent)
    assert (values['cutoff_radius'], values['n_interactions']) == (6.0, parent.n_layers)
    assert precision_of(part, parent).value == 'float64'


def test_what_a_family_states_is_taken_instead(parent):
    part = first_family(family(hyperparameters={'cutoff_radius': 5.5}, precision='float32'))
    assert hyperparameters_of('mace', part, parent)['cutoff_radius'] == 5.5
    assert precision_of(part, parent).value == 'float32'


def test_models_from_scratch_have_the_shape_of_their_protocol():
    part = first_family(family(start='scratch', architecture='mace', protocol='fast'))
    assert hyperparameters_of('mace', part, None)['cutoff_radius'] == 4.0
    assert precision_of(part, None).value == 'float32'


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'md': {'temperature': 900.0}}, 'md holds temperature, which each run has for itself: say it in runs'),
        ({'arrhenius': {'quantity': 'tracers'}}, "unknown quantity 'tracers': did you mean 'tracer'?"),
    ],
)
def test_wrong_settings_of_the_runs_are_refused_before_anything_is_trained(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        checked_settings(settings(**changes))


@pytest.mark.parametrize('protocol', sorted(FineTuningStudyWorkChain.get_available_protocols()))
def test_engines_of_every_protocol_run_its_architectures(protocol):
    values = FineTuningStudyWorkChain.get_protocol_inputs(protocol)
    study = checked_settings({'protocol': protocol, **values})
    for family in study.families.values():
        engine = load_member(MD_ENGINES, family.engine or study.engine)
        member = load_member(ARCHITECTURES, family.architecture or 'mace')
        assert refuse_engine(member, engine, MDSettings.from_dict(study.md)) is None
