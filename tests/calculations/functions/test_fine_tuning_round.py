"""The functions of a round of a potential that finds its own frames, on frames made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from aiida.orm import Dict
from calculation_cases import dataset, labelled_frames, split

from aiida_edl.calculations.functions.extend_dataset import extend_dataset
from aiida_edl.calculations.functions.fine_tuning_round import fine_tuning_round
from aiida_edl.calculations.functions.held_out_frames import held_out_frames
from aiida_edl.calculations.functions.select_own_frames import select_own_frames

CHOICE = {
    'n_selected': 2,
    'method': 'farthest_point',
    'minimum_distance': 0.5,
    'seed': 1,
    'stratify_by': ['structure', 'temperature'],
    'n_planned': 8,
}


def found_frames(n_broken=1):
    """Return six frames of two runs, the first of which have atoms on top of each other."""
    frames = labelled_frames(6, seed=3)
    positions = frames.positions.copy()
    for index in range(n_broken):
        positions[8 * index + 1] = positions[8 * index] + [0.0, 0.0, 0.2]
    columns = {'structure': np.array(['b'] * 3 + ['a'] * 3), 'temperature': np.full(6, 300.0)}
    return dataset(replace(frames, positions=positions).with_columns(**columns))


def test_frames_are_chosen_of_each_run_and_everything_is_counted():
    found = select_own_frames(found_frames(), Dict(CHOICE), known=dataset(), split=split())
    selection = found['selection'].get_dict()
    counts = {name: selection[name] for name in ('n_planned', 'n_frames', 'n_unphysical', 'n_selected')}
    assert counts == {'n_planned': 8, 'n_frames': 6, 'n_unphysical': 1, 'n_selected': 2}
    assert selection['exclusions'] == ['frame 0: Au 0 and Au 1 are 0.2 Å apart, below 0.5 Å']
    assert selection['by_stratum'] == {
        'a, 300.0': {'n_frames': 3, 'n_unphysical': 0, 'n_selected': 1},
        'b, 300.0': {'n_frames': 3, 'n_unphysical': 1, 'n_selected': 1},
    }
    frames = found['dataset'].frames()
    assert frames.columns['source_index'].tolist() == selection['selected']
    assert frames.energies is None


def test_without_a_physical_frame_there_are_counts_alone():
    found = select_own_frames(found_frames(6), Dict(CHOICE))
    assert list(found) == ['selection']
    assert found['selection']['n_selected'] == 0


def test_held_out_frames_are_those_of_the_test_with_their_labels():
    found = held_out_frames(dataset(), split(training=[], validation=[])).frames()
    np.testing.assert_array_equal(found.forces, labelled_frames().select([5, 9]).forces)
    assert found.columns['source_index'].tolist() == [5, 9]


def test_one_of_the_first_new_frames_validates():
    settings = {'round': 1, 'validation_share': 0.1, 'minimum_test_distance': 0.02, 'seed': 1}
    empty = split(training=[], validation=[])
    new = dataset(labelled_frames(3, seed=5))
    beginning = extend_dataset(dataset(), empty, Dict({**settings, 'round': 0}))
    found = extend_dataset(beginning['dataset'], beginning['split'], Dict(settings), labelled=new)['split']
    assert [len(found.get_array(name)) for name in ('training', 'validation')] == [2, 1]


def summary(force):
    return Dict(
        {
            'summary': {
                'force_rmse_ev_per_angstrom': force,
                'force_rmse_error_ev_per_angstrom': None,
                'energy_rmse_ev_per_atom': 0.01,
                'energy_rmse_error_ev_per_atom': 0.001,
                'failed_frames': [4],
            }
        }
    )


def test_row_tells_the_own_error_from_that_on_the_test_frames():
    facts = Dict({'round': 2, 'is_retrained': True, 'wall_seconds': {'training': 2.0}})
    row = fine_tuning_round(split(), facts, own=summary(0.3), test=summary(0.2)).get_dict()
    assert row == {
        'round': 2,
        'is_retrained': True,
        'wall_seconds': {'training': 2.0},
        'n_training': 6,
        'n_validation': 1,
        'n_test': 2,
        **{
            f'{prefix}_{name}': value
            for prefix, force in (('own', 0.3), ('test', 0.2))
            for name, value in {
                'force_rmse_ev_per_angstrom': force,
                'force_rmse_error_ev_per_angstrom': None,
                'energy_rmse_ev_per_atom': 0.01,
                'energy_rmse_error_ev_per_atom': 0.001,
            }.items()
        },
        'n_own_without_prediction': 1,
        'n_test_without_prediction': 1,
    }
