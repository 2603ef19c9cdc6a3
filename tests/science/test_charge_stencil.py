"""Charge stencils: what changes in them, what does not, and that no split parts one."""

from __future__ import annotations

import numpy as np
import pytest
from frame_cases import frame_set, interface_frame, labelled

from aiida_edl.science.charge_stencil import ChargeStencilError, StencilSettings, charge_stencil, geometry_name
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.group_splitting import GroupSplit, LeaveOneOutSplit, check_geometries
from aiida_edl.science.splitting import Split, SplitError

THREE = StencilSettings(offsets=(-0.25, 0.0, 0.25))


def geometries(n_frames: int = 6) -> FrameSet:
    """Return different geometries with none, one or two ions."""
    return frame_set(*(interface_frame(seed, n_ions=seed % 3) for seed in range(n_frames)))


def test_charges_of_a_geometry_follow_each_other():
    stencil = charge_stencil(geometries(2), THREE)
    assert stencil.columns['metal_charge'].tolist() == [-0.25, 0.0, 0.25, -1.25, -1.0, -0.75]
    assert stencil.columns['total_charge'].tolist() == [-0.25, 0.0, 0.25] * 2
    assert stencil.columns['source_index'].tolist() == [0, 0, 0, 1, 1, 1]
    assert len(set(stencil.columns['geometry'].tolist())) == 2


def test_atoms_stay_where_they_are():
    frames = geometries(2)
    stencil = charge_stencil(frames, THREE)
    for index in range(6):
        np.testing.assert_array_equal(stencil.frame(index).positions, frames.frame(index // 3).positions)


def test_labels_and_results_of_a_method_are_left_out():
    frames = labelled(geometries(2), [1.0, 2.0]).with_columns(metal_potential=0.3, group='a')
    stencil = charge_stencil(frames, THREE)
    assert (stencil.energies, stencil.forces) == (None, None)
    assert sorted(stencil.columns) == ['geometry', 'group', 'metal_charge', 'source_index', 'total_charge']


def test_stencil_is_laid_around_the_charge_that_is_stated():
    stencil = charge_stencil(geometries(2).select([1]).with_columns(metal_charge=-0.5), THREE)
    assert stencil.columns['metal_charge'].tolist() == [-0.75, -0.5, -0.25]
    assert stencil.columns['total_charge'].tolist() == [0.25, 0.5, 0.75]


def test_geometries_are_taken_evenly():
    stencil = charge_stencil(geometries(6), StencilSettings(offsets=(0.0, 0.1), n_geometries=3))
    assert sorted(set(stencil.columns['source_index'].tolist())) == [0, 2, 5]


def test_name_of_a_geometry_does_not_depend_on_the_set_it_is_in():
    frames = geometries(3)
    alone = charge_stencil(frames.select([2]), THREE).columns['geometry'][0]
    assert alone == charge_stencil(frames, THREE).columns['geometry'][-1] == geometry_name(frames.frame(2))


def test_geometry_that_occurs_twice_is_refused():
    message = '^frames 1 and 3 are one geometry; take each once, e.g. by edl.deduplicate_dataset$'
    with pytest.raises(ChargeStencilError, match=message):
        charge_stencil(geometries(3).select([0, 1, 2, 1]), THREE)


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (
            {'offsets': [0.25]},
            'offsets are [0.25] e; give at least two finite ones, none twice, e.g. [-0.25, 0, 0.25]',
        ),
        (
            {'offsets': [0.0, 0.25, 0.25]},
            'offsets are [0.0, 0.25, 0.25] e; give at least two finite ones, none twice, e.g. [-0.25, 0, 0.25]',
        ),
        ({'n_geometries': 0}, 'n_geometries is 0, it must be at least 1'),
        (
            {'offset': [0.0]},
            "unknown stencil setting 'offset': did you mean 'offsets'? Known: n_geometries, offsets.",
        ),
    ],
)
def test_settings_are_checked(values, message):
    with pytest.raises(ChargeStencilError) as caught:
        StencilSettings.from_dict(values)
    assert str(caught.value) == message


def parts_of(split: Split, names: np.ndarray) -> list[set[str]]:
    """Return the geometries of each part."""
    return [set(names[indices].tolist()) for indices in (split.training, split.validation, split.test)]


@pytest.mark.parametrize('with_column', [True, False])
@pytest.mark.parametrize('seed', range(5))
def test_no_split_by_groups_parts_a_stencil(seed, with_column):
    stencil = charge_stencil(geometries(12), THREE)
    names = stencil.columns['geometry']
    order = np.random.default_rng(seed).permutation(len(stencil))
    shuffled, names = stencil.select(order), names[order]
    if not with_column:  # geometries are then found from the positions
        shuffled = shuffled.replaced_columns({'metal_charge': shuffled.columns['metal_charge']})
    parts = parts_of(GroupSplit(n_validation=6, n_test=9, seed=seed).split(shuffled), names)
    assert [len(part) for part in parts] == [7, 2, 3]
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_leaving_one_charge_out_parts_no_stencil():
    stencil = charge_stencil(geometries(9), THREE)
    split = LeaveOneOutSplit(left_out=2, group_by='geometry', n_validation=3, seed=1).split(stencil)
    parts = parts_of(split, stencil.columns['geometry'])
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_split_that_parts_a_stencil_is_refused():
    stencil = charge_stencil(geometries(2), THREE)
    name = stencil.columns['geometry'][0]
    split = Split(training=np.array([0, 3, 4, 5]), validation=np.array([], dtype=np.int64), test=np.array([1, 2]))
    message = (
        f'^1 geometries have frames in several parts, the first is {name}: what is tested is known from its other '
        "charges; split by the method 'groups'$"
    )
    with pytest.raises(SplitError, match=message):
        check_geometries(stencil, split)
    check_geometries(stencil.replaced_columns({}), split)
