"""The matrix of the benchmark is checked before anything is submitted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from aiida_edl.architectures.protocols import hyperparameter_protocol
from aiida_edl.registry import ARCHITECTURES, UnknownNameError, load_member
from aiida_edl.workflows.benchmark_settings import BenchmarkSettings, checked_settings
from aiida_edl.workflows.launch import benchmark_settings
from aiida_edl.workflows.training import TrainingWorkChain

STUDY = Path(__file__).parent / 'test_benchmark_settings'


def settings(**overrides):
    return BenchmarkSettings.from_dict(benchmark_settings('fast', overrides))


@pytest.mark.parametrize('protocol', ['fast', 'balanced', 'study', 'paper_a'])
def test_protocols_are_right(protocol):
    assert checked_settings(benchmark_settings(protocol)).protocol == protocol


def test_models_of_the_matrix():
    keys = [model.key for model in settings().models()]
    assert 'mace_mixed_seed_01' in keys
    assert 'deep_potential_single_2_seed_02' in keys
    assert len(keys) == len(set(keys)) == 12


def test_short_forms_of_training_sets_are_written_out():
    chosen = settings(charge_states=[0, 1, 2], training_sets={'single': True, 'leave_one_out': True})
    assert sorted(chosen.training_sets) == ['single_0', 'single_1', 'single_2', 'without_0', 'without_1', 'without_2']
    assert chosen.labels_of('without_1') == ['0', '2Na']
    assert chosen.sets_of_atomic_energies() == ['single_0', 'single_1', 'single_2']


def test_short_form_that_is_not_written_out_is_refused():
    raw = {**benchmark_settings('fast'), 'training_sets': {'single': True}}
    message = (
        "training set 'single' is True, it must list charge states; short forms are written out by "
        'aiida_edl.workflows.launch.benchmark_settings'
    )
    with pytest.raises(ValueError, match=f'^{re.escape(message)}$'):
        BenchmarkSettings.from_dict(raw)


def test_one_architecture_under_two_keys():
    part = benchmark_settings('fast')['architectures']['mace']
    other = {**part, 'architecture': 'mace', 'hyperparameters': {'n_interactions': 1}}
    chosen = settings(architectures={'deep_potential': None, 'one_layer': other})
    assert {model.architecture for model in chosen.models()} == {'mace', 'one_layer'}
    assert (chosen.architecture_of('one_layer'), chosen.architecture_of('mace')) == ('mace', 'mace')


def test_several_sizes_are_part_of_the_name_and_move_no_start():
    several = settings(set_sizes=[24, 96])
    models = {model.key: model for model in several.models()}
    assert len(models) == 24
    assert models['mace_mixed_size_24_seed_01'].tags()['training_set'] == 'mixed_size_24'
    (alone,) = [model for model in settings().models() if model.key == 'mace_mixed_seed_01']
    assert several.start(models['mace_mixed_size_96_seed_01']) == settings().start(alone)
    assert several.start(models['mace_mixed_size_24_seed_01']) != settings().start(alone)


def test_one_size_is_not_part_of_the_name():
    assert [model.key for model in settings(set_sizes=[96]).models()] == [model.key for model in settings().models()]


def test_further_runs_start_elsewhere_with_seeds_of_their_own():
    chosen = settings(production={'replicas': 2})
    model = next(chosen.models())
    assert chosen.start(model, 1) == settings().start(model)
    assert chosen.production_md(model, 1) == settings().production_md(model)
    assert chosen.start(model, 2) != chosen.start(model, 1)
    assert chosen.production_md(model, 2)['seed'] == model.seed + 1000


def test_what_older_settings_ask_for_has_not_changed():
    """Seeds, starts, splits and hyperparameters of a study of before: its results are in the cache."""
    found = BenchmarkSettings.from_dict(benchmark_settings('fast', yaml.safe_load((STUDY / 'study.yaml').read_text())))
    expected = json.loads((STUDY / 'inputs.json').read_text())
    assert found.structures() == expected['structures']
    runs = [(f'{label}_{replica:02d}', label, replica) for label, replica in found.reference_runs()]
    assert {key: found.reference_md(replica) for key, _, replica in runs} == expected['reference_md']
    assert {key: found.selection(label, replica) for key, label, replica in runs} == expected['selection']
    assert {name: found.split_settings(name) for name in found.training_sets} == expected['splits']
    assert sorted(found.sets_of_atomic_energies()) == sorted(expected['splits'])
    models = {
        model.key: {
            'tags': model.tags(),
            'start': list(found.start(model)),
            'md': found.production_md(model),
            'engine': found.md_engine(model.architecture),
            'labels': found.labels_of(model.training_set),
            'hyperparameters': hyperparameters_of(found, model.architecture),
        }
        for model in found.models()
    }
    assert models == expected['models']


def hyperparameters_of(found, key):
    part = found.architectures[key]
    given = dict(part.hyperparameters)
    return TrainingWorkChain.get_protocol_hyperparameters(found.architecture_of(key), part.protocol, given)


def test_charge_labels():
    assert settings().labels_of('mixed') == ['0', '2Na']


def test_replicas_have_seeds_of_their_own():
    two = settings(reference={'replicas': 2})
    assert two.reference_md(1)['seed'] != two.reference_md(2)['seed']


def test_architectures_that_the_protocol_does_not_name_can_be_asked_for():
    chosen = BenchmarkSettings.from_dict(benchmark_settings('fast', {}, ['mace', 'deep_potential_mp']))
    assert list(chosen.architectures) == ['mace', 'deep_potential_mp']
    assert chosen.architectures['mace'] == settings().architectures['mace']
    other = chosen.architectures['deep_potential_mp']
    assert (other.protocol, other.seeds, other.gradient_updates, other.precision) == ('fast', (1, 2), 300, 'float32')


def test_unknown_architecture_that_is_asked_for_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown architecture 'mase': did you mean 'mace'"):
        benchmark_settings('fast', {}, ['mase'])


def test_models_start_from_frames_of_all_replicas():
    matrix = settings(reference={'replicas': 3})
    starts = [matrix.start(model) for model in matrix.models()]
    assert len(set(starts)) >= len(starts) - 1  # two of twelve may coincide by chance
    assert {replica for replica, _ in starts} == {1, 2, 3}
    assert all(0 <= frame < 800 for _, frame in starts)


def test_start_of_a_model_does_not_depend_on_the_others():
    one = settings(architectures={'mace': None})
    starts = {model.key: settings().start(model) for model in settings().models()}
    assert all(starts[model.key] == one.start(model) for model in one.models())


def test_test_frames_do_not_depend_on_the_training_set():
    one, other = (settings().split_settings(name) for name in ('single_0', 'mixed'))
    assert {**one, 'charge_states': None} == {**other, 'charge_states': None}


@pytest.mark.parametrize(
    ('overrides', 'message'),
    [
        ({'charge_states': [-1, 0]}, 'charge_states are [-1, 0]; give different numbers of ions, none negative'),
        ({'charge_states': [0]}, "training set 'single_2' asks for charge states [2], present are [0]"),
        ({'training_sets': {'none': []}}, "training set 'none' is empty; give at least one charge state"),
        (
            {'split': {'n_training': 150}},
            'the split needs 198 frames of each charge state (training, validation and test), but 160 are labelled; '
            'raise labelling.frames_per_run or lower the split',
        ),
        (
            {'production': {'engine': 'asse'}},
            "unknown MD engine 'asse': did you mean 'ase'? Known: ase, electrode, lammps, torch_sim.",
        ),
        (
            {'architectures': {'mase': {'protocol': 'fast'}}},
            "unknown architecture 'mase': did you mean 'mace'? Known: deep_potential, ",
        ),
        (
            {'split': {'n_traning': 20}},
            "unknown setting of split 'n_traning': did you mean 'n_training'? Known: ",
        ),
        ({'split': {'n_training': '96'}}, "setting 'n_training' of split is '96', expected int"),
        ({'split': {'n_blocks': 200}}, 'the split cuts each trajectory into 200 blocks, but only 160 of its frames '),
        ({'labelling': {'frames_per_job': -1}}, "setting 'frames_per_job' of labelling is -1, at least 1"),
        ({'labelling': {'method': 'random_'}}, "unknown method of labelling 'random_': did you mean 'random'?"),
        ({'labelling': {'engine': 'elektrode'}}, "unknown single-point engine 'elektrode': did you mean 'electrode'?"),
        ({'architectures': {'mace': {'seeds': [1, 1]}}}, 'seeds are [1, 1]; give at least one, and none twice'),
        ({'max_iterations': 0}, 'max_iterations is 0, at least 1'),
        (
            {'structure': {'n_ions': -2}},
            'structure holds n_ions; give the ions as ion and charge_states instead',
        ),
        (
            {'charge_states': [0, 2, 40]},
            '40 ions do not fit between 4.00 and 10.00 Å above the metal, where the film has room for 17: widen ',
        ),
        (
            {'architectures': {'mace': {'seed': 1}}},
            "unknown setting of mace 'seed': did you mean 'seeds'? Known: architecture, device, engine, "
            'gradient_updates, hyperparameters, long_range, model_format, precision, protocol, seeds.',
        ),
        (
            {'architectures': {'mace': {'engine': 'electrode'}}},
            "MD engine 'electrode' cannot load mace; kinds of binding it has: ase, lammps, torch_sim",
        ),
        (
            {'architectures': {'mace': {'model_format': 'onnx'}}},
            "unknown format in which ase loads mace 'onnx': Known: native.",
        ),
        (
            {
                'architectures': {'mace': None, 'deep_potential': {'engine': 'lammps'}},
                'production': {'md': {'fixed_elements': [], 'wall_height': 20.0}},
            },
            'engine lammps counts wall_height 20.0 Å from the topmost fixed atom, but fixed_elements is empty; ',
        ),
        (
            {'architectures': {'mace': {'precision': 'float46'}}},
            "unknown precision 'float46': did you mean 'float64'? Known: float32, float64.",
        ),
        (
            {'production': {'md': {'temprature': 300.0}}},
            "unknown MD setting 'temprature': did you mean 'temperature'?",
        ),
        (
            {'set_sizes': [48, 64]},
            'set_sizes are [48, 64]; give different numbers from 2, one frame of each charge state of a set, to '
            'split.n_training = 96, which must be among them',
        ),
        (
            {'training_sets': {'mixed': [0, 2], 'all-of-them': [0, 2]}},
            "'all-of-them' cannot name an architecture or a training set; use letters, digits and single underscores",
        ),
        ({'production': {'replicas': 0}}, "setting 'replicas' of production is 0, at least 1"),
        (
            {'architectures': {'mine': {'architecture': 'mase'}}},
            "settings ['device', 'gradient_updates', 'hyperparameters', 'precision', 'protocol', 'seeds'] of mine are ",
        ),
        (
            {'training_sets': {'leave_one_out': True}},
            'leave_one_out of charge states [0, 2] would be single ones; give at least 3 charge states, or ask for ',
        ),
        ({'architectures': {'mace': {'device': 'gpu'}}}, "device is 'gpu', it must be one of cpu, cuda"),
        (
            {'labelling': {'max_failed_fraction': 5.0}},
            "setting 'max_failed_fraction' of labelling is 5.0, it must lie between 0 and 1",
        ),
        ({'production': {'md': {'time_step': -1.0}}}, "MD setting 'time_step' is -1.0, it must be positive"),
    ],
)
def test_bad_input_is_one_sentence(overrides, message):
    with pytest.raises(ValueError, match='^' + re.escape(message)):
        settings(**overrides)


MORE = {'charge_states': [0, 1, 2]}


@pytest.mark.parametrize(
    ('overrides', 'message'),
    [
        (
            {'split': {'n_training': 106}},
            'the split needs 154 frames of each charge state, but of 160 that are labelled '
            'labelling.max_failed_fraction = 0.05 lets 152 be left; raise labelling.frames_per_run, lower the split, '
            'or lower the fraction to 0.037',
        ),
        (
            {'split': {'n_blocks': 153}},
            'the split cuts each trajectory into 153 blocks, but labelling.max_failed_fraction = 0.05 lets 152 of its ',
        ),
        (
            {**MORE, 'training_sets': {'mixed': [0, 1], 'single': True}},
            "training set 'mixed' holds the charge states [0, 1], by its name it would hold [0, 1, 2]; give it these, "
            'or a name that is not taken for a comparison, e.g. my_set',
        ),
        (
            {'training_sets': {'single_0': [0, 2]}},
            "training set 'single_0' holds the charge states [0, 2], by its name it would hold [0]; ",
        ),
        (
            {'training_sets': {'single': [0, 2]}},
            "training set 'single' holds the charge states [0, 2], by its name it would hold [0]; ",
        ),
        (
            {**MORE, 'training_sets': {'without_1': [0, 1]}},
            "training set 'without_1' holds the charge states [0, 1], by its name it would hold [0, 2]; ",
        ),
        (
            {**MORE, 'training_sets': {'pair_0_2': [0, 1]}},
            "training set 'pair_0_2' holds the charge states [0, 1], by its name it would hold [0, 2]; ",
        ),
        (
            {'training_sets': {'mixed_at_once': [0, 2]}},
            "'mixed_at_once' cannot name an architecture or a training set: 'at' tells runs and codes apart; leave ",
        ),
        ({'training_sets': {'reference': [0, 2]}}, "'reference' cannot name an architecture or a training set: "),
        ({'training_sets': {'mixed_size_8': [0, 2]}}, "'mixed_size_8' cannot name an architecture or a training set"),
    ],
)
def test_what_would_fail_later_is_refused_at_submission(overrides, message):
    chosen = benchmark_settings('fast', overrides)
    with pytest.raises(ValueError, match='^' + re.escape(message)):
        checked_settings(chosen)
    BenchmarkSettings.from_dict(chosen)  # a study that runs already is not stopped


@pytest.mark.parametrize('name', ['mace_md', 'reference', 'conversion_mace', 'default', 'mace_seed_2'])
def test_reserved_names_are_refused(name):
    part = {**benchmark_settings('fast')['architectures']['mace'], 'architecture': 'mace'}
    with pytest.raises(ValueError, match=f"^'{name}' cannot name an architecture or a training set: "):
        checked_settings(benchmark_settings('fast', {'architectures': {name: part}}))


def test_vacuum_thinner_than_the_cutoff_is_refused_where_films_are_taken_as_periodic():
    """The gap is one Å wider than the vacuum: the slab stands as far above the bottom of the cell."""
    film = {'structure': {'vacuum': 4.9}, 'architectures': {'mace': None}}
    chosen = benchmark_settings('fast', film, ['mace_polar'])
    member = load_member(ARCHITECTURES, 'mace_polar')
    values = hyperparameter_protocol('mace_polar', chosen['architectures']['mace_polar']['protocol'])
    cutoff = member.cutoff_radius(member.make_hyperparameters(values))
    chosen['structure']['vacuum'] = cutoff - 1.01
    message = f'structure.vacuum is {cutoff - 1.01} Å, but ase computes films by mace_polar as periodic along all cell '
    with pytest.raises(ValueError, match='^' + re.escape(message)):
        checked_settings(chosen)
    chosen['structure']['vacuum'] = cutoff - 0.99
    checked_settings(chosen)


def test_thin_vacuum_is_allowed_where_films_are_taken_as_films():
    chosen = benchmark_settings('fast', {'structure': {'vacuum': 2.0}}, ['mace'])
    assert checked_settings(chosen).structure['vacuum'] == 2.0


def test_leave_one_out_is_run_at_the_state_left_out():
    chosen = settings(charge_states=[0, 1, 2], training_sets={'single': True, 'mixed': True, 'leave_one_out': True})
    assert chosen.labels_to_run('without_1') == ['0', '2Na', '1Na']
    assert chosen.labels_to_run('mixed') == ['0', '1Na', '2Na']
    assert chosen.labels_to_run('single_1') == ['1Na']
