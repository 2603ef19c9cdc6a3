"""The report of an assessment: how long runs stayed physical."""

from __future__ import annotations

import pytest
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.functions.diffusion_report import diffusion_report

pytestmark = pytest.mark.usefixtures('aiida_profile')
RUNS = [f'T0700_replica_{number:02d}' for number in (1, 2, 3, 4)]


def quality(survival_time: float, is_censored: bool) -> ArrayData:
    node = ArrayData()
    node.base.attributes.set_many({'survival_time': survival_time, 'is_censored': is_censored})
    return node


def row_of(exploded_at_once=(), **qualities):
    """Return the row of four runs at 700 K, of which some were judged."""
    facts = {
        'runs': [{'label': label, 'temperature': 700.0} for label in RUNS],
        'excluded': {},
        'exploded_at_once': list(exploded_at_once),
        'costs': {},
        'settings': {},
    }
    return diffusion_report(
        Dict(facts), **{f'run_quality_{label}': node for label, node in qualities.items()}
    ).get_dict()['temperatures'][0]


def test_a_run_that_exploded_at_once_was_physical_for_no_time():
    judged = {RUNS[0]: quality(3000.0, True), RUNS[1]: quality(1500.0, False)}
    row = row_of([RUNS[2]], **judged)
    assert (row['n_judged'], row['n_left_physics']) == (3, 2)
    assert row['physical_time_ps'] == pytest.approx(1.5)


def test_a_run_that_was_lost_counts_nowhere():
    row = row_of(**{RUNS[0]: quality(3000.0, False), RUNS[1]: quality(1000.0, False)})
    assert (row['n_judged'], row['physical_time_ps'], row['physical_time_error_ps']) == (2, 2.0, 1.0)


def test_runs_that_were_not_judged_have_no_time():
    assert 'physical_time_ps' not in row_of()
