"""What the last step of a benchmark hands to its comparisons; no process runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from aiida.orm import ArrayData

from aiida_edl.workflows import benchmark_comparison as module
from aiida_edl.workflows.benchmark_comparison import BenchmarkComparisonMixin

pytestmark = pytest.mark.usefixtures('aiida_profile')

MODEL, REFERENCE = 'mace_mixed_seed_01_at_2Na', 'reference_2Na_01'
TAG = {'training_set': 'mixed', 'architecture': 'mace', 'seed': 1, 'charge_state': '2Na', 'is_reference': False}


class Context(dict):
    """A dictionary whose keys are attributes, as the context of a work chain."""

    __getattr__ = dict.__getitem__


class Outputs(Context):
    """Outputs by name."""


class Benchmark(BenchmarkComparisonMixin):
    """A benchmark of one model and one reference that has come to its last step."""

    inputs: Any = Context()

    def __init__(self, of_model: dict[str, Any], of_reference: dict[str, Any], asked: tuple[str, ...] = ()) -> None:
        by_label = {name: node if isinstance(node, dict) else {'2Na': node} for name, node in of_model.items()}
        assessed = SimpleNamespace(outputs=Outputs(analyses=by_label))
        analysed = SimpleNamespace(outputs=Outputs(analyses=of_reference))
        self.ctx = Context(
            tags={MODEL: TAG, REFERENCE: {**TAG, 'is_reference': True}},
            model_profiles=dict.fromkeys((MODEL, REFERENCE)),
            mace_mixed_seed_01=assessed,
            reference_analysis_2Na_01=analysed,
        )
        self.exit_codes = SimpleNamespace(WARNING_PARTS_FAILED='parts failed: {failures}')
        self.settings = SimpleNamespace(
            models=lambda: [SimpleNamespace(key='mace_mixed_seed_01', seed=1, tags=lambda: TAG)],
            reference_runs=lambda: [('2Na', 1)],
            analyses=dict.fromkeys(asked),
        )
        self.called: list[tuple[Any, dict[str, Any]]] = []
        self.given: dict[str, Any] = {}

    def call_once(self, function: Any, _: str, **inputs: Any) -> str:
        self.called.append((function, inputs))
        return 'compared'

    def out(self, name: str, node: Any) -> None:
        self.given[name] = node

    def report(self, _: str) -> None:
        pass


def test_structures_are_compared_with_their_qualities():
    benchmark = Benchmark({'interface_structure': 'a', 'run_quality': 'b'}, {'interface_structure': 'c'})
    benchmark._compare_structures()
    ((function, inputs),) = benchmark.called
    assert function is module.compare_structures
    assert inputs.pop('tags').get_dict() == {MODEL: TAG, REFERENCE: {**TAG, 'is_reference': True}}
    assert inputs == {MODEL: 'a', REFERENCE: 'c', f'quality_{MODEL}': 'b'}
    assert benchmark.given == {'structures': 'compared'}


def test_without_structures_nothing_is_compared():
    benchmark = Benchmark({'run_quality': 'b'}, {'interface_structure': 'c'})
    benchmark._compare_structures()
    assert (benchmark.called, benchmark.given) == ([], {})


def quality(is_physical: bool) -> ArrayData:
    node = ArrayData({'temperature': np.zeros(1)})
    node.base.attributes.set('is_physical', is_physical)
    return node


def test_comparison_sees_the_qualities_of_the_replicas_that_were_joined():
    fine, bad = quality(True), quality(False)
    runs = {'2Na_replica_01': fine, '2Na_replica_02': bad}
    structures = {'2Na': 'joined', '2Na_replica_01': 'one', '2Na_replica_02': 'other'}
    benchmark = Benchmark({'interface_structure': structures, 'run_quality': runs}, {})
    benchmark._compare_structures()
    ((_, inputs),) = benchmark.called
    assert inputs.pop('tags').get_dict() == {MODEL: TAG}
    assert inputs == {MODEL: 'joined', f'quality_{MODEL}_replica_01': fine}


def test_single_run_that_left_physics_is_told_of():
    bad = quality(False)
    benchmark = Benchmark({'interface_structure': 'a', 'run_quality': bad}, {})
    benchmark._compare_structures()
    assert benchmark.called[0][1][f'quality_{MODEL}'] is bad


@pytest.mark.parametrize(
    ('method', 'analysis', 'what'),
    [
        ('_compare_structures', 'interface_structure', 'comparison of structures'),
        ('_find_capacitances', 'potential_profile', 'capacitance of models'),
        ('_compare_dipoles', 'interface_dynamics', 'comparison of solvent dipoles'),
    ],
)
def test_analysis_that_no_model_has_is_a_failure_if_it_was_asked_for(method, analysis, what):
    benchmark = Benchmark({}, {}, asked=(analysis,))
    getattr(benchmark, method)()
    assert benchmark.failures == [f'{what} (no run of a model has the analysis {analysis})']
    assert benchmark.called == []


def test_solvent_dipoles_are_compared_where_dynamics_were_analysed():
    benchmark = Benchmark({'interface_dynamics': 'a', 'run_quality': 'b'}, {'interface_dynamics': 'c'})
    benchmark._compare_dipoles()
    ((function, inputs),) = benchmark.called
    assert function is module.compare_solvent_dipoles
    del inputs['tags']
    assert inputs == {MODEL: 'a', REFERENCE: 'c', f'quality_{MODEL}': 'b'}
    assert benchmark.given == {'solvent_dipoles': 'compared'}


def test_structures_that_do_not_compare_are_a_failure_of_that_part(monkeypatch):
    benchmark = Benchmark({'interface_structure': 'a'}, {'interface_structure': 'c'})

    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError('distributions end elsewhere')

    monkeypatch.setattr(benchmark, 'call_once', refuse)
    benchmark._compare_structures()
    assert benchmark.failures == ['comparison of structures (distributions end elsewhere)']
    assert benchmark.given == {}


def test_capacitances_are_found_with_qualities_by_seed_and_reference_replicas_as_one():
    benchmark = Benchmark({'potential_profile': 'a', 'run_quality': 'b'}, {'potential_profile': 'c'})
    benchmark._find_capacitances()
    ((function, inputs),) = benchmark.called
    assert function is module.capacitance
    assert inputs.pop('tags').get_dict() == {
        MODEL: {'charge_state': '2Na', 'series': 'mace, mixed, seed 1', 'group': 'mace, mixed'},
        REFERENCE: {'charge_state': '2Na', 'series': 'reference'},
    }
    assert inputs == {MODEL: 'a', REFERENCE: 'c', f'quality_{MODEL}': 'b'}


def test_survivals_count_every_run_whose_quality_is_known():
    benchmark = Benchmark({'run_quality': 'exploded'}, {'run_quality': 'of the reference'})
    benchmark.ctx['model_profiles'] = {}  # an exploded run has none
    benchmark._estimate_survivals()
    assert benchmark.called == [(module.survival_of_runs, {MODEL: 'exploded'})]
    assert benchmark.given == {'survivals.mace_mixed': 'compared'}


def test_without_qualities_no_survival_is_estimated():
    benchmark = Benchmark({'interface_structure': 'a'}, {})
    benchmark._estimate_survivals()
    assert (benchmark.called, benchmark.given) == ([], {})


COMPARISONS = {
    'answer': module.model_spread,
    'structures': module.compare_structures,
    'penalty': module.training_penalty,
    'capacitance': module.capacitance,
    'solvent_dipoles': module.compare_solvent_dipoles,
    'survivals.mace_mixed': module.survival_of_runs,
}
"""Outputs and what makes them; the ranking needs the penalty."""


@pytest.mark.parametrize('missing', COMPARISONS)
def test_comparison_that_finds_nothing_costs_its_own_output_only(monkeypatch, missing):
    """After weeks of computing, no comparison may end a benchmark."""
    names = ('interface_structure', 'potential_profile', 'interface_dynamics', 'run_quality')
    benchmark = Benchmark(dict.fromkeys(names, 'a'), dict.fromkeys(names, 'b'))
    of_model, of_reference = benchmark.ctx.mace_mixed_seed_01, benchmark.ctx.reference_analysis_2Na_01
    of_model.exit_status = of_reference.exit_status = 0
    of_model.outputs.update(errors='errors', potential='potential')
    of_reference.outputs['profiles'] = 'profiles'

    def call(function: Any, label: str, **_: Any) -> str:
        if function is COMPARISONS[missing]:
            raise ValueError('the grids differ')
        return label

    monkeypatch.setattr(benchmark, 'call_once', call)
    message = benchmark.compare_models()
    (failure,) = benchmark.failures
    assert failure.endswith('(the grids differ)')
    assert message == f'parts failed: {failure}'
    lost = {missing, 'ranking'} if missing == 'penalty' else {missing}
    assert set(benchmark.given) == {*COMPARISONS, 'ranking'} - lost


def test_reference_without_a_profile_is_not_compared(monkeypatch):
    benchmark = Benchmark({}, {})
    benchmark.ctx.reference_analysis_2Na_01.exit_status = 460
    del benchmark.ctx.tags[REFERENCE], benchmark.ctx.model_profiles[REFERENCE]
    benchmark.ctx.mace_mixed_seed_01.exit_status = 460
    benchmark.compare_models()
    ((function, inputs),) = benchmark.called
    assert function is module.model_spread
    assert set(inputs) == {'tags', MODEL}
