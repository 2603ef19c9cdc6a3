"""The node that holds frames."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from aiida.orm import QueryBuilder, load_node
from ase.data import atomic_numbers

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frames import Frame, FrameSet

pytestmark = pytest.mark.usefixtures('aiida_profile')


def make_frames(ions: tuple[int, ...] = (0, 2, 1, 2), lengths: tuple[float, ...] = (10.0,)) -> FrameSet:
    """Return labelled frames of a gold atom, a water molecule and sodium ions."""
    generator = np.random.default_rng(0)
    frames = []
    for index, count in enumerate(ions):
        numbers = [atomic_numbers[symbol] for symbol in ('Au', 'O', 'H', 'H', *['Na'] * count)]
        frames.append(
            Frame(
                numbers=np.array(numbers, dtype=np.uint8),
                positions=generator.normal(size=(len(numbers), 3)),
                cell=np.diag([lengths[index % len(lengths)], 8.0, 30.0]),
                pbc=np.array([True, True, False]),
                energy=float(index),
                forces=generator.normal(size=(len(numbers), 3)),
                columns={'charge_state': count, 'group': f'run_{index}'},
            )
        )
    return FrameSet.from_frames(frames)


def make_node(**options: object) -> DatasetData:
    """Return an unstored node."""
    return DatasetData.from_frames(make_frames(), level_of_theory='PBE-D3', **options)


def test_frames_come_back_from_the_repository():
    node = make_node().store()
    frames, expected = load_node(node.uuid).frames().to_arrays(), make_frames().to_arrays()
    assert set(frames) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(frames[name], array, err_msg=name)


@pytest.mark.parametrize('is_stored', [True, False])
@pytest.mark.parametrize('index', [0, 1, -1])
def test_one_frame_is_read_alone(is_stored, index):
    node = make_node()
    frame, expected = (node.store() if is_stored else node).frame(index), make_frames().frame(index)
    for name in ('numbers', 'positions', 'cell', 'pbc', 'forces', 'energy'):
        np.testing.assert_array_equal(getattr(frame, name), getattr(expected, name), err_msg=name)
    assert frame.columns == expected.columns


def test_one_frame_is_read_without_loading_the_arrays(monkeypatch):
    node = make_node().store()
    monkeypatch.setattr(DatasetData, 'get_array', lambda *_: pytest.fail('a whole array was loaded'))
    assert len(node.frame(1).numbers) == 6


def test_frame_out_of_range_is_refused():
    with pytest.raises(IndexError, match=r'^frame 4 of a set of 4 frames$'):
        make_node().frame(4)


def test_properties_say_what_is_inside():
    node = make_node()
    assert (node.n_frames, node.elements, node.level_of_theory) == (4, ('H', 'O', 'Na', 'Au'), 'PBE-D3')
    assert node.charge_labels == ('0', '1Na', '2Na')
    assert sorted(node.columns()) == ['charge_state', 'group']
    assert node.base.attributes.get('n_atoms') == [4, 6]
    assert node.base.attributes.get('labels') == ['energies', 'forces']


def test_charge_states_are_counted_with_their_surface_charge():
    entry = make_node().base.attributes.get('charge_states')[2]
    assert entry == {
        'label': '2Na',
        'ions': {'Na': 2},
        'metal_charge': -2.0,
        'area': 80.0,
        'area_range': [80.0, 80.0],
        'surface_charge_e_per_angstrom2': -0.025,
        'surface_charge_microcoulomb_per_cm2': pytest.approx(-40.05441585),
        'n_frames': 2,
    }


def test_surface_charge_halves_on_two_wet_sides():
    entry = make_node(n_wet_sides=2).base.attributes.get('charge_states')[2]
    assert entry['surface_charge_e_per_angstrom2'] == pytest.approx(-0.0125)


def test_cells_of_different_area_are_told():
    node = DatasetData.from_frames(make_frames((1, 1), (10.0, 12.0)), level_of_theory='PBE')
    (entry,) = node.base.attributes.get('charge_states')
    assert (entry['area'], entry['area_range']) == (88.0, [80.0, 96.0])


def test_frames_without_cell_have_no_surface_charge():
    frames = replace(make_frames(), cells=np.zeros((4, 3, 3)), pbc=np.zeros((4, 3), dtype=bool))
    entries = DatasetData.from_frames(frames, level_of_theory='PBE').store().base.attributes.get('charge_states')
    assert {entry['surface_charge_e_per_angstrom2'] for entry in entries} == {None}


def test_charge_state_can_be_queried():
    node = make_node().store()
    builder = QueryBuilder().append(DatasetData, filters={'attributes.charge_labels': {'contains': ['2Na']}})
    assert node.uuid in {found.uuid for found in builder.all(flat=True)}


def test_checksum_changes_with_any_number():
    frames = make_frames()
    forces = frames.forces.copy()
    forces[0, 0] += 1e-12
    one, same, other = (
        DatasetData.from_frames(item, level_of_theory='PBE').base.attributes.get('sha256')
        for item in (frames, make_frames(), replace(frames, forces=forces))
    )
    assert one == same
    assert one != other


def test_further_attributes_are_kept():
    assert make_node(attributes={'study': 'film'}).base.attributes.get('study') == 'film'


def test_unlabelled_frames_need_no_level_of_theory():
    node = DatasetData.from_frames(make_frames().without_labels())
    assert (node.level_of_theory, node.base.attributes.get('labels')) == ('', [])


def test_labels_need_a_level_of_theory():
    message = '^labelled frames need a level_of_theory in words, given was an empty string$'
    with pytest.raises(ValueError, match=message):
        DatasetData.from_frames(make_frames())


def test_not_finite_labels_are_refused():
    energies = make_frames().energies.copy()
    energies[1] = np.nan
    message = "array 'energies' holds 1 values that are not finite; remove those frames first"
    with pytest.raises(ValueError, match=f'^{re.escape(message)}$'):
        DatasetData.from_frames(replace(make_frames(), energies=energies), level_of_theory='PBE')


def test_empty_set_is_refused():
    with pytest.raises(ValueError, match=r'^a data set needs at least one frame, none was given$'):
        DatasetData.from_frames(make_frames().select([]), level_of_theory='PBE')


def test_ten_thousand_frames_cost_no_loop():
    """Attributes of 10,000 frames are made in a fraction of what a loop over frames takes (several seconds)."""
    import time

    n_frames, n_atoms = 10_000, 10
    frames = FrameSet(
        numbers=np.tile(np.array([79, 11] + [1] * 8, dtype=np.uint8), n_frames),
        positions=np.zeros((n_frames * n_atoms, 3)),
        offsets=n_atoms * np.arange(n_frames + 1),
        cells=np.random.default_rng(0).random((n_frames, 3, 3)),
        pbc=np.ones((n_frames, 3), dtype=bool),
    )
    start = time.process_time()
    DatasetData.from_frames(frames)
    assert time.process_time() - start < 2.0
