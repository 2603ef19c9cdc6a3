"""Runs of CP2K as a data set: single points, and molecular dynamics with files matched by the number of the step."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cp2k_cases import RECORDED as SINGLE_POINTS
from cp2k_cases import charged_film, lithium_fluoride, water

from aiida_edl.science import units
from aiida_edl.science.formats.base import dataset_format, recognised_format
from aiida_edl.science.formats.cp2k_header import read_cp2k_header
from aiida_edl.science.formats.cp2k_output import read_cp2k_output
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.frame_collection import FramesRead

RECORDED = Path(__file__).parents[2] / 'fixtures' / 'formats' / 'cp2k'
LEVEL = (
    'CP2K RPBE, SZV-MOLOPT-SR-GTH GTH-PBE-q1 of H, SZV-MOLOPT-SR-GTH GTH-PBE-q6 of O, D3 with zero damping, 120/30 Ry, '
    '1x1x1 k-points, integer occupations'
)


def read(source: Path, **options: Any) -> FramesRead:
    """Return what is read of a source."""
    member = dataset_format('cp2k_run')
    return member.read(source, member.make_read_options(options))


def statements(source: Path, **options: Any) -> Any:
    """Return what a source says of itself."""
    member = dataset_format('cp2k_run')
    return member.statements(source, member.make_read_options(options))


def refused(source: Path, message: str, **options: Any) -> None:
    """Assert that a source is refused with this whole message."""
    with pytest.raises(FormatError, match=f'^{re.escape(message)}$'):
        read(source, **options)


def unpacked(run: str, target: Path, change: Callable[[str, str], str] = lambda name, text: text) -> Path:
    """Write the files of a recorded run, each changed."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted((RECORDED / run).iterdir()):
        (target / path.stem).write_text(change(path.stem, gzip.decompress(path.read_bytes()).decode()))
    return target


def single_point(name: str) -> str:
    """Return the recorded output of a single point."""
    return gzip.decompress((SINGLE_POINTS / f'{name}.out.gz').read_bytes()).decode()


def test_single_point():
    frames = read(SINGLE_POINTS / 'water.out.gz').frames
    output = read_cp2k_output(single_point('water'))
    assert frames.energies.tolist() == [output.energy]
    assert np.array_equal(frames.forces, output.forces)
    assert np.array_equal(frames.stresses[0], output.stress)
    np.testing.assert_allclose(frames.positions, water().positions, rtol=0, atol=0.6e-6)
    np.testing.assert_allclose(frames.cells[0], water().cell, rtol=0, atol=1e-6)
    assert frames.numbers.tolist() == [8, 1, 1]


def test_cell_has_the_digits_of_lengths_and_angles():
    """The vectors are printed with three decimals; the film has sides of 5.769991, 4.996959 and 28.611452 Å."""
    header = read_cp2k_header(single_point('charged_film'))
    np.testing.assert_allclose(np.sort(np.diag(header.cell)), np.sort(np.diag(charged_film().cell)), rtol=0, atol=1e-6)


@pytest.mark.parametrize(('name', 'frame'), [('lithium_fluoride', lithium_fluoride), ('water', water)])
def test_atoms_and_cell_are_those_that_were_computed(name, frame):
    header = read_cp2k_header(single_point(name))
    np.testing.assert_allclose(header.cell, frame().cell, rtol=0, atol=1e-6)
    np.testing.assert_allclose(header.positions, frame().positions, rtol=0, atol=1e-6)


def test_skew_cell_has_the_digits_of_lengths_and_angles():
    """A hexagonal cell of 2.970123 Å and 20 Å as CP2K prints it."""
    rows = {'a': (2.970123, 0.0, 0.0), 'b': (1.4850615, 2.572202, 0.0), 'c': (0.0, 0.0, 20.0)}
    text = single_point('water')
    for name, row in rows.items():
        printed = '     '.join(f'{value:.3f}' for value in row)
        line = f' CELL| Vector {name} [angstrom]:       {printed}   |{name}| =     {np.linalg.norm(row):.6f}'
        text = re.sub(rf'^ CELL\| Vector {name} .*$', line, text, flags=re.M)
    text = text.replace('gamma [degree]:                                    90.0', 'gamma [degree]:           60.0')
    np.testing.assert_allclose(read_cp2k_header(text).cell, list(rows.values()), rtol=0, atol=2e-6)


def test_level_of_theory_is_read_from_the_output():
    assert statements(SINGLE_POINTS / 'water.out.gz') == {
        'level_of_theory': LEVEL,
        'versions': ['2023.1'],
        'potentials': {'O': 'SZV-MOLOPT-SR-GTH GTH-PBE-q6 of O', 'H': 'SZV-MOLOPT-SR-GTH GTH-PBE-q1 of H'},
        'n_runs': 1,
        'maximum_scf_steps': [20],
    }


def test_film_without_images_says_so():
    level = statements(SINGLE_POINTS / 'charged_film.out.gz')['level_of_theory']
    assert level.endswith(', periodic along XZ by the Poisson solver WAVELET')


def test_film_that_is_open_along_y_is_turned_back():
    """CP2K computes it open along y, and moved to the middle of its cell."""
    frame, film = read(SINGLE_POINTS / 'charged_film.out.gz').frames.frame(0), charged_film()
    output = read_cp2k_output(single_point('charged_film'))
    assert frame.pbc.tolist() == [True, True, False]
    np.testing.assert_allclose(frame.cell, film.cell, rtol=0, atol=1e-6)
    shifts = frame.positions - film.positions
    np.testing.assert_allclose(shifts, np.broadcast_to(shifts[0] * [0, 0, 1], shifts.shape), rtol=0, atol=2e-6)
    assert np.array_equal(frame.forces, output.forces[:, [2, 0, 1]])


def test_dipole_correction_stands_in_the_input_alone(tmp_path):
    (tmp_path / 'frame_00000.out').write_text(single_point('water'))
    (tmp_path / 'frame_00000.inp').write_text('&DFT\n  SURFACE_DIPOLE_CORRECTION T\n  SURF_DIP_DIR Z\n&END DFT\n')
    assert statements(tmp_path)['level_of_theory'].endswith(', dipole correction of the surface')
    (tmp_path / 'frame_00000.inp').write_text('&DFT\n  SURFACE_DIPOLE_CORRECTION F\n  SURF_DIP_DIR Z\n&END DFT\n')
    assert statements(tmp_path)['level_of_theory'] == LEVEL


def test_folder_of_single_points_keeps_the_good_and_lists_the_others(tmp_path):
    for name in ('water', 'aborted', 'unconverged', 'wrong_keyword'):
        shutil.copy(SINGLE_POINTS / f'{name}.out.gz', tmp_path)
    (tmp_path / 'cut.out').write_text(single_point('water').partition('SUM OF ATOMIC FORCES')[0])
    (tmp_path / 'forceless.out').write_text(single_point('water').replace('ATOMIC FORCES in [a.u.]', ''))
    member = dataset_format('cp2k_run')
    options = member.make_read_options({'accept_different_levels': True})
    result = member.read(tmp_path, options, maximum_failed_fraction=0.9)
    assert result.frames.columns['group'].tolist() == ['water']
    assert [reason for _, reason in result.rejected] == [
        'aborted: aborted.out.gz: CP2K aborted: The requested basis set <SZV-MOLOPT-XX-GTH> for element <O> was not '
        'found in the basis set files <BASIS_MOLOPT>',
        'cut: the output of CP2K ends early',
        'forceless: it has no forces; CP2K prints them with FORCE_EVAL/PRINT/FORCES',
        'unconverged: the SCF did not converge in 3 steps; the limit max_scf of each loop is 3',
        'wrong_keyword: wrong_keyword.out.gz: CP2K aborted: found an unknown keyword CHRGE in section DFT',
    ]


def test_different_levels_are_refused(tmp_path):
    for name in ('unrestricted', 'water'):
        shutil.copy(SINGLE_POINTS / f'{name}.out.gz', tmp_path)
    refused(
        tmp_path,
        f"{tmp_path.name}: runs differ in their level of theory, 1 of 2 from the first; 'unrestricted' and 'water' in "
        "spins ('spin-polarised, multiplicity 1' and 'none'), occupations ('electronic temperature 1000 K' and "
        "'integer occupations'); import them apart, or state accept_different_levels",
    )


def test_first_step_of_dynamics_is_the_single_point():
    """Other files and other units for the same frame: Ha/Bohr in XYZ, and the stress without its kinetic part."""
    frames, output = read(RECORDED / 'water').frames, read_cp2k_output(single_point('water'))
    assert frames.energies[0] == pytest.approx(output.energy, abs=1e-8)
    np.testing.assert_allclose(frames.forces[:3], output.forces, rtol=0, atol=2e-6)
    np.testing.assert_allclose(frames.stresses[0], output.stress, rtol=0, atol=1e-8)
    np.testing.assert_allclose(frames.positions[:3], water().positions, rtol=0, atol=1e-9)


def test_file_of_stresses_has_a_kinetic_part_and_is_not_read():
    """It differs by 2 E_kin / (3 V) on average: 0.00285 Ha in 273 Å³ at the first step."""
    lines = gzip.decompress((RECORDED / 'water' / 'water-1.stress.gz').read_bytes()).decode().splitlines()
    diagonal = np.array(lines[1].split()[2:], dtype=float).reshape(3, 3).diagonal() * 0.001 * units.KILOBAR
    difference = float(np.mean(diagonal + read(RECORDED / 'water').frames.stresses[0].diagonal()))
    assert difference == pytest.approx(2.0 * 0.002850134 * units.HARTREE / (3.0 * 273.0), rel=1e-3)


def test_stress_of_dynamics_is_in_the_unit_that_its_heading_names(tmp_path):
    source = unpacked('water', tmp_path, lambda name, text: text.replace('stress tensor [GPa]', 'stress tensor [bar]'))
    expected = read(RECORDED / 'water').frames.stresses * 1e-4
    np.testing.assert_allclose(read(source).frames.stresses, expected, rtol=1e-12)


def test_stress_of_dynamics_in_an_unknown_unit_is_refused(tmp_path):
    source = unpacked('water', tmp_path, lambda name, text: text.replace('stress tensor [GPa]', 'stress tensor [au_p]'))
    with pytest.raises(FormatError, match="the stress is in the unit 'au_p', which is not known; print it in GPa, MPa"):
        read(source)


def test_checksum_is_that_of_outputs_inputs_and_trajectories(tmp_path):
    source = unpacked('water', tmp_path)
    name = read_cp2k_header((source / 'water.out').read_text()).input_name
    for other in (Path(name).name, 'water-RESTART.wfn'):
        (source / other).write_text('')
    read_files = [path.name for path in dataset_format('cp2k_run').files_read(source)]
    assert read_files == sorted(['water-1.cell', 'water-frc-1.xyz', 'water-pos-1.xyz', 'water.out', Path(name).name])


def test_steps_are_matched_by_number():
    """Forces are there of every second step, positions of every step."""
    frames = read(RECORDED / 'water').frames
    assert frames.columns['ionic_step'].tolist() == [0, 2, 4, 6]
    assert frames.columns['time'].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert frames.columns['n_scf_steps'].tolist() == [11, 8, 9, 8]


def test_unconverged_step_is_rejected_with_its_steps_and_limit():
    result = read(RECORDED / 'unconverged')
    assert result.frames.columns['ionic_step'].tolist() == [2, 4]
    assert result.rejected == (
        (0, 'water: step 0: the SCF did not converge in 12 steps; the limit max_scf of each loop is 6'),
    )


def test_cells_that_change_are_those_of_their_step():
    frames = read(RECORDED / 'changing_cell').frames
    lines = gzip.decompress((RECORDED / 'changing_cell' / 'water-1.cell.gz').read_bytes()).decode().splitlines()
    assert frames.cells[1].ravel().tolist() == [float(word) for word in lines[3].split()[2:11]]


def test_cells_that_change_without_their_file_are_refused(tmp_path):
    source = unpacked('changing_cell', tmp_path / 'run')
    (source / 'water-1.cell').unlink()
    refused(source, 'water: there is no water-1.cell, and in the ensemble NPT_F the cell changes')


def test_cell_that_does_not_change_is_read_from_the_output(tmp_path):
    source = unpacked('water', tmp_path / 'run')
    (source / 'water-1.cell').unlink()
    assert np.array_equal(read(source).frames.cells, np.tile(np.diag([6.0, 6.5, 7.0]), (4, 1, 1)))


def test_trajectory_cut_in_a_frame_keeps_those_before(tmp_path):
    source = unpacked('water', tmp_path / 'run')
    text = (source / 'water-frc-1.xyz').read_text()
    (source / 'water-frc-1.xyz').write_text(text[: text.rindex('\n', 0, len(text) - 40)])
    assert read(source).frames.columns['ionic_step'].tolist() == [0, 2, 4]


def test_output_that_is_cut_leaves_steps_of_unknown_convergence_out(tmp_path):
    source = unpacked('water', tmp_path / 'run')
    text = (source / 'water.out').read_text()
    (source / 'water.out').write_text(
        text[: text.index('MD| Step number                                                               4')]
    )
    result = read(source)
    assert result.frames.columns['ionic_step'].tolist() == [0, 2]
    assert [reason for _, reason in result.rejected] == [
        f'water: step {number}: the output has no such step, so that it is not known whether its SCF converged'
        for number in (4, 6)
    ]


def test_trajectory_without_an_output_is_refused_unless_that_is_said(tmp_path):
    source = unpacked('water', tmp_path / 'run')
    (source / 'water.out').unlink()
    refused(
        source,
        'water-pos-1: no output beside water-pos-1.xyz tells which self-consistent fields converged; put it there, or '
        'state accept_unknown_convergence',
    )
    assert len(read(source, accept_unknown_convergence=True).frames) == 4
    assert statements(source, accept_unknown_convergence=True)['level_of_theory'] == ''


def test_steps_that_a_restart_repeats_are_listed(tmp_path):
    """Steps 2 and 4 are there again, a little different; energies tell which positions belong to which forces."""

    def repeat(name: str, text: str) -> str:
        if not name.endswith('.xyz'):
            return text
        frames = text.splitlines(keepends=True)
        starts = range(0, len(frames), 5)
        again = [
            frames[start : start + 5] for start in starts if int(frames[start + 1].split()[2].rstrip(',')) in (2, 4)
        ]
        return text + ''.join(''.join(frame).replace('-17.1', '-17.2') for frame in again)

    result = read(unpacked('water', tmp_path / 'run', repeat))
    assert result.frames.columns['ionic_step'].tolist() == [0, 2, 4, 6]
    assert [reason for _, reason in result.rejected] == [
        f'water: step {number}: it is there twice, since the run was started again; the first is kept'
        for number in (2, 4)
    ]


def test_other_atoms_in_the_forces_are_refused(tmp_path):
    source = unpacked(
        'water', tmp_path / 'run', lambda name, text: text.replace('  O ', '  N ') if 'frc' in name else text
    )
    refused(source, 'water: water-pos-1.xyz and water-frc-1.xyz are of different atoms in step 0')


def test_files_without_a_step_in_common_are_refused(tmp_path):
    source = unpacked(
        'water',
        tmp_path / 'run',
        lambda name, text: text.replace('i =        ', 'i =       9') if 'frc' in name else text,
    )
    refused(source, 'water: water-pos-1.xyz and water-frc-1.xyz have no step in common; write both at the same steps')


def test_dynamics_without_forces_are_refused(tmp_path):
    source = unpacked('water', tmp_path / 'run')
    (source / 'water-frc-1.xyz').unlink()
    refused(
        source,
        'water: water-frc-1.xyz is not beside the output; molecular dynamics need positions and forces (MOTION/PRINT)',
    )


def test_other_types_of_run_are_refused(tmp_path):
    text = single_point('water').replace('ENERGY_FORCE', 'GEO_OPT')
    (tmp_path / 'water.out').write_text(text)
    refused(tmp_path, 'water: water.out is of the run type GEO_OPT; ENERGY_FORCE and MD can be read')


@pytest.mark.parametrize('name', ['water.out', 'water-pos-1.xyz'])
def test_one_file_names_the_run(name, tmp_path):
    assert len(read(unpacked('water', tmp_path / 'run') / name).frames) == 4


def test_runs_are_recognised(tmp_path):
    source = unpacked('water', tmp_path / 'run')
    assert recognised_format(source).name == recognised_format(source / 'water.out').name == 'cp2k_run'


def test_tree_of_dynamics_gives_every_run_a_group(tmp_path):
    for name in ('a', 'b'):
        unpacked('water', tmp_path / name)
    assert sorted(set(read(tmp_path).frames.columns['group'])) == ['a/water', 'b/water']


def test_outputs_of_other_programs_are_no_runs(tmp_path):
    (tmp_path / 'slurm.out').write_text('hello\n')
    refused(
        tmp_path,
        f"'{tmp_path.name}' holds no run; give an output of CP2K, PROJECT-pos-1.xyz, or a folder with such files",
    )


def test_damaged_trajectory_leaves_the_other_runs_alone(tmp_path):
    unpacked('water', tmp_path / 'a')
    unpacked('water', tmp_path / 'b', lambda name, text: text.replace('i = ', 'no ') if 'frc' in name else text)
    result = read(tmp_path)
    assert set(result.frames.columns['group']) == {'a/water'}
    assert [reason for _, reason in result.rejected] == [
        "b/water: water-frc-1.xyz does not name its steps ('i = ...'); give the file that CP2K wrote"
    ]
