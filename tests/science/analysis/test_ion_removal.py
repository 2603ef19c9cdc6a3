"""Forces with and without an ion: exact values of known models, and what the error is taken over."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiida_edl.science.analysis.ion_removal import ALL, ion_removal
from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.science.locality_pairs import REMOVED, LocalitySettings, locality_pairs, pairs_of

SETTINGS = LocalitySettings(frame_indices=(0, 1, 2), n_moved=0, far=3.0, bin_width=1.0)


def frames(n_frames: int = 3) -> FrameSet:
    generator = np.random.default_rng(11)
    numbers = np.array([11, 11, *[8] * 10, *[1] * 10], np.uint8)
    cell, pbc = np.diag([9.0, 9.0, 9.0]), np.ones(3, bool)
    return FrameSet.from_frames([Frame(numbers, generator.uniform(0, 9, (22, 3)), cell, pbc) for _ in range(n_frames)])


PAIRS = locality_pairs(frames(), SETTINGS)


def true_forces(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=PAIRS.positions.shape)


def beyond(rows, element=ALL):
    (row,) = [row for row in rows if row.element == element and row.to_angstrom is None]
    return row


def test_right_model_has_slope_one_and_no_error():
    row = beyond(ion_removal(PAIRS, true_forces(), true_forces(), SETTINGS))
    assert (row.slope, row.error_rms_ev_per_angstrom) == (pytest.approx(1.0, rel=1e-12), 0.0)
    assert row.reference_rms_ev_per_angstrom == row.model_rms_ev_per_angstrom


def test_blind_model_misses_all_of_it():
    row = beyond(ion_removal(PAIRS, true_forces(), np.zeros_like(true_forces()), SETTINGS))
    assert (row.slope, row.model_rms_ev_per_angstrom) == (0.0, 0.0)
    assert row.error_rms_ev_per_angstrom == row.reference_rms_ev_per_angstrom


def test_factor_is_found():
    row = beyond(ion_removal(PAIRS, true_forces(), 1.01 * true_forces(), SETTINGS))
    assert row.slope == pytest.approx(1.01, rel=1e-12)
    assert row.error_rms_ev_per_angstrom == pytest.approx(0.01 * row.reference_rms_ev_per_angstrom, rel=1e-9)


def test_rms_is_that_of_components_of_atoms_beyond_the_distance():
    true, squares = true_forces(), []
    for pair in pairs_of(PAIRS):
        if pair.kind == REMOVED:
            base = PAIRS.offsets[pair.base] + pair.base_atoms
            variant = PAIRS.offsets[pair.variant] + pair.variant_atoms
            chosen = (pair.distances >= 3.0) & (PAIRS.numbers[base] == 8)
            squares.append(((true[base] - true[variant])[chosen] ** 2).ravel())
    row = beyond(ion_removal(PAIRS, true, true, SETTINGS), 'O')
    assert row.reference_rms_ev_per_angstrom == pytest.approx(np.sqrt(np.concatenate(squares).mean()), rel=1e-12)
    assert (row.n_atoms, row.n_pairs) == (sum(len(part) for part in squares) // 3, 6)


def test_bins_hold_all_atoms():
    rows = ion_removal(PAIRS, true_forces(), true_forces(), SETTINGS)
    binned = [row for row in rows if row.to_angstrom is not None and row.element == ALL]
    assert sum(row.n_atoms for row in binned) == 6 * 21


def test_error_is_the_scatter_between_base_frames():
    """The change of every component is s in the frames of one base: the rms follows from the three values of s²."""
    scales, forces = (1.0, 2.0, 3.0), np.zeros_like(PAIRS.positions)
    settings = LocalitySettings(frame_indices=(0, 1, 2), n_moved=0, far=1e-3)
    for pair in pairs_of(PAIRS):
        if pair.kind == REMOVED:
            number = sorted({p.base for p in pairs_of(PAIRS)}).index(pair.base)
            forces[PAIRS.offsets[pair.variant] + pair.variant_atoms] = scales[number]
    row = beyond(ion_removal(PAIRS, forces, forces, settings))
    squares = np.array(scales) ** 2
    rms = math.sqrt(squares.mean())
    assert row.reference_rms_ev_per_angstrom == pytest.approx(rms, rel=1e-12)
    expected = squares.std(ddof=1) / math.sqrt(3) / (2 * rms)
    assert row.reference_rms_error_ev_per_angstrom == pytest.approx(expected, rel=1e-12)


def test_error_of_the_slope_is_the_jackknife_over_base_frames():
    """The prediction is f times the truth, which is one for each component, in the frames of one base."""
    factors, true, model = (0.2, 0.5, 1.1), np.zeros_like(PAIRS.positions), np.zeros_like(PAIRS.positions)
    settings = LocalitySettings(frame_indices=(0, 1, 2), n_moved=0, far=1e-3)
    for pair in pairs_of(PAIRS):
        if pair.kind == REMOVED:
            number = sorted({p.base for p in pairs_of(PAIRS)}).index(pair.base)
            true[PAIRS.offsets[pair.variant] + pair.variant_atoms] = 1.0
            model[PAIRS.offsets[pair.variant] + pair.variant_atoms] = factors[number]
    row = beyond(ion_removal(PAIRS, true, model, settings))
    assert row.slope == pytest.approx(0.6, rel=1e-12)
    # Bases of equal weight: the jackknife of a mean is its standard error.
    assert row.slope_error == pytest.approx(np.std(factors, ddof=1) / math.sqrt(3.0), rel=1e-9)


def test_one_base_has_no_error():
    settings = LocalitySettings(frame_indices=(0,), n_moved=0, far=3.0)
    pairs = locality_pairs(frames(1), settings)
    forces = np.random.default_rng(1).normal(size=pairs.positions.shape)
    row = beyond(ion_removal(pairs, forces, forces, settings))
    assert math.isnan(row.reference_rms_error_ev_per_angstrom)
    assert (row.slope, math.isnan(row.slope_error)) == (pytest.approx(1.0), True)
    assert row.row()['reference_rms_error_ev_per_angstrom'] is None


def test_pairs_without_labels_are_left_out():
    true = true_forces()
    first = next(pair for pair in pairs_of(PAIRS) if pair.kind == REMOVED)
    true[PAIRS.offsets[first.variant] : PAIRS.offsets[first.variant + 1]] = np.nan
    assert beyond(ion_removal(PAIRS, true, true_forces(), SETTINGS)).n_pairs == 5
    assert ion_removal(PAIRS, np.full_like(true, np.nan), true_forces(), SETTINGS) == ()
