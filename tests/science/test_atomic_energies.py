"""Reference energies of the elements."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.data import atomic_numbers

from aiida_edl.science.atomic_energies import atomic_energy_fit
from aiida_edl.science.frames import Frame, FrameSet

ENERGIES = {'H': -13.5, 'O': -430.0, 'Na': -7.0}


def make_frames(compositions: list[dict[str, int]], noise: float = 0.0) -> FrameSet:
    """Return frames whose energies are sums of ``ENERGIES`` and noise."""
    generator = np.random.default_rng(0)
    frames = []
    for composition in compositions:
        numbers = np.repeat([atomic_numbers[s] for s in composition], list(composition.values())).astype(np.uint8)
        energy = sum(ENERGIES[symbol] * count for symbol, count in composition.items()) + noise * generator.normal()
        frames.append(
            Frame(
                numbers=numbers,
                positions=generator.normal(size=(len(numbers), 3)),
                cell=np.eye(3) * 10.0,
                pbc=np.ones(3, dtype=bool),
                energy=energy,
            )
        )
    return FrameSet.from_frames(frames)


def test_exact_energies_are_recovered():
    fit = atomic_energy_fit(make_frames([{'O': 1, 'H': 2}, {'H': 2}, {'O': 3, 'Na': 1}, {'O': 1, 'H': 1, 'Na': 1}]))
    assert fit.energies == pytest.approx(ENERGIES, abs=1e-8)
    assert (fit.rank, fit.is_unique) == (3, True)
    assert fit.residual_rmse == pytest.approx(0.0, abs=1e-8)


def test_elements_are_ordered_by_atomic_number():
    assert list(atomic_energy_fit(make_frames([{'Na': 1, 'O': 1, 'H': 1}])).energies) == ['H', 'O', 'Na']


def test_degenerate_compositions_give_the_right_sum():
    """Water and sodium: O and H occur two to one only, so their single values are arbitrary, not their sum."""
    fit = atomic_energy_fit(make_frames([{'O': 4, 'H': 8}, {'O': 4, 'H': 8, 'Na': 1}, {'O': 4, 'H': 8, 'Na': 2}]))
    assert (fit.rank, fit.is_unique) == (2, False)
    assert fit.energies['O'] + 2 * fit.energies['H'] == pytest.approx(-457.0)
    assert fit.energies['Na'] == pytest.approx(-7.0)


def test_degenerate_solution_has_smallest_norm():
    """One composition OH2: the solution is proportional to the counts."""
    energies = atomic_energy_fit(make_frames([{'O': 1, 'H': 2}] * 3)).energies
    assert energies['H'] / energies['O'] == pytest.approx(2.0)


def test_residual_is_the_noise_per_atom():
    # 600 frames of 3 atoms know the noise to 3 %.
    fit = atomic_energy_fit(make_frames([{'O': 1, 'H': 2}, {'O': 2, 'H': 1}, {'Na': 3}] * 200, noise=0.3))
    assert fit.residual_rmse == pytest.approx(0.1, rel=0.1)


def test_frames_without_energies_are_refused():
    message = '^atomic energies cannot be fitted to frames without energies; label the frames first$'
    with pytest.raises(ValueError, match=message):
        atomic_energy_fit(make_frames([{'H': 2}]).without_labels())


def test_not_finite_energy_is_refused():
    frames = make_frames([{'H': 2}] * 3)
    broken = replace(frames, energies=np.array([1.0, np.nan, 2.0]))
    with pytest.raises(ValueError, match=r'^the energy of frames \[1\] is not finite; remove those frames first$'):
        atomic_energy_fit(broken)


def test_element_that_no_frame_holds_gets_nothing_and_is_not_unique():
    fit = atomic_energy_fit(make_frames([{'O': 1, 'H': 2}, {'H': 2}]), ['H', 'O', 'Na'])
    assert fit.energies == pytest.approx({'H': -13.5, 'O': -430.0, 'Na': 0.0}, abs=1e-8)
    assert not fit.is_unique
