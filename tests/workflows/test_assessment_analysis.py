"""What an assessment makes of runs that exploded; no process runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiida.orm import Dict

from aiida_edl.calculations.functions.run_quality import run_quality
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.workflows.assessment_analysis import AssessmentAnalysisMixin

pytestmark = pytest.mark.usefixtures('aiida_profile')


class Assessment(AssessmentAnalysisMixin):
    """An assessment that has come to its runs."""

    def __init__(self, **analyses: Dict) -> None:
        self.inputs = {'analyses': analyses}
        self.ctx: dict[str, Any] = {}
        self.called: list[tuple[Any, dict[str, Any]]] = []
        self.given: dict[str, Any] = {}

    def call_once(self, function: Any, _: str, **inputs: Any) -> str:
        self.called.append((function, inputs))
        return 'judged'

    def out(self, name: str, node: Any) -> None:
        self.given[name] = node

    def report(self, _: str) -> None:
        pass


def run(exit_status: int = 451, **outputs: str) -> Any:
    return SimpleNamespace(exit_status=exit_status, outputs=Outputs(outputs))


class Outputs(dict):
    """Outputs by name."""

    __getattr__ = dict.__getitem__


def test_exploded_run_is_judged_by_what_it_left():
    assessment = Assessment(run_quality=Dict({'hot_factor': 4.0}))
    assessment.judge_exploded_run('2Na', run(trajectory='frames', series='temperatures'))
    ((function, inputs),) = assessment.called
    assert function is run_quality
    assert inputs.pop('settings').get_dict() == {'hot_factor': 4.0, 'outcome': 'exploded'}
    assert inputs == {'trajectory': 'frames', 'series': 'temperatures'}
    assert assessment.given == {'analyses.run_quality.2Na': 'judged'}


@pytest.mark.parametrize(
    ('analyses', 'left'),
    [
        ((), run(trajectory='frames')),
        (('run_quality',), run(exit_status=400, trajectory='frames')),
        (('run_quality',), run()),
    ],
    ids=['not asked for', 'stopped for another reason', 'nothing left'],
)
def test_run_that_cannot_be_judged_is_not(analyses, left):
    assessment = Assessment(**{name: Dict({}) for name in analyses})
    assessment.judge_exploded_run('2Na', left)
    assert (assessment.called, assessment.given) == ([], {})


def test_exploded_run_with_too_few_frames_is_a_failure_of_that_part(monkeypatch):
    assessment = Assessment(run_quality=Dict({}))

    def refuse(*_: Any, **__: Any) -> None:
        raise NotAnalysableError('the run has 1 frame')

    monkeypatch.setattr(assessment, 'call_once', refuse)
    assessment.judge_exploded_run('2Na', run(trajectory='frames'))
    assert assessment.failures == ['run_quality of the exploded run at 2Na (the run has 1 frame)']
    assert assessment.given == {}
