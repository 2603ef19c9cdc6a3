"""What the parser of replica dynamics makes of a recorded run in which one replica exploded."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from calculation_cases import finished_node, parse, replica_inputs

RECORDED = Path(__file__).parents[1] / 'fixtures' / 'md' / 'torch_sim_replicas' / 'one_exploded'
ENTRY_POINT = 'edl.replica_dynamics'
LABELS = ('bulk', 'displaced', 'film')
REASON = 'the temperature is 1997 K at step 11, the maximum is 1950 K'


def parsed(code, files=RECORDED):
    """Return outputs and exit code of the recorded run."""
    return parse(ENTRY_POINT, finished_node(ENTRY_POINT, replica_inputs(code), files))


def changed_run(folder, *missing):
    """Return a copy of the recorded run without some files."""
    copy = shutil.copytree(RECORDED, folder / 'run')
    for name in missing:
        (copy / name).unlink()
    return copy


def test_run_in_which_the_others_finished_is_a_success_that_lists_the_explosion(python_code):
    outputs, exit_code = parsed(python_code)
    assert exit_code is None
    summary = outputs['md_summary'].get_dict()
    assert summary['outcome'] == 'finished'
    assert summary['exploded'] == {'displaced': REASON}
    assert {label: replica['outcome'] for label, replica in summary['replicas'].items()} == {
        'bulk': 'finished',
        'displaced': 'exploded',
        'film': 'finished',
    }
    assert summary['versions']['torch-sim-atomistic'] == '0.3.0'


def test_frames_before_the_explosion_are_kept(python_code):
    outputs, _ = parsed(python_code)
    steps = {label: outputs[f'series.{label}'].get_array('step').tolist() for label in LABELS}
    assert steps == {
        'bulk': list(range(5, 41, 5)),
        'displaced': [5, 10],
        'film': list(range(5, 41, 5)),
    }
    assert [outputs[f'trajectories.{label}'].n_frames for label in LABELS] == [8, 2, 8]


def test_trajectory_bears_its_seed_and_its_cell(python_code):
    outputs, _ = parsed(python_code)
    trajectories = {label: outputs[f'trajectories.{label}'] for label in LABELS}
    seeds = {label: node.base.attributes.get('seed') for label, node in trajectories.items()}
    assert seeds == {'bulk': 1, 'displaced': 2, 'film': 3}
    assert trajectories['displaced'].frame(0).positions.shape == (31, 3)
    # the lattice vector that the driver made long is not that of the frames
    assert trajectories['film'].frame(0).pbc.tolist() == [True, True, False]
    assert trajectories['film'].frame(0).cell[2, 2] == pytest.approx(8.16)


def test_killed_run_goes_on_from_its_checkpoint_and_knows_what_exploded(python_code, tmp_path):
    outputs, exit_code = parsed(python_code, changed_run(tmp_path, 'md_summary.json'))
    assert exit_code.status == 312
    assert outputs['md_summary']['exploded'] == {'displaced': REASON}
    assert 'checkpoint' in outputs


def test_run_without_frames_leaves_no_checkpoint(python_code, tmp_path):
    outputs, exit_code = parsed(python_code, changed_run(tmp_path, 'trajectory_00001.npz'))
    assert exit_code.status == 312
    assert exit_code.message.endswith(
        '3 of 3 replicas: the frame of step 5 is missing, which should be in one of trajectory_*.npz (replica bulk)'
    )
    assert set(outputs) == {'md_summary'}


def test_nothing_at_all_is_a_missing_output(python_code):
    outputs, exit_code = parsed(python_code, {})
    assert exit_code.status == 310
    assert set(outputs) == {'md_summary'}


def test_checkpoint_says_of_which_replicas_it_is(python_code):
    outputs, _ = parsed(python_code)
    attributes = outputs['checkpoint'].base.attributes.all
    assert attributes['steps_done'] == 40
    assert {label: replica['seed'] for label, replica in attributes['replicas'].items()} == dict(zip(LABELS, (1, 2, 3)))
    assert 'seed' not in attributes['settings']
