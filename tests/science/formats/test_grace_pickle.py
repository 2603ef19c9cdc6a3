"""Pickled tables of GRACE: what is meant is asked, and nothing in them is run."""

from __future__ import annotations

import gzip
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trainer_environments import environment, run_in

from aiida_edl.science.formats.base import without, write_files
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.grace_pickle import GracePickle
from aiida_edl.science.formats.testing import ANYTHING, example_set

TABLE = Path(__file__).parents[2] / 'fixtures' / 'formats' / 'grace_pickle' / 'table.pkl.gz'


def read(path: Path, **options: Any) -> Any:
    """Return the frames of a table."""
    member = GracePickle()
    return member.read(path, member.make_read_options({'energy': 'energy', **options}), limits=ANYTHING).frames


def test_table_of_an_older_pandas_is_read():
    frames = read(TABLE, stress='stress', columns={'name': 'group'})
    assert frames.energies.tolist() == [-14.0, -15.0]
    assert frames.columns['group'].tolist() == ['run_0', 'run_1']
    np.testing.assert_allclose(frames.frame(0).forces[0], [-0.4, -0.3, -0.2], atol=1e-15)
    np.testing.assert_array_equal(frames.stresses[0], 0.01 * np.array([[1, 6, 5], [6, 2, 4], [5, 4, 3.0]]))
    assert frames.pbc.all()


def test_which_energy_is_meant_must_be_stated():
    with pytest.raises(FormatError, match=r'^grace_pickle is not read on a guess; state the option energy$'):
        GracePickle().make_read_options({})


def test_the_other_energy_is_read_when_that_is_said():
    assert read(TABLE, energy='energy_corrected').energies.tolist() == [-9.5, -10.5]


def test_unknown_column_is_answered_with_the_nearest():
    message = r"^table\.pkl\.gz: unknown column of the table 'force': did you mean 'forces'\?"
    with pytest.raises(FormatError, match=message):
        read(TABLE, forces='force')


class Malicious:
    """An object whose pickle writes a file when it is read as pickles are."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize('protocol', range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_that_would_run_something_is_refused_and_runs_nothing(tmp_path, protocol):
    target, path = tmp_path / 'was_run', tmp_path / 'bad.pkl.gz'
    path.write_bytes(gzip.compress(pickle.dumps([Malicious(target)], protocol=protocol)))
    with pytest.raises(FormatError, match=r'^bad\.pkl\.gz: the pickle asks for pathlib\.'):
        read(path)
    assert not target.exists()


@pytest.mark.parametrize('code', [b'cos\nsystem\n(Vtouch was_run\ntR.', b'cbuiltins\neval\n(V1\ntR.'])
def test_plain_calls_are_refused(tmp_path, code):
    path = tmp_path / 'bad.pkl'
    path.write_bytes(code)
    with pytest.raises(FormatError, match=r'which is no part of a table of atoms and might run anything'):
        read(path)


def test_names_with_dots_do_not_reach_what_lies_behind(tmp_path):
    """Protocol 4 may ask for an attribute of an attribute."""
    path = tmp_path / 'bad.pkl'
    path.write_bytes(b'\x80\x04\x8c\x06pandas\x8c\x13DataFrame.to_pickle\x93.')
    with pytest.raises(FormatError, match=re.escape('the pickle asks for pandas.DataFrame.to_pickle')):
        read(path)


def test_pickle_of_something_else_is_refused(tmp_path):
    path = tmp_path / 'list.pkl'
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(FormatError, match=r'^list\.pkl holds a list, expected a table of pandas$'):
        read(path)


@pytest.mark.slow
def test_written_table_is_read_in_the_environment_of_grace(tmp_path):
    """Its pandas is older than ours."""
    python = environment('grace')
    frames = without(example_set(), ('charges', 'velocities')).with_columns(group=np.array(['a', 'b']))
    path = write_files(GracePickle().write(frames), tmp_path)
    program = (
        'import pandas, sys; t = pandas.read_pickle(sys.argv[1]); '
        "print(list(t.columns), t['energy'].tolist(), t['forces'][1].ravel().tolist(), "
        "t['ase_atoms'][1].positions.ravel().tolist(), t['group'].tolist())"
    )
    printed = run_in(python, program, path)
    columns = ['ase_atoms', 'energy', 'forces', 'stress', 'group']
    frame = frames.frame(1)
    numbers = [frame.forces.ravel().tolist(), frame.positions.ravel().tolist()]
    assert printed == f"{columns} {frames.energies.tolist()} {numbers[0]} {numbers[1]} ['a', 'b']\n"
