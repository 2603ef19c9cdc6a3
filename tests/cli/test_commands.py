"""Every command, by what it prints."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest
from aiida.orm import load_node
from ase import Atoms
from ase.io import write
from click.testing import CliRunner
from vasp_cases import RECORDED

from aiida_edl.cli.main import main


@pytest.fixture(scope='module')
def call(aiida_profile):
    """Return a function that runs a command and checks its exit status."""

    def run(*arguments, exit_code=0):
        result = CliRunner().invoke(main, ['-p', aiida_profile.name, *map(str, arguments)], catch_exceptions=False)
        assert result.exit_code == exit_code, result.output
        return result.output

    return run


def test_help_lists_all_groups(call):
    text = call('--help')
    groups = ('archive', 'benchmark', 'code', 'dataset', 'foundation', 'potential', 'query', 'structure')
    assert [name for name in groups if f'\n  {name}' not in text] == []


def test_potential_show(call, benchmark):
    rows = json.loads(
        call('potential', 'show', benchmark.nodes['potentials']['mace_mixed_seed_01'].pk, '--format', 'json')
    )
    values = {row['attribute']: row['value'] for row in rows}
    assert (values['receptive_field'], values['elements']) == (9.0, ['H', 'O', 'Na', 'Au'])
    assert values['training_charge_labels'] == ['0', '2Na']


def test_dataset_show(call, benchmark):
    text = call('dataset', 'show', benchmark.nodes['dataset'].uuid)
    assert 'classical reference, SPC/Fw water' in text
    assert '-95.25' in text


def test_wrong_kind_of_node_is_refused(call, benchmark):
    text = call('potential', 'show', benchmark.nodes['dataset'].pk, exit_code=2)
    assert 'Invalid value' in text


def test_query_labels(call, benchmark):
    rows = json.loads(
        call('query', 'labels', benchmark.nodes['potentials']['mace_mixed_seed_01'].pk, '--format', 'json')
    )
    assert [(row['charge_state'], row['n_training']) for row in rows] == [('0', 4), ('2Na', 4)]


def test_query_potentials_only_on(call, benchmark):
    rows = list(csv.DictReader(io.StringIO(call('query', 'potentials', '--only-on', '2Na', '--format', 'csv'))))
    assert [row['architecture'] for row in rows] == ['deep_potential', 'deep_potential', 'mace']


@pytest.mark.parametrize('name', ['best', 'errors', 'cost', 'failures', 'rejected', 'potentials'])
def test_queries_of_a_study(call, benchmark, name):
    assert json.loads(call('query', name, '--study', benchmark.process.pk, '--format', 'json'))


def test_query_of_remedies_is_empty_without_models_that_are_told_the_charge(call, benchmark):
    assert call('query', 'remedies', '--study', benchmark.process.pk) == 'no rows\n'


def test_query_figures(call, benchmark):
    assert 'model_spread' in call('query', 'figures', benchmark.nodes['dataset'].pk)


def test_query_protocol(call, benchmark):
    assert benchmark.process.uuid in call('query', 'protocol', 'fast')
    assert call('query', 'protocol', 'unknown') == 'no rows\n'


def test_query_table_is_that_of_the_report(call, benchmark, tmp_path):
    call('benchmark', 'report', benchmark.process.pk, '--output', tmp_path)
    printed = call('query', 'table', 'errors', '--study', benchmark.process.pk, '--format', 'csv')
    assert printed == (tmp_path / 'figures' / 'errors.csv').read_text()


def test_benchmark_status(call, benchmark):
    lines = call('benchmark', 'status', benchmark.process.pk).splitlines()
    assert lines[0].startswith('structures: 2 of 2 done')
    assert re.fullmatch(r'0 of \d+ jobs came from the cache, \d+ were computed', lines[-2])
    assert 'finished with exit status 700' in lines[-1]


def test_benchmark_status_watch_of_one_with_warnings(call, benchmark):
    assert 'Warning: The comparison lacks parts that failed' in call(
        'benchmark', 'status', benchmark.process.pk, '--watch'
    )


def test_unknown_protocol_is_one_sentence(call):
    text = call('benchmark', 'run', '--protocol', 'fats', exit_code=1)
    assert text.startswith("Error: unknown protocol 'fats': did you mean 'fast'?")
    assert 'Traceback' not in text


def test_dry_run_prints_settings(call):
    text = call('benchmark', 'run', '--dry-run', '--set', 'split.seed=7')
    assert '  seed: 7' in text
    assert 'charge_states:' in text


def test_dry_run_says_how_much_is_asked_for(call):
    last = call('benchmark', 'run', '--dry-run').splitlines()[-1]
    assert last == (
        '# 12 models on 3 training sets, 16 runs of them and 2 of the reference: about 46 jobs; restarts, conversions '
        'and parity gates come on top'
    )


def test_members_of_a_benchmark_are_grouped(call, benchmark):
    text = call('benchmark', 'group', benchmark.process.pk, '--study', 'from_the_command_line')
    assert 'edl/from_the_command_line/structures/0' in text


def test_seed_that_is_no_number_is_refused(call, benchmark):
    text = call('benchmark', 'extend', benchmark.process.pk, '--seeds', '1,two', exit_code=2)
    assert "'two' is no seed; give numbers with commas, e.g. --seeds 4,5" in text


def test_process_that_is_no_benchmark_cannot_be_extended(call, benchmark):
    child = benchmark.process.called[0]
    text = call('benchmark', 'extend', child.pk, '--seeds', '3', exit_code=1)
    assert f'{child.process_label}<{child.pk}> is no benchmark; give the process of one' in text


def test_architectures_can_be_chosen(call):
    text = call('benchmark', 'run', '--dry-run', '--architectures', 'deep_potential_mp')
    assert '  deep_potential_mp:' in text
    assert '  mace:' not in text


def test_gpus_change_the_device(call):
    text = call('benchmark', 'run', '--dry-run', '--gpus', '1')
    assert 'device: cuda' in text
    assert 'device: cpu' not in text


def test_gpus_are_asked_of_the_scheduler_of_each_code(benchmark):
    from aiida_edl.workflows.launch import options_on_gpus

    codes = {'default': 'engines@cluster', 'pet_md': 'engines@cluster'}
    two = {'environment_variables': {'CUDA_VISIBLE_DEVICES': '0,1'}}
    assert options_on_gpus({}, codes, ['mace', 'pet'], 2) == {'mace': two, 'pet': two, 'pet_md': two}


def test_missing_code_is_answered_with_its_installation(call, benchmark):
    text = call('benchmark', 'run', exit_code=1)
    assert "Error: code 'lmp' is not set up; install it with:" in text


def test_code_list_and_check(call, benchmark):
    assert 'mace' in call('code', 'list')
    assert 'engines@cluster' in call('code', 'check', 'mace', 'engines')
    assert "code 'none' is not set up; install it with:" in call('code', 'check', 'mace', 'none', exit_code=1)


def test_setting_without_value_is_refused(call):
    text = call('benchmark', 'run', '--dry-run', '--set', 'split.seed', exit_code=2)
    assert "'split.seed' is not a setting, write KEY=VALUE, e.g. split.seed=3" in text


@pytest.fixture
def labelled_file(tmp_path):
    """Return an extended XYZ file with energies and forces under keys of their own."""
    random = np.random.default_rng(1)
    frames = []
    for index in range(3):
        atoms = Atoms('Pt4OH2Na', positions=random.uniform(0, 1, (8, 3)) + 2.5 * np.arange(8)[:, None], cell=[9, 9, 30])
        atoms.pbc = [True, True, False]
        atoms.info['DFT_energy'] = -10.0 + 0.01 * index
        atoms.info['run'] = 'a'
        atoms.arrays['DFT_forces'] = random.standard_normal((8, 3))
        frames.append(atoms)
    path = tmp_path / 'frames.xyz'
    write(path, frames, format='extxyz')
    return path


def test_dataset_import(call, benchmark, labelled_file):
    keys = ['--energy-key', 'DFT_energy', '--forces-key', 'DFT_forces', '--group-by', 'run']
    text = call('dataset', 'import', labelled_file, '--level-of-theory', 'RPBE-D3', '--sides', 2, *keys)
    assert text.endswith(': 3 frames, charge states 1Na\n')
    uuid = text.split()[1].rstrip(':')
    shown = call('dataset', 'show', uuid)
    assert 'frames.xyz' in shown
    assert str(labelled_file.parent) not in shown


def test_dataset_import_with_units_and_limits(call, benchmark, labelled_file):
    keys = ['--energy-key', 'DFT_energy', '--forces-key', 'DFT_forces', '--level-of-theory', 'RPBE-D3']
    bohr = ['--unit', 'force=hartree/bohr', '--limit', 'maximum_median_force=1000']
    uuids = [call('dataset', 'import', labelled_file, *keys, *more).split()[1].rstrip(':') for more in ([], bohr)]
    plain, converted = (load_node(uuid) for uuid in uuids)
    np.testing.assert_allclose(converted.frames().forces, 51.422067 * plain.frames().forces, rtol=1e-7)
    assert converted.base.attributes.get('import')['units'] == {'force': 'hartree/bohr'}


def test_dataset_import_of_a_finished_run(call):
    text = call('dataset', 'import', RECORDED / 'some_unconverged')
    assert ': 4 frames, ' in text
    assert '0: some_unconverged: ionic step 1: the SCF took 15 steps and its limit NELM is 15' in text
    assert 'VASP PBE, PAW PAW_PBE Si 05Jan2001' in call('dataset', 'show', text.split()[1].rstrip(':'))


def test_dataset_import_with_a_limit_that_is_no_number_is_refused(call, labelled_file):
    limit = ['--limit', 'maximum_median_force=high']
    text = call('dataset', 'import', labelled_file, '--level-of-theory', 'x', *limit, exit_code=2)
    assert "'high' of 'maximum_median_force' is no number, write e.g. maximum_median_force=1.5" in text


def test_dataset_import_with_a_wrong_key_is_one_sentence(call, labelled_file):
    text = call('dataset', 'import', labelled_file, '--level-of-theory', 'x', '--energy-key', 'DFT_enery', exit_code=1)
    assert text.startswith('Error: frames.xyz')
    assert 'DFT_energy' in text


def test_archive_export_audit_and_verify(call, benchmark, tmp_path):
    path = tmp_path / 'study.aiida'
    text = call('archive', 'export', benchmark.process.pk, '--output', path, '--private', 'jane')
    assert 'study.aiida: 370 nodes, nothing private, read back in an empty profile' in text
    assert 'nothing private found' in call('archive', 'audit', path)
    assert '17 data sets have the arrays their checksums promise' in call('archive', 'verify', path)


def test_archive_audit_finds_a_private_word(call, benchmark, benchmark_file):
    text = call('archive', 'audit', benchmark_file, exit_code=1)
    assert 'login7.cluster.example' in text
    assert 'Error: benchmark.aiida: 370 nodes and ' in text


@pytest.fixture
def benchmark_file(benchmark):
    """Return the archive as AiiDA wrote it."""
    from stored_benchmark import _STORED

    return _STORED[0][0]


def test_archive_preview(call, benchmark):
    assert '/home/jane/setup.sh' in call('archive', 'preview', benchmark.process.pk)
