"""Recorded outputs of CP2K 2023.1."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from cp2k_cases import RECORDED

from aiida_edl.science import units
from aiida_edl.science.formats.cp2k_output import ENDS_EARLY, read_cp2k_output
from aiida_edl.science.formats.file_units import FormatError


def text(name: str) -> str:
    return gzip.decompress((RECORDED / f'{name}.out.gz').read_bytes()).decode()


def test_insulator():
    output = read_cp2k_output(text('water'))
    assert output.version == '2023.1'
    assert (output.is_converged, output.n_scf_steps, output.n_electrons) == (True, 11, 8)
    assert (output.stop_reason, output.fermi_level) == ('', None)
    assert output.energy == pytest.approx(-17.135443515167879 * units.HARTREE, abs=1e-12)
    assert output.dispersion_energy == pytest.approx(-0.00011193642065 * units.HARTREE, abs=1e-15)
    assert output.symbols == ('O', 'H', 'H')
    expected = np.array([0.000000006077, 0.013488653412, -0.057926376309]) * units.HARTREE / units.BOHR
    np.testing.assert_allclose(output.forces[1], expected, rtol=1e-6)
    np.testing.assert_array_equal(output.charges, [-0.715389, 0.357695, 0.357695])
    assert output.wall_seconds > 0


def test_stress_is_positive_in_tension():
    """CP2K prints -86.66 GPa, positive in compression, for LiF stretched at this coarse level."""
    output = read_cp2k_output(text('lithium_fluoride'))
    np.testing.assert_allclose(np.diag(output.stress), 86.6595277247 * units.GIGAPASCAL, rtol=1e-10)


@pytest.mark.parametrize(
    ('name', 'unit'),
    [
        ('MPa', units.MEGAPASCAL),
        ('Pa', units.PASCAL),
        ('kbar', units.KILOBAR),
        ('bar', units.BAR),
        ('atm', units.ATMOSPHERE),
    ],
)
def test_stress_is_in_the_unit_that_its_heading_names(name, unit):
    output = read_cp2k_output(text('lithium_fluoride').replace('stress tensor [GPa]', f'stress tensor [{name}]'))
    np.testing.assert_allclose(np.diag(output.stress), 86.6595277247 * unit, rtol=1e-10)


def test_stress_in_an_unknown_unit_is_refused():
    message = "the stress is in the unit 'au_p', which is not known; print it in GPa, MPa, Pa, kbar, bar, atm"
    with pytest.raises(FormatError, match=f'^{message}$'):
        read_cp2k_output(text('lithium_fluoride').replace('stress tensor [GPa]', 'stress tensor [au_p]'))


def test_metal_has_a_fermi_level_and_a_negative_charge():
    output = read_cp2k_output(text('charged_film'))
    assert output.is_converged
    assert output.n_electrons == 12 * 11 + 8 * 6 + 16 + 9
    assert output.fermi_level is not None
    gold = np.array(output.symbols) == 'Au'
    assert output.charges[gold].sum() < -0.5
    assert output.charges[np.array(output.symbols) == 'Na'].sum() > 0.5


def test_grid_that_is_too_coarse_shows_in_the_sum_of_the_forces():
    output = read_cp2k_output(text('charged_film'))
    assert np.linalg.norm(output.forces.sum(axis=0)) == pytest.approx(61.2, abs=0.1)
    largest = np.linalg.norm(output.forces, axis=1).argmax()
    assert output.symbols[largest] == 'Na'


def test_field_that_has_not_converged_is_seen_although_energy_and_forces_are_there():
    output = read_cp2k_output(text('unconverged'))
    assert (output.is_converged, output.n_scf_steps, output.stop_reason) == (False, 3, '')
    assert output.energy is not None
    assert output.forces is not None


def test_charges_and_electrons_of_both_spins():
    output = read_cp2k_output(text('unrestricted'))
    assert output.n_electrons == 8
    np.testing.assert_allclose(output.charges, [-0.7154, 0.3577, 0.3577], atol=2e-4)


@pytest.mark.parametrize(
    ('name', 'reason'),
    [
        (
            'aborted',
            'CP2K aborted: The requested basis set <SZV-MOLOPT-XX-GTH> for element <O> was not found in the basis set '
            'files <BASIS_MOLOPT>',
        ),
        ('wrong_keyword', 'CP2K aborted: found an unknown keyword CHRGE in section DFT'),
    ],
)
def test_error_of_the_program_is_the_reason(name, reason):
    output = read_cp2k_output(text(name))
    assert output.stop_reason == reason
    assert output.energy is None


@pytest.mark.parametrize('mark', ['SCF WAVEFUNCTION', 'SUM OF ATOMIC FORCES', 'PROGRAM ENDED AT'])
def test_truncated_output_ends_early(mark):
    whole = text('water')
    output = read_cp2k_output(whole[: whole.index(mark)])
    assert (output.stop_reason, output.ends_early) == (ENDS_EARLY, True)


def test_table_of_forces_that_is_cut_gives_none():
    whole = text('water')
    assert read_cp2k_output(whole[: whole.index('SUM OF ATOMIC FORCES')]).forces is None


def test_file_of_another_program_is_refused():
    with pytest.raises(FormatError, match='the file is no output of CP2K; give what its option -o wrote'):
        read_cp2k_output('vasp.6.4.2\n')
