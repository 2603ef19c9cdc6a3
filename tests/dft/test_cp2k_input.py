"""The text CP2K reads, to the last byte where it is short, by its parts where it is long."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cp2k_cases import CRYSTAL, INSULATOR, METAL, charged_film, lithium_fluoride, water

from aiida_edl.dft.cp2k_input import input_text
from aiida_edl.dft.cp2k_settings import Cp2kSettings

WATER = """\
&GLOBAL
  PROJECT frame_00003
  RUN_TYPE ENERGY_FORCE
  PRINT_LEVEL MEDIUM
&END GLOBAL
&FORCE_EVAL
  METHOD QUICKSTEP
  STRESS_TENSOR ANALYTICAL
  &DFT
    BASIS_SET_FILE_NAME BASIS_MOLOPT
    POTENTIAL_FILE_NAME GTH_POTENTIALS
    CHARGE 0
    &MGRID
      CUTOFF 120
      REL_CUTOFF 30
    &END MGRID
    &QS
      EPS_DEFAULT 1.0E-10
    &END QS
    &SCF
      SCF_GUESS ATOMIC
      EPS_SCF 1.0E-06
      MAX_SCF 20
      &PRINT
        &RESTART OFF
        &END RESTART
      &END PRINT
      &OT
        MINIMIZER DIIS
        PRECONDITIONER FULL_SINGLE_INVERSE
      &END OT
      &OUTER_SCF
        EPS_SCF 1.0E-06
        MAX_SCF 2
      &END OUTER_SCF
    &END SCF
    &XC
      &XC_FUNCTIONAL
        &GGA_X_RPBE
        &END GGA_X_RPBE
        &GGA_C_PBE
        &END GGA_C_PBE
      &END XC_FUNCTIONAL
      &VDW_POTENTIAL
        POTENTIAL_TYPE PAIR_POTENTIAL
        &PAIR_POTENTIAL
          TYPE DFTD3
          PARAMETER_FILE_NAME dftd3.dat
          REFERENCE_FUNCTIONAL RPBE
          R_CUTOFF 12
        &END PAIR_POTENTIAL
      &END VDW_POTENTIAL
    &END XC
    &PRINT
      &MULLIKEN ON
      &END MULLIKEN
      &HIRSHFELD OFF
      &END HIRSHFELD
    &END PRINT
  &END DFT
  &SUBSYS
    &CELL
      A 6.000000000000 0.000000000000 0.000000000000
      B 0.000000000000 6.500000000000 0.000000000000
      C 0.000000000000 0.000000000000 7.000000000000
      PERIODIC XYZ
    &END CELL
    &COORD
      O  3.000000000000 3.250000000000 3.798154500000
      H  3.000000000000 4.013239000000 3.201845500000
      H  3.000000000000 2.486761000000 3.201845500000
    &END COORD
    &KIND H
      BASIS_SET SZV-MOLOPT-SR-GTH
      POTENTIAL GTH-PBE-q1
    &END KIND
    &KIND O
      BASIS_SET SZV-MOLOPT-SR-GTH
      POTENTIAL GTH-PBE-q6
    &END KIND
  &END SUBSYS
  &PRINT
    &FORCES ON
      NDIGITS 12
    &END FORCES
    &STRESS_TENSOR ON
    &END STRESS_TENSOR
  &END PRINT
&END FORCE_EVAL
"""


def text(frame, **settings) -> str:
    """Return the input without indentation."""
    lines = input_text(frame, Cp2kSettings.from_dict(settings), 'frame').splitlines()
    return '\n'.join(line.strip() for line in lines)


def test_input_of_a_molecule_to_the_last_byte():
    assert input_text(water(), Cp2kSettings.from_dict(INSULATOR), 'frame_00003') == WATER


def test_metal_is_diagonalised_with_smeared_occupations():
    found = text(charged_film(), **METAL)
    assert 'ADDED_MOS 40\n&SMEAR ON\nMETHOD FERMI_DIRAC\nELECTRONIC_TEMPERATURE [K] 1000.0\n&END SMEAR' in found
    assert '&MIXING\nMETHOD BROYDEN_MIXING\nALPHA 0.1\nNBROYDEN 8\n&END MIXING' in found
    assert '&OT' not in found


def coordinates(frame, **settings) -> np.ndarray:
    """Return the positions that CP2K is told."""
    content = text(frame, **settings).split('&COORD\n')[1].split('\n&END')[0]
    return np.array([row.split()[1:] for row in content.splitlines()], dtype=float)


def test_isolated_film_is_open_along_the_second_axis_of_cp2k():
    found = text(charged_film(), **METAL)
    assert '&POISSON\nPERIODIC XZ\nPOISSON_SOLVER WAVELET\n&END POISSON' in found
    a, b, c = (charged_film().cell[axis, axis] for axis in (1, 2, 0))
    assert (
        f'A {a:.12f} 0.000000000000 0.000000000000\nB 0.000000000000 {b:.12f} 0.000000000000\n'
        f'C 0.000000000000 0.000000000000 {c:.12f}\nPERIODIC XZ'
    ) in found


def test_isolated_film_is_rotated_and_put_into_the_middle_of_its_cell():
    frame, told = charged_film(), coordinates(charged_film(), **METAL)
    np.testing.assert_allclose(told[:, [0, 2]], frame.positions[:, [1, 0]], atol=1e-11)
    np.testing.assert_allclose(np.diff(told[:, 1]), np.diff(frame.positions[:, 2]), atol=1e-11)
    assert told[:, 1].min() + told[:, 1].max() == pytest.approx(frame.cell[2, 2], abs=1e-10)


def test_isolated_film_has_no_stress():
    assert 'STRESS_TENSOR' not in text(charged_film(), **METAL)


def test_k_points_of_an_isolated_film_turn_with_it():
    assert 'MONKHORST-PACK 3 1 2' in text(charged_film(), **METAL, k_points=[2, 3, 1])


def test_potential_of_a_film_is_written_finely_across_it():
    assert '&V_HARTREE_CUBE\nSTRIDE 4 1 4\n&END' in text(charged_film(), **METAL)
    assert '&V_HARTREE_CUBE\nSTRIDE 4 4 1\n&END' in text(charged_film(), **METAL, film_boundary='periodic')


def test_film_between_images_keeps_its_axes_and_has_a_stress():
    found = text(charged_film(), **METAL, film_boundary='periodic')
    assert 'PERIODIC XYZ' in found
    assert '&POISSON' not in found
    assert 'STRESS_TENSOR ANALYTICAL' in found
    told = coordinates(charged_film(), **METAL, film_boundary='periodic')
    np.testing.assert_allclose(told[:, :2], charged_film().positions[:, :2], atol=1e-11)


def test_dipole_correction_of_a_film_is_along_z():
    found = text(charged_film(), **METAL, film_boundary='dipole_corrected')
    assert 'SURFACE_DIPOLE_CORRECTION T\nSURF_DIP_DIR Z' in found


@pytest.mark.parametrize('pbc', [(True, True, True), (False, False, False)], ids=['bulk', 'molecule'])
@pytest.mark.parametrize('boundary', ['isolated', 'dipole_corrected'])
def test_what_is_no_film_has_no_boundary_of_one(pbc, boundary):
    found = text(replace(charged_film(), pbc=np.array(pbc)), **METAL, film_boundary=boundary)
    assert not any(word in found for word in ('SURFACE_DIPOLE', '&POISSON', 'V_HARTREE'))


def test_grid_of_k_points():
    assert '&KPOINTS\nSCHEME MONKHORST-PACK 2 2 2\nSYMMETRY OFF\nFULL_GRID F' in text(lithium_fluoride(), **CRYSTAL)


def test_total_charge_of_a_column():
    found = text(water(total_charge=-1.0), **INSULATOR, total_charge_column='total_charge')
    assert 'CHARGE -1\n' in found


@pytest.mark.parametrize(
    ('functional', 'exchange'), [('PBE', 'GGA_X_PBE'), ('RPBE', 'GGA_X_RPBE'), ('revPBE', 'GGA_X_PBE_R')]
)
def test_functional_and_its_dispersion_parameters(functional, exchange):
    found = text(water(), **INSULATOR, functional=functional)
    assert f'&XC_FUNCTIONAL\n&{exchange}\n' in found
    assert f'REFERENCE_FUNCTIONAL {functional}\n' in found


@pytest.mark.parametrize(('dispersion', 'kind'), [('d3_zero', 'DFTD3'), ('d3_bj', 'DFTD3(BJ)')])
def test_damping_of_the_dispersion_correction(dispersion, kind):
    assert f'TYPE {kind}\n' in text(water(), **INSULATOR, dispersion=dispersion)


def test_dispersion_correction_can_be_left_out():
    assert 'VDW_POTENTIAL' not in text(water(), **INSULATOR, dispersion='none')


def test_basis_set_of_one_element():
    found = text(water(), **INSULATOR, basis_sets={'O': 'DZVP-MOLOPT-SR-GTH'})
    assert '&KIND O\nBASIS_SET DZVP-MOLOPT-SR-GTH\n' in found
    assert '&KIND H\nBASIS_SET SZV-MOLOPT-SR-GTH\n' in found


def test_spin():
    found = text(water(), **METAL, is_spin_polarized=True, multiplicity=3)
    assert 'UKS T\nMULTIPLICITY 3\n' in found
