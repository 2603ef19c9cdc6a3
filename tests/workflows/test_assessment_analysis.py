"""What an assessment makes of runs that exploded; no process runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiida.orm import Dict

from aiida_edl.calculations.functions.join_datasets import join_datasets
from aiida_edl.calculations.functions.join_series import join_series
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


class SeveralRuns(Assessment):
    """An assessment whose runs at a charge state are analysed, by label, with whether each stayed within physics."""

    def __init__(self, are_physical: dict[str, bool]) -> None:
        super().__init__()
        analyses = {'interface_structure': Dict({}), 'run_quality': Dict({})}
        further = dict.fromkeys(label for label in are_physical if '_replica_' in label)
        self.inputs = Outputs(analyses=analyses, further_structures=further, analysis_settings='settings')
        self.ctx = Outputs(labels=list(are_physical))
        for label, is_physical in are_physical.items():
            self.ctx[f'md_{label}'] = run(0, trajectory=f'frames of {label}', series=f'series of {label}')
            self.ctx[f'analysis_{label}'] = analysed(label, run_quality=quality(is_physical))
        self.submitted: dict[str, Any] = {}

    def submit(self, _: Any, **inputs: Any) -> Any:
        self.submitted[inputs['metadata']['call_link_label']] = inputs
        return 'submitted'

    def call_once(self, function: Any, _: str, **inputs: Any) -> str:
        self.called.append((function, inputs))
        return f'{function.__name__} of {len(inputs)}'

    def finish(self) -> None:
        """Take what the runs gave, join them, and take what the joined runs gave."""
        self.collect_profiles()
        self.join_runs()
        for name in self.submitted:
            self.ctx[name] = analysed('all')
        self.collect_joined_profiles()


def quality(is_physical: bool) -> Any:
    attributes = SimpleNamespace(get=lambda name, default: is_physical if name == 'is_physical' else default)
    return SimpleNamespace(base=SimpleNamespace(attributes=attributes))


def analysed(label: str, **analyses: Any) -> Any:
    found = {'interface_structure': f'structure of {label}', **analyses}
    outputs = Outputs(profiles=f'profiles of {label}', analyses=found)
    return SimpleNamespace(is_finished_ok=True, exit_status=0, outputs=outputs)


def test_replica_that_left_physics_is_left_out_and_the_others_are_analysed_together():
    assessment = SeveralRuns({'2Na': True, '2Na_replica_02': False, '2Na_replica_03': True})
    assessment.finish()
    assert assessment.called == [
        (join_datasets, {'run_00': 'frames of 2Na', 'run_01': 'frames of 2Na_replica_03'}),
        (join_series, {'run_00': 'series of 2Na', 'run_01': 'series of 2Na_replica_03'}),
    ]
    joined = assessment.submitted['joined_analysis_2Na']
    assert (joined['trajectory'], joined['series']) == ('join_datasets of 2', 'join_series of 2')
    assert set(joined['analyses']) == {'interface_structure'}  # the quality is that of one run
    given = assessment.given
    assert (given['profiles.2Na'], given['profiles.2Na_replica_02']) == (
        'profiles of all',
        'profiles of 2Na_replica_02',
    )
    assert given['analyses.interface_structure.2Na'] == 'structure of all'
    assert {name for name in given if name.startswith('analyses.run_quality')} == {
        f'analyses.run_quality.2Na_replica_{number:02d}' for number in (1, 2, 3)
    }


def test_results_of_the_only_replica_that_counts_stand_for_all():
    assessment = SeveralRuns({'2Na': False, '2Na_replica_02': True})
    assessment.finish()
    assert assessment.submitted == {}
    assert assessment.given['profiles.2Na'] == 'profiles of 2Na_replica_02'
    assert assessment.given['analyses.interface_structure.2Na'] == 'structure of 2Na_replica_02'
    assert 'analyses.run_quality.2Na' not in assessment.given


def test_charge_state_at_which_no_replica_counts_is_a_failure():
    assessment = SeveralRuns({'2Na': False, '2Na_replica_02': False})
    assessment.finish()
    assert assessment.failures == ['profiles at 2Na (no run counts)']
    assert 'profiles.2Na' not in assessment.given
