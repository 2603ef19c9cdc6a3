"""vasprun.xml: labels of every ionic step, against the reader of ASE."""

from __future__ import annotations

import re
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
from vasp_cases import RECORDED, XML, changed, cut

from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.vasp_run import divisions_of_spacing
from aiida_edl.science.formats.vasp_xml import read_vasprun

OF_ASE = Path(ase.__file__).parent / 'test' / 'testdata' / 'vasp'


@pytest.mark.parametrize('run', ['static', 'relaxation', 'some_unconverged'])
def test_ase_reads_the_same(run, tmp_path):
    path = changed(run, XML, {}, tmp_path / 'vasprun.xml')
    read, images = read_vasprun(path), ase.io.read(path, ':')
    assert len(read.steps) + len(read.rejected) == len(images)
    for step in read.steps:
        image = images[step.number - 1]
        assert step.energy == pytest.approx(image.get_potential_energy(force_consistent=True), abs=1e-10)
        assert step.energy_zero_smearing == pytest.approx(image.get_potential_energy(), abs=1e-10)
        np.testing.assert_allclose(step.forces, image.get_forces(), rtol=0, atol=1e-12)
        np.testing.assert_allclose(step.positions, image.positions, rtol=0, atol=1e-12)
        # ASE takes the value of e of CODATA 2014.
        np.testing.assert_allclose(step.stress, image.get_stress(voigt=False), rtol=1e-7, atol=1e-12)


def test_work_against_an_external_pressure_is_no_part_of_the_energy():
    """ASE takes it out too, with the value of e of CODATA 2014."""
    path = OF_ASE / 'vasprun_pstress.xml'
    (step,) = read_vasprun(path).steps
    image = ase.io.read(path)
    assert step.energy == pytest.approx(image.get_potential_energy(force_consistent=True), abs=1e-7)
    stored = float(re.findall(r'e_fr_energy">\s*(\S+)', path.read_text())[-1])
    assert step.energy - stored == pytest.approx(-1.0 / 1602.176634 * abs(np.linalg.det(step.cell)), abs=1e-8)


def test_names_of_the_last_energies_are_not_trusted():
    """What VASP calls e_0_energy there is the entropy: -0.00106059 eV."""
    step = read_vasprun(RECORDED / 'relaxation' / XML).steps[0]
    assert (step.energy, round(step.energy_zero_smearing, 8)) == (-6.50214658, -6.50161629)


def test_step_at_the_limit_of_the_scf_is_rejected():
    run = read_vasprun(RECORDED / 'some_unconverged' / XML)
    assert [(step.n_scf_steps, step.limit) for step in run.rejected] == [(15, 15)]


def test_file_cut_in_a_step_keeps_those_before(tmp_path):
    run = read_vasprun(cut('relaxation', XML, '<varray name="forces" >', 4, tmp_path / 'vasprun.xml'))
    assert [step.number for step in run.steps] == [1, 2, 3]
    assert [(step.number, step.reason) for step in run.rejected] == [(4, 'the file was cut in it')]


def test_file_cut_between_steps_rejects_nothing(tmp_path):
    run = read_vasprun(cut('relaxation', XML, '<calculation>', 4, tmp_path / 'vasprun.xml'))
    assert ([step.number for step in run.steps], run.rejected) == ([1, 2, 3], ())


def test_compressed_file_that_is_cut_keeps_what_it_holds(tmp_path):
    whole = (RECORDED / 'relaxation' / XML).read_bytes()
    (tmp_path / 'vasprun.xml.gz').write_bytes(whole[: len(whole) * 9 // 10])
    run = read_vasprun(tmp_path / 'vasprun.xml.gz')
    assert 0 < len(run.steps) < 5


def test_file_that_ends_before_its_first_step(tmp_path):
    path = cut('relaxation', XML, '<atominfo>', 1, tmp_path / 'vasprun.xml')
    message = 'vasprun.xml ends before its first ionic step, so it holds no label; leave the run out'
    with pytest.raises(FormatError, match=f'^{re.escape(message)}$'):
        read_vasprun(path)


def test_other_file_of_this_kind_is_refused(tmp_path):
    (tmp_path / 'page.xml').write_text('<html><body/></html>')
    message = 'page.xml is no vasprun.xml: it holds <html>, not <modeling>; give another file'
    with pytest.raises(FormatError, match=f'^{re.escape(message)}$'):
        read_vasprun(tmp_path / 'page.xml')


def test_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / 'log').write_text('hello\n')
    with pytest.raises(FormatError, match=r'^log is no vasprun.xml \(.*\); give another file$'):
        read_vasprun(tmp_path / 'log')


def test_step_without_scf_is_of_a_machine_learned_force_field(tmp_path):
    text = changed(
        'relaxation', XML, {'<incar>': '<incar>\n  <i type="logical" name="ML_LMLFF"> T  </i>'}, tmp_path / 'a'
    )
    content = text.read_text(encoding='latin-1')
    start = content.index('<calculation>')
    end = content.index('<structure>', start)
    path = tmp_path / 'vasprun.xml'
    path.write_text(content[:start] + '<calculation>\n' + content[end:], encoding='latin-1')
    run = read_vasprun(path)
    assert [step.number for step in run.steps] == [2, 3, 4, 5]
    assert run.rejected[0].reason == (
        'energy and forces are of a machine-learned force field (ML_LMLFF), not of VASP itself'
    )


def test_spacing_of_k_points_is_named_if_the_mesh_follows_from_it(tmp_path):
    """2π |b| = 1.9900/Å of each reciprocal vector of Si: 0.6/Å gives 4 points, as the file has."""
    path = changed('relaxation', XML, {'<incar>': '<incar>\n  <i name="KSPACING">      0.60000000</i>'}, tmp_path / 'v')
    assert read_vasprun(path).settings.k_points == 'k-points every 0.6/Å'


def test_mesh_of_a_file_of_k_points_overrules_the_spacing(tmp_path):
    path = changed('relaxation', XML, {'<incar>': '<incar>\n  <i name="KSPACING">      0.18000000</i>'}, tmp_path / 'v')
    assert read_vasprun(path).settings.k_points == '4x4x4 k-points of Monkhorst and Pack'


@pytest.mark.parametrize(('spacing', 'mesh'), [(0.5, (2, 3, 1)), (2.0 * np.pi / 10.0, (1, 2, 1)), (0.18, (4, 7, 2))])
def test_mesh_of_a_spacing(spacing, mesh):
    """2π/a over the spacing, rounded up: sides of 10, 5 and 20 Å."""
    assert divisions_of_spacing(spacing, np.diag([10.0, 5.0, 20.0])) == mesh


def test_level_of_theory_of_a_slab(tmp_path):
    changes = {
        '<incar>': '<incar>\n  <i type="int" name="IVDW">    11</i>\n  <i name="KSPACING">      0.60000000</i>',
        '<i type="string" name="GGA">--</i>': '<i type="string" name="GGA">RP</i>',
        '<i type="logical" name="LDIPOL"> F  </i>': '<i type="logical" name="LDIPOL"> T  </i>',
        '<i type="int" name="IDIPOL">     0</i>': '<i type="int" name="IDIPOL">     3</i>',
    }
    assert read_vasprun(changed('relaxation', XML, changes, tmp_path / 'v')).settings.level_of_theory == (
        'VASP RPBE, PAW PAW_PBE Si 05Jan2001, D3 with zero damping, 300 eV, k-points every 0.6/Å, gaussian smearing of '
        '0.05 eV, free energy, PREC Accurate, projectors in real space, LASPH, dipole correction along z'
    )


def test_linear_response_hides_the_number_of_scf_steps():
    run = read_vasprun(RECORDED / 'linear_response' / XML)
    assert [step.reason for step in run.rejected] == [
        'its 164 SCF steps include those of linear response, so that the limit NELM of 60 says nothing; '
        'read OUTCAR instead'
    ]
