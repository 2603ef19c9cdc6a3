"""Strategies A and B for real: a small MACE that knows LiF crystals meets an interstitial, labelled by GFN1-xTB."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.orm import ArrayData, Dict, InstalledCode, Str
from computer_cases import local_computer
from fluoride_cases import CASE, GRADIENT_UPDATES, HYPERPARAMETERS, OPTIONS, cells, labelled, trained

from aiida_edl.provenance.fine_tuning_report import write_fine_tuning_report
from aiida_edl.workflows.fine_tuning_study import FineTuningStudyWorkChain
from aiida_edl.workflows.single_point.ase_calculator.recipes import gfn1_xtb

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CASE.missing is not None, reason=str(CASE.missing))]

TRAINED = {
    'strategy': 'labelled_frames',
    'hyperparameters': HYPERPARAMETERS,
    'gradient_updates': GRADIENT_UPDATES,
    'precision': 'float64',
    'n_frames': [8],
}
SETTINGS = {
    'protocol': 'test',
    'families': {
        'zero_shot': {'strategy': 'zero_shot', 'start': 'foundation'},
        'naive': {**TRAINED, 'start': 'foundation', 'n_frames': [4, 8]},
        'lora': {**TRAINED, 'start': 'foundation', 'fine_tuning': {'mode': 'lora'}},
        'replay': {
            **TRAINED,
            'start': 'foundation',
            'fine_tuning': {'mode': 'multihead_replay'},
            'n_replay': [8],
        },
        'scratch_mace': {**TRAINED, 'architecture': 'mace'},
        'own': {
            **{name: value for name, value in TRAINED.items() if name != 'n_frames'},
            'strategy': 'own_frames',
            'start': 'foundation',
            'rounds': {
                'exploration': {'temperatures': [600.0, 900.0]},
                'selection': {'n_selected': 8},
                'stop': {'force_error': 0.01, 'rounds': 1},
                'maximum_rounds': 1,
            },
            'exploration': {'steps': 100, 'sampling_interval': 10},
        },
    },
    'engine': 'ase',
    'runs': {'temperatures': [900.0], 'replicas': 2},
    'md': {'steps': 400, 'sampling_interval': 10, 'time_step': 1.0, 'relaxation_time': 50.0},
    'analyses': {'run_quality': {}, 'diffusion': {'mobile': 'Li'}},
    'arrhenius': {},
    'max_iterations': 1,
}


@pytest.fixture(scope='module')
def study(aiida_profile, tmp_path_factory):
    """Return the whole study."""
    computer = local_computer('fine-tuning-study-real', tmp_path_factory.mktemp('work'))
    code = InstalledCode(computer, str(CASE.python.absolute()), label='fine-tuning-study-mace').store()
    crystals = labelled(cells(24, has_interstitial=False, spread=0.08, seed=1), code)
    frames = labelled(cells(24, has_interstitial=True, spread=0.08, seed=2), code)
    split = {'training': np.arange(12), 'validation': np.arange(12, 16), 'test': np.arange(16, frames.n_frames)}
    inputs = {
        'settings': Dict(SETTINGS),
        'dataset': frames,
        'split': ArrayData(split),
        'foundations': {'foundation': trained(crystals, 12, code)},
        'replay_dataset': crystals,
        'replay_split': ArrayData({'training': np.arange(12), 'test': np.arange(16, crystals.n_frames)}),
        'structures': {'interstitial': cells(2, has_interstitial=True, spread=0.02, seed=4)},
        'codes': {'default': code},
        'options': Dict({'default': OPTIONS}),
        'labelling': {
            'engine': Str('ase_calculator'),
            'code': code,
            'model_parameters': Dict(gfn1_xtb()),
            'options': Dict(OPTIONS),
        },
    }
    return run_get_node(FineTuningStudyWorkChain, **inputs)[1]


@pytest.fixture
def rows(study):
    assert study.exit_status in (0, 700), study.exit_message
    return {row['model']: row for row in study.outputs.comparison['models']}


def test_every_model_is_trained_tested_and_run(rows, study):
    assert sorted(rows) == [
        'lora_n_00008_seed_01',
        'naive_n_00004_seed_01',
        'naive_n_00008_seed_01',
        'own_round_01_seed_01',
        'replay_n_00008_r_00008_seed_01',
        'scratch_mace_n_00008_seed_01',
        'zero_shot',
    ], study.exit_message
    assert all(row['test_force_rmse_ev_per_angstrom'] is not None for row in rows.values())
    assert all(row['dynamics_core_hours'] for row in rows.values())


def test_fine_tuning_brings_the_forces_nearer_to_the_labels(rows):
    as_it_is = rows['zero_shot']['test_force_rmse_ev_per_angstrom']
    assert rows['naive_n_00008_seed_01']['test_force_rmse_ev_per_angstrom'] < 0.8 * as_it_is


def test_what_was_forgotten_is_measured_of_every_model_with_a_parent(rows):
    """Whether replay forgets less is not decided by eight frames: 0.141 against 0.135 eV/Å without it."""
    for row in rows.values():
        assert (row['holdout_force_rmse_ev_per_angstrom'] is not None) == (row['start'] == 'foundation')
        assert row['holdout_energy_zero'] == ('fitted_per_element' if row['start'] == 'foundation' else None)


def test_zero_shot_model_has_forgotten_nothing(rows):
    known = [row['holdout_force_rmse_ev_per_angstrom'] for row in rows.values() if row['start'] == 'foundation']
    assert rows['zero_shot']['holdout_force_rmse_ev_per_angstrom'] == min(known)


def test_every_run_is_there_or_has_a_reason(study):
    for row in study.outputs.comparison['diffusion']:
        assert row['n_runs'] == 2
        assert row['n_excluded'] or row['reasons'] or row['is_determined']


def test_report_can_be_written(study, tmp_path):
    written = write_fine_tuning_report(study, tmp_path)
    assert (tmp_path / 'figures' / 'models.csv').exists()
    assert written.figures
