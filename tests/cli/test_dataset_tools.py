"""Commands that choose, split, join and clean data sets: what they print, and what they store."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from aiida.orm import ArrayData, CalcFunctionNode, QueryBuilder, load_node
from click.testing import CliRunner
from frame_cases import frame_set, interface_frame, labelled

from aiida_edl.cli.main import main
from aiida_edl.data.dataset import DatasetData


@pytest.fixture(scope='module')
def call(aiida_profile):
    """Return a function that runs a command and checks its exit status."""

    def run(*arguments, exit_code=0):
        result = CliRunner().invoke(main, ['-p', aiida_profile.name, 'dataset', *map(str, arguments)])
        assert result.exit_code == exit_code, result.output
        return result.output

    return run


def made_by(text: str):
    """Return the node that the first line of an output names."""
    return load_node(re.match(r'\w+<\d+> ([0-9a-f-]{36})', text)[1])


def stored(frames, level_of_theory='RPBE-D3', **arguments) -> DatasetData:
    """Return a stored data set."""
    return DatasetData.from_frames(frames, level_of_theory, 'made by hand', **arguments).store()


def interface_set(n_geometries: int = 10, zero: float = -1000.0):
    """Return each geometry without ions and with two; one energy per element, and a small noise."""
    frames = frame_set(*(interface_frame(seed, n_ions) for n_ions in (0, 2) for seed in range(n_geometries)))
    ions = np.repeat([0, 2], n_geometries)
    energies = zero - 180.0 * ions + 0.01 * np.arange(2 * n_geometries)
    return labelled(frames, energies).with_columns(temperature=np.tile([300.0, 330.0], n_geometries))


@pytest.fixture(scope='module')
def dataset(aiida_profile):
    """Return a data set of ten geometries, each of two charge states."""
    return stored(interface_set())


def test_select_by_two_columns_and_by_shares_of_strata(call, dataset):
    joined = made_by(call('select', dataset.pk, '--number', 8, '--stratify-by', 'charge_state+temperature')).frames()
    kinds = zip(np.diff(joined.offsets).tolist(), joined.columns['temperature'].tolist())
    assert sorted(Counter(kinds).values()) == [2, 2, 2, 2]
    options = ('--stratify-by', 'temperature', '--share', '300.0=0.75', '--share', '330.0=0.25')
    named = made_by(call('select', dataset.pk, '--number', 8, *options))
    assert np.unique(named.frames().columns['temperature'], return_counts=True)[1].tolist() == [6, 2]


def test_two_kinds_of_shares_are_refused(call, dataset):
    options = ('--stratify-by', 'temperature', '--share', '300.0=1', '--shares', 'equal')
    text = call('select', dataset.pk, '--number', 8, *options, exit_code=2)
    assert '--shares and --share exclude each other, give one of them' in text


def test_select(call, dataset):
    text = call('select', dataset.pk, '--number', 6, '--stratify-by', 'charge_state', '--seed', 3, '--label', 'chosen')
    node = made_by(text)
    assert text == f'DatasetData<{node.pk}> {node.uuid}: 6 frames, charge states 0, 2Na; of 20 frames\n'
    assert (node.label, node.level_of_theory) == ('chosen', 'RPBE-D3')
    indices = node.frames().columns['source_index']
    np.testing.assert_array_equal(node.frames().energies, dataset.frames().energies[indices])
    assert (indices < 10).sum() == 3
    assert node.creator.inputs.settings.get_dict()['seed'] == 3


def test_select_without_labels(call, dataset):
    node = made_by(call('select', dataset.pk, '--number', 2, '--without-labels', '--method', 'coverage'))
    assert (node.level_of_theory, node.frames().energies) == ('', None)


def test_select_by_deviations(call, dataset):
    deviations = ArrayData({'max_force_deviation': np.linspace(0.0, 1.9, 20), 'frame_indices': np.arange(20)[::-1]})
    options = ['--deviations', deviations.store().pk, '--lower', 0.35, '--upper', 1.05]
    node = made_by(call('select', dataset.pk, '--number', 3, '--method', 'largest_deviation', *options))
    assert node.frames().columns['source_index'].tolist() == [9, 10, 11]


def test_unknown_column_is_one_sentence(call, dataset):
    text = call('select', dataset.pk, '--number', 2, '--stratify-by', 'temprature', exit_code=1)
    assert text == (
        "Error: unknown column 'temprature': did you mean 'temperature'? Known: charge_state, composition, n_atoms, "
        'temperature.\n'
    )


def test_failed_step_is_kept_with_its_reason(call, dataset):
    call('select', dataset.pk, '--number', 2, '--stratify-by', 'temprature', exit_code=1)
    node = QueryBuilder().append(CalcFunctionNode).order_by({CalcFunctionNode: {'id': 'desc'}}).first(flat=True)
    assert node.is_excepted
    assert "unknown column 'temprature'" in node.exception


def test_deduplicate(call):
    frames = interface_set(3)
    doubled = frames.select([0, 1, 1, 2, 3, 4, 5, 0])
    doubled = replace(doubled, energies=doubled.energies + 0.1 * (np.arange(8) == 7))
    source = stored(doubled)
    text = call('deduplicate', source.pk, '--threshold', 0.005)
    node = made_by(text)
    removed = made_by(text.splitlines()[1])
    assert text.splitlines() == [
        f'DatasetData<{node.pk}> {node.uuid}: 6 frames, charge states 0, 2Na; 2 duplicates removed',
        f'ArrayData<{removed.pk}> {removed.uuid}: which of which, at what distance',
        'Warning: energies of duplicates differ by up to 0.00588 eV/atom, those of frames 7 and 0; look at the labels.',
    ]
    assert removed.get_array('removed').tolist() == [2, 7]
    assert removed.get_array('duplicate_of').tolist() == [1, 0]
    assert node.frames().columns['source_index'].tolist() == [0, 1, 3, 4, 5, 6]


def test_split_by_geometry_and_its_leaks(call, dataset):
    text = call('split', dataset.pk, '--by', 'geometry', '--test', 4, '--validation', 2)
    node = made_by(text)
    assert text == f'ArrayData<{node.pk}> {node.uuid}: 14 training, 2 validation, 4 test of 20 frames\n'
    geometries = [set(node.get_array(name) % 10) for name in ('training', 'validation', 'test')]
    assert sum(map(len, geometries)) == 10
    rows = json.loads(call('leaks', dataset.pk, node.pk, '--format', 'json'))
    values = {row['attribute']: row['value'] for row in rows}
    assert (values['n_near_duplicates'], values['has_leak']) == (0, False)


def test_leak_of_a_charge_left_out(call, dataset):
    node = made_by(call('split', dataset.pk, '--leave-out', 2, '--validation', 2))
    assert node.get_array('test').tolist() == list(range(10, 20))
    text = call('leaks', dataset.pk, node.pk)
    assert re.search(r'n_near_duplicates +8\n', text)
    assert re.search(r'has_leak +yes\n', text)


def test_split_by_blocks_of_time(call, dataset):
    node = made_by(call('split', dataset.pk, '--training', 8, '--test', 2, '--blocks', 5))
    assert [len(node.get_array(name)) for name in ('training', 'validation', 'test')] == [8, 0, 4]
    assert node.base.attributes.get('charge_states') == [0, 2]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--test', 2], 'blocks of time need --training; for whole groups give --by'),
        (
            ['--by', 'geometry', '--blocks', 3],
            '--charge-states and --blocks are of blocks of time; leave them or --by out',
        ),
        (['--by', 'geometry', '--column', 'x'], '--column is that of --leave-out; give both or none'),
    ],
)
def test_options_of_splits_that_do_not_fit_are_refused(call, dataset, options, message):
    assert message in ' '.join(call('split', dataset.pk, *options, exit_code=2).split())


def test_merge(call, dataset):
    text = call('merge', dataset.pk, dataset.pk)
    node = made_by(text)
    assert text == f'DatasetData<{node.pk}> {node.uuid}: 40 frames, charge states 0, 2Na; of 2 sets\n'


def test_merge_of_different_levels_of_theory_is_refused_unless_accepted(call, dataset):
    other = stored(interface_set(2), 'PBE', n_wet_sides=2)
    text = call('merge', dataset.pk, other.pk, exit_code=1)
    assert text == (
        "Error: data sets of different levels of theory cannot be joined: 'part_1' and 'part_2' have 'RPBE-D3' and "
        "'PBE'; relabel one of them, or accept the difference 'level_of_theory'\n"
    )
    text = call('merge', dataset.pk, other.pk, '--accept', 'level_of_theory', '--accept', 'n_wet_sides')
    assert text.endswith('; of 2 sets; they differ in level_of_theory, n_wet_sides\n')
    node = made_by(text)
    assert node.level_of_theory == 'RPBE-D3 | PBE'
    assert node.creator.inputs.accepted_differences.get_list() == ['level_of_theory', 'n_wet_sides']


def test_merge_of_different_atomic_energies_is_refused(call, dataset):
    text = call('merge', dataset.pk, stored(interface_set(2, zero=0.0)).pk, exit_code=1)
    assert 'Error: data sets with different atomic energies cannot be joined' in text


def test_reference_energies_say_what_is_not_determined(call, dataset):
    lines = call('reference-energies', dataset.pk).splitlines()
    assert re.fullmatch(r'Dict<\d+> [0-9a-f-]{36}: H .* eV, O .* eV, Na -179.95 eV, Au .* eV', lines[0])
    assert lines[1].startswith(
        'The compositions of 20 frames determine 2 of 4 values: those of H, O, Au have no meaning'
    )


def test_reference_energies_of_the_training_frames(call, dataset):
    split = made_by(call('split', dataset.pk, '--by', 'geometry', '--test', 4))
    lines = call('reference-energies', dataset.pk, '--split', split.pk).splitlines()
    assert lines[1].startswith('The compositions of 16 frames')


def atoms_of(energies: dict[int, float]):
    """Return isolated atoms with energies [eV] by atomic number."""
    one = interface_frame(0)
    frames = [replace(one, numbers=np.array([n], np.uint8), positions=np.zeros((1, 3))) for n in energies]
    return labelled(frame_set(*frames), list(energies.values()))


def test_reference_energies_of_isolated_atoms(call, dataset):
    energies = {1: -1.2, 8: -1.6, 11: -0.2, 79: -0.19}
    text = call('reference-energies', dataset.pk, '--atoms', stored(atoms_of(energies)).pk)
    assert made_by(text).get_dict() == {'H': -1.2, 'O': -1.6, 'Na': -0.2, 'Au': -0.19}
    assert text.splitlines()[1] == 'Energies of isolated atoms, RPBE-D3.'


def test_isolated_atoms_of_another_level_of_theory_are_refused_unless_accepted(call, dataset):
    atoms = stored(atoms_of({1: -1.2, 8: -1.6, 11: -0.2, 79: -0.19}), 'RPBE')
    text = call('reference-energies', dataset.pk, '--atoms', atoms.pk, exit_code=1)
    assert text == (
        "Error: the frames have the level of theory 'RPBE-D3', the isolated atoms 'RPBE'; label the atoms as the "
        "frames, or accept the difference 'level_of_theory'\n"
    )
    text = call('reference-energies', dataset.pk, '--atoms', atoms.pk, '--accept', 'level_of_theory')
    assert made_by(text).base.extras.get('level_of_theory') == 'RPBE'


def test_split_and_atoms_together_are_refused(call, dataset):
    split = made_by(call('split', dataset.pk, '--by', 'geometry', '--test', 4))
    text = call('reference-energies', dataset.pk, '--split', split.pk, '--atoms', dataset.pk, exit_code=2)
    assert 'isolated atoms need no split; give --atoms or --split' in text
