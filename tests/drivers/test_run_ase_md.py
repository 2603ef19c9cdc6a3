"""The integrator, its thermostats and its restart, against exact results, statistics and ASE's own integrator."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase import units as ase_units
from ase.calculators.emt import EMT
from ase.md.verlet import VelocityVerlet
from ase_cases import EMT as EMT_RECIPE
from ase_cases import ENGINE, MORSE, SETTINGS, copper_on_gold, gold, job, run, stage

from aiida_edl.drivers import run_ase_md
from aiida_edl.md_engines.base import MDOutcome
from aiida_edl.science import units
from aiida_edl.science.frames import FrameSet

TESTS = Path(__file__).parents[1]
UNITS = {'boltzmann': units.BOLTZMANN, 'atomic_mass': units.ATOMIC_MASS}
CSVR = replace(SETTINGS, ensemble='nvt', thermostat='csvr', relaxation_time=20.0)
LANGEVIN = replace(CSVR, thermostat='langevin')
WALLED = replace(SETTINGS, fixed_elements=('Au',), wall_height=2.0, wall_force_constant=0.5, maximum_temperature=1e5)


class Springs:
    """Each atom on a spring of its own: a model without calculator, for long averages."""

    def __init__(self, n_atoms, force_constant=1.0):
        self.atoms = Atoms(numbers=[18] * n_atoms, positions=np.zeros((n_atoms, 3)))
        self.force_constant = force_constant

    def compute(self, positions):
        return 0.5 * self.force_constant * float(np.sum(positions**2)), 0.0, -self.force_constant * positions


def kinetic_energies(settings, n_steps, mobile=None):
    """Return the kinetic energies [eV] of atoms on springs, and the degrees of freedom."""
    model = Springs(5)
    mobile = np.ones(5, dtype=bool) if mobile is None else mobile
    dynamics = run_ase_md.Dynamics(settings.to_dict(), UNITS, model, mobile)
    state = dynamics.initial_state(np.zeros((5, 3)), None)
    values = np.array([dynamics.advance(state) for _ in range(n_steps)])
    return values[n_steps // 10 :], dynamics.degrees_of_freedom


def test_same_trajectory_as_ase(tmp_path):
    frame = gold()
    generator = np.random.default_rng(1)
    velocities = generator.normal(0, 2e-3, frame.positions.shape)
    velocities -= velocities.mean(axis=0)
    result = run(tmp_path, job(replace(frame, velocities=velocities)))
    atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc, calculator=EMT())
    atoms.set_velocities(velocities / ase_units.fs)
    VelocityVerlet(atoms, timestep=2.0 * ase_units.fs).run(40)
    # ASE's units are of CODATA 2014: they differ by 1e-8 and the displacements are below 1 Å
    np.testing.assert_allclose(result.trajectory.frame(-1).positions, atoms.positions, atol=1e-7)
    assert result.trajectory.energies[-1] == pytest.approx(atoms.get_potential_energy(), abs=1e-6)


def test_energy_error_falls_with_the_square_of_the_time_step(tmp_path):
    errors = []
    for time_step in (4.0, 2.0):
        settings = replace(
            SETTINGS, time_step=time_step, steps=int(160 / time_step), sampling_interval=1, temperature=600.0
        )
        conserved = run(tmp_path / f'{time_step}', job(settings=settings)).series['conserved_energy']
        errors.append(np.ptp(conserved))
    # Verlet is of second order: 4; a first-order integrator gives 2
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.2)


@pytest.mark.parametrize('settings', [CSVR, LANGEVIN], ids=['csvr', 'langevin'])
def test_heat_of_the_thermostat_is_kept_account_of(tmp_path, settings):
    series = run(tmp_path, job(settings=replace(settings, steps=100))).series
    total = series['potential_energy'] + series['kinetic_energy']
    # the thermostat moves energy of the order of 32 atoms at 300 K, the integrator errs by 1e-3 of that
    assert np.ptp(total) > 0.1
    assert np.ptp(series['conserved_energy']) < 0.01 * np.ptp(total)


@pytest.mark.parametrize('settings', [CSVR, LANGEVIN], ids=['csvr', 'langevin'])
def test_kinetic_energy_has_the_canonical_distribution(settings):
    """Mean N kT/2 and variance N (kT)²/2 for N degrees of freedom."""
    # The time step is far below the period of the springs, 400 fs, so that its error of order step² is negligible
    values, freedom = kinetic_energies(replace(settings, relaxation_time=10.0), 60000)
    thermal = units.BOLTZMANN * settings.temperature
    blocks = values.reshape(100, -1).mean(axis=1)
    error = blocks.std(ddof=1) / np.sqrt(len(blocks))
    assert error < 0.01 * values.mean()
    assert values.mean() == pytest.approx(0.5 * freedom * thermal, abs=4 * error)
    squares = ((values - values.mean()) ** 2).reshape(100, -1).mean(axis=1)
    error = squares.std(ddof=1) / np.sqrt(len(squares))
    assert error < 0.05 * values.var()
    assert values.var() == pytest.approx(0.5 * freedom * thermal**2, abs=4 * error)


@pytest.mark.parametrize(
    ('settings', 'n_fixed', 'freedom'),
    [(SETTINGS, 0, 12), (CSVR, 0, 12), (LANGEVIN, 0, 15), (SETTINGS, 2, 9), (CSVR, 2, 9), (LANGEVIN, 2, 9)],
)
def test_degrees_of_freedom(settings, n_fixed, freedom):
    dynamics = run_ase_md.Dynamics(settings.to_dict(), UNITS, Springs(5), np.arange(5) >= n_fixed)
    assert dynamics.degrees_of_freedom == freedom


def test_initial_velocities_have_the_temperature_and_no_drift():
    settings = replace(SETTINGS, temperature=250.0)
    dynamics = run_ase_md.Dynamics(settings.to_dict(), UNITS, Springs(4000), np.ones(4000, dtype=bool))
    state = dynamics.initial_state(np.zeros((4000, 3)), None)
    temperature = dynamics.temperature(dynamics.kinetic_energy(state.velocities))
    # relative error of a temperature of N degrees of freedom: sqrt(2 / N) = 1.3 %
    assert temperature == pytest.approx(250.0, rel=4 * np.sqrt(2 / 12000))
    np.testing.assert_allclose(np.sum(dynamics.masses * state.velocities, axis=0), 0.0, atol=1e-9)


def test_momentum_stays_zero_with_csvr(tmp_path):
    run(tmp_path, job(settings=CSVR))
    with np.load(tmp_path / 'checkpoint.npz') as checkpoint:
        np.testing.assert_allclose(checkpoint['velocities'].sum(axis=0), 0.0, atol=1e-12)


def test_fixed_atoms_do_not_move(tmp_path):
    frame = copper_on_gold()
    result = run(tmp_path, job(frame, replace(CSVR, fixed_elements=('Au',))))
    last = result.trajectory.frame(-1)
    np.testing.assert_array_equal(last.positions[:32], frame.positions[:32])
    assert (np.abs(last.positions[32:] - frame.positions[32:]) > 1e-3).all()


def test_force_of_the_wall_is_the_slope_of_its_energy():
    wall = run_ase_md.Wall(height=2.0, force_constant=0.7, mobile=np.array([True, True, False]))
    positions = np.array([[0.0, 0.0, 2.5], [0.0, 0.0, 1.9], [0.0, 0.0, 9.0]])
    energy, forces = wall.energy_and_forces(positions)
    assert energy == pytest.approx(0.5 * 0.7 * 0.25)
    np.testing.assert_allclose(forces, [-0.35, 0.0, 0.0])


def test_wall_turns_atoms_back_and_belongs_to_the_conserved_energy(tmp_path):
    frame = copper_on_gold()
    velocities = np.zeros_like(frame.positions)
    velocities[32:, 2] = 0.008
    settings = replace(WALLED, steps=300, time_step=1.0, sampling_interval=1)
    result = run(tmp_path, job(replace(frame, velocities=velocities), settings))
    heights = result.trajectory.positions.reshape(300, -1, 3)[:, 32:, 2]
    wall = frame.positions[:32, 2].max() + 2.0
    assert heights.max() > wall
    assert (heights[-1] < heights.max(axis=0)).all()
    without_wall = result.series['potential_energy'] + result.series['kinetic_energy']
    assert np.ptp(without_wall) > 0.1
    assert np.ptp(result.series['conserved_energy']) < 0.02 * np.ptp(without_wall)


def test_stored_energy_is_that_of_the_model_with_atomic_energies(tmp_path):
    frame = copper_on_gold()
    velocities = np.zeros_like(frame.positions)
    velocities[32:, 2] = 0.008
    energies = {'Au': -10.0, 'Cu': -1.0}
    settings = replace(WALLED, steps=20, time_step=1.0)
    result = run(tmp_path, job(replace(frame, velocities=velocities), settings, atomic_energies=energies))
    last = result.trajectory.frame(-1)
    atoms = Atoms(last.numbers, last.positions, cell=last.cell, pbc=last.pbc, calculator=EMT())
    assert last.positions[32:, 2].max() > frame.positions[:32, 2].max() + 2.0
    # neighbour lists differ in the order of summation
    assert last.energy == pytest.approx(atoms.get_potential_energy() - 323.0, abs=1e-9)


@pytest.mark.parametrize('settings', [SETTINGS, CSVR, LANGEVIN], ids=['nve', 'csvr', 'langevin'])
def test_restarted_run_equals_the_uninterrupted_one_bit_for_bit(tmp_path, settings):
    whole, frame = replace(settings, equilibration_steps=7), gold(1)
    uninterrupted = run(tmp_path / 'whole', job(frame, whole, model_recipe=MORSE))
    first = run(tmp_path / 'first', job(frame, replace(whole, steps=25), model_recipe=MORSE))
    (tmp_path / 'second').mkdir()
    (tmp_path / 'second' / 'checkpoint.npz').write_bytes((tmp_path / 'first' / 'checkpoint.npz').read_bytes())
    second = run(tmp_path / 'second', job(frame, whole, is_restart=True, model_recipe=MORSE))
    assert first.series['step'].tolist() == [10, 20]
    assert second.series['step'].tolist() == [30, 40]
    for name, values in uninterrupted.series.items():
        np.testing.assert_array_equal(np.concatenate([first.series[name], second.series[name]]), values)
    joined = FrameSet.concatenate([first.trajectory, second.trajectory])
    np.testing.assert_array_equal(joined.positions, uninterrupted.trajectory.positions)


def test_run_that_was_killed_goes_on_from_its_checkpoint(tmp_path):
    """The program dies in its 26th call of the calculator, the one of step 25, after a checkpoint at each step."""
    settings, frame = replace(CSVR, sampling_interval=2), gold(1)
    whole = run(tmp_path / 'whole', job(frame, settings, model_recipe=MORSE))
    recipe = {
        'module': 'toy.failing_calculator',
        'attribute': 'KillingCalculator',
        'keyword_arguments': {'after': 25},
    }
    folder = tmp_path / 'killed'
    stage(folder, job(frame, settings, model_recipe=recipe))
    document = json.loads((folder / 'md.json').read_text()) | {'flush_interval_seconds': 0.0}
    (folder / 'md.json').write_text(json.dumps(document))
    environment = {**os.environ, 'PYTHONPATH': str(TESTS)}
    killed = subprocess.run([sys.executable, 'run_ase_md.py', 'md.json'], cwd=folder, env=environment, check=False)
    assert killed.returncode == 137
    # what a kill between the two writes leaves: frames beyond the checkpoint
    (folder / 'trajectory_99999.npz').write_bytes((tmp_path / 'whole' / 'trajectory_00001.npz').read_bytes())
    first = ENGINE.read(folder, frame, settings)
    (folder / 'trajectory_99999.npz').unlink()
    assert first.outcome is MDOutcome.OUTPUT_INCOMPLETE
    assert first.steps_done == first.series['step'][-1] == 24
    second = run(folder, job(frame, settings, is_restart=True, model_recipe=MORSE))
    assert second.outcome is MDOutcome.FINISHED
    np.testing.assert_array_equal(second.trajectory.positions, whole.trajectory.positions)


def test_restart_with_nothing_left_finishes_without_frames(tmp_path):
    run(tmp_path / 'first', job())
    (tmp_path / 'second').mkdir()
    (tmp_path / 'second' / 'checkpoint.npz').write_bytes((tmp_path / 'first' / 'checkpoint.npz').read_bytes())
    result = run(tmp_path / 'second', job(is_restart=True))
    assert (result.outcome, result.steps_done, result.trajectory) == (MDOutcome.FINISHED, 40, None)


def test_seed_decides_on_velocities(tmp_path):
    runs = [run(tmp_path / str(n), job(settings=replace(SETTINGS, seed=seed))) for n, seed in enumerate((3, 3, 4))]
    np.testing.assert_array_equal(runs[0].trajectory.positions, runs[1].trajectory.positions)
    assert not np.array_equal(runs[0].trajectory.positions, runs[2].trajectory.positions)


def test_equilibration_is_not_stored(tmp_path):
    result = run(tmp_path, job(settings=replace(SETTINGS, equilibration_steps=15)))
    assert result.series['step'].tolist() == [10, 20, 30, 40]
    assert result.series['time'].tolist() == [20.0, 40.0, 60.0, 80.0]


def test_hot_run_counts_as_exploded(tmp_path):
    result = run(tmp_path, job(settings=replace(SETTINGS, maximum_temperature=250.0, temperature=400.0)))
    assert result.outcome is MDOutcome.EXPLODED
    assert result.message == 'the temperature is 477 K at step 1, the maximum is 250 K'


def test_energy_that_is_not_a_number_counts_as_exploded(tmp_path):
    recipe = {'module': 'toy.failing_calculator', 'attribute': 'NotFiniteCalculator', 'keyword_arguments': {}}
    result = run(tmp_path, job(copper_on_gold(), model_recipe=recipe))
    assert (result.outcome, result.message) == (
        MDOutcome.EXPLODED,
        'energy or velocities are not finite at step 1',
    )
    assert result.trajectory is None


def test_passed_walltime_leaves_a_checkpoint(tmp_path):
    result = run(tmp_path, job(walltime_seconds=0.0))
    assert result.outcome is MDOutcome.OUT_OF_WALLTIME
    assert result.checkpoint_files == ('checkpoint.npz',)
    assert result.message.startswith('0 of 40 steps are done after ')


def test_signal_of_the_scheduler_stops_like_the_walltime(tmp_path):
    """SIGTERM comes before SIGKILL; the run uses the time between to leave a checkpoint of the step it is at."""
    endless = job(gold(1), replace(SETTINGS, steps=10_000_000))
    stage(tmp_path, endless)
    document = json.loads((tmp_path / 'md.json').read_text()) | {'flush_interval_seconds': 0.2}
    (tmp_path / 'md.json').write_text(json.dumps(document))
    process = subprocess.Popen([sys.executable, 'run_ase_md.py', 'md.json'], cwd=tmp_path)
    deadline = time.monotonic() + 60.0
    while not (tmp_path / 'checkpoint.npz').exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.terminate()
    assert process.wait(timeout=60.0) == 0
    result = ENGINE.read(tmp_path, endless.frame, endless.settings)
    assert result.outcome is MDOutcome.OUT_OF_WALLTIME
    with np.load(tmp_path / 'checkpoint.npz') as checkpoint:
        assert result.steps_done == checkpoint['step'] > 0
    assert result.series['step'][-1] == result.steps_done // 10 * 10


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (replace(SETTINGS, fixed_elements=('Au',)), "no atom is mobile: all are of the fixed elements ['Au']"),
        (
            replace(SETTINGS, wall_height=4.0),
            'wall_height is 4.0 Å above the topmost fixed atom, but no atom is fixed',
        ),
    ],
)
def test_what_cannot_be_run_is_said_in_a_sentence(tmp_path, settings, message):
    with pytest.raises(SystemExit) as caught:
        run(tmp_path, job(settings=settings))
    assert str(caught.value) == message


def test_restart_without_checkpoint_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r'^the run is a restart, but checkpoint\.npz is missing$'):
        run(tmp_path, job(is_restart=True))


def test_checkpoint_of_another_system_is_refused(tmp_path):
    run(tmp_path, job())
    with pytest.raises(SystemExit) as caught:
        run(tmp_path, job(copper_on_gold(), is_restart=True))
    assert str(caught.value) == 'checkpoint.npz is of another system: its 32 atoms are not the 35 given'


def escaping_copper():
    """Return a job in which a copper atom flies up from gold, with 19 Å to go to the lower side of the next image."""
    frame = copper_on_gold()
    velocities = np.zeros_like(frame.positions)
    velocities[-1, 2] = 0.3
    settings = replace(SETTINGS, time_step=1.0, steps=60, sampling_interval=1, maximum_temperature=1e7)
    return job(replace(frame, velocities=velocities), replace(settings, fixed_elements=('Au',)))


def test_film_whose_vacuum_closes_ends_if_the_calculator_sees_its_images(tmp_path):
    a_job = escaping_copper()
    recipe = {**EMT_RECIPE, 'is_fully_periodic': True, 'cutoff_radius': 6.0}
    result = run(tmp_path, replace(a_job, model_recipe=recipe))
    assert result.outcome is MDOutcome.EXPLODED
    found = re.fullmatch(
        r'atoms have flown away along an open direction at step (\d+): 5\.\d\d Å are left before their '
        r'periodic images, which this model sees within 6 Å',
        result.message,
    )
    assert found, result.message
    # All stored frames have more than the cutoff radius left, and the last of them is the one before.
    heights = result.trajectory.positions.reshape(len(result.trajectory), -1, 3)[:, :, 2]
    assert (a_job.frame.cell[2, 2] - np.ptp(heights, axis=1)).min() > 6.0
    assert result.series['step'][-1] == int(found.group(1)) - 1


def test_film_that_the_calculator_keeps_open_may_grow(tmp_path):
    result = run(tmp_path, escaping_copper())
    assert result.outcome is MDOutcome.FINISHED
    heights = result.trajectory.positions.reshape(len(result.trajectory), -1, 3)[:, :, 2]
    assert escaping_copper().frame.cell[2, 2] - np.ptp(heights, axis=1)[-1] < 6.0
