"""Export of data sets: what comes back by the command of the README is the node that was exported."""

from __future__ import annotations

import hashlib
import json
import shlex

import numpy as np
import pytest
from aiida.orm import ArrayData, load_node
from click.testing import CliRunner

from aiida_edl.cli.main import main
from aiida_edl.data.dataset import DatasetData
from aiida_edl.provenance.dataset_export import ExportSettings, SplitPart, export_dataset, import_command
from aiida_edl.registry import DATASET_FORMATS, registered_names
from aiida_edl.science.formats.base import dataset_format, writable_formats
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.testing import assert_same_frames, example_set

COLUMNS = {'charge_state': np.array([0, 1]), 'group': np.array(['007', 'b']), 'time': np.array([0.1, np.nan])}


@pytest.fixture
def node() -> DatasetData:
    """Return a stored set with all labels and columns of each type."""
    return DatasetData.from_frames(example_set().with_columns(**COLUMNS), "RPBE 'D3'", 'made up', 2).store()


@pytest.mark.parametrize('name', writable_formats())
def test_exported_node_comes_back_by_the_command_of_the_readme(node, name, tmp_path, monkeypatch):
    member = dataset_format(name)
    options = member.make_write_options({})
    dropped = tuple(member.losses(node.frames(), options))
    manifest = export_dataset(node, tmp_path / 'out', ExportSettings(name, dropped=dropped))
    monkeypatch.chdir(tmp_path / 'out')
    command = import_command(manifest)
    assert command in (tmp_path / 'out' / 'README.md').read_text()
    limits = ['--limit', 'maximum_energy_spread=1000']
    result = CliRunner().invoke(main, [*shlex.split(command)[1:], *limits], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    back = load_node(result.output.split()[1].rstrip(':'))
    kept = {key: value for key, value in node.frames().columns.items() if key not in dropped}
    assert set(kept) <= set(back.columns())
    expected = node.frames().replaced_columns(kept)
    for label in dropped:
        if label not in COLUMNS:
            expected = expected.__class__(**{**vars(expected), label: None})
    assert_same_frames(back.frames(), expected, member.units_in_the_last_place)
    assert (back.level_of_theory, back.n_wet_sides) == (node.level_of_theory, 2)


def test_manifest_names_files_node_and_level(node, tmp_path):
    returned = export_dataset(node, tmp_path / 'out', ExportSettings('extended_xyz'))
    stored = json.loads((tmp_path / 'out' / 'manifest.json').read_text())
    assert stored == returned
    content = (tmp_path / 'out' / 'frames.xyz').read_bytes()
    assert stored['files'] == {'frames.xyz': hashlib.sha256(content).hexdigest()}
    assert (stored['dataset_uuid'], stored['level_of_theory']) == (node.uuid, "RPBE 'D3'")
    assert str(tmp_path) not in json.dumps(stored)


def test_what_a_format_cannot_hold_must_be_dropped_by_name(node, tmp_path):
    message = (
        r'^deepmd_npy cannot hold all of the frames, drop explicitly what it shall not: charges: its files have no '
        r'place for charges; velocities: its files have no place for velocities$'
    )
    with pytest.raises(FormatError, match=message):
        export_dataset(node, tmp_path / 'out', ExportSettings('deepmd_npy'))
    assert not (tmp_path / 'out').exists()


def test_folder_that_holds_something_is_not_written_to(node, tmp_path):
    (tmp_path / 'mine.txt').write_text('mine')
    with pytest.raises(FormatError, match=r'exists and is not an empty folder; name a new one$'):
        export_dataset(node, tmp_path, ExportSettings('extended_xyz'))


def test_part_of_a_split_is_written_alone(node, tmp_path):
    split = ArrayData()
    split.set_array('training', np.array([1]))
    manifest = export_dataset(
        node, tmp_path / 'out', ExportSettings('extended_xyz'), SplitPart(split.store(), 'training')
    )
    assert (manifest['n_frames'], manifest['split']) == (1, {'uuid': split.uuid, 'part': 'training'})


def test_unknown_part_of_a_split_is_answered_with_the_nearest(node, tmp_path):
    split = ArrayData()
    split.set_array('training', np.array([1]))
    with pytest.raises(FormatError, match=r"^unknown part of the split 'train': did you mean 'training'\?"):
        export_dataset(node, tmp_path / 'out', ExportSettings('extended_xyz'), SplitPart(split, 'train'))


def test_split_of_another_set_is_refused(node, tmp_path):
    split = ArrayData()
    split.set_array('test', np.array([7]))
    message = '^the split does not belong to this data set: frame indices 7 to 7 of a set of 2 frames$'
    with pytest.raises(FormatError, match=message):
        export_dataset(node, tmp_path / 'out', ExportSettings('extended_xyz'), SplitPart(split, 'test'))


def test_every_format_is_read_or_written():
    assert set(writable_formats()) <= set(registered_names(DATASET_FORMATS))


def export_by_command(*arguments: object) -> str:
    """Return what the command prints, whether it works or not."""
    return CliRunner().invoke(main, ['dataset', 'export', *map(str, arguments)]).output


def test_command_writes_a_part_of_a_split(node, tmp_path):
    split = ArrayData()
    split.set_array('test', np.array([0]))
    stated = ['--format', 'deepmd_npy', '--set', 'precision=float32', '--drop', 'charges', '--drop', 'velocities']
    part = ['--split', split.store().pk, '--part', 'test', '--output', tmp_path / 'out']
    printed = export_by_command(node.pk, *stated, *part)
    assert printed == '1 frames as deepmd_npy in out; manifest.json says what they are\n'
    assert np.load(tmp_path / 'out' / 'system_000' / 'set.000' / 'coord.npy').dtype == np.float32


def test_command_wants_the_part_of_a_split(node, tmp_path):
    split = ArrayData()
    split.set_array('test', np.array([0]))
    printed = export_by_command(
        node.pk, '--format', 'extended_xyz', '--split', split.store().pk, '--output', tmp_path / 'out'
    )
    assert '--split and --part go together: name the node of indices and one of its arrays' in printed


def test_command_answers_an_unknown_format_with_the_nearest(node, tmp_path):
    printed = export_by_command(node.pk, '--format', 'deepmd', '--output', tmp_path / 'out')
    assert printed.startswith("Error: unknown format 'deepmd': did you mean 'deepmd_")
