"""The two published sets, as their authors left them: what must be asked is asked, and export brings them back."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from aiida_edl.science.formats.base import dataset_format, recognised_format, without, write_files
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.testing import assert_same_frames

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get('AIIDA_EDL_DFT_DATA', ROOT.parent / 'shared' / 'data'))
"""Folder with the two sets; too large for this repository."""
GOLD = DATA / 'au111_water_vasp' / 'train.extxyz'
PLATINUM = DATA / 'pt111_water_cp2k'
MEANT = {'energy': 'free_energy', 'stress': 'stress', 'columns': {'head': 'group', 'NELECT': 'n_electrons'}}
TYPES = {'type_map': ['O', 'H', 'Pt']}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason=f'no DFT data in {DATA}; name their folder in AIIDA_EDL_DFT_DATA'),
]


def read(source: Path, **options: Any) -> Any:
    """Return what is read of a set in the format that it looks like."""
    member = recognised_format(source)
    return member.read(source, member.make_read_options(options))


def test_gold_asks_which_energy_is_meant():
    message = 'energy -4469.36689731 and free_energy -4469.49892226, and forces are the gradient of the free energy'
    with pytest.raises(FormatError, match=re.escape(message)):
        read(GOLD)


def test_gold_refuses_charges_that_are_none():
    with pytest.raises(FormatError, match=r'charges reach 68\.62 e, beyond 9 e; these are no atomic charges'):
        read(GOLD, energy='free_energy', charges='initial_charges')


def test_gold_is_read_when_all_is_said():
    result = read(GOLD, **MEANT)
    assert (len(result.frames), result.rejected) == (135, ())


def test_platinum_asks_for_its_elements():
    with pytest.raises(FormatError, match=r'no type_map\.raw, and types 0 to 2 with \[151, 302, 144\] atoms'):
        read(PLATINUM / 'interface')


def test_platinum_is_read_as_one_set_of_two_systems():
    frames = read(PLATINUM, **TYPES).frames
    assert (len(frames), sorted(set(frames.columns['group'].tolist()))) == (249, ['interface', 'slab'])


@pytest.mark.parametrize('name', ['ase_lmdb', 'deepmd_npy', 'extended_xyz', 'grace_pickle', 'parquet'])
@pytest.mark.parametrize(('source', 'options'), [(GOLD, MEANT), (PLATINUM, TYPES)], ids=['gold', 'platinum'])
def test_what_trainers_read_holds_the_same_frames(tmp_path, name, source, options):
    frames, member = read(source, **options).frames, dataset_format(name)
    writing = member.make_write_options({})
    kept = without(frames, tuple(member.losses(frames, writing)))
    path = write_files(member.write(kept, writing), tmp_path)
    back = member.read(path, member.make_read_options(member.read_back_options(kept, writing)))
    assert_same_frames(back.frames, kept, member.units_in_the_last_place)
