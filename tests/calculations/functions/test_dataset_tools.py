"""Tools for data sets: what they keep, and that equal inputs are not computed twice."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching
from aiida.orm import ArrayData, Dict, Float, List
from frame_cases import frame_set, interface_frame, labelled

from aiida_edl.calculations.functions.check_split import check_split
from aiida_edl.calculations.functions.deduplicate_dataset import deduplicate_dataset
from aiida_edl.calculations.functions.fit_atomic_energies import fit_atomic_energies
from aiida_edl.calculations.functions.frames_of_elements import frames_of_elements
from aiida_edl.calculations.functions.join_datasets import join_datasets
from aiida_edl.calculations.functions.select_frames import select_frames
from aiida_edl.calculations.functions.split_dataset import split_dataset
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.selection import SelectionError

pytestmark = pytest.mark.usefixtures('aiida_profile')


def interface_set(n_geometries: int = 6, **arguments: object) -> DatasetData:
    """Return geometries without ions and with two, and an attribute of the whole set."""
    frames = frame_set(*(interface_frame(seed, n_ions) for n_ions in (0, 2) for seed in range(n_geometries)))
    frames = labelled(frames, -100.0 - 0.01 * np.arange(2 * n_geometries))
    given = {'level_of_theory': 'RPBE-D3', 'attributes': {'temperature': 330.0}, **arguments}
    return DatasetData.from_frames(frames, **given)


CASES = {
    'select': (select_frames, {'n_frames': 3, 'method': 'coverage', 'seed': 1}),
    'split': (split_dataset, {'method': 'groups', 'n_test': 4, 'seed': 1}),
    'deduplicate': (deduplicate_dataset, {'threshold': 0.01}),
}


@pytest.mark.parametrize('name', CASES)
def test_equal_inputs_come_from_the_cache_and_other_seeds_do_not(name):
    function, values = CASES[name]
    dataset = interface_set().store()
    with enable_caching():
        nodes = [run_get_node(function, dataset=dataset, settings=Dict(given))[1] for given in (values, values)]
        other = run_get_node(
            function, dataset=dataset, settings=Dict({**values, 'threshold' if name == 'deduplicate' else 'seed': 2})
        )[1]
    assert nodes[1].base.caching.get_cache_source() == nodes[0].uuid
    assert not other.base.caching.is_created_from_cache


def test_what_describes_a_set_describes_its_part():
    source = interface_set(origin='made by hand', n_wet_sides=2, in_single_precision=True).store()
    settings = Dict(
        {'n_frames': 4, 'method': 'evenly_spaced', 'seed': 0, 'keep_labels': True, 'columns': {'group': 'a'}}
    )
    chosen = select_frames(source, settings)
    kept = {key: chosen.base.attributes.get(key) for key in ('level_of_theory', 'origin', 'n_wet_sides', 'precision')}
    assert kept == {'level_of_theory': 'RPBE-D3', 'origin': 'made by hand', 'n_wet_sides': 2, 'precision': 'float32'}
    assert chosen.base.attributes.get('temperature') == 330.0
    assert chosen.frames().columns['group'].tolist() == ['a'] * 4
    assert chosen.frames().columns['source_index'].tolist() == [0, 4, 7, 11]


def test_index_in_the_first_source_is_kept():
    settings = {'method': 'evenly_spaced', 'seed': 0, 'keep_labels': True}
    first = select_frames(interface_set(), Dict({**settings, 'n_frames': 4}))
    assert select_frames(first, Dict({**settings, 'n_frames': 2})).frames().columns['source_index'].tolist() == [0, 11]


def test_deviations_of_some_frames_are_put_in_their_places():
    deviations = ArrayData(
        {
            'max_force_deviation': np.array([0.1, 0.9, 0.5]),
            'frame_indices': np.array([7, 2, 4]),
            'n_members': np.ones(3),
        }
    )
    settings = Dict({'n_frames': 2, 'method': 'largest_deviation', 'seed': 0})
    chosen = select_frames(interface_set(), settings, deviations)
    assert chosen.frames().columns['source_index'].tolist() == [2, 4]


def test_unknown_array_of_deviations_is_answered_with_the_nearest():
    deviations = ArrayData({'max_force_deviation': np.ones(12), 'energy_deviation': np.ones(12)})
    settings = Dict({'n_frames': 2, 'method': 'largest_deviation', 'deviation': 'energy_deviations'})
    message = "unknown array 'energy_deviations': did you mean 'energy_deviation'?"
    with pytest.raises(SelectionError, match=message.replace('?', r'\?')):
        select_frames(interface_set(), settings, deviations)


def test_deviations_of_another_set_are_refused():
    deviations = ArrayData({'max_force_deviation': np.ones(3), 'frame_indices': np.array([0, 1, 12])})
    message = '^the deviations are of frames up to 12, the set has 12; give those of this set$'
    with pytest.raises(SelectionError, match=message):
        select_frames(interface_set(), Dict({'n_frames': 2, 'method': 'largest_deviation'}), deviations)


def test_given_descriptors_are_used():
    points = np.zeros((12, 1))
    points[7] = 1.0
    settings = Dict({'n_frames': 2, 'method': 'farthest_point', 'seed': 0})
    chosen = select_frames(interface_set(), settings, descriptors=ArrayData({'descriptors': points}))
    assert 7 in chosen.frames().columns['source_index']


def test_removed_frames_of_a_set_without_labels_have_no_energies():
    frames = interface_set().frames().without_labels()
    node = DatasetData.from_frames(frames.select([0, 0, 1]))
    removed = deduplicate_dataset(node, Dict({'threshold': 0.01}))['removed']
    assert sorted(removed.get_arraynames()) == ['distances', 'duplicate_of', 'removed']
    assert removed.base.attributes.get('n_removed') == 1


def test_set_without_duplicates_stays_as_it_is():
    result = deduplicate_dataset(interface_set(), Dict({'threshold': 0.01}))
    assert result['dataset'].n_frames == 12
    assert result['removed'].get_array('removed').tolist() == []


def test_split_records_how_it_was_made():
    split = split_dataset(interface_set(), Dict({'method': 'leave_one_out', 'left_out': 2, 'seed': 4}))
    recorded = {key: split.base.attributes.get(key) for key in ('method', 'left_out', 'seed', 'n_duplicates_in_test')}
    assert recorded == {'method': 'leave_one_out', 'left_out': 2, 'seed': 4, 'n_duplicates_in_test': 0}


def test_report_of_leaks_names_the_frames():
    dataset = interface_set(origin='a')
    split = ArrayData({'training': np.arange(6), 'validation': np.array([], dtype=int), 'test': np.array([6, 8])})
    report = check_split(dataset, split, Float(0.01)).get_dict()
    assert (report['n_near_duplicates'], report['n_duplicates'], report['has_leak']) == (2, 0, True)
    assert [(pair['test'], pair['training']) for pair in report['near_duplicates']] == [(6, 0), (8, 2)]
    assert (report['nearest_geometry'], report['nearest_time']) == (None, None)


def test_joined_set_records_in_what_its_parts_differ():
    one, other = interface_set(), interface_set(level_of_theory='PBE', n_wet_sides=2)
    joined = join_datasets(accepted_differences=List(['level_of_theory', 'n_wet_sides']), a=one, b=other)
    attributes = joined.base.attributes.all
    assert attributes['level_of_theory'] == 'RPBE-D3 | PBE'
    assert attributes['differences'] == ['level_of_theory', 'n_wet_sides']
    assert [part['level_of_theory'] for part in attributes['parts']] == ['RPBE-D3', 'PBE']
    states = [(s['label'], s['n_wet_sides'], s['surface_charge_e_per_angstrom2']) for s in attributes['charge_states']]
    assert states == [
        ('0', 1, pytest.approx(0.0)),
        ('2Na', 1, pytest.approx(-2.0 / 81.0)),
        ('0', 2, pytest.approx(0.0)),
        ('2Na', 2, pytest.approx(-1.0 / 81.0)),
    ]
    assert joined.frames().columns['joined_part'].tolist() == [0] * 12 + [1] * 12


def test_joined_set_of_one_meaning_has_no_record():
    joined = join_datasets(a=interface_set(), b=interface_set())
    assert 'differences' not in joined.base.attributes.all
    assert joined.base.attributes.get('temperature') == 330.0


def test_atomic_energies_are_not_fitted_to_two_levels_of_theory_unless_accepted():
    accepted = List(['level_of_theory'])
    joined = join_datasets(accepted_differences=accepted, a=interface_set(), b=interface_set(level_of_theory='PBE'))
    message = (
        'the data set joins parts that differ in level_of_theory, one set of atomic energies belongs to one of them; '
        "fit each part, or accept 'level_of_theory'"
    )
    with pytest.raises(ValueError, match=f'^{message}$'):
        fit_atomic_energies(joined)
    assert set(fit_atomic_energies(joined, accepted).get_dict()) == {'H', 'O', 'Na', 'Au'}


def test_frames_of_some_elements_are_those_that_hold_no_other():
    chosen = frames_of_elements(interface_set(2), List(['H', 'O', 'Au']))
    assert chosen.frames().columns['source_index'].tolist() == [0, 1]


def test_no_frame_of_some_elements_is_refused():
    with pytest.raises(ValueError, match='none of the 2 frames, of H, O, Na, Au, holds Li alone; give frames of'):
        frames_of_elements(interface_set(1), List(['Li']))
