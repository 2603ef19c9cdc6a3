"""Regions of atoms."""

from __future__ import annotations

import numpy as np

from aiida_edl.science.analysis.atom_regions import REGIONS, atom_regions
from aiida_edl.science.frames import Frame, FrameSet

from . import synthetic

UP = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])


def names(frames: FrameSet) -> list[str]:
    return [REGIONS[index] for index in atom_regions(frames)]


def two_waters(is_film: bool = True) -> Frame:
    oxygen = np.array([[6.0, 6.0, synthetic.TOP + 3.5], [6.0, 6.0, synthetic.TOP + 8.0]])
    return synthetic.frame(oxygen, UP, np.array([[2.0, 2.0, 9.0]]), is_film)


def test_every_atom_has_its_region():
    # The hydrogen of the first water lies above 4 Å, but belongs to an oxygen below.
    expected = ['metal'] * 27 + ['first_layer'] * 3 + ['bulk'] * 3 + ['ion']
    assert names(FrameSet.from_frames([two_waters()])) == expected


def test_bound_of_the_first_layer_can_be_chosen():
    assert (
        np.count_nonzero(atom_regions(FrameSet.from_frames([two_waters()]), 3.0) == REGIONS.index('first_layer')) == 0
    )


def test_compositions_may_differ():
    slab = synthetic.frame(np.zeros((0, 3)), np.zeros((0, 3)))
    water = Frame(np.array([8, 1, 1], dtype=np.uint8), two_waters().positions[27:30], slab.cell, slab.pbc)
    result = names(FrameSet.from_frames([slab, water, two_waters()]))
    assert result[:30] == ['metal'] * 27 + ['bulk'] * 3
    assert result[30:].count('first_layer') == 3


def test_slab_may_have_its_vacuum_without_a_third_vector():
    frame = two_waters()
    cell = np.diag([synthetic.WIDTH, synthetic.WIDTH, 0.0])
    assert (
        names(FrameSet.from_frames([Frame(frame.numbers, frame.positions, cell, frame.pbc)])).count('first_layer') == 3
    )
