"""Replicas run by torch-sim, against the driver for ASE, statistics, and each other; all runs are real."""

from __future__ import annotations

from dataclasses import replace

import ase_cases
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase_cases import SETTINGS, copper_on_gold
from torch_sim_cases import (
    ASE_LENNARD_JONES,
    ENGINE,
    LENNARD_JONES,
    PARAMETERS,
    PYTHON,
    job,
    read_replicas,
    replicas,
    run,
    run_driver,
    run_folders,
    run_replicas,
    stage,
    toy,
    with_seeds,
)

from aiida_edl.md_engines.base import MDOutcome
from aiida_edl.science.frames import FrameSet

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.is_file(), reason='.environments/engines is missing; run `make install`'),
]
CSVR = replace(SETTINGS, ensemble='nvt', thermostat='csvr', relaxation_time=20.0)
LANGEVIN = replace(CSVR, thermostat='langevin')
ENSEMBLES = pytest.mark.parametrize('settings', [SETTINGS, CSVR, LANGEVIN], ids=['nve', 'csvr', 'langevin'])
ROUNDING = 1e-9
"""Displacements [Å] by which 40 steps may differ when sums are taken in another order."""


@ENSEMBLES
def test_same_run_as_with_ase(tmp_path, settings):
    """The same seed gives the same velocities and the same noise: frames, energies and heat agree."""
    whole = replace(settings, equilibration_steps=7)
    ours = run(tmp_path / 'torch_sim', job(settings=whole))
    theirs = ase_cases.run(tmp_path / 'ase', ase_cases.job(settings=whole, model_recipe=ASE_LENNARD_JONES))
    np.testing.assert_allclose(ours.trajectory.positions, theirs.trajectory.positions, atol=ROUNDING)
    for name, values in theirs.series.items():
        np.testing.assert_allclose(ours.series[name], values, rtol=1e-9, atol=1e-7, err_msg=name)


def test_same_run_as_with_ase_between_wall_and_fixed_atoms_open_along_z(tmp_path):
    frame = copper_on_gold()
    velocities = np.zeros_like(frame.positions)
    velocities[32:, 2] = 0.03
    settings = replace(
        CSVR, fixed_elements=('Au',), fixed_atoms=(32,), wall_height=2.5, wall_force_constant=0.5, time_step=1.0,
        maximum_temperature=1e5,
    )  # fmt: skip
    energies = {'Au': -10.0, 'Cu': -1.0}
    one = job(replace(frame, velocities=velocities), settings, atomic_energies=energies)
    ours = run(tmp_path / 'torch_sim', one)
    theirs = ase_cases.run(tmp_path / 'ase', replace(one, model_recipe=ASE_LENNARD_JONES))
    last = ours.trajectory.frame(-1)
    assert last.positions[33:, 2].max() > frame.positions[:32, 2].max() + 2.5
    np.testing.assert_array_equal(last.positions[:33], frame.positions[:33])
    np.testing.assert_allclose(last.positions, theirs.trajectory.frame(-1).positions, atol=ROUNDING)
    np.testing.assert_allclose(ours.series['temperature'], theirs.series['temperature'], rtol=1e-8)
    np.testing.assert_allclose(ours.series['conserved_energy'], theirs.series['conserved_energy'], atol=1e-7)


@ENSEMBLES
def test_replica_of_a_batch_runs_as_it_does_alone(tmp_path, settings):
    """Three sizes and boundary conditions in one batch, each with a seed of its own."""
    jobs = with_seeds(replicas(replace(settings, maximum_temperature=1e5)), 11, 12, 13)
    stage(tmp_path / 'together', ENGINE.replica_files(jobs))
    for label, one in jobs.items():
        stage(tmp_path / label, ENGINE.files(one))
    run_folders(tmp_path / 'together', *(tmp_path / label for label in jobs))
    together = read_replicas(tmp_path / 'together', jobs)
    assert together.outcome is MDOutcome.FINISHED
    for label, one in jobs.items():
        alone = ENGINE.read(tmp_path / label, one.frame, one.settings).trajectory
        np.testing.assert_allclose(together.results[label].trajectory.positions, alone.positions, atol=ROUNDING)


def test_stored_energy_is_that_of_the_model_with_atomic_energies(tmp_path):
    result = run(tmp_path, job(settings=CSVR, atomic_energies={'Au': -10.0}))
    last = result.trajectory.frame(-1)
    atoms = Atoms(last.numbers, last.positions, cell=last.cell, pbc=last.pbc)
    atoms.calc = LennardJones(**PARAMETERS, rc=5.3)
    assert last.energy == pytest.approx(atoms.get_potential_energy() - 320.0, abs=1e-9)


def test_energy_error_falls_with_the_square_of_the_time_step(tmp_path):
    errors = []
    for time_step in (4.0, 2.0):
        settings = replace(SETTINGS, time_step=time_step, steps=int(160 / time_step), sampling_interval=1)
        errors.append(np.ptp(run(tmp_path / f'{time_step}', job(settings=settings)).series['conserved_energy']))
    # Verlet is of second order: 4; a first-order integrator gives 2
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.2)


@pytest.mark.parametrize('settings', [CSVR, LANGEVIN], ids=['csvr', 'langevin'])
def test_mean_temperature_is_the_target(tmp_path, settings):
    long = replace(
        settings, temperature=200.0, steps=1500, equilibration_steps=200, sampling_interval=5, time_step=5.0,
        relaxation_time=50.0,
    )  # fmt: skip
    results = run_replicas(tmp_path, with_seeds({'a': job(settings=long), 'b': job(settings=long)}, 1, 2)).results
    values = np.concatenate([result.series['temperature'] for result in results.values()])
    blocks = values.reshape(20, -1).mean(axis=1)
    error = blocks.std(ddof=1) / np.sqrt(len(blocks))
    assert error < 5.0
    # Verlet samples a shadow Hamiltonian: velocities are colder by (step x frequency)²/8, here 0.3 %
    assert values.mean() == pytest.approx(200.0, abs=4 * error + 0.6)


def test_momentum_stays_zero_with_csvr(tmp_path):
    run(tmp_path, job(settings=CSVR))
    with np.load(tmp_path / 'checkpoint.npz') as checkpoint:
        np.testing.assert_allclose(checkpoint['0000_velocities'].sum(axis=0), 0.0, atol=1e-12)


@ENSEMBLES
def test_restarted_replicas_equal_the_uninterrupted_ones_bit_for_bit(tmp_path, settings):
    """One of the three has exploded before the restart and stays so; its frames are in the first part."""
    values = {'equilibration_steps': 3, 'sampling_interval': 1, 'maximum_temperature': 1500.0, 'relaxation_time': 100.0}
    jobs = with_seeds(replicas(replace(settings, **values)), 11, 12, 13)
    interrupted = {label: replace(one, model_recipe=toy('InterruptedModel', after=26)) for label, one in jobs.items()}
    restarted = {label: replace(one, is_restart=True) for label, one in jobs.items()}
    folders = [tmp_path / name for name in ('whole', 'first', 'second')]
    for folder, some_jobs in zip(folders, (jobs, interrupted, restarted)):
        stage(folder, ENGINE.replica_files(some_jobs))
    (tmp_path / 'second' / 'checkpoint.npz').symlink_to(tmp_path / 'first' / 'checkpoint.npz')
    run_folders(*folders)
    uninterrupted, first, second = (read_replicas(folder, jobs) for folder in folders)
    assert (first.outcome, second.outcome) == (MDOutcome.OUT_OF_WALLTIME, MDOutcome.FINISHED)
    assert list(first.exploded) == list(second.exploded) == list(uninterrupted.exploded) == ['displaced']
    assert second.results['displaced'].trajectory is None
    for label, result in uninterrupted.results.items():
        parts = [part.results[label].trajectory for part in (first, second)]
        joined = FrameSet.concatenate([part for part in parts if part is not None])
        np.testing.assert_array_equal(joined.positions, result.trajectory.positions)


def test_replicas_that_were_killed_go_on_from_their_checkpoint(tmp_path):
    jobs = with_seeds({'a': job(settings=CSVR), 'b': job(settings=CSVR)}, 1, 2)
    whole = run_replicas(tmp_path / 'whole', jobs)
    folder = tmp_path / 'killed'
    killing = {label: replace(one, model_recipe=toy('KillingModel', after=25)) for label, one in jobs.items()}
    files = dict(ENGINE.replica_files(killing))
    files['md.json'] = files['md.json'].replace(b'"flush_interval_seconds": 60.0', b'"flush_interval_seconds": 0.0')
    stage(folder, files)
    assert run_driver(folder, check=False).returncode == 137
    first = ENGINE.read_replicas(folder, {label: one.frame for label, one in jobs.items()}, CSVR)
    assert first.outcome is MDOutcome.OUTPUT_INCOMPLETE
    assert [result.steps_done for result in first.results.values()] == [24, 24]
    second = run_replicas(folder, {label: replace(one, is_restart=True) for label, one in jobs.items()})
    for label, result in whole.results.items():
        np.testing.assert_array_equal(second.results[label].trajectory.positions, result.trajectory.positions)


def test_restart_with_nothing_left_finishes_without_frames(tmp_path):
    run(tmp_path / 'first', job())
    stage(tmp_path / 'second', ENGINE.files(job(is_restart=True)))
    (tmp_path / 'second' / 'checkpoint.npz').symlink_to(tmp_path / 'first' / 'checkpoint.npz')
    result = run(tmp_path / 'second', job(is_restart=True))
    assert (result.outcome, result.steps_done, result.trajectory) == (MDOutcome.FINISHED, SETTINGS.steps, None)
    assert result.checkpoint_steps == SETTINGS.steps


def test_single_precision_of_the_model_shows_in_the_forces_only(tmp_path):
    single = {**LENNARD_JONES, 'keyword_arguments': {**LENNARD_JONES['keyword_arguments'], 'dtype': 'float32'}}
    ours = run(tmp_path / 'single', job(model_recipe=single))
    double = run(tmp_path / 'double', job())
    difference = np.abs(ours.trajectory.positions - double.trajectory.positions).max()
    assert 1e-9 < difference < 1e-4


def test_atoms_that_fly_away_from_an_open_film_end_the_run(tmp_path):
    frame = copper_on_gold()
    velocities = np.zeros_like(frame.positions)
    velocities[32:, 2] = 1.5
    settings = replace(SETTINGS, steps=80, fixed_elements=('Au',), maximum_temperature=1e9)
    result = run(tmp_path, job(replace(frame, velocities=velocities), settings))
    assert result.outcome is MDOutcome.EXPLODED
    assert result.message == 'atoms have flown away along an open direction at step 34'
    assert result.series['step'].tolist() == [10, 20, 30]


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'fixed_elements': ('Au',)}, "no atom of replica 0 is mobile: all are of the fixed elements ['Au']"),
        ({'fixed_elements': ('Cu',), 'wall_height': 1.0}, 'wall_height is 1.0 Å above the topmost fixed atom, but no'),
    ],
)
def test_run_without_anything_to_move_or_to_count_from_ends_at_once(tmp_path, changes, message):
    stage(tmp_path, ENGINE.files(job(settings=replace(SETTINGS, **changes))))
    process = run_driver(tmp_path, check=False)
    assert process.returncode == 1
    assert message in process.stderr


def test_restart_without_checkpoint_ends_at_once(tmp_path):
    stage(tmp_path, ENGINE.files(job(is_restart=True)))
    assert 'the run is a restart, but checkpoint.npz is missing' in run_driver(tmp_path, check=False).stderr


def test_checkpoint_of_another_system_ends_at_once(tmp_path):
    run(tmp_path, job(settings=replace(SETTINGS, steps=10)))
    stage(tmp_path, ENGINE.files(job(copper_on_gold(), is_restart=True)))
    assert 'checkpoint.npz is of another system: the 32 atoms of replica 0 are not the 35 given' in (
        run_driver(tmp_path, check=False).stderr
    )
