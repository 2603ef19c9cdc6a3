"""What the parser of evaluations makes of the files of the driver."""

from __future__ import annotations

import json

import numpy as np
import pytest
from calculation_cases import evaluation_inputs, finished_node, parse, split
from prediction_files import REPORT, files, npz, predictions

ENTRY_POINT = 'edl.evaluation'


def parsed(code, given):
    """Return outputs and exit code."""
    return parse(ENTRY_POINT, finished_node(ENTRY_POINT, evaluation_inputs(code, split=split(test=[5, 9])), given))


def report_with(outcome):
    """Return the report of a command with another outcome."""
    return json.dumps({**REPORT, 'commands': [{**REPORT['commands'][0], 'outcome': outcome, 'returncode': 1}]}).encode()


def test_finished_evaluation(python_code):
    outputs, exit_code = parsed(python_code, files())
    assert exit_code is None
    assert set(outputs) == {'predictions', 'evaluation_summary'}
    assert outputs['predictions'].get_array('frame_indices').tolist() == [5, 9]
    assert outputs['evaluation_summary'].get_dict() == {
        'level_of_theory': 'least_squares potential trained on charge states 0, 2Na of Lennard-Jones',
        'failures': {},
        'n_frames': 2,
        'n_converged': 2,
        'wall_seconds': 1.5,
        'cpu_seconds': 1.2,
        'peak_memory_megabyte': 80.0,
        'versions': {'numpy': '2.0.0'},
        'threads': 1,
        'python': '3.11.7',
        'platform': 'x86_64',
    }


def test_frames_that_failed_are_named_by_their_index_in_the_dataset(python_code):
    given = files({'1': 'FrameError: no'}, predictions__npz=npz(**predictions((True, False))))
    outputs, exit_code = parsed(python_code, given)
    assert exit_code is None
    assert outputs['evaluation_summary']['failures'] == {'9': 'FrameError: no'}
    assert outputs['evaluation_summary']['n_converged'] == 1


def test_no_frame_that_converged_is_a_failure_with_the_first_reason(python_code):
    given = files({'0': 'FrameError: no', '1': 'x'}, predictions__npz=npz(**predictions((False, False))))
    outputs, exit_code = parsed(python_code, given)
    assert (exit_code.status, exit_code.message) == (
        452,
        'Not one frame could be computed: all 2 frames failed, the first for FrameError: no',
    )
    assert 'predictions' in outputs


def test_passed_walltime_leaves_a_checkpoint(python_code):
    given = files(
        outcome='out_of_walltime',
        predictions__npz=None,
        predictions_partial__npz=npz(done=np.array([True, False])),
        evaluation__json=json.dumps({'outcome': 'out_of_walltime', 'frames': 2, 'frames_done': 1}).encode(),
    )
    outputs, exit_code = parsed(python_code, given)
    assert (exit_code.status, exit_code.message) == (
        400,
        'The program stopped at its walltime and left a checkpoint: 1 of 2 frames are done',
    )
    assert sorted(outputs['checkpoint'].base.repository.list_object_names()) == [
        'failures.json',
        'predictions_partial.npz',
    ]
    assert outputs['checkpoint'].base.attributes.get('frames_done') == 1


@pytest.mark.parametrize('length', [0, 3, 50])
def test_partial_results_that_are_cut_are_no_checkpoint(python_code, length):
    cut = npz(done=np.array([True, False]))[:length]
    outputs, exit_code = parsed(
        python_code, files(predictions__npz=None, predictions_partial__npz=cut, evaluation__json=None)
    )
    assert exit_code.status == 312
    assert 'checkpoint' not in outputs


@pytest.mark.parametrize(
    ('outcome', 'output', 'status', 'message'),
    [
        (
            'out_of_memory',
            b'RuntimeError: CUDA out of memory\n',
            410,
            "The program ran out of memory: the last line of evaluate.out is 'RuntimeError: CUDA out of memory'",
        ),
        (
            'failed',
            b'Traceback\nKeyError: 3\n',
            312,
            "The program stopped before its end: the last line of evaluate.out is 'KeyError: 3'",
        ),
        ('running', b'', 312, 'The program stopped before its end: evaluate.out is empty'),
    ],
)
def test_program_that_did_not_end(python_code, outcome, output, status, message):
    given = files(
        predictions__npz=None, evaluation__json=None, evaluate__out=output, run_commands__json=report_with(outcome)
    )
    _, exit_code = parsed(python_code, given)
    assert (exit_code.status, exit_code.message) == (status, message)


def test_nothing_at_all_is_a_missing_output(python_code):
    _, exit_code = parsed(python_code, {'run_commands.out': b'bash: python: command not found\n'})
    assert (exit_code.status, exit_code.message) == (
        310,
        'An output file is missing: neither run_commands.json nor evaluate.out came back, and the last line of '
        "run_commands.out is 'bash: python: command not found'",
    )


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (
            npz(**predictions())[:300],
            'predictions.npz or failures.json is missing or truncated (File is not a zip file)',
        ),
        (npz(energies=np.zeros(2)), 'predictions.npz lacks the arrays forces, offsets, converged'),
        (
            npz(**{**predictions(), 'energies': np.zeros(3)}),
            'predictions.npz holds 3 frames, 2 were given',
        ),
    ],
    ids=['truncated', 'array', 'frames'],
)
def test_output_of_another_form_is_unreadable(python_code, content, message):
    _, exit_code = parsed(python_code, files(predictions__npz=content))
    assert (exit_code.status, exit_code.message) == (311, f'An output file cannot be read: {message}')
