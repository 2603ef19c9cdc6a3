"""Runs of VASP as a data set: which file is read, trees of runs, levels of theory that differ, runs that are broken."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vasp_cases import OUTCAR, RECORDED, XML, changed, cut

from aiida_edl.science.formats.base import dataset_format, recognised_format
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.frame_collection import FramesRead
from aiida_edl.science.formats.label_checks import LabelLimits
from aiida_edl.science.formats.vasp_run import IonicStep, VaspRunSettings, frame_of_step
from aiida_edl.science.formats.vasp_runs import choose_file
from aiida_edl.science.frames import Frame


def read(source: Path, **options: Any) -> FramesRead:
    """Return what is read of a source."""
    member = dataset_format('vasp_run')
    return member.read(source, member.make_read_options(options))


def statements(source: Path) -> Any:
    """Return what a source says of itself."""
    member = dataset_format('vasp_run')
    return member.statements(source, member.make_read_options({}))


def film_frame(heights: list[float], tags: dict[str, str], vector: tuple[float, ...] = (0.0, 0.0, 20.0)) -> Frame:
    """Return the frame of a step with three atoms at heights [Å] in a cell with this third vector [Å]."""
    step = IonicStep(
        number=1,
        positions=np.column_stack([[0.0, 1.0, 2.0], [0.0, 0.0, 0.0], heights]),
        cell=np.array([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], vector]),
        energy=-1.0,
        energy_zero_smearing=-1.0,
        forces=np.zeros((3, 3)),
        stress=None,
        fermi_level=0.0,
        n_scf_steps=5,
    )
    return frame_of_step(step, VaspRunSettings('6.4.2', tags, ('PAW_PBE Au 04Oct2007',), (3,), (11.0,), ''), None)


def refused(source: Path, message: str, **options: Any) -> None:
    """Assert that a source is refused with this whole message."""
    with pytest.raises(FormatError, match=f'^{re.escape(message)}$'):
        read(source, **options)


def test_whole_xml_is_preferred_for_its_digits():
    frames = read(RECORDED / 'relaxation').frames
    assert np.abs(frames.forces * 1e6 - np.round(frames.forces * 1e6)).max() > 0.01


def test_cut_xml_gives_way_to_the_other_file_but_names_the_k_points(tmp_path):
    shutil.copy(RECORDED / 'relaxation' / OUTCAR, tmp_path)
    cut('relaxation', XML, '<varray name="forces" >', 2, tmp_path / 'vasprun.xml')
    assert len(read(tmp_path).frames) == 5
    assert '4x4x4 k-points of Monkhorst and Pack' in statements(tmp_path)['level_of_theory']


def test_linear_response_is_read_from_the_file_that_tells_its_steps_apart():
    result = read(RECORDED / 'linear_response')
    assert (len(result.frames), result.rejected) == (1, ())
    assert int(result.frames.columns['n_scf_steps'][0]) < 60


def test_cut_xml_alone_gives_the_steps_before_the_cut(tmp_path):
    cut('relaxation', XML, '<varray name="forces" >', 4, tmp_path / 'vasprun.xml')
    result = read(tmp_path)
    assert len(result.frames) == 3
    assert result.rejected == ((3, f'{tmp_path.name}: ionic step 4: the file was cut in it'),)


@pytest.mark.parametrize('name', [OUTCAR, XML])
def test_single_file_is_a_run(name):
    source = RECORDED / 'relaxation' / name
    assert recognised_format(source).name == 'vasp_run'
    assert set(read(source).frames.columns['group']) == {name}


def test_frames_carry_what_is_known_of_them():
    frames = read(RECORDED / 'some_unconverged').frames
    assert sorted(frames.columns) == [
        'charge_state', 'energy_zero_smearing', 'fermi_level', 'group', 'ionic_step', 'n_electrons', 'n_scf_steps',
        'total_charge',
    ]  # fmt: skip
    assert set(frames.columns['n_electrons']) == {4.0}
    assert frames.pbc.all()


def test_unconverged_step_is_listed_with_its_steps_and_limit():
    assert read(RECORDED / 'some_unconverged').rejected == (
        (0, 'some_unconverged: ionic step 1: the SCF took 15 steps and its limit NELM is 15, so it did not converge'),
    )


def test_tree_gives_every_run_a_group_and_lists_the_broken(tmp_path):
    for name in ('a/one', 'a/two'):
        shutil.copytree(RECORDED / 'relaxation', tmp_path / name)
    shutil.copytree(RECORDED / 'stopped_in_first_scf', tmp_path / 'b')
    cut('relaxation', OUTCAR, 'Exchange correlation treatment', 1, tmp_path / 'c' / 'OUTCAR')
    (tmp_path / 'd').mkdir()
    result = read(tmp_path, accept_different_levels=True)
    assert result.frames.columns['group'].tolist() == ['a/one'] * 5 + ['a/two'] * 5
    assert [reason.partition(':')[0] for _, reason in result.rejected] == ['b', 'c']
    assert result.rejected[1][1] == (
        'c: OUTCAR ends before its first ionic step, so it holds no label; leave the run out'
    )


def test_tree_of_different_levels_is_refused(tmp_path):
    shutil.copytree(RECORDED / 'relaxation', tmp_path / 'a')
    changes = {
        '<i name="ENMAX">    300.00000000</i>': '<i name="ENMAX">    450.00000000</i>',
        '<i type="string" name="GGA">--</i>': '<i type="string" name="GGA">RP</i>',
    }
    for name in ('b', 'c'):
        changed('relaxation', XML, changes, tmp_path / name / 'vasprun.xml')
    refused(
        tmp_path,
        f"{tmp_path.name}: runs differ in their level of theory, 2 of 3 from the first; 'a' and 'b' in functional "
        "('VASP PBE' and 'VASP RPBE'), cutoff ('300 eV' and '450 eV'); import them apart, or state "
        'accept_different_levels',
    )


def test_tree_of_different_levels_is_read_when_that_is_said(tmp_path):
    shutil.copytree(RECORDED / 'relaxation', tmp_path / 'a')
    changed('relaxation', XML, {'<i type="string" name="GGA">--</i>': '<i type="string" name="GGA">RP</i>'},
            tmp_path / 'b' / 'vasprun.xml')  # fmt: skip
    assert len(read(tmp_path, accept_different_levels=True).frames) == 10
    assert statements(tmp_path)['level_of_theory'].count('; or: ') == 1


def test_other_potential_of_the_same_element_is_another_level(tmp_path):
    shutil.copytree(RECORDED / 'relaxation', tmp_path / 'a')
    changed('relaxation', XML, {'PAW_PBE Si 05Jan2001': 'PAW_PBE Si_GW 04May2012'}, tmp_path / 'b' / 'vasprun.xml')
    refused(
        tmp_path,
        f"{tmp_path.name}: runs differ in their level of theory, 1 of 2 from the first; 'a' and 'b' in potential of Si "
        "('PAW PAW_PBE Si 05Jan2001' and 'PAW PAW_PBE Si_GW 04May2012'); import them apart, or state "
        'accept_different_levels',
    )


def test_other_elements_are_no_other_level(tmp_path):
    shutil.copytree(RECORDED / 'relaxation', tmp_path / 'a')
    changed('relaxation', XML, {'PAW_PBE Si 05Jan2001': 'PAW_PBE Ge 05Jan2001'}, tmp_path / 'b' / 'vasprun.xml')
    assert len(read(tmp_path).frames) == 10


def test_other_version_is_no_other_level(tmp_path):
    shutil.copytree(RECORDED / 'relaxation', tmp_path / 'a')
    changed('relaxation', XML, {'5.4.4.18Apr17-6-g9f103f2a35': '6.4.2'}, tmp_path / 'b' / 'vasprun.xml')
    assert len(read(tmp_path).frames) == 10
    assert statements(tmp_path)['versions'] == ['5.4.4.18Apr17-6-g9f103f2a35', '6.4.2']


def test_stress_that_not_all_runs_have_is_left_out_and_that_is_said(tmp_path):
    shutil.copytree(RECORDED / 'relaxation', tmp_path / 'a')
    changed('relaxation', XML, {'<i type="int" name="ISIF">     2</i>': '<i type="int" name="ISIF">     0</i>'},
            tmp_path / 'b' / 'vasprun.xml')  # fmt: skip
    result = read(tmp_path)
    assert (len(result.frames), result.frames.stresses, result.rejected) == (10, None, ())
    assert statements(tmp_path)['stress'] == 'left out: 1 of 2 runs have none'


def test_time_is_kept_if_all_runs_are_dynamics(tmp_path):
    changes = {'<i type="int" name="IBRION">     1</i>': '<i type="int" name="IBRION">     0</i>'}
    for name in ('a', 'b'):
        changed('relaxation', XML, changes, tmp_path / name / 'vasprun.xml')
    assert read(tmp_path).frames.columns['time'].tolist() == 2 * [0.0, 0.5, 1.0, 1.5, 2.0]


def test_statements_name_version_potentials_and_limit():
    assert statements(RECORDED / 'relaxation') == {
        'level_of_theory': (
            'VASP PBE, PAW PAW_PBE Si 05Jan2001, without dispersion correction, 300 eV, '
            '4x4x4 k-points of Monkhorst and Pack, gaussian smearing of 0.05 eV, free energy, PREC Accurate, '
            'projectors in real space, LASPH'
        ),
        'versions': ['5.4.4.18Apr17-6-g9f103f2a35'],
        'potentials': {'Si': 'PAW PAW_PBE Si 05Jan2001'},
        'n_runs': 1,
        'maximum_scf_steps': [20],
    }


def test_relaxed_structures_are_no_sign_of_a_wrong_unit():
    """Their forces are small; the unit of a program's own file is known."""
    assert np.abs(read(RECORDED / 'static').frames.forces).max() < 0.03


def test_bound_that_is_stated_holds():
    message = 'relaxation: the median force is '
    with pytest.raises(FormatError, match=f'^{message}'):
        dataset_format('vasp_run').read(RECORDED / 'relaxation', limits=LabelLimits(maximum_median_force=1.0))


def test_folder_without_runs_is_refused(tmp_path):
    refused(tmp_path, f"'{tmp_path.name}' holds no run; give OUTCAR, vasprun.xml, or a folder with such files")


def test_damaged_compressed_file_is_one_broken_run(tmp_path):
    shutil.copytree(RECORDED / 'relaxation', tmp_path / 'a')
    (tmp_path / 'b').mkdir()
    (tmp_path / 'b' / 'OUTCAR.gz').write_bytes(b'\x1f\x8b\x08\x00')
    result = read(tmp_path)
    assert len(result.frames) == 5
    assert result.rejected[0][1].startswith('b: OUTCAR.gz is damaged where it is compressed')


@pytest.mark.parametrize('heights', [[5.0, 6.0, 8.0], [18.5, 19.5, 1.5], [0.0, 19.0, 2.0]])
def test_film_is_in_one_piece_and_open_along_z(heights):
    """Where the boundary of the cell cuts it, atoms are moved by a whole cell vector."""
    frame = film_frame(heights, {'LDIPOL': 'T', 'IDIPOL': '3'})
    assert frame.pbc.tolist() == [True, True, False]
    assert np.ptp(frame.positions[:, 2]) == 3.0
    moves = frame.positions - np.column_stack([[0.0, 1.0, 2.0], [0.0, 0.0, 0.0], heights])
    assert np.array_equal(moves[:, :2], np.zeros((3, 2)))
    assert set(moves[:, 2].tolist()) <= {-20.0, 0.0, 20.0}


@pytest.mark.parametrize(
    ('vector', 'tags'),
    [
        ((0.0, 0.0, 20.0), {'LDIPOL': 'F', 'IDIPOL': '3'}),
        ((0.0, 0.0, 20.0), {'LDIPOL': 'T', 'IDIPOL': '1'}),
        ((1.0, 0.0, 20.0), {'LDIPOL': 'T', 'IDIPOL': '3'}),
        ((0.0, 0.0, 7.5), {'LDIPOL': 'T', 'IDIPOL': '3'}),
    ],
    ids=['energy alone', 'along x', 'oblique', '4.5 Å of vacuum'],
)
def test_other_frames_stay_periodic(vector, tags):
    frame = film_frame([5.0, 6.0, 8.0], tags, vector)
    assert frame.pbc.all()
    assert frame.positions[:, 2].tolist() == [5.0, 6.0, 8.0]


def test_film_is_known_by_the_tags_of_both_files(tmp_path):
    xml = {
        '<i type="logical" name="LDIPOL"> F  </i>': '<i type="logical" name="LDIPOL"> T  </i>',
        '<i type="int" name="IDIPOL">     0</i>': '<i type="int" name="IDIPOL">     3</i>',
    }
    outcar = {'LDIPOL =      F': 'LDIPOL =      T', 'IDIPOL =      0': 'IDIPOL =      3'}
    files = [changed('relaxation', XML, xml, tmp_path / 'vasprun.xml')]
    files += [changed('relaxation', OUTCAR, outcar, tmp_path / 'OUTCAR')]
    assert [choose_file(path).settings.is_film for path in files] == [True, True]
    assert not choose_file(RECORDED / 'relaxation').settings.is_film
