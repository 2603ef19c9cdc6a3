"""How far a benchmark is."""

from __future__ import annotations

import io

from aiida_edl.provenance import progress
from aiida_edl.workflows.launch import benchmark_settings


def test_finished_benchmark(benchmark):
    rows = {row.stage: row for row in progress.progress(benchmark.process)}
    assert (rows['training'].done, rows['training'].failed, rows['training'].total) == (6, 0, 6)
    assert (rows['production dynamics'].done, rows['production dynamics'].total) == (8, 9)
    assert rows['production dynamics'].reasons == ('The temperature rose above 3000 K at step 120',)
    assert (rows['comparison'].done, rows['comparison'].total) == (11, 10)


def test_planned_calculations_match_what_a_complete_benchmark_calls(benchmark):
    for row in progress.progress(benchmark.process):
        if row.total is not None:
            missing = {'analysis': 7, 'comparison': -1}.get(
                row.stage, 0
            )  # of what exploded; set sizes are not in the settings
            assert row.done + row.failed == row.total - missing


def test_line_names_failures():
    row = progress.StageProgress('training', 3, 1, 2, 12, 65.0, ('loss diverged',))
    assert row.line == 'training: 3 of 12 done, 2 in progress, 1 failed (loss diverged), 0:01:05'


def test_watch_ends_with_the_process(benchmark):
    stream = io.StringIO()
    ended = progress.watch(benchmark.process, stream, interval_seconds=0.0)
    lines = stream.getvalue().splitlines()
    assert ended.pk == benchmark.process.pk
    assert lines[0].startswith('structures: 2 of 2 done, ')
    assert ' finished with exit status 700 (The comparison lacks parts that failed: ' in lines[-1]


def test_process_without_settings_plans_nothing():
    assert progress.planned_calculations({}) == {}


def test_leave_one_out_models_are_planned_at_every_state():
    short = {'single': True, 'leave_one_out': True}
    settings = benchmark_settings('fast', {'charge_states': [0, 1, 2], 'training_sets': short})
    settings['training_sets'].pop('mixed', None)
    sets = settings['training_sets']
    n_runs = sum(3 if name.startswith('without') else len(states) for name, states in sets.items())
    assert progress.planned_calculations(settings)['production dynamics'] == 4 * n_runs
