"""Data files of LAMMPS: what they do not say must be stated; ASE as another reader."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest

from aiida_edl.science.formats.base import without, write_files
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.lammps_data import LammpsData
from aiida_edl.science.formats.testing import ANYTHING, example_set

TEXT = """made by hand

2 atoms
2 atom types
-1.0 9.0 xlo xhi
0.0 11.0 ylo yhi
0.0 12.0 zlo zhi
2.0 0.0 0.0 xy xz yz

Masses

1 22.99 # Na
2 1.008

Atoms # full

2 1 2 -0.9 0.0 0.0 2.0 0 0 0
1 1 1 0.9 0.0 0.0 0.0 0 0 0

Velocities

1 1.0 0.0 0.0
2 -1.0 0.0 0.0
"""
STATED = {'unit_style': 'metal', 'pbc': [True, True, False], 'type_map': ['Na', 'H']}


def read(tmp_path: Path, text: str = TEXT, **options: Any) -> Any:
    """Return the frames of a file with this text."""
    path = tmp_path / 'film.data'
    path.write_text(text)
    member = LammpsData()
    chosen = member.make_read_options({name: v for name, v in {**STATED, **options}.items() if v is not None})
    return member.read(path, chosen, limits=ANYTHING).frames


def test_file_with_charges_and_velocities(tmp_path):
    frame = read(tmp_path, labels=['charges', 'velocities']).frame(0)
    assert frame.numbers.tolist() == [11, 1]
    np.testing.assert_array_equal(frame.cell, [[10, 0, 0], [2, 11, 0], [0, 0, 12]])
    np.testing.assert_array_equal(frame.positions, [[0, 0, 0], [0, 0, 2]])
    assert frame.charges.tolist() == [0.9, -0.9]
    np.testing.assert_allclose(frame.velocities[:, 0], [1e-3, -1e-3])
    assert frame.pbc.tolist() == [True, True, False]


def test_velocities_in_electron_units_are_bohr_per_their_unit_of_time(tmp_path):
    """One Bohr in 1.03275 fs."""
    frame = read(tmp_path, labels=['velocities'], unit_style='electron').frame(0)
    np.testing.assert_allclose(frame.velocities[:, 0], [0.5124, -0.5124], rtol=0, atol=5e-5)


def test_written_file_is_read_by_ase(tmp_path):
    frames = without(example_set(), ('energies', 'forces', 'stresses', 'velocities')).select([0])
    path = write_files(LammpsData().write(frames), tmp_path)
    text = re.sub(r'Atom Type Labels\n\n(\d+ \w+\n)+\n', '', path.read_text())
    path.write_text(text)
    atoms = ase.io.read(path, format='lammps-data', atom_style='charge', units='metal')
    # ASE takes positions to fractions of the cell and back.
    np.testing.assert_allclose(atoms.positions, frames.positions, rtol=1e-14)
    np.testing.assert_array_equal(atoms.cell.array, frames.cells[0])
    np.testing.assert_array_equal(atoms.numbers, frames.numbers)
    np.testing.assert_array_equal(atoms.get_initial_charges(), frames.charges)


@pytest.mark.parametrize(
    ('changes', 'text', 'message'),
    [
        (
            {'pbc': None},
            TEXT,
            'film.data does not say which directions are periodic; state pbc, e.g. [true, true, false]',
        ),
        (
            {'type_map': None},
            TEXT,
            'film.data has no names of its types; give type_map, one chemical symbol per type',
        ),
        (
            {},
            TEXT.replace(' # full', ''),
            'film.data does not say its atom style, or one that is not known; state atom_style',
        ),
        (
            {'atom_style': 'atomic'},
            TEXT,
            'film.data is truncated or of another atom style: 2 of 2 atoms with 10 columns, expected 5; copy it again',
        ),
        (
            {},
            TEXT[: TEXT.index('1 1 1 0.9')],
            'film.data is truncated or of another atom style: 1 of 2 atoms with 10 columns, expected 7; copy it again',
        ),
        (
            {'labels': ['velocities']},
            TEXT[: TEXT.index('2 -1.0')],
            'film.data has velocities of 1 of 2 atoms; copy it again or do not ask for them',
        ),
    ],
)
def test_what_is_not_said_or_missing_is_refused(tmp_path, changes, text, message):
    with pytest.raises(FormatError, match=f'^{re.escape(message)}$'):
        read(tmp_path, text, **changes)


def test_folder_of_files_is_one_set(tmp_path):
    (tmp_path / 'a.data').write_text(TEXT)
    (tmp_path / 'b.data').write_text(TEXT)
    member = LammpsData()
    assert member.recognises(tmp_path)
    assert len(member.read(tmp_path, member.make_read_options(STATED), limits=ANYTHING).frames) == 2
