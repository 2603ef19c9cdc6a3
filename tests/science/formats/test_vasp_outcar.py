"""OUTCAR: labels of every ionic step, against vasprun.xml of the same run and against the reader of ASE."""

from __future__ import annotations

import bz2
import lzma
import re
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
from vasp_cases import OUTCAR, RECORDED, XML, changed, cut, text_of

from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.label_checks import compare_work
from aiida_edl.science.formats.vasp_outcar import read_outcar
from aiida_edl.science.formats.vasp_xml import read_vasprun

BOTH = ('static', 'relaxation', 'some_unconverged')
MACHINE_LEARNED = """\
----------------------------------------- Ionic step {number:8d}  -------------------------------------------

  ML FORCE on cell =-STRESS in cart. coord. units (eV/cell)
  in kB     999.00000   999.00000   999.00000   999.00000   999.00000   999.00000

 POSITION                                       TOTAL-FORCE (eV/Angst) (ML)
 -----------------------------------------------------------------------------------
      4.10155      4.12889      4.23826         9.000000      9.000000      9.000000
      1.91405      2.73436      2.46093         9.000000      9.000000      9.000000
 -----------------------------------------------------------------------------------
  ML FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)
  ---------------------------------------------------
  free  energy ML TOTEN  =        -6.66666666 eV

  ML energy  without entropy=       -6.66666666  ML energy(sigma->0) =       -6.66666666

"""


def test_static_run():
    (step,) = read_outcar(RECORDED / 'static' / OUTCAR).steps
    assert (step.energy, step.energy_zero_smearing, step.n_scf_steps) == (-11.45864342, -11.45864342, 14)


def test_energy_is_the_free_energy_and_not_the_one_without_smearing():
    step = read_outcar(RECORDED / 'relaxation' / OUTCAR).steps[0]
    assert (step.energy, step.energy_zero_smearing) == (-6.50214658, -6.50161629)


def test_stress_is_positive_in_tension():
    """``in kB 13.37991 544.49046 255.28119 -198.81087 -417.05080 161.62424`` is XX YY ZZ XY YZ ZX in compression."""
    stress = read_outcar(RECORDED / 'relaxation' / OUTCAR).steps[0].stress
    expected = [
        [13.37991, -198.81087, 161.62424],
        [-198.81087, 544.49046, -417.05080],
        [161.62424, -417.05080, 255.28119],
    ]
    np.testing.assert_allclose(stress, -np.array(expected) / 1602.176634, rtol=1e-12)


@pytest.mark.parametrize('run', BOTH)
def test_both_files_of_a_run_agree(run):
    """Within the last digits that OUTCAR prints: 1e-5 Å, 1e-6 eV/Å, 1e-5 kbar."""
    one, two = read_outcar(RECORDED / run / OUTCAR), read_vasprun(RECORDED / run / XML)
    assert one.rejected == two.rejected
    first, second = one.frames(), two.frames()
    np.testing.assert_allclose(first.energies, second.energies, rtol=0, atol=1e-8)
    np.testing.assert_allclose(first.positions, second.positions, rtol=0, atol=0.6e-5)
    np.testing.assert_allclose(first.forces, second.forces, rtol=0, atol=0.6e-6)
    np.testing.assert_allclose(first.cells, second.cells, rtol=0, atol=1e-8)
    np.testing.assert_allclose(first.stresses, second.stresses, rtol=0, atol=0.6e-5 / 1602.176634 * 2)
    assert np.array_equal(first.numbers, second.numbers)
    for name in ('energy_zero_smearing', 'n_scf_steps', 'n_electrons', 'total_charge', 'ionic_step'):
        np.testing.assert_allclose(first.columns[name], second.columns[name], rtol=0, atol=1e-8)
    levels = one.settings.level, two.settings.level
    assert {name for name in levels[0] if levels[0][name] != levels[1][name]} <= {'k-points'}
    assert one.settings.potentials == two.settings.potentials


@pytest.mark.parametrize('run', ['relaxation', 'some_unconverged', 'ammonia'])
def test_ase_reads_the_same(run, tmp_path):
    """ASE 3.29 stops at the line "Fermi energy:" of VASP 6.4, which is why ``static`` is not among them."""
    path = changed(run, OUTCAR, {}, tmp_path / 'OUTCAR')
    read = read_outcar(path)
    images = ase.io.read(path, ':')
    compared = {step.number: images[step.number - 1] for step in read.steps}
    for step in read.steps:
        image = compared[step.number]
        assert step.energy == pytest.approx(image.get_potential_energy(force_consistent=True), abs=1e-10)
        assert step.energy_zero_smearing == pytest.approx(image.get_potential_energy(), abs=1e-10)
        np.testing.assert_allclose(step.forces, image.get_forces(), rtol=0, atol=1e-10)
        np.testing.assert_allclose(step.positions, image.positions, rtol=0, atol=1e-10)
        np.testing.assert_allclose(step.cell, image.cell, rtol=0, atol=1e-10)
        if step.stress is not None:
            # ASE takes the value of e of CODATA 2014.
            np.testing.assert_allclose(step.stress, image.get_stress(voigt=False), rtol=1e-7, atol=1e-10)


def test_run_of_another_program_version_that_ase_ships():
    path = Path(ase.__file__).parent / 'test' / 'testdata' / 'vasp' / 'OUTCAR_example_1'
    (step,) = read_outcar(path).steps
    image = ase.io.read(path, format='vasp-out')
    assert step.energy == image.get_potential_energy(force_consistent=True)
    assert step.fermi_level == image.calc.eFermi == -3.7404
    np.testing.assert_allclose(step.forces, image.get_forces(apply_constraint=False), rtol=0, atol=1e-12)


def test_forces_are_the_gradient_of_the_energy_that_is_read():
    """The free energy changes as the work of the forces; 23 steps of a relaxation, 0.1 Å apart at first."""
    comparison = compare_work(read_outcar(RECORDED / 'ammonia' / OUTCAR).frames())
    assert comparison.n_pairs == 22
    assert comparison.slope == pytest.approx(1.0, abs=0.03)
    assert comparison.correlation > 0.999


def test_spin_polarised_run_says_so():
    settings = read_outcar(RECORDED / 'static' / OUTCAR).settings
    assert settings.level_of_theory == (
        'VASP PBEsol, PAW PAW_PBE Si 05Jan2001, without dispersion correction, 250 eV, 92 irreducible k-points, '
        'gaussian smearing of 0.05 eV, free energy, PREC Normal, projectors in reciprocal space, LASPH, spin-polarised'
    )


def test_step_at_the_limit_of_the_scf_is_rejected_although_vasp_says_that_ediff_is_reached():
    run = read_outcar(RECORDED / 'some_unconverged' / OUTCAR)
    assert text_of('some_unconverged', OUTCAR).count('aborting loop because EDIFF is reached') == 5
    (rejected,) = run.rejected
    assert (rejected.n_scf_steps, rejected.limit, len(run.steps)) == (15, 15, 4)
    assert rejected.reason == 'the SCF took 15 steps and its limit NELM is 15, so it did not converge'


@pytest.mark.parametrize(
    ('mark', 'missing'),
    [
        ('Iteration      4(   3)', 'cell vectors, positions and forces, the free energy TOTEN, energy(sigma->0)'),
        ('VOLUME and BASIS', 'cell vectors, positions and forces, the free energy TOTEN, energy(sigma->0)'),
        ('    total drift', 'the free energy TOTEN, energy(sigma->0)'),
        ('energy  without entropy=', 'energy(sigma->0)'),
    ],
)
def test_file_cut_in_a_step_keeps_those_before(mark, missing, tmp_path):
    occurrence = 1 if mark.startswith('Iteration') else 4
    run = read_outcar(cut('relaxation', OUTCAR, mark, occurrence, tmp_path / 'OUTCAR'))
    assert [step.number for step in run.steps] == [1, 2, 3]
    assert [(step.number, step.reason) for step in run.rejected] == [(4, f'the file was cut in it: it lacks {missing}')]


def test_file_cut_in_a_number_does_not_give_the_shorter_number(tmp_path):
    path = cut('relaxation', OUTCAR, '-10.53701997', 2, tmp_path / 'OUTCAR')
    path.write_text(path.read_text() + '-10.5370')
    assert [step.reason for step in read_outcar(path).rejected] == ['the file was cut in it: it lacks energy(sigma->0)']


def test_every_cut_gives_whole_steps_alone(tmp_path):
    """Cut anywhere behind the header, a file gives steps of the whole one, and at most one rejection."""
    text = text_of('some_unconverged', OUTCAR)
    whole = {step.number: step for step in read_outcar(RECORDED / 'some_unconverged' / OUTCAR).steps}
    path = tmp_path / 'OUTCAR'
    for length in range(text.index('Iteration') + 100, len(text), 2999):
        path.write_text(text[:length], encoding='latin-1')
        run = read_outcar(path)
        for step in run.steps:
            assert step.energy == whole[step.number].energy
            assert np.array_equal(step.forces, whole[step.number].forces)
        assert sum('cut' in step.reason for step in run.rejected) <= 1


def test_compressed_files_are_read(tmp_path):
    content = text_of('relaxation', OUTCAR).encode('latin-1')
    (tmp_path / 'OUTCAR.bz2').write_bytes(bz2.compress(content))
    (tmp_path / 'OUTCAR.xz').write_bytes(lzma.compress(content))
    energies = [read_outcar(tmp_path / name).frames().energies.tolist() for name in ('OUTCAR.bz2', 'OUTCAR.xz')]
    assert energies[0] == energies[1] == read_outcar(RECORDED / 'relaxation' / OUTCAR).frames().energies.tolist()


@pytest.mark.parametrize(('name', 'compress'), [('OUTCAR.bz2', bz2.compress), ('OUTCAR.xz', lzma.compress)])
def test_compressed_file_that_is_cut_keeps_what_it_holds(name, compress, tmp_path):
    whole = compress(text_of('ammonia', OUTCAR).encode('latin-1') * 1)
    (tmp_path / name).write_bytes(whole[: len(whole) * 9 // 10])
    if name == 'OUTCAR.bz2':  # one block of bzip2 is larger than this file
        with pytest.raises(FormatError, match=r'^OUTCAR.bz2 is no OUTCAR of VASP: its first lines name no version; '):
            read_outcar(tmp_path / name)
    else:
        run = read_outcar(tmp_path / name)
        assert len(run.steps) > 10
        assert len(run.rejected) == 1


def test_run_that_was_killed_in_its_first_step():
    run = read_outcar(RECORDED / 'stopped_in_first_scf' / OUTCAR)
    assert (len(run.steps), len(run.rejected)) == (0, 1)
    with pytest.raises(FormatError, match=r'^the run has no ionic step that can be used; see what was rejected$'):
        run.frames()


def test_steps_of_linear_response_are_no_ionic_steps():
    run = read_outcar(RECORDED / 'linear_response' / OUTCAR)
    assert (len(run.steps), len(run.rejected)) == (1, 0)


def test_file_that_ends_before_its_first_step(tmp_path):
    path = cut('relaxation', OUTCAR, ' Exchange correlation treatment', 1, tmp_path / 'OUTCAR')
    message = 'OUTCAR ends before its first ionic step, so it holds no label; leave the run out'
    with pytest.raises(FormatError, match=f'^{re.escape(message)}$'):
        read_outcar(path)


def test_other_file_is_refused(tmp_path):
    (tmp_path / 'log').write_text('hello\n' * 100)
    message = 'log is no OUTCAR of VASP: its first lines name no version; give another file'
    with pytest.raises(FormatError, match=f'^{re.escape(message)}$'):
        read_outcar(tmp_path / 'log')


def test_damaged_list_of_potentials_is_refused(tmp_path):
    path = changed(
        'relaxation', OUTCAR, {'ions per type =               2': 'ions per type =               1   1'}, tmp_path / 'O'
    )
    message = (
        'O names 1 potentials for 2 types of atoms and 2 atoms; it is damaged where it lists them, '
        'read vasprun.xml instead'
    )
    with pytest.raises(FormatError, match=f'^{re.escape(message)}$'):
        read_outcar(path)


def test_forces_that_are_printed_as_stars_reject_their_step(tmp_path):
    path = changed('relaxation', OUTCAR, {'-6.096355     11.337138': '**************  11.337138'}, tmp_path / 'OUTCAR')
    run = read_outcar(path)
    assert [step.number for step in run.steps] == [2, 3, 4, 5]
    assert run.rejected[0].reason == ('positions or forces are too large for their columns, so VASP did not print them')


def test_columns_that_touch_are_told_apart(tmp_path):
    changes = {
        '      4.10155      4.12889      4.23826': '   1234.10155  -1234.12889-12345.23826',
        '     0.000000000  2.734364000  2.734364000    -0.18': '     0.000000000102.734364000-12.734364000    -0.18',
    }
    step = read_outcar(changed('relaxation', OUTCAR, changes, tmp_path / 'OUTCAR')).steps[0]
    assert step.positions[0].tolist() == [1234.10155, -1234.12889, -12345.23826]
    assert step.cell[0].tolist() == [0.0, 102.734364, -12.734364]


def test_molecular_dynamics_have_a_time(tmp_path):
    changes = {'IBRION =      1': 'IBRION =      0', 'POTIM  = 0.5000': 'POTIM  = 0.7500'}
    frames = read_outcar(changed('relaxation', OUTCAR, changes, tmp_path / 'OUTCAR')).frames(group='run')
    assert frames.columns['time'].tolist() == [0.0, 0.75, 1.5, 2.25, 3.0]
    assert set(frames.columns['group']) == {'run'}


def test_relaxation_has_no_time():
    assert 'time' not in read_outcar(RECORDED / 'relaxation' / OUTCAR).frames().columns


def test_trace_of_the_stress_alone_is_not_taken_for_a_stress(tmp_path):
    path = changed('relaxation', OUTCAR, {'ISIF   =      2': 'ISIF   =      1'}, tmp_path / 'OUTCAR')
    assert read_outcar(path).frames().stresses is None


def test_step_without_the_stress_that_was_asked_for_is_rejected(tmp_path):
    path = changed('relaxation', OUTCAR, {'  in kB      13.37991': '  no kB      13.37991'}, tmp_path / 'OUTCAR')
    (rejected,) = read_outcar(path).rejected
    assert (rejected.number, rejected.reason) == (1, 'the file holds no stress for it, although ISIF asks for one')


def test_steps_of_a_machine_learned_force_field_are_rejected(tmp_path):
    """Steps 2 and 3 are not computed by VASP; in step 4 the force field is evaluated too."""
    text = text_of('relaxation', OUTCAR)
    second, third, fourth = (
        text.index(f'--------------------------------------- Iteration      {n}(   1)') for n in (2, 3, 4)
    )
    blocks = [MACHINE_LEARNED.format(number=number) for number in (2, 3, 4)]
    path = tmp_path / 'OUTCAR'
    path.write_text(text[:second] + ''.join(blocks) + text[fourth:], encoding='latin-1')
    run = read_outcar(path)
    assert third < fourth
    assert [step.number for step in run.steps] == [1, 4, 5]
    assert [(step.number, step.reason) for step in run.rejected] == [
        (n, 'energy and forces are of a machine-learned force field (ML_LMLFF), not of VASP itself') for n in (2, 3)
    ]
    whole = read_outcar(RECORDED / 'relaxation' / OUTCAR)
    assert np.array_equal(run.steps[1].forces, whole.steps[3].forces)
    assert np.array_equal(run.steps[1].stress, whole.steps[3].stress)


def test_run_of_a_machine_learned_force_field_alone(tmp_path):
    text = text_of('relaxation', OUTCAR)
    header = text[: text.index('--------------------------------------- Iteration')]
    blocks = ''.join(MACHINE_LEARNED.format(number=number) for number in (1, 2, 3))
    (tmp_path / 'OUTCAR').write_text(header + blocks, encoding='latin-1')
    run = read_outcar(tmp_path / 'OUTCAR')
    assert (len(run.steps), [step.number for step in run.rejected]) == (0, [1, 2, 3])


@pytest.mark.parametrize(
    ('number', 'words'),
    [(11, 'D3 with zero damping'), (12, 'D3 with Becke-Johnson damping'), (20, 'Tkatchenko-Scheffler')],
)
def test_dispersion_correction_is_named_with_its_damping(number, words, tmp_path):
    """VASP names it in every ionic step, before the forces."""
    block = f'         DFTD3 V3.0 Rev 1\n IVDW         = {number}\n Edisp (eV)  -28.80731\n  FORCE on cell'
    path = changed('relaxation', OUTCAR, {'  FORCE on cell': block}, tmp_path / 'OUTCAR')
    assert words in read_outcar(path).settings.level_of_theory


def test_dispersion_correction_without_a_name_is_not_passed_over(tmp_path):
    block = ' Edisp (eV)  -28.80731\n  FORCE on cell'
    path = changed('relaxation', OUTCAR, {'  FORCE on cell': block}, tmp_path / 'OUTCAR')
    assert 'a dispersion correction that is not named' in read_outcar(path).settings.level_of_theory


def test_spacing_of_k_points_is_named_if_there_is_no_file_of_them(tmp_path):
    path = changed('static', OUTCAR, {'   ISPIN = 2\n': '   ISPIN = 2\n   KSPACING = 0.18\n'}, tmp_path / 'OUTCAR')
    assert read_outcar(path).settings.k_points == 'k-points every 0.18/Å'


def test_file_of_k_points_overrules_the_spacing(tmp_path):
    path = changed('static', OUTCAR, {'   ISPIN = 2\n': '   ISPIN = 2\n   KSPACING = 0.18\n'}, tmp_path / 'OUTCAR')
    (tmp_path / 'KPOINTS').write_text('mesh\n0\nGamma\n4 4 1\n0 0 0\n')
    assert read_outcar(path).settings.k_points == '4x4x1 k-points around Gamma'


def test_input_beside_the_file_says_what_old_versions_do_not_repeat(tmp_path):
    path = changed('relaxation', OUTCAR, {}, tmp_path / 'OUTCAR')
    (tmp_path / 'INCAR').write_text('kspacing = 0.22 ; ismear = 1 # is overruled by what was used\nEFIELD = 0.1\n')
    settings = read_outcar(path).settings
    assert settings.k_points == 'k-points every 0.22/Å'
    assert 'gaussian smearing of 0.05 eV' in settings.level_of_theory
    assert settings.level_of_theory.endswith('EFIELD = 0.1')


def test_total_charge_follows_from_the_electrons(tmp_path):
    path = changed('relaxation', OUTCAR, {'NELECT =       8.0000': 'NELECT =       9.0000'}, tmp_path / 'OUTCAR')
    run = read_outcar(path)
    assert set(run.frames().columns['total_charge']) == {-1.0}
    assert 'total charge against a uniform background' in run.settings.level_of_theory


def test_atoms_of_several_elements_stand_in_the_order_of_the_file():
    assert read_outcar(RECORDED / 'ammonia' / OUTCAR).settings.numbers.tolist() == [1, 1, 1, 7]


def test_tag_that_is_no_number_is_named(tmp_path):
    path = changed('relaxation', OUTCAR, {'NELM   =     20;': 'NELM   =     **;'}, tmp_path / 'OUTCAR')
    message = "the tag NELM is '**', which is no number; the file is damaged there"
    with pytest.raises(FormatError, match=f'^{re.escape(message)}$'):
        read_outcar(path)
