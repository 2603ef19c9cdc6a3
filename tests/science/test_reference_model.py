"""Parameters, molecules and LAMMPS text of the classical reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from electrode_cases import small_cell

from aiida_edl.science.frames import Frame
from aiida_edl.science.reference_model import (
    ReferenceModel,
    ReferenceModelError,
    check_frame,
    data_file,
    electrode_lines,
    find_waters,
    force_field_lines,
)


def water(oxygen_x: float = 5.0) -> Frame:
    """Return one molecule whose hydrogens come before and after the oxygen, and one gold atom."""
    positions = np.array([[oxygen_x - 1, 5, 8], [oxygen_x, 5, 8], [oxygen_x, 6, 8], [0, 0, 1.0]])
    return Frame(
        numbers=np.array([1, 8, 1, 79], dtype=np.uint8),
        positions=positions,
        cell=np.diag([10.0, 10.0, 20.0]),
        pbc=np.array([True, True, False]),
    )


def section(text: str, name: str) -> list[list[str]]:
    """Return the rows of a section of a data file."""
    body = text.split(f'\n{name}\n\n')[1].split('\n\n', maxsplit=1)[0]
    return [row.split() for row in body.splitlines()]


def test_parameters_survive_a_round_trip():
    model = ReferenceModel(cutoff_radius=8.0, gold_sodium_diameter=None)
    assert ReferenceModel.from_dict(model.to_dict()) == model


def test_unknown_parameter_is_answered_with_the_nearest():
    with pytest.raises(ReferenceModelError, match=r"^unknown model parameter 'cutoff': did you mean 'cutoff_radius'\?"):
        ReferenceModel.from_dict({'cutoff': 8.0})


@pytest.mark.parametrize('value', [0.0, -1.0, float('nan'), '9', True, None])
def test_parameter_out_of_range_is_refused(value):
    with pytest.raises(ReferenceModelError) as caught:
        ReferenceModel(cutoff_radius=value)
    assert str(caught.value) == f"model parameter 'cutoff_radius' is {value!r}, it must be a positive number"


def test_diameters_follow_from_the_minima_in_the_papers():
    # Joung and Cheatham give half of the distance of the minimum, Heinz the whole; both to 4 digits
    assert ReferenceModel().sodium_diameter == pytest.approx(2 * 1.212 / 2 ** (1 / 6), abs=5e-4)
    assert ReferenceModel().gold_diameter == pytest.approx(2.951 / 2 ** (1 / 6), abs=5e-4)


def test_gold_sodium_is_an_own_pair_by_default():
    assert 'pair_coeff 3 4 0.05 3.6' in force_field_lines(ReferenceModel())
    assert 'Au-Na 0.05 kcal/mol and 3.6 Å' in ReferenceModel().level_of_theory


def test_gold_sodium_follows_the_mixing_rules_on_demand():
    model = ReferenceModel(gold_sodium_well_depth_kcal_per_mol=None, gold_sodium_diameter=None)
    assert model.gold_sodium_well_depth == pytest.approx(1.3658, abs=1e-4)
    assert model.gold_sodium_distance == pytest.approx(2.39427, abs=1e-5)
    assert 'Au-Na Lorentz-Berthelot' in model.level_of_theory


def test_force_constants_reach_lammps_without_the_factor_of_one_half():
    lines = force_field_lines(ReferenceModel())
    assert 'bond_coeff 1 529.581 1.012' in lines
    assert 'angle_coeff 1 37.95 113.24' in lines


def test_waters_are_found_whatever_the_order():
    np.testing.assert_array_equal(find_waters(water()), [[1, 0, 2]])


def test_waters_are_found_across_the_periodic_boundary():
    frame = water(oxygen_x=0.5)
    wrapped = replace(frame, positions=frame.positions % [10.0, 10.0, 20.0])
    assert wrapped.positions[0, 0] == 9.5
    np.testing.assert_array_equal(find_waters(wrapped), [[1, 0, 2]])


def test_waters_do_not_depend_on_relabelling():
    frame, order = small_cell(1), np.random.default_rng(0).permutation(37)
    shuffled = replace(frame, numbers=frame.numbers[order], positions=frame.positions[order])
    found = {(int(order[o]), frozenset(order[[h, k]].tolist())) for o, h, k in find_waters(shuffled)}
    assert found == {(int(o), frozenset((int(h), int(k)))) for o, h, k in find_waters(frame)}


def test_oxygen_with_one_hydrogen_is_refused():
    frame = water()
    with pytest.raises(ReferenceModelError) as caught:
        find_waters(replace(frame, numbers=frame.numbers[1:], positions=frame.positions[1:]))
    assert str(caught.value) == (
        'oxygen 0 has 1 instead of 2 hydrogens, the reference model needs whole water molecules'
    )


def test_stretched_water_is_refused():
    frame = water()
    frame.positions[2, 1] = 7.0
    with pytest.raises(ReferenceModelError) as caught:
        find_waters(frame)
    assert str(caught.value) == (
        'hydrogen 2 is 2.00 Å from the nearest oxygen, more than 1.5 Å: the reference model needs whole water molecules'
    )


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'numbers': [1, 8, 1, 47]}, 'element Ag is not in the reference model, known are O, H, Na, Au'),
        ({'numbers': [1, 8, 1, 11]}, 'the frame holds no Au, the reference model needs a metal slab'),
        (
            {'cell': np.array([[10, 0, 0], [5, 8, 0], [0, 0, 20.0]])},
            'the cell is skew, the reference model needs an orthogonal cell',
        ),
        (
            {'pbc': np.array([True, True, True])},
            'the frame has periodicity [True, True, True], the reference model needs a film with vacuum: '
            '[True, True, False]',
        ),
        (
            {'cell': np.diag([10.0, 10.0, 7.0])},
            'atoms lie between 1.00 and 8.00 Å, outside the cell from 0 to 7.00 Å along z: shift them or enlarge the '
            'cell',
        ),
    ],
)
def test_frame_that_the_model_cannot_describe_is_refused(changes, message):
    with pytest.raises(ReferenceModelError) as caught:
        check_frame(replace(water(), **{name: np.array(value) for name, value in changes.items()}))
    assert str(caught.value) == message


@pytest.mark.parametrize('n_ions', [0, 1, 2])
def test_cell_is_neutral_and_the_metal_carries_minus_the_ions(n_ions):
    frame = small_cell(n_ions)
    charges = np.array([float(row[3]) for row in section(data_file(frame, ReferenceModel()), 'Atoms # full')])
    assert charges.sum() == pytest.approx(0.0, abs=1e-8)  # ten digits are written for each atom
    assert charges[frame.numbers == 79].sum() == pytest.approx(-n_ions, abs=1e-8)
    assert f'electrode/conq {-n_ions:g} 1.805132 ' in electrode_lines(frame, ReferenceModel(), True)[1]


def test_bonds_and_angles_join_the_atoms_of_each_water():
    text = data_file(water(), ReferenceModel())
    assert section(text, 'Bonds') == [['1', '1', '2', '1'], ['2', '1', '2', '3']]
    assert section(text, 'Angles') == [['1', '1', '1', '2', '3']]
    assert [row[1] for row in section(text, 'Atoms # full')] == ['2', '2', '2', '1']


def test_velocities_are_written_in_the_units_of_the_frame():
    frame = replace(water(), velocities=np.arange(12.0).reshape(4, 3) / 1000)
    assert section(data_file(frame, ReferenceModel()), 'Velocities')[1] == ['2', '0.003', '0.004', '0.005']


def test_static_metal_is_solved_by_one_matrix_and_moving_metal_by_conjugate_gradients():
    frame = small_cell(0)
    assert electrode_lines(frame, ReferenceModel(), True)[1].endswith('algo mat_inv')
    assert 'algo cg ' in electrode_lines(frame, ReferenceModel(), False)[1]
