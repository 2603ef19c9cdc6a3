from __future__ import annotations

import json

import numpy as np
import pytest

from aiida_edl.architectures.base import LearningCurve, TrainingOutcome
from aiida_edl.architectures.run_report import (
    TrainingLog,
    divergence,
    judge_training,
    last_line,
    outcome_of_commands,
    read_run_report,
)


def write_report(folder, *outcomes: str, returncode: int | None = 1) -> None:
    commands = [
        {
            'stdout': f'{name}.out',
            'is_export': name == 'export',
            'outcome': outcome,
            'returncode': returncode,
            'wall_seconds': 12.3,
        }
        for name, outcome in zip(('train', 'export'), outcomes)
    ]
    (folder / 'run_commands.json').write_text(json.dumps({'commands': commands}))


def curve(forces, loss=None) -> LearningCurve:
    forces = np.array(forces, dtype=float)
    losses = np.ones_like(forces) if loss is None else np.array(loss)
    return LearningCurve(10 * np.arange(len(forces)), forces / 10, forces, losses)


def log(**changes) -> TrainingLog:
    values = {
        'learning_curve': curve([1.0, 0.5]),
        'gradient_updates_done': 10,
        'is_complete': True,
        'model_path': 'model',
        'checkpoint_files': ('checkpoint',),
        'last_line': "the last line of train.out is 'done'",
    }
    return TrainingLog(**(values | changes))


def test_report_is_read(tmp_path):
    write_report(tmp_path, 'finished', 'failed')
    train, export = read_run_report(tmp_path)
    assert (train.stdout, train.is_export, train.outcome) == ('train.out', False, 'finished')
    assert (export.stdout, export.is_export, export.outcome) == ('export.out', True, 'failed')


@pytest.mark.parametrize('content', [None, '', '{"commands": [{'])
def test_missing_or_truncated_report_is_none(tmp_path, content):
    if content is not None:
        (tmp_path / 'run_commands.json').write_text(content)
    assert read_run_report(tmp_path) is None
    outcome, message = outcome_of_commands(tmp_path)
    assert outcome is TrainingOutcome.LOG_INCOMPLETE
    assert message == 'run_commands.json is missing or truncated'


@pytest.mark.parametrize(
    ('outcomes', 'expected'),
    [
        (('finished', 'finished'), TrainingOutcome.FINISHED),
        (('timed_out', 'not_run'), TrainingOutcome.OUT_OF_WALLTIME),
        (('terminated', 'not_run'), TrainingOutcome.OUT_OF_WALLTIME),
        (('out_of_memory', 'not_run'), TrainingOutcome.OUT_OF_MEMORY),
        (('device_lost', 'not_run'), TrainingOutcome.DEVICE_LOST),
        (('device_missing', 'not_run'), TrainingOutcome.DEVICE_MISSING),
        (('version_differs', 'not_run'), TrainingOutcome.VERSION_DIFFERS),
        (('failed', 'not_run'), TrainingOutcome.LOG_INCOMPLETE),
        (('running', 'not_run'), TrainingOutcome.LOG_INCOMPLETE),
        (('finished', 'failed'), TrainingOutcome.EXPORT_FAILED),
        (('finished', 'out_of_memory'), TrainingOutcome.EXPORT_FAILED),
        (('finished', 'timed_out'), TrainingOutcome.OUT_OF_WALLTIME),
        (('finished', 'device_lost'), TrainingOutcome.DEVICE_LOST),
        (('finished', 'terminated'), TrainingOutcome.OUT_OF_WALLTIME),
    ],
)
def test_outcome_follows_from_the_first_command_that_did_not_finish(tmp_path, outcomes, expected):
    write_report(tmp_path, *outcomes)
    assert outcome_of_commands(tmp_path)[0] is expected


def test_message_says_how_the_command_ended(tmp_path):
    write_report(tmp_path, 'failed', returncode=2)
    (tmp_path / 'train.out').write_text('begin\nValueError: no\n\n')
    assert outcome_of_commands(tmp_path)[1] == (
        'the command that writes train.out failed after 12 s with return code 2, and the last line of train.out is '
        "'ValueError: no'"
    )


def test_empty_output_is_said_to_be_empty(tmp_path):
    assert last_line(tmp_path / 'train.out') == 'train.out is empty'


def test_falling_errors_are_no_divergence():
    assert divergence(curve([1.0, 0.5])) is None


def test_loss_that_was_never_reported_is_no_divergence():
    assert divergence(curve([1.0], loss=[np.nan])) is None


def test_loss_of_no_update_at_all_is_no_divergence():
    again = LearningCurve(np.array([0, 10, 10]), np.ones(3), np.ones(3), np.array([np.nan, 1.0, np.nan]))
    assert divergence(again) is None


def test_error_that_is_not_finite_is_divergence():
    assert divergence(curve([1.0, np.nan])) == 'the validation energy error is nan after 10 gradient updates'


def test_loss_that_is_not_finite_is_divergence():
    message = divergence(curve([1.0, 1.0], loss=[1.0, np.inf]))
    assert message == 'the training loss is inf after 10 gradient updates'


@pytest.mark.parametrize(('last', 'has_diverged'), [(9.9, False), (10.1, True)])
def test_force_error_that_rises_tenfold_is_divergence(last, has_diverged):
    expected = 'the validation force error rose from 1 to 10.1 eV/Å in 20 gradient updates' if has_diverged else None
    assert divergence(curve([1.0, 0.5, last])) == expected


def test_energies_beyond_all_bounds_are_divergence():
    saturated = LearningCurve(np.array([0, 10]), np.array([0.1, 2e9]), np.array([0.2, 0.1]), np.array([1.0, 1.0]))
    assert divergence(saturated) == 'the validation energy error is 2e+09 eV/atom after 10 gradient updates'


def test_what_the_trainer_says_of_divergence_counts(tmp_path):
    write_report(tmp_path, 'failed')
    result = judge_training(tmp_path, log(reported_divergence="the trainer said 'NaN'", is_complete=False))
    assert (result.outcome, result.message) == (TrainingOutcome.LOSS_DIVERGED, "the trainer said 'NaN'")


def test_finished_training_names_its_model(tmp_path):
    write_report(tmp_path, 'finished', 'finished')
    (tmp_path / 'model').write_bytes(b'weights')
    result = judge_training(tmp_path, log())
    assert (result.outcome, result.model_path) == (TrainingOutcome.FINISHED, 'model')
    assert result.checkpoint_files == ('checkpoint',)
    assert result.gradient_updates_done == 10


def test_finished_commands_without_model_mean_that_export_failed(tmp_path):
    write_report(tmp_path, 'finished', 'finished')
    result = judge_training(tmp_path, log())
    assert (result.outcome, result.message) == (TrainingOutcome.EXPORT_FAILED, 'the model model is missing or empty')


def test_trainer_that_fails_after_its_last_step_failed_to_export(tmp_path):
    write_report(tmp_path, 'failed')
    assert judge_training(tmp_path, log()).outcome is TrainingOutcome.EXPORT_FAILED


def test_log_without_its_end_is_incomplete(tmp_path):
    write_report(tmp_path, 'finished', 'finished')
    (tmp_path / 'model').write_bytes(b'weights')
    result = judge_training(tmp_path, log(is_complete=False))
    assert result.outcome is TrainingOutcome.LOG_INCOMPLETE
    assert result.message == "the log does not reach its end, and the last line of train.out is 'done'"


def test_divergence_comes_before_how_the_commands_ended(tmp_path):
    write_report(tmp_path, 'failed')
    result = judge_training(tmp_path, log(learning_curve=curve([1.0, np.nan]), is_complete=False))
    assert result.outcome is TrainingOutcome.LOSS_DIVERGED
