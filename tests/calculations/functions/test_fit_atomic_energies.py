"""Atomic energies come from training frames alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from calculation_cases import dataset, labelled_frames, split

from aiida_edl.calculations.functions.fit_atomic_energies import fit_atomic_energies
from aiida_edl.science.atomic_energies import atomic_energy_fit

pytestmark = pytest.mark.usefixtures('aiida_profile')


def test_energies_of_test_frames_do_not_enter():
    frames = labelled_frames()
    shifted = replace(frames, energies=frames.energies + np.isin(np.arange(10), [4, 5, 8, 9]) * 100.0)
    splits = {'split_single': split(training=[0, 1]), 'split_mixed': split(training=[1, 2, 3, 6, 7])}
    energies = fit_atomic_energies(dataset=dataset(shifted), **splits)
    expected = atomic_energy_fit(frames.select([0, 1, 2, 3, 6, 7])).energies
    assert energies.get_dict() == pytest.approx(expected, rel=1e-12)
    assert energies.base.extras.get('n_frames') == 6


def test_result_says_that_two_compositions_do_not_determine_four_values():
    energies = fit_atomic_energies(dataset=dataset(labelled_frames()))
    assert set(energies.get_dict()) == {'H', 'O', 'Na', 'Au'}
    extras = energies.base.extras
    assert (extras.get('rank'), extras.get('is_unique'), extras.get('n_frames')) == (2, False, 10)
    assert extras.get('residual_rmse_ev_per_atom') < 0.1
    assert energies.description.startswith(
        'The compositions of 10 frames determine 2 of 4 values: those of H, O, Na, Au have no meaning one by one, only '
        'their sums over the compositions that occur; add frames of other compositions, or use isolated atoms. '
    )


def test_element_in_no_training_frame_has_a_value_all_the_same():
    """Models are asked about frames with ions even if none was trained on them."""
    energies = fit_atomic_energies(dataset=dataset(labelled_frames()), split=split(training=[0, 1, 4, 5]))
    assert energies.get_dict()['Na'] == 0.0
