"""Sets of frames that mean the same are joined, others refused."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from frame_cases import frame_set, interface_frame, labelled

from aiida_edl.science.merging import MergeError, NamedFrames, merge


def named(name: str, first: int = 0, zero: float = 0.0, **changes: object) -> NamedFrames:
    """Return three labelled frames of one composition, some 0.01 eV/atom apart."""
    frames = labelled(frame_set(*(interface_frame(first + k) for k in range(3))), zero - 1000.0 + 0.17 * np.arange(3))
    given = NamedFrames(name, frames.with_columns(time=1.0), level_of_theory='RPBE-D3')
    return replace(given, **changes)


def test_sets_of_one_meaning_are_laid_end_to_end():
    one, other = named('a'), named('b', first=5)
    merged = merge([one, other])
    np.testing.assert_array_equal(merged.frames.energies, np.concatenate([one.frames.energies, other.frames.energies]))
    assert (merged.differences, merged.dropped) == ((), ())
    assert list(merged.frames.columns) == ['time']


CASES = {
    'level_of_theory': (
        {'level_of_theory': 'PBE'},
        "data sets of different levels of theory cannot be joined: 'a' and 'b' have 'RPBE-D3' and 'PBE'; relabel one "
        "of them, or accept the difference 'level_of_theory'",
    ),
    'n_wet_sides': (
        {'n_wet_sides': 2},
        "data sets whose surface charges differ in meaning cannot be joined: 'a' and 'b' have 1 and 2 wet sides; keep "
        "them apart, or accept the difference 'n_wet_sides'",
    ),
    'charge_convention': (
        {'charge_convention': 'excess electrons'},
        "data sets of different charge conventions cannot be joined: 'a' and 'b' have 'neutral cells, charged by their "
        "ions' and 'excess electrons'; state the charges of both alike, or accept the difference 'charge_convention'",
    ),
    'energy_zero': (
        {'zero': 17.0},
        "data sets with different atomic energies cannot be joined: 'b' lies +1 eV/atom from what 'a' gives for "
        'H6O3Au8, geometry explains 0.5 eV/atom at most; state the energies of both from one zero, or accept the '
        "difference 'energy_zero'",
    ),
}


@pytest.mark.parametrize('name', CASES)
def test_differences_in_meaning_are_refused_unless_accepted(name):
    changes, message = CASES[name]
    parts = [named('a'), named('b', **changes)]
    with pytest.raises(MergeError, match=f'^{re.escape(message)}$'):
        merge(parts, set(CASES) - {name})
    merged = merge(parts, [name])
    assert [difference.value for difference in merged.differences] == [name]
    assert merged.frames.columns['joined_part'].tolist() == [0, 0, 0, 1, 1, 1]


def test_charge_stated_in_a_column_is_another_convention():
    charged = replace(named('b'), frames=named('b').frames.with_columns(total_charge=-1.0))
    message = "'neutral cells, charged by their ions' and 'charge of the column total_charge'"
    with pytest.raises(MergeError, match=re.escape(message)):
        merge([named('a'), charged], ['columns'])


def test_missing_labels_are_refused_unless_accepted():
    one = named('a')
    other = replace(one, name='b', frames=replace(one.frames, forces=None, stresses=np.zeros((3, 3, 3))))
    message = (
        "data sets of different labels cannot be joined: of 'a' and 'b' the first alone has forces, the second alone "
        "stresses; complete them, or accept the difference 'labels' and lose these"
    )
    with pytest.raises(MergeError, match=f'^{re.escape(message)}$'):
        merge([one, other])
    merged = merge([one, other], ['labels'])
    assert merged.dropped == ('forces', 'stresses')
    assert merged.frames.forces is None
    assert len(merged.frames.energies) == 6


def test_missing_columns_are_refused_unless_accepted():
    one = named('a')
    other = replace(one, name='b', frames=one.frames.replaced_columns({}))
    message = (
        "data sets of different columns cannot be joined: of 'a' and 'b' the first alone has time, the second alone "
        "nothing; complete them, or accept the difference 'columns' and lose these"
    )
    with pytest.raises(MergeError, match=f'^{re.escape(message)}$'):
        merge([one, other])
    merged = merge([one, other], ['columns'])
    assert (merged.dropped, dict(merged.frames.columns)) == (('time',), {})


def test_zero_of_energy_is_compared_with_any_set_of_the_same_elements():
    """The second has another composition, so the third is compared with the first."""
    other = labelled(frame_set(interface_frame(0, n_ions=2)).with_columns(time=1.0), [0.0])
    parts = [named('a'), NamedFrames('b', other, level_of_theory='RPBE-D3'), named('c', zero=40.0)]
    with pytest.raises(MergeError, match=re.escape("'c' lies +2.353 eV/atom from what 'a' gives for H6O3Au8")):
        merge(parts)


def test_zero_of_energy_of_frames_without_forces_is_not_compared():
    """Trajectories have energies of the moment alone, and join whatever happened on the way."""
    parts = [named('a'), named('b', zero=1000.0)]
    moving = [replace(part, frames=replace(part.frames, forces=None)) for part in parts]
    assert len(merge(moving).frames) == 6


def test_unknown_difference_is_answered_with_the_nearest():
    message = (
        "unknown difference 'level_of_teory': did you mean 'level_of_theory'? Known: charge_convention, columns, "
        'energy_zero, labels, level_of_theory, n_wet_sides.'
    )
    with pytest.raises(MergeError, match=f'^{re.escape(message)}$'):
        merge([named('a'), named('b')], ['level_of_teory'])
