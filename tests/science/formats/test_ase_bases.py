"""Data bases of ASE: rows as ASE and ase-db-backends write them, and what must be asked about them."""

from __future__ import annotations

import json
import sqlite3
import zlib
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from trainer_environments import environment, run_in

from aiida_edl.science.formats.ase_lmdb import AseLmdb
from aiida_edl.science.formats.ase_sqlite import AseSqlite
from aiida_edl.science.formats.base import without, write_files
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.testing import ANYTHING, assert_same_frames, example_set

FORCES = np.array([[0.0, 0.0, 0.5], [0.0, 0.0, -0.5]])
STRESS = 0.01 * np.array([1, 2, 3, 4, 5, 6.0])


def read(member: Any, path: Path, **options: Any) -> Any:
    """Return what is read of a data base."""
    return member.read(path, member.make_read_options(options), limits=ANYTHING, maximum_failed_fraction=0.0).frames


def write_base(path: Path, **results: Any) -> Path:
    """Write one frame as users of ASE do."""
    atoms = Atoms('NaH', positions=[[0, 0, 0], [0, 0, 2]], cell=[9, 10, 11], pbc=[True, True, False])
    atoms.calc = SinglePointCalculator(atoms, **{'energy': -3.0, 'forces': FORCES, **results})
    with connect(path) as base:
        base.write(atoms, key_value_pairs={'run': 'a7', 'n_steps': 12}, data={'spin': 0})
    return path


def test_base_that_ase_wrote_is_read(tmp_path):
    path = write_base(tmp_path / 'a.db', stress=STRESS)
    frames = read(AseSqlite(), path, stress='stress', columns={'run': 'group', 'spin': 'spin', 'n_steps': 'n'})
    frame = frames.frame(0)
    assert (frame.energy, frame.pbc.tolist(), frame.numbers.tolist()) == (-3.0, [True, True, False], [11, 1])
    np.testing.assert_array_equal(frame.forces, FORCES)
    np.testing.assert_array_equal(frame.stress, 0.01 * np.array([[1, 6, 5], [6, 2, 4], [5, 4, 3.0]]))
    assert {name: column.tolist() for name, column in frames.columns.items()} == {
        'charge_state': [1],
        'group': ['a7'],
        'n': [12],
        'spin': [0],
    }


def test_written_base_is_read_by_ase(tmp_path):
    frames = without(example_set(), ('velocities',))
    path = write_files(AseSqlite().write(frames), tmp_path)
    for frame, row in zip(frames, connect(path).select()):
        atoms = row.toatoms()
        np.testing.assert_array_equal(atoms.get_forces(), frame.forces)
        np.testing.assert_array_equal(atoms.get_stress(voigt=False), frame.stress)
        np.testing.assert_array_equal(atoms.positions, frame.positions)
        assert atoms.get_potential_energy() == frame.energy


def test_energy_beside_another_free_energy_must_be_chosen(tmp_path):
    path = write_base(tmp_path / 'a.db', free_energy=-3.2)
    message = (
        r'^a\.db: frame 0 has energy -3\.0 and free_energy -3\.2, and forces are the gradient of the free energy where '
        r'electrons are smeared; name free_energy as the key of the energy, or accept the other one$'
    )
    with pytest.raises(FormatError, match=message):
        read(AseSqlite(), path)
    assert read(AseSqlite(), path, energy='free_energy').energies.tolist() == [-3.2]
    assert read(AseSqlite(), path, accept_other_free_energy=True).energies.tolist() == [-3.0]


def test_unknown_entry_is_answered_with_the_nearest(tmp_path):
    path = write_base(tmp_path / 'a.db')
    with pytest.raises(
        FormatError, match=r"^a\.db: frame 0 has no force: unknown entry 'force': did you mean 'forces'"
    ):
        read(AseSqlite(), path, forces='force')


def test_file_that_is_no_data_base_is_refused(tmp_path):
    (tmp_path / 'a.db').write_bytes(b'x' * 200)
    with pytest.raises(FormatError, match=r'^a\.db is no file of SQLite; give a data base of ASE$'):
        read(AseSqlite(), tmp_path / 'a.db')


def test_data_base_of_something_else_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / 'mine.db'
    connection = sqlite3.connect(path)
    connection.execute('CREATE TABLE mine (number INTEGER)')
    connection.commit()
    connection.close()
    content = path.read_bytes()
    with pytest.raises(FormatError, match=r"^mine\.db has no table 'systems'; give a data base of ASE$"):
        read(AseSqlite(), path)
    assert path.read_bytes() == content


def test_stress_that_is_not_symmetric_is_not_written():
    frames = without(example_set(), ('velocities',))
    frames.stresses[0, 0, 1] = 0.5
    message = r'^ase_sqlite cannot hold all .*: stresses: six components hold symmetric stresses only$'
    with pytest.raises(FormatError, match=message):
        AseSqlite().write(frames)


def test_folder_of_several_files_is_one_set(tmp_path):
    frames = without(example_set(), ('velocities', 'charges'))
    content = AseLmdb().write(frames)['frames.aselmdb']
    for name in ('data.0000.aselmdb', 'data.0001.aselmdb'):
        (tmp_path / name).write_bytes(content)
    assert len(read(AseLmdb(), tmp_path)) == 4


def test_deleted_rows_are_left_out(tmp_path):
    path = write_files(AseLmdb().write(without(example_set(), ('velocities',))), tmp_path)
    base = lmdb.open(str(path), subdir=False, map_size=2**24, lock=False)
    with base.begin(write=True) as transaction:
        transaction.delete(b'1')
        transaction.put(b'deleted_ids', zlib.compress(json.dumps([1]).encode()))
    base.close()
    assert read(AseLmdb(), path).energies.tolist() == [-469.0]


def test_truncated_lmdb_is_refused_before_it_is_mapped(tmp_path):
    path = write_files(AseLmdb().write(without(example_set(), ('velocities',))), tmp_path)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-4096])
    with pytest.raises(
        FormatError, match=rf'^frames\.aselmdb is truncated: {size - 4096} of {size} bytes; copy it again$'
    ):
        read(AseLmdb(), path)


@pytest.mark.slow
def test_written_base_is_read_by_fairchem(tmp_path):
    python = environment('fairchem')
    frames = without(example_set(), ('velocities', 'charges')).with_columns(charge=np.array([0, -1]))
    path = write_files(AseLmdb().write(frames), tmp_path)
    program = (
        'import sys; from fairchem.core.datasets.ase_datasets import AseDBDataset; '
        "d = AseDBDataset({'src': sys.argv[1]}); a = d.get_atoms(1); "
        "print(len(d), a.get_potential_energy(), a.get_forces().ravel().tolist(), a.info['charge'])"
    )
    expected = f'2 {frames.energies[1]} {frames.frame(1).forces.ravel().tolist()} -1\n'
    assert run_in(python, program, path).splitlines(keepends=True)[-1] == expected


@pytest.mark.slow
def test_base_of_ase_db_backends_is_read(tmp_path):
    python = environment('fairchem')
    program = """
import sys
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
atoms = Atoms('NaH', positions=[[0, 0, 0.1], [0, 0, 2]], cell=[9, 10, 11], pbc=[True, True, False])
atoms.calc = SinglePointCalculator(atoms, energy=-3.25, forces=[[0, 0, 0.5], [0, 0, -0.5]])
with connect(sys.argv[1]) as base:
    base.write(atoms, data={'charge': -1})
"""
    path = tmp_path / 'a.aselmdb'
    run_in(python, program, path)
    frames = read(AseLmdb(), path, columns={'charge': 'total_charge'})
    assert (frames.energies.tolist(), frames.columns['total_charge'].tolist()) == ([-3.25], [-1])
    np.testing.assert_array_equal(frames.forces, FORCES)


def test_both_bases_hold_the_same(tmp_path):
    frames = without(example_set(), ('velocities',))
    for member in (AseSqlite(), AseLmdb()):
        path = write_files(member.write(frames), tmp_path)
        options = member.read_back_options(frames, member.make_write_options({}))
        assert_same_frames(read(member, path, **options), frames)
