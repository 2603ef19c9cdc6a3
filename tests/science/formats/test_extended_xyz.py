"""Extended XYZ: a cut of a published VASP set, what comes back after writing, and every file that must be refused."""

from __future__ import annotations

import gzip
import io
import re
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest

from aiida_edl.science.formats.extended_xyz import ExtendedXyz, KeyMapping, read_extended_xyz, write_extended_xyz
from aiida_edl.science.formats.file_units import FileUnits, FormatError
from aiida_edl.science.frames import Frame, FrameSet

GOLD = Path(__file__).parents[2] / 'fixtures' / 'formats' / 'extended_xyz' / 'au111_water_vasp' / 'frames.extxyz'
GOLD_KEYS = KeyMapping(energy='free_energy', stress='stress', columns={'NELECT': 'n_electrons', 'head': 'group'})

FRAME = """2
Lattice="10 0 0 0 11 0 1 0 12" Properties=species:S:1:pos:R:3:forces:R:3 energy=-30.5 pbc="T T F"
Na 0.0 0.0 0.0 0.5 0.0 0.0
H 0.0 0.0 2.0 -0.5 0.0 0.0
"""


def write(tmp_path: Path, text: str) -> Path:
    """Return the path of a file with this text."""
    path = tmp_path / 'set.xyz'
    path.write_text(text, encoding='utf-8')
    return path


def refuse(path: Path, message: str, keys: KeyMapping | None = None, **options: object) -> None:
    """Assert that reading is refused with this whole message."""
    with pytest.raises(FormatError, match=f'^{re.escape(message)}$'):
        read_extended_xyz(path, keys, **options)


def test_frame_is_read_as_written(tmp_path):
    frame = read_extended_xyz(write(tmp_path, FRAME)).frame(0)
    assert (frame.numbers.tolist(), frame.energy, frame.pbc.tolist()) == ([11, 1], -30.5, [True, True, False])
    np.testing.assert_array_equal(frame.cell, [[10, 0, 0], [0, 11, 0], [1, 0, 12]])
    np.testing.assert_array_equal(frame.forces, [[0.5, 0, 0], [-0.5, 0, 0]])


def test_charge_state_follows_from_the_composition(tmp_path):
    assert read_extended_xyz(write(tmp_path, FRAME)).columns['charge_state'].tolist() == [1]


def test_published_set_is_read():
    frames = read_extended_xyz(GOLD, GOLD_KEYS)
    assert (len(frames), frames.elements) == (2, ('H', 'O', 'Au'))
    assert frames.energies[0] == -4469.49892226
    assert frames.columns['n_electrons'].tolist() == [1240.0, 1240.0]
    assert frames.columns['group'].tolist() == ['m05', 'm05']


def test_published_set_agrees_with_ase():
    frames = read_extended_xyz(GOLD, GOLD_KEYS)
    for frame, atoms in zip(frames, ase.io.read(GOLD, ':')):
        np.testing.assert_array_equal(frame.positions, atoms.positions)
        np.testing.assert_array_equal(frame.cell, atoms.cell.array)
        np.testing.assert_array_equal(frame.forces, atoms.get_forces())
        np.testing.assert_array_equal(frame.stress, atoms.get_stress(voigt=False))


def test_energy_beside_another_free_energy_must_be_chosen():
    refuse(
        GOLD,
        'frames.extxyz: frame 0 has energy -4469.36689731 and free_energy -4469.49892226, and forces are the gradient '
        'of the free energy where electrons are smeared; name free_energy as the key of the energy, or accept the '
        'other one',
    )


def test_chosen_energy_is_read():
    assert read_extended_xyz(GOLD, KeyMapping(accept_other_free_energy=True)).energies[0] == -4469.36689731


def test_initial_charges_of_published_set_are_no_charges():
    refuse(
        GOLD,
        'frames.extxyz: charges reach 68.62 e, beyond 9 e; these are no atomic charges, leave the key out',
        replace(GOLD_KEYS, charges='initial_charges'),
    )


def test_written_frames_are_read_back_exactly(tmp_path):
    generator = np.random.default_rng(0)
    frames = FrameSet.from_frames(
        Frame(
            numbers=np.array([79, 8, 1, 1], dtype=np.uint8),
            positions=np.array([[0, 0, 0], [0, 0, 3], [1, 0, 3], [0, 1, 3]]) + 0.1 * generator.normal(size=(4, 3)),
            cell=np.eye(3) * 10.0 + generator.normal(size=(3, 3)),
            pbc=np.array([True, True, False]),
            energy=float(generator.normal()),
            forces=generator.normal(size=(4, 3)),
            stress=0.01 * np.diag(generator.normal(size=3)),
            charges=generator.normal(size=4),
            columns={'charge_state': index, 'group': f'run {index}', 'time': 0.1 * index},
        )
        for index in range(3)
    )
    keys = KeyMapping('e', 'f', 's', 'q', columns={'charge_state': 'charge_state', 'run': 'group', 'time': 'time'})
    path = tmp_path / 'set.xyz'
    path.write_bytes(write_extended_xyz(frames, keys))
    for name, array in read_extended_xyz(path, keys).to_arrays().items():
        np.testing.assert_array_equal(array, frames.to_arrays()[name], err_msg=name)


def test_written_frames_are_read_by_ase(tmp_path):
    frames = read_extended_xyz(GOLD, GOLD_KEYS)
    atoms = ase.io.read(
        io.StringIO(write_extended_xyz(frames, KeyMapping(stress='stress')).decode()), 1, format='extxyz'
    )
    np.testing.assert_array_equal(atoms.get_forces(), frames.frame(1).forces)
    np.testing.assert_array_equal(atoms.get_stress(voigt=False), frames.frame(1).stress)
    assert atoms.get_potential_energy() == frames.frame(1).energy


def test_unlabelled_frames_are_read(tmp_path):
    frames = read_extended_xyz(write(tmp_path, FRAME), KeyMapping(energy=None, forces=None))
    assert (frames.energies, frames.forces) == (None, None)


def test_units_of_the_file_are_applied(tmp_path):
    units = FileUnits(energy=2.0, length=3.0, force=5.0)
    frame = read_extended_xyz(write(tmp_path, FRAME), units=units).frame(0)
    assert (frame.energy, frame.positions[1, 2], frame.cell[1, 1], frame.forces[0, 0]) == (-61.0, 6.0, 33.0, 2.5)


@pytest.mark.parametrize('stress', ['1 2 3 4 5 6', '1 6 5 6 2 4 5 4 3'])
def test_stress_of_six_and_nine_values_is_the_same(tmp_path, stress):
    text = FRAME.replace('energy=', f'stress="{stress}" energy=')
    frames = read_extended_xyz(write(tmp_path, text), KeyMapping(stress='stress'), units=FileUnits(stress=-0.01))
    np.testing.assert_allclose(frames.stresses[0], -0.01 * np.array([[1, 6, 5], [6, 2, 4], [5, 4, 3]]))


def test_group_is_stored_for_all_frames(tmp_path):
    assert read_extended_xyz(write(tmp_path, FRAME * 2), group='run_1').columns['group'].tolist() == ['run_1'] * 2


def test_frames_of_different_periodicity_keep_it(tmp_path):
    molecule = FRAME.replace('T T F', 'F F F').replace('Lattice="10 0 0 0 11 0 1 0 12" ', '')
    frames = read_extended_xyz(write(tmp_path, FRAME + molecule))
    assert frames.pbc.tolist() == [[True, True, False], [False, False, False]]
    assert not frames.cells[1].any()


def test_group_given_twice_is_refused(tmp_path):
    refuse(
        write(tmp_path, FRAME),
        "set.xyz: group 'run_1' is given and keys.columns maps a key to it too; give one of both",
        KeyMapping(columns={'head': 'group'}),
        group='run_1',
    )


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'set.xyz: the file holds no frame; give a file with at least one'),
        ('\n\n', 'set.xyz: the file holds no frame; give a file with at least one'),
        (
            FRAME + FRAME[:-30],
            'set.xyz: frame 1 is truncated: 1 of 2 atom lines have 7 fields; remove the frame or copy the file again',
        ),
        (
            FRAME + '2\n',
            'set.xyz: frame 1 is truncated: 0 of 2 atom lines have 4 fields; remove the frame or copy the file again',
        ),
        (
            FRAME + 'H 0 0 0\n',
            "set.xyz: frame 1 starts at line 5 with 'H 0 0 0' where a number of atoms is expected; the frame before it "
            'may be truncated',
        ),
        (
            FRAME.replace('energy=', 'Energy_dft='),
            "set.xyz: frame 0 has no key 'energy' for energy; nearest are Energy_dft: name the right one",
        ),
        (
            FRAME.replace('forces:R:3', 'REF_forces:R:3'),
            "set.xyz: frame 0 has no key 'forces' for forces; nearest are REF_forces: name the right one",
        ),
        (
            FRAME.replace(':forces:R:3', '').replace(' 0.5 0.0 0.0\n', '\n').replace(' -0.5 0.0 0.0\n', '\n'),
            "set.xyz: frame 0 has no key 'forces' for forces; there are pos, species: name the right one",
        ),
        (
            FRAME + FRAME.replace('energy=-30.5', 'energy=nan'),
            'set.xyz: energies of frame 1 hold values that are not finite; remove that frame',
        ),
        (
            FRAME + FRAME.replace('-0.5 0.0', 'nan 0.0'),
            'set.xyz: forces of frame 1 hold values that are not finite; remove that frame',
        ),
        (
            FRAME.replace('-0.5 0.0', '*** 0.0'),
            "set.xyz: frame 0 has '***' in 'forces', which is no number; mend the file",
        ),
        (
            FRAME.replace('Lattice="10 0 0 0 11 0 1 0 12" ', ''),
            'set.xyz: frame 0 has no Lattice; add it, or pbc="F F F" if nothing is periodic',
        ),
        (
            FRAME.replace('0 11 0', '10 0 0'),
            'set.xyz: frame 0 has a cell without volume, [[10.0, 0.0, 0.0], [10.0, 0.0, 0.0], [1.0, 0.0, 12.0]]; '
            'give independent cell vectors',
        ),
        (
            FRAME.replace('energy=-30.5', 'energy=low'),
            "set.xyz: frame 0 has 'low' as 'energy', which is no number; name another key",
        ),
        (
            FRAME.replace('Na ', 'Xy '),
            "set.xyz: frame 0 has unknown chemical symbols ['Xy']; rename them to elements",
        ),
        (
            FRAME.replace('H 0.0 0.0 2.0', 'H 0.0 0.0 0.1'),
            'set.xyz: atoms Na 0 and H 1 of frame 0 are 0.1 Å apart, below 0.5 Å; '
            'check the unit of length and the cell',
        ),
    ],
)
def test_bad_file_is_refused(tmp_path, text, message):
    refuse(write(tmp_path, text), message)


def test_stress_of_wrong_size_is_refused(tmp_path):
    text = FRAME.replace('energy=', 'stress="1 2 3" energy=')
    message = 'set.xyz: frame 0 has a stress of 3 values; give 6 in the order xx yy zz yz xz xy, or 9'
    refuse(write(tmp_path, text), message, KeyMapping(stress='stress'))


def test_three_bad_frames_among_ten_thousand_leave_the_others(tmp_path):
    frames = [FRAME] * 10_000
    frames[17] = FRAME.replace('-30.5', 'nan')
    frames[4711] = FRAME.replace('H 0.0 0.0 2.0', 'H 0.0 0.0 0.1')
    frames[9999] = FRAME.replace('energy=-30.5 ', '')
    result = ExtendedXyz().read(write(tmp_path, ''.join(frames)))
    assert len(result.frames) == 9_997
    assert result.rejected == (
        (17, 'set.xyz: frame 17 has values in energy that are not finite'),
        (
            4711,
            'set.xyz: frame 4711: atoms Na 0 and H 1 are 0.1 Å apart, below 0.5 Å; check the unit of length and the '
            'cell',
        ),
        (
            9999,
            "set.xyz: frame 9999 has no key 'energy' for energy; there are Lattice, Properties, pbc: "
            'name the right one',
        ),
    )


def test_frames_after_a_truncated_one_are_read(tmp_path):
    cut = FRAME[: FRAME.index('H 0.0')]
    result = ExtendedXyz().read(write(tmp_path, FRAME + cut + FRAME * 2), maximum_failed_fraction=0.5)
    assert (len(result.frames), [index for index, _ in result.rejected]) == (3, [1])


def test_text_that_looks_like_a_number_stays_text(tmp_path):
    path = write(tmp_path, FRAME.replace('energy', 'run=007 energy'))
    frames = read_extended_xyz(path, KeyMapping(columns={'run': 'group'}, text=('run',)))
    assert frames.columns['group'].tolist() == ['007']


def test_two_things_under_one_key_are_not_written():
    frames = read_extended_xyz(GOLD, GOLD_KEYS).with_columns(energy=1.0)
    message = "^two things are to be written as 'energy'; give each a key of its own$"
    with pytest.raises(FormatError, match=message):
        write_extended_xyz(frames)


def test_text_with_both_quotes_is_not_written():
    frames = read_extended_xyz(GOLD, GOLD_KEYS).with_columns(note='a "b" \'c\'')
    with pytest.raises(FormatError, match=r'cannot stand in an extended XYZ file; rename it without line breaks'):
        write_extended_xyz(frames)


def test_compressed_file_is_read(tmp_path):
    path = tmp_path / 'set.xyz.gz'
    path.write_bytes(gzip.compress(FRAME.encode()))
    assert ExtendedXyz().recognises(path)
    assert ExtendedXyz().read(path).frames.energies.tolist() == [-30.5]


def test_compressed_file_that_is_cut_is_refused(tmp_path):
    path = tmp_path / 'set.xyz.gz'
    path.write_bytes(gzip.compress(FRAME.encode())[:-12])
    with pytest.raises(FormatError, match=r'^set\.xyz\.gz is truncated or not compressed \(.*\); copy it again$'):
        ExtendedXyz().read(path)


def test_files_of_a_folder_are_trajectories_of_one_set(tmp_path):
    for name in ('b.xyz', 'a.extxyz', 'notes.txt'):
        (tmp_path / name).write_text(FRAME)
    frames = ExtendedXyz().read(tmp_path).frames
    assert frames.columns['group'].tolist() == ['a.extxyz', 'b.xyz']


def test_folder_without_files_is_refused(tmp_path):
    (tmp_path / 'empty').mkdir()
    message = "^'empty' holds no file of extended XYZ; name a file or a folder of such files$"
    with pytest.raises(FormatError, match=message):
        ExtendedXyz().read(tmp_path / 'empty')
