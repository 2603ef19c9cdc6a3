"""The ASE engine: input, refusals, and how recorded runs are read."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from ase_cases import EMT, ENGINE, FIXTURES, SETTINGS, copper_on_gold, gold, job, run

from aiida_edl.md_engines.ase import AseEngine
from aiida_edl.md_engines.base import MDOutcome, MDSettingsError
from aiida_edl.md_engines.testing import recorded_inputs
from aiida_edl.registry import MD_ENGINES, load_member
from aiida_edl.science import units
from aiida_edl.science.frames import FrameSet

RECORDED = FIXTURES / 'md' / 'ase'


def read(folder):
    """Read a recorded run."""
    return ENGINE.read(folder, *recorded_inputs(folder))


@pytest.fixture
def finished(tmp_path):
    """Return a copy of a finished run that may be spoilt."""
    return shutil.copytree(RECORDED / 'finished', tmp_path / 'run')


def test_entry_point_gives_the_engine():
    assert isinstance(load_member(MD_ENGINES, 'ase'), AseEngine)


def test_wall_without_fixed_atoms_is_refused():
    assert ENGINE.refuse(replace(SETTINGS, wall_height=4.0)) == (
        'engine ase counts wall_height 4.0 Å from the topmost fixed atom, but fixed_elements is empty; name the '
        'elements that do not move or set wall_height to 0'
    )


def test_input_holds_all_that_the_driver_reads():
    files = ENGINE.files(job(atomic_energies={'Au': -3.0}, walltime_seconds=60.0))
    assert set(files) == {'run_ase_md.py', 'md.json', 'initial.npz'}
    assert json.loads(files['md.json']) == {
        'recipe': EMT,
        'initial': 'initial.npz',
        'settings': SETTINGS.to_dict(),
        'units': {'boltzmann': units.BOLTZMANN, 'atomic_mass': units.ATOMIC_MASS},
        'energy_shifts': {'Au': -3.0},
        'walltime_seconds': 60.0,
        'flush_interval_seconds': 60.0,
        'is_restart': False,
    }


def test_initial_frame_keeps_velocities_and_drops_labels(tmp_path):
    labelled = replace(
        gold(1), energy=1.0, forces=np.ones((4, 3)), velocities=np.full((4, 3), 0.1), columns={'group': 'a'}
    )
    (tmp_path / 'initial.npz').write_bytes(ENGINE.files(job(labelled))['initial.npz'])
    written = FrameSet.from_npz(tmp_path / 'initial.npz')
    assert (written.energies, written.forces, dict(written.columns)) == (None, None, {})
    np.testing.assert_array_equal(written.velocities, np.full((4, 3), 0.1))


def test_finished_run_has_all_frames():
    result = read(RECORDED / 'finished')
    assert (result.outcome, result.message) == (MDOutcome.FINISHED, '40 of 40 steps are done')
    assert result.trajectory.columns['step'].tolist() == [10, 20, 30, 40]
    assert result.trajectory.columns['time'].tolist() == [20.0, 40.0, 60.0, 80.0]


def test_charge_state_of_the_trajectory_counts_ions(tmp_path):
    frame = replace(copper_on_gold(), numbers=np.array([79] * 32 + [11, 11, 29], dtype=np.uint8))
    recipe = {'module': 'toy.failing_calculator', 'attribute': 'ExtrapolatingCalculator', 'keyword_arguments': {}}
    result = run(tmp_path, job(frame, model_recipe=recipe))
    assert result.trajectory.columns['charge_state'].tolist() == [2, 2, 2, 2]


def test_killed_run_is_read_up_to_its_checkpoint():
    result = read(RECORDED / 'output_incomplete')
    assert result.outcome is MDOutcome.OUTPUT_INCOMPLETE
    assert result.message == 'md_summary.json is missing or truncated, and md.out is empty'
    assert result.steps_done == 32
    assert result.series['step'].tolist() == [10, 20, 30]
    assert result.checkpoint_files == ('checkpoint.npz',)


def test_exhausted_memory_is_told_from_other_ends():
    result = read(RECORDED / 'out_of_memory')
    assert result.outcome is MDOutcome.OUT_OF_MEMORY
    assert result.message.endswith(
        "the last line of md.out is 'RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB'"
    )


def test_explosion_keeps_the_frames_before_it():
    result = read(RECORDED / 'exploded')
    assert result.outcome is MDOutcome.EXPLODED
    assert len(result.trajectory) == result.steps_done - 1
    assert result.series['temperature'].max() < 3000.0


def test_energy_that_is_no_number_ends_the_run_before_its_frame(tmp_path):
    recipe = {'module': 'toy.failing_calculator', 'attribute': 'SpoilingCalculator', 'keyword_arguments': {'after': 25}}
    result = run(tmp_path, job(model_recipe=recipe))
    assert (result.outcome, result.message) == (
        MDOutcome.EXPLODED,
        'energy or velocities are not finite at step 25',
    )
    assert result.series['step'].tolist() == result.trajectory.columns['step'].tolist() == [10, 20]
    assert all(np.isfinite(values).all() for values in result.series.values())
    assert np.isfinite(result.trajectory.positions).all()


def test_lost_trajectory_file_is_an_incomplete_output(finished):
    (finished / 'trajectory_00001.npz').unlink()
    result = read(finished)
    assert result.outcome is MDOutcome.OUTPUT_INCOMPLETE
    assert result.message == 'the frame of step 10 is missing, which should be in one of trajectory_*.npz'
    assert (result.checkpoint_files, result.trajectory, result.steps_done) == ((), None, 0)


def test_truncated_checkpoint_is_no_checkpoint(finished):
    checkpoint = finished / 'checkpoint.npz'
    checkpoint.write_bytes(checkpoint.read_bytes()[:500])
    result = read(finished)
    assert (result.outcome, result.checkpoint_files) == (MDOutcome.FINISHED, ())


def test_charge_that_the_recipe_has_no_place_for_is_refused():
    message = (
        'the potential takes the total charge of a frame, which engine ase cannot pass on to it; add it to the info of '
        "its binding 'ase'"
    )
    with pytest.raises(MDSettingsError, match=f'^{message}$'):
        ENGINE.files(job(total_charge=1.0))
    told = {**EMT, 'info': {'charge': '{total_charge}'}}
    assert 'initial.npz' in ENGINE.files(job(total_charge=1.0, model_recipe=told))
