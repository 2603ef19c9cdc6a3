"""Dumps of LAMMPS: boxes of all kinds, scaled coordinates, units that must be stated; ASE as another reader."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest

from aiida_edl.science import units
from aiida_edl.science.formats.base import without, write_files
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.lammps_dump import LammpsDump
from aiida_edl.science.formats.testing import ANYTHING, example_set

RECORDED = Path(__file__).parents[2] / 'fixtures' / 'md' / 'lammps' / 'finished' / 'trajectory.dump'
SNAPSHOT = """ITEM: TIMESTEP
50
ITEM: NUMBER OF ATOMS
2
ITEM: BOX BOUNDS xy xz yz pp pp ff
-1.0 12.0 2.0
0.0 11.0 -1.0
0.0 12.0 1.0
ITEM: ATOMS id type xs ys zs fx fy fz
2 2 0.5 0.5 0.5 1.0 0.0 0.0
1 1 0.0 0.0 0.0 -1.0 0.0 0.0
"""


def read(path: Path, **options: Any) -> Any:
    """Return what is read of a dump in units metal."""
    member = LammpsDump()
    chosen = member.make_read_options({'unit_style': 'metal', **options})
    return member.read(path, chosen, limits=ANYTHING, maximum_failed_fraction=0.0).frames


def refuse(path: Path, message: str, **options: Any) -> None:
    """Assert that reading is refused with this whole message."""
    with pytest.raises(FormatError, match=f'^{re.escape(message)}$'):
        read(path, **options)


@pytest.fixture
def snapshot(tmp_path) -> Path:
    """Return a dump with a tilted box and scaled coordinates."""
    path = tmp_path / 'run.dump'
    path.write_text(SNAPSHOT)
    return path


def test_tilted_box_and_scaled_coordinates(snapshot):
    """The bounds of LAMMPS include the tilts: xlo is -1 + 1, xhi is 12 - 2."""
    frame = read(snapshot, type_map=['Na', 'H'], labels=['forces']).frame(0)
    np.testing.assert_array_equal(frame.cell, [[10.0, 0, 0], [2.0, 10.0, 0], [-1.0, 1.0, 12.0]])
    assert frame.numbers.tolist() == [11, 1]
    np.testing.assert_array_equal(frame.positions, [[0, 0, 0], [5.5, 5.5, 6.0]])
    np.testing.assert_array_equal(frame.forces, [[-1, 0, 0], [1, 0, 0]])
    assert frame.pbc.tolist() == [True, True, False]


def test_tilted_box_agrees_with_ase(snapshot):
    atoms = ase.io.read(snapshot, format='lammps-dump-text', specorder=['Na', 'H'])
    frame = read(snapshot, type_map=['Na', 'H']).frame(0)
    np.testing.assert_allclose(frame.cell, atoms.cell.array, atol=1e-12)
    np.testing.assert_allclose(frame.positions, atoms.positions, atol=1e-12)


def test_general_box_is_read_by_ase(tmp_path):
    frames = without(example_set(), ('energies', 'stresses', 'velocities', 'charges'))
    path = write_files(LammpsDump().write(frames), tmp_path)
    atoms = ase.io.read(path, index=1, format='lammps-dump-text')
    np.testing.assert_array_equal(atoms.positions, frames.frame(1).positions)
    np.testing.assert_array_equal(atoms.get_forces(), frames.frame(1).forces)


def test_dump_of_a_real_run_that_names_no_types_is_refused():
    message = 'trajectory.dump: frame 0 has no column type, there are id, xu, yu, zu, vx, vy, vz, '
    with pytest.raises(FormatError, match=f'{re.escape(message)}f_model_force'):
        read(RECORDED, type_map=['Au'])


def test_dump_of_a_real_run_is_read_with_its_types(tmp_path):
    """The columns of a run of LAMMPS, unwrapped and with negative origin, to which types are added."""
    lines = RECORDED.read_text().replace('ITEM: ATOMS id xu', 'ITEM: ATOMS type id xu').splitlines()
    typed = [line if line.startswith('ITEM') or len(line.split()) < 8 else f'1 {line}' for line in lines]
    (tmp_path / 'run.dump').write_text('\n'.join(typed) + '\n')
    frames = read(tmp_path / 'run.dump', type_map=['Au'], labels=['velocities'], step='step')
    assert len(frames) == RECORDED.read_text().count('ITEM: TIMESTEP')
    frame = frames.frame(0)
    np.testing.assert_array_equal(frame.positions[0], [1.31798179134, 0.657573501452, 7.97019660535])
    assert frame.cell[2, 2] == 30.618802153517009 + 10.0
    assert frames.columns['step'][0] == 20


def test_units_of_the_run_must_be_stated():
    with pytest.raises(FormatError, match=r'^lammps_dump is not read on a guess; state the option unit_style$'):
        LammpsDump().make_read_options({})


def test_unknown_style_is_answered_with_the_nearest():
    with pytest.raises(FormatError, match=r"^unknown style of units 'metals': did you mean 'metal'\?"):
        LammpsDump().make_read_options({'unit_style': 'metals'})


def test_forces_in_real_units_are_converted(snapshot):
    frame = read(snapshot, type_map=['Na', 'H'], labels=['forces'], unit_style='real').frame(0)
    assert frame.forces[0, 0] == -units.KILOCALORIE_PER_MOL


def test_units_in_the_dump_that_differ_from_those_stated_are_refused(snapshot):
    snapshot.write_text('ITEM: UNITS\nreal\n' + SNAPSHOT)
    message = "run.dump: frame 0 is in units real, stated is 'metal'; state real"
    refuse(snapshot, message, type_map=['Na', 'H'])


def test_types_without_names_are_refused(snapshot):
    message = 'run.dump: frame 0 has no column element, so types have no names; give type_map, one symbol per type'
    refuse(snapshot, message)


def test_type_map_that_is_too_short_is_refused(snapshot):
    message = "run.dump: frame 0: types 1 to 2 occur, the type map ['Na'] has 1 names; name every type"
    refuse(snapshot, message, type_map=['Na'])


def test_snapshot_cut_in_the_middle_is_refused(snapshot):
    snapshot.write_text(SNAPSHOT + SNAPSHOT[:-20])
    message = (
        'run.dump: 1 of 2 frames cannot be used, allowed is a fraction of 0; the first: run.dump: frame 1 is '
        'truncated: 1 of 2 atoms are there; remove it or copy the dump again'
    )
    refuse(snapshot, message, type_map=['Na', 'H'])


def test_energies_from_a_file_beside_it(snapshot):
    (snapshot.parent / 'energies.txt').write_text('-3.5\n')
    assert read(snapshot, type_map=['Na', 'H'], energies='energies.txt').energies.tolist() == [-3.5]


def test_more_energies_than_snapshots_are_refused(snapshot):
    (snapshot.parent / 'energies.txt').write_text('-3.5\n-3.6\n')
    message = 'energies.txt has 2 energies for 1 snapshots; give one each'
    refuse(snapshot, message, type_map=['Na', 'H'], energies='energies.txt')


def test_checksum_of_the_energies_is_stated(snapshot):
    (snapshot.parent / 'energies.txt').write_text('-3.5\n')
    member = LammpsDump()
    options = member.make_read_options({'unit_style': 'metal', 'energies': 'energies.txt'})
    assert len(member.statements(snapshot, options)['energies_sha256']) == 64
