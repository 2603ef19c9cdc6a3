"""Scalars of frames by name."""

from __future__ import annotations

import re

import numpy as np
import pytest
from frame_cases import frame_set, interface_frame, permuted

from aiida_edl.science.frame_columns import charge_classes, charge_columns, column_of, composition_counts

FRAMES = frame_set(interface_frame(0), interface_frame(1, n_ions=2), permuted(interface_frame(2), 0))


def test_counts_of_elements():
    counts, numbers = composition_counts(FRAMES)
    assert numbers.tolist() == [1, 8, 11, 79]
    assert counts.tolist() == [[6, 3, 0, 8], [6, 3, 2, 8], [6, 3, 0, 8]]


@pytest.mark.parametrize(
    ('name', 'values'),
    [
        ('charge_state', [0, 2, 0]),
        ('n_atoms', [17, 19, 17]),
        ('composition', ['H6O3Au8', 'H6O3Na2Au8', 'H6O3Au8']),
    ],
)
def test_what_follows_from_the_atoms(name, values):
    assert column_of(FRAMES, name).tolist() == values


def test_stored_column_goes_before_the_atoms():
    assert column_of(FRAMES.with_columns(charge_state=5), 'charge_state').tolist() == [5, 5, 5]


def test_unknown_column_is_answered_with_the_nearest():
    message = (
        "unknown column 'temprature': did you mean 'temperature'? Known: charge_state, composition, n_atoms, "
        'temperature.'
    )
    with pytest.raises(ValueError, match=f'^{re.escape(message)}$'):
        column_of(FRAMES.with_columns(temperature=300.0), 'temprature')


def test_columns_of_charges_by_their_names():
    names = ('total_charge', 'bias_charge', 'charge_state', 'recharged', 'n_electrons', 'NELECT', 'charge', 'selected')
    frames = FRAMES.with_columns(**dict.fromkeys(names, 0.0))
    assert charge_columns(frames) == (
        'NELECT',
        'bias_charge',
        'charge',
        'charge_state',
        'n_electrons',
        'total_charge',
    )


def test_classes_are_of_one_composition_and_charge():
    frames = FRAMES.with_columns(total_charge=np.array([0.0, 0.0, 1e-9]))
    assert charge_classes(frames).tolist() == [0, 1, 0]
    assert len(set(charge_classes(frames.with_columns(total_charge=np.arange(3.0))).tolist())) == 3
