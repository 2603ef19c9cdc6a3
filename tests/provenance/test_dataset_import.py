"""Import of data sets: what was stated and what was left out is stored with the node."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from vasp_cases import RECORDED

from aiida_edl.provenance.dataset_import import BLOCK, IMPORT, REJECTED, ImportSettings, checksum, import_dataset
from aiida_edl.science.formats.base import dataset_format
from aiida_edl.science.formats.file_units import FormatError

FRAME = """2
Lattice="10 0 0 0 11 0 1 0 12" Properties=species:S:1:pos:R:3:forces:R:3 energy=-30.5 run=a pbc="T T F"
Na 0.0 0.0 0.0 0.5 0.0 0.0
H 0.0 0.0 2.0 -0.5 0.0 0.0
"""


@pytest.fixture
def source(tmp_path) -> Path:
    """Return an extended XYZ file of four frames of which one has no number as energy."""
    path = tmp_path / 'set.xyz'
    path.write_text(FRAME * 3 + FRAME.replace('-30.5', 'nan'))
    return path


def test_what_was_left_out_is_listed_on_the_node(source):
    node = import_dataset(source, ImportSettings('PBE', maximum_failed_fraction=0.25))
    assert node.n_frames == 3
    assert node.base.attributes.get(REJECTED) == [
        {'frame': 3, 'reason': 'set.xyz: frame 3 has values in energy that are not finite'}
    ]


def test_what_was_stated_is_stored(source):
    settings = ImportSettings('PBE', options={'columns': {'run': 'group'}}, maximum_failed_fraction=0.25)
    stored = import_dataset(source, settings).base.attributes.get(IMPORT)
    assert stored['form'] == 'extended_xyz'
    assert stored['options']['columns'] == {'run': 'group'}
    assert stored['options']['energy'] == 'energy'
    assert (stored['source'], len(stored['sha256'])) == ('set.xyz', 64)
    assert 'aiida_edl_version' in stored


def test_too_many_bad_frames_store_nothing(source):
    message = (
        r'^set\.xyz: 1 of 4 frames cannot be used, allowed is a fraction of 0\.01; the first: set\.xyz: frame 3 has '
        r'values in energy that are not finite$'
    )
    with pytest.raises(FormatError, match=message):
        import_dataset(source, ImportSettings('PBE'))


def test_group_is_stored_for_all_frames(source):
    node = import_dataset(source, ImportSettings('PBE', group='run_7', maximum_failed_fraction=0.25))
    assert np.unique(node.frames().columns['group']).tolist() == ['run_7']


def test_finished_run_says_itself_what_made_its_labels():
    node = import_dataset(RECORDED / 'some_unconverged', ImportSettings())
    assert node.base.attributes.get('level_of_theory').startswith('VASP PBE, PAW PAW_PBE Si 05Jan2001, ')
    assert node.base.attributes.get(IMPORT)['statements']['maximum_scf_steps'] == [15]
    assert (node.n_frames, len(node.base.attributes.get(REJECTED))) == (4, 1)


def test_file_that_does_not_say_what_made_its_labels_needs_a_statement(source):
    message = r'^set\.xyz: extended_xyz does not say what made the labels; state the level of theory$'
    with pytest.raises(FormatError, match=message):
        import_dataset(source, ImportSettings())


def test_other_files_of_a_run_are_not_read_for_its_checksum(tmp_path):
    """WAVECAR and CHGCAR are large."""
    run = tmp_path / 'run'
    shutil.copytree(RECORDED / 'relaxation', run)
    before = import_dataset(run, ImportSettings()).base.attributes.get(IMPORT)['sha256']
    (run / 'WAVECAR').write_bytes(bytes(100))
    files = dataset_format('vasp_run').files_read(run)
    assert [path.name for path in files] == ['OUTCAR.gz', 'vasprun.xml.gz']
    assert import_dataset(run, ImportSettings()).base.attributes.get(IMPORT)['sha256'] == before
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b'\0' + path.read_bytes())
    assert digest.hexdigest() == before


def test_checksum_of_a_file_longer_than_a_block(tmp_path):
    path = tmp_path / 'long'
    path.write_bytes(bytes(BLOCK) + b'end')
    assert checksum(path, [path]) == hashlib.sha256(path.read_bytes()).hexdigest()
