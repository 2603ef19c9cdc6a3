"""Validation of summation methods as a process: it runs, goes on after its walltime, and says what it found."""

from __future__ import annotations

import json

import pytest
from aiida.engine import run_get_node
from aiida.orm import Dict, FolderData
from calculation_cases import finished_node, parse, refusal, stage

from aiida_edl.calculations.long_range_validation import CASES_DONE, RESULT
from aiida_edl.provenance.summation_queries import summation_results
from aiida_edl.workflows.long_range_validation import LongRangeValidationWorkChain

pytest.importorskip('numba')

ENTRY_POINT = 'edl.long_range_validation'
SMALL = {'cases': ['eight_ions_1', 'cscl'], 'targets': [1e-2], 'drift_targets': [1e-2], 'drift_steps': 100}


def row(**changes):
    values = {'case': 'water', 'method': 'p3m', 'implementation': 'compiled', 'precision': 'float64', 'target': 1e-3}
    measured = {'refusal': '', 'force_error': 8e-4, 'gradient_error': 1e-8, 'stress_error': 2e-5, 'exact_error': None}
    return {**values, **measured, **changes}


def result(done, rows=()):
    return {RESULT: json.dumps({'rows': list(rows), 'lattices': [], 'cases_done': list(done), 'drifts': None}).encode()}


def report_of_run(returncode, outcome):
    command = {'arguments': [], 'stdout': 'validate.out', 'is_export': False, 'returncode': returncode}
    cost = {'wall_seconds': 1.0, 'cpu_seconds': 1.0, 'peak_memory_megabyte': 1.0, 'outcome': outcome}
    document = {'commands': [{**command, **cost}], 'versions': {}, 'python': '3.11', 'platform': 'x', 'threads': 1}
    return {'run_commands.json': json.dumps(document).encode(), 'validate.out': b'stopped before cscl'}


def parsed(code, files):
    return parse(ENTRY_POINT, finished_node(ENTRY_POINT, {'code': code, 'settings': Dict(SMALL)}, files))


def test_two_cases_run_to_a_report(python_code):
    _, node = run_get_node(LongRangeValidationWorkChain, validation={'code': python_code, 'settings': Dict(SMALL)})
    assert (node.exit_status, node.exit_message) == (0, None)
    report = node.outputs.report.get_dict()
    assert [(each['method'], each['n_rows'], each['n_within']) for each in report['methods']] == [
        ('ewald', 2, 2),
        ('p3m', 2, 2),
    ]
    assert [abs(row['relative_error']) < 1e-10 for row in report['lattices']] == [True, True]
    (drift,) = report['drifts']
    assert abs(drift['drift']) < 20.0  # of a run of 0.1 ps, in which the fluctuation of 0.3 meV/atom counts
    assert node.outputs.validation.get_dict()['versions']['numba']
    answers = [(answer.method, answer.n_within, answer.report) for answer in summation_results(node)]
    assert answers == [('ewald', 2, node.outputs.report.uuid), ('p3m', 2, node.outputs.report.uuid)]


def test_a_method_that_misses_is_named(python_code, make_chain):
    chain = make_chain(LongRangeValidationWorkChain, validation={'code': python_code})
    chain.out(
        'validation', Dict({'rows': [row(force_error=2e-3), row(method='ewald')], 'lattices': [], 'drifts': []}).store()
    )
    exit_code = chain.judge()
    assert exit_code.status == 700
    assert exit_code.message == (
        'Not every result is as right as was asked for, see the words of the report: p3m (compiled, float64)'
    )


def test_a_checkpoint_holds_the_cases_that_are_done(python_code):
    outputs, exit_code = parsed(python_code, {**result(['eight_ions_1'], [row()]), **report_of_run(3, 'failed')})
    assert exit_code.status == 400
    assert exit_code.message.endswith('1 of 2 cases are done')
    assert outputs['checkpoint'].base.attributes.get(CASES_DONE) == 1


def test_a_run_that_was_killed_keeps_its_cases(python_code):
    outputs, exit_code = parsed(python_code, {**result(['eight_ions_1'], [row()]), **report_of_run(None, 'running')})
    assert exit_code.status == 312
    assert 'checkpoint' in outputs


def test_a_truncated_table_is_unreadable(python_code):
    outputs, exit_code = parsed(python_code, {RESULT: b'{"rows": [', **report_of_run(0, 'finished')})
    assert exit_code.status == 311
    assert outputs == {}


def test_the_modules_that_compute_are_part_of_the_job(python_code, tmp_path):
    stage(ENTRY_POINT, tmp_path, {'code': python_code, 'settings': Dict(SMALL)})
    assert (tmp_path / 'aiida_edl' / 'science' / 'electrostatics' / 'tuning.py').is_file()
    request = json.loads((tmp_path / 'validate.json').read_text())
    assert request['implementations'] == [{'name': 'compiled', 'precision': 'float64'}]


def test_a_checkpoint_is_given_to_the_job(python_code, tmp_path):
    checkpoint = FolderData()
    checkpoint.base.repository.put_object_from_bytes(result(['cscl'])[RESULT], RESULT)
    calc_info = stage(ENTRY_POINT, tmp_path, {'code': python_code, 'checkpoint': checkpoint.store()})
    assert (checkpoint.uuid, RESULT, RESULT) in calc_info.local_copy_list


def test_an_unknown_case_is_refused_before_submission(python_code):
    message = refusal(ENTRY_POINT, {'code': python_code, 'settings': Dict({'cases': ['watre']})})
    assert message.startswith("unknown case of the validation 'watre': did you mean 'water'?")
