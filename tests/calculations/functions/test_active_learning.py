"""The functions of a round of active learning, on frames made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from aiida.orm import ArrayData, Dict
from calculation_cases import dataset, labelled_frames, split

from aiida_edl.calculations.functions.collect_frames import collect_frames
from aiida_edl.calculations.functions.extend_dataset import extend_dataset
from aiida_edl.calculations.functions.learning_report import learning_report
from aiida_edl.calculations.functions.learning_round import learning_round
from aiida_edl.calculations.functions.select_candidates import select_candidates
from aiida_edl.data.dataset import DatasetData

EXTENSION = {'round': 2, 'validation_share': 0.25, 'minimum_test_distance': 0.02, 'seed': 1}
CHOICE = {'lower': 0.1, 'upper': 0.5, 'n_selected': 2, 'method': 'largest_deviation', 'seed': 1}


def trajectory(n_frames=3, seed=1, n_wet_sides=1, **columns):
    frames = labelled_frames(n_frames, seed).with_columns(time=np.arange(n_frames) * 5.0, **columns)
    return DatasetData.from_frames(frames, level_of_theory='a potential', origin='MD', n_wet_sides=n_wet_sides)


def test_frames_of_all_trajectories_carry_the_name_of_theirs_and_no_label():
    settings = Dict({'prefix': 'round_01_', 'columns': {'md_b': {'total_charge': 1.0}, 'md_a': {'total_charge': 0.0}}})
    frames = collect_frames(settings, md_b=trajectory(2), md_a=trajectory(1, step=7)).frames()
    assert frames.columns['group'].tolist() == ['round_01_md_a', 'round_01_md_b', 'round_01_md_b']
    assert frames.columns['total_charge'].tolist() == [0.0, 1.0, 1.0]
    assert sorted(frames.columns) == ['group', 'time', 'total_charge']
    assert frames.energies is None
    assert frames.forces is None


def test_trajectories_whose_surface_charges_differ_in_meaning_are_refused():
    with pytest.raises(ValueError, match=r'^trajectories with \[1, 2\] wet sides cannot be joined: their surface'):
        collect_frames(Dict({}), md_a=trajectory(), md_b=trajectory(n_wet_sides=2))


def deviations(*values):
    return ArrayData({'max_force_deviation': np.array(values)})


def test_candidates_are_chosen_and_everything_is_counted():
    """Frames 2 and 3 hold sodium, 0, 1 and 4 do not; one run has ended before its last frame."""
    settings = Dict({**CHOICE, 'planned': {'0': 4, '2Na': 2}})
    found = select_candidates(dataset(labelled_frames(5)), deviations(0.2, 0.3, 0.4, 0.05, np.nan), settings)
    selection = found['selection'].get_dict()
    assert {name: selection[name] for name in ('accurate', 'candidate', 'failed', 'n_planned', 'n_frames')} == {
        'accurate': 1,
        'candidate': 3,
        'failed': 1,
        'n_planned': 6,
        'n_frames': 5,
    }
    assert selection['by_charge_state']['0'] == {'accurate': 0, 'candidate': 2, 'failed': 1, 'planned': 4}
    assert selection['n_without_deviation'] == 1
    assert selection['accurate_share'] == 0.0
    assert selection['selected'] == [1, 2]  # one of each charge state
    columns = found['dataset'].frames().columns
    assert columns['force_deviation'].tolist() == [0.3, 0.4]
    assert columns['source_index'].tolist() == [1, 2]


def test_without_candidates_there_are_counts_alone():
    found = select_candidates(dataset(labelled_frames(2)), deviations(0.0, 0.9), Dict({**CHOICE, 'planned': {}}))
    assert list(found) == ['selection']


def test_deviations_of_other_frames_are_refused():
    with pytest.raises(ValueError, match=r'^1 deviations are given for 2 frames; give those of all frames$'):
        select_candidates(dataset(labelled_frames(2)), deviations(0.0), Dict({**CHOICE, 'planned': {}}))


def extend(frames=None, known=None, **changes):
    known = dataset() if known is None else known
    labelled = {} if frames is None else {'labelled': dataset(frames)}
    return extend_dataset(known, split(), Dict({**EXTENSION, **changes}), **labelled)


def test_at_the_beginning_all_frames_are_of_round_0():
    found = extend(round=0)
    assert found['dataset'].frames().columns['round'].tolist() == [0] * 10
    for name in ('training', 'validation', 'test'):
        assert sorted(found['split'].get_array(name)) == sorted(split().get_array(name))


def test_new_frames_come_last_and_are_shared_out_while_the_test_stays():
    beginning = extend(round=0)
    found = extend(labelled_frames(4, seed=5), known=beginning['dataset'])
    frames, parts = found['dataset'].frames(), found['split']
    assert frames.columns['round'].tolist() == [0] * 10 + [2] * 4
    np.testing.assert_array_equal(frames.positions[:80], labelled_frames().positions)
    assert parts.get_array('test').tolist() == [5, 9]
    assert len(parts.get_array('training')) == 6 + 3
    assert len(parts.get_array('validation')) == 1 + 1
    new = [index for name in ('training', 'validation') for index in parts.get_array(name).tolist() if index >= 10]
    assert sorted(new) == [10, 11, 12, 13]


def test_frames_near_a_test_frame_are_kept_but_not_used():
    near = labelled_frames().select([5, 5, 0])
    moved = near.positions + 0.001 * (np.arange(len(near.positions)) % 3 == 0)[:, None]
    found = extend(replace(near, positions=moved), known=extend(round=0)['dataset'])
    attributes = found['split'].base.attributes
    assert (attributes.get('n_added'), attributes.get('n_near_test')) == (3, 2)
    assert attributes.get('nearest_test_distance') > 0.1
    assert len(found['dataset'].frames()) == 13
    used = [*found['split'].get_array('training'), *found['split'].get_array('validation')]
    assert max(used) == 12
    assert not {10, 11} & set(used)


def test_what_only_one_set_carries_is_dropped_by_name():
    new = labelled_frames(3, seed=5).with_columns(time=np.arange(3.0))
    found = extend(replace(new, charges=np.zeros(len(new.positions))), known=extend(round=0)['dataset'])
    assert found['split'].base.attributes.get('dropped') == ['charges', 'group', 'time']


def test_another_level_of_theory_is_refused():
    other = DatasetData.from_frames(labelled_frames(3), level_of_theory='Morse')
    with pytest.raises(ValueError, match=r"^the new labels are by 'Morse', those of the data set by 'Lennard-Jones'; "):
        extend_dataset(dataset(), split(), Dict(EXTENSION), labelled=other)


def test_other_wet_sides_are_refused():
    other = DatasetData.from_frames(labelled_frames(3), level_of_theory='Lennard-Jones', n_wet_sides=2)
    with pytest.raises(ValueError, match=r'^the new frames have 2 wet sides, those of the data set 1: their surface'):
        extend_dataset(dataset(), split(), Dict(EXTENSION), labelled=other)


def errors(force, energy=0.01):
    return Dict({'summary': {'force_rmse_ev_per_angstrom': force, 'energy_rmse_ev_per_atom': energy}})


def test_round_without_exploration_has_its_errors_and_sizes():
    facts = Dict({'round': 3, 'wall_seconds': {'training': 2.0}})
    row = learning_round(split(), facts, seed_01=errors(0.1), seed_02=errors(0.3)).get_dict()
    assert row == {
        'round': 3,
        'wall_seconds': {'training': 2.0},
        'n_members': 2,
        'n_training': 6,
        'n_validation': 1,
        'n_test': 2,
        'test_force_rmse_ev_per_angstrom': pytest.approx(0.2),
        'test_force_rmse_ev_per_angstrom_error': pytest.approx(0.1),
        'test_energy_rmse_ev_per_atom': pytest.approx(0.01),
        'test_energy_rmse_ev_per_atom_error': pytest.approx(0.0),
    }


def test_rejected_labels_are_listed_with_their_reasons():
    rejected = Dict({'n_frames': 5, 'n_rejected': 1, 'frames': [{'frame': 3, 'reason': 'it exploded'}]})
    row = learning_round(split(), Dict({'round': 1}), rejected=rejected, seed_01=errors(None)).get_dict()
    assert (row['n_labelled'], row['n_rejected'], row['rejections']) == (4, 1, ['frame 3: it exploded'])
    assert row['test_force_rmse_ev_per_angstrom'] is None


def test_report_has_the_rounds_in_their_order_and_the_totals():
    rows = {
        f'round_{number:02d}': Dict({'round': number, 'n_labelled': 4, 'wall_seconds': {'training': 1.5}})
        for number in (10, 2, 1)
    }
    report = learning_report(Dict({'has_converged': True, 'reason': 'enough', 'failures': []}), **rows).get_dict()
    assert [row['round'] for row in report['rounds']] == [1, 2, 10]
    assert report['totals'] == {'n_labelled': 12, 'n_rejected': 0, 'wall_seconds': {'training': 4.5}}
    assert (report['has_converged'], report['reason']) == (True, 'enough')
