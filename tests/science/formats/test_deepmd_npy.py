"""Systems of DeePMD-kit: what is written comes back, and every folder that must be refused."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from aiida_edl.science.formats.base import write_files
from aiida_edl.science.formats.deepmd_npy import DeepmdNpy, read_deepmd_npy, write_deepmd
from aiida_edl.science.formats.deepmd_raw import DeepmdRaw
from aiida_edl.science.formats.file_units import FileUnits, FormatError
from aiida_edl.science.formats.testing import assert_same_frames
from aiida_edl.science.frames import Frame, FrameSet

TYPE_MAP = ['O', 'H', 'Pt']
WATER = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])


def make_frames(n_frames: int = 4, with_stress: bool = True, pbc: bool = True) -> FrameSet:
    """Return labelled water molecules in a skew cell."""
    generator = np.random.default_rng(0)
    cell = np.array([[9.0, 0.0, 0.0], [-4.5, 7.8, 0.0], [0.0, 0.0, 15.0]]) * pbc
    return FrameSet.from_frames(
        Frame(
            numbers=np.array([8, 1, 1], dtype=np.uint8),
            positions=WATER + generator.normal(scale=0.03, size=(3, 3)),
            cell=cell,
            pbc=np.full(3, pbc),
            energy=-470.0 + 0.1 * float(generator.normal()),
            forces=generator.normal(size=(3, 3)),
            stress=0.01 * generator.normal(size=(3, 3)) if with_stress else None,
        )
        for _ in range(n_frames)
    )


def write(tmp_path: Path, frames: FrameSet) -> Path:
    """Return the folder of the first system written."""
    for name, content in write_deepmd(frames, TYPE_MAP).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path / 'system_000'


def refuse(folder: Path, message: str, *arguments: object, **options: object) -> None:
    """Assert that reading is refused with this whole message."""
    with pytest.raises(FormatError, match=f'^{re.escape(message)}$'):
        read_deepmd_npy(folder, *arguments, **options)


@pytest.mark.parametrize('pbc', [True, False])
def test_written_frames_are_read_back(tmp_path, pbc):
    frames = make_frames(with_stress=pbc, pbc=pbc)
    result = read_deepmd_npy(write(tmp_path, frames)).to_arrays()
    assert result.pop('column_charge_state').tolist() == [0] * 4
    for name, array in result.items():
        np.testing.assert_allclose(array, frames.to_arrays()[name], rtol=1e-14, atol=0, err_msg=name)


def test_virial_is_minus_stress_times_volume(tmp_path):
    frames = make_frames(1)
    virial = np.load(write(tmp_path, frames) / 'set.000' / 'virial.npy').reshape(3, 3)
    np.testing.assert_allclose(virial, -frames.stresses[0] * 9.0 * 7.8 * 15.0, rtol=1e-14)


def test_orders_of_atoms_become_systems():
    frames = FrameSet.concatenate([make_frames(2), make_frames(1)])
    numbers = frames.numbers.copy()
    numbers[3:6] = [1, 8, 1]
    files = write_deepmd(FrameSet.from_arrays({**frames.to_arrays(), 'numbers': numbers}), TYPE_MAP)
    assert files['system_000/type.raw'] == b'0\n1\n1\n'
    assert files['system_001/type.raw'] == b'1\n0\n1\n'
    assert files['system_001/type_map.raw'] == b'O\nH\nPt\n'


def test_same_frames_give_the_same_bytes():
    assert write_deepmd(make_frames(), TYPE_MAP) == write_deepmd(make_frames(), TYPE_MAP)


def test_sets_are_joined_in_order(tmp_path):
    folder = write(tmp_path, make_frames(2))
    shutil.copytree(folder / 'set.000', folder / 'set.001')
    np.save(folder / 'set.001' / 'energy.npy', [-470.5, -470.6])
    assert read_deepmd_npy(folder).energies[2:].tolist() == [-470.5, -470.6]


def test_type_map_is_taken_from_the_caller_where_the_folder_has_none(tmp_path):
    folder = write(tmp_path, make_frames())
    (folder / 'type_map.raw').unlink()
    assert read_deepmd_npy(folder, TYPE_MAP).elements == ('H', 'O')


def test_unlabelled_system_is_read(tmp_path):
    folder = write(tmp_path, make_frames())
    (folder / 'set.000' / 'energy.npy').unlink()
    assert read_deepmd_npy(folder, is_labelled=False).energies is None


def test_units_and_group_are_applied(tmp_path):
    frames = make_frames()
    result = read_deepmd_npy(write(tmp_path, frames), units=FileUnits(energy=2.0, force=3.0), group='run_1')
    np.testing.assert_allclose(result.energies, 2.0 * frames.energies)
    np.testing.assert_allclose(result.forces, 3.0 * frames.forces)
    assert set(result.columns['group'].tolist()) == {'run_1'}


def test_missing_type_map_is_refused(tmp_path):
    folder = write(tmp_path, make_frames())
    (folder / 'type_map.raw').unlink()
    refuse(
        folder,
        'system_000: there is no type_map.raw, and types 0 to 1 with [1, 2] atoms have no names; give type_map, one '
        'chemical symbol per type',
    )


def test_type_map_that_contradicts_the_folder_is_refused(tmp_path):
    folder = write(tmp_path, make_frames())
    message = "system_000: type_map.raw says ['O', 'H', 'Pt'], given is ['H', 'O']; leave type_map out"
    refuse(folder, message, ['H', 'O'])


def test_type_map_that_is_too_short_is_refused(tmp_path):
    folder = write(tmp_path, make_frames())
    (folder / 'type_map.raw').unlink()
    refuse(folder, "system_000: type 1 occurs, the type map ['O'] has 1 names; name every type", ['O'])


def test_unknown_symbol_is_refused(tmp_path):
    folder = write(tmp_path, make_frames())
    (folder / 'type_map.raw').unlink()
    refuse(folder, "system_000: type map has unknown chemical symbols ['OW']; give elements", ['OW', 'H'])


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('set.000/force.npy', 'system_000/set.000/force.npy is missing; nearest are forces.npy'),
        ('type.raw', "system_000: there is no 'type.raw' in it; give the folder that holds type.raw and sets"),
        ('set.000', "system_000: there is no folder 'set.*' in it; give the folder that holds type.raw and sets"),
    ],
)
def test_missing_file_is_refused(tmp_path, name, message):
    folder = write(tmp_path, make_frames())
    (folder / name).rename((folder / name).with_name('forces.npy'))
    refuse(folder, message)


def test_missing_cell_is_refused(tmp_path):
    folder = write(tmp_path, make_frames(with_stress=False))
    (folder / 'set.000' / 'box.npy').unlink()
    refuse(
        folder,
        'system_000/set.000/box.npy is missing; nearest are coord.npy, energy.npy, force.npy, add it or an empty file '
        'nopbc beside type.raw',
    )


def test_truncated_array_is_refused(tmp_path):
    folder = write(tmp_path, make_frames())
    path = folder / 'set.000' / 'force.npy'
    path.write_bytes(path.read_bytes()[:-8])
    message = r'^system_000/set\.000/force\.npy is truncated or no \.npy file \(.*\); copy it again$'
    with pytest.raises(FormatError, match=message):
        read_deepmd_npy(folder)


def test_arrays_of_different_length_are_refused(tmp_path):
    folder = write(tmp_path, make_frames(with_stress=False))
    np.save(folder / 'set.000' / 'energy.npy', np.full(3, -470.0))
    refuse(
        folder,
        "system_000/set.000: arrays differ in frames, {'coord': 4, 'box': 4, 'energy': 3, 'force': 4}; "
        'copy the set again',
    )


def test_array_of_other_atoms_is_refused(tmp_path):
    folder = write(tmp_path, make_frames())
    np.save(folder / 'set.000' / 'coord.npy', np.zeros((4, 12)))
    refuse(
        folder,
        'system_000/set.000/coord.npy has shape (4, 12), expected 9 values per frame for 3 atoms; '
        'check that type.raw belongs to it',
    )


def test_empty_set_is_refused(tmp_path):
    folder = write(tmp_path, make_frames())
    np.save(folder / 'set.000' / 'coord.npy', np.zeros((0, 9)))
    refuse(folder, 'system_000/set.000/coord.npy holds no frame; give at least one')


def test_cell_without_volume_is_refused(tmp_path):
    folder = write(tmp_path, make_frames(with_stress=False))
    np.save(folder / 'set.000' / 'box.npy', np.zeros((4, 9)))
    refuse(folder, 'the cell of frame 0 has no volume; give independent cell vectors')


def test_not_finite_labels_are_refused(tmp_path):
    folder = write(tmp_path, make_frames())
    np.save(folder / 'set.000' / 'energy.npy', [-470.0, -470.1, np.nan, -470.0])
    refuse(folder, 'system_000: energies of frame 2 hold values that are not finite; remove that frame')


def test_forces_converted_twice_are_refused(tmp_path):
    folder = write(tmp_path, make_frames())
    path = folder / 'set.000' / 'force.npy'
    np.save(path, np.load(path) * 51.422)
    median = np.median(np.linalg.norm(np.load(path).reshape(4, 3, 3), axis=2))
    assert median > 15.0
    with pytest.raises(FormatError, match=r'divide by 51\.42 if Ha/Bohr was converted twice'):
        read_deepmd_npy(folder)


def test_unlabelled_frames_are_not_written():
    message = '^frames without energies and forces cannot be written for DeePMD-kit; label them first$'
    with pytest.raises(FormatError, match=message):
        write_deepmd(make_frames().without_labels(), TYPE_MAP)


def test_element_outside_the_type_map_is_refused():
    with pytest.raises(FormatError, match=r"^type map \['O'\] lacks \['H'\]; add them$"):
        write_deepmd(make_frames(), ['O'])


def write_mixed(folder: Path) -> Path:
    """Write a system of the mixed layout: OH and H2, padded to three atoms by one that is none."""
    (folder / 'set.000').mkdir(parents=True)
    (folder / 'type.raw').write_text('0\n0\n0\n')
    (folder / 'type_map.raw').write_text('O\nH\n')
    coordinates = np.arange(18.0).reshape(2, 9)
    arrays = {
        'real_atom_types': np.array([[0, 1, -1], [1, 1, -1]]),
        'coord': coordinates,
        'force': 0.1 * coordinates,
        'energy': np.array([-5.0, -6.0]),
        'box': np.tile(np.diag([30.0, 30.0, 30.0]).reshape(9), (2, 1)),
    }
    for name, array in arrays.items():
        np.save(folder / 'set.000' / f'{name}.npy', array)
    return folder


def test_mixed_types_are_read_without_atoms_that_are_none(tmp_path):
    frames = DeepmdNpy().read(write_mixed(tmp_path / 'mixed')).frames
    assert [frame.numbers.tolist() for frame in frames] == [[8, 1], [1, 1]]
    assert frames.frame(1).positions.tolist() == [[9.0, 10.0, 11.0], [12.0, 13.0, 14.0]]
    assert frames.energies.tolist() == [-5.0, -6.0]


def test_mixed_types_that_the_map_does_not_name_are_refused(tmp_path):
    folder = write_mixed(tmp_path / 'mixed')
    np.save(folder / 'set.000' / 'real_atom_types.npy', np.array([[0, 2, -1], [1, 1, -1]]))
    refuse(folder, "mixed: type 2 occurs, the type map ['O', 'H'] has 2 names; name every type")


def test_text_and_arrays_hold_the_same(tmp_path):
    frames = make_frames()
    for member in (DeepmdNpy(), DeepmdRaw()):
        options = member.make_write_options({})
        folder = write_files(member.write(frames, options), tmp_path / member.name)
        assert member.recognises(folder)
        reading = member.make_read_options(member.read_back_options(frames, options))
        assert_same_frames(member.read(folder, reading).frames, frames, member.units_in_the_last_place)


def test_film_is_not_made_periodic_in_silence():
    frames = make_frames()
    frames.pbc[:, 2] = False
    message = (
        r'^deepmd_npy cannot hold all of the frames, drop explicitly what it shall not: pbc: DeePMD-kit knows frames '
        r'that are periodic in all directions or in none$'
    )
    with pytest.raises(FormatError, match=message):
        DeepmdNpy().write(frames)


def test_unknown_precision_is_refused():
    with pytest.raises(FormatError, match=r"^precision is 'half', it must be float32 or float64$"):
        DeepmdNpy().make_write_options({'precision': 'half'})


def test_label_that_deepmd_does_not_have_is_refused():
    message = r'^systems of DeePMD-kit have no charges; labels are energies, forces, stresses$'
    with pytest.raises(FormatError, match=message):
        DeepmdNpy().make_read_options({'labels': ['charges']})
