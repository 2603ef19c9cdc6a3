"""The charge of the metal follows from the atoms, or from columns that state it."""

from __future__ import annotations

import numpy as np
import pytest
from frame_cases import frame_set, interface_frame

from aiida_edl.science.frames import Frame
from aiida_edl.science.metal_charge import ToldChargeError, metal_charges_of, tells_charge, told_charge, told_charges


def salt(symbols: list[int]) -> Frame:
    """Return atoms in a row."""
    positions = np.arange(3.0 * len(symbols)).reshape(-1, 3)
    return Frame(np.array(symbols, dtype=np.uint8), positions, np.eye(3) * 30, np.array([True, True, False]))


def test_metal_carries_minus_the_charge_of_the_ions():
    frames = frame_set(interface_frame(1), interface_frame(2, n_ions=3), salt([79, 11, 11, 17]), salt([79, 12, 17]))
    assert metal_charges_of(frames).tolist() == [0.0, -3.0, -1.0, -1.0]


def test_charge_of_the_cell_sits_on_the_metal():
    frames = frame_set(interface_frame(1, n_ions=1), interface_frame(1, n_ions=2), total_charge=[0.25, -0.5])
    assert metal_charges_of(frames).tolist() == [-0.75, -2.5]


def test_column_of_the_metal_charge_comes_first():
    frames = frame_set(interface_frame(1, n_ions=1), metal_charge=[-0.6], total_charge=[0.25])
    assert told_charges(frames, 'metal_charge').tolist() == [-0.6]


def test_frame_tells_what_its_set_tells():
    frames = frame_set(interface_frame(1, n_ions=2), bias_charge=[0.125])
    assert told_charge(frames.frame(0), 'metal_charge') == -2.0
    assert told_charge(frames.frame(0), 'bias_charge') == 0.125


def test_other_columns_must_be_there():
    assert tells_charge((), 'metal_charge')
    assert not tells_charge(('metal_charge',), 'electrode_potential')
    frames = frame_set(interface_frame(1), bias_charge=[0.125])
    message = "^the frames lack the column 'potential' of the total charge; they have: bias_charge$"
    with pytest.raises(ToldChargeError, match=message):
        told_charges(frames, 'potential')


def test_charge_that_is_not_finite_is_refused():
    frames = frame_set(interface_frame(1), interface_frame(1), total_charge=[0.0, np.nan])
    message = "^the column 'metal_charge' is nan in frame 1, a model needs a finite charge; set it$"
    with pytest.raises(ToldChargeError, match=message):
        told_charges(frames, 'metal_charge')
