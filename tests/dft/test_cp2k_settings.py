"""Settings of CP2K that cannot be meant, and frames that cannot be computed, are refused in one sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cp2k_cases import INSULATOR, charged_film, water

from aiida_edl.dft.cp2k_settings import Cp2kSettings, Cp2kSettingsError, FilmBoundary, check_frame


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'cutof': 300}, "unknown setting of CP2K 'cutof': did you mean 'cutoff'? Known: "),
        ({'functional': 'REVPBE'}, "unknown functional 'REVPBE': did you mean 'revPBE'? Known: PBE, RPBE, revPBE."),
        ({'dispersion': 'd3'}, "unknown dispersion 'd3': did you mean 'd3_bj'? Known: d3_bj, d3_zero, none."),
        ({'basis_set': 'DZVP'}, "unknown basis set 'DZVP': "),
        ({'cutoff': -1.0}, 'cutoff is -1.0, it must be positive'),
        ({'mixing_fraction': 1.5}, 'mixing_fraction is 1.5, it must be above 0 and at most 1'),
        ({'k_points': [2, 2]}, "setting of CP2K 'k_points' is [2, 2], expected list of 3 int"),
        ({'k_points': [2, 2, 0]}, 'k_points is [2, 2, 0], it must be three positive integers'),
        ({'multiplicity': 3}, 'multiplicity is 3; it needs is_spin_polarized'),
        (
            {'solver': 'orbital_transformation'},
            'electronic_temperature is 1000 K, but orbital_transformation has integer occupations; set it to null, or '
            'take the solver diagonalization',
        ),
        (
            {**INSULATOR, 'k_points': [1, 1, 2]},
            'k_points is [1, 1, 2], but orbital_transformation knows the Gamma point only; take the solver '
            'diagonalization',
        ),
    ],
)
def test_settings_that_cannot_be_meant(values, message):
    with pytest.raises(Cp2kSettingsError) as caught:
        Cp2kSettings.from_dict(values)
    assert str(caught.value).startswith(message)


def test_level_of_theory_names_functional_damping_and_basis():
    assert Cp2kSettings().level_of_theory == (
        'CP2K RPBE, D3 with zero damping, DZVP-MOLOPT-SR-GTH, GTH-PBE, 400/50 Ry, 1x1x1 k-points, electronic '
        'temperature 1000 K, films isolated along z'
    )


@pytest.mark.parametrize(
    'change',
    [
        {'functional': 'PBE'},
        {'dispersion': 'd3_bj'},
        {'basis_sets': {'Au': 'SZV-MOLOPT-SR-GTH'}},
        {'cutoff': 300.0},
        {'electronic_temperature': 300.0},
        {'k_points': [2, 2, 1]},
        {'is_spin_polarized': True},
        {'film_boundary': 'periodic'},
        {'film_boundary': 'dipole_corrected'},
        {'total_charge_column': 'total_charge'},
    ],
    ids=str,
)
def test_what_changes_the_energy_changes_the_level_of_theory(change):
    assert Cp2kSettings.from_dict(change).level_of_theory != Cp2kSettings().level_of_theory


@pytest.mark.parametrize('change', [{'mixing_fraction': 0.05}, {'maximum_scf_steps': 300}, {'mixing_history': 12}])
def test_how_the_energy_is_found_is_no_part_of_the_level_of_theory(change):
    assert Cp2kSettings.from_dict(change).level_of_theory == Cp2kSettings().level_of_theory


def test_electrons_of_a_charged_cell():
    settings = Cp2kSettings(total_charge_column='total_charge')
    assert settings.n_electrons(water(total_charge=-1.0)) == 9.0


def refusal(frame, **settings) -> str:
    with pytest.raises(Cp2kSettingsError) as caught:
        check_frame(frame, Cp2kSettings.from_dict(settings))
    return str(caught.value)


def test_element_without_a_pseudopotential():
    frame = replace(water(), numbers=np.array([92, 1, 1], dtype=np.uint8))
    assert refusal(frame) == 'there is no pseudopotential of U; those known are of H to Rn'


def test_film_without_vacuum():
    frame = charged_film()
    height = float(np.ptp(frame.positions[:, 2]))
    cell = np.diag([*np.diag(frame.cell)[:2], height + 3.0])
    sentence = 'the film has 3 Å of vacuum, it needs {} Å; lengthen the cell along z'
    assert refusal(replace(frame, cell=cell)) == sentence.format(8)
    assert refusal(replace(frame, cell=cell), film_boundary='periodic') == sentence.format(10)


def test_molecule_near_its_image():
    frame = replace(water(), pbc=np.zeros(3, dtype=bool))
    assert refusal(frame).startswith('the frame is not periodic, but has only ')
    assert refusal(frame).endswith(' Å to its image in the box that CP2K repeats, it needs 10 Å; enlarge its box')
    check_frame(replace(frame, cell=np.diag([12.0, 12.5, 13.0])), Cp2kSettings())


def test_isolated_film_in_a_skewed_cell():
    frame = charged_film()
    skewed = frame.cell + np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert refusal(replace(frame, cell=skewed)) == (
        'the cell of the film is not rectangular along x, y and z, as CP2K wants it; take a rectangular cell, or '
        "film_boundary 'periodic'"
    )
    check_frame(replace(frame, cell=skewed), Cp2kSettings(film_boundary=FilmBoundary.PERIODIC))


def test_isolated_film_with_a_net_charge():
    frame = replace(charged_film(), columns={'total_charge': -1.0})
    assert refusal(frame, total_charge_column='total_charge') == (
        'the film has a total charge of -1 e, so that its field fills all space; balance it by ions, or take '
        "film_boundary 'periodic' with its uniform background"
    )


def test_film_that_is_open_along_another_vector():
    assert refusal(replace(charged_film(), pbc=np.array([True, False, True]))).startswith(
        'the frame is periodic along (True, False, True); periodic along all, along none, or a film with vacuum'
    )


def test_fraction_of_a_charge():
    frame = water(total_charge=0.5)
    assert refusal(frame, total_charge_column='total_charge') == 'the total charge is 0.5 e; CP2K takes whole charges'


def test_molecule_without_a_box():
    assert refusal(replace(water(), cell=np.zeros((3, 3)))) == 'the cell has no volume; put a molecule into a box'
