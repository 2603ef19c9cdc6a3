"""The benchmark with electrostatics beside one of its architectures, from the tuning of the sum to the queries."""

from __future__ import annotations

import sys

import pytest
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching
from aiida.orm import Computer, Dict, InstalledCode, load_computer
from benchmark_cases import small_settings
from calculation_cases import register_toy

pytest.importorskip('numba')

from aiida_edl.provenance.lineage import training_of
from aiida_edl.provenance.methods import methods_sentences
from aiida_edl.provenance.queries import (
    all_errors,
    best_force_rmse_per_architecture,
    labels_behind_potential,
    trained_potentials,
)
from aiida_edl.provenance.remedy_queries import remedies_of_study
from aiida_edl.provenance.results import collect
from aiida_edl.workflows.benchmark_parts import BenchmarkSettingsError
from aiida_edl.workflows.benchmark_settings import BenchmarkSettings
from aiida_edl.workflows.charged_interface_benchmark import ChargedInterfaceBenchmarkWorkChain

CHARGES = {'O': -0.8476, 'H': 0.4238, 'Na': 1.0}
ASKED = {'charges': CHARGES, 'balanced_by': 'Au', 'force_error': 1e-3}
KEY = 'least_squares_coulomb'


def settings_with(long_range, **overrides):
    """Return small settings with the toy architecture alone and with electrostatics beside it."""
    settings = small_settings(seeds=(1,), training_sets={'mixed': [0, 2]}, **overrides)
    plain = settings['architectures']['least_squares']
    settings['architectures'][KEY] = {**plain, 'architecture': 'least_squares', 'long_range': long_range}
    return settings


@pytest.fixture(scope='module')
def matrix(aiida_profile):
    """Return a finished benchmark; the toy architecture is registered for all tests of this file."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        register_toy(monkeypatch)
        computer = Computer('charges', 'localhost', '', 'core.local', 'core.direct', '/tmp/aiida-edl-tests/{username}')
        computer.store().set_minimum_job_poll_interval(0.0)
        computer.configure(safe_interval=0.0, use_login_shell=False)
        code = InstalledCode(load_computer('charges'), sys.executable, label='python_of_charges').store()
        codes = {'reference': code, 'least_squares': code, KEY: code}
        settings = Dict(settings_with(ASKED))
        with enable_caching():
            yield run_get_node(ChargedInterfaceBenchmarkWorkChain, settings=settings, codes=codes).node


def test_all_models_are_trained_tested_and_run(matrix):
    assert (matrix.exit_status, matrix.exit_message) == (0, None)
    models = [f'{key}_mixed_seed_01' for key in ('least_squares', KEY)]
    assert sorted(matrix.outputs.potentials) == sorted(matrix.outputs.errors) == sorted(models)


def test_potentials_have_the_sum_that_was_tuned_for_them(matrix):
    long_range = matrix.outputs.potentials[f'{KEY}_mixed_seed_01'].long_range
    assert long_range['charges'] == CHARGES
    (tuning,) = (child for child in matrix.called if child.process_label == 'tune_long_range')
    assert tuning.outputs.long_range.get_dict() == long_range
    assert 1e-3 / 3.0 < tuning.outputs.tuning['error'] <= 1e-3
    assert matrix.outputs.potentials['least_squares_mixed_seed_01'].long_range is None


def test_atomic_energies_are_those_of_what_is_learnt(matrix):
    found = {}
    for key in ('least_squares', KEY):
        potential = matrix.outputs.potentials[f'{key}_mixed_seed_01']
        found[key] = training_of(potential).inputs.atomic_energies.get_dict()
    # Neutral water has -9 eV of its charges: the labels without them lie as much higher.
    waters = {key: values['O'] + 2.0 * values['H'] for key, values in found.items()}
    assert waters[KEY] - waters['least_squares'] > 5.0


def test_errors_are_those_of_the_whole(matrix):
    rows = all_errors(matrix)
    assert {row['potential'] for row in rows} == {node.uuid for node in matrix.outputs.potentials.values()}


def test_best_models_with_and_without_electrostatics_stand_apart(matrix):
    rows = best_force_rmse_per_architecture(matrix)
    found = {(row['architecture'], row['remedy'], row['training_set'], row['charge_state']) for row in rows}
    assert {('least_squares', remedy, 'mixed', 'all') for remedy in ('plain', 'long_range')} <= found


def test_queries_follow_the_whole_back_to_its_training(matrix):
    rows = {row.potential: row for row in trained_potentials(matrix)}
    assert set(rows) == {node.uuid for node in matrix.outputs.potentials.values()}
    whole = matrix.outputs.potentials[f'{KEY}_mixed_seed_01']
    assert rows[whole.uuid].level_of_theory == matrix.outputs.dataset.level_of_theory
    assert training_of(whole).uuid == rows[whole.uuid].training
    labels = labels_behind_potential(whole)
    assert [(row.charge_state, row.n_training) for row in labels] == [('0', 4), ('2Na', 4)]
    assert all(row.labelling for row in labels)


def test_report_tells_both_kinds_of_models_apart_and_says_what_was_done(matrix):
    results = collect(matrix)
    assert {row.architecture for row in results.potentials} == {'least_squares', KEY}
    assert {row.architecture for row, _ in results.learning_curves} == {'least_squares', KEY}
    assert {row['architecture'] for row in results.errors} == {'least_squares', KEY}
    assert {run.tag.architecture for run in results.profiles if not run.tag.is_reference} == {'least_squares', KEY}
    expected = (
        'The Coulomb energy of fixed charges (O -0.8476 e, H +0.4238 e, Na +1 e; Au carries what makes a frame '
        f'neutral) was taken off the labels of {KEY} and added to its potentials, summed by P3M to a force error of '
        '0.001 eV/Å.'
    )
    assert expected in methods_sentences(results, {})


def test_electrostatics_is_a_remedy(matrix):
    comparison = remedies_of_study(matrix)
    assert {row.remedy for row in comparison.rows} == {'plain', 'long_range'}


def test_runs_use_the_whole(matrix):
    whole = matrix.outputs.potentials[f'{KEY}_mixed_seed_01']
    runs = [child for child in matrix.called_descendants if child.process_label == 'MolecularDynamicsCalculation']
    used = {run.inputs.potential.uuid for run in runs if 'potential' in run.inputs}
    assert used == {node.uuid for node in matrix.outputs.potentials.values()}
    assert whole.uuid in used


@pytest.mark.parametrize(
    ('long_range', 'message'),
    [
        ({'charges': {'O': -0.8, 'H': 0.4}, 'balanced_by': 'Au'}, 'has no charge of Na; give it one, or name it in'),
        ({'charges': {**CHARGES, 'Au': 0.0}}, 'do not make neutral cells: Na is charged; name Au in balanced_by'),
        ({'charges': {**CHARGES, 'O': -0.8}, 'balanced_by': 'Pt'}, 'has no charge of Au'),
        ({'charge': CHARGES}, "did you mean 'charges'"),
        ({**ASKED, 'method': 'pme'}, "the method of long_range is 'pme', it must be one of p3m, ewald"),
        ({**ASKED, 'cutoff_radius': -1.0}, 'the cutoff_radius of long_range is -1.0 Å, it must be positive'),
    ],
)
def test_what_cannot_be_tuned_is_refused_with_the_settings(long_range, message, monkeypatch):
    register_toy(monkeypatch)
    with pytest.raises(ValueError, match=message):
        BenchmarkSettings.from_dict(settings_with(long_range))


def test_engine_that_cannot_add_charges_is_refused(monkeypatch):
    register_toy(monkeypatch)
    settings = settings_with(ASKED)
    mace = {**settings['architectures'][KEY], 'architecture': 'mace', 'engine': 'torch_sim'}
    settings['architectures'] = {'mace_coulomb': mace}
    with pytest.raises(BenchmarkSettingsError, match="which 'torch_sim' cannot add; what can: ase, lammps"):
        BenchmarkSettings.from_dict(settings)
