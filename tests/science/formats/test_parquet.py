"""Parquet: tables as others write them, with nested or flat lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.parquet import Parquet
from aiida_edl.science.formats.testing import ANYTHING, example_set

FORCES = [[0.0, 0.0, 0.5], [0.0, 0.0, -0.5]]


def write_table(path: Path, **changes: Any) -> Path:
    """Write one frame in the columns of ColabFit."""
    row = {
        'atomic_numbers': [11, 1],
        'positions': [[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]],
        'cell': [[9.0, 0.0, 0.0], [0.0, 10.0, 0.0], [0.0, 0.0, 11.0]],
        'pbc': [True, True, False],
        'energy': -3.0,
        'atomic_forces': FORCES,
        'method': 'PBE',
    }
    parquet.write_table(arrow.table({name: [value] for name, value in {**row, **changes}.items()}), path)
    return path


def read(path: Path, **options: Any) -> Any:
    """Return the frames of a table."""
    member = Parquet()
    return member.read(path, member.make_read_options(options), limits=ANYTHING).frames


def test_table_of_others_is_read(tmp_path):
    frames = read(write_table(tmp_path / 'a.parquet'), columns={'method': 'group'})
    frame = frames.frame(0)
    assert (frame.energy, frame.numbers.tolist(), frame.pbc.tolist()) == (-3.0, [11, 1], [True, True, False])
    np.testing.assert_array_equal(frame.forces, FORCES)
    assert frames.columns['group'].tolist() == ['PBE']


def test_flat_lists_are_read(tmp_path):
    path = write_table(tmp_path / 'a.parquet', atomic_forces=np.ravel(FORCES).tolist(), cell=np.eye(3).ravel().tolist())
    frame = read(path).frame(0)
    np.testing.assert_array_equal(frame.forces, FORCES)
    np.testing.assert_array_equal(frame.cell, np.eye(3))


def test_folder_of_several_files_is_one_set(tmp_path):
    for name in ('part_0.parquet', 'part_1.parquet'):
        write_table(tmp_path / name)
    assert len(read(tmp_path)) == 2


def test_missing_label_is_named(tmp_path):
    path = write_table(tmp_path / 'a.parquet', energy=None)
    with pytest.raises(FormatError, match=r'^a\.parquet: frame 0 has no energy; label it or leave the column out$'):
        read(path)


def test_unknown_column_is_answered_with_the_nearest(tmp_path):
    path = write_table(tmp_path / 'a.parquet')
    message = r"^a\.parquet: unknown column of the table 'forces': did you mean 'atomic_forces'\?"
    with pytest.raises(FormatError, match=message):
        read(path, forces='forces')


def test_wrong_number_of_values_is_refused(tmp_path):
    path = write_table(tmp_path / 'a.parquet', atomic_forces=[[0.0, 0.0, 0.5]])
    with pytest.raises(FormatError, match=r"^a\.parquet: frame 0 has 3 values as 'atomic_forces', expected 6$"):
        read(path)


def test_column_with_the_name_of_a_label_is_not_written():
    message = r"^the column 'energy' has the name of a column of the format; drop it$"
    with pytest.raises(FormatError, match=message):
        Parquet().write(example_set().with_columns(energy=1.0))
