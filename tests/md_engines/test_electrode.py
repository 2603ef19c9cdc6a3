"""Molecular dynamics of the classical reference: input, reading, restart."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from electrode_cases import FIXTURES, MODEL, SETTINGS, run_lammps, small_cell

from aiida_edl.md_engines import electrode
from aiida_edl.md_engines.base import MDJob, MDOutcome, MDResult, MDSettings, MDSettingsError
from aiida_edl.md_engines.testing import CHECKS, ConformanceCase
from aiida_edl.registry import MD_ENGINES, load_member
from aiida_edl.science import units
from aiida_edl.science.analysis.atom_groups import assign_hydrogens, atom_groups
from aiida_edl.science.frames import Frame, FrameSet

ENGINE = electrode.ElectrodeEngine()


def job(settings: MDSettings = SETTINGS, frame: Frame | None = None, **changes) -> MDJob:
    """Return a job with one ion."""
    return MDJob(frame or small_cell(1), settings, MODEL.to_dict(), {}, **changes)


def script(**changes) -> list[str]:
    """Return the lines of the input script of a job."""
    return ENGINE.files(job(**changes))['in.lammps'].decode().splitlines()


def read(folder: Path) -> MDResult:
    """Read a recorded run."""
    settings = MDSettings.from_dict(json.loads((folder / 'settings.json').read_text()))
    return ENGINE.read(folder, FrameSet.from_npz(folder / 'initial.npz').frame(0), settings)


def recorded(outcome: str) -> Path:
    """Return the folder of a recorded run."""
    return FIXTURES / 'md' / 'electrode' / outcome


def run(folder: Path, a_job: MDJob) -> MDResult:
    """Run a job with LAMMPS and read it."""
    run_lammps(folder, ENGINE.files(a_job), ENGINE.commands(a_job)[0].arguments)
    return ENGINE.read(folder, a_job.frame, a_job.settings)


def test_entry_point_gives_the_engine():
    assert isinstance(load_member(MD_ENGINES, 'electrode'), electrode.ElectrodeEngine)


@pytest.mark.parametrize('check', CHECKS, ids=lambda check: check.__name__)
def test_engine_conforms(check):
    check(ConformanceCase('electrode', electrode.ElectrodeEngine, job(), FIXTURES / 'md' / 'electrode'))


def test_plain_settings_are_accepted():
    assert ENGINE.refuse(SETTINGS) is None
    assert ENGINE.refuse(replace(SETTINGS, ensemble='nve')) is None


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            {'thermostat': 'langevin'},
            "engine electrode cannot use thermostat 'langevin': its random forces would enter the stored forces; use "
            "'csvr'",
        ),
        (
            {'fixed_elements': ()},
            "engine electrode holds the metal and nothing else fixed: fixed_elements is [], it must be ['Au']",
        ),
        (
            {'fixed_elements': ('Au', 'Na')},
            'engine electrode holds the metal and nothing else fixed: '
            "fixed_elements is ['Au', 'Na'], it must be ['Au']",
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused(changes, message):
    settings = replace(SETTINGS, **changes)
    assert ENGINE.refuse(settings) == message
    with pytest.raises(MDSettingsError, match=re.escape(message)):
        ENGINE.files(job(settings))


def test_wall_outside_the_cell_is_refused():
    with pytest.raises(MDSettingsError) as caught:
        ENGINE.files(job(replace(SETTINGS, wall_height=50.0)))
    assert str(caught.value) == (
        'wall_height 50.0 Å puts the wall 55.71 Å above the bottom of the cell, whose height is 28.61 Å: lower the '
        'wall or enlarge the cell'
    )


def test_same_job_gives_the_same_bytes_without_paths():
    files = ENGINE.files(job())
    assert files == ENGINE.files(job())
    assert set(files) == {'in.lammps', 'initial.data'}
    assert not re.search(r'(^|\s)/\w', files['in.lammps'].decode())


def test_one_command_holds_the_arguments_of_lammps():
    (command,) = ENGINE.commands(job())
    assert command.arguments == ('-in', 'in.lammps', '-log', 'log.lammps', '-screen', 'none')


def test_forces_are_stored_before_the_wall_acts():
    lines = script()
    stored = next(i for i, line in enumerate(lines) if line.startswith('fix model_force all store/force'))
    wall = next(i for i, line in enumerate(lines) if line.startswith('fix wall '))
    dump = next(line for line in lines if line.startswith('dump '))
    assert stored < wall
    assert 'f_model_force[1] f_model_force[2] f_model_force[3]' in dump
    assert ' fx ' not in dump


def test_wall_stands_at_its_height_with_its_force_constant():
    # Topmost gold: margin of 1 Å and two layers of 4.08/√3 Å; LAMMPS takes the distance from the top of the cell,
    # and half of the force constant
    words = next(line for line in script() if line.startswith('fix wall ')).split()
    height = small_cell(1).cell[2, 2]
    assert float(words[8]) == pytest.approx(height - (1 + 2 * 4.08 / np.sqrt(3) + 13.0), abs=1e-8)
    assert float(words[6]) * units.KILOCALORIE_PER_MOL == pytest.approx(SETTINGS.wall_force_constant / 2, rel=1e-9)


def test_without_a_wall_its_force_constant_is_zero():
    words = next(line for line in script(settings=replace(SETTINGS, wall_height=0.0)) if 'fix wall' in line).split()
    assert float(words[6]) == 0.0


def test_nve_has_no_thermostat_in_production():
    lines = script(settings=replace(SETTINGS, ensemble='nve', equilibration_steps=0))
    assert not [line for line in lines if 'csvr' in line]


def test_equilibration_gives_heat_to_each_atom_and_production_does_not():
    lines = [line for line in script() if line.startswith('fix') and ('csvr' in line or 'langevin' in line)]
    assert [line.split()[1:4:2] for line in lines] == [
        ['relax_heat', 'temp/csvr'],
        ['heat', 'langevin'],
        ['production_heat', 'temp/csvr'],
    ]


def test_velocities_of_the_frame_are_kept():
    frame = small_cell(1)
    moving = replace(frame, velocities=np.zeros_like(frame.positions))
    assert not [line for line in script(frame=moving) if line.startswith('velocity mobile create')]
    assert [line for line in script() if line.startswith('velocity mobile create')]


def test_unequilibrated_run_is_not_minimised():
    lines = script(settings=replace(SETTINGS, equilibration_steps=0))
    assert not [line for line in lines if line.startswith('minimize')]


def test_restart_reads_the_newest_checkpoint_and_draws_no_velocities():
    lines = script(is_restart=True)
    assert 'read_restart checkpoint.*.restart' in lines
    assert not [line for line in lines if line.startswith(('read_data', 'velocity', 'minimize', 'reset_timestep'))]


def test_walltime_becomes_a_timeout():
    assert 'timer timeout 90 every 100' in script(walltime_seconds=90.7)


def test_finished_run_gives_a_frame_at_each_sampling_interval():
    result = read(recorded('finished'))
    assert result.outcome is MDOutcome.FINISHED
    assert result.steps_done == 400
    assert result.checkpoint_files == ('checkpoint.600.restart',)
    assert result.trajectory.columns['step'].tolist() == [100, 200, 300, 400]
    assert result.trajectory.columns['time'].tolist() == [50.0, 100.0, 150.0, 200.0]
    assert result.trajectory.columns['charge_state'].tolist() == [1, 1, 1, 1]


def test_series_have_the_names_and_shapes_of_all_engines():
    series = read(recorded('finished')).series
    names = {'step', 'time', 'temperature', 'potential_energy', 'kinetic_energy', 'conserved_energy'}
    assert {name: values.shape for name, values in series.items()} == dict.fromkeys(names, (4,))


def test_numbers_of_the_log_come_back_in_house_units():
    # Step 600 of LAMMPS as it stands in the log, step 400 of production; kcal/mol to eV through the Faraday constant
    line = next(
        row for row in (recorded('finished') / 'log.lammps').read_text().splitlines() if row[:11].strip() == '600'
    )
    _, temperature, potential, kinetic, _, _, volts = (float(word) for word in line.split())
    result = read(recorded('finished'))
    assert result.series['temperature'][-1] == temperature
    assert result.series['potential_energy'][-1] == pytest.approx(potential * 4184 / 96485.33212, rel=1e-9)
    assert result.trajectory.energies[-1] == result.series['potential_energy'][-1]
    assert result.series['kinetic_energy'][-1] == pytest.approx(kinetic * 4184 / 96485.33212, rel=1e-9)
    assert result.trajectory.columns['metal_potential'][-1] == volts


def test_temperature_is_that_of_the_mobile_atoms():
    # Kinetic energy from the velocities in the dump, 3 N degrees of freedom, u Å²/fs² to eV
    result = read(recorded('finished'))
    frame = result.trajectory.frame(-1)
    masses = np.select([frame.numbers == 1, frame.numbers == 8, frame.numbers == 11], [1.008, 15.999, 22.98976928], 0.0)
    kinetic = 0.5 * np.sum(masses[:, None] * frame.velocities**2) * units.ATOMIC_MASS
    # LAMMPS rounds its constants in units real to about 1e-7, the masses are written with 6 digits
    assert result.series['kinetic_energy'][-1] == pytest.approx(kinetic, rel=1e-5)
    mobile = int(np.sum(frame.numbers != 79))
    assert result.series['temperature'][-1] == pytest.approx(2 * kinetic / (3 * mobile * units.BOLTZMANN), rel=1e-5)


def test_metal_carries_minus_the_ions_and_does_not_move():
    trajectory = read(recorded('finished')).trajectory
    start = FrameSet.from_npz(recorded('finished') / 'initial.npz').frame(0)
    for frame in trajectory:
        is_metal = frame.numbers == 79
        assert frame.charges[is_metal].sum() == pytest.approx(-1.0, abs=1e-9)
        assert frame.charges.sum() == pytest.approx(0.0, abs=1e-9)
        np.testing.assert_allclose(frame.positions[is_metal], start.positions[is_metal], atol=1e-10)


def test_frames_beyond_the_checkpoint_are_left_to_the_restart():
    # The dump holds two more snapshots, one cut short; the log goes to step 500 of production
    result = read(recorded('output_incomplete'))
    assert result.outcome is MDOutcome.OUTPUT_INCOMPLETE
    assert result.message == 'log.lammps ends at step 400 of 1000'
    assert result.steps_done == 400
    assert result.trajectory.columns['step'].tolist() == [100, 200, 300, 400]
    assert result.series['step'].tolist() == [100, 200, 300, 400]


def test_cut_snapshot_is_left_out(tmp_path):
    folder = shutil.copytree(recorded('finished'), tmp_path / 'cut')
    dump = (folder / 'trajectory.dump').read_text()
    (folder / 'trajectory.dump').write_text(dump[:-10])
    assert read(folder).trajectory.columns['step'].tolist() == [100, 200, 300]


@pytest.mark.parametrize('file', ['trajectory.dump', 'log.lammps'])
def test_frames_lost_before_the_checkpoint_are_noticed_whatever_the_outcome(tmp_path, file):
    # Both files are cut after half of what they hold up to the checkpoint at step 400 of production
    folder = shutil.copytree(recorded('output_incomplete'), tmp_path / 'cut')
    text = (folder / file).read_text()
    mark = 'ITEM: TIMESTEP\n500\n' if file == 'trajectory.dump' else re.search(r'^ +500 ', text, re.MULTILINE).group()
    (folder / file).write_text(text[: text.index(mark)])
    result = read(folder)
    assert result.outcome is MDOutcome.OUTPUT_INCOMPLETE
    assert result.message == '2 of 4 frames up to the checkpoint are in both trajectory.dump and log.lammps'
    assert (result.checkpoint_files, result.steps_done) == ((), 200)
    assert result.series['step'].tolist() == [100, 200]
    assert result.trajectory.columns['step'].tolist() == [100, 200]


def test_run_out_of_walltime_that_lost_its_dump_has_no_checkpoint(tmp_path):
    folder = shutil.copytree(recorded('out_of_walltime'), tmp_path / 'lost')
    (folder / 'trajectory.dump').unlink()
    result = read(folder)
    assert result.outcome is MDOutcome.OUTPUT_INCOMPLETE
    assert (result.checkpoint_files, result.steps_done, result.series) == ((), 0, None)


def test_run_out_of_walltime_leaves_a_checkpoint():
    result = read(recorded('out_of_walltime'))
    assert result.outcome is MDOutcome.OUT_OF_WALLTIME
    assert result.message == f'the time limit was reached at step {result.steps_done} of 10000000'
    assert result.checkpoint_files == (f'checkpoint.{result.steps_done + 200}.restart',)
    assert result.trajectory.columns['step'][-1] <= result.steps_done < result.trajectory.columns['step'][-1] + 100


def test_hot_run_counts_as_exploded():
    result = read(recorded('exploded'))
    assert result.outcome is MDOutcome.EXPLODED
    assert result.message == 'the temperature passed 200 K before step 30 of 130 of the equilibration'
    assert result.checkpoint_files == ()


@pytest.mark.parametrize(
    ('error', 'outcome'),
    [
        ('ERROR on proc 0: Out of range atoms - cannot compute PPPM', MDOutcome.EXPLODED),
        ('ERROR: Lost atoms: original 37 current 36', MDOutcome.EXPLODED),
        ('ERROR on proc 0: Failed to allocate 99 bytes for array', MDOutcome.OUT_OF_MEMORY),
        ('ERROR on proc 0: Bond atoms 25 26 missing on proc 0 at step 345', MDOutcome.EXPLODED),
        ('ERROR on proc 0: Angle atoms 25 26 27 missing on proc 0 at step 345', MDOutcome.EXPLODED),
        ('ERROR: Unknown command: fxi', MDOutcome.OUTPUT_INCOMPLETE),
        ('ERROR: Illegal fix nve command: missing argument(s)', MDOutcome.OUTPUT_INCOMPLETE),
    ],
)
def test_errors_of_lammps_are_told_apart(tmp_path, error, outcome):
    folder = shutil.copytree(recorded('output_incomplete'), tmp_path / 'error')
    with (folder / 'log.lammps').open('a') as handle:
        handle.write(f'\n{error}\n')
    result = read(folder)
    assert result.outcome is outcome
    assert result.message == f'{error} (step 500 of 1000)'


def test_energy_that_is_no_number_counts_as_exploded(tmp_path):
    folder = shutil.copytree(recorded('finished'), tmp_path / 'nan')
    log = (folder / 'log.lammps').read_text()
    last = next(row for row in log.splitlines() if row[:11].strip() == '600')
    (folder / 'log.lammps').write_text(log.replace(last.split()[2], 'nan'))
    result = read(folder)
    assert result.outcome is MDOutcome.EXPLODED
    assert result.message == 'PotEng is not a finite number at step 400 of 400'
    assert result.series['step'].tolist() == [100, 200, 300]


def test_missing_log_is_an_outcome(tmp_path):
    result = ENGINE.read(tmp_path, small_cell(0), SETTINGS)
    assert result.outcome is MDOutcome.OUTPUT_INCOMPLETE
    assert result.message == 'log.lammps is missing'
    assert result.trajectory is None


@pytest.mark.slow
def test_restart_continues_the_same_trajectory_to_the_target(tmp_path):
    whole = run(tmp_path / 'whole', job())
    first = run(tmp_path / 'first', job(replace(SETTINGS, steps=200)))
    (tmp_path / 'second').mkdir()
    shutil.copy(tmp_path / 'first' / first.checkpoint_files[0], tmp_path / 'second')
    second = run(tmp_path / 'second', job(is_restart=True))
    assert second.outcome is MDOutcome.FINISHED
    assert second.steps_done == 400
    assert second.trajectory.columns['step'].tolist() == [300, 400]
    # The neighbour list is built anew at the restart, so that sums are rounded in another order
    np.testing.assert_allclose(second.trajectory.positions, whole.trajectory.select([2, 3]).positions, atol=1e-7)


@pytest.mark.slow
def test_restart_with_nothing_left_finishes_without_frames(tmp_path):
    first = run(tmp_path / 'first', job())
    (tmp_path / 'second').mkdir()
    shutil.copy(tmp_path / 'first' / first.checkpoint_files[0], tmp_path / 'second')
    second = run(tmp_path / 'second', job(is_restart=True))
    assert (second.outcome, second.steps_done, second.trajectory) == (MDOutcome.FINISHED, 400, None)


@pytest.mark.slow
def test_time_limit_in_the_equilibration_is_resumed(tmp_path):
    settings = replace(SETTINGS, equilibration_steps=20000, steps=100)
    first = run(tmp_path / 'run', job(settings, walltime_seconds=1))
    assert first.outcome is MDOutcome.OUT_OF_WALLTIME
    assert 'of 20000 of the equilibration' in first.message
    assert first.steps_done == 0
    second = run(tmp_path / 'run', job(settings, is_restart=True))
    assert second.outcome is MDOutcome.FINISHED
    assert second.trajectory.columns['step'].tolist() == [100]


@pytest.mark.slow
def test_total_energy_is_conserved_without_thermostat(tmp_path):
    start = run(tmp_path / 'start', job()).trajectory.frame(-1)
    result = run(tmp_path / 'nve', job(replace(SETTINGS, ensemble='nve', equilibration_steps=0, steps=2000), start))
    energy = result.series['conserved_energy']
    # Velocity Verlet at 0.5 fs: total energy wanders by a few percent of the fluctuation of the potential energy
    assert energy.std() < 0.05 * result.series['potential_energy'].std()


@pytest.mark.slow
def test_mean_temperature_is_that_of_the_thermostat(tmp_path):
    result = run(tmp_path, job(replace(SETTINGS, equilibration_steps=2000, steps=40000, sampling_interval=20)))
    # 25 mobile atoms: one sample scatters by √(2/75) = 16 %; 20 ps hold 200 relaxation times, hence 3 σ = 5 %
    assert result.series['temperature'].mean() == pytest.approx(SETTINGS.temperature, rel=0.05)


@pytest.mark.slow
def test_fast_and_slow_motion_have_one_temperature_after_the_equilibration(tmp_path):
    """Stiff bonds exchange heat with the rest over 100 ps and more; rescaled velocities left them 100 K too cold."""
    frames = run(tmp_path, job(replace(SETTINGS, equilibration_steps=20000, steps=20000))).trajectory
    n_atoms = int(frames.offsets[1])
    velocities = frames.velocities.reshape(-1, n_atoms, 3)
    positions = frames.positions.reshape(-1, n_atoms, 3)
    groups = atom_groups(frames.numbers[:n_atoms])
    assigned = assign_hydrogens(positions[:, groups.oxygen], positions[:, groups.hydrogen], frames.cells, frames.pbc)
    owners = groups.oxygen[assigned.owners[0]]
    along = assigned.bonds / np.linalg.norm(assigned.bonds, axis=-1, keepdims=True)
    closing = np.sum((velocities[:, groups.hydrogen] - velocities[:, owners]) * along, axis=-1)
    oxygen_mass, hydrogen_mass = 15.999, 1.008
    reduced = oxygen_mass * hydrogen_mass / (oxygen_mass + hydrogen_mass) * units.ATOMIC_MASS
    # Two bonds that share an oxygen are coupled, so that each has its reduced mass; 16 bonds and 100 independent
    # samples of them leave an error of √(2/1600) = 4 %, and 12 % are three of it.
    assert np.mean(closing**2) * reduced / units.BOLTZMANN == pytest.approx(SETTINGS.temperature, rel=0.12)
