"""What no model can learn that is not told the charge: exact floors of two and three charges of one geometry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aiida_edl.science.analysis.charge_blindness import charge_blindness
from aiida_edl.science.analysis.locality_words import charge_sentence
from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.science.locality_pairs import LocalityError

THRESHOLDS = (1e-9, 1e-9)


def frames(charges=(-1.0, 1.0), energies=(-3.0, -1.0), n_geometries: int = 2) -> FrameSet:
    generator = np.random.default_rng(2)
    found = []
    for group in range(n_geometries):
        positions = generator.normal(size=(3, 3))
        for charge, energy in zip(charges, energies, strict=True):
            found.append(
                Frame(
                    np.full(3, 47, np.uint8),
                    positions,
                    np.zeros((3, 3)),
                    np.zeros(3, bool),
                    energy=energy,
                    forces=np.full((3, 3), charge),
                    columns={'group': group, 'total_charge': charge},
                )
            )
    return FrameSet.from_frames(found)


def compare(a_set, energies, forces):
    return charge_blindness(a_set, energies, forces, 'total_charge', THRESHOLDS)


def test_blind_model_cannot_go_below_half_of_the_difference():
    a_set = frames()
    best = compare(a_set, np.full(4, -2.0), np.zeros((12, 3)))
    assert best.is_blind
    assert (best.label_energy_difference_ev, best.energy_floor_ev) == (2.0, 1.0)
    assert best.force_floor_ev_per_angstrom == 1.0
    assert best.label_force_difference_ev_per_angstrom == pytest.approx(2 * np.sqrt(3), rel=1e-12)
    assert (best.energy_rmse_ev, best.force_rmse_ev_per_angstrom) == (1.0, 1.0)
    worse = compare(a_set, np.full(4, -2.1), np.full((12, 3), 0.1))
    assert worse.energy_rmse_ev == pytest.approx(np.sqrt(1.01), rel=1e-12)
    assert worse.force_rmse_ev_per_angstrom > worse.force_floor_ev_per_angstrom


def test_floor_of_three_charges_is_their_standard_deviation():
    a_set = frames((-1.0, 0.0, 1.0), (-3.0, -1.0, -2.0))
    found = compare(a_set, a_set.energies, a_set.forces)
    assert found.energy_floor_ev == pytest.approx(np.sqrt(2.0 / 3.0), rel=1e-12)
    assert (found.is_blind, found.energy_rmse_ev) == (False, 0.0)


def test_model_that_is_told_the_charge_tells_them_apart():
    a_set = frames()
    found = compare(a_set, 0.9 * a_set.energies, a_set.forces)
    assert not found.is_blind
    assert found.model_energy_difference_ev == pytest.approx(1.8, rel=1e-12)
    assert charge_sentence('toy', found).startswith('toy tells the charges of a geometry apart by up to 1.8 eV')


def test_geometries_without_a_prediction_are_counted():
    a_set = frames()
    found = compare(a_set, np.array([np.nan, 0.0, 0.0, 0.0]), np.zeros((12, 3)))
    assert (found.n_geometries, found.n_failed_geometries, found.n_frames) == (1, 1, 2)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda s: replace(s, energies=None), 'the frames at several charges need energies and forces as labels'),
        (lambda s: s.replaced_columns({'total_charge': s.columns['total_charge']}), "have no column 'group'"),
        (lambda s: s.with_columns(total_charge=0.0), "no group has two values of 'total_charge'"),
        (
            lambda s: replace(s, positions=s.positions + np.repeat(np.arange(4.0), 3)[:, None]),
            "frames 0 and 1 are both of the group '0' but have other atoms",
        ),
    ],
)
def test_frames_that_make_no_comparison_are_refused(change, message):
    with pytest.raises(LocalityError, match=message):
        compare(change(frames()), np.zeros(4), np.zeros((12, 3)))
