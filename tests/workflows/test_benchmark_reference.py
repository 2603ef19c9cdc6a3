"""What a benchmark does with reference runs and labels that are lost; no process runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from aiida_edl.science.splitting import SplitError
from aiida_edl.workflows import benchmark_assessments as assessments
from aiida_edl.workflows import benchmark_reference as module
from aiida_edl.workflows.benchmark_assessments import BenchmarkAssessmentsMixin
from aiida_edl.workflows.benchmark_settings import BenchmarkSettings
from aiida_edl.workflows.launch import benchmark_settings

pytestmark = pytest.mark.usefixtures('aiida_profile')


class Context(dict):
    """A dictionary whose keys are attributes, as the context of a work chain and the outputs of a process."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


def child(exit_status: int = 0, **outputs: Any) -> SimpleNamespace:
    """Return a child that has ended."""
    return SimpleNamespace(
        pk=7,
        process_label='Child',
        exit_status=exit_status,
        exit_message='the reason',
        is_finished_ok=exit_status == 0,
        outputs=Context(outputs),
    )


class Benchmark(BenchmarkAssessmentsMixin):
    """A benchmark of three charge states and two reference runs at each, whose children are made by hand."""

    settings: Any = None

    def __init__(self, **overrides: Any) -> None:
        asked = {
            'charge_states': [0, 1, 2],
            'training_sets': {'single': True, 'mixed': True, 'leave_one_out': True},
            'reference': {'replicas': 2},
            **overrides,
        }
        self.settings = BenchmarkSettings.from_dict(benchmark_settings('fast', asked))
        self.ctx = Context()
        self.inputs = Context(codes=Context(reference='code'))
        names = ('ERROR_NO_REFERENCE', 'ERROR_NO_TRAINING_SET', 'ERROR_LABELS_NOT_USABLE')
        self.exit_codes = SimpleNamespace(**{name: f'{name}: {{failures}}' for name in names})
        self.submitted: list[str] = []
        self.inputs_of: dict[str, dict[str, Any]] = {}
        self.called: dict[str, dict[str, Any]] = {}
        self.given: dict[str, Any] = {}
        self.refused: dict[Any, Exception] = {}
        for label, replica in self.settings.reference_runs():
            key = f'{label}_{replica:02d}'
            self.ctx[f'reference_md_{key}'] = child(trajectory=f'trajectory_{key}')
            self.ctx[f'labelling_{key}'] = child(dataset=SimpleNamespace(n_frames=160), rejected={})
            self.ctx[f'reference_analysis_{key}'] = child(profiles=f'profiles_{key}')

    def submit(self, _: Any, **inputs: Any) -> str:
        name: str = inputs['metadata']['call_link_label']
        self.submitted.append(name)
        self.inputs_of[name] = inputs
        return name

    def call_once(self, function: Any, call_link_label: str, **inputs: Any) -> Any:
        if function in self.refused:
            raise self.refused[function]
        self.called[call_link_label] = inputs
        return SimpleNamespace(n_frames=160, elements=['Au'])

    def out(self, name: str, node: Any) -> None:
        self.given[name] = node

    def report(self, _: str) -> None:
        pass


@pytest.fixture(autouse=True)
def no_processes(monkeypatch):
    """Wait for names instead of processes."""
    monkeypatch.setattr(module, 'ToContext', dict)
    monkeypatch.setattr(assessments, 'ToContext', dict)


EVERY_SET = {'mixed', *(f'{kind}_{state}' for kind in ('single', 'without') for state in range(3))}
LOST = 'reference run 1Na_02, which is left out (Child<7>, exit status 451: the reason)'


def test_lost_reference_run_costs_itself_only():
    benchmark = Benchmark()
    benchmark.ctx.reference_md_1Na_02 = child(451)
    benchmark.label_frames()
    assert benchmark.failures == [LOST]
    kept = ['0_01', '0_02', '1Na_01', '2Na_01', '2Na_02']
    expected = [f'{part}_{key}' for key in kept for part in ('labelling', 'reference_analysis')]
    assert benchmark.submitted == expected


def test_nothing_is_labelled_without_any_reference_run():
    benchmark = Benchmark()
    for label, replica in benchmark.settings.reference_runs():
        benchmark.ctx[f'reference_md_{label}_{replica:02d}'] = child(451)
    assert benchmark.label_frames().startswith('ERROR_NO_REFERENCE: reference run 0_01, which is left out (')
    assert len(benchmark.failures) == 6
    assert benchmark.submitted == []


def test_frames_that_cannot_be_chosen_cost_the_labels_of_their_run():
    benchmark = Benchmark()
    benchmark.refused[module.select_frames] = ValueError('160 frames are asked for out of 12')
    benchmark.label_frames()
    assert benchmark.failures[0] == 'choice of frames of 0_01 (160 frames are asked for out of 12)'
    assert benchmark.submitted[0] == 'reference_analysis_0_01'


def test_runs_start_from_another_replica_where_one_was_lost():
    benchmark = Benchmark()
    benchmark.ctx.reference_md_1Na_02 = child(451)
    assert benchmark._reference_trajectory('1Na', 1) == 'trajectory_1Na_01'
    assert benchmark._reference_trajectory('1Na', 2) == 'trajectory_1Na_01'
    benchmark.ctx.reference_md_1Na_01 = child(451)
    assert benchmark.reference_run('1Na', 1) is None


def test_all_labels_of_an_undisturbed_study_are_joined_and_split():
    benchmark = Benchmark()
    assert benchmark.assemble_dataset() is None
    assert benchmark.failures == []
    runs = [f'{label}_{replica:02d}' for label, replica in benchmark.settings.reference_runs()]
    assert list(benchmark.called['join_datasets']) == [f'dataset_{key}' for key in runs]
    assert set(benchmark.ctx.splits) == EVERY_SET
    assert set(benchmark.called['fit_atomic_energies']) == {'dataset', 'mixed', 'single_0', 'single_1', 'single_2'}
    assert len(benchmark._models()) == len(list(benchmark.settings.models()))


def test_lost_labelling_is_left_out_and_its_profile_kept():
    benchmark = Benchmark()
    benchmark.ctx.labelling_1Na_02 = child(520, rejected='rejected')
    assert benchmark.assemble_dataset() is None
    assert benchmark.failures == ['labelling of 1Na_02, which is left out (Child<7>, exit status 520: the reason)']
    assert 'dataset_1Na_02' not in benchmark.called['join_datasets']
    assert {'rejected.1Na_02', 'profiles.reference_1Na_02'} <= set(benchmark.given)
    assert set(benchmark.ctx.splits) == EVERY_SET


def test_charge_state_without_labels_takes_its_training_sets_with_it():
    benchmark = Benchmark()
    benchmark.ctx.labelling_1Na_01 = child(520)
    del benchmark.ctx['labelling_1Na_02']  # its reference run was lost
    assert benchmark.assemble_dataset() is None
    lost = 'charge state 1Na, which is left out (0 labels, 49 are needed)'
    sets = ('mixed', 'single_1', 'without_0', 'without_2')
    of_sets = [f'training set {name}, which is left out (there are no labels at 1Na)' for name in sets]
    assert sorted(benchmark.failures[1:]) == sorted([lost, *of_sets])
    assert set(benchmark.ctx.splits) == {'single_0', 'single_2', 'without_1'}
    assert {model.training_set for model in benchmark._models()} == {'single_0', 'single_2', 'without_1'}


def test_training_set_that_cannot_be_filled_is_left_out_with_its_reason():
    benchmark = Benchmark()
    whole = benchmark.call_once

    def call(function: Any, label: str, **inputs: Any) -> Any:
        if label == 'split_single_2':
            raise SplitError('96 training frames are asked for, there are 80')
        return whole(function, label, **inputs)

    benchmark.call_once = call
    assert benchmark.assemble_dataset() is None
    reason = '96 training frames are asked for, there are 80'
    assert benchmark.failures == [f'training set single_2, which is left out ({reason})']
    assert set(benchmark.ctx.splits) == EVERY_SET - {'single_2'}


@pytest.mark.parametrize(
    ('function', 'name', 'what'),
    [
        (module.split_dataset, 'ERROR_NO_TRAINING_SET', 'training set'),
        (module.join_datasets, 'ERROR_LABELS_NOT_USABLE', 'joining of the labels (the reason)'),
        (module.fit_atomic_energies, 'ERROR_LABELS_NOT_USABLE', 'fit of the atomic energies (the reason)'),
    ],
)
def test_study_that_cannot_go_on_ends_with_an_exit_code(function, name, what):
    benchmark = Benchmark()
    benchmark.refused[function] = ValueError('the reason')
    assert benchmark.assemble_dataset().startswith(f'{name}: {what}')


def test_study_without_any_labels_ends_with_an_exit_code():
    benchmark = Benchmark(charge_states=[0], training_sets={'single': True}, reference={'replicas': 1})
    benchmark.ctx.labelling_0_01 = child(520)
    message = benchmark.assemble_dataset()
    assert message.startswith('ERROR_NO_REFERENCE: labelling of 0_01, which is left out (')


def test_labels_too_few_for_the_blocks_are_left_out():
    benchmark = Benchmark()
    benchmark.ctx.labelling_0_02 = child(700, dataset=SimpleNamespace(n_frames=9), rejected={})
    benchmark.assemble_dataset()
    assert benchmark.failures == ['labels of 0_02, which are left out (9 frames for 10 blocks)']


def test_smaller_sets_that_cannot_be_cut_leave_the_whole_one():
    benchmark = Benchmark(set_sizes=[24, 96])
    benchmark.refused[module.nested_training_sets] = ValueError('the reason')
    benchmark.assemble_dataset()
    assert set(benchmark.ctx.splits) == {f'{name}_size_96' for name in EVERY_SET}
    assert benchmark.failures[0] == 'smaller training sets of single_0, which are left out (the reason)'


def test_leave_one_out_models_are_run_at_the_state_that_they_left_out():
    benchmark = Benchmark()
    models = {model.key: model for model in benchmark.settings.models()}
    assert set(benchmark._run_inputs(models['mace_without_1_seed_01'])['structures']) == {'0', '1Na', '2Na'}
    assert set(benchmark._run_inputs(models['mace_single_1_seed_01'])['structures']) == {'1Na'}


def test_further_runs_are_there_too():
    benchmark = Benchmark(production={'replicas': 2})
    models = {model.key: model for model in benchmark.settings.models()}
    further = benchmark._run_inputs(models['mace_without_1_seed_01'])['further_structures']
    assert set(further) == {'0_replica_02', '1Na_replica_02', '2Na_replica_02'}


def test_state_without_any_reference_run_is_not_run():
    benchmark = Benchmark()
    benchmark.ctx.reference_md_1Na_01 = benchmark.ctx.reference_md_1Na_02 = child(451)
    models = {model.key: model for model in benchmark.settings.models()}
    assert set(benchmark._run_inputs(models['mace_without_1_seed_01'])['structures']) == {'0', '2Na'}


@pytest.fixture
def with_given():
    """Return a benchmark with labels, to which a potential is given."""
    benchmark = Benchmark(analyses={'run_quality': {}})
    benchmark.assemble_dataset()
    potential = SimpleNamespace(architecture='mace')
    benchmark.inputs.given_potentials = {'foundation': potential}
    benchmark.inputs.codes = Context(
        {'reference': 'code', 'mace': 'code', 'deep_potential': 'code', 'foundation': 'its'}
    )
    benchmark._submit_model = lambda _: None  # those that are trained
    return benchmark


def test_given_potential_is_tested_on_the_same_frames_and_run_at_every_state(with_given):
    with_given.assess_potentials()
    assert with_given.submitted == ['foundation_given_seed_01']
    inputs = with_given.inputs_of['foundation_given_seed_01']
    tested = inputs['evaluation']
    assert (tested['code'], tested['dataset']) == ('its', with_given.ctx.dataset)
    assert tested['split'] in with_given.ctx.splits.values()
    assert set(inputs['structures']) == {'0', '1Na', '2Na'}
    assert inputs['md_settings'].get_dict() == {**with_given.settings.production.md, 'seed': 1}
    assert inputs['engine'].value == 'ase'
    assert list(inputs['analyses']) == list(with_given.settings.analyses)


def test_given_potential_is_assessed_once(with_given):
    with_given.assess_potentials()
    assert not with_given.has_models_left()


def test_results_of_a_given_potential_have_tags_of_their_own(with_given):
    assessed = child(potential='potential', errors='errors', profiles={'0': 'profiles'})
    with_given.ctx['foundation_given_seed_01'] = assessed
    with_given.collect_assessments()
    key = 'foundation_given_seed_01_at_0'
    assert with_given.ctx.tags[key]['training_set'] == 'given'
    assert with_given.given[f'profiles.{key}'] == 'profiles'
    assert with_given.given['errors.foundation_given_seed_01'] == 'errors'


def test_without_given_potentials_the_models_are_those_of_before():
    benchmark = Benchmark()
    benchmark.assemble_dataset()
    assert [model.key for model in benchmark._models()] == [model.key for model in benchmark.settings.models()]
