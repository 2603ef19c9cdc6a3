"""Energy shifts, and what of them the composition cannot take up, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis.energy_shifts import (
    contrast_sentences,
    corrected_contrasts,
    corrected_shifts,
    energy_shifts,
    shift_contrasts,
)

MEV = 1e-3
"""eV in one meV."""


def table(shifts: dict[str, list[float]], training_set: str = 'mixed', bar: float | None = 0.1) -> dict:
    """Return rows of errors for given shifts of each seed [meV/atom], by training set and charge state."""
    return {
        (training_set, state): {
            seed: {
                'energy_signed_error_ev_per_atom': MEV * value,
                'energy_signed_error_error_ev_per_atom': None if bar is None else MEV * bar,
            }
            for seed, value in enumerate(values)
        }
        for state, values in shifts.items()
    }


def contrasts(shifts: dict[str, list[float]], training_set: str = 'mixed', bar: float | None = 0.1) -> dict:
    found = corrected_contrasts(shift_contrasts(table(shifts, training_set, bar), 'mace', 0.95))
    return {(item.kind, item.charge_states): item for item in found}


def test_shifts_of_opposite_sign_keep_their_size_though_their_mean_is_small():
    (item,) = corrected_shifts(energy_shifts(table({'2Na': [10.0, -10.0, 1.0]}), 'mace', 0.95))
    assert item.shift.value == pytest.approx(MEV / 3.0)
    assert item.magnitude.value == pytest.approx(7.0 * MEV)
    assert item.magnitude.error == pytest.approx(MEV * np.hypot(3.0, 0.1))
    assert item.rms == pytest.approx(MEV * np.sqrt(67.0))


def test_seeds_that_are_shifted_are_found_though_their_mean_is_not():
    (wide, calm) = corrected_shifts(
        energy_shifts(table({'0': [10.0, -10.0, 1.0], '2Na': [0.1, -0.05, 0.0]}), 'mace', 0.95)
    )
    assert wide.adjusted_p > 0.5
    assert wide.seed_p < 1e-9
    # 2 x 3 seeds x the tail of the normal distribution beyond one standard error.
    assert calm.seed_p == pytest.approx(min(1.0, 6.0 * 0.158655), rel=1e-4)


def test_without_errors_of_the_frames_no_single_seed_is_judged():
    (item,) = corrected_shifts(energy_shifts(table({'0': [1.0, 2.0]}, bar=None), 'mace', 0.95))
    assert np.isnan(item.seed_p)
    assert item.shift.error == pytest.approx(0.5 * MEV)


def test_difference_is_paired_by_seed():
    # The seeds scatter by 10 meV/atom, but all of them shift the second state by 2 more.
    (item,) = contrasts({'0': [0.0, 10.0, -10.0], '2Na': [2.0, 12.0, -8.0]}).values()
    assert (item.kind, item.n_models) == ('difference', 3)
    assert item.contrast.value == pytest.approx(2.0 * MEV)
    assert item.contrast.error == pytest.approx(0.1 * np.sqrt(2.0) * MEV)  # the frames of two states alone
    assert item.adjusted_p < 1e-9


def test_seeds_that_miss_a_state_are_left_out():
    rows = table({'0': [0.0, 1.0, 5.0], '2Na': [2.0, 3.0, 9.0]})
    del rows['mixed', '2Na'][2]
    (item,) = shift_contrasts(rows, 'mace', 0.95)
    assert (item.n_models, item.contrast.value) == (2, pytest.approx(2.0 * MEV))


@pytest.mark.parametrize('middle', [1, 3])
def test_what_is_linear_in_the_number_of_ions_has_no_curvature(middle):
    line = {0: 3.0, middle: 3.0 - 0.7 * middle, 4: 3.0 - 0.7 * 4}
    shifts = {f'{n}Na' if n else '0': [value, value + 5.0, value - 2.0] for n, value in line.items()}
    item = contrasts(shifts)['curvature', ('0', f'{middle}Na', '4Na')]
    assert item.contrast.value == pytest.approx(0.0, abs=1e-12)


def test_curvature_of_an_energy_that_goes_with_the_square_of_the_charge():
    # -0.8 n² + 1.1 n of n = 0, 1, 2 ions: the middle is 0.8 above the line.
    shifts = {label: [-0.8 * n * n + 1.1 * n] * 3 for n, label in enumerate(('0', '1Na', '2Na'))}
    item = contrasts(shifts)['curvature', ('0', '1Na', '2Na')]
    assert item.contrast.value == pytest.approx(0.8 * MEV, rel=1e-9)
    assert item.contrast.error == pytest.approx(0.1 * MEV * np.sqrt(1.5), rel=1e-9)


def test_states_that_were_not_trained_on_are_not_contrasted():
    assert contrasts({'0': [0.0, 1.0], '2Na': [5.0, 6.0]}, 'single_0') == {}


def test_two_states_are_said_to_show_nothing_of_the_charge():
    found = list(contrasts({'0': [0.0, 0.1], '2Na': [0.0, 0.1]}).values())
    assert contrast_sentences(found, 0.95) == [
        'Paired by seed these shifts differ by +0 ± 0.14 meV/atom from 0 to 2Na.',
        'The energies of the atoms can take up a constant and a term linear in the number of ions, which is all there '
        'is between two states: that they are not shifted does not show that the models see the charge.',
    ]


def test_curvature_is_said_beside_what_the_energies_of_atoms_take_up():
    shifts = {'0': [0.0, 0.1], '1Na': [0.8, 0.9], '2Na': [0.0, 0.1]}
    assert contrast_sentences(list(contrasts(shifts).values()), 0.95)[1] == (
        'The energies of the atoms can take up a constant and a term linear in the number of ions, beyond which the '
        'shift is significantly +0.8 ± 0.12 meV/atom at 1Na off the line from 0 to 2Na.'
    )


def test_without_contrast_nothing_is_said():
    assert contrast_sentences([], 0.95) == []


def test_unknown_error_of_the_frames_leaves_the_scatter_over_seeds():
    (item,) = contrasts({'0': [0.0, 0.0], '2Na': [1.0, 3.0]}, bar=None).values()
    assert item.contrast.error == pytest.approx(1.0 * MEV)
