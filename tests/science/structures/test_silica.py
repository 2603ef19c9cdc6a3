"""Cells of alpha-quartz: what the perfect crystal is, what a vacancy changes, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list

from aiida_edl.science.structures.silica import SilicaError, SilicaSettings, build_silica


def build(**settings):
    return build_silica(SilicaSettings.from_dict(settings))


def atoms_of(built, index=0) -> Atoms:
    frame = built.frames.frame(index)
    return Atoms(frame.numbers, positions=frame.positions, cell=frame.cell, pbc=frame.pbc)


def test_settings_survive_a_round_trip():
    settings = SilicaSettings(repeat=(1, 1, 2), charge=2, displacement=0.05)
    assert SilicaSettings.from_dict(settings.to_dict()) == settings


def test_every_silicon_of_the_perfect_crystal_has_four_oxygens_and_each_of_these_two_silicons():
    atoms = atoms_of(build(n_vacancies=0))
    assert atoms.get_chemical_formula() == 'O48Si24'
    centres, distances = neighbor_list('id', atoms, 1.8)
    counts = np.bincount(centres)
    assert set(counts[atoms.numbers == 14]) == {4}
    assert set(counts[atoms.numbers == 8]) == {2}
    # Levien et al. 1980: 1.605(1) and 1.614(1) Å
    np.testing.assert_allclose(sorted(set(np.round(distances, 3))), [1.605, 1.614], atol=2e-3)


def test_angle_between_tetrahedra_is_that_of_quartz():
    atoms = atoms_of(build(n_vacancies=0))
    centres, neighbours = neighbor_list('ij', atoms, 1.8)
    oxygen = int(np.flatnonzero(atoms.numbers == 8)[0])
    first, second = neighbours[centres == oxygen]
    # Levien et al. 1980: 143.7(1) degrees
    assert atoms.get_angle(first, oxygen, second, mic=True) == pytest.approx(143.7, abs=0.2)


def test_density_is_that_of_quartz():
    # CRC Handbook: 2.648 g/cm³
    assert build(n_vacancies=0).report.density == pytest.approx(2.648, abs=0.005)


@pytest.mark.parametrize('charge', [-1, 0, 1, 2])
def test_a_vacancy_lacks_one_oxygen_and_has_its_charge(charge):
    built = build(charge=charge)
    assert atoms_of(built).get_chemical_formula() == 'O47Si24'
    assert built.frames.columns['total_charge'].tolist() == [charge]
    assert built.frames.columns['defect'].tolist() == ['oxygen_vacancy']
    assert built.report.total_charge == charge
    assert built.report.silicon_distance == pytest.approx(3.06, abs=0.02)


def test_vacancy_lies_where_the_oxygen_was():
    built, perfect = build(seed=4), build(n_vacancies=0)
    ((place,),) = built.report.vacancy_positions
    distances = np.linalg.norm(atoms_of(perfect).positions - place, axis=1)
    assert atoms_of(perfect).numbers[np.argmin(distances)] == 8
    assert distances.min() < 1e-10
    assert np.linalg.norm(atoms_of(built).positions - place, axis=1).min() > 1.5


def test_vacancies_keep_their_distance():
    built = build(n_vacancies=2, minimum_distance=6.0, n_frames=5)
    for places in built.report.vacancy_positions:
        pair = Atoms('O2', positions=places, cell=built.frames.cells[0], pbc=True)
        assert pair.get_distance(0, 1, mic=True) >= 6.0


def test_same_seed_gives_the_same_atoms_and_another_seed_others():
    first, again, other = (build(seed=seed, displacement=0.05).frames.positions for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_displaced_cells_have_their_vacancies_where_others_have_them():
    plain, displaced = build(seed=3), build(seed=3, displacement=0.05)
    assert plain.report.vacancy_positions == displaced.report.vacancy_positions
    assert np.std(displaced.frames.positions - plain.frames.positions) == pytest.approx(0.05, rel=0.15)


def test_small_and_charged_cells_are_warned_of():
    assert build(n_vacancies=0).report.warnings == ()
    small, charged = build(repeat=(1, 1, 1), charge=1).report.warnings
    assert small.startswith('a vacancy is 4.92 Å from its own periodic image')
    assert charged.startswith('the cell has a charge of +1 e')


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'charge': 3}, 'charge is 3, it must be one of -1, 0, 1, 2 e'),
        ({'charge': 1, 'n_vacancies': 0}, r'charge is \+1 e but there is no vacancy'),
        ({'n_vacancies': 48}, 'n_vacancies is 48 in a cell of 48 oxygen atoms; give 0 to 47'),
        ({'repeat': [1, 0, 1]}, 'must be three positive integers'),
        ({'n_vacancies': 9, 'minimum_distance': 8.0}, 'of 9 vacancies found a place at least 8 Å'),
        ({'lattice_a': 3.0}, 'Å apart, less than 1.3 Å'),
        ({'chrge': 1}, "unknown setting of silica 'chrge': did you mean 'charge'"),
    ],
)
def test_what_makes_no_quartz_is_refused(settings, message):
    with pytest.raises(SilicaError, match=message):
        build(**settings)
