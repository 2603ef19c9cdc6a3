"""Reference energies of the elements."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from ase.data import atomic_numbers

from aiida_edl.science.atomic_energies import atomic_energy_fit, compare_energy_zeros, isolated_atom_energies
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


def test_what_is_not_determined_is_said_in_one_sentence():
    """Oxygen and hydrogen occur as water alone; sodium varies."""
    fit = atomic_energy_fit(make_frames([{'O': 4, 'H': 8}, {'O': 4, 'H': 8, 'Na': 1}]), ['Au'])
    assert fit.undetermined == ('H', 'O', 'Au')
    assert fit.sentence == (
        'The compositions of 2 frames determine 2 of 4 values: those of H, O, Au have no meaning one by one, only '
        'their sums over the compositions that occur; add frames of other compositions, or use isolated atoms.'
    )


def test_a_unique_fit_says_so():
    fit = atomic_energy_fit(make_frames([{'H': 2}, {'O': 2}, {'O': 1, 'H': 2}]))
    assert fit.undetermined == ()
    assert fit.sentence == 'The compositions of 3 frames determine each of 2 values.'


def test_energies_of_isolated_atoms():
    atoms = make_frames([{'O': 1}, {'H': 1}, {'Na': 1}, {'H': 1}])
    assert isolated_atom_energies(atoms, ['H', 'O']) == ENERGIES
    assert list(isolated_atom_energies(atoms)) == ['H', 'O', 'Na']


@pytest.mark.parametrize(
    ('atoms', 'message'),
    [
        (
            make_frames([{'O': 1}, {'O': 1, 'H': 2}]),
            'frame 1 of the isolated atoms has 3 atoms; give frames of one atom',
        ),
        (make_frames([{'O': 1}]), 'there is no isolated atom of H, only of O; add them'),
        (make_frames([{'O': 1}]).without_labels(), 'the isolated atoms have no energies; label them first'),
        (
            replace(make_frames([{'O': 1}, {'O': 1}]), energies=np.array([-430.0, -432.5])),
            'the isolated atom O has the energies -432.5 and -430 eV; keep one',
        ),
        (
            replace(make_frames([{'O': 1}]), energies=np.array([np.nan])),
            'the energy of the isolated atom O is not finite; remove that frame',
        ),
    ],
)
def test_what_is_no_set_of_isolated_atoms_is_refused(atoms, message):
    with pytest.raises(ValueError, match=f'^{re.escape(message)}$'):
        isolated_atom_energies(atoms, ['O', 'H'])


def test_equal_zeros_of_energy_differ_by_what_geometry_makes():
    """Sums of atoms determine NaOH by the others, with a noise of 0.3 eV a frame."""
    first = make_frames([{'O': 1, 'H': 2}, {'O': 2}, {'Na': 2}] * 3, noise=0.3)
    zeros = compare_energy_zeros(first, make_frames([{'O': 1, 'H': 1, 'Na': 1}]))
    assert zeros.composition == 'H1O1Na1'
    assert abs(zeros.difference) < 0.3
    assert not zeros.are_different


def test_different_zeros_of_energy_are_found():
    """Energies relative to atoms against total ones; O2 and H2O follow from each other and hydrogen, not alone."""
    first = make_frames([{'O': 1, 'H': 2}, {'O': 2}])
    other = make_frames([{'O': 3, 'H': 4}])
    zeros = compare_energy_zeros(first, replace(other, energies=np.array([0.0])))
    assert zeros.difference == pytest.approx((3 * 430.0 + 4 * 13.5) / 7)
    assert zeros.limit == pytest.approx(0.5)
    assert zeros.are_different


def test_limit_grows_where_energies_are_differences_of_large_ones():
    """Na2 is the difference of two cells of 20 water molecules: 120 atoms are weighed for two."""
    first = make_frames([{'O': 20, 'H': 40, 'Na': 2}, {'O': 20, 'H': 40}])
    zeros = compare_energy_zeros(first, make_frames([{'Na': 2}]))
    assert zeros.limit == pytest.approx(0.5 * 122 / 2)


def test_zeros_of_unrelated_compositions_are_not_compared():
    assert compare_energy_zeros(make_frames([{'O': 1, 'H': 2}]), make_frames([{'O': 2}])) is None
