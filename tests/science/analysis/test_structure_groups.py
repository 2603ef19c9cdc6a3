"""Averages over models, and mixed against single training, by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aiida_edl.science.analysis.interface_structure import interface_structure
from aiida_edl.science.analysis.model_tags import ModelTag
from aiida_edl.science.analysis.structure_comparison import DistributionDeviation, ModelStructure
from aiida_edl.science.analysis.structure_groups import group_deviations, training_contrasts
from aiida_edl.science.analysis.structure_settings import StructureSettings
from aiida_edl.science.analysis.structure_tables import structure_tables

from . import synthetic


def deviation(
    training_set: str, seed: int, integral: float, noise: float = 0.1, architecture: str = 'mace'
) -> DistributionDeviation:
    tag = ModelTag(training_set, architecture, seed, '2Na')
    return DistributionDeviation(tag, 'Na-O', integral, 0.01, noise, 0.9, 0, integral**2)


def test_mixed_less_single_training():
    given = [deviation('mixed', 1, 0.9), deviation('mixed', 2, 0.5), deviation('mixed', 3, 0.7)]
    given += [deviation('single_2', 1, 0.2, 0.15), deviation('single_2', 2, 0.4, 0.25), deviation('pairs', 1, 0.3)]
    groups = {group.training_set: group for group in group_deviations(given)}
    assert groups['mixed'].error_integral == pytest.approx(0.7)
    assert groups['mixed'].error_integral_error == pytest.approx(0.2 / np.sqrt(3))
    assert groups['single_2'].excess == pytest.approx(0.1)
    assert np.isnan(groups['pairs'].error_integral_error)
    (contrast,) = training_contrasts(given)
    assert (contrast.mixed, contrast.single, contrast.n_architectures) == ('mixed', 'single_2', 1)
    assert contrast.difference == pytest.approx(0.4)
    assert contrast.difference_error == pytest.approx(np.hypot(0.2 / np.sqrt(3), 0.1))
    assert contrast.squared_difference == pytest.approx((0.81 + 0.25 + 0.49) / 3 - 0.1)


def test_training_sets_of_unlike_size_are_not_contrasted():
    names = ('mixed_size_96', 'single_2_size_96', 'single_2_size_800', 'single_2_size_48', 'single_0_size_96')
    given = [deviation(name, seed, 0.1 * seed) for name in names for seed in (1, 2)]
    other = [dataclasses.replace(item, tag=dataclasses.replace(item.tag, charge_state='0')) for item in given]
    found = {(item.charge_state, item.single, item.equal_frames.value) for item in training_contrasts(given + other)}
    assert found == {
        ('2Na', 'single_2_size_96', 'in_all'),
        ('2Na', 'single_2_size_48', 'per_state'),
        ('0', 'single_0_size_96', 'in_all'),
    }


def test_what_an_architecture_does_wrong_drops_out_of_the_contrast():
    given = [
        deviation(kind, seed, np.sqrt(level + 0.01 * seed + (0.05 if kind == 'mixed' else 0.0)), architecture=name)
        for name, level in (('mace', 0.1), ('grace', 2.0), ('deep_potential', 5.0))
        for kind in ('mixed', 'single_2')
        for seed in (1, 2, 3)
    ]
    (contrast,) = training_contrasts(given)
    assert contrast.squared_difference == pytest.approx(0.05)
    # Six means of three numbers of standard deviation 0.01, averaged over three architectures.
    assert contrast.squared_difference_error == pytest.approx(0.01 * np.sqrt(6 / 3) / 3)
    assert contrast.adjusted_p_value < 1e-4


def test_run_that_left_physics_does_not_count():
    structure = interface_structure(synthetic.film(6, seed=3), StructureSettings(pairs=('O-O',)))
    tags = [ModelTag('mixed', 'mace', seed, '2Na') for seed in (1, 2)]
    runs = [ModelStructure(tag, structure) for tag in (*tags, ModelTag('', '', 0, '2Na', is_reference=True))]
    runs[1] = ModelStructure(tags[1], structure, 'the film evaporated')
    tables = structure_tables(runs)
    assert {row['seed'] for row in tables['distributions']} == {1}
    expected = {'training_set': 'mixed', 'architecture': 'mace', 'seed': 2, 'charge_state': '2Na'}
    assert tables['excluded'] == [{**expected, 'reason': 'the film evaporated'}]


def test_models_that_all_left_physics_leave_their_reasons():
    structure = interface_structure(synthetic.film(6, seed=3), StructureSettings(pairs=('O-O',)))
    tags = ModelTag('mixed', 'mace', 1, '2Na'), ModelTag('', '', 0, '2Na', is_reference=True)
    runs = [ModelStructure(tags[0], structure, 'it melted'), ModelStructure(tags[1], structure)]
    tables = structure_tables(runs)
    assert [row['reason'] for row in tables['excluded']] == ['it melted']
    assert [name for name, rows in tables.items() if rows] == ['excluded']


def test_tables_are_json_types():
    structure = interface_structure(synthetic.film(6, seed=3), StructureSettings(pairs=('O-O', 'Na-O')))
    tags = [ModelTag(name, 'mace', 1, '2Na') for name in ('mixed', 'single_2')]
    tags += [ModelTag('mixed', 'mace', 1, '4Na'), ModelTag('', 'reference', 0, '2Na', is_reference=True)]
    tables = structure_tables([ModelStructure(tag, structure) for tag in tags])
    assert set(tables['distributions'][0]) == {
        'training_set', 'architecture', 'seed', 'charge_state', 'pair', 'error_integral', 'error_integral_error',
        'noise_integral', 'score', 'n_masked_bins', 'squared_deviation',
    }  # fmt: skip
    assert tables['distributions'][0]['score'] == 1.0
    assert tables['groups'][0]['error_integral_error'] is None
    assert [row['difference'] for row in tables['contrasts']] == [0.0, 0.0]
    assert tables['without_reference'] == [
        {'training_set': 'mixed', 'architecture': 'mace', 'seed': 1, 'charge_state': '4Na'}
    ]
