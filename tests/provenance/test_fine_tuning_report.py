"""Report of a fine-tuning study from its comparison alone."""

from __future__ import annotations

import csv
from xml.etree import ElementTree as ET

import pytest
from aiida.common import LinkType
from aiida.orm import Dict, WorkChainNode
from path_cases import add_assessment

from aiida_edl.calculations.functions.fine_tuning_comparison import fine_tuning_comparison
from aiida_edl.provenance.figures_fine_tuning import draw_cost
from aiida_edl.provenance.fine_tuning_report import FineTuningReportError, write_fine_tuning_report

FAMILIES = {
    'zero_shot': ('zero_shot', 'foundation', 0),
    'naive': ('labelled_frames', 'foundation', 50),
    'own': ('own_frames', 'foundation', 50),
    'scratch_mace': ('labelled_frames', 'scratch', 50),
}

TRAINING = {'training': {'core_hours': 0.5, 'gpu_hours': 0.25, 'estimated': 0, 'without_time': 0}}
COSTS = {
    'zero_shot': {},
    'own': {
        **TRAINING,
        'labelling': {'core_hours': 32.0, 'gpu_hours': 0.0, 'estimated': 4, 'without_time': 1, 'frames': 60},
        'dynamics': {'core_hours': 2.0, 'gpu_hours': 1.0, 'estimated': 0, 'without_time': 0},
        'evaluation': {'core_hours': 7.0, 'gpu_hours': 7.0, 'estimated': 0, 'without_time': 0},
    },
}


def error(force):
    return Dict(
        {
            'summary': {
                'force_rmse_ev_per_angstrom': force,
                'force_rmse_error_ev_per_angstrom': 0.01,
                'energy_rmse_ev_per_atom': 0.004,
                'energy_rmse_error_ev_per_atom': 0.001,
            }
        }
    )


def runs(energy):
    rows = [
        {
            'temperature_kelvin': temperature,
            'n_runs': 3,
            'n_excluded': 0,
            'tracer_diffusion_angstrom2_per_fs': 1e-5 * temperature / 700.0,
            'tracer_diffusion_error_angstrom2_per_fs': 1e-6,
            'effective_hops': 120.0,
            'is_determined': True,
            'reasons': [],
            'knock_off_share': 0.8,
            'knock_off_share_error': 0.05,
        }
        for temperature in (700.0, 850.0)
    ]
    lost = ['T1000_replica_01: the framework has melted']
    rows.append({'temperature_kelvin': 1000.0, 'n_runs': 3, 'n_excluded': 3, 'exclusions': lost})
    arrhenius = {'activation_energy': energy, 'activation_energy_error': 0.01}
    costs = {'dynamics': {'core_hours': 2.0, 'gpu_hours': 0.0}}
    return Dict(
        {'temperatures': rows, 'arrhenius': arrhenius, 'excluded': {'T1000_replica_01': ['melted']}, 'costs': costs}
    )


@pytest.fixture
def comparison(aiida_profile):
    models, results, names = {}, {}, {}
    for family, (strategy, start, n_frames) in FAMILIES.items():
        for seed in (1, 2) if n_frames else (0,):
            key = f'{family}_{seed}'
            models[key] = {
                'family': family,
                'strategy': strategy,
                'start': start,
                'architecture': 'mace',
                'n_frames': n_frames,
                'n_validation': n_frames // 10,
                'n_replay': 0,
                'round_number': 0,
                'seed': seed,
                'costs': COSTS.get(family, TRAINING),
            }
            for name, node in (
                (f'errors.{key}', error(0.1 + 0.1 * seed)),
                (f'interstitial.{key}', runs(0.2 + 0.02 * seed)),
            ):
                names[name.replace('.', '_')] = name
                results[name.replace('.', '_')] = node
    facts = Dict({'models': models, 'names': names, 'systems': ['interstitial']})
    return fine_tuning_comparison(facts, **results)


@pytest.fixture
def study(comparison):
    process = WorkChainNode(label='a study').store()
    process.base.links.validate_outgoing(comparison, LinkType.RETURN, 'comparison')
    comparison.base.links.add_incoming(process, LinkType.RETURN, 'comparison')
    return process


def test_every_model_has_a_row_with_what_it_is_and_found(comparison):
    rows = {row['model']: row for row in comparison['models']}
    assert sorted(rows) == ['naive_1', 'naive_2', 'own_1', 'own_2', 'scratch_mace_1', 'scratch_mace_2', 'zero_shot_0']
    assert rows['naive_1']['test_force_rmse_ev_per_angstrom'] == 0.2
    assert rows['naive_1']['activation_energy_ev'] == 0.22
    assert rows['naive_1']['training_core_hours'] == 0.5
    assert rows['zero_shot_0']['training_core_hours'] is None
    assert rows['zero_shot_0']['holdout_force_rmse_ev_per_angstrom'] is None


def test_cost_of_a_model_is_that_of_labels_exploration_and_training(comparison):
    rows = {row['model']: row for row in comparison['models']}
    own, naive, zero_shot = rows['own_1'], rows['naive_1'], rows['zero_shot_0']
    assert (own['total_core_hours'], own['total_gpu_hours']) == (34.5, 1.25)
    assert (own['labelling_core_hours'], own['labelling_gpu_hours'], own['labelled_frames']) == (32.0, 0.0, 60)
    assert (own['exploration_gpu_hours'], own['training_gpu_hours']) == (1.0, 0.25)
    assert (own['dynamics_core_hours'], own['dynamics_gpu_hours']) == (2.0, 0.0)  # of the final runs, not in the total
    assert (own['n_jobs_estimated'], own['n_jobs_without_time']) == (4, 1)
    assert (naive['total_core_hours'], naive['labelling_core_hours']) == (0.5, None)
    assert (zero_shot['total_core_hours'], zero_shot['n_jobs_estimated']) == (None, None)


def test_figure_of_the_cost_holds_that_of_the_labels(comparison):
    (axes,) = draw_cost(comparison).axes
    points = {(line.get_xdata()[0], line.get_fillstyle()) for line in axes.lines}
    assert points == {(34.5, 'full'), (0.5, 'none')}  # hollow: their labels were given
    assert 'core-hours of labels, exploration and training' in axes.get_xlabel()


def test_point_of_the_curve_is_the_mean_over_seeds(comparison):
    (point,) = [
        row
        for row in comparison['learning_curves']
        if (row['family'], row['quantity']) == ('naive', 'activation_energy_ev')
    ]
    assert point['mean'] == pytest.approx(0.23)
    assert point['error'] == pytest.approx(0.01)  # the scatter; of the stated errors it would be 0.007
    assert point['degrees_of_freedom'] == 1
    assert point['architecture'] == 'mace'


def test_sheet_says_which_model_stands_beside_the_published_one(comparison):
    (row,) = [row for row in comparison['sheet'] if row['ours_ev'] is not None]
    assert (row['published_ev'], row['start'], row['architecture']) == (0.22, 'foundation', 'mace')
    # One model, whose fit states 0.01 eV: 0.02 eV from the published value and 0.0196 eV on each side.
    assert (row['degrees_of_freedom'], row['verdict']) == (None, 'agrees')


def test_rows_of_diffusion_have_the_same_columns(comparison):
    assert len({tuple(row) for row in comparison['diffusion']}) == 1


def test_report_has_figures_tables_and_a_text(study, tmp_path):
    written = write_fine_tuning_report(study, tmp_path)
    assert {path.stem for path in written.figures} == {'learning_curves', 'arrhenius', 'mechanism', 'cost'}
    for path in written.figures:
        if path.suffix == '.svg':
            ET.parse(path)
    with (tmp_path / 'figures' / 'models.csv').open() as handle:
        assert len(list(csv.DictReader(handle))) == 7
    text = (tmp_path / 'report.md').read_text()
    assert '![Diffusion against temperature](figures/arrhenius.svg)' in text
    assert r'| T1000\_replica\_01 | the framework has melted |' in text
    assert '- naive_1 on interstitial at 1000 K: no run counts.' in text
    assert '\n\nPoints whose error is not known are hollow' in text


def test_report_has_the_paths_of_defects_if_there_are_any(study, tmp_path):
    without = write_fine_tuning_report(study, tmp_path)
    assert not list(tmp_path.glob('figures/defect_paths*'))
    add_assessment(study, 'assessment_interstitial_naive_1', {'T0700': 2})
    written = write_fine_tuning_report(study, tmp_path)
    assert {path.name for path in {*written.figures, *written.tables} - {*without.figures, *without.tables}} == {
        'defect_paths.svg',
        'defect_paths.png',
        'defect_paths.csv',
    }
    with (tmp_path / 'figures' / 'defect_paths.csv').open() as handle:
        rows = list(csv.DictReader(handle))
    assert [(row['model'], row['replica'], row['mechanism']) for row in rows] == [
        ('naive_1', '0', ''),
        ('naive_1', '0', 'direct'),
        ('naive_1', '0', 'direct'),
        ('naive_1', '1', ''),
    ]
    text = (tmp_path / 'report.md').read_text()
    assert '![Paths of defects](figures/defect_paths.svg)' in text
    assert 'Numbers: [figures/defect_paths.csv](figures/defect_paths.csv).' in text


def test_process_without_a_comparison_is_refused(aiida_profile, tmp_path):
    process = WorkChainNode().store()
    with pytest.raises(FineTuningReportError, match='has no comparison of models'):
        write_fine_tuning_report(process, tmp_path)
